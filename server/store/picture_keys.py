"""The key that signs content credentials of pictures (C2PA), and the certificates that go with it.

    c2pa.key     P-256, PKCS #8 PEM, for its owner alone
    c2pa.pem     two certificates: of that key, and of the authority that issued it

Both are made at the first start. The authority issues one certificate and its key is forgotten: nobody, the
operator included, can issue another under the same root. Whoever reads our pictures has to be given that
root; an operator with a certificate that readers know names it in the settings.

Neither the log's key nor the one that wraps is used here: what a thief of this key can sign is pictures.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from server.store.errors import IllegalOpen
from server.store.keys import check_mode, write_once

KEY_FILE, CERTIFICATES_FILE = "c2pa.key", "c2pa.pem"
# Ten years and their leap days, as long as vouchers are good for. A copy has no time stamp of its own:
# readers check the certificate for the day on which they read.
LIFETIME = timedelta(days=3653)
BEFORE = timedelta(hours=1)  # clocks of readers that are behind
FINGERPRINT_DIGITS = 16
MAX_NAME_CHARACTERS = 64  # RFC 5280 appendix A.1: ub-organization-name, ub-common-name

# C2PA Technical Specification, "Digital Signatures": those of its algorithms that are not RSA.
_CURVES = {"secp256r1": ("ES256", 32), "secp384r1": ("ES384", 48)}
_HASHES: dict[str, hashes.HashAlgorithm] = {"ES256": hashes.SHA256(), "ES384": hashes.SHA384()}
_Key = ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey


class PictureSigner:
    """Signs claims of C2PA. `certificates` are PEM, its own first, as far up as they are here."""

    def __init__(self, key: _Key, certificates: Sequence[x509.Certificate]) -> None:
        self._key = key
        self._algorithm, self._size_bytes = (
            ("ED25519", 32) if isinstance(key, ed25519.Ed25519PrivateKey) else _CURVES[key.curve.name]
        )
        self.certificates = "".join(_pem(certificate) for certificate in certificates)
        self.root = _pem(certificates[-1])  # what a reader has to trust, or what leads there
        self.expires_at: datetime = certificates[0].not_valid_after_utc
        self.fingerprint = certificates[0].fingerprint(hashes.SHA256()).hex()[:FINGERPRINT_DIGITS]

    @property
    def algorithm(self) -> str:
        """As C2PA calls it."""
        return self._algorithm

    def sign(self, data: bytes) -> bytes:
        """A raw signature, as COSE has it: r and s at their full length (RFC 9053 section 2.1)."""
        if isinstance(self._key, ed25519.Ed25519PrivateKey):
            return self._key.sign(data)
        r, s = decode_dss_signature(self._key.sign(data, ec.ECDSA(_HASHES[self._algorithm])))
        return r.to_bytes(self._size_bytes, "big") + s.to_bytes(self._size_bytes, "big")


def load_or_create_picture_signer(data_dir: Path, *, origin: str, now_at: datetime) -> PictureSigner:
    """The signer of a data directory that is locked by this process; made if absent. Raises IllegalOpen."""
    key_path, certificates_path = data_dir / KEY_FILE, data_dir / CERTIFICATES_FILE
    if not key_path.exists():
        # Certificates without their key are of no use: the key is written last, so it was never there, or
        # somebody took it away to have another.
        certificates_path.unlink(missing_ok=True)
        key = ec.generate_private_key(ec.SECP256R1())
        certificates = _issue(key, origin, now_at)
        write_once(certificates_path, "".join(map(_pem, certificates)).encode())
        write_once(key_path, key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    return load_picture_signer(certificates_path, key_path)


def load_picture_signer(certificates_path: Path, key_path: Path) -> PictureSigner:
    """A key and its PEM certificates, its own first. Raises IllegalOpen, which says what to do."""
    check_mode(key_path)
    try:
        key = load_pem_private_key(key_path.read_bytes(), password=None)
    except (ValueError, TypeError) as error:
        raise IllegalOpen(f"{key_path} holds no key that can be read without a password: {error}") from None
    if not isinstance(key, _Key) or (
        isinstance(key, ec.EllipticCurvePrivateKey) and key.curve.name not in _CURVES
    ):
        raise IllegalOpen(f"{key_path}: content credentials want a key of P-256, P-384 or Ed25519")
    try:
        certificates = x509.load_pem_x509_certificates(certificates_path.read_bytes())
    except FileNotFoundError:
        raise IllegalOpen(
            f"{certificates_path} is gone: restore it, or remove {key_path}, and both are made anew"
        ) from None
    except ValueError as error:
        raise IllegalOpen(f"{certificates_path} holds no PEM certificates: {error}") from None
    if certificates[0].public_key() != key.public_key():
        raise IllegalOpen(f"the first certificate in {certificates_path} is not of the key in {key_path}")
    return PictureSigner(key, certificates)


def load_roots(path: Path) -> str:
    """PEM certificates, spelt anew. Raises IllegalOpen."""
    try:
        return "".join(map(_pem, x509.load_pem_x509_certificates(path.read_bytes())))
    except (OSError, ValueError) as error:
        raise IllegalOpen(f"{path} holds no PEM certificates: {error}") from None


def _issue(key: ec.EllipticCurvePrivateKey, origin: str, now_at: datetime) -> list[x509.Certificate]:
    """The certificate of the key, and that of an authority which lives for as long as this takes.

    C2PA Technical Specification, "X.509 Certificates": version 3, an authority key identifier, basic
    constraints, the key usage digitalSignature, and an extended key usage such as emailProtection.
    """
    root_key = ec.generate_private_key(ec.SECP256R1())
    root_name, name = _name(origin, "root for pictures"), _name(origin, "pictures")

    def certificate(subject: x509.Name, public_key: ec.EllipticCurvePublicKey) -> x509.CertificateBuilder:
        return (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(root_name)
            .public_key(public_key)
            .serial_number(x509.random_serial_number())
            .not_valid_before(now_at - BEFORE)
            .not_valid_after(now_at + LIFETIME)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(public_key), critical=False)
        )

    root = certificate(root_name, root_key.public_key())
    root = root.add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
    root = root.add_extension(_usage(key_cert_sign=True), critical=True)
    own = certificate(name, key.public_key())
    own = own.add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
    own = own.add_extension(_usage(digital_signature=True), critical=True)
    own = own.add_extension(x509.ExtendedKeyUsage([ExtendedKeyUsageOID.EMAIL_PROTECTION]), critical=False)
    own = own.add_extension(
        x509.AuthorityKeyIdentifier.from_issuer_public_key(root_key.public_key()), critical=False
    )
    return [built.sign(root_key, hashes.SHA256()) for built in (own, root)]


def _name(origin: str, what: str) -> x509.Name:
    """The log says whose pictures they are: its origin is the one name that an operator has here."""
    organization = f"Proofcall {origin}"[:MAX_NAME_CHARACTERS]
    return x509.Name(
        [
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, organization),
            x509.NameAttribute(NameOID.COMMON_NAME, f"Proofcall {what}"),
        ]
    )


def _usage(*, digital_signature: bool = False, key_cert_sign: bool = False) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=digital_signature,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=key_cert_sign,
        crl_sign=False,
        encipher_only=False,
        decipher_only=False,
    )


def _pem(certificate: x509.Certificate) -> str:
    return certificate.public_bytes(Encoding.PEM).decode()

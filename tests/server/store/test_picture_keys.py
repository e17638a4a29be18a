"""The key of content credentials: made once, its owner's alone, apart from all others."""

import shutil
import subprocess
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from server.store.audit import audit
from server.store.errors import IllegalOpen
from server.store.picture_keys import (
    PictureSigner,
    load_or_create_picture_signer,
    load_picture_signer,
    load_roots,
)
from tests.server.store.test_durability import open_log
from tests.server.store.test_keys import sealed_log

NOW = datetime.now(UTC)
Key = ec.EllipticCurvePrivateKey | ed25519.Ed25519PrivateKey | rsa.RSAPrivateKey


def make(folder: Path) -> PictureSigner:
    return load_or_create_picture_signer(folder, origin="log.example/parcels", now_at=NOW)


def write_pair(folder: Path, key: Key, certified: Key | None = None) -> tuple[Path, Path]:
    """A certificate that an operator brings, and its key."""
    name = x509.Name([x509.NameAttribute(x509.NameOID.ORGANIZATION_NAME, "Brought")])
    public_key = (certified or key).public_key()
    root = ec.generate_private_key(ec.SECP256R1())
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(public_key)
        .serial_number(1)
        .not_valid_before(NOW - timedelta(days=1))
        .not_valid_after(NOW + timedelta(days=1))
        .sign(root, hashes.SHA256())
    )
    certificate_path, key_path = folder / "own.pem", folder / "own.key"
    certificate_path.write_bytes(certificate.public_bytes(Encoding.PEM))
    key_path.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    key_path.chmod(0o600)
    return certificate_path, key_path


def test_it_is_made_at_the_first_start_for_its_owner_alone_and_stays(tmp_path: Path) -> None:
    made = make(tmp_path)
    assert (tmp_path / "c2pa.key").stat().st_mode & 0o777 == 0o600
    assert not list(tmp_path.glob("*.new"))
    again = make(tmp_path)
    assert (again.certificates, again.fingerprint) == (made.certificates, made.fingerprint)
    assert made.expires_at - NOW > timedelta(days=3_650)


@pytest.mark.skipif(shutil.which("openssl") is None, reason="Debian: apt-get install openssl")
def test_openssl_finds_the_certificate_good_under_the_root_for_its_purpose(tmp_path: Path) -> None:
    made = make(tmp_path)
    (tmp_path / "root.pem").write_text(made.root)
    command = [
        "openssl",
        "verify",
        "-x509_strict",
        "-purpose",
        "smimesign",
        "-CAfile",
        "root.pem",
        "c2pa.pem",
    ]
    checked = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert checked.returncode == 0, checked.stderr
    own, root = x509.load_pem_x509_certificates(made.certificates.encode())
    assert "log.example/parcels" in own.subject.rfc4514_string()
    assert own.public_key() != root.public_key()


def test_the_key_of_the_authority_is_nowhere(tmp_path: Path) -> None:
    make(tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["c2pa.key", "c2pa.pem"]
    own, root = x509.load_pem_x509_certificates((tmp_path / "c2pa.pem").read_bytes())
    assert own.public_key() != root.public_key()
    assert (tmp_path / "c2pa.key").read_bytes().count(b"BEGIN PRIVATE KEY") == 1


async def test_no_two_keys_of_a_data_folder_are_the_same(tmp_path: Path) -> None:
    await sealed_log(tmp_path)
    make(tmp_path)
    keys = [(tmp_path / name).read_bytes() for name in ("log.key", "wrap.key", "c2pa.key")]
    assert len(set(keys)) == len(keys)


async def test_an_audit_finds_a_key_that_others_may_read(tmp_path: Path) -> None:
    await sealed_log(tmp_path)
    make(tmp_path)
    list(audit(tmp_path))
    (tmp_path / "c2pa.key").chmod(0o644)
    with pytest.raises(IllegalOpen, match=r"c2pa\.key may be read by others"):
        list(audit(tmp_path))
    with pytest.raises(IllegalOpen, match=r"c2pa\.key may be read by others"):
        make(tmp_path)
    await (await open_log(tmp_path)).close()  # the log does not depend on it


def test_a_start_that_was_cut_off_between_the_two_files_is_made_good(tmp_path: Path) -> None:
    made = make(tmp_path)
    (tmp_path / "c2pa.key").unlink()
    again = make(tmp_path)
    assert again.fingerprint != made.fingerprint
    assert load_picture_signer(tmp_path / "c2pa.pem", tmp_path / "c2pa.key").fingerprint == again.fingerprint


def test_certificates_that_are_gone_are_asked_for_and_not_replaced(tmp_path: Path) -> None:
    make(tmp_path)
    (tmp_path / "c2pa.pem").unlink()
    with pytest.raises(IllegalOpen, match=r"restore it, or remove .*c2pa\.key"):
        make(tmp_path)


@pytest.mark.parametrize(
    ("key", "algorithm", "size_bytes"),
    [
        (ec.generate_private_key(ec.SECP256R1()), "ES256", 64),
        (ec.generate_private_key(ec.SECP384R1()), "ES384", 96),
        (ed25519.Ed25519PrivateKey.generate(), "ED25519", 64),
    ],
    ids=["P-256", "P-384", "Ed25519"],
)
def test_an_operators_own_key_signs_as_cose_has_it(
    tmp_path: Path, key: Key, algorithm: str, size_bytes: int
) -> None:
    signer = load_picture_signer(*write_pair(tmp_path, key))
    assert signer.algorithm == algorithm
    for data in (b"", b"a claim", bytes(5_000)):
        signature = signer.sign(data)
        assert len(signature) == size_bytes
        if isinstance(key, ec.EllipticCurvePrivateKey):
            half = size_bytes // 2
            whole = encode_dss_signature(int.from_bytes(signature[:half]), int.from_bytes(signature[half:]))
            used = hashes.SHA256() if algorithm == "ES256" else hashes.SHA384()
            key.public_key().verify(whole, data, ec.ECDSA(used))
            with pytest.raises(InvalidSignature):
                key.public_key().verify(whole, data + b".", ec.ECDSA(used))
        elif isinstance(key, ed25519.Ed25519PrivateKey):
            key.public_key().verify(signature, data)


@pytest.mark.parametrize(
    ("key", "complaint"),
    [
        (rsa.generate_private_key(public_exponent=65537, key_size=2048), "P-256, P-384 or Ed25519"),
        (ec.generate_private_key(ec.SECP521R1()), "P-256, P-384 or Ed25519"),
    ],
    ids=["RSA", "P-521"],
)
def test_a_key_of_another_kind_is_refused_with_those_that_are_taken(
    tmp_path: Path, key: Key, complaint: str
) -> None:
    with pytest.raises(IllegalOpen, match=complaint):
        load_picture_signer(*write_pair(tmp_path, key))


def test_what_does_not_go_together_is_refused_at_the_start(tmp_path: Path) -> None:
    key, other = (ec.generate_private_key(ec.SECP256R1()) for _ in range(2))
    certificate_path, key_path = write_pair(tmp_path, key, certified=other)
    with pytest.raises(IllegalOpen, match="is not of the key"):
        load_picture_signer(certificate_path, key_path)
    for path, complaint in ((key_path, "holds no key"), (certificate_path, "holds no PEM certificates")):
        whole = path.read_bytes()
        path.write_text("something else")
        with pytest.raises(IllegalOpen, match=complaint):
            load_picture_signer(certificate_path, key_path)
        path.write_bytes(whole)
    with pytest.raises(IllegalOpen, match="holds no PEM certificates"):
        load_roots(key_path)
    assert load_roots(certificate_path) == certificate_path.read_text()

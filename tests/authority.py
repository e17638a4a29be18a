"""A real time-stamping authority on loopback, `openssl ts -reply` behind a small server, and its bad days."""

import asyncio
import contextlib
import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Literal

from aiohttp import web
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

# How the authority answers.
Behaviour = Literal[
    "stamps",
    "refuses",
    "other_nonce",
    "other_imprint",
    "garbage",
    "html",
    "fails",
    "redirects",
    "huge",
    "hangs",
]
# `certs` is left out: the set that it makes is not sorted, and so no DER.
CONFIGURATION = """\
[tsa]
default_tsa = here
[here]
serial = {folder}/serial
signer_cert = {folder}/signer.pem
signer_key = {folder}/signer.key
signer_digest = sha256
default_policy = 1.3.6.1.4.1.99999.1
digests = {digests}
accuracy = secs:1, millisecs:500
ess_cert_id_alg = sha256
"""
DAY = timedelta(days=1)


@dataclass(kw_only=True)
class Authority:
    """An authority with keys of its own. `url` once it is served."""

    folder: Path
    root: bytes
    behaviour: Behaviour = "stamps"
    url: str = ""
    asked: int = 0
    released: asyncio.Event = field(default_factory=asyncio.Event)  # who hangs goes on then

    @property
    def root_path(self) -> Path:
        return self.folder / "root.pem"

    def reply(self, query: bytes, *, digests: str = "sha256") -> bytes:
        """The answer to a request, as OpenSSL makes it."""
        (self.folder / "openssl.cnf").write_text(CONFIGURATION.format(folder=self.folder, digests=digests))
        (self.folder / "query").write_bytes(query)
        (self.folder / "reply").unlink(missing_ok=True)
        files = ("-queryfile", self.folder / "query", "-out", self.folder / "reply")
        with contextlib.suppress(subprocess.CalledProcessError):  # who refuses writes an answer all the same
            self._run("ts", "-reply", "-config", self.folder / "openssl.cnf", *files)
        return (self.folder / "reply").read_bytes()

    def token(self, note: bytes) -> bytes:
        """A token of these bytes."""
        (self.folder / "note").write_bytes(note)
        query = self._run("ts", "-query", "-data", self.folder / "note", "-sha256", "-cert")
        (self.folder / "stamped").write_bytes(self.reply(query))
        return self._run("ts", "-reply", "-in", self.folder / "stamped", "-token_out")

    def check(self, token: bytes, note: bytes) -> None:
        """`openssl ts -verify`; raises CalledProcessError."""
        (self.folder / "token").write_bytes(token)
        (self.folder / "note").write_bytes(note)
        self._run(
            *("ts", "-verify", "-token_in", "-in", self.folder / "token"),
            *("-data", self.folder / "note", "-CAfile", self.root_path),
        )

    def _run(self, *arguments: str | Path) -> bytes:
        return subprocess.run(["openssl", *arguments], capture_output=True, check=True).stdout

    async def answer(self, request: web.Request) -> web.Response:
        """As `behaviour` has it."""
        self.asked += 1
        query = await request.read()
        media_type = "application/timestamp-reply"
        match self.behaviour:
            case "hangs":
                await self.released.wait()
            case "garbage":
                return web.Response(body=b"\x30\x82\x05\x00" + b"\x02" * 99, content_type=media_type)
            case "html":
                return web.Response(text="<html>Log in first</html>", content_type="text/html")
            case "huge":
                return web.Response(body=b"\x30" * 2_000_000, content_type=media_type)
            case "fails":
                return web.Response(status=503, reason="Out of ink")
            case "redirects":
                return web.Response(status=302, headers={"Location": self.url})
            case "other_nonce":  # RFC 3161 section 2.4.1: the nonce stands before certReq, at the end
                query = query[:-4] + bytes((query[-4] ^ 1,)) + query[-3:]
            case "other_imprint":
                imprint = query.index(b"\x04\x20") + 2
                query = query[:imprint] + bytes(32) + query[imprint + 32 :]
            case "stamps" | "refuses":
                pass
        digests = "sha512" if self.behaviour == "refuses" else "sha256"
        body = await asyncio.to_thread(self.reply, query, digests=digests)
        return web.Response(body=body, content_type=media_type)


def make_authority(
    folder: Path, *, name: str = "Test Authority", certificate_ended: bool = False, is_for_stamps: bool = True
) -> Authority:
    """Keys and certificates in a folder of their own."""
    folder.mkdir(parents=True)
    now_at = datetime.now(UTC)
    root_key, key = ec.generate_private_key(ec.SECP256R1()), ec.generate_private_key(ec.SECP256R1())
    root_name = _name(f"{name} Root")
    root = (
        _certificate(root_name, root_name, root_key.public_key(), now_at - 9 * DAY, now_at + 9 * DAY)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(root_key.public_key()), critical=False)
        .sign(root_key, SHA256())
    )
    end_at = now_at - DAY if certificate_ended else now_at + 2 * DAY
    certificate = _certificate(
        _name(name), root_name, key.public_key(), now_at - 2 * DAY, end_at
    ).add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(root_key.public_key()), critical=False)
    if is_for_stamps:
        usage = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.TIME_STAMPING])
        certificate = certificate.add_extension(usage, critical=True)
    (folder / "serial").write_text("01\n")
    (folder / "signer.pem").write_bytes(certificate.sign(root_key, SHA256()).public_bytes(Encoding.PEM))
    (folder / "signer.key").write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))
    authority = Authority(folder=folder, root=root.public_bytes(Encoding.PEM))
    authority.root_path.write_bytes(authority.root)
    return authority


@asynccontextmanager
async def serving_authority(authority: Authority) -> AsyncIterator[Authority]:
    """The authority, at its `url`."""
    site = web.Application()
    site.router.add_post("/tsr", authority.answer)
    runner = web.AppRunner(site, shutdown_timeout=0.1)
    await runner.setup()
    listener = web.TCPSite(runner, "127.0.0.1", 0)
    await listener.start()
    try:
        port = runner.addresses[0][1]
        authority.url = f"http://127.0.0.1:{port}/tsr"
        yield authority
    finally:
        authority.released.set()
        await runner.cleanup()


def _name(name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])


def _certificate(
    subject: x509.Name,
    issuer: x509.Name,
    public_key: ec.EllipticCurvePublicKey,
    begin_at: datetime,
    end_at: datetime,
) -> x509.CertificateBuilder:
    return (
        x509.CertificateBuilder()
        .subject_name(subject)
        .issuer_name(issuer)
        .public_key(public_key)
        .serial_number(x509.random_serial_number())
        .not_valid_before(begin_at)
        .not_valid_after(end_at)
    )

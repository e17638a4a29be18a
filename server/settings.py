"""What the operator decides, read once at start from the environment.

A wrong value refuses to start and says which variable, what was wrong and what to write instead.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TypeVar

from server.errors import MalformedSetting
from server.evidence.errors import MalformedKey, MalformedPolicy
from server.evidence.policy import Policy, parse_policy
from server.evidence.report import CannotBeMade
from server.evidence.timestamp import parse_roots
from server.retention_rules import Rules, parse_rules

Value = TypeVar("Value")

SECRETS = frozenset({"PROOFCALL_API_KEY", "PROOFCALL_TURN_SECRET"})  # values that no message repeats
MAX_INTERVAL_S = 86_400  # what happens on a day is stamped on that day, or soon after
MIN_API_KEY_LENGTH = 16  # characters; 16 random base64 characters hold 96 bits


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """One variable as the README lists it."""

    name: str
    default: str
    meaning: str


SETTINGS = (
    Setting(
        name="PROOFCALL_HTTP_HOST", default="127.0.0.1", meaning="address to listen on, HTTP and media alike"
    ),
    Setting(name="PROOFCALL_HTTP_PORT", default="8080", meaning="TCP port of pages, API and WebSocket"),
    Setting(name="PROOFCALL_UDP_PORT", default="8443", meaning="port of all media, UDP and TCP"),
    Setting(
        name="PROOFCALL_ANNOUNCE",
        default="",
        meaning="`host:port` candidates for media, comma-separated, where detection is not enough",
    ),
    Setting(
        name="PROOFCALL_TURN_URLS",
        default="",
        meaning="`turn:`, `turns:` and `stun:` servers for who comes through neither way, comma-separated",
    ),
    Setting(name="PROOFCALL_TURN_SECRET", default="", meaning="coturn's `static-auth-secret`"),
    Setting(
        name="PROOFCALL_PUBLIC_URL",
        default="",
        meaning="how people reach the pages, for the links; default: `http://` host and port above",
    ),
    Setting(name="PROOFCALL_DATA_DIR", default="data", meaning="folder of the log, the blobs and the keys"),
    Setting(name="PROOFCALL_API_KEY", default="", meaning="the integrator's key, 16 characters or more"),
    Setting(
        name="PROOFCALL_LOG_ORIGIN",
        default="proofcall.local/log",
        meaning="name of the evidence log in its checkpoints; never change it once the log has entries",
    ),
    Setting(
        name="PROOFCALL_WORDING_DIR",
        default="",
        meaning="folder of `rules.json` and a JSON file a language, in place of the notices, kinds and "
        "phrases that come with Proofcall",
    ),
    Setting(
        name="PROOFCALL_WEBHOOK_INTERNAL_HOSTS",
        default="",
        meaning="`host` or `host:port` of webhook receivers that may be internal and `http`, "
        "comma-separated; all others are public and `https`",
    ),
    Setting(
        name="PROOFCALL_WITNESS_POLICY",
        default="",
        meaning="file with the witnesses that cosign the log and how many must, in the format of C2SP "
        "tlog-policy, each with its URL",
    ),
    Setting(
        name="PROOFCALL_PDF_FONT",
        default="",
        meaning="TrueType font with Chinese characters for the PDFs of vouchers and reports; default: "
        "Debian's WenQuanYi, if it is there",
    ),
    Setting(
        name="PROOFCALL_TIMESTAMP_URLS",
        default="",
        meaning="time-stamping authorities (RFC 3161, `http` or `https`) that stamp the log's checkpoints, "
        "comma-separated",
    ),
    Setting(
        name="PROOFCALL_TIMESTAMP_ROOTS",
        default="",
        meaning="PEM file of their root certificates; a token that none of them vouches for is not kept",
    ),
    Setting(
        name="PROOFCALL_TIMESTAMP_INTERVAL_S",
        default="600",
        meaning="seconds between two tokens of an authority while entries are written; decisions and exports "
        "are stamped at once",
    ),
    Setting(
        name="PROOFCALL_C2PA_CERTIFICATE",
        default="",
        meaning="PEM certificate chain for content credentials of pictures, its own first; default: one of "
        "an authority that is made at the first start",
    ),
    Setting(
        name="PROOFCALL_C2PA_KEY",
        default="",
        meaning="PEM private key that belongs to it (P-256, P-384 or Ed25519), of mode 0600",
    ),
    Setting(
        name="PROOFCALL_C2PA_ROOTS",
        default="",
        meaning="PEM root certificates of those whose content credentials in uploaded photos are called "
        "trusted; our own always are",
    ),
    Setting(
        name="PROOFCALL_RETENTION",
        default="",
        meaning="how long what is kept after the last that happened in a case, such as "
        "`recordings=90d, frames=1y, attachments=1y, all=3y`; what has no rule is kept for ever",
    ),
    Setting(
        name="PROOFCALL_RETENTION_MODE",
        default="dry_run",
        meaning="`dry_run`: what is over is counted and told; `erase`: it is erased, hour by hour",
    ),
    Setting(
        name="PROOFCALL_TLS_CERTIFICATE",
        default="",
        meaning="PEM certificate chain for HTTPS, if not behind a proxy",
    ),
    Setting(name="PROOFCALL_TLS_KEY", default="", meaning="PEM private key that belongs to it"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """The settings, typed. `sample` is the mode of `make run`: a made-up key and a first case to try."""

    http_host: str
    http_port: int
    udp_port: int
    announce: tuple[tuple[str, int], ...]
    public_url: str
    data_dir: Path
    api_key: str
    log_origin: str
    wording_dir: Path | None = None
    webhook_internal_hosts: tuple[tuple[str, int | None], ...] = ()
    witness_policy: Policy | None = None
    pdf_font: Path | None = None
    timestamp_urls: tuple[str, ...] = ()
    timestamp_roots: tuple[bytes, ...] = ()
    timestamp_interval_s: int = 600
    turn_urls: tuple[str, ...] = ()
    turn_secret: str | None = None
    c2pa_certificate: Path | None = None
    c2pa_key: Path | None = None
    c2pa_roots: Path | None = None
    tls_certificate: Path | None = None
    tls_key: Path | None = None
    retention: Rules = field(default_factory=dict)
    retention_erases: bool = False
    sample: bool = False

    def bound_to(self, port: int) -> "Settings":
        """These settings once the HTTP port is bound, so that the URL of the links is known."""
        scheme = "http" if self.tls_certificate is None else "https"
        host = f"[{self.http_host}]" if ":" in self.http_host else self.http_host
        return replace(
            self,
            http_port=port,
            public_url=self.public_url or f"{scheme}://{host}:{port}",
        )


def read_settings(environment: Mapping[str, str], *, sample_api_key: str | None = None) -> Settings:
    """The settings of `environment`. With `sample_api_key` the sample mode is on and a key may be absent.

    Raises `MalformedSetting`, which names the variable.
    """
    defaults = {setting.name: setting.default for setting in SETTINGS}

    def value(name: str, parse: Callable[[str], Value]) -> Value:
        text = environment.get(name, "").strip() or defaults[name]
        try:
            return parse(text)
        except ValueError as error:
            shown = name if name in SECRETS else f"{name}={text!r}"
            raise MalformedSetting(f"{shown}: {error}") from None

    for name in environment:
        if name.startswith("PROOFCALL_") and name not in defaults:
            raise MalformedSetting(f"{name} is not a setting; the README lists all of them")
    certificate = value("PROOFCALL_TLS_CERTIFICATE", _path)
    key = value("PROOFCALL_TLS_KEY", _path)
    if (certificate is None) != (key is None):
        raise MalformedSetting(
            "PROOFCALL_TLS_CERTIFICATE and PROOFCALL_TLS_KEY go together: set both or neither"
        )
    c2pa_certificate = value("PROOFCALL_C2PA_CERTIFICATE", _path)
    c2pa_key = value("PROOFCALL_C2PA_KEY", _path)
    if (c2pa_certificate is None) != (c2pa_key is None):
        raise MalformedSetting(
            "PROOFCALL_C2PA_CERTIFICATE and PROOFCALL_C2PA_KEY go together: set both or neither"
        )
    api_key = value("PROOFCALL_API_KEY", _api_key) or sample_api_key
    if api_key is None:
        raise MalformedSetting(
            "PROOFCALL_API_KEY is not set: give the integrator's key, 16 random characters or more"
        )
    turn_urls = value("PROOFCALL_TURN_URLS", _turn_urls)
    turn_secret = value("PROOFCALL_TURN_SECRET", str) or None
    if turn_secret is None and any(url.startswith("turn") for url in turn_urls):
        raise MalformedSetting("PROOFCALL_TURN_SECRET is not set: give the static-auth-secret of your coturn")
    timestamp_urls = value("PROOFCALL_TIMESTAMP_URLS", _timestamp_urls)
    timestamp_roots = value("PROOFCALL_TIMESTAMP_ROOTS", read_roots)
    if timestamp_urls and not timestamp_roots:
        raise MalformedSetting(
            "PROOFCALL_TIMESTAMP_ROOTS is not set: give the PEM file of your authorities' root certificates,"
            " by which their tokens are checked"
        )
    return Settings(
        http_host=value("PROOFCALL_HTTP_HOST", str),
        http_port=value("PROOFCALL_HTTP_PORT", _port),
        udp_port=value("PROOFCALL_UDP_PORT", _port),
        announce=value("PROOFCALL_ANNOUNCE", _announce),
        public_url=value("PROOFCALL_PUBLIC_URL", _url),
        data_dir=value("PROOFCALL_DATA_DIR", Path),
        api_key=api_key,
        log_origin=value("PROOFCALL_LOG_ORIGIN", _origin),
        wording_dir=value("PROOFCALL_WORDING_DIR", _folder),
        webhook_internal_hosts=value("PROOFCALL_WEBHOOK_INTERNAL_HOSTS", _internal_hosts),
        witness_policy=value("PROOFCALL_WITNESS_POLICY", _policy),
        pdf_font=value("PROOFCALL_PDF_FONT", _path),
        timestamp_urls=timestamp_urls,
        timestamp_roots=timestamp_roots,
        timestamp_interval_s=value("PROOFCALL_TIMESTAMP_INTERVAL_S", _interval_s),
        turn_urls=turn_urls,
        turn_secret=turn_secret,
        c2pa_certificate=c2pa_certificate,
        c2pa_key=c2pa_key,
        c2pa_roots=value("PROOFCALL_C2PA_ROOTS", _path),
        tls_certificate=certificate,
        tls_key=key,
        retention=value("PROOFCALL_RETENTION", parse_rules),
        retention_erases=value("PROOFCALL_RETENTION_MODE", _erases),
        sample=sample_api_key is not None,
    )


def _erases(text: str) -> bool:
    if text not in ("dry_run", "erase"):
        raise ValueError("write dry_run or erase")
    return text == "erase"


def _port(text: str) -> int:
    if not text.isdecimal() or int(text) > 65535:
        raise ValueError("a port is a number from 0 to 65535 (0 takes any free one)")
    return int(text)


def _announce(text: str) -> tuple[tuple[str, int], ...]:
    candidates = []
    for part in filter(None, (piece.strip() for piece in text.split(","))):
        host, colon, port = part.rpartition(":")
        if not colon or not host:
            raise ValueError(f"{part!r} is not host:port")
        candidates.append((host.strip("[]"), _port(port)))
    return tuple(candidates)


def _internal_hosts(text: str) -> tuple[tuple[str, int | None], ...]:
    hosts = []
    for part in filter(None, (piece.strip().lower() for piece in text.split(","))):
        match = re.fullmatch(r"(\[[0-9a-f:.]+\]|[a-z0-9._-]+)(?::([0-9]{1,5}))?", part)
        if match is None:
            raise ValueError(f"{part!r} is not host or host:port")
        hosts.append((match[1].strip("[]"), None if match[2] is None else _port(match[2])))
    return tuple(hosts)


def _turn_urls(text: str) -> tuple[str, ...]:
    urls = tuple(filter(None, (piece.strip() for piece in text.split(","))))
    for url in urls:
        # RFC 7064 and 7065; it stands between < and > in a header.
        if not re.fullmatch(r"(stuns?|turns?):[A-Za-z0-9.\-_\[\]:]+(\?transport=(udp|tcp))?", url):
            raise ValueError(f"{url!r} is not turn:host:port, turns:host:port or stun:host:port")
    return urls


def _timestamp_urls(text: str) -> tuple[str, ...]:
    urls = tuple(dict.fromkeys(filter(None, (piece.strip() for piece in text.split(",")))))
    for url in urls:
        # No user: what is filed under the URL, and said in figures and logs, holds no password.
        if not re.fullmatch(r"https?://[A-Za-z0-9.\-_\[\]:]+(/[!-+\--?A-~]*)?", url):
            raise ValueError(f"{url!r} is not http://host/path or https://host/path, without a user")
    return urls


def read_roots(text: str) -> tuple[bytes, ...]:
    """The certificates in the file that the setting names, none if it is empty; raises ValueError."""
    path = _path(text)
    if path is None:
        return ()
    try:
        return parse_roots(path.read_bytes())
    except (MalformedKey, CannotBeMade, OSError) as error:
        raise ValueError(str(error)) from None


def _interval_s(text: str) -> int:
    if not text.isdecimal() or not 1 <= int(text) <= MAX_INTERVAL_S:
        raise ValueError(f"an interval is a number of seconds from 1 to {MAX_INTERVAL_S}")
    return int(text)


def _url(text: str) -> str:
    if text and not text.startswith(("http://", "https://")):
        raise ValueError("a URL begins with http:// or https://")
    return text.rstrip("/")


def _path(text: str) -> Path | None:
    if text and not Path(text).is_file():
        raise ValueError("no such file")
    return Path(text) if text else None


def _policy(text: str) -> Policy | None:
    path = _path(text)
    if path is None:
        return None
    try:
        return parse_policy(path.read_text("utf-8"))
    except (MalformedPolicy, OSError) as error:
        raise ValueError(str(error)) from None


def _folder(text: str) -> Path | None:
    if text and not Path(text).is_dir():
        raise ValueError("no such folder")
    return Path(text) if text else None


def _api_key(text: str) -> str | None:
    if text and len(text) < MIN_API_KEY_LENGTH:
        raise ValueError(f"an API key has {MIN_API_KEY_LENGTH} characters or more")
    return text or None


def _origin(text: str) -> str:
    if "+" in text or any(character.isspace() for character in text):
        raise ValueError("the origin of a log has no spaces and no plus sign (C2SP signed-note)")
    return text

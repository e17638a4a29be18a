"""The files of the pages as they travel: compressed once, and at an address that names what they hold.

    /web/phone.js             asked for each time, and sent again only if it is another (ETag)
    /web/<version>/phone.js   kept for a year and never asked for again: other files have another version

A version is of all files together, because modules import each other by relative addresses: a page names it,
and what its modules import lies beside them. The sources know of none: a page is given it as it is served.

Compression is gzip, which every browser takes, over plain HTTP as well. Brotli would make a phone's page a
seventh smaller, and be one more library in C.
"""

import gzip
import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass

MEDIA_TYPES = {
    ".css": "text/css",
    ".html": "text/html; charset=utf-8",
    ".js": "text/javascript",
    ".svg": "image/svg+xml",
}
UNDER_WEB = '"/web/'  # how the source of a page begins the address of a file
VERSION_DIGITS = 10  # 40 bits: no two versions that a browser may still keep are taken for one another
TAG_DIGITS = 16
ASK_AGAIN = "no-cache"
KEEP = "public, max-age=31536000, immutable"  # a year, the longest that RFC 2616 wanted; RFC 8246

_NOT_AT_ALL = re.compile(r"q=0(?:\.0{0,3})?")


@dataclass(frozen=True, slots=True, kw_only=True)
class WebFile:
    """One file. `tag` is of its content, compressed or not: a weak ETag."""

    media_type: str
    plain: bytes
    gzipped: bytes
    tag: str


@dataclass(frozen=True, slots=True, kw_only=True)
class WebFiles:
    """All of them at one moment, by name: `pages` refer to `version`, under which `parts` may be kept."""

    version: str
    pages: Mapping[str, WebFile]
    parts: Mapping[str, WebFile]

    def keep(self, version: str | None) -> str:
        """The Cache-Control of a part that was asked for under `version`, or under none. Another version than
        this one is of a page that was open during an upgrade: it is given what there is, and must ask again.
        """
        return KEEP if version == self.version else ASK_AGAIN


def put_together(sources: Mapping[str, bytes]) -> WebFiles:
    """What is served of a folder with these files: those of `MEDIA_TYPES`, each compressed. A megabyte takes
    some 40 ms.
    """
    parts, pages = {}, {}
    whole = hashlib.sha256()
    for name, source in sorted(sources.items()):
        if _suffix(name) == ".html":
            pages[name] = source
        elif _suffix(name) in MEDIA_TYPES:
            parts[name] = web_file(name, source)
            whole.update(f"{name} {len(source)}\n".encode() + source)
    version = whole.hexdigest()[:VERSION_DIGITS]
    return WebFiles(
        version=version,
        pages={name: web_file(name, _with_version(source, version)) for name, source in pages.items()},
        parts=parts,
    )


def web_file(name: str, content: bytes) -> WebFile:
    """A file of that name, whose suffix is one of `MEDIA_TYPES`."""
    return WebFile(
        media_type=MEDIA_TYPES[_suffix(name)],
        plain=content,
        gzipped=gzip.compress(content, 9, mtime=0),  # the same bytes on every machine and at every start
        tag=hashlib.sha256(content).hexdigest()[:TAG_DIGITS],
    )


def accepts_gzip(accept_encoding: str) -> bool:
    """Whether the value of that header allows for gzip.

    RFC 9110 section 12.5.3: a coding that is listed is acceptable unless its weight is 0; "*" matches any
    that is not listed.
    """
    accepted = {}
    for listed in accept_encoding.lower().split(","):
        coding, _, weight = listed.partition(";")
        accepted[coding.strip()] = _NOT_AT_ALL.fullmatch(weight.strip()) is None
    return accepted.get("gzip", accepted.get("*", False))


def _with_version(source: bytes, version: str) -> bytes:
    return source.replace(UNDER_WEB.encode(), f"{UNDER_WEB}{version}/".encode())


def _suffix(name: str) -> str:
    return f".{name.rpartition('.')[2]}"

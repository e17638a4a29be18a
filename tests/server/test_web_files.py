"""The files of the pages: what names them, how they are compressed, and for whom."""

import gzip

import pytest

from server.web_files import ASK_AGAIN, KEEP, accepts_gzip, put_together

SOURCES = {
    "page.html": b'<link href="/web/sheet.css" /><script src="/web/first.js"></script><p>/web/</p>',
    "sheet.css": b"p { color: red }",
    "first.js": b'import { two } from "./second.js";',
    "second.js": b"export const two = 2;",
    "seal.svg": b"<svg/>",
    "package.json": b"{}",
    "__init__.py": b"",
}


def test_what_is_no_file_of_a_page_is_not_served() -> None:
    files = put_together(SOURCES)
    assert set(files.pages) == {"page.html"}
    assert set(files.parts) == {"sheet.css", "first.js", "second.js", "seal.svg"}


def test_a_page_refers_to_the_version_of_its_files_and_they_stay_as_they_are_written() -> None:
    files = put_together(SOURCES)
    prefix = f"/web/{files.version}/"
    assert files.pages["page.html"].plain.decode() == (
        f'<link href="{prefix}sheet.css" /><script src="{prefix}first.js"></script><p>/web/</p>'
    )
    assert {name: file.plain for name, file in files.parts.items()} == {
        name: SOURCES[name] for name in files.parts
    }


@pytest.mark.parametrize(
    "change",
    [
        {"second.js": b"export const two = 3;"},
        {"third.js": b""},
        {"sheet.css": SOURCES["first.js"], "first.js": SOURCES["sheet.css"]},
    ],
    ids=["edited", "added", "exchanged"],
)
def test_other_files_have_another_version_and_so_another_page(change: dict[str, bytes]) -> None:
    files, others = put_together(SOURCES), put_together(SOURCES | change)
    assert others.version != files.version
    assert others.pages["page.html"].tag != files.pages["page.html"].tag


def test_the_same_files_have_the_same_version_on_every_machine() -> None:
    reverse = dict(reversed(SOURCES.items()))
    assert put_together(reverse) == put_together(SOURCES)
    assert put_together(SOURCES | {"package.json": b"[]"}).version == put_together(SOURCES).version


def test_a_file_may_be_kept_under_the_version_that_it_is_of_alone() -> None:
    files = put_together(SOURCES)
    assert files.keep(files.version) == KEEP
    assert files.keep("0123456789") == files.keep(None) == ASK_AGAIN


def test_compressed_it_is_the_same_file() -> None:
    files = put_together(SOURCES)
    for file in (*files.parts.values(), *files.pages.values()):
        assert gzip.decompress(file.gzipped) == file.plain


@pytest.mark.parametrize(
    ("accept_encoding", "accepted"),
    [  # RFC 9110 section 12.5.3
        ("gzip, deflate, br, zstd", True),
        ("GZip", True),
        ("compress;q=0.5, gzip;q=1.0", True),
        ("gzip;q=0.001", True),
        ("*", True),
        ("br, *;q=0.1", True),
        ("", False),
        ("identity", False),
        ("br", False),
        ("gzip;q=0", False),
        ("gzip; q=0.000, *", False),
        ("gzip;q=1.0, *;q=0", True),
        ("*;q=0", False),
        ("notgzip", False),
    ],
)
def test_gzip_goes_to_whoever_takes_it(accept_encoding: str, accepted: bool) -> None:
    assert accepts_gzip(accept_encoding) == accepted

"""How a running service gives out its pages and their files: compressed, and kept while they are the same."""

import gzip
import re
from collections.abc import AsyncIterator, Mapping
from pathlib import Path

import pytest
from aiohttp import ClientSession

from server.check_page import check_page
from server.http import pages
from server.http.pages import FOLDER, PAGES, WebFolder
from server.web_files import ASK_AGAIN, KEEP
from tests.conftest import Caller

Answer = tuple[int, Mapping[str, str], bytes]


@pytest.fixture
async def plain_http() -> AsyncIterator[ClientSession]:
    """A client that asks for nothing by itself and shows bodies as they travel."""
    async with ClientSession(auto_decompress=False, skip_auto_headers=["Accept-Encoding"]) as http:
        yield http


async def get(http: ClientSession, url: str, **headers: str) -> Answer:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    async with http.get(url, headers=named) as answer:
        return answer.status, answer.headers, await answer.read()


async def version_of(caller: Caller, path: str = "/c") -> str:
    """That the page refers to, with all of its files."""
    async with caller.http.get(caller.url + path) as answer:
        found: list[str] = re.findall(r'(?:src|href)="/web/(.*?)"', await answer.text())
    versions = {address.partition("/")[0] for address in found}
    assert len(found) > 10 and len(versions) == 1, found
    return versions.pop()


@pytest.mark.parametrize("path", PAGES)
async def test_a_page_and_all_that_it_refers_to_is_compressed_for_whoever_takes_it(
    caller: Caller, plain_http: ClientSession, path: str
) -> None:
    _, _, page = await get(plain_http, caller.url + path)
    for address in [path, *re.findall(r'(?:src|href)="(.*?)"', page.decode())]:
        _, as_it_is, plain = await get(plain_http, caller.url + address)
        _, compressed, body = await get(plain_http, caller.url + address, Accept_Encoding="br, gzip")
        assert "Content-Encoding" not in as_it_is and compressed["Content-Encoding"] == "gzip", address
        assert gzip.decompress(body) == plain, address
        for headers in (as_it_is, compressed):
            assert headers["Vary"] == "Accept-Encoding", address
            assert headers["Cache-Control"] == (ASK_AGAIN if address == path else KEEP), address
            assert headers["X-Content-Type-Options"] == "nosniff", address
        assert as_it_is["ETag"] == compressed["ETag"], address


async def test_the_page_that_checks_is_compressed_as_well_and_not_sent_twice(
    caller: Caller, plain_http: ClientSession
) -> None:
    _, headers, body = await get(plain_http, f"{caller.url}/check", Accept_Encoding="gzip")
    assert gzip.decompress(body) == check_page()
    assert headers["Cache-Control"] == ASK_AGAIN
    status, _, body = await get(plain_http, f"{caller.url}/check", If_None_Match=headers["ETag"])
    assert (status, body) == (304, b"")


def test_modules_carry_the_version_to_what_they_import() -> None:
    for module in FOLDER.glob("*.js"):
        assert not re.search(r"[\"'`]/web/", module.read_text()), f"{module.name} leaves its version"


async def test_under_a_version_that_is_not_the_present_one_lies_the_present_file_to_be_asked_for_again(
    caller: Caller, plain_http: ClientSession
) -> None:
    phone = (FOLDER / "phone.js").read_bytes()
    for address in ("/web/phone.js", "/web/0123456789/phone.js", "/web/%20/phone.js"):
        status, headers, body = await get(plain_http, caller.url + address)
        assert (status, headers["Cache-Control"], body) == (200, ASK_AGAIN, phone), address
        assert headers["Content-Type"] == "text/javascript"
        status, again, body = await get(plain_http, caller.url + address, If_None_Match=headers["ETag"])
        assert (status, again["ETag"], body) == (304, headers["ETag"], b""), address


async def test_no_version_leads_to_what_is_no_file_of_a_page(caller: Caller) -> None:
    version = await version_of(caller)
    for name in ("package.json", "__init__.py", "customer.html", "..%2fsettings.py", "x.js", "a/phone.js"):
        assert (await caller.call("GET", f"/web/{version}/{name}", bearer=None))[0] == 404, name


async def test_a_page_is_not_sent_again_to_whoever_has_it(caller: Caller, plain_http: ClientSession) -> None:
    _, headers, _ = await get(plain_http, f"{caller.url}/c")
    for known, status in ((headers["ETag"], 304), (f'"x", {headers["ETag"]}', 304), ('"x"', 200)):
        answered, again, body = await get(plain_http, f"{caller.url}/c", If_None_Match=known)
        assert (answered, body == b"") == (status, status == 304), known
        assert again["Content-Security-Policy"].startswith("default-src 'self'")


async def test_what_is_edited_is_what_the_next_page_consists_of(tmp_path: Path) -> None:
    (tmp_path / "page.html").write_text('<script src="/web/page.js"></script>')
    (tmp_path / "page.js").write_text("1;")
    folder = WebFolder(tmp_path)
    before = folder.files
    assert await folder.look() is before, "nothing is read twice"
    (tmp_path / "page.js").write_text("2; // edited")
    (tmp_path / "new.js").write_text("3;")
    after = await folder.look()
    assert after.version != before.version and after.version in after.pages["page.html"].plain.decode()
    assert (after.parts["page.js"].plain, after.parts["new.js"].plain) == (b"2; // edited", b"3;")


async def test_files_of_the_present_version_come_from_memory(
    caller: Caller, monkeypatch: pytest.MonkeyPatch
) -> None:
    version = await version_of(caller)

    def fail(_: WebFolder) -> None:
        raise AssertionError("nobody has edited what a page already names")

    monkeypatch.setattr(pages.WebFolder, "_look", fail)
    assert (await caller.call("GET", f"/web/{version}/phone.js", bearer=None))[0] == 200

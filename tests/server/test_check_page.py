"""The page that checks packages is one file, that asks nobody for anything."""

import base64
import hashlib
import re
import subprocess
from pathlib import Path

import pytest

from server import check_page as assembler
from server.check_page import check_page, security_policy
from server.http import pages
from tests.conftest import Caller


def inline(tag: str) -> list[str]:
    return re.findall(rf"<{tag}[^>]*>(.*?)</{tag}>", check_page().decode(), re.S)


def test_the_page_is_one_file_and_names_no_other() -> None:
    text = check_page().decode()
    outside = re.sub(r"<(script|style)[^>]*>.*?</\1>", "", text, flags=re.S)
    assert "/web/" not in outside and not re.search(r'(?:src|href)="(?!data:)', outside)
    assert len(inline("script")) == len(inline("style")) == 1
    assert not re.search(r"^\s*(?:import|export)\b(?!\()[^*]*from|@import|url\(", text, re.M)


def test_the_pages_policy_lets_nothing_run_but_its_own_and_reach_nothing() -> None:
    policy = security_policy()
    for tag, directive in (("script", "script-src"), ("style", "style-src")):
        digest = base64.b64encode(hashlib.sha256(inline(tag)[0].encode()).digest()).decode()
        assert f"{directive} 'sha256-{digest}'" in policy
    assert policy.startswith("default-src 'none'") and "connect-src" not in policy


def test_the_script_of_the_page_is_whole(tmp_path: Path) -> None:
    script = tmp_path / "script.mjs"
    script.write_text(inline("script")[0])
    subprocess.run(["node", "--check", script], check=True)


def test_the_same_sources_give_the_same_bytes() -> None:
    first = check_page()
    check_page.cache_clear()
    assert check_page() == first


@pytest.mark.parametrize(
    "source",
    [
        "export default 1;\n",
        "export { one };\n",
        'import * as one from "./one.js";\n',
        'import "./one.js";\n',
    ],
)
def test_a_form_of_import_that_the_page_does_not_know_is_refused(
    source: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(assembler, "_read", lambda _: source)
    with pytest.raises(AssertionError):
        assembler._as_function("one.js")


async def test_the_page_is_put_together_before_anybody_asks(
    caller: Caller, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail() -> None:
        raise AssertionError("the loop has calls to carry")

    for name in ("check_page", "security_policy"):
        monkeypatch.setattr(pages, name, fail)
    async with caller.http.get(f"{caller.url}/check") as answer:
        assert answer.status == 200


async def test_the_service_gives_out_the_very_bytes_that_lie_in_packages(caller: Caller) -> None:
    async with caller.http.get(f"{caller.url}/check") as answer:
        assert answer.status == 200 and answer.content_type == "text/html"
        assert await answer.read() == check_page()
        assert answer.headers["Content-Security-Policy"] == security_policy()

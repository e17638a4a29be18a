"""`GET /api/wording`: what pages may say, for anyone, kept for a while."""

import json
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest

from signaling.wording import parse_wording
from tests.conftest import Caller, calling

FILES = files("signaling") / "wording_files"


def shipped(name: str) -> Any:
    return json.loads((FILES / name).read_text(encoding="utf-8"))


async def test_anyone_is_given_the_rules_and_the_texts_of_every_language(caller: Caller) -> None:
    status, wording = await caller.call("GET", "/api/wording", bearer=None)
    assert status == 200
    assert wording["texts"] == {"zh": shipped("zh.json"), "en": shipped("en.json")}
    assert list(wording["rules"]["notices"]) == list(shipped("rules.json")["notices"]), (
        "in the order of pages"
    )
    assert parse_wording(wording["rules"], wording["texts"]) == caller.service.wording


async def test_the_wording_is_kept_for_a_while_and_then_asked_for_by_its_tag(caller: Caller) -> None:
    async with caller.http.get(f"{caller.url}/api/wording") as whole:
        assert whole.headers["Cache-Control"].startswith("public, max-age=")
        etag = whole.headers["ETag"]
    for known, status in (
        (etag, 304),
        (etag.removeprefix("W/"), 304),
        ("*", 304),
        (f'"other", {etag}', 304),
        ('"x"', 200),
    ):
        headers = {"If-None-Match": known}
        async with caller.http.get(f"{caller.url}/api/wording", headers=headers) as answer:
            assert answer.status == status, known
            assert answer.headers["ETag"] == etag
            assert answer.headers["Cache-Control"].startswith("public")
            if status == 304:
                assert await answer.read() == b""


@pytest.mark.parametrize("word", ["您好", "<b>&amp;</b>"])
async def test_an_operator_s_own_wording_is_told_word_for_word(tmp_path: Path, word: str) -> None:
    folder = tmp_path / "wording"
    folder.mkdir()
    for name in ("rules.json", "zh.json", "en.json"):
        (folder / name).write_text((FILES / name).read_text(encoding="utf-8"), encoding="utf-8")
    texts = shipped("zh.json") | {"notice.arrived": word}
    (folder / "zh.json").write_text(json.dumps(texts), encoding="utf-8")
    async with calling(tmp_path, PROOFCALL_WORDING_DIR=str(folder)) as caller:
        _, wording = await caller.call("GET", "/api/wording", bearer=None)
        assert wording["texts"]["zh"]["notice.arrived"] == word
        async with caller.http.get(f"{caller.url}/api/wording") as other:
            theirs = other.headers["ETag"]
    (tmp_path / "second").mkdir()
    async with (
        calling(tmp_path / "second") as caller,
        caller.http.get(f"{caller.url}/api/wording", headers={"If-None-Match": theirs}) as answer,
    ):
        assert answer.status == 200, "another wording has another tag"

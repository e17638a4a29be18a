"""The wording: what the files say, what a text plainly means, and what is wrong with a file."""

import copy
import json
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.wordings import read_wording
from signaling.errors import MalformedWording, UnknownWord
from signaling.wording import parse_wording, plain_words

FOLDER = files("signaling") / "wording_files"
RULES: dict[str, Any] = json.loads((FOLDER / "rules.json").read_text(encoding="utf-8"))
TEXTS: dict[str, Any] = {
    tag: json.loads((FOLDER / f"{tag}.json").read_text(encoding="utf-8")) for tag in ("zh", "en")
}
WORDING = read_wording()
CHOICES = WORDING.rules.notices["arrived"].choices


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("2", ("later", "number")),
        (" 3. ", ("door", "number")),
        ("３", ("door", "number")),
        ("7", ("refuse", "number")),
        ("8", None),
        ("0", None),
        ("22", None),
        ("放门口", ("door", "word")),
        ("放门口！", ("door", "word")),
        ("Leave it at the door", ("door", "word")),
        ("DOOR", ("door", "word")),
        ("门卫", ("guard", "word")),
        ("I don't want it", ("refuse", "word")),
        ("Is it 2 kg?", None),
        ("the door is broken", None),
        ("好的", None),
        ("ok", None),
        ("", None),
        ("…", None),
        ("²", ("later", "number")),
    ],
)
def test_a_number_or_a_plain_word_is_a_choice_and_nothing_else_is(text: str, meant: object) -> None:
    assert WORDING.choice_meant(text, CHOICES) == meant


@given(st.text())
def test_any_text_means_one_of_the_choices_or_nothing(text: str) -> None:
    meant = WORDING.choice_meant(text, CHOICES)
    assert meant is None or meant[0] in CHOICES
    assert plain_words(plain_words(text)) == plain_words(text)


def test_no_word_means_two_choices() -> None:
    for spoken in WORDING.texts.values():
        for choice in WORDING.rules.choices:
            words = spoken.get(f"choice.{choice}.words", [])
            for word in [*words, spoken[f"choice.{choice}"]]:
                assert WORDING.choice_meant(str(word), CHOICES) == (choice, "word")


def test_every_text_is_there_in_every_language() -> None:
    keys = {key for spoken in WORDING.texts.values() for key in spoken}
    assert all(set(WORDING.say(key)) == {"zh", "en"} for key in keys if not key.endswith(".words"))
    with pytest.raises(UnknownWord):
        WORDING.say("notice.of_tomorrow")


def test_a_language_more_is_a_file_more(tmp_path: Path) -> None:
    for name, content in [("rules", RULES), *TEXTS.items()]:
        (tmp_path / f"{name}.json").write_text(json.dumps(content), encoding="utf-8")
    french = {
        key: text if isinstance(text, list) else f"(fr) {text}" for key, text in TEXTS["en"].items()
    } | {"choice.door": "Devant la porte", "choice.door.words": ["à la porte"]}
    (tmp_path / "fr.json").write_text(json.dumps(french), encoding="utf-8")
    wording = read_wording(tmp_path)
    assert wording.say("choice.door")["fr"] == "Devant la porte"
    assert wording.choice_meant("À la porte !", CHOICES) == ("door", "word")


def changed(place: str, value: object) -> dict[str, Any]:
    rules = copy.deepcopy(RULES)
    *folders, last = place.split("/")
    inner = rules
    for folder in folders:
        inner = inner[folder]
    inner[last] = value
    return rules


@pytest.mark.parametrize(
    ("rules", "said"),
    [
        (changed("notices/arrived/choices", ["now", "moon"]), "moon"),
        (changed("notices/arrived/repeat_after_s", None), "arrived"),
        (changed("notices/arrived/repeat_after_s", 90_000), "repeat_after_s"),
        (changed("notices/arrived/to", "everybody"), "to"),
        (changed("exceptions/damage/notice", "moon"), "moon"),
        (changed("exceptions/damage/due_after_s", 0), "due_after_s"),
        (changed("choices/later/wants", "a_song"), "wants"),
        (changed("hand_overs", ["by_catapult"]), "by_catapult"),
        (changed("phrases/courier", ["of_tomorrow"]), "of_tomorrow"),
        (changed("added", {}), "added"),
        ([], "rules"),
        (None, "rules"),
    ],
)
def test_rules_that_do_not_hang_together_are_malformed_and_say_where(rules: object, said: str) -> None:
    with pytest.raises(MalformedWording, match=said):
        parse_wording(rules, TEXTS)


@pytest.mark.parametrize(
    ("texts", "said"),
    [
        ({}, "no language"),
        ({"zh": TEXTS["zh"], "klingon": TEXTS["en"]}, "klingon"),
        ({"zh": TEXTS["zh"], "en": {**TEXTS["en"], "choice.door": " "}}, r"choice\.door"),
        ({"zh": TEXTS["zh"], "en": {"choice.door": "Door"}}, "no text for"),
        ({"zh": TEXTS["zh"], "en": {**TEXTS["en"], "notice.arrived": "x" * 501}}, r"notice\.arrived"),
        ({"zh": TEXTS["zh"], "en": {**TEXTS["en"], "choice.door.words": "门口"}}, "two choices|words"),
        ({"zh": TEXTS["zh"], "en": 3}, "en"),
    ],
)
def test_texts_that_are_missing_or_too_long_are_malformed_and_say_where(texts: Any, said: str) -> None:
    with pytest.raises(MalformedWording, match=said):
        parse_wording(RULES, texts)


def test_a_file_that_is_no_json_names_itself(tmp_path: Path) -> None:
    (tmp_path / "rules.json").write_text("{", encoding="utf-8")
    with pytest.raises(MalformedWording, match=r"rules\.json"):
        read_wording(tmp_path)
    (tmp_path / "rules.json").unlink()
    with pytest.raises(MalformedWording, match=r"rules\.json"):
        read_wording(tmp_path)


@pytest.mark.parametrize(
    ("of", "what"), [(("notice.", "choice."), "says"), (("unanswered", "option."), "unanswered says")]
)
def test_a_notice_and_that_nobody_answered_it_fit_into_an_entry_in_all_languages(
    of: tuple[str, ...], what: str
) -> None:
    tags = [f"{first}{second}" for first in "abcd" for second in "wxyz"]
    long = {
        key: "长" * 500 if key.startswith(of) and isinstance(text, str) else text
        for key, text in TEXTS["zh"].items()
    }
    with pytest.raises(MalformedWording, match=f"{what} too much"):
        parse_wording(RULES, dict.fromkeys(tags, long))

"""The wording of a case: notices, choices, kinds of exceptions, decisions, phrases, in each language.

Data, not code. One file says which codes there are and how they hang together; one file a language says them:

    wording/rules.json    {"notices": {"arrived": {"from": …, "choices": ["now", …]}}, "choices": …, …}
    wording/zh.json       {"notice.arrived": "…", "choice.now": "…", "choice.now.words": ["现在", …], …}
    wording/en.json       a language more is a file more

What a case says is written into its entries in every language that there is, so that each reader finds their
own, and the log stays whole when the files change. Pure: the server reads the files.
"""

import unicodedata
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Annotated, Any, Literal

from pydantic import Field, TypeAdapter, ValidationError

from signaling.errors import MalformedWording, UnknownWord
from signaling.values import Code, Count, Flag, LanguageTag, Number, PersonRole, Strict

MAX_TEXT_CHARACTERS = 500  # of one text in one language: a notice is read at a glance
MAX_SAID_BYTES = 48 << 10  # of a notice with its choices in all languages: an entry's body is below 64 KiB
MAX_WAIT_S = 24 * 3600  # of a notice or a work order: what the service looks back for when it starts
Wants = Literal["nothing", "time", "text"]
ChangeOf = Literal["address", "time", "person"]
_Wait = Annotated[Number, Field(le=MAX_WAIT_S)]


@dataclass(frozen=True, slots=True, kw_only=True)
class NoticeRule(Strict):
    """A notice to a party. With choices it wants an answer: without one it goes out again after
    `repeat_after_s`, and after `give_up_after_s` more its sender is told what they may do (`options`).
    """

    senders: tuple[PersonRole, ...]
    to: Literal["customer", "courier"]
    choices: tuple[Code, ...] = ()
    minutes: Count | None = None
    repeat_after_s: _Wait | None = None
    give_up_after_s: _Wait | None = None
    options: tuple[Code, ...] = ()

    def __post_init__(self) -> None:
        waits = (self.repeat_after_s is not None, self.give_up_after_s is not None)
        if waits != (bool(self.choices), bool(self.choices)):
            raise ValueError("a notice has choices, repeat_after_s and give_up_after_s, or none of them")


@dataclass(frozen=True, slots=True, kw_only=True)
class ChoiceRule(Strict):
    """What must be said with a choice: a time, some words, nothing."""

    wants: Wants = "nothing"


@dataclass(frozen=True, slots=True, kw_only=True)
class ExceptionRule(Strict):
    """Who may report it, how soon the desk must decide, and the notice that the customer gets by itself."""

    reporters: tuple[PersonRole, ...]
    due_after_s: _Wait
    notice: Code | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class DecisionRule(Strict):
    wants_remark: Flag = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules(Strict):
    """`rules.json`. Every mapping is in the order in which pages show it."""

    notices: dict[Code, NoticeRule]
    choices: dict[Code, ChoiceRule]
    exceptions: dict[Code, ExceptionRule]
    decisions: dict[Code, DecisionRule]
    hand_overs: tuple[Code, ...]
    phrases: dict[PersonRole, tuple[Code, ...]]


_RULES: TypeAdapter[Rules] = TypeAdapter(Rules)
_TEXTS: TypeAdapter[dict[str, str | list[str]]] = TypeAdapter(dict[str, str | list[str]])
_TAG: TypeAdapter[str] = TypeAdapter(LanguageTag)


@dataclass(frozen=True, slots=True, kw_only=True)
class Wording:
    """Made by `parse_wording`; every text that the rules name is there in every language."""

    rules: Rules
    texts: Mapping[str, Mapping[str, str | list[str]]]
    _meant: Mapping[str, str] = field(default_factory=dict)

    def say(self, key: str) -> dict[str, str]:
        """The text of `notice.arrived` and the like, in each language; raises UnknownWord."""
        said = {tag: texts[key] for tag, texts in self.texts.items() if key in texts}
        if not said:
            raise UnknownWord(f"the wording has no {key[:80]!r}")
        return {tag: text for tag, text in said.items() if isinstance(text, str)}

    def choice_meant(self, text: str, choices: Sequence[str]) -> tuple[str, Literal["number", "word"]] | None:
        """The choice that a text plainly means and nothing else: its number from 1, or one of its words."""
        plain = plain_words(text)
        if plain.isdecimal() and len(plain) < 3:
            place = int(plain)
            return (choices[place - 1], "number") if 1 <= place <= len(choices) else None
        meant = self._meant.get(plain)
        return None if meant is None or meant not in choices else (meant, "word")


def plain_words(text: str) -> str:
    """A text without what does not change its meaning: case, width, punctuation, space at its ends."""
    folded = unicodedata.normalize("NFKC", text).casefold()
    kept = "".join(" " if unicodedata.category(character)[0] in "PZSC" else character for character in folded)
    return " ".join(kept.split())


def parse_wording(rules: object, texts: Mapping[str, object]) -> Wording:
    """From parsed JSON: the rules, and the texts by language tag. Raises MalformedWording: it says where."""
    try:
        parsed = _RULES.validate_python(rules)
    except ValidationError as error:
        raise MalformedWording(f"rules: {_first(error)}") from error
    if not texts:
        raise MalformedWording("the wording has no language")
    languages: dict[str, dict[str, str | list[str]]] = {}
    for tag, raw in texts.items():
        try:
            languages[_TAG.validate_python(tag)] = _TEXTS.validate_python(raw)
        except ValidationError as error:
            raise MalformedWording(f"language {tag!r}: {_first(error)}") from error
    for tag, spoken in languages.items():
        for key in _keys(parsed):
            text = spoken.get(key)
            if not isinstance(text, str) or not text.strip() or len(text) > MAX_TEXT_CHARACTERS:
                raise MalformedWording(
                    f"language {tag!r} has no text for {key!r} of 1 to {MAX_TEXT_CHARACTERS} characters"
                )
    _check_codes(parsed)
    _check_sizes(parsed, languages)
    return Wording(rules=parsed, texts=languages, _meant=_meant(parsed, languages))


def _meant(rules: Rules, languages: Mapping[str, Mapping[str, str | list[str]]]) -> dict[str, str]:
    """The choice that each plain word means."""
    meant: dict[str, str] = {}
    for choice in rules.choices:
        for tag, spoken in languages.items():
            words = spoken.get(f"choice.{choice}.words", [])
            if isinstance(words, str):
                raise MalformedWording(f"language {tag!r}: choice.{choice}.words is a list of words")
            for word in [*words, str(spoken[f"choice.{choice}"])]:
                if meant.setdefault(plain_words(word), choice) != choice:
                    raise MalformedWording(f"language {tag!r}: {word!r} means two choices")
    return meant


def _keys(rules: Rules) -> list[str]:
    options = {option for notice in rules.notices.values() for option in notice.options}
    phrases = {phrase for phrases in rules.phrases.values() for phrase in phrases}
    return [
        *(f"notice.{code}" for code in rules.notices),
        *(f"choice.{code}" for code in rules.choices),
        *(f"exception.{code}" for code in rules.exceptions),
        *(f"decision.{code}" for code in rules.decisions),
        *(f"hand_over.{code}" for code in rules.hand_overs),
        *(f"option.{code}" for code in sorted(options)),
        *(f"phrase.{code}" for code in sorted(phrases)),
        "right_to_inspect",
        "unanswered",
    ]


def _check_codes(rules: Rules) -> None:
    for code, notice in rules.notices.items():
        for choice in notice.choices:
            if choice not in rules.choices:
                raise MalformedWording(f"rules: notice {code!r} offers the choice {choice!r}, which is none")
    for code, exception in rules.exceptions.items():
        if exception.notice is not None and exception.notice not in rules.notices:
            raise MalformedWording(
                f"rules: exception {code!r} sends the notice {exception.notice!r}, which is none"
            )


def _check_sizes(rules: Rules, languages: Mapping[str, Mapping[str, str | list[str]]]) -> None:
    for code, notice in rules.notices.items():
        for what, keys in (
            ("", [f"notice.{code}", *(f"choice.{choice}" for choice in notice.choices)]),
            (" unanswered", ["unanswered", *(f"option.{option}" for option in notice.options)]),
        ):
            said = sum(len(str(spoken[key]).encode()) for spoken in languages.values() for key in keys)
            if said > MAX_SAID_BYTES:
                raise MalformedWording(
                    f"notice {code!r}{what} says too much for one entry in {len(languages)} languages"
                )


def _first(error: ValidationError) -> str:
    first: Any = error.errors(include_url=False, include_input=False, include_context=False)[0]
    return ": ".join([*(str(part) for part in first["loc"]), first["msg"]])

"""The index finds what a reading of everything finds, in whatever order it came."""

import dataclasses
from collections.abc import Mapping

import pytest
from hypothesis import given
from hypothesis import strategies as st

from server import search_index
from server.search_index import (
    EXCERPT_CHARACTERS,
    SEARCHABLE,
    Document,
    Query,
    SearchIndex,
    document_of,
    excerpt,
    normal,
    texts_of,
    words_of,
)
from signaling.entries import KIND, MAY_SEE
from signaling.values import MAX_INTEGER

KINDS = ("text", "attached", "confirmed")
CASES = ("c_1", "c_2", "c_3")
# What is hard: Chinese, width, case that grows, signs that join, signs beyond 16 bits, signs of patterns.
LETTERS = "aAbBßİſｆＦﬁé\u0301ᄒ\u1161包裹裂开了屏😀?*.%_\\ \u3000\n"
TEXTS = st.text(LETTERS, min_size=1, max_size=12)
QUERIES = st.text(LETTERS, min_size=1, max_size=4).filter(words_of)


def found(index: SearchIndex, query: Query) -> list[int]:
    return [hit.leaf_index for hits in index.scan(query) for hit in hits]


def ask(
    text: str, kinds: tuple[str, ...] = KINDS, case_id: str | None = None, before: int = MAX_INTEGER
) -> Query:
    return Query(words=words_of(text), kinds=frozenset(kinds), case_id=case_id, before=before)


def naive(documents: Mapping[int, Document], query: Query, forgotten: set[str]) -> list[int]:
    return [
        leaf_index
        for leaf_index, one in sorted(documents.items(), reverse=True)
        if one.case_id not in forgotten
        and leaf_index < query.before
        and one.kind in query.kinds
        and query.case_id in (None, one.case_id)
        and all(word in one.text for word in query.words)
    ]


@given(data=st.data())
def test_the_index_finds_what_a_scan_of_everything_finds(data: st.DataObject) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(search_index, "CHUNK_CHARACTERS", data.draw(st.integers(8, 60)))
        patch.setattr(search_index, "CHUNK_DOCUMENTS", data.draw(st.integers(1, 5)))
        size = data.draw(st.integers(0, 30))
        documents = {
            leaf_index: document
            for leaf_index in range(size)
            if (document := drawn_document(data, leaf_index)) is not None
        }
        index, forgotten = SearchIndex(), set[str]()
        # The log of the start is read backwards, in steps; what is new comes meanwhile, nearly in order.
        boundary = data.draw(st.integers(0, size))
        older = [documents[leaf] for leaf in range(boundary) if leaf in documents]
        newer = [documents[leaf] for leaf in range(boundary, size) if leaf in documents]
        newer = data.draw(st.permutations(newer)) if newer else newer
        while older or newer:
            if not newer or (older and data.draw(st.booleans())):
                step = data.draw(st.integers(1, len(older)))
                older, taken = older[:-step], older[-step:]
            else:
                taken, newer = newer[:1], newer[1:]
            index.add(taken)
            if data.draw(st.integers(0, 9)) == 0:
                forgotten.add(gone := data.draw(st.sampled_from(CASES)))
                index.forget(gone)
        assert len(index) == sum(one.case_id not in forgotten for one in documents.values())
        for _ in range(5):
            query = ask(
                data.draw(QUERIES),
                tuple(data.draw(st.sets(st.sampled_from(KINDS)))),
                data.draw(st.sampled_from([None, *CASES])),
                data.draw(st.integers(0, size) | st.just(MAX_INTEGER)),
            )
            assert found(index, query) == naive(documents, query, forgotten)


def drawn_document(data: st.DataObject, leaf_index: int) -> Document | None:
    kind = data.draw(st.sampled_from(KINDS))
    (field,) = SEARCHABLE[kind]
    case_id = data.draw(st.sampled_from(CASES))
    return document_of(leaf_index, case_id, leaf_index + 1, kind, {field: data.draw(TEXTS)})


@given(TEXTS)
def test_what_is_normal_stays_as_it_is(text: str) -> None:
    assert normal(normal(text)) == normal(text)


@pytest.mark.parametrize(
    ("written", "asked"),
    [
        ("屏幕裂开了", "裂开"),
        ("The SEAL is broken", "seal Broken"),
        ("ＳＦ１０００", "sf1000"),
        ("Große Straße", "GROSSE strasse"),
        ("Was it 100%?", "100%?"),
        ("café", "CAFE\u0301"),
        ("a.*b", ".*"),
        ("C:\\x_y", "\\x_"),
    ],
)
def test_words_are_found_without_case_and_width_and_signs_are_plain(written: str, asked: str) -> None:
    index = SearchIndex()
    for leaf_index, text in enumerate([written, "something else 其他"]):
        document = document_of(leaf_index, "c_1", leaf_index + 1, "text", {"text": text})
        assert document is not None
        index.add([document])
    assert found(index, ask(asked)) == [0]


def test_a_word_is_never_found_across_two_texts_of_an_entry_or_two_entries() -> None:
    index = SearchIndex()
    for leaf_index, label in enumerate([{"zh": "裂", "en": "开"}, {"zh": "裂", "en": "开"}]):
        document = document_of(leaf_index, "c_1", leaf_index + 1, "phrase", {"text": label})
        assert document is not None
        index.add([document])
    assert found(index, ask("裂开", ("phrase",))) == []
    assert found(index, ask("开裂", ("phrase",))) == []
    assert found(index, ask("裂 开", ("phrase",))) == [1, 0]


def test_every_searchable_field_is_one_of_its_kind_and_every_kind_has_its_readers() -> None:
    for kind, fields in SEARCHABLE.items():
        assert kind in MAY_SEE
        assert set(fields) <= {field.name for field in dataclasses.fields(KIND[kind])}, kind


def test_texts_are_taken_in_every_language_and_what_is_not_said_is_left_out() -> None:
    body = {"label": {"zh": "破损", "en": "damage"}, "text": None, "exception": "damage"}
    assert texts_of("exception_reported", body) == ["破损", "damage"]
    assert texts_of("segment_sealed", {"text": "x"}) == []
    assert document_of(0, "c_1", 1, "attached", {"caption": None}) is None


@pytest.mark.parametrize(
    ("texts", "asked", "shown"),
    [
        (["屏幕裂开了"], "裂开", "屏幕裂开了"),
        (["破损", "The screen is broken"], "screen broken", "The screen is broken"),
        (["x" * 300 + " needle " + "y" * 300], "needle", "needle"),
        (["ﬁ" * 200 + "needle"], "needle", "needle"),
        (["İ" * 200 + "needle" + "z" * 200], "needle", "needle"),
        (["two\n\nlines"], "lines", "two lines"),
    ],
)
def test_an_excerpt_holds_the_word_and_is_short(texts: list[str], asked: str, shown: str) -> None:
    piece = excerpt(texts, words_of(asked))
    assert shown in piece
    assert len(piece) <= EXCERPT_CHARACTERS + 2


@given(st.lists(TEXTS, min_size=1, max_size=3), QUERIES)
def test_an_excerpt_is_cut_from_one_of_the_texts(texts: list[str], asked: str) -> None:
    piece = excerpt(texts, words_of(asked)).strip("…")
    assert any(piece in " ".join(text.split()) for text in texts)

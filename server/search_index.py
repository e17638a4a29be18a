"""What may be found of the log: an index in memory, of the words that people wrote and read. Pure.

Words are found as they stand, also inside others: so Chinese, which has no spaces, is found like English. All
words of a query must stand in an entry. Both are compared without case and width (NFKC, casefold).

    chunk 1 (older)                              chunk 2                     newest last
    ┌─────────────────────────────────────┐     ┌──────────────────────┐
    │ text of leaf 3 ⏎ leaf 7 ⏎ leaf 8 ⏎ … │     │ leaf 90 ⏎ leaf 91 ⏎ … │     one string a chunk, searched at
    └─────────────────────────────────────┘     └──────────────────────┘     the speed of memory

Beside the string stand arrays: where each text ends, its leaf, case, number and kind. Nothing here lies on
any disk: what a case said is gone with `forget`, or with the process.
"""

import unicodedata
from array import array
from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

CHUNK_CHARACTERS = 32_768  # searched in some ten microseconds: nobody waits for one
CHUNK_DOCUMENTS = 512
SEPARATOR = "\n"  # no word of a query has one
EXCERPT_CHARACTERS = 120  # two lines on a phone
EXCERPT_BEFORE = 30  # of these stand before the word

# The fields of each kind in which words are looked for: text, or a mapping of which the values are.
SEARCHABLE: Mapping[str, tuple[str, ...]] = {
    "case_opened": ("waybill", "metadata"),
    "link_issued": ("name",),
    "text": ("text",),
    "phrase": ("text",),
    "attached": ("caption",),
    "notice_sent": ("text",),
    "answered": ("label", "detail"),
    "change_requested": ("text",),
    "change_answered": ("remark",),
    "agreed": ("text",),
    "handed_over": ("label", "text"),
    "confirmed": ("reservation",),
    "receipt_refused": ("text",),
    "exception_reported": ("label", "text"),
    "exception_decided": ("label", "remark"),
    "exception_closed": ("remark",),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Document:
    """The text of one entry, normal."""

    leaf_index: int
    case_id: str
    number: int
    kind: str
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Query:
    """`words` are normal. Only entries of these kinds, of that case (None: of any), before that leaf."""

    words: tuple[str, ...]
    kinds: frozenset[str]
    case_id: str | None
    before: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Hit:
    leaf_index: int
    case_id: str
    number: int


def normal(text: str) -> str:
    """What of a text is compared: Unicode's NFKC_Casefold, but for what is invisible."""
    if text.isascii():
        return text.lower()
    folded = unicodedata.normalize("NFKC", text).casefold()
    return unicodedata.normalize("NFKC", folded)


def words_of(query: str) -> tuple[str, ...]:
    """The words of a query, normal, each once."""
    return tuple(dict.fromkeys(normal(query).split()))


def texts_of(kind: str, body: Mapping[str, object]) -> list[str]:
    """What can be found of an entry, as it was written."""
    texts: list[str] = []
    for name in SEARCHABLE.get(kind, ()):
        value = body.get(name)
        values = value.values() if isinstance(value, Mapping) else (value,)
        texts += [text for text in values if isinstance(text, str) and text]
    return texts


def document_of(
    leaf_index: int, case_id: str, number: int, kind: str, body: Mapping[str, object]
) -> Document | None:
    """An entry as it is searched; None if it says nothing."""
    texts = texts_of(kind, body)
    if not texts:
        return None
    text = normal(SEPARATOR.join(texts))
    return Document(leaf_index=leaf_index, case_id=case_id, number=number, kind=kind, text=text)


def excerpt(texts: Sequence[str], words: Sequence[str]) -> str:
    """A piece of what was found, with the first of the words in it, and an ellipsis where it is cut."""
    normals = [normal(text) for text in texts]
    best = max(range(len(texts)), key=lambda one: sum(word in normals[one] for word in words))
    places = [place for word in words if (place := normals[best].find(word)) >= 0]
    text, place = texts[best], min(places, default=0)
    # Where the normal text has this place, the written one may have another: found by halves.
    at = bisect_left(range(len(text)), place + 1, key=lambda end: len(normal(text[:end]))) - 1
    begin = max(0, min(at - EXCERPT_BEFORE, len(text) - EXCERPT_CHARACTERS))
    piece = " ".join(text[begin : begin + EXCERPT_CHARACTERS].split())
    return ("…" if begin else "") + piece + ("…" if begin + EXCERPT_CHARACTERS < len(text) else "")


class SearchIndex:
    """Documents in the order of their leaves, whatever order they come in."""

    def __init__(self) -> None:
        self._chunks: list[_Chunk] = []
        self._case_places: dict[str, int] = {}
        self._cases: list[str] = []
        self._chunks_of: list[list[_Chunk]] = []  # by the place of the case, in any order
        self._kinds: dict[str, int] = {}
        self._forgotten: set[str] = set()
        self._size = 0

    def __len__(self) -> int:
        return self._size

    def add(self, documents: Sequence[Document]) -> None:
        """Takes in documents with ascending leaves, between which no other one lies or will ever lie."""
        for pack in reversed(_pack([one for one in documents if one.case_id not in self._forgotten])):
            chunk, place = self._room_for(pack)
            chunk.insert(
                place, pack, [self._case_place(one) for one in pack], [self._kind(one) for one in pack]
            )
            self._size += len(pack)
            for case in {self._case_places[one.case_id] for one in pack}:
                if not any(chunk is known for known in reversed(self._chunks_of[case])):
                    self._chunks_of[case].append(chunk)

    def forget(self, case_id: str) -> None:
        """Nothing of this case is found any more, nor taken in again."""
        self._forgotten.add(case_id)
        place = self._case_places.get(case_id)
        if place is None:
            return
        for chunk in self._chunks_of[place]:
            self._size -= chunk.remove(place)
        self._chunks_of[place] = []
        self._chunks = [chunk for chunk in self._chunks if chunk.leaves]

    def scan(self, query: Query) -> Iterator[list[Hit]]:
        """The hits, newest first, chunk by chunk, some of which have none: between two others may work."""
        if query.case_id is None:
            chunks = list(self._chunks)
        else:
            place = self._case_places.get(query.case_id)
            chunks = [] if place is None else [chunk for chunk in self._chunks_of[place] if chunk.leaves]
            chunks.sort(key=_first_leaf)
        # The longest word is the rarest, as a rule: the others are looked for beside it alone.
        words = sorted(query.words, key=len, reverse=True)
        kinds = frozenset(self._kinds[kind] for kind in query.kinds if kind in self._kinds)
        case = None if query.case_id is None else self._case_places.get(query.case_id)
        for chunk in reversed(chunks):
            if chunk.leaves and chunk.leaves[0] < query.before:
                places = chunk.find(words, kinds, case, query.before)
                yield [
                    Hit(
                        leaf_index=chunk.leaves[place],
                        case_id=self._cases[chunk.cases[place]],
                        number=chunk.numbers[place],
                    )
                    for place in reversed(places)
                ]

    def _room_for(self, pack: Sequence[Document]) -> tuple["_Chunk", int]:
        """The chunk in which these have their place, and the place."""
        leaf_index = pack[0].leaf_index
        position = max(0, bisect_right(self._chunks, leaf_index, key=_first_leaf) - 1)
        if self._chunks:
            chunk = self._chunks[position]
            place = bisect_left(chunk.leaves, leaf_index)
            within = (
                0 < place < len(chunk.leaves)
            )  # never is one cut in two: such a chunk grows beyond bounds
            if within or chunk.has_room(pack):
                return chunk, place
            position += 1 if place else 0
        chunk = _Chunk()
        self._chunks.insert(position, chunk)
        return chunk, 0

    def _case_place(self, document: Document) -> int:
        place = self._case_places.setdefault(document.case_id, len(self._cases))
        if place == len(self._cases):
            self._cases.append(document.case_id)
            self._chunks_of.append([])
        return place

    def _kind(self, document: Document) -> int:
        return self._kinds.setdefault(document.kind, len(self._kinds))


class _Chunk:
    """Texts of some hundred entries as one string, each with a separator behind it."""

    __slots__ = ("cases", "ends", "kinds", "leaves", "numbers", "text")

    def __init__(self) -> None:
        self.text = ""
        self.ends = array("I")  # behind the separator
        self.leaves = array("Q")
        self.numbers = array("I")
        self.cases = array("I")
        self.kinds = array("B")

    def has_room(self, pack: Sequence[Document]) -> bool:
        characters = len(self.text) + sum(len(one.text) + 1 for one in pack)
        return characters <= CHUNK_CHARACTERS and len(self.leaves) + len(pack) <= CHUNK_DOCUMENTS

    def insert(
        self, place: int, pack: Sequence[Document], cases: Sequence[int], kinds: Sequence[int]
    ) -> None:
        begin = end = self.ends[place - 1] if place else 0
        ends = array("I")
        for one in pack:
            end += len(one.text) + 1
            ends.append(end)
        moved = array("I", [later + end - begin for later in self.ends[place:]])
        added = "".join([one.text + SEPARATOR for one in pack])
        self.text = f"{self.text[:begin]}{added}{self.text[begin:]}"
        self.ends = self.ends[:place] + ends + moved
        self.leaves[place:place] = array("Q", [one.leaf_index for one in pack])
        self.numbers[place:place] = array("I", [one.number for one in pack])
        self.cases[place:place] = array("I", cases)
        self.kinds[place:place] = array("B", kinds)

    def remove(self, case: int) -> int:
        """Takes out what is of this case, and says how many texts that were."""
        kept = [place for place, other in enumerate(self.cases) if other != case]
        gone = len(self.cases) - len(kept)
        begins = [0, *self.ends]
        texts = [self.text[begins[place] : begins[place + 1]] for place in kept]
        self.text, self.ends, end = "".join(texts), array("I"), 0
        for text in texts:
            end += len(text)
            self.ends.append(end)
        self.leaves = array("Q", [self.leaves[place] for place in kept])
        self.numbers = array("I", [self.numbers[place] for place in kept])
        self.cases = array("I", [self.cases[place] for place in kept])
        self.kinds = array("B", [self.kinds[place] for place in kept])
        return gone

    def find(self, words: Sequence[str], kinds: frozenset[int], case: int | None, before: int) -> list[int]:
        """The places of the texts that hold all words, of which the first is looked for."""
        text, ends = self.text, self.ends
        found: list[int] = []
        first, others = words[0], words[1:]
        if any(word not in text for word in others):
            return found  # in most chunks, as a rule: said at once, where text by text takes long
        offset = text.find(first)
        while offset >= 0:
            place = bisect_right(ends, offset)
            begin, end = ends[place - 1] if place else 0, ends[place]
            if (
                self.kinds[place] in kinds
                and (case is None or self.cases[place] == case)
                and self.leaves[place] < before
                and all(text.find(word, begin, end) >= 0 for word in others)
            ):
                found.append(place)
            offset = text.find(first, end)
        return found


def _first_leaf(chunk: _Chunk) -> int:
    return chunk.leaves[0]


def _pack(documents: Sequence[Document]) -> list[list[Document]]:
    """Documents in portions that fit into a chunk; one that is too long for any has one for itself."""
    packs: list[list[Document]] = []
    characters = 0
    for document in documents:
        characters += len(document.text) + 1
        if not packs or characters > CHUNK_CHARACTERS or len(packs[-1]) >= CHUNK_DOCUMENTS:
            packs.append([])
            characters = len(document.text) + 1
        packs[-1].append(document)
    return packs

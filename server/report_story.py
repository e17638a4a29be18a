"""What a case tells, for people: parties, decisions, the course of events, pictures, gaps, custody, erasure.

Told from the entries alone, as they lie in the package: envelope and body, or the envelope alone where the
body was erased. What a kind of entry says is a sentence of `report_words`; a kind that is not known here is
named by its word, and nothing of it is invented. Pure: the same entries give the same story.

    Told, Told, … ── tell(language) ──> Story ── report_pdf ──> pages
"""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from server.evidence.canonical import JsonObject
from server.evidence.entry import Envelope
from server.paper_text import offset_of, say, zone_of
from server.report_words import WORDS

MAX_LINES = 400  # of the timeline, about fifteen pages: who needs more reads the package
MAX_PICTURES = 60  # copied into the paper, some ten pages of them
MAX_MISSING = 100  # a network that failed all the time fills three pages with it, and then a number
MAX_STATEMENT_CHARACTERS = 600  # quoted of a statement; the whole stands in the entry
NOTABLE_DELAY = timedelta(minutes=1)  # between a phone's time and ours: shorter is a slow network
# ISO 4217, "minor unit": of the currencies that have not two decimals.
DECIMALS = dict.fromkeys(("CLP", "ISK", "JPY", "KRW", "PYG", "UGX", "VND", "XAF", "XOF", "XPF"), 0) | (
    dict.fromkeys(("BHD", "IQD", "JOD", "KWD", "LYD", "OMR", "TND"), 3)
)
NOTABLE_OFFSET_MS = 2_000  # of a phone's clock: a shorter one changes no story
DEFAULT_TIME_ZONE = "Asia/Shanghai"  # older cases name none

# Not told in the timeline: custody and recording have sections of their own, marks and measurements no story.
UNTOLD = frozenset(
    {
        "attachment_stored",
        "call_quality",
        "exported",
        "played_back",
        "read",
        "receipt",
        "refused",
        "segment_sealed",
        "viewed",
    }
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """An entry as the package has it; `body` is None where it was erased."""

    envelope: Envelope
    body: JsonObject | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """A row of the timeline. Without a number it stands for those that are left out."""

    number: int | None
    at: datetime | None
    said: str
    details: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Matter:
    """A person, a report or a receipt: a title, and facts as name and value."""

    title: str
    facts: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Picture:
    """A picture of the case; `sha256` is of the blob that everybody may be shown, None if there is none."""

    number: int
    sha256: str | None
    erased: bool  # that there is none was done on purpose
    title: str
    details: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """What somebody was shown, or refused, and when."""

    who: str
    what: str
    when: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Story:
    """The whole, in one language."""

    case_id: str
    waybill: str | None
    zone: ZoneInfo
    zone_known: bool
    offset: str
    facts: tuple[tuple[str, str], ...]
    outcome: tuple[str, ...]
    parties: tuple[Matter, ...]
    decisions: tuple[Matter, ...]
    timeline: tuple[Line, ...]
    pictures: tuple[Picture, ...]
    pictures_erased: str  # the numbers of their entries, or nothing
    missing: tuple[str, ...]
    erased: tuple[str, ...]
    custody: tuple[Look, ...]
    any_erased: bool
    held: bool
    from_album: bool


def tell(entries: Sequence[Told], language: str) -> Story:
    """The story of the entries of one case, all of them and in their order."""
    return _Telling(entries, language).story()


def pictures_of(entries: Sequence[Told]) -> list[tuple[int, str]]:
    """Number and SHA-256 of the pictures that the report copies, in their order."""
    found = [(shot.number, shot.sha256) for shot in _shots(entries) if shot.sha256 is not None]
    return found[:MAX_PICTURES]


@dataclass(frozen=True, slots=True)
class _Shot:
    """A picture, before it is put into words. `place` counts the photos of its entry from 1."""

    number: int
    sha256: str | None
    told: Told
    path: str
    place: int = 0
    claim: Mapping[str, Any] = field(default_factory=dict)
    credentials: Mapping[str, Any] | None = None  # that the photo brought


def _shots(entries: Sequence[Told]) -> list[_Shot]:
    stored = {
        (told.body["number"], told.body["sha256"]): told.body
        for told in entries
        if told.envelope.kind == "attachment_stored" and told.body is not None
    }
    shots = []
    for told in entries:
        number, body = told.envelope.number, told.body
        if body is None:
            continue
        if told.envelope.kind == "frame_sealed":
            path = str(body.get("capture_path", "server_frame"))
            shots.append(_Shot(number, _sha256(body.get("blob")), told, path))
        for place, claim in enumerate(_attachments(body), 1):
            if claim.get("medium") == "photo":
                found = stored.get((number, claim.get("sha256")))
                shown = None if found is None else _sha256(found.get("shown"))
                path = str(claim.get("capture_path", "unknown"))
                brought = None if found is None else found.get("credentials")
                credentials = brought if isinstance(brought, Mapping) else None
                shots.append(_Shot(number, shown, told, path, place, claim, credentials))
    return shots


def _attachments(body: JsonObject) -> list[Mapping[str, Any]]:
    many, one = body.get("attachments"), body.get("attachment")
    found = [*(many if isinstance(many, list) else []), one]
    return [claim for claim in found if isinstance(claim, Mapping)]


def _sha256(blob: object) -> str | None:
    return str(blob["sha256"]) if isinstance(blob, Mapping) and "sha256" in blob else None


class _Telling:
    """The entries, and what is known of people and of erasure, while the story is told."""

    def __init__(self, entries: Sequence[Told], language: str) -> None:
        self.entries = entries
        self.language = language
        self.words = WORDS[language]
        self.by_number = {told.envelope.number: told for told in entries}
        opened = self._first("case_opened")
        zone_name = str(opened.get("time_zone", DEFAULT_TIME_ZONE)) if opened else "UTC"
        self.zone = zone_of(zone_name)
        self.zone_known = opened is not None and self.zone.key == zone_name
        self.opened = opened
        # Whether a file arrived is not known where what said so was erased.
        self.arrivals_erased = any(
            told.body is None for told in self._of("attachment_stored", "attachment_refused")
        )
        self.offset = offset_of(entries[0].envelope.recorded_at.astimezone(self.zone))
        self.names: dict[str, tuple[str, str]] = {}  # by link: role and name
        for told in self._of("link_issued"):
            if told.body is not None:
                self.names[str(told.body["link_id"])] = (str(told.body["role"]), str(told.body["name"]))
        self.roles = {told.envelope.actor_id: told.envelope.role for told in entries}
        for link_id, (role, _) in self.names.items():
            self.roles.setdefault(link_id, role)

    def story(self) -> Story:
        waybill = None if self.opened is None else str(self.opened.get("waybill", ""))
        shots = _shots(self.entries)
        return Story(
            case_id=self.entries[0].envelope.case_id,
            waybill=waybill,
            zone=self.zone,
            zone_known=self.zone_known,
            offset=self.offset,
            facts=tuple(self._facts(waybill)),
            outcome=tuple(self._outcome(len(shots))),
            parties=tuple(self._parties()),
            decisions=tuple(self._decisions()),
            timeline=tuple(self._timeline()),
            pictures=tuple(self._picture(shot) for shot in shots),
            pictures_erased=_ranges(
                [told.envelope.number for told in self._of("frame_sealed", "attached") if told.body is None]
            ),
            missing=tuple(self._missing()),
            erased=tuple(self._erased()),
            custody=tuple(self._custody()),
            any_erased=any(told.body is None for told in self.entries) or bool(self._of("erased")),
            held=bool(self._holds()),
            from_album=any(shot.path == "album" for shot in shots),
        )

    # --- words ---

    def _of(self, *kinds: str) -> list[Told]:
        return [told for told in self.entries if told.envelope.kind in kinds]

    def _first(self, kind: str) -> JsonObject | None:
        return next((told.body for told in self._of(kind) if told.body is not None), None)

    def who(self, actor_id: object, role: str | None = None) -> str:
        """Role and name; of whom no name is known, the beginning of their id."""
        actor = str(actor_id)
        known_role, name = self.names.get(actor, (role or self.roles.get(actor, ""), ""))
        title = str(self.words["role"].get(known_role, known_role))
        if name:
            return f"{title} {name}".strip()
        return title if actor in ("integrator", "system") else f"{title} {actor[:8]}…".strip()

    def actor(self, told: Told) -> str:
        return self.who(told.envelope.actor_id, told.envelope.role)

    def people(self, ids: object) -> str:
        found = [self.who(one) for one in ids] if isinstance(ids, list) else [self.who(ids)]
        return str(self.words["and"]).join(found) or str(self.words["nobody"])

    def time(self, at: object) -> str:
        """A time of an entry or of a body; what is none is not known."""
        if isinstance(at, str):
            try:
                at = datetime.fromisoformat(at)
            except ValueError:
                at = None
        if not isinstance(at, datetime):
            return str(self.words["unknown"])
        local = (at if at.tzinfo else at.replace(tzinfo=UTC)).astimezone(self.zone)
        # The paper names its offset once: a time on the other side of a change of clocks says its own.
        own = "" if offset_of(local) == self.offset else f" {offset_of(local)}"
        return f"{local:%Y-%m-%d %H:%M:%S}{own}"

    def moment(self, told: Told) -> str:
        """When an entry was made, and its number."""
        envelope = told.envelope
        return str(self.words["moment"].format(time=self.time(envelope.recorded_at), number=envelope.number))

    def noun(self, kind: object) -> str:
        """What a kind of entry is; one that is not known here by its own word."""
        return self.code("nouns", kind)

    def duration(self, duration_ms: object) -> str:
        if not isinstance(duration_ms, int):
            return str(self.words["unknown"])
        seconds = round(duration_ms / 1000)
        return str(self.words["duration"].format(minutes=seconds // 60, seconds=seconds % 60))

    def code(self, table: str, code: object) -> str:
        """The words for a code of a body; a code that has none stands for itself."""
        return str(self.words[table].get(code, code))

    # --- the front page ---

    def _facts(self, waybill: str | None) -> Iterator[tuple[str, str]]:
        words = self.words
        yield words["waybill"], waybill or words["erased_value"]
        yield words["case"], self.entries[0].envelope.case_id
        yield words["opened"], self.time(self.entries[0].envelope.recorded_at)
        yield words["last"], self.time(self.entries[-1].envelope.recorded_at)
        value = None if self.opened is None else self.opened.get("declared_value")
        if isinstance(value, Mapping):
            yield words["declared_value"], _money(int(str(value["amount_minor"])), str(value["currency"]))
        metadata = None if self.opened is None else self.opened.get("metadata")
        if isinstance(metadata, Mapping) and metadata:
            yield words["shop"], "\n".join(f"{name}: {text}" for name, text in metadata.items())

    def _outcome(self, pictures: int) -> Iterator[str]:
        words = self.words["outcome"]
        receipt = next(
            (told for told in reversed(self._of("handed_over", "confirmed", "receipt_refused"))), None
        )
        if receipt is None:
            yield words["not_handed_over"]
        else:
            body = receipt.body or {}
            key = receipt.envelope.kind
            if receipt.body is None and key != "handed_over":
                key = f"{key}_erased"
            elif body.get("reservation") is not None:
                key = "reserved"
            yield words[key].format(
                time=self.time(receipt.envelope.recorded_at),
                number=receipt.envelope.number,
                text=body.get("reservation") or body.get("text"),
            )
        for told in self._of("exception_reported"):
            decided = self._valid_decision(told.envelope.number)
            settled = all(one.body is not None for one in self._of("exception_decided"))
            state = words["undecided" if settled else "decision_erased"]
            if decided is not None:
                state = words["decided"].format(
                    label=self.label(decided),
                    time=self.time(decided.envelope.recorded_at),
                    number=decided.envelope.number,
                )
            yield words["reported"].format(
                label=self.label(told),
                time=self.time(told.envelope.recorded_at),
                number=told.envelope.number,
                state=state,
            )
        yield words["calls"].format(calls=len(self._of("call_started")), pictures=pictures)
        closed = self._of("case_ended")
        if closed:
            yield words["closed"].format(
                time=self.time(closed[-1].envelope.recorded_at), number=closed[-1].envelope.number
            )
        else:
            yield words["open"]

    def label(self, told: Told) -> str:
        body = told.body or {}
        return say(body.get("label"), self.language) or str(self.words["erased_value"])

    def _valid_decision(self, reported: int) -> Told | None:
        """The newest decision of a report; one that was erased cannot be told to be of it."""
        decisions = [
            told
            for told in self._of("exception_decided")
            if told.body is not None and told.body.get("number") == reported
        ]
        return decisions[-1] if decisions else None

    # --- parties ---

    def _parties(self) -> Iterator[Matter]:
        words = self.words["party"]
        seen = list(dict.fromkeys([*self.names, *(told.envelope.actor_id for told in self.entries)]))
        issued = {
            str(told.body["link_id"]): told for told in self._of("link_issued") if told.body is not None
        }
        revoked = {
            str(told.body["link_id"]): told.envelope.number
            for told in self._of("link_revoked")
            if told.body is not None
        }
        for actor_id in seen:
            if actor_id in ("system",):
                continue
            facts = []
            if actor_id in issued:
                link = issued[actor_id]
                text = self.moment(link)
                text += f"\n{words['expires'].format(self.time((link.body or {}).get('expires_at')))}"
                if actor_id in revoked:
                    text += f"\n{words['revoked'].format(revoked[actor_id])}"
                facts.append((words["link"], text))
            consents = [told for told in self._of("consented") if told.envelope.actor_id == actor_id]
            for told in consents:
                statement = str((told.body or {}).get("statement", self.words["erased_value"]))
                facts.append(
                    (
                        words["consent"],
                        words["consented"].format(
                            time=self.time(told.envelope.recorded_at),
                            number=told.envelope.number,
                            statement=_cut(statement),
                        ),
                    )
                )
            joined = [told for told in self._of("joined") if told.envelope.actor_id == actor_id]
            if joined and not consents:
                facts.append((words["consent"], words["no_consent"]))
            calls = [
                words["call"].format(call=told.body["call_number"], time=self.time(told.envelope.recorded_at))
                if told.body is not None
                else words["call_erased"].format(time=self.time(told.envelope.recorded_at))
                for told in joined
            ]
            if calls:
                facts.append((words["calls"], "\n".join(calls)))
            yield Matter(title=self.who(actor_id), facts=tuple(facts))

    # --- decisions and receipt ---

    def _decisions(self) -> Iterator[Matter]:
        words = self.words["decision"]
        for told in self._of("exception_reported"):
            number, body = told.envelope.number, told.body
            facts = [
                (
                    words["reported_by"],
                    f"{self.actor(told)}, {self.moment(told)}",
                )
            ]
            if body is not None:
                facts.append((words["said"], "\n".join(self._details(told))))
                facts.append((words["due"], self.time(body.get("due_at"))))
            valid = self._valid_decision(number)
            names = {
                "exception_overdue": words["overdue"],
                "exception_decided": words["decision"],
                "exception_acknowledged": words["acknowledged"],
                "exception_closed": words["closed"],
            }
            for later in self._of(*names):
                if later.body is None or later.body.get("number") != number:
                    continue
                kind = later.envelope.kind
                moment = self.moment(later)
                text = moment if kind == "exception_overdue" else f"{self.actor(later)}, {moment}"
                if kind == "exception_decided":
                    text = f"{self.label(later)}\n{text}"
                    if later is not valid:
                        text += f"\n({words['replaced']})"
                facts.append((names[kind], "\n".join([text, *self._details(later)])))
            yield Matter(title=f"{words['exception']}: {self.label(told)}", facts=tuple(facts))
        receipts = self._of("handed_over", "confirmed", "receipt_refused")
        if receipts:
            yield Matter(
                title=words["receipt"],
                facts=tuple(fact for told in receipts for fact in self._receipt(told)),
            )

    def _receipt(self, told: Told) -> Iterator[tuple[str, str]]:
        words = self.words["decision"]
        body = told.body or {}
        name = {"handed_over": "handed_over", "confirmed": "receipt", "receipt_refused": "refused"}
        first = [f"{self.actor(told)}, {self.moment(told)}"]
        if told.body is None:
            first.insert(0, str(self.words["erased_value"]))
        elif told.envelope.kind == "handed_over":
            first.insert(0, self.label(told))
        elif told.envelope.kind == "receipt_refused":
            first.insert(0, str(body.get("text")))
        yield words[name[told.envelope.kind]], "\n".join([*first, *self._details(told, within=False)])
        right = say(body.get("right"), self.language)
        if right:
            yield words["right"], right
        if body.get("statement"):
            yield words["statement"], str(body["statement"])
            yield words["reservation"], str(body.get("reservation") or "–")

    # --- timeline ---

    def _timeline(self) -> list[Line]:
        told = [told for told in self.entries if told.envelope.kind not in UNTOLD]
        if len(told) <= MAX_LINES:
            return [self._line(one) for one in told]
        half = MAX_LINES // 2
        left_out = told[half:-half]
        gap = self.words["omitted"].format(
            count=len(left_out), first=left_out[0].envelope.number, last=left_out[-1].envelope.number
        )
        return [
            *map(self._line, told[:half]),
            Line(number=None, at=None, said=gap),
            *map(self._line, told[-half:]),
        ]

    def _line(self, told: Told) -> Line:
        envelope = told.envelope
        return Line(
            number=envelope.number,
            at=envelope.recorded_at,
            said=self._sentence(told),
            details=() if told.body is None else tuple(self._details(told)),
        )

    def _sentence(self, told: Told) -> str:
        kind = told.envelope.kind
        sentence = self.words["kinds"].get(kind)
        if told.body is None:
            return str(self.words["erased_line"].format(who=self.actor(told), noun=self.noun(kind)))
        if sentence is None:
            return str(self.words["unknown_line"].format(kind=kind))
        return str(sentence.format_map(_Values(self, told)))

    def _details(self, told: Told, *, within: bool = True) -> list[str]:
        """What else a body says that people need, under the sentence of its kind. `within`: with what a
        receipt has rows of its own for.
        """
        words, body = self.words["said"], told.body or {}
        kind = told.envelope.kind
        found = []
        for name in ("remark", "caption", "detail", *(("reservation",) if within else ())):
            if isinstance(body.get(name), str):
                found.append(words[name].format(body[name]))
        if kind in ("exception_reported", "handed_over") and isinstance(body.get("text"), str):
            found.append(f"“{body['text']}”")
        if body.get("when_at") is not None:
            found.append(words["when"].format(self.time(body["when_at"])))
        place = body.get("place")
        if isinstance(place, Mapping):
            latitude, longitude = (int(str(place[f"{name}_e6"])) / 1e6 for name in ("latitude", "longitude"))
            found.append(words["place"].format(latitude, longitude, place["accuracy_m"]))
        if body.get("place_refused") is True:
            found.append(words["place_refused"])
        if isinstance(body.get("distance_m"), int):
            found.append(words["distance"].format(body["distance_m"]))
        if isinstance(body.get("attachments"), list) and body["attachments"]:
            found.append(words["files"].format(len(_attachments(body))))
        choices = body.get("choices")
        if isinstance(choices, list) and choices:
            labels = [
                say(one.get("label"), self.language) or "" for one in choices if isinstance(one, Mapping)
            ]
            found.append(words["choices"].format(str(self.words["and"]).join(labels)))
        if kind == "call_rung" and body.get("absent"):
            found.append(words["absent"].format(self.people(body["absent"])))
        claimed = _moment(body.get("captured_at"))
        clock = _clock(body)
        if claimed is not None and abs(told.envelope.recorded_at - claimed) >= NOTABLE_DELAY:
            found.append(words["claimed"].format(self.time(claimed)))
            found += self._measured(clock)
        elif clock is not None and abs(clock[0]) >= NOTABLE_OFFSET_MS:
            found += self._measured(clock)
        return found

    def _measured(self, clock: tuple[int, int] | None) -> list[str]:
        """How far off the phone's clock was found to be."""
        if clock is None:
            return []
        offset_ms, uncertainty_ms = clock
        key = "clock_ahead" if offset_ms >= 0 else "clock_behind"
        seconds, uncertainty = f"{abs(offset_ms) / 1000:.1f}", f"{uncertainty_ms / 1000:.1f}"
        return [self.words["said"][key].format(offset=seconds, uncertainty=uncertainty)]

    # --- pictures ---

    def _picture(self, shot: _Shot) -> Picture:
        words, body, told = self.words["picture"], shot.told.body or {}, shot.told
        details = [self.code("path", shot.path if shot.path in self.words["path"] else "unknown")]
        if told.envelope.kind == "frame_sealed":
            details += [
                words["stream"].format(
                    of=self.who(body.get("of")),
                    width=body.get("width", "?"),
                    height=body.get("height", "?"),
                    codec=body.get("codec", "?"),
                ),
                words["pressed"].format(self.time(body.get("pressed_at"))),
                words["arrived"].format(self.time(body.get("arrived_at"))),
                words["original"].format(_sha256(body.get("blob"))),
            ]
        else:
            details += [
                words["announced"].format(self.time(told.envelope.recorded_at), shot.place),
                words["claimed"].format(self.time(shot.claim.get("captured_at"))),
                *self._measured(_clock(body)),
                words["original"].format(shot.claim.get("sha256")),
                *self._brought(shot.credentials),
            ]
        return Picture(
            number=shot.number,
            sha256=shot.sha256,
            erased=shot.sha256 is None and self.arrivals_erased,
            title=words["title"].format(number=shot.number, who=self.actor(told)),
            details=tuple(details),
        )

    def _brought(self, credentials: Mapping[str, Any] | None) -> Iterator[str]:
        """What became of the content credentials that a photo brought, and what they say of themselves."""
        if credentials is None:
            return
        words = self.words["credentials"]
        yield words[credentials["standing"]].format(problem=credentials.get("problem"))
        if credentials["standing"] not in ("trusted", "unknown_signer"):
            return  # what does not hold is not quoted
        kinds = [words["types"].get(kind, kind) for kind in credentials.get("source_types") or ()]
        said = [str(credentials[name]) for name in ("signer", "generator") if credentials.get(name)]
        if said or kinds:
            yield words["say"].format(str(self.words["and"]).join([*said, *kinds]))

    # --- what is not there ---

    def _missing(self) -> list[str]:
        found = list(self._every_lack())
        if len(found) > MAX_MISSING:
            more = self.words["missing"]["more"].format(len(found) - MAX_MISSING)
            found = [*found[:MAX_MISSING], more]
        return found

    def _every_lack(self) -> Iterator[str]:
        words = self.words["missing"]
        ended = {told.body["number"]: told.body for told in self._of("gap_ended") if told.body is not None}
        arrived = {
            (told.body["number"], told.body["sha256"])
            for told in self._of("attachment_stored", "attachment_refused")
            if told.body is not None
        }
        announced = "announced_erased" if self.arrivals_erased else "announced"
        for told in self.entries:
            body, number = told.body, told.envelope.number
            if body is None:
                continue
            said = {
                "number": number,
                "time": self.time(told.envelope.recorded_at),
                "who": self.actor(told),
                "call": body.get("call_number"),
                "message": body.get("message"),
            }
            match told.envelope.kind:
                case "gap_started":
                    over = ended.get(number)
                    lasted = None if over is None else over.get("duration_ms")
                    yield words["gap"].format_map(
                        said
                        | {
                            "time": self.time(body.get("began_at")),
                            "cause": self.code("cause", body.get("cause")),
                            "lasted": words["gap_open"] if lasted is None else self.duration(lasted),
                        }
                    )
                case "segment_lost":
                    yield words["segment"].format_map(
                        said
                        | {
                            "time": self.time(body.get("began_at")),
                            "until": self.time(body.get("ended_at")),
                            "reason": self.code("lost", body.get("reason")),
                        }
                    )
                case "frame_failed":
                    yield words["frame"].format_map(said)
                case "attachment_refused":
                    yield words["refused"].format_map(said)
                case "call_missed":
                    yield words["call_missed"].format_map(said | {"of": self.people(body.get("of"))})
                case "call_ended" if body.get("reason") == "aborted":
                    yield words["aborted"].format_map(said)
                case "call_quality":
                    sent = body.get("sent")
                    if isinstance(sent, Mapping) and sent.get("lost_packets"):
                        yield words["packets"].format_map(
                            said | {"packets": sent.get("packets"), "lost": sent["lost_packets"]}
                        )
            for claim in _attachments(body):
                if (number, claim.get("sha256")) not in arrived:
                    yield words[announced].format_map(said)
        silent = [
            told.envelope.number
            for told in self._of("gap_started", "segment_lost", "frame_failed", "attachment_refused")
            if told.body is None
        ]
        if silent:
            yield words["erased"].format(_ranges(silent))

    # --- erasure ---

    def _erased(self) -> Iterator[str]:
        words = self.words["erasure"]
        statements = self._of("erased")
        for told in statements:
            if told.body is not None:
                yield words["erased"].format(
                    number=told.envelope.number,
                    time=self.time(told.envelope.recorded_at),
                    by=self.code("by", told.body.get("by")),
                    numbers=self.erased_numbers(told.body),
                    why=told.body.get("reason"),
                )
        gone = [told for told in self.entries if told.body is None]
        if gone:
            yield words["count"].format(len(gone))
        uncovered = [
            str(told.envelope.number) for told in gone if not any(_covers(one, told) for one in statements)
        ]
        if uncovered:
            yield words["uncovered"].format(", ".join(uncovered))
        for told in self._holds():
            yield words["hold"].format(
                number=told.envelope.number,
                time=self.time(told.envelope.recorded_at),
                why=(told.body or {}).get("reason", self.words["erased_value"]),
            )

    def _holds(self) -> list[Told]:
        """The legal holds in force."""
        lifted = {told.body.get("number") for told in self._of("hold_lifted") if told.body is not None}
        return [told for told in self._of("hold_set") if told.envelope.number not in lifted]

    def erased_numbers(self, body: JsonObject) -> str:
        numbers, kinds = body.get("numbers"), body.get("kinds")
        text = str(self.words["all_before"])
        if isinstance(numbers, list):
            text = self.words["entry"].format(_ranges([int(str(one)) for one in numbers]))
        if isinstance(kinds, list):
            text = self.words["and_kinds"].format(
                numbers=text, kinds=str(self.words["and"]).join(map(self.noun, kinds))
            )
        return text

    # --- custody ---

    def _custody(self) -> list[Look]:
        words = self.words["custody"]
        times: dict[tuple[str, str], list[datetime]] = defaultdict(list)
        for told in self._of("read", "viewed", "played_back", "exported", "refused"):
            body = told.body or {}
            kind = told.envelope.kind
            what = words["originals"] if kind == "viewed" and body.get("original") else words[kind]
            if kind == "refused":
                what = what.format(
                    what=self.code("asked", body.get("what", self.words["erased_value"])),
                    reason=self.code("refused_reason", body.get("reason", self.words["erased_value"])),
                )
            times[self.actor(told), what].append(told.envelope.recorded_at)
        return [Look(who=who, what=what, when=self._when(moments)) for (who, what), moments in times.items()]

    def _when(self, moments: Sequence[datetime]) -> str:
        first, last = self.time(moments[0]), self.time(moments[-1])
        if len(moments) == 1:
            return first
        return f"{first}\n{last}\n{self.words['custody']['times'].format(len(moments))}"


class _Values(dict[str, str]):
    """What stands in the braces of a sentence, made when asked for; "not known" where the body lacks it."""

    def __init__(self, telling: _Telling, told: Told) -> None:
        super().__init__()
        self._telling, self._told = telling, told

    def __missing__(self, name: str) -> str:
        telling, body = self._telling, self._told.body or {}
        match name:
            case "who":
                return telling.actor(self._told)
            case "of":
                return telling.people(body.get("of", body.get("link_id")))
            case "name":
                return telling.who(body.get("link_id"), str(body.get("role")))
            case "call":
                return str(body.get("call_number"))
            case "label":
                return telling.label(self._told)
            case "text":
                text = body.get("text")
                return text if isinstance(text, str) else say(text, telling.language) or ""
            case "cause" | "left":
                return telling.code(name, body.get(name))
            case "reason":
                table = "lost" if self._told.envelope.kind == "segment_lost" else "left"
                return telling.code(table, body.get("reason"))
            case "change":
                return telling.code("change", body.get("what"))
            case "accepted":
                return telling.code("accepted", body.get("accepted"))
            case "medium":
                attachment = body.get("attachment")
                medium = attachment.get("medium") if isinstance(attachment, Mapping) else None
                return telling.code("medium", medium)
            case "duration":
                return telling.duration(body.get("duration_ms"))
            case "by":
                return telling.code("by", body.get("by"))
            case "numbers":
                return telling.erased_numbers(body)
            case "why":
                return str(body.get("reason"))
            case "what":
                return telling.code("asked", body.get("what"))
        return str(body.get(name, telling.words["unknown"]))


def _covers(statement: Told, told: Told) -> bool:
    """Whether a statement of erasure is of this entry, which stands before it."""
    body = statement.body
    if body is None or told.envelope.number >= statement.envelope.number:
        return False
    numbers, kinds = body.get("numbers"), body.get("kinds")
    return (numbers == "all" or (isinstance(numbers, list) and told.envelope.number in numbers)) and (
        kinds is None or (isinstance(kinds, list) and told.envelope.kind in kinds)
    )


def _money(amount_minor: int, currency: str) -> str:
    decimals = DECIMALS.get(currency, 2)
    whole, rest = divmod(amount_minor, 10**decimals)
    return f"{currency} {whole:,}" + (f".{rest:0{decimals}}" if decimals else "")


def _moment(text: object) -> datetime | None:
    if not isinstance(text, str):
        return None
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _clock(body: JsonObject) -> tuple[int, int] | None:
    """Offset and uncertainty of the phone's clock, in milliseconds, where it was measured."""
    clock = body.get("clock")
    if not isinstance(clock, Mapping):
        return None
    return int(str(clock["offset_ms"])), int(str(clock["uncertainty_ms"]))


def _cut(text: str) -> str:
    return text if len(text) <= MAX_STATEMENT_CHARACTERS else f"{text[:MAX_STATEMENT_CHARACTERS]}…"


def _ranges(numbers: Sequence[int]) -> str:
    """`3–5, 9` of 3, 4, 5 and 9."""
    found: list[list[int]] = []
    for number in sorted(numbers):
        if found and number == found[-1][1] + 1:
            found[-1][1] = number
        else:
            found.append([number, number])
    return ", ".join(str(first) if first == last else f"{first}–{last}" for first, last in found)

"""When which checkpoint goes to which witness, and what its answer means. Pure; times are monotonic seconds.

The witnesses of a policy have to cosign the same checkpoint, or a quorum would never meet in a log that grows
all the time. So there are rounds: the newest checkpoint goes to every witness that is free, and the next
round is GAP_S later at the earliest. Who was busy then takes part in the round of the moment when it answers.

                      ┌─ waiting ─┐
    the log grows ──> │           │ ──> Submit ──> a witness ──> answer ──> Keep: its line, for the store
    time passes ────> │  a round  │                              409 ─────> Submit from the size that it names
                      └───────────┘                              else ────> later, and Tell

A witness that has cosigned more than the log holds, or another beginning than the log's (409, 422), is no
passing trouble: the log was restored from an old backup, or forked. It is asked again at long intervals, and
the operator is told at once.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import assert_never

from server.evidence.cosignature import WitnessKey, encode_witness_key, is_of, open_cosignature
from server.evidence.errors import EvidenceError
from server.witness_messages import Answer, Conflict, Failed, Inconsistent, Refused, Signed

# Between two rounds: each leaves a row for each witness, 4 MB on a day of entries without a pause, and a
# witness serves many logs. After a pause the first entry goes out at once.
GAP_S = 5.0
RETRY_S = 5.0  # after no answer; doubled with each
MAX_RETRY_S = 600.0
REFUSED_RETRY_S = 60.0  # after an answer that no waiting changes, but an operator may; doubled with each
MAX_REFUSED_RETRY_S = 3600.0
MAX_CONFLICTS = 3  # 409 in a row, each naming a size: one is usual, more is a witness that cannot be followed


class Standing(StrEnum):
    """How a witness and the log stand."""

    WAITING = "waiting"  # nothing was asked, or the first answer is not there
    COSIGNING = "cosigning"
    UNREACHABLE = "unreachable"
    REFUSING = "refusing"  # it does not know this log, or not this key
    AHEAD = "ahead"  # it has cosigned more of this log than there is
    FORKED = "forked"  # it has cosigned another log of this name


# Here something happened to the log, and not to the network.
ALARMS = frozenset({Standing.AHEAD, Standing.FORKED})


@dataclass(frozen=True, slots=True, kw_only=True)
class Submit:
    """Send the checkpoint over `tree_size` leaves, with the proof that it continues `old_size`."""

    witness: str
    old_size: int
    tree_size: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Keep:
    """A cosignature that holds."""

    witness: str
    tree_size: int
    line: bytes
    at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Tell:
    """The operator should know that the standing has changed; `words` say what it means and what to do."""

    witness: str
    standing: Standing
    words: str


Output = Submit | Keep | Tell


@dataclass(slots=True, kw_only=True)
class _Witness:
    key: WitnessKey
    standing: Standing = Standing.WAITING
    words: str = ""
    known_size: int = 0  # that it has cosigned, as far as is known
    kept_size: int = 0  # of the newest checkpoint of which its line was kept
    settled_size: int = 0  # of the newest checkpoint that it has cosigned since the start
    submitted: Submit | None = None  # to which there is no answer as yet
    conflicts: int = 0
    failures: int = 0
    retry_at: float | None = None


class Witnessing:
    """All witnesses of one log. `keys` are by the name of the witness in the policy."""

    def __init__(self, keys: Mapping[str, WitnessKey]) -> None:
        self._witnesses = {name: _Witness(key=key) for name, key in keys.items()}
        self._log_size = 0
        self._round_size = 0
        self._round_at = 0.0  # the earliest time of the next round

    def begin(self, log_size: int, kept_size: int, kept_by: Collection[str], now: float) -> list[Output]:
        """The log as it is opened; `kept_by` are those whose line over `kept_size` leaves is in the store.

        They too are asked, though nothing be new: an answer tells at once if an old backup was restored.
        """
        for name in kept_by:
            witness = self._witnesses[name]
            witness.known_size = witness.kept_size = kept_size
        self._log_size = log_size
        return self._start_round(now)

    def handle_log_size(self, log_size: int, now: float) -> list[Output]:
        """The log has so many leaves by now."""
        self._log_size = log_size
        return self.handle_time(now)

    def handle_moment(self, log_size: int, now: float) -> list[Output]:
        """Something that leaves the house now waits for these leaves to be cosigned: no pause before it."""
        self._round_at = min(self._round_at, now)
        return self.handle_log_size(log_size, now)

    def handle_time(self, now: float) -> list[Output]:
        """Whatever is due."""
        if self._log_size > self._round_size and now >= self._round_at:
            return self._start_round(now)
        return self._submit_all(now)

    @property
    def next_deadline(self) -> float | None:
        """When `handle_time` has something to do, if nothing happens before."""
        due = [
            witness.retry_at
            for witness in self._witnesses.values()
            if witness.retry_at is not None and witness.submitted is None and self._wants(witness)
        ]
        if self._log_size > self._round_size:
            due.append(self._round_at)
        return min(due, default=None)

    def standing(self, name: str) -> tuple[Standing, str, int]:
        """How a witness stands, in words too, and the size of the newest checkpoint that it has cosigned."""
        witness = self._witnesses[name]
        return witness.standing, witness.words, witness.kept_size

    def handle_answer(self, name: str, answer: Answer, note: str, now: float) -> list[Output]:
        """What came of the newest Submit to a witness; `note` is the checkpoint that was sent."""
        witness = self._witnesses[name]
        submitted, witness.submitted = witness.submitted, None
        assert submitted is not None
        outputs: list[Output] = []
        match answer:
            case Signed():
                outputs += self._handle_signed(name, submitted, answer, note, now)
            case Conflict():
                outputs += self._handle_conflict(name, submitted, answer.size, now)
            case Inconsistent():
                outputs += self._refuse(name, Standing.FORKED, self._forked(name, answer.reason), now)
            case Refused():
                outputs += self._refuse(name, Standing.REFUSING, self._refused(name, answer), now)
            case Failed():
                outputs += self._fail(name, answer.error, now)
            case _:
                assert_never(answer)
        return outputs + self.handle_time(now)

    def _start_round(self, now: float) -> list[Output]:
        self._round_size = self._log_size
        outputs = self._submit_all(now)
        if outputs:
            self._round_at = now + GAP_S
        return outputs

    def _submit_all(self, now: float) -> list[Output]:
        outputs: list[Output] = []
        for name, witness in self._witnesses.items():
            if witness.submitted is not None or not self._wants(witness):
                continue
            if witness.retry_at is not None and now < witness.retry_at:
                continue
            witness.retry_at = None
            witness.submitted = Submit(
                witness=name,
                # "The old size MUST be equal to or lower than the checkpoint size": who is ahead says so.
                old_size=min(witness.known_size, self._round_size),
                tree_size=self._round_size,
            )
            outputs.append(witness.submitted)
        return outputs

    def _wants(self, witness: _Witness) -> bool:
        """Whether the checkpoint of this round is new to it. That of an empty log says nothing."""
        return 0 < self._round_size != witness.settled_size

    def _handle_signed(
        self, name: str, submitted: Submit, answer: Signed, note: str, now: float
    ) -> list[Output]:
        witness = self._witnesses[name]
        try:
            # "The client MUST ignore any cosignatures from unknown keys."
            line = next((line for line in answer.lines if is_of(line, witness.key)), None)
            if line is None:
                return self._fail(
                    name,
                    f"answered with no cosignature of {encode_witness_key(witness.key)}: compare the key in "
                    "the policy with the one that it has",
                    now,
                )
            at = open_cosignature(line, note, witness.key)
        except EvidenceError as error:
            return self._fail(name, f"answered with a cosignature that does not hold: {error}", now)
        witness.known_size = witness.kept_size = witness.settled_size = submitted.tree_size
        witness.conflicts = witness.failures = 0
        kept = Keep(witness=name, tree_size=submitted.tree_size, line=line, at=at)
        return [kept, *self._tell(name, Standing.COSIGNING, f"the witness {name} cosigns this log")]

    def _handle_conflict(self, name: str, submitted: Submit, size: int, now: float) -> list[Output]:
        witness = self._witnesses[name]
        if size > self._log_size:
            witness.known_size = size
            return self._refuse(name, Standing.AHEAD, self._ahead(name, size), now)
        if size == submitted.old_size:
            # tlog-witness 1.0 of the roots: "If they don't match, the witness MUST respond with a 409".
            reason = f"it has cosigned another root over {size} leaves"
            return self._refuse(name, Standing.FORKED, self._forked(name, reason), now)
        witness.known_size = size
        witness.conflicts += 1
        if witness.conflicts >= MAX_CONFLICTS:
            witness.conflicts = 0
            return self._fail(name, f"names another size with each answer, {size} in the last", now)
        if size > self._round_size:
            self._round_at = now  # it knows a newer checkpoint of ours: so does the next round
        return []

    def _fail(self, name: str, error: str, now: float) -> list[Output]:
        self._retry_later(self._witnesses[name], RETRY_S, MAX_RETRY_S, now)
        words = f"the witness {name} does not cosign: it {error}. It is asked again and again"
        return self._tell(name, Standing.UNREACHABLE, words)

    def _refuse(self, name: str, standing: Standing, words: str, now: float) -> list[Output]:
        self._retry_later(self._witnesses[name], REFUSED_RETRY_S, MAX_REFUSED_RETRY_S, now)
        return self._tell(name, standing, words)

    def _retry_later(self, witness: _Witness, retry_s: float, max_retry_s: float, now: float) -> None:
        witness.conflicts = 0
        witness.retry_at = now + min(max_retry_s, retry_s * 2.0**witness.failures)
        witness.failures = min(witness.failures + 1, 16)

    def _tell(self, name: str, standing: Standing, words: str) -> list[Output]:
        """Once for each change: who asks sees the newest words all the time."""
        witness = self._witnesses[name]
        if standing in ALARMS or witness.standing not in ALARMS or standing is Standing.COSIGNING:
            changed = standing is not witness.standing
            witness.standing, witness.words = standing, words
            return [Tell(witness=name, standing=standing, words=words)] if changed else []
        return []  # that it cannot be reached just now takes no alarm back

    def _ahead(self, name: str, size: int) -> str:
        return (
            f"the witness {name} has cosigned {size} entries of this log, which holds {self._log_size}: it "
            "was restored from an old backup, or a copy of it runs elsewhere. Entries that people were "
            "promised are missing, and whoever holds a newer checkpoint can prove it. Stop the service and "
            "restore the newest backup; what is written from here on this witness will never cosign"
        )

    def _forked(self, name: str, reason: str) -> str:
        return (
            f"the witness {name} says that this log is no continuation of the one that it has cosigned "
            f"({reason}): after the restore of an old backup other entries were written, or two copies of "
            "the log run. It keeps the proof of it and will never cosign this log again. Restore the newest "
            "backup of the log that it knows, or begin a new log under another name (PROOFCALL_LOG_ORIGIN)"
        )

    def _refused(self, name: str, answer: Refused) -> str:
        said = f"the witness {name} answered {answer.status} ({answer.reason})"
        if answer.status in (403, 404):
            return f"{said}: it does not know this log. Give its operator what /log/vkey shows"
        return f"{said}: look at its URL in the policy"

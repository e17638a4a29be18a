"""The policy of witnesses: whose cosignatures make a checkpoint more than its operator's word.

The text format of C2SP tlog-policy, one rule a line, items apart by spaces and tabs:

    log <vkey> [<url>]                          checkpoints of these logs are meant; none: of any
    witness <name> <vkey> [<url>]               the URL is the submission prefix of C2SP tlog-witness
    group <name> <k, any or all> <name>...      at least k of these witnesses and groups
    quorum <name or none>                       exactly once: who must have cosigned

A name is defined before it is used, and is a member of one group at most, so that nobody counts twice. The
same text is the operator's setting and stands in a verifier's trust file.
"""

import re
from collections.abc import Collection
from dataclasses import dataclass

from server.evidence.checkpoint import VerifierKey, encode_key, parse_key
from server.evidence.cosignature import WitnessKey, encode_witness_key, parse_witness_key
from server.evidence.errors import EvidenceError, IllegalQuorum, MalformedPolicy

NONE = "none"  # "The special name none is predefined"
# tlog-policy, "Implementation limits": "at least up to 32 logs, 32 witnesses, and 32 groups".
MAX_OF_A_KIND = 64
MAX_POLICY_CHARACTERS = 65_536

# "The only allowed control characters are tab and newline"; what is not ASCII is left as it is.
_FORBIDDEN = re.compile(r"[\x00-\x08\x0b-\x1f\x7f]")
_BLANK = re.compile(r"[ \t]+")
_THRESHOLD = re.compile(r"[1-9][0-9]{0,3}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Log:
    """A log whose checkpoints the policy is about."""

    key: VerifierKey
    url: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Witness:
    """A witness under the name that this policy gives it; its key has a name of its own."""

    name: str
    key: WitnessKey
    url: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Group:
    """At least `threshold` of the members."""

    name: str
    threshold: int
    members: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """What a policy says. `groups` are in the order in which they were defined."""

    logs: tuple[Log, ...]
    witnesses: tuple[Witness, ...]
    groups: tuple[Group, ...]
    quorum: str

    def check(self, cosigners: Collection[WitnessKey]) -> None:
        """Raise IllegalQuorum unless these keys, all of which did cosign, make up the quorum."""
        if self.quorum == NONE:
            return
        reached = {witness.name for witness in self.witnesses if witness.key in cosigners}
        for group in self.groups:
            if len(reached.intersection(group.members)) >= group.threshold:
                reached.add(group.name)
        if self.quorum not in reached:
            raise IllegalQuorum(f"the policy asks for {self._asked()}; {self._counted(cosigners)}")

    def check_log(self, key: VerifierKey) -> None:
        """Raise IllegalQuorum if the policy is about other logs than the one of this key."""
        if self.logs and all(log.key != key for log in self.logs):
            raise IllegalQuorum(f"the policy is about other logs than {encode_key(key)}")

    def _asked(self) -> str:
        for group in self.groups:
            if group.name == self.quorum:
                return f"{group.threshold} of {', '.join(group.members)}"
        return f"the witness {self.quorum}"

    def _counted(self, cosigners: Collection[WitnessKey]) -> str:
        names = [witness.name for witness in self.witnesses if witness.key in cosigners]
        if not names:
            return "none of its witnesses has cosigned"
        return f"{', '.join(names)} {'has' if len(names) == 1 else 'have'} cosigned, and nobody else of it"


def encode_policy(policy: Policy) -> str:
    """The text of a policy in one spelling: a space between items, a number for each group."""
    lines = [["log", encode_key(log.key), log.url or ""] for log in policy.logs]
    lines += [
        ["witness", witness.name, encode_witness_key(witness.key), witness.url or ""]
        for witness in policy.witnesses
    ]
    lines += [["group", group.name, str(group.threshold), *group.members] for group in policy.groups]
    lines.append(["quorum", policy.quorum])
    return "".join(" ".join(filter(None, items)) + "\n" for items in lines)


def parse_policy(text: str) -> Policy:
    """Read a policy; raises MalformedPolicy, which names the line and what to write instead."""
    if len(text) > MAX_POLICY_CHARACTERS:
        raise MalformedPolicy(f"a policy has {MAX_POLICY_CHARACTERS} characters at most")
    reader = _Reader()
    for number, line in enumerate(text.split("\n"), start=1):
        try:
            reader.read(line)
        except EvidenceError as error:
            raise MalformedPolicy(f"line {number} of the policy: {error}") from None
    return reader.policy()


class _Reader:
    """What the lines so far have defined. Each `read` raises MalformedPolicy or MalformedKey."""

    def __init__(self) -> None:
        self._logs: list[Log] = []
        self._witnesses: list[Witness] = []
        self._groups: list[Group] = []
        self._names: set[str] = set()
        self._members: set[str] = set()
        self._quorum: str | None = None

    def read(self, line: str) -> None:
        if _FORBIDDEN.search(line):
            raise MalformedPolicy("of the control characters only tab and line end may stand in a policy")
        items = [item for item in _BLANK.split(line) if item]
        if not items or items[0].startswith("#"):
            return
        match items:
            case ["log", vkey, *url] if len(url) <= 1:
                self._add_log(vkey, url[0] if url else None)
            case ["witness", name, vkey, *url] if len(url) <= 1:
                self._add_witness(name, vkey, url[0] if url else None)
            case ["group", name, threshold, *members] if members:
                self._add_group(name, threshold, members)
            case ["quorum", name]:
                self._set_quorum(name)
            case _:
                raise MalformedPolicy(
                    "a line reads 'log <vkey> [<url>]', 'witness <name> <vkey> [<url>]', "
                    "'group <name> <k, any or all> <name>...' or 'quorum <name or none>'"
                )

    def policy(self) -> Policy:
        if self._quorum is None:
            raise MalformedPolicy(
                "the policy has no quorum line: end it with 'quorum <name>' or 'quorum none'"
            )
        return Policy(
            logs=tuple(self._logs),
            witnesses=tuple(self._witnesses),
            groups=tuple(self._groups),
            quorum=self._quorum,
        )

    def _add_log(self, vkey: str, url: str | None) -> None:
        key = parse_key(vkey)
        # "Two vkeys are considered duplicate if they wrap the same underlying public key".
        if any(log.key.public_key == key.public_key for log in self._logs):
            raise MalformedPolicy("this log stands in the policy already")
        _check_room(len(self._logs), "logs")
        self._logs.append(Log(key=key, url=url))

    def _add_witness(self, name: str, vkey: str, url: str | None) -> None:
        key = parse_witness_key(vkey)
        if any(witness.key.public_key == key.public_key for witness in self._witnesses):
            raise MalformedPolicy("the key of this witness stands in the policy already")
        _check_room(len(self._witnesses), "witnesses")
        self._define(name)
        self._witnesses.append(Witness(name=name, key=key, url=url))

    def _add_group(self, name: str, threshold: str, members: list[str]) -> None:
        for member in members:
            self._check_defined(member)
            if member in self._members:
                raise MalformedPolicy(f"{member} is a member of a group already: it would count twice")
            self._members.add(member)
        if threshold not in ("any", "all") and not (
            _THRESHOLD.fullmatch(threshold) and int(threshold) <= len(members)
        ):
            raise MalformedPolicy(
                f"a group of {len(members)} takes a number from 1 to {len(members)}, any, or all, "
                f"not {threshold[:32]}"
            )
        count = {"any": 1, "all": len(members)}.get(threshold) or int(threshold)
        _check_room(len(self._groups), "groups")
        self._define(name)
        self._groups.append(Group(name=name, threshold=count, members=tuple(members)))

    def _set_quorum(self, name: str) -> None:
        if self._quorum is not None:
            raise MalformedPolicy("a policy has one quorum line, not two")
        if name != NONE:
            self._check_defined(name)
        self._quorum = name

    def _define(self, name: str) -> None:
        if name == NONE or name in self._names:
            raise MalformedPolicy(f"the name {name} is taken")
        self._names.add(name)

    def _check_defined(self, name: str) -> None:
        if name not in self._names:
            raise MalformedPolicy(f"{name} is no witness and no group that a line before has defined")


def _check_room(count: int, what: str) -> None:
    if count >= MAX_OF_A_KIND:
        raise MalformedPolicy(f"a policy has {MAX_OF_A_KIND} {what} at most")

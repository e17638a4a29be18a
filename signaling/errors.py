"""What can be wrong with a message, a command or an entry, and how a connection is closed for it.

    SignalingError
    ├── MalformedMessage          the text is not a message of the protocol          (the sender's fault)
    ├── MalformedEntry            an envelope is none, or a body not one of its kind (the writer's fault)
    ├── IllegalCommand            right words, wrong person or moment
    │   ├── IllegalForRole        this role never gives this command
    │   ├── IllegalInPhase        the case is not yet open, or has ended
    │   ├── IllegalLink           the link was revoked or has expired
    │   ├── IllegalWithoutConsent the person has not consented
    │   ├── IllegalOutsideCall    the person, or the person asked for, is not in the call
    │   ├── IllegalWhenFull       no room: a call of four, the links of a case
    │   ├── IllegalQuota          no room for more attachments
    │   ├── IllegalStep           the notice, work order, hand-over or attachment is not that far, or is over
    │   ├── IllegalMeanwhile      somebody else was first: look again
    │   ├── IllegalUnderHold      a legal hold keeps everything as it is
    │   └── IllegalSegment        a piece of the journal that does not follow the last one
    ├── IllegalEntry              an entry that cannot follow what was replayed      (a hole in the log)
    ├── UnknownParticipant        nobody came to this case with that link
    ├── UnknownFrame              that number is not a sealed frame of this case
    ├── UnknownRecording          nothing is recorded of that person in that call
    ├── UnknownEntry              that number is not what the command takes it for
    ├── UnknownWord               the wording has no such notice, choice, kind, decision or phrase
    └── MalformedWording          a file of the wording is wrong                    (the operator's fault)

`code` is for programs and never changes; the sentence is for people. Both travel in a `nack`.
"""

from enum import IntEnum
from typing import ClassVar


class SignalingError(Exception):
    """`str(error)` is a sentence that may be shown to the person who caused it."""

    code: ClassVar[str]


class MalformedMessage(SignalingError):
    code = "malformed_message"


class MalformedEntry(SignalingError):
    code = "malformed_entry"


class IllegalCommand(SignalingError):
    code = "illegal_command"


class IllegalForRole(IllegalCommand):
    code = "not_for_role"


class IllegalInPhase(IllegalCommand):
    code = "case_not_open"


class IllegalLink(IllegalCommand):
    code = "link_not_live"


class IllegalWithoutConsent(IllegalCommand):
    code = "consent_needed"


class IllegalOutsideCall(IllegalCommand):
    code = "not_in_call"


class IllegalWhenFull(IllegalCommand):
    code = "full"


class IllegalQuota(IllegalCommand):
    code = "quota"


class IllegalStep(IllegalCommand):
    code = "wrong_step"


class IllegalMeanwhile(IllegalCommand):
    code = "meanwhile"


class IllegalUnderHold(IllegalCommand):
    code = "legal_hold"


class IllegalSegment(IllegalCommand):
    code = "segment_out_of_order"


class IllegalEntry(SignalingError):
    code = "illegal_entry"


class UnknownParticipant(SignalingError):
    code = "unknown_participant"


class UnknownFrame(SignalingError):
    code = "unknown_frame"


class UnknownRecording(SignalingError):
    code = "unknown_recording"


class UnknownEntry(SignalingError):
    code = "unknown_entry"


class UnknownWord(SignalingError):
    code = "unknown_word"


class MalformedWording(SignalingError):
    code = "malformed_wording"


class CloseCode(IntEnum):
    """Why the server ends a WebSocket (RFC 6455 §7.4; 4000–4999 are for applications)."""

    DRAINING = 1001  # the service stops: connect again, another one answers
    INTERNAL = 1011  # the service failed: connect again, commands without an answer are sent again
    MALFORMED = 4400  # not a message of the protocol
    TOKEN = 4401  # the token is missing, wrong or expired
    FORBIDDEN = 4403  # a good token, for another case
    HELLO_TIMEOUT = 4408  # no hello in time
    ILLEGAL = 4409  # a message out of turn: a command before hello, a second hello
    REVOKED = 4410  # the link was revoked: do not come back with it
    REPLACED = 4411  # the same person connected on too many devices since
    RESYNC = 4412  # the two logs differ: connect again from the beginning
    ERASED = 4414  # the case was erased: nothing of it is kept
    TOO_SLOW = 4429  # the reader did not keep up: connect again from the last number

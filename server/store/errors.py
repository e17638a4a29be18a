"""Errors of the store. Each has a stable `code` for programs and a sentence for people.

StoreError
├── IllegalOpen            this data directory may not be opened like this
├── IllegalAppend          right entries, wrong moment: the case has moved on; decide again
│   └── IllegalRepeat      a command id that has already made its entries
├── UnknownLeaf            a leaf that the log does not hold
├── UnknownTile            a tile that the newest checkpoint does not reach
├── UnknownCheckpoint      a tree size for which no checkpoint was signed
├── UnknownBlob            a hash under which nothing is stored
├── UnknownCaseKey         a case that has no key: it has no entry yet
│   └── ErasedCase         a case that was erased: nothing is stored of it any more
├── MalformedSeal          sealed bytes that do not open with this key in this place
├── CorruptLog             the stored log is not what was written; says where
├── CorruptBlob            a stored blob is not what was written
├── CorruptWebhooks        what is kept of webhooks cannot be read
├── CorruptAttestations    what authorities and witnesses said cannot be read
├── OverloadedLog          the queue of the writer is full; nothing was written, try again later
└── FailedAppend           the disk refused; nothing was acknowledged
"""

from typing import ClassVar


class StoreError(Exception):
    """The store cannot do what was asked."""

    code: ClassVar[str] = "store_error"


class IllegalOpen(StoreError):
    code = "illegal_open"


class IllegalAppend(StoreError):
    code = "illegal_append"


class IllegalRepeat(IllegalAppend):
    code = "command_repeated"


class UnknownLeaf(StoreError):
    code = "unknown_leaf"


class UnknownTile(StoreError):
    code = "unknown_tile"


class UnknownCheckpoint(StoreError):
    code = "unknown_checkpoint"


class UnknownBlob(StoreError):
    code = "unknown_blob"


class UnknownCaseKey(StoreError):
    code = "unknown_case_key"


class ErasedCase(UnknownCaseKey):
    code = "case_erased"


class MalformedSeal(StoreError):
    code = "malformed_seal"


class CorruptLog(StoreError):
    code = "corrupt_log"


class CorruptBlob(StoreError):
    code = "corrupt_blob"


class CorruptWebhooks(StoreError):
    code = "corrupt_webhooks"


class CorruptAttestations(StoreError):
    code = "corrupt_attestations"


class OverloadedLog(StoreError):
    code = "log_overloaded"


class FailedAppend(StoreError):
    code = "append_failed"

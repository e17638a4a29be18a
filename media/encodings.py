"""What a sender's browser is asked to send: words that the router and who carries them share. Values alone.

A camera has up to three encodings (simulcast, RFC 8853), in the order of their quality. None has a fixed
size: each is commissioned at the rate that its viewers' networks carry, and one that nobody needs is paused.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

RIDS = ("low", "mid", "high")  # as our page names them (RFC 8852), the least first

UNLIMITED_BPS = 0xFFFF_FFFF  # as much as the uplink carries: what a recorder asks for

Picture = Literal["live", "stills", "paused"]
"""What comes of a person's picture: all of it; a sharp one now and then; nothing, not even that."""

Shown = Literal["best", "less", "stills"]
"""What a viewer's network has borne of late: the best encoding, whole; less of a moving picture; or none."""

LayerReason = Literal[
    "best",  # the best there is
    "network",  # better ones do not fit the receiver's network
    "shared",  # they would, if the receiver watched fewer people
    "switching",  # a better or a lesser one was chosen, and begins with its next keyframe
    "not_sent",  # the sender sends no other, or none
]


@dataclass(frozen=True, slots=True, kw_only=True)
class EncodingOrder:
    """One encoding of a camera: at most this many bits a second, headers left out; 0 pauses it. Of one
    `for_stills` keyframes alone are shown: it shall be sharp, and need not move.
    """

    rid: str
    max_bitrate_bps: int
    for_stills: bool = False


Limit = Literal[
    "start",  # nothing is known yet: what the last connection had, or an assumption
    "delay",  # queues on the way grew
    "loss",  # too much was lost
    "silence",  # no feedback came
    "receiver",  # the receiver says so (REMB)
    "demand",  # nobody needed more: the network may carry it
]


@dataclass(frozen=True, slots=True, kw_only=True)
class LegQuality:
    """What a peer's network is believed to carry each way, in bits a second with all headers; None where
    nobody measures it. `received_limit` says what holds the estimate down. `waiting_s`: how long what waits
    here for its turn, to go to them, waits.
    """

    sent_estimate_bps: int | None
    received_estimate_bps: int | None
    received_limit: Limit | None
    waiting_s: float | None = None


def least_first(rids: Sequence[str]) -> tuple[str, ...]:
    """The encodings of an offer in the order of their quality: by name, as far as all are known; others as
    RFC 8853 §5.2 has them, the most preferred first.
    """
    if all(rid in RIDS for rid in rids):
        return tuple(sorted(rids, key=RIDS.index))
    return tuple(reversed(rids))

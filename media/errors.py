"""What can go wrong in media, and whose fault it is.

    MediaError
    ├── MalformedMedia               the bytes or the text are wrong
    │   ├── MalformedOffer           an SDP offer that cannot be answered
    │   └── MalformedStun            a datagram that is no well-formed STUN message
    ├── IllegalMedia                 right words, wrong moment
    │   ├── IllegalCheck             a connectivity check whose password or role is wrong
    │   └── IllegalSend              a packet for a peer that cannot take one now
    └── UnknownMedia                 names something that is not there
        └── UnknownUfrag             a check for a user fragment nobody here was given

`code` is for programs and never changes; the message is a sentence for people.
"""

from __future__ import annotations

from typing import ClassVar


class MediaError(Exception):
    code: ClassVar[str] = "media_error"


class MalformedMedia(MediaError):
    code = "malformed_media"


class MalformedOffer(MalformedMedia):
    code = "malformed_offer"


class MalformedStun(MalformedMedia):
    code = "malformed_stun"


class IllegalMedia(MediaError):
    code = "illegal_media"


class IllegalCheck(IllegalMedia):
    code = "illegal_check"


class IllegalSend(IllegalMedia):
    code = "illegal_send"


class UnknownMedia(MediaError):
    code = "unknown_media"


class UnknownUfrag(UnknownMedia):
    code = "unknown_ufrag"

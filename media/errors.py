"""What can go wrong in media, and whose fault it is.

    MediaError
    ├── MalformedMedia               the bytes or the text are wrong
    │   ├── MalformedDump            bytes that are no dump of RTP packets
    │   ├── MalformedFragment        an SDP fragment that restarts nothing
    │   ├── MalformedFraming         a stream whose frames cannot be told apart
    │   ├── MalformedOffer           an SDP offer that cannot be answered
    │   ├── MalformedPayload         an RTP payload that its payload format does not allow
    │   ├── MalformedRtcp            a datagram that is no well-formed RTCP compound
    │   ├── MalformedRtp             a packet whose RTP header does not fit it
    │   └── MalformedStun            a datagram that is no well-formed STUN message
    ├── IllegalMedia                 right words, wrong moment
    │   ├── IllegalCheck             a connectivity check that is not the peer's
    │   └── IllegalPeer              a peer added under an identity that is taken
    ├── UnknownMedia                 names something that is not there
    │   ├── UnknownPeer              a peer that was never added, or was removed
    │   └── UnknownUfrag             a check for a user fragment nobody here was given
    ├── AttachmentRefused            a file that is no photo or voice note; `code` is an instance's own
    ├── CredentialsFailed            no content credentials can be had now; `code` is an instance's own
    ├── PlaybackFailed               no file can be made now; `code` is an instance's own and says why
    └── FrameFailed                  no frame can be had now; `code` is an instance's own and says why
        ├── NoPicture                the stream holds no picture that can be decoded
        └── DecoderFailed            the decoder has not delivered one

`code` is for programs and never changes; the message is a sentence for people.
"""

from __future__ import annotations


class MediaError(Exception):
    code: str = "media_error"


class MalformedMedia(MediaError):
    code = "malformed_media"


class MalformedDump(MalformedMedia):
    code = "malformed_dump"


class MalformedFragment(MalformedMedia):
    code = "malformed_fragment"


class MalformedFraming(MalformedMedia):
    code = "malformed_framing"


class MalformedOffer(MalformedMedia):
    code = "malformed_offer"


class MalformedPayload(MalformedMedia):
    code = "malformed_payload"


class MalformedRtcp(MalformedMedia):
    code = "malformed_rtcp"


class MalformedRtp(MalformedMedia):
    code = "malformed_rtp"


class MalformedStun(MalformedMedia):
    code = "malformed_stun"


class IllegalMedia(MediaError):
    code = "illegal_media"


class IllegalCheck(IllegalMedia):
    code = "illegal_check"


class IllegalPeer(IllegalMedia):
    code = "illegal_peer"


class UnknownMedia(MediaError):
    code = "unknown_media"


class UnknownPeer(UnknownMedia):
    code = "unknown_peer"


class UnknownUfrag(UnknownMedia):
    code = "unknown_ufrag"


class AttachmentRefused(MediaError):
    """`code`: `wrong_kind`, `broken`, `empty`, `too_long`, `too_large`, `too_many_pixels`, `timeout` or
    `crashed`.
    """

    def __init__(self, code: str, reason: str) -> None:
        super().__init__(reason)
        self.code = code
        self.reason = reason


class CredentialsFailed(MediaError):
    """`code`: `unmade` (what was asked for cannot be made), `timeout` or `crashed`."""

    def __init__(self, code: str, reason: str) -> None:
        super().__init__(reason)
        self.code = code
        self.reason = reason


class PlaybackFailed(MediaError):
    """`code`: `nothing_playable`, `malformed_dump`, `damaged_segment`, `overloaded`, `timeout`, `crashed`."""

    def __init__(self, code: str, reason: str) -> None:
        super().__init__(reason)
        self.code = code
        self.reason = reason


class FrameFailed(MediaError):
    """Why there is no frame: `code` is one of the values that the subclass lists, `reason` a sentence."""

    def __init__(self, code: str, reason: str) -> None:
        super().__init__(reason)
        self.code = code
        self.reason = reason


class NoPicture(FrameFailed):
    """`no_packets`, `no_keyframe`, `incomplete_keyframe`, `broken` (packets were lost since) or `stale`."""


class DecoderFailed(FrameFailed):
    """`undecodable`, `overloaded`, `timeout`, `crashed` or `closed`."""

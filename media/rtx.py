"""Retransmission payload (RFC 4588 §4): a lost packet comes again in a stream of its own.

    ┌ RTP header: payload type, sequence number and SSRC of the repair stream; timestamp of the original ┐
    ┌ OSN: the original sequence number, two bytes ┐┌ the original's payload, as it was … ┐

What the media stream's own numbers say then stays true: what is lost on the way is seen as lost, repaired or
not.
"""

from __future__ import annotations

from media.errors import MalformedPayload
from media.rtp import HEADER, HEADER_BYTES, MARKER, PADDING

OSN_BYTES = 2


def unwrap(packet: bytes, size_bytes: int, *, payload_type: int, ssrc: int) -> bytes:
    """The original, in the media stream's payload type and SSRC. `size_bytes` is that of the checked header.

    Raises MalformedPayload where there is no original in it: browsers send such packets, empty or of nothing
    but padding, to find out how much the network carries.
    """
    first, second, _, rtp_timestamp, _ = HEADER.unpack_from(packet)
    padding_bytes = packet[-1] if first & PADDING else 0
    if len(packet) - size_bytes - padding_bytes < OSN_BYTES:
        raise MalformedPayload("a retransmission without an original: a probe")
    sequence_number = packet[size_bytes] << 8 | packet[size_bytes + 1]
    return (
        HEADER.pack(first, second & MARKER | payload_type, sequence_number, rtp_timestamp, ssrc)
        + packet[HEADER_BYTES:size_bytes]
        + packet[size_bytes + OSN_BYTES :]
    )

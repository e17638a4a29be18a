"""Datagrams in a stream of bytes (RFC 4571), as ICE over TCP carries them (RFC 6544 §3): pure.

     0                   1
    +-------------------+-------------------------------------+
    | LENGTH (16 bits)  | a STUN, DTLS, SRTP or SRTCP packet  | LENGTH …
    +-------------------+-------------------------------------+

A stream has no edges: a packet comes in pieces, many packets come at once. A length that no packet of ours
has means that the two ends are out of step, and nothing that follows can be read.
"""

from __future__ import annotations

from media.errors import MalformedFraming

LENGTH_BYTES = 2
MAX_PACKET_BYTES = 2_048  # as for datagrams: nothing longer than an Ethernet frame is ours


def encode_frame(packet: bytes) -> bytes:
    """The packet with its length before it. Raises `ValueError` for what no frame may hold."""
    if len(packet) > MAX_PACKET_BYTES:
        raise ValueError("the packet is too long for a frame")
    return len(packet).to_bytes(LENGTH_BYTES) + packet


class FrameReader:
    """Puts the packets of one stream together. Keeps less than one packet."""

    __slots__ = ("_rest",)

    def __init__(self) -> None:
        self._rest = b""

    def handle_bytes(self, data: bytes) -> list[bytes]:
        """The packets that `data` completes, in order; empty ones (RFC 4571 §2 allows them) too.

        Raises `MalformedFraming` for a length beyond `MAX_PACKET_BYTES`; the stream cannot be read any
        further, and what stood before it in `data` is given up with it.
        """
        data = self._rest + data
        packets: list[bytes] = []
        position = 0
        while position + LENGTH_BYTES <= len(data):
            size_bytes = int.from_bytes(data[position : position + LENGTH_BYTES])
            if size_bytes > MAX_PACKET_BYTES:
                raise MalformedFraming(f"a frame of {size_bytes} bytes: no packet is as long")
            end = position + LENGTH_BYTES + size_bytes
            if end > len(data):
                break
            packets.append(data[position + LENGTH_BYTES : end])
            position = end
        self._rest = data[position:]
        return packets

"""Which section, and which encoding, does a packet of an unknown SSRC belong to? RFC 9143 §9.2, RFC 8852 and
RFC 4588 say. Pure.
"""

from __future__ import annotations

from media.peer import Peer
from media.reception import Reception
from media.rtp import HEADER, PAYLOAD_TYPE, extensions
from media.sdp import EXTENSION_MID, EXTENSION_REPAIRED_RID, EXTENSION_RID, Codec, MediaSection

MAX_LEARNT = 16  # SSRCs of one peer whose encoding a packet named, and as many of repairs: some for restarts

unpack_header = HEADER.unpack_from


def section_of(peer: Peer, packet: bytes, ssrc: int, payload_type: int) -> MediaSection | None:
    """The section of a packet, None if that cannot be told."""
    # RFC 9143 §9.2: if the packet has a MID, it decides, and a MID that is not in the table is dropped.
    mid = _named(peer, packet, EXTENSION_MID)
    if mid is not None:
        named = peer.by_mid.get(mid)
        return named if named is not None and _speaks(named, payload_type) else None
    signalled = peer.by_ssrc.get(ssrc)
    if signalled is None and ssrc in peer.rids:
        signalled = next((section for section in peer.sending if section.rids), None)
    if signalled is not None:
        return signalled if _speaks(signalled, payload_type) else None
    # The payload type decides where just one section can be meant. One whose SSRC was signalled, or that has
    # its stream already, is meant only if all are.
    candidates = [section for section in peer.sending if _speaks(section, payload_type)]
    if len(candidates) > 1:
        bound = [reception.section for reception in peer.receptions.values()]
        candidates = [section for section in candidates if not section.ssrcs and section not in bound]
    return candidates[0] if len(candidates) == 1 else None


def rid_of(peer: Peer, packet: bytes, ssrc: int, section: MediaSection) -> str | None:
    """The encoding of a packet of this section: "" where there is but one, None if that cannot be told."""
    if not section.rids:
        return ""
    rid = _named(peer, packet, EXTENSION_RID)
    if rid is None:
        # Chromium says it until a report shows that the stream is known, then never again, also after a pause
        # that it takes leave for.
        return peer.rids.get(ssrc)
    if rid not in section.rids:
        return None
    if ssrc not in peer.rids and len(peer.rids) == MAX_LEARNT:
        del peer.rids[next(iter(peer.rids))]
    peer.rids[ssrc] = rid
    return rid


def _named(peer: Peer, packet: bytes, uri: str) -> str | None:
    """What a header extension says."""
    identifiers = peer.identifiers[uri]
    if identifiers:
        for identifier, data in extensions(packet):
            if identifier in identifiers:
                return data.decode("utf-8", "replace")
    return None


def _speaks(section: MediaSection, payload_type: int) -> bool:
    return payload_type == section.redundant_payload_type or any(
        codec.payload_type == payload_type for codec in section.codecs
    )


def repaired_by(peer: Peer, packet: bytes) -> tuple[Reception, Codec, bool] | None:
    """The stream, and the codec in it, that a packet of an unknown SSRC may repair (RFC 4588 §5.3, §8.2), and
    whether the offer says so.
    """
    _, second, _, _, ssrc = unpack_header(packet)
    rid = _named(peer, packet, EXTENSION_REPAIRED_RID)
    layers = [layer for track in peer.tracks.values() for layer in track.layers]
    # Of several streams of an encoding, after a restart, the current one.
    named = next((layer.reception for layer in layers if rid and layer.rid == rid), None)
    if named is not None and (ssrc in peer.repairs or len(peer.repairs) < MAX_LEARNT):
        # RFC 8852 §3.2; senders leave it out once a report shows that the stream is known.
        peer.repairs[ssrc] = named.ssrc
    is_signalled = ssrc in peer.repairs
    if is_signalled:
        candidates = [peer.receptions.get(peer.repairs[ssrc])]
    else:
        # As where the same camera is sent anew: the current stream that has this payload type. Which of
        # several encodings it is only a name can tell.
        several = sum(layer.reception is not None and bool(layer.rid) for layer in layers) > 1
        candidates = [layer.reception for layer in layers if not (several and layer.rid)]
    for candidate in candidates:
        if candidate is None:
            continue  # a repair that came before its stream
        for codec in candidate.section.codecs:
            if codec.repair_payload_type == second & PAYLOAD_TYPE:
                return candidate, codec, is_signalled
    return None

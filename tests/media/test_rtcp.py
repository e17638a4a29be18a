"""RFC 3550 §6, RFC 4585 §6 and RFC 5104 §4.3.1, against aiortc's parser and encoder."""

from __future__ import annotations

from itertools import accumulate
from typing import Any

import aiortc.rtp as theirs
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from media.errors import MalformedRtcp
from media.rtcp import (
    FullIntraRequest,
    Goodbye,
    Nack,
    PictureLossIndication,
    ReceiverReport,
    ReportBlock,
    RtcpPacket,
    SenderReport,
    SourceDescription,
    encode_compound,
    parse_compound,
)
from media.rtp import Ssrc

EXAMPLES = settings(max_examples=100, deadline=None)

word = st.integers(0, 0xFFFF_FFFF)
ssrc = st.builds(Ssrc, word)
blocks = st.lists(
    st.builds(
        ReportBlock,
        ssrc=ssrc,
        fraction_lost=st.integers(0, 255),
        packets_lost=st.integers(-(1 << 23), (1 << 23) - 1),
        highest_sequence_number=word,
        jitter=word,
        last_sender_report=word,
        delay_since_last_sender_report=word,
    ),
    max_size=31,
).map(tuple)
sender_reports = st.builds(
    SenderReport,
    ssrc=ssrc,
    ntp_timestamp=st.integers(0, (1 << 64) - 1),
    rtp_timestamp=word,
    packet_count=word,
    octet_count=word,
    blocks=blocks,
)
receiver_reports = st.builds(ReceiverReport, ssrc=ssrc, blocks=blocks)
names = st.text(max_size=40)
descriptions = st.lists(st.tuples(ssrc, names), max_size=31).map(
    lambda cnames: SourceDescription(cnames=tuple(cnames))
)
goodbyes = st.lists(ssrc, max_size=31).map(lambda ssrcs: Goodbye(ssrcs=tuple(ssrcs)))
# Ascending within half the circle, as the gaps of one stream are.
gaps = st.lists(st.integers(1, 40), max_size=40)
nacks = st.builds(
    lambda start, steps, ssrc, media_ssrc: Nack(
        ssrc=ssrc,
        media_ssrc=media_ssrc,
        sequence_numbers=tuple(number & 0xFFFF for number in accumulate(steps, initial=start)),
    ),
    st.integers(0, 0xFFFF),
    gaps,
    ssrc,
    ssrc,
)
picture_losses = st.builds(PictureLossIndication, ssrc=ssrc, media_ssrc=ssrc)
intra_requests = st.builds(
    FullIntraRequest,
    ssrc=ssrc,
    commands=st.lists(st.tuples(ssrc, st.integers(0, 255)), max_size=5).map(tuple),
)
packets = st.one_of(
    sender_reports, receiver_reports, descriptions, goodbyes, nacks, picture_losses, intra_requests
)
nearly_compounds = st.builds(
    lambda first, packet_type, words, body: bytes([0x80 | first, packet_type]) + words.to_bytes(2) + body,
    st.integers(0, 0x3F),
    st.integers(198, 208),
    st.integers(0, 8),
    st.binary(max_size=48),
)

REPORT = ReceiverReport(ssrc=Ssrc(1))


@EXAMPLES
@given(st.lists(packets, min_size=1, max_size=4))
def test_what_is_encoded_is_parsed_back(compound: list[RtcpPacket]) -> None:
    assert parse_compound(encode_compound(compound)) == compound


@EXAMPLES
@given(st.one_of(st.binary(max_size=64), nearly_compounds, st.lists(nearly_compounds).map(b"".join)))
def test_any_bytes_are_parsed_or_malformed(compound: bytes) -> None:
    try:
        parsed = parse_compound(compound)
    except MalformedRtcp:
        return
    if parsed:
        assert parse_compound(encode_compound(parsed)) == parsed


def in_their_words(packet: RtcpPacket) -> Any:
    match packet:
        case SenderReport():
            info = theirs.RtcpSenderInfo(
                ntp_timestamp=packet.ntp_timestamp,
                rtp_timestamp=packet.rtp_timestamp,
                packet_count=packet.packet_count,
                octet_count=packet.octet_count,
            )
            return theirs.RtcpSrPacket(
                ssrc=packet.ssrc, sender_info=info, reports=their_blocks(packet.blocks)
            )
        case ReceiverReport():
            return theirs.RtcpRrPacket(ssrc=packet.ssrc, reports=their_blocks(packet.blocks))
        case SourceDescription():
            return theirs.RtcpSdesPacket(
                chunks=[
                    theirs.RtcpSourceInfo(ssrc=ssrc, items=[(1, cname.encode())])
                    for ssrc, cname in packet.cnames
                ]
            )
        case Goodbye():
            return theirs.RtcpByePacket(sources=list(packet.ssrcs))
        case Nack():
            return theirs.RtcpRtpfbPacket(
                fmt=1, ssrc=packet.ssrc, media_ssrc=packet.media_ssrc, lost=list(packet.sequence_numbers)
            )
        case PictureLossIndication():
            return theirs.RtcpPsfbPacket(fmt=1, ssrc=packet.ssrc, media_ssrc=packet.media_ssrc)
        case FullIntraRequest():
            fci = b"".join(ssrc.to_bytes(4) + bytes([number, 0, 0, 0]) for ssrc, number in packet.commands)
            return theirs.RtcpPsfbPacket(fmt=4, ssrc=packet.ssrc, media_ssrc=0, fci=fci)


def their_blocks(blocks: tuple[ReportBlock, ...]) -> list[theirs.RtcpReceiverInfo]:
    return [
        theirs.RtcpReceiverInfo(
            ssrc=block.ssrc,
            fraction_lost=block.fraction_lost,
            packets_lost=block.packets_lost,
            highest_sequence=block.highest_sequence_number,
            jitter=block.jitter,
            lsr=block.last_sender_report,
            dlsr=block.delay_since_last_sender_report,
        )
        for block in blocks
    ]


@EXAMPLES
@given(
    st.lists(
        st.one_of(sender_reports, receiver_reports, goodbyes, picture_losses, intra_requests),
        min_size=1,
        max_size=4,
    )
)
def test_against_aiortc_both_ways(compound: list[RtcpPacket]) -> None:
    expected = [in_their_words(packet) for packet in compound]
    assert theirs.RtcpPacket.parse(encode_compound(compound)) == expected
    assert parse_compound(b"".join(map(bytes, expected))) == compound


@EXAMPLES
@given(ssrc, names)
def test_one_name_a_packet_is_read_by_aiortc(ssrc: Ssrc, cname: str) -> None:
    """Several chunks in one packet are not: aiortc pads only behind the last of them."""
    description = SourceDescription(cnames=((ssrc, cname),))
    assert theirs.RtcpPacket.parse(encode_compound([description, REPORT])) == [
        in_their_words(description),
        in_their_words(REPORT),
    ]
    assert parse_compound(bytes(in_their_words(description))) == [description]


@EXAMPLES
@given(nacks)
def test_a_nack_names_the_same_packets_to_aiortc(nack: Nack) -> None:
    (parsed,) = theirs.RtcpPacket.parse(encode_compound([nack]))
    assert isinstance(parsed, theirs.RtcpRtpfbPacket)
    assert [number & 0xFFFF for number in parsed.lost] == list(nack.sequence_numbers)


@pytest.mark.parametrize(
    ("sequence_numbers", "items"),
    [
        pytest.param((5,), "0005 0000", id="one"),
        pytest.param((5, 6, 21), "0005 8001", id="PID and the 16 that follow"),
        pytest.param((5, 22), "0005 0000 0016 0000", id="the 17th needs a pair of its own"),
        pytest.param((65_535, 0, 1), "ffff 0003", id="across the wrap"),
        pytest.param((), "", id="nothing"),
    ],
)
def test_a_nack_is_packed_as_in_rfc_4585_6_2_1(sequence_numbers: tuple[int, ...], items: str) -> None:
    nack = Nack(ssrc=Ssrc(1), media_ssrc=Ssrc(2), sequence_numbers=sequence_numbers)
    encoded = encode_compound([nack])
    assert encoded[:2] == b"\x81\xcd"
    assert encoded[12:] == bytes.fromhex(items)
    assert parse_compound(encoded) == [nack]


@pytest.mark.parametrize(
    "unknown",
    [
        pytest.param("8fcd 0003 00000001 00000002 00000000", id="transport-wide feedback"),
        pytest.param("8fce 0003 00000001 00000000 52454d42", id="REMB"),
        pytest.param("80cc 0001 00000001", id="APP"),
        pytest.param("80cf 0001 00000001", id="XR"),
    ],
)
def test_types_that_are_not_known_are_skipped(unknown: str) -> None:
    """RFC 3550 §6.1: unknown types are ignored, and the rest of the compound counts."""
    assert parse_compound(bytes.fromhex(unknown) + encode_compound([REPORT])) == [REPORT]


def test_a_report_may_end_in_a_profile_specific_extension() -> None:
    """RFC 3550 §6.4.3."""
    assert parse_compound(bytes.fromhex("80c9 0003 00000001 cafecafe cafecafe")) == [REPORT]


def test_padding_is_taken_off() -> None:
    assert parse_compound(bytes.fromhex("a0c9 0002 00000001 00000004")) == [REPORT]


@pytest.mark.parametrize(
    ("compound", "reason"),
    [
        pytest.param("", "empty", id="nothing"),
        pytest.param("80c9", "cut off", id="half a head"),
        pytest.param("40c9 0001 00000001", "version 1", id="another version"),
        pytest.param("80c9 0002 00000001", "longer than its datagram", id="a cut packet"),
        pytest.param("81c9 0001 00000001", "too short", id="a report block that is not there"),
        pytest.param("80c8 0001 00000001", "too short", id="a sender report without sender information"),
        pytest.param("a0c9 0001 00000000", "padding", id="padding of no bytes"),
        pytest.param("a0c9 0001 00000009", "padding", id="padding longer than the packet"),
        pytest.param("81ca 0002 00000001 01ff4142", "cut off", id="a name that is cut off"),
        pytest.param("81cb 0000", "too short", id="goodbye of nobody"),
    ],
)
def test_a_malformed_compound_is_refused_whole(compound: str, reason: str) -> None:
    with pytest.raises(MalformedRtcp, match=reason):
        parse_compound(bytes.fromhex(compound))
    if compound:
        with pytest.raises(MalformedRtcp, match=reason):
            parse_compound(encode_compound([REPORT]) + bytes.fromhex(compound))


def test_cumulative_loss_is_clamped_to_24_bits() -> None:
    """RFC 3550 §6.4.1."""
    block = ReportBlock(
        ssrc=Ssrc(1),
        fraction_lost=0,
        packets_lost=1 << 30,
        highest_sequence_number=1 << 40,
        jitter=0,
        last_sender_report=0,
        delay_since_last_sender_report=0,
    )
    (report,) = parse_compound(encode_compound([ReceiverReport(ssrc=Ssrc(1), blocks=(block,))]))
    assert isinstance(report, ReceiverReport)
    assert report.blocks[0].packets_lost == (1 << 23) - 1
    assert report.blocks[0].highest_sequence_number == 0

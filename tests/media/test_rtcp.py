"""RFC 3550 §6, RFC 4585 §6 and RFC 5104 §4.3.1, against aiortc's parser and encoder.

aiortc takes transport-wide feedback for a NACK: the bytes in its tests are made by hand from the draft.
"""

from __future__ import annotations

from itertools import accumulate
from typing import Any

import aiortc.rtp as theirs
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from media.errors import MalformedRtcp
from media.rtcp import (
    FEEDBACK_COST,
    MAX_STATUSES,
    FullIntraRequest,
    Goodbye,
    Nack,
    PictureLossIndication,
    ReceiverEstimatedMaximumBitrate,
    ReceiverReport,
    ReportBlock,
    RtcpPacket,
    SenderReport,
    SourceDescription,
    TransportFeedback,
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


def transport_feedback(
    base: int, start_ticks: int, statuses: list[int | None], count: int, ssrc: Ssrc, media_ssrc: Ssrc
) -> TransportFeedback:
    """Statuses are None, or the ticks of 250 µs since the arrival before."""
    arrivals: list[float | None] = []
    ticks = start_ticks
    for delta in statuses:
        ticks = (ticks + (delta or 0)) % (1 << 32)
        arrivals.append(None if delta is None else ticks / 4_000)
    return TransportFeedback(
        ssrc=ssrc, media_ssrc=media_ssrc, feedback_count=count, first=base, arrivals=tuple(arrivals)
    )


deltas = st.one_of(
    st.none(), st.integers(0, 40), st.integers(250, 260), st.integers(-(1 << 15), (1 << 15) - 1)
)
transport_feedbacks = st.builds(
    transport_feedback,
    st.integers(0, 0xFFFF),
    st.one_of(st.integers(0, 0xFFFF_FFFF), st.integers(0xFFFF_FF00, 0xFFFF_FFFF)),
    st.one_of(
        st.lists(deltas, max_size=60),
        st.lists(st.tuples(deltas, st.integers(1, 40)), max_size=12).map(
            lambda runs: [delta for delta, length in runs for _ in range(length)]
        ),
    ),
    st.integers(0, 255),
    ssrc,
    ssrc,
)
estimates = st.builds(
    ReceiverEstimatedMaximumBitrate,
    ssrc=ssrc,
    bitrate_bps=st.builds(
        lambda mantissa, exponent: mantissa << exponent, st.integers(0, 0x3_FFFF), st.integers(0, 63)
    ),
    ssrcs=st.lists(ssrc, max_size=5).map(tuple),
)
packets = st.one_of(
    sender_reports,
    receiver_reports,
    descriptions,
    goodbyes,
    nacks,
    picture_losses,
    intra_requests,
    transport_feedbacks,
    estimates,
)
nearly_feedback = st.builds(
    lambda payload_feedback, identifier, words: (
        bytes([0x8F, 206 if payload_feedback else 205, 0, 2 + len(identifier) // 4 + len(words)])
        + bytes(8)
        + identifier
        + b"".join(words)
    ),
    st.booleans(),
    st.sampled_from([b"", b"REMB"]),
    st.lists(st.one_of(st.binary(min_size=4, max_size=4), st.just(bytes(4))), max_size=12),
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
@given(
    st.one_of(
        st.binary(max_size=64), nearly_feedback, nearly_compounds, st.lists(nearly_compounds).map(b"".join)
    )
)
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
        case ReceiverEstimatedMaximumBitrate():
            fci = theirs.pack_remb_fci(packet.bitrate_bps, list(packet.ssrcs))
            return theirs.RtcpPsfbPacket(fmt=15, ssrc=packet.ssrc, media_ssrc=0, fci=fci)


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
        st.one_of(sender_reports, receiver_reports, goodbyes, picture_losses, intra_requests, estimates),
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
        pytest.param("83cd 0003 00000001 00000002 00000000", id="a request for a bitrate (TMMBR)"),
        pytest.param("8fce 0003 00000001 00000000 474f4f47", id="an application that is not REMB"),
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
        pytest.param("8fcd 0003 00000001 00000002 00000000", "too short", id="feedback without a head"),
        pytest.param(
            "8fcd 0005 00000001 00000002 0001 0010 000001 00 200f 0000",
            "too few status chunks",
            id="feedback on 16 packets with the status of 15",
        ),
        pytest.param(
            "8fcd 0005 00000001 00000002 0001 0002 000001 00 d800 0505",
            "too few arrival times",
            id="feedback with a small and a large delta of two bytes in all",
        ),
        pytest.param(
            "8fcd 0005 00000001 00000002 0001 0001 000001 00 6001 0505", "reserved", id="a status of 3"
        ),
        pytest.param("8fce 0003 00000001 00000000 52454d42", "too short", id="REMB without a bitrate"),
        pytest.param(
            "8fce 0004 00000001 00000000 52454d42 01000001", "too short", id="REMB of an SSRC not there"
        ),
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


# The statuses of packet 10 and those after it; times in units of 250 µs from reference time 3 (192 ms).
@pytest.mark.parametrize(
    ("count", "chunks_and_deltas", "statuses"),
    [
        pytest.param(3, "2003 00 04 ff", [0, 4, 259], id="§3.1.3: a run of three small deltas"),
        pytest.param(2, "4002 0100 fffc", [256, 252], id="§3.1.3: a run of two large deltas"),
        pytest.param(
            14,
            "9912 01 01 01 01 01",
            [None, 1, 2, None, None, 3, None, None, None, 4, None, None, 5, None],
            id="§3.1.4: fourteen symbols of one bit",
        ),
        pytest.param(
            7,
            "c680 02 fda8 7fff",
            [None, 2, -598, 32_169, None, None, None],
            id="§3.1.4: symbols of two bits",
        ),
        pytest.param(3, "0002 2001 07", [None, None, 7], id="two runs"),
        pytest.param(2, "a000 01", [1, None], id="a vector may be longer than the count"),
        pytest.param(2, "3fff 01 01", [1, 2], id="so may a run"),
        pytest.param(0, "", [], id="nothing at all"),
    ],
)
def test_transport_feedback_is_read_as_the_draft_says(
    count: int, chunks_and_deltas: str, statuses: list[int | None]
) -> None:
    fci = bytes.fromhex(f"000a {count:04x} 000003 2a {chunks_and_deltas}")
    fci += bytes(-len(fci) % 4)
    packet = bytes.fromhex("8fcd") + (2 + len(fci) // 4).to_bytes(2) + bytes.fromhex("0000000100000002") + fci
    (feedback,) = parse_compound(packet)
    assert feedback == TransportFeedback(
        ssrc=Ssrc(1),
        media_ssrc=Ssrc(2),
        feedback_count=42,
        first=10,
        arrivals=tuple(None if ticks is None else (3 * 256 + ticks) / 4_000 for ticks in statuses),
    )


@pytest.mark.parametrize(
    ("ticks", "encoded"),
    [
        pytest.param([768, 770], "8fcd 0005 00000001 00000002 0005 0002 000003 00 2002 00 02", id="a run"),
        pytest.param(
            [768, None, 1_024],
            "afcd 0006 00000001 00000002 0005 0003 000003 00 d200 00 0100 000003",
            id="symbols of two bits, padded as the P bit says",
        ),
        pytest.param(
            [768, None, 769] + 12 * [None],
            "afcd 0006 00000001 00000002 0005 000f 000003 00 a800 0001 00 01 0002",
            id="symbols of one bit, then a run",
        ),
    ],
)
def test_transport_feedback_is_written_as_the_draft_says(ticks: list[int | None], encoded: str) -> None:
    feedback = TransportFeedback(
        ssrc=Ssrc(1),
        media_ssrc=Ssrc(2),
        feedback_count=256,
        first=5,
        arrivals=tuple(None if one is None else one / 4_000 for one in ticks),
    )
    assert encode_compound([feedback]) == bytes.fromhex(encoded)


def test_a_feedback_that_claims_65535_packets_tells_of_the_last_thousand() -> None:
    head = "8fcd 000c 00000001 00000002 0000 ffff 000000 00"
    statuses = "2001" + 7 * "1fff" + "1ffd" + "2008"  # one that arrived, 65,526 that did not, eight that did
    packet = bytes.fromhex(f"{head} {statuses} 05 0102030405060708 000000")
    (feedback,) = parse_compound(packet)
    assert isinstance(feedback, TransportFeedback)
    assert len(feedback.arrivals) == MAX_STATUSES
    assert feedback.first == 65_535 - MAX_STATUSES
    assert feedback.arrivals[:-8] == (None,) * 992
    ticks = list(accumulate(range(1, 9), initial=5))[1:]
    assert feedback.arrivals[-8:] == tuple(ticks[index] / 4_000 for index in range(8))


@pytest.mark.parametrize("bitrate_bps", [0, 1, 262_143, 262_144, 1_000_001, 1 << 63, 1 << 90])
def test_a_bitrate_told_is_the_nearest_below(bitrate_bps: int) -> None:
    packet = ReceiverEstimatedMaximumBitrate(ssrc=Ssrc(1), bitrate_bps=bitrate_bps, ssrcs=(Ssrc(2),))
    (parsed,) = parse_compound(encode_compound([packet]))
    assert isinstance(parsed, ReceiverEstimatedMaximumBitrate)
    largest = 0x3_FFFF << 63
    assert parsed.bitrate_bps <= bitrate_bps
    assert min(bitrate_bps, largest) - parsed.bitrate_bps <= bitrate_bps >> 17


def test_feedback_that_is_not_granted_is_skipped_unread_and_the_rest_is_heard() -> None:
    """24 bytes may claim a thousand statuses: who grants them knows how many before any is unrolled."""
    claimed = TransportFeedback(
        ssrc=Ssrc(1),
        media_ssrc=Ssrc(2),
        feedback_count=0,
        first=0,
        arrivals=(1.0, *(None,) * 899, 1.0),
    )
    loss = PictureLossIndication(ssrc=Ssrc(1), media_ssrc=Ssrc(2))
    asked: list[int] = []

    def refuse(cost: int) -> bool:
        asked.append(cost)
        return False

    compound = encode_compound([claimed, loss])
    assert parse_compound(compound, refuse) == [loss]
    assert asked == [FEEDBACK_COST + 901]
    assert parse_compound(compound, lambda cost: cost <= asked[0]) == [claimed, loss]

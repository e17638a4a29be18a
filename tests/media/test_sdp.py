"""Offers of real browsers are read, and answered so that an independent parser agrees.

`offers/` holds offers of each kind of peer: those of Chromium (`chromium_simulcast` with three encodings, two
of them paused), aiortc and wrtc as the programs wrote them, `firefox_page` (as our page makes it) and
`firefox_camera` (two tracks added) by Firefox 153, and `firefox` (with H.264, which Debian's has not) and
`safari` by hand in their manner.
"""

from __future__ import annotations

import itertools
from pathlib import Path

import pytest
from aiortc.sdp import SessionDescription
from hypothesis import given, settings
from hypothesis import strategies as st

from media.errors import MalformedOffer
from media.sdp import (
    EXTENSION_AUDIO_LEVEL,
    EXTENSION_MID,
    EXTENSION_REPAIRED_RID,
    EXTENSION_RID,
    EXTENSION_SEND_TIME,
    EXTENSION_TRANSPORT_NUMBER,
    EXTENSION_VIDEO_ORIENTATION,
    MAX_OFFER_CHARACTERS,
    Fingerprint,
    Offer,
    encode_answer,
    lay_out_slots,
    parse_offer,
)
from tests.media.call_scenario import page_offer

OFFERS = {path.stem: path.read_text() for path in sorted((Path(__file__).parent / "offers").glob("*.sdp"))}
FINGERPRINT = Fingerprint(algorithm="sha-256", value=":".join(["AB"] * 32))

# (mid, kind, accepted, sends, receives, codecs in the peer's order and numbers)
SECTIONS = {
    "aiortc": [
        ("0", "audio", True, True, True, ["opus 96"]),
        ("1", "video", True, True, True, ["VP8 97", "H264 99", "H264 101"]),
        ("2", "audio", True, False, True, ["opus 96"]),
        ("3", "video", True, False, True, ["VP8 97", "H264 99", "H264 101"]),
    ],
    "chromium": [
        ("0", "audio", True, True, True, ["opus 111"]),
        ("1", "video", True, True, True, ["VP8 96", "H264 102", "H264 108"]),
        ("2", "audio", True, False, True, ["opus 111"]),
        ("3", "video", True, False, True, ["VP8 96", "H264 102", "H264 108"]),
        ("4", "application", False, True, True, []),
    ],
    "chromium_simulcast": [
        ("0", "audio", True, True, True, ["opus 111"]),
        ("1", "video", True, True, True, ["VP8 96", "H264 102", "H264 108"]),
        ("2", "audio", True, False, True, ["opus 111"]),
        ("3", "video", True, False, True, ["VP8 96", "H264 102", "H264 108"]),
        ("4", "audio", True, False, True, ["opus 111"]),
        ("5", "video", True, False, True, ["VP8 96", "H264 102", "H264 108"]),
    ],
    "firefox": [
        ("0", "audio", True, True, True, ["opus 109"]),
        ("1", "video", True, True, True, ["H264 126", "VP8 120"]),
        ("2", "audio", True, False, True, ["opus 109"]),
        ("3", "video", True, False, True, ["VP8 120"]),
    ],
    "firefox_camera": [
        ("0", "audio", True, True, True, ["opus 109"]),
        ("1", "video", True, True, True, ["VP8 120"]),
    ],
    "firefox_page": [
        ("0", "audio", True, True, True, ["opus 109"]),
        ("1", "video", True, True, True, ["VP8 120"]),
        ("2", "audio", True, False, True, ["opus 109"]),
        ("3", "video", True, False, True, ["VP8 120"]),
        ("4", "audio", True, False, True, ["opus 109"]),
        ("5", "video", True, False, True, ["VP8 120"]),
    ],
    "firefox_simulcast": [
        ("0", "audio", True, True, True, ["opus 109"]),
        ("1", "video", True, True, True, ["VP8 120"]),
        ("2", "audio", True, False, True, ["opus 109"]),
        ("3", "video", True, False, True, ["VP8 120"]),
        ("4", "audio", True, False, True, ["opus 109"]),
        ("5", "video", True, False, True, ["VP8 120"]),
    ],
    "safari": [
        ("0", "audio", True, True, True, ["opus 111"]),
        ("1", "video", True, True, True, ["H264 98", "VP8 127"]),
    ],
    "wrtc": [
        ("0", "audio", True, True, True, ["opus 111"]),
        ("1", "video", True, True, True, ["VP8 96"]),
        ("2", "application", False, True, True, []),
    ],
}


def answer(
    offer: Offer,
    candidates: list[tuple[str, int]] | None = None,
    *,
    start_bitrate_bps: int | None = None,
) -> str:
    numbers = itertools.count(1000)
    return encode_answer(
        offer,
        ice_ufrag="abcd",
        ice_pwd="p" * 22,
        fingerprint=FINGERPRINT,
        candidates=candidates or [("192.0.2.7", 8443), ("2001:db8::7", 8443)],
        slots=lay_out_slots(offer, lambda: next(numbers)),
        start_bitrate_bps=start_bitrate_bps,
    )


def small_offer(*sections: str, session: str = "") -> str:
    lines = ["v=0", "a=ice-ufrag:abcd", f"a=ice-pwd:{'p' * 22}", "a=setup:actpass"]
    lines.append(f"a=fingerprint:sha-256 {FINGERPRINT.value}")
    lines.append(f"a=group:BUNDLE {' '.join(str(mid) for mid in range(len(sections)))}")
    lines += session.split("\n") if session else []
    for mid, section in enumerate(sections):
        first, *rest = section.split("\n")
        lines += [first, f"a=mid:{mid}", "a=rtcp-mux", *rest]
    return "\r\n".join(lines) + "\r\n"


AUDIO = "m=audio 9 UDP/TLS/RTP/SAVPF 111\na=rtpmap:111 opus/48000/2"
VIDEO = "m=video 9 UDP/TLS/RTP/SAVPF 96\na=rtpmap:96 VP8/90000"


@pytest.mark.parametrize("name", OFFERS)
def test_sections_and_codecs_of_real_offers_are_understood(name: str) -> None:
    assert [
        (s.mid, s.kind, s.accepted, s.sends, s.receives, [f"{c.name} {c.payload_type}" for c in s.codecs])
        for s in parse_offer(OFFERS[name]).sections
    ] == SECTIONS[name]


@pytest.mark.parametrize("name", OFFERS)
def test_line_ends_do_not_matter(name: str) -> None:
    assert parse_offer(OFFERS[name].replace("\n", "\r\n")) == parse_offer(OFFERS[name])


@pytest.mark.parametrize("name", OFFERS)
def test_transport_of_real_offers_against_aiortc_parser(name: str) -> None:
    offer = parse_offer(OFFERS[name])
    first = SessionDescription.parse(OFFERS[name]).media[0]
    assert first.ice is not None
    assert (offer.ice_ufrag, offer.ice_pwd) == (first.ice.usernameFragment, first.ice.password)
    assert first.dtls is not None
    assert {(f.algorithm, f.value) for f in offer.fingerprints} == {
        (f.algorithm, f.value.upper()) for f in first.dtls.fingerprints
    }


@pytest.mark.parametrize("name", OFFERS)
def test_an_answer_keeps_every_section_in_its_place_against_aiortc_parser(name: str) -> None:
    offer = parse_offer(OFFERS[name])
    parsed = SessionDescription.parse(answer(offer))
    assert [media.rtp.muxId for media in parsed.media] == [section.mid for section in offer.sections]
    assert parsed.group[0].items == [section.mid for section in offer.sections if section.accepted]
    for media, section in zip(parsed.media, offer.sections, strict=True):
        if not section.accepted:
            assert (media.port, media.direction) == (0, "inactive")
            continue
        assert media.port == 8443
        assert media.direction == ("sendrecv" if section.sends else "sendonly")
        assert media.rtcp_mux
        assert media.dtls is not None
        assert media.ice is not None
        assert (media.dtls.role, media.ice.iceLite) == ("client", True)
        assert (media.ice.usernameFragment, media.ice.password) == ("abcd", "p" * 22)
        formats = [section.redundant_payload_type]
        formats += [one for c in section.codecs for one in (c.payload_type, c.repair_payload_type)]
        assert [codec.payloadType for codec in media.rtp.codecs] == [one for one in formats if one]
        assert [(e.uri, e.id) for e in media.rtp.headerExtensions] == list(section.header_extensions)
        candidates = [(candidate.ip, candidate.port) for candidate in media.ice_candidates]
        assert candidates == [("192.0.2.7", 8443), ("2001:db8::7", 8443)]
        assert media.ice_candidates_complete


def test_sound_and_picture_of_a_slot_share_a_stream() -> None:
    offer = parse_offer(OFFERS["chromium"])
    parsed = SessionDescription.parse(answer(offer))
    assert [(media.msid, media.ssrc[0].ssrc, media.ssrc[0].cname) for media in parsed.media[:4]] == [
        ("slot0 slot0-audio", 1000, "slot0"),
        ("slot0 slot0-video", 1001, "slot0"),
        ("slot1 slot1-audio", 1003, "slot1"),
        ("slot1 slot1-video", 1004, "slot1"),
    ]
    assert [group.items for media in parsed.media[:4] for group in media.ssrc_group] == [
        [1001, 1002],
        [1004, 1005],
    ]


# Per section: retransmissions of each codec, (SSRC, SSRC of its repairs), redundant sound.
REPAIRS = {
    "aiortc": [
        ([None], [], None),
        ([98, 100, 102], [(1097153143, 2292169527)], None),
        ([None], [], None),
        ([98, 100, 102], [(1694279060, 18951704)], None),
    ],
    "chromium": [
        ([None], [], 63),
        ([97, 103, 109], [(764505560, 2212449514)], None),
        ([None], [], 63),
        ([97, 103, 109], [], None),
    ],
    "firefox": [
        ([None], [], None),
        ([127, 124], [(3046119170, 1290647723)], None),
        ([None], [], None),
        ([None], [], None),
    ],
    "safari": [([None], [], 63), ([99, 103], [(2735510904, 918274455)], None)],
}


@pytest.mark.parametrize("name", REPAIRS)
def test_what_a_peer_can_repair_is_found_in_its_offer(name: str) -> None:
    assert [
        ([c.repair_payload_type for c in s.codecs], list(s.repairs), s.redundant_payload_type)
        for s in parse_offer(OFFERS[name]).accepted_sections()
    ] == REPAIRS[name]


def test_redundant_sound_is_preferred_and_tied_to_its_opus() -> None:
    """Chromium sends what the answer names first; what refers to another codec is nobody's redundancy."""
    text = answer(parse_offer(OFFERS["chromium"]))
    assert "m=audio 8443 UDP/TLS/RTP/SAVPF 63 111\r\n" in text
    assert "a=rtpmap:63 red/48000/2\r\na=fmtp:63 111/111\r\n" in text
    other = AUDIO.replace(" 111\n", " 111 63\n") + "\na=rtpmap:63 red/48000/2\na=fmtp:63 0/0"
    (section,) = parse_offer(small_offer(other)).sections
    assert section.redundant_payload_type is None


def test_retransmissions_are_answered_under_the_peers_numbers() -> None:
    text = answer(parse_offer(OFFERS["chromium"]))
    assert "a=rtpmap:97 rtx/90000\r\na=fmtp:97 apt=96\r\n" in text


def test_a_slot_may_lack_its_sound_or_its_picture() -> None:
    offer = parse_offer(small_offer(AUDIO, AUDIO, VIDEO, AUDIO + "\na=sendonly"))
    numbers = itertools.count(1)
    slots = lay_out_slots(offer, lambda: next(numbers))
    assert [
        (slot.audio_section and slot.audio_section.mid, slot.video_section and slot.video_section.mid)
        for slot in slots
    ] == [("0", "2"), ("1", None)]
    assert [(slot.audio_ssrc, slot.video_ssrc) for slot in slots] == [(1, 2), (3, None)]


def test_no_slot_gets_an_ssrc_that_is_taken() -> None:
    offer = parse_offer(small_offer(AUDIO + "\na=ssrc:5 cname:x", VIDEO))
    drawn = iter([0, 5, 6, 6, 7])
    (slot,) = lay_out_slots(offer, lambda: next(drawn))
    assert (slot.audio_ssrc, slot.video_ssrc) == (6, 7)


def test_repair_streams_are_no_media() -> None:
    offer = parse_offer(OFFERS["firefox"])
    assert [section.ssrcs for section in offer.sections] == [(2211338841,), (3046119170,), (), ()]
    assert offer.sections[0].cname == "{7e3d5a90-4c1b-4f2e-8d6a-0f9e8d7c6b5a}"


def test_only_known_extensions_are_accepted_under_the_peers_numbers() -> None:
    audio, video = parse_offer(OFFERS["chromium"]).sections[:2]
    assert audio.extension_id(EXTENSION_AUDIO_LEVEL) == 1
    assert audio.extension_id(EXTENSION_MID) == video.extension_id(EXTENSION_MID) == 4
    assert (
        audio.extension_id(EXTENSION_TRANSPORT_NUMBER) == video.extension_id(EXTENSION_TRANSPORT_NUMBER) == 3
    )
    assert len(audio.header_extensions) == 3
    assert len(video.header_extensions) == 2


def test_a_sender_turns_its_picture_itself_because_firefox_does_not_read_orientations() -> None:
    offering = {name for name, sdp in OFFERS.items() if EXTENSION_VIDEO_ORIENTATION in sdp}
    assert offering >= {"chromium", "safari"} and offering.isdisjoint({"firefox_camera", "firefox_page"})
    for sdp in OFFERS.values():
        assert EXTENSION_VIDEO_ORIENTATION not in answer(parse_offer(sdp))


def test_firefox_names_sources_also_where_it_only_receives() -> None:
    """They report (RFC 3550 §6.1) and carry no media; no slot may be given one of them."""
    offer = parse_offer(OFFERS["firefox_page"])
    reporting = [section.ssrcs for section in offer.sections[2:]]
    assert [len(ssrcs) for ssrcs in reporting] == [1, 1, 1, 1]
    drawn = itertools.chain((ssrc for ssrcs in reporting for ssrc in ssrcs), itertools.count(1))
    slots = lay_out_slots(offer, lambda: next(drawn))
    assert [(slot.audio_ssrc, slot.video_ssrc) for slot in slots] == [(1, 2), (4, 5), (7, 8)]


def test_audio_is_repaired_although_browsers_do_not_offer_it() -> None:
    assert "a=rtcp-fb:111 nack\r\n" in answer(parse_offer(OFFERS["chromium"]))


def test_feedback_is_answered_as_far_as_it_was_offered() -> None:
    video = VIDEO + "\na=rtcp-fb:* nack pli\na=rtcp-fb:96 goog-remb\na=rtcp-fb:96 nack"
    (section,) = parse_offer(small_offer(video)).sections
    assert section.codecs[0].feedback == ("nack", "nack pli", "goog-remb")


def test_who_is_told_when_each_packet_came_needs_no_sum_of_it() -> None:
    numbered = f"\na=extmap:5 {EXTENSION_TRANSPORT_NUMBER}\na=extmap:6 {EXTENSION_SEND_TIME}"
    remb = "\na=rtcp-fb:96 goog-remb"
    (both,) = parse_offer(small_offer(VIDEO + numbered + remb + "\na=rtcp-fb:96 transport-cc")).sections
    assert both.codecs[0].feedback == ("transport-cc",)
    assert both.header_extensions == ((EXTENSION_TRANSPORT_NUMBER, 5),)
    (older,) = parse_offer(small_offer(VIDEO + numbered + remb)).sections
    assert older.codecs[0].feedback == ("goog-remb",)
    assert older.header_extensions == ((EXTENSION_SEND_TIME, 6),)
    unnumbered = f"\na=extmap:6 {EXTENSION_SEND_TIME}" + remb + "\na=rtcp-fb:96 transport-cc"
    (nameless,) = parse_offer(small_offer(VIDEO + unnumbered)).sections
    assert nameless.codecs[0].feedback == ("goog-remb",), "of packets without numbers nobody can be told"
    (neither,) = parse_offer(small_offer(VIDEO + numbered)).sections
    assert neither.header_extensions == ()
    sound = AUDIO + numbered + "\na=rtcp-fb:111 transport-cc"
    assert parse_offer(small_offer(sound)).sections[0].codecs[0].feedback == ("nack", "transport-cc")


def test_a_browser_may_begin_with_what_the_network_is_known_to_carry() -> None:
    offer = parse_offer(OFFERS["chromium"])
    begun = answer(offer, start_bitrate_bps=850_000)
    assert "a=fmtp:96 x-google-start-bitrate=850" in begun.split("m=video")[1]
    assert ";x-google-start-bitrate=850" in begun.split("m=video")[1]  # behind H.264's own
    assert "x-google" not in begun.split("m=video")[2]  # where they only receive
    assert "x-google" not in answer(offer)


def test_a_camera_of_several_encodings_is_answered_and_what_it_paused_stays_paused() -> None:
    offer = parse_offer(OFFERS["chromium_simulcast"])
    camera, slot = offer.sections[1], offer.sections[3]
    assert camera.rids == ("low", "mid", "high")
    assert camera.paused_rids == {"low", "mid"}
    assert slot.rids == ()
    assert {EXTENSION_RID, EXTENSION_REPAIRED_RID} < {uri for uri, _ in camera.header_extensions}
    lines = answer(offer).split("m=video")[1].splitlines()
    assert [line for line in lines if line.startswith("a=rid:")] == [
        "a=rid:low recv",
        "a=rid:mid recv",
        "a=rid:high recv",
    ]
    assert "a=simulcast:recv ~low;~mid;high" in lines


@pytest.mark.parametrize(
    ("lines", "rids", "paused"),
    [
        pytest.param("rid:a send;rid:b send;simulcast:send a;b", ("a", "b"), set(), id="RFC 8853 §5.1"),
        pytest.param(
            "rid:a send;rid:b send;rid:c send;simulcast:recv c send a,c;~b",
            ("a", "b"),
            {"b"},
            id="alternatives",
        ),
        pytest.param("rid:a send;rid:b recv;simulcast:send a;b", (), set(), id="one is no simulcast"),
        pytest.param("rid:a send;rid:b send", (), set(), id="rids alone"),
        pytest.param("rid:a send;rid:b send;simulcast:send a;a;b;x", ("a", "b"), set(), id="twice, unknown"),
        pytest.param(
            "rid:a send;rid:b send;rid:c send;rid:d send;simulcast:send a;b;c;d",
            ("a", "b", "c"),
            set(),
            id="more than three",
        ),
        pytest.param(f"rid:{'a' * 17} send;rid:b send;simulcast:send {'a' * 17};b", (), set(), id="too long"),
    ],
)
def test_encodings_are_those_that_are_sent_in_their_order(
    lines: str, rids: tuple[str, ...], paused: set[str]
) -> None:
    attributes = "".join(
        f"\na={line}" for line in lines.replace(" send;", " send\n").replace(" recv;", " recv\n").split("\n")
    )
    (section,) = parse_offer(small_offer(VIDEO + attributes)).sections
    assert section.rids == rids
    assert section.paused_rids == paused


@pytest.mark.parametrize(
    ("parameters", "accepted"),
    [
        ("packetization-mode=1;profile-level-id=42e01f", True),
        ("PROFILE-LEVEL-ID=42001F; Packetization-Mode=1", True),
        ("packetization-mode=1", True),  # RFC 6184 §8.1: baseline is the default
        ("profile-level-id=42e01f", False),
        ("packetization-mode=0;profile-level-id=42e01f", False),
        ("packetization-mode=1;profile-level-id=4d001f", False),
        ("packetization-mode=1;profile-level-id=640c1f", False),
        ("packetization-mode=1;profile-level-id=42", False),
    ],
)
def test_h264_is_accepted_in_baseline_and_in_fragments_only(parameters: str, accepted: bool) -> None:
    video = f"m=video 9 UDP/TLS/RTP/SAVPF 96\na=rtpmap:96 H264/90000\na=fmtp:96 {parameters}"
    sections = parse_offer(small_offer(AUDIO, video)).sections
    assert sections[1].accepted is accepted


@pytest.mark.parametrize(
    ("section", "accepted"),
    [
        (AUDIO, True),
        (AUDIO.replace("audio 9", "audio 0"), False),
        (AUDIO.replace("audio 9", "audio 0") + "\na=bundle-only", True),
        (AUDIO.replace("UDP/TLS/RTP/SAVPF", "RTP/AVP"), False),
        (AUDIO.replace("opus", "speex"), False),
        (AUDIO.replace("48000/2", "48000"), False),
        ("m=text 9 UDP/TLS/RTP/SAVPF 98\na=rtpmap:98 t140/1000", False),
        ("m=video 9 UDP/TLS/RTP/SAVPF 96 97 98\na=rtpmap:98 AV1/90000\na=rtpmap:300 VP8/90000", False),
    ],
)
def test_what_is_not_spoken_here_is_rejected_in_its_place(section: str, accepted: bool) -> None:
    offer = parse_offer(small_offer(VIDEO, section))
    assert [s.accepted for s in offer.sections] == [True, accepted]
    lines = [line for line in answer(offer).splitlines() if line.startswith("m=")]
    assert (" 0 " in lines[1]) is not accepted


def test_a_section_outside_of_the_bundle_is_rejected() -> None:
    sdp = small_offer(VIDEO, AUDIO).replace("BUNDLE 0 1", "BUNDLE 0")
    assert [section.accepted for section in parse_offer(sdp).sections] == [True, False]


def test_a_direction_for_the_whole_session_holds_where_a_section_has_none() -> None:
    offer = parse_offer(small_offer(AUDIO, VIDEO + "\na=sendrecv", session="a=recvonly"))
    assert [(s.sends, s.receives) for s in offer.sections] == [(False, True), (True, True)]


WHOLE = small_offer(AUDIO, VIDEO)


@pytest.mark.parametrize(
    ("sdp", "reason"),
    [
        ("", "does not begin with v=0"),
        ("hello", "does not begin with v=0"),
        ("v=0\r\n", "no media section"),
        ("v=0\r\n" + "x" * MAX_OFFER_CHARACTERS, "longer than"),
        ("v=0\r\n" + "m=audio 9 UDP/TLS/RTP/SAVPF 0\r\n" * 65, "65 media sections"),
        ("v=0\r\nm=audio 9\r\n", "lacks port, protocol or formats"),
        (WHOLE.replace("a=group:BUNDLE 0 1\r\n", ""), "BUNDLE"),
        (WHOLE.replace("mid:1", "mid:0"), "same a=mid"),
        (WHOLE.replace("a=rtcp-mux\r\n", ""), "no media section can be accepted"),
        (WHOLE.replace("a=ice-ufrag:abcd\r\n", ""), "no a=ice-ufrag"),
        (WHOLE.replace("ice-ufrag:abcd", "ice-ufrag:ab!d"), "a=ice-ufrag must be"),
        (WHOLE.replace("p" * 22, "p" * 21), "a=ice-pwd must be"),
        (WHOLE.replace("sha-256", "sha-1"), "no a=fingerprint"),
        (WHOLE.replace("AB:AB", "AB"), "not 32 bytes"),
        (WHOLE.replace("setup:actpass", "setup:active"), "actpass"),
        (WHOLE.replace("a=setup", "a=ice-lite\r\na=setup"), "ice-lite"),
    ],
)
def test_an_offer_that_cannot_be_answered_says_what_to_mend(sdp: str, reason: str) -> None:
    with pytest.raises(MalformedOffer, match=reason):
        parse_offer(sdp)


NOISE = st.text(alphabet=st.sampled_from("amvc=:/ 0129-;*\r\n\tABé٣"), max_size=30)


@st.composite
def mutated_offers(draw: st.DrawFn) -> str:
    lines = draw(st.sampled_from(list(OFFERS.values()))).splitlines()
    for _ in range(draw(st.integers(1, 8))):
        place = draw(st.integers(0, len(lines) - 1))
        match draw(st.sampled_from(["drop", "double", "cut", "noise", "swap"])):
            case "drop" if len(lines) > 1:
                del lines[place]
            case "double":
                lines.insert(place, lines[draw(st.integers(0, len(lines) - 1))])
            case "cut":
                lines[place] = lines[place][: draw(st.integers(0, 40))]
            case "noise":
                lines[place] = lines[place][: draw(st.integers(0, 20))] + draw(NOISE)
            case _:
                other = draw(st.integers(0, len(lines) - 1))
                lines[place], lines[other] = lines[other], lines[place]
    return "\r\n".join(lines)


@settings(max_examples=150, deadline=None)
@given(st.one_of(mutated_offers(), st.text(max_size=200).map(lambda text: "v=0\n" + text)))
def test_any_text_is_answered_or_malformed(sdp: str) -> None:
    try:
        offer = parse_offer(sdp)
    except MalformedOffer:
        return
    lines = answer(offer).split("\r\n")
    assert sum(line.startswith("m=") for line in lines) == len(offer.sections)
    assert all(line[1:2] == "=" and "\r" not in line and "\n" not in line for line in lines[:-1])


def test_our_ssrcs_are_none_of_the_offers_repair_streams() -> None:
    """RFC 3550 §8.2: a collision would bind one's media to the other's stream."""
    offer = page_offer(rtx=True, camera=(7, 8))
    assert offer.ssrcs() == {7, 8}
    numbers = iter([8, 7, 0, *range(100, 200)])
    slots = lay_out_slots(offer, lambda: next(numbers))
    assert [slots[0].audio_ssrc, slots[0].video_ssrc, slots[0].repair_ssrc] == [100, 101, 102]

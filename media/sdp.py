"""Offer and answer: the SDP of one peer connection (RFC 8866, 8829, 9143, 8840, 8842).

An offer is read tolerantly and once: what this relay does not speak (codecs, extensions, options,
data channels) is left out or answered as rejected, and only what makes an answer impossible raises
`MalformedOffer`. The answer promises what the relay does: ICE-lite, one bundled port, DTLS active.

    offer  = parse_offer(text)                      the peer's wishes, in the peer's numbers
    slots  = lay_out_slots(offer, random32)         one a pair of receiving sections, with our SSRCs
    answer = encode_answer(offer, slots=slots, …)   text for the peer

A camera that sends several encodings (simulcast, RFC 8853) keeps those that it has paused paused.

"Sends" and "receives" are said of the peer: a section that sends carries media to us. Receive slot i
is the i-th receiving audio section together with the i-th receiving video section.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

from media.errors import MalformedOffer

EXTENSION_MID = "urn:ietf:params:rtp-hdrext:sdes:mid"  # RFC 8843 §15
EXTENSION_AUDIO_LEVEL = "urn:ietf:params:rtp-hdrext:ssrc-audio-level"  # RFC 6464
EXTENSION_VIDEO_ORIENTATION = "urn:3gpp:video-orientation"  # 3GPP TS 26.114 §7.4.5
EXTENSION_RID = "urn:ietf:params:rtp-hdrext:sdes:rtp-stream-id"  # RFC 8852 §4.1
EXTENSION_REPAIRED_RID = "urn:ietf:params:rtp-hdrext:sdes:repaired-rtp-stream-id"  # RFC 8852 §4.2
EXTENSION_TRANSPORT_NUMBER = (  # draft-holmer-rmcat-transport-wide-cc-extensions-01 §2
    "http://www.ietf.org/id/draft-holmer-rmcat-transport-wide-cc-extensions-01"
)
EXTENSION_SEND_TIME = "http://www.webrtc.org/experiments/rtp-hdrext/abs-send-time"  # 24 bits, 6.18 s

# EXTENSION_VIDEO_ORIENTATION is not among them: Firefox does not read it, and would show an iPhone's picture
# on its side. A sender that may not tell the orientation turns the picture itself: right for everybody.
ACCEPTED_EXTENSIONS = {
    "audio": (EXTENSION_MID, EXTENSION_AUDIO_LEVEL, EXTENSION_TRANSPORT_NUMBER),
    "video": (
        EXTENSION_MID,
        EXTENSION_RID,
        EXTENSION_REPAIRED_RID,
        EXTENSION_TRANSPORT_NUMBER,
        EXTENSION_SEND_TIME,
    ),
}
TRANSPORT_FEEDBACK = "transport-cc"
REMB_FEEDBACK = "goog-remb"
# RFC 4585 §4.2, RFC 5104 §7.1, and the two drafts on how much a network carries
ACCEPTED_FEEDBACK = ("nack", "nack pli", "ccm fir", TRANSPORT_FEEDBACK, REMB_FEEDBACK)

DIRECTIONS = {
    "sendrecv": (True, True),
    "sendonly": (True, False),
    "recvonly": (False, True),
    "inactive": (False, False),
}
ANSWERED_DIRECTIONS = {
    (True, True): "sendrecv",
    (True, False): "recvonly",
    (False, True): "sendonly",
    (False, False): "inactive",
}
# RFC 8122 §5; weaker algorithms count for nothing.
FINGERPRINT_BYTES = {"sha-256": 32, "sha-384": 48, "sha-512": 64}

MAX_OFFER_CHARACTERS = 65_536  # a Chromium offer with six sections has about 20,000
MAX_RIDS = 3  # encodings of one camera: full size, half and a quarter; what is more is not answered
MAX_SECTIONS = 64  # a call of four needs six; the rest is room for strangers
MAX_FINGERPRINTS = 8  # aiortc offers three; each is compared once a handshake


@dataclass(frozen=True, slots=True, kw_only=True)
class Fingerprint:
    """`a=fingerprint` (RFC 8122 §5): algorithm in lower case, value in upper-case hex with colons."""

    algorithm: str
    value: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Codec:
    """A codec both ends speak: `payload_type` is the peer's, `feedback` is what both may send."""

    name: str  # "VP8", "H264" or "opus", however the peer spelt it
    payload_type: int
    clock_rate: int
    channels: int | None
    parameters: tuple[tuple[str, str], ...]
    feedback: tuple[str, ...]
    repair_payload_type: int | None = None  # of its retransmissions (RFC 4588, `rtx` with `apt`)

    def parameter(self, name: str) -> str | None:
        return dict(self.parameters).get(name)


@dataclass(frozen=True, slots=True, kw_only=True)
class MediaSection:
    """One m-line. A section that is not accepted is kept, because the answer must name it in its place."""

    mid: str
    kind: str  # "audio" or "video" where accepted; whatever the offer says otherwise
    accepted: bool
    sends: bool
    receives: bool
    codecs: tuple[Codec, ...]  # in the peer's order of preference; never empty where accepted
    header_extensions: tuple[tuple[str, int], ...]  # (URI, the peer's id), accepted ones only
    ssrcs: tuple[int, ...]  # of media; repair streams of `ssrc-group:FID` are left out
    cname: str | None
    protocol: str
    formats: tuple[str, ...]
    repairs: tuple[tuple[int, int], ...] = ()  # (SSRC of media, SSRC of its retransmissions)
    redundant_payload_type: int | None = None  # RED over the section's Opus (RFC 2198)
    rids: tuple[str, ...] = ()  # of the encodings that it sends, as the offer orders them; () or two at least
    paused_rids: frozenset[str] = frozenset()  # of them: those that it does not send at first

    def extension_id(self, uri: str) -> int | None:
        return dict(self.header_extensions).get(uri)


@dataclass(frozen=True, slots=True, kw_only=True)
class Offer:
    """What a peer offers. There is at least one accepted section and at least one fingerprint."""

    ice_ufrag: str
    ice_pwd: str
    fingerprints: tuple[Fingerprint, ...]
    sections: tuple[MediaSection, ...]

    def ssrcs(self) -> set[int]:
        """All that the offer names, of media and of repair streams."""
        named = {ssrc for section in self.sections for ssrc in section.ssrcs}
        return named.union(*(pair for section in self.sections for pair in section.repairs))

    def accepted_sections(self) -> tuple[MediaSection, ...]:
        return tuple(section for section in self.sections if section.accepted)

    def sending_sections(self) -> tuple[MediaSection, ...]:
        return tuple(section for section in self.sections if section.accepted and section.sends)


@dataclass(frozen=True, slots=True, kw_only=True)
class SlotSsrcs:
    """One receive slot: where the media of one other person goes, under SSRCs of our own."""

    slot: int
    audio_ssrc: int | None
    video_ssrc: int | None
    audio_section: MediaSection | None
    video_section: MediaSection | None
    repair_ssrc: int | None = None  # of the video's retransmissions, where the peer speaks them

    @property
    def cname(self) -> str:
        """Stream id and canonical name alike, so that browsers keep sound and picture in step."""
        return f"slot{self.slot}"


def lay_out_slots(offer: Offer, random32: Callable[[], int]) -> tuple[SlotSsrcs, ...]:
    """Pair the receiving sections; every SSRC is new to the peer (RFC 3550 §8: no collision)."""
    taken = offer.ssrcs() | {0}

    def new_ssrc() -> int:
        while (ssrc := random32()) in taken:
            pass
        taken.add(ssrc)
        return ssrc

    audio = [section for section in offer.accepted_sections() if section.receives and section.kind == "audio"]
    video = [section for section in offer.accepted_sections() if section.receives and section.kind == "video"]
    return tuple(
        SlotSsrcs(
            slot=slot,
            audio_section=audio[slot] if slot < len(audio) else None,
            audio_ssrc=new_ssrc() if slot < len(audio) else None,
            video_section=video[slot] if slot < len(video) else None,
            video_ssrc=new_ssrc() if slot < len(video) else None,
            repair_ssrc=new_ssrc() if slot < len(video) and _is_repaired(video[slot]) else None,
        )
        for slot in range(max(len(audio), len(video)))
    )


def _is_repaired(section: MediaSection) -> bool:
    return any(codec.repair_payload_type is not None for codec in section.codecs)


@dataclass(slots=True)
class _Block:
    """The lines under one m-line, or those before the first: `a=name:value` by name, in order."""

    media: str
    attributes: dict[str, list[str]] = field(default_factory=dict)

    def first(self, name: str) -> str | None:
        values = self.attributes.get(name)
        return values[0] if values else None

    def all(self, name: str) -> list[str]:
        return self.attributes.get(name, [])


def parse_offer(sdp: str) -> Offer:
    """Read an offer of any browser; raises `MalformedOffer`, whose message tells its author what to mend."""
    session, blocks = _blocks(sdp)
    if not blocks:
        raise MalformedOffer("the offer has no media section (m= line)")
    if len(blocks) > MAX_SECTIONS:
        raise MalformedOffer(f"the offer has {len(blocks)} media sections; {MAX_SECTIONS} are the limit")

    bundle = _bundle_group(session)
    if bundle is None and len(blocks) > 1:
        raise MalformedOffer("the offer has several media sections without a=group:BUNDLE; there is one port")
    sections = tuple(_section(block, session, bundle) for block in blocks)
    mids = [section.mid for section in sections if section.mid]
    if len(set(mids)) != len(mids):
        raise MalformedOffer("two media sections have the same a=mid")
    accepted = [(s, b) for s, b in zip(sections, blocks, strict=True) if s.accepted]
    if not accepted:
        raise MalformedOffer(
            "no media section can be accepted: needed is audio with opus, or video with VP8 or H264 "
            "(packetization-mode=1, baseline), over DTLS-SRTP with a=mid and a=rtcp-mux"
        )

    # RFC 9143 §7.2: transport attributes are those of the first section the group names.
    by_mid = {section.mid: block for section, block in zip(sections, blocks, strict=True)}
    tagged = [by_mid[mid] for mid in bundle or () if mid in by_mid]
    sources = [*tagged, *(block for _, block in accepted), session]
    _check_roles(session, sources)
    return Offer(
        ice_ufrag=_ice(sources, "ice-ufrag", 4),
        ice_pwd=_ice(sources, "ice-pwd", 22),
        fingerprints=_fingerprints(sources),
        sections=sections,
    )


def _blocks(sdp: str) -> tuple[_Block, list[_Block]]:
    if len(sdp) > MAX_OFFER_CHARACTERS:
        raise MalformedOffer(f"the offer is longer than {MAX_OFFER_CHARACTERS} characters")
    lines = [line for line in re.split(r"\r\n|\r|\n", sdp) if line]
    if not lines or lines[0].strip() != "v=0":
        raise MalformedOffer("the offer does not begin with v=0")
    session = current = _Block(media="")
    blocks: list[_Block] = []
    for line in lines:
        if line.startswith("m="):
            current = _Block(media=line[2:])
            blocks.append(current)
        elif line.startswith("a="):
            name, _, value = line[2:].partition(":")
            current.attributes.setdefault(name.strip(), []).append(value.strip())
    return session, blocks


def _bundle_group(session: _Block) -> tuple[str, ...] | None:
    for value in session.all("group"):
        semantics, *mids = value.split() or [""]
        if semantics == "BUNDLE":
            return tuple(mids)
    return None


def _section(block: _Block, session: _Block, bundle: tuple[str, ...] | None) -> MediaSection:
    words = block.media.split()
    if len(words) < 4:
        raise MalformedOffer(f"the line m={block.media[:80]} lacks port, protocol or formats")
    kind, port, protocol, *formats = words
    mid = block.first("mid") or ""
    # RFC 9143 §6: port zero means rejected, unless the section is bundle-only.
    alive = port != "0" or "bundle-only" in block.attributes
    secured = protocol in ("UDP/TLS/RTP/SAVPF", "UDP/TLS/RTP/SAVP", "RTP/SAVPF", "RTP/SAVP")
    bundled = bool(mid) and (bundle is None or mid in bundle)
    candidate = (
        alive and secured and bundled and kind in ACCEPTED_EXTENSIONS and "rtcp-mux" in block.attributes
    )
    extensions = [*block.all("extmap"), *session.all("extmap")]
    is_numbered = any(EXTENSION_TRANSPORT_NUMBER in value.split() for value in extensions)
    codecs = tuple(_codecs(block, formats, is_numbered=is_numbered)) if candidate else ()
    sends, receives = _direction(block, session)
    rids, paused_rids = _encodings(block) if kind == "video" and sends and codecs else ((), frozenset())
    groups = [group for value in block.all("ssrc-group") if (group := _repair_group(value))]
    repairs = {ssrc for _, *others in groups for ssrc in others}
    sources = [(ssrc, rest) for value in block.all("ssrc") for ssrc, rest in _ssrc_line(value)]
    return MediaSection(
        mid=mid,
        kind=kind,
        accepted=bool(codecs),
        sends=sends,
        receives=receives,
        codecs=codecs,
        header_extensions=tuple(_extensions(block, session, kind, codecs, rids)) if codecs else (),
        ssrcs=tuple(dict.fromkeys(ssrc for ssrc, _ in sources if ssrc not in repairs)),
        cname=next((rest[6:] for _, rest in sources if rest.startswith("cname:") and rest[6:]), None),
        protocol=protocol,
        formats=tuple(formats),
        repairs=tuple((media, repair) for media, repair, *_ in groups),
        redundant_payload_type=_redundant_payload_type(block, formats, codecs),
        rids=rids,
        paused_rids=paused_rids,
    )


def _encodings(block: _Block) -> tuple[tuple[str, ...], frozenset[str]]:
    """Those that are sent, and which of them are paused (RFC 8853 §5.1: `~`); of alternatives the first."""
    sent = {words[0] for value in block.all("rid") if (words := value.split())[1:2] == ["send"]}
    words = (block.first("simulcast") or "").split()
    streams = dict(zip(words[::2], words[1::2], strict=False)).get("send", "")
    rids: list[str] = []
    paused: set[str] = set()
    for alternatives in streams.split(";"):
        first = alternatives.split(",")[0]
        rid = first.removeprefix("~")
        # RFC 8852 §3: letters and digits; RFC 8285 §4.2: up to 16 octets in the one-byte form.
        if rid not in sent or rid in rids or re.fullmatch("[A-Za-z0-9]{1,16}", rid) is None:
            continue
        rids.append(rid)
        if first != rid:
            paused.add(rid)
    kept = tuple(rids[:MAX_RIDS]) if len(rids) > 1 else ()
    return kept, frozenset(paused) & frozenset(kept)


def _direction(block: _Block, session: _Block) -> tuple[bool, bool]:
    for attributes in (block.attributes, session.attributes):
        for name, direction in DIRECTIONS.items():
            if name in attributes:
                return direction
    return True, True  # RFC 8866 §6.7: sendrecv is the default


def _codecs(block: _Block, formats: Sequence[str], *, is_numbered: bool) -> Iterable[Codec]:
    maps = dict(_numbered(block.all("rtpmap")))
    parameters = dict(_numbered(block.all("fmtp")))
    feedback: dict[str, list[str]] = {}
    for value in block.all("rtcp-fb"):
        payload_type, _, wish = value.partition(" ")
        feedback.setdefault(payload_type, []).append(wish.strip().lower())

    repairs = _repair_payload_types(maps, parameters)
    for payload_type in dict.fromkeys(formats):
        number = _number(payload_type, 127)
        encoding = maps.get(payload_type)
        if number is None or encoding is None:
            continue
        name, clock_rate, channels = [*encoding.lower().split("/"), "", ""][:3]
        pairs = tuple(_parameters(parameters.get(payload_type, "")))
        wishes = feedback.get(payload_type, []) + feedback.get("*", [])
        if not is_numbered:  # of packets without numbers nobody can be told
            wishes = [wish for wish in wishes if wish != TRANSPORT_FEEDBACK]
        agreed = tuple(
            wish
            for wish in ACCEPTED_FEEDBACK
            # Who is told when each packet came needs no sum of it.
            if wish in wishes and not (wish == REMB_FEEDBACK and TRANSPORT_FEEDBACK in wishes)
        )
        if (name, clock_rate, channels) == ("opus", "48000", "2"):  # RFC 7587 §7: always these two
            # Chromium repairs audio only where the answer says nack, and never offers it by itself.
            yield Codec(
                name="opus",
                payload_type=number,
                clock_rate=48_000,
                channels=2,
                parameters=pairs,
                feedback=("nack", *(wish for wish in agreed if wish == TRANSPORT_FEEDBACK)),
            )
        elif (name, clock_rate) == ("vp8", "90000"):
            yield Codec(
                name="VP8",
                payload_type=number,
                clock_rate=90_000,
                channels=None,
                parameters=pairs,
                feedback=agreed,
                repair_payload_type=repairs.get(number),
            )
        elif (name, clock_rate) == ("h264", "90000") and _is_baseline_in_fragments(pairs):
            yield Codec(
                name="H264",
                payload_type=number,
                clock_rate=90_000,
                channels=None,
                parameters=pairs,
                feedback=agreed,
                repair_payload_type=repairs.get(number),
            )


def _repair_payload_types(maps: dict[str, str], parameters: dict[str, str]) -> dict[int, int]:
    """RFC 4588 §8.6: the payload type of retransmissions by that of the media they belong to (`apt`)."""
    found: dict[int, int] = {}
    for payload_type, encoding in maps.items():
        number = _number(payload_type, 127)
        apt = _number(dict(_parameters(parameters.get(payload_type, ""))).get("apt", ""), 127)
        if encoding.lower() == "rtx/90000" and number is not None and apt is not None:
            found.setdefault(apt, number)
    return found


def _is_baseline_in_fragments(parameters: tuple[tuple[str, str], ...]) -> bool:
    # RFC 6184 §8.1: profile_idc 0x42 is (constrained) baseline, also the default; mode 1 allows FU-A.
    values = dict(parameters)
    profile = values.get("profile-level-id", "42000a")
    return values.get("packetization-mode") == "1" and re.fullmatch(r"42[0-9a-fA-F]{4}", profile) is not None


def _parameters(value: str) -> Iterable[tuple[str, str]]:
    for pair in value.split(";"):
        name, equals, content = pair.strip().partition("=")
        if name and equals:
            yield name.strip().lower(), content.strip()


def _numbered(values: Iterable[str]) -> Iterable[tuple[str, str]]:
    for value in values:
        number, _, rest = value.partition(" ")
        yield number, rest.strip()


def _extensions(
    block: _Block, session: _Block, kind: str, codecs: Sequence[Codec], rids: Sequence[str]
) -> Iterable[tuple[str, int]]:
    wishes = {wish for codec in codecs for wish in codec.feedback}
    useless = {
        *(() if rids else (EXTENSION_RID, EXTENSION_REPAIRED_RID)),
        *(() if TRANSPORT_FEEDBACK in wishes else (EXTENSION_TRANSPORT_NUMBER,)),
        *(() if REMB_FEEDBACK in wishes else (EXTENSION_SEND_TIME,)),
    }
    seen: set[str] = set(useless)
    for value in [*block.all("extmap"), *session.all("extmap")]:
        words = value.split()
        if len(words) < 2:
            continue
        # RFC 8285 §5: id 15 is reserved in the one-byte form, the only form sent here.
        number = _number(words[0].partition("/")[0], 14)
        if number and words[1] in ACCEPTED_EXTENSIONS[kind] and words[1] not in seen:
            seen.add(words[1])
            yield words[1], number


def _ssrc_line(value: str) -> Iterable[tuple[int, str]]:
    number, _, rest = value.partition(" ")
    ssrc = _number(number, 0xFFFF_FFFF)
    if ssrc is not None:
        yield ssrc, rest.strip()


def _repair_group(value: str) -> list[int]:
    """RFC 5576 §4.2, RFC 4588 §8.2: in FID and FEC-FR the first source is the media, the others repair it."""
    semantics, *numbers = value.split() or [""]
    if semantics not in ("FID", "FEC-FR") or len(numbers) < 2:
        return []
    ssrcs = [ssrc for number in numbers if (ssrc := _number(number, 0xFFFF_FFFF)) is not None]
    return ssrcs if len(ssrcs) == len(numbers) else []


def _redundant_payload_type(block: _Block, formats: Sequence[str], codecs: Sequence[Codec]) -> int | None:
    # RFC 2198 §5: the format parameters of red are the payload types of its blocks.
    opus = {str(codec.payload_type) for codec in codecs if codec.name == "opus"}
    parameters = dict(_numbered(block.all("fmtp")))
    for payload_type, encoding in _numbered(block.all("rtpmap")):
        blocks = set(parameters.get(payload_type, "").split("/"))
        if encoding.lower() == "red/48000/2" and payload_type in formats and blocks <= opus:
            return _number(payload_type, 127)
    return None


def _ice(sources: Iterable[_Block], name: str, shortest: int) -> str:
    value = next((value for source in sources if (value := source.first(name))), None)
    if value is None:
        raise MalformedOffer(f"the offer has no a={name}")
    # RFC 8839 §5.4: ice-char only, 4 to 256 of them in the fragment, 22 to 256 in the password.
    if not re.fullmatch(rf"[A-Za-z0-9+/]{{{shortest},256}}", value):
        raise MalformedOffer(f"a={name} must be {shortest} to 256 characters of A-Z a-z 0-9 + /")
    return value


def _fingerprints(sources: Iterable[_Block]) -> tuple[Fingerprint, ...]:
    for source in sources:
        found: list[Fingerprint] = []
        for line in source.all("fingerprint"):
            algorithm, _, value = line.partition(" ")
            size_bytes = FINGERPRINT_BYTES.get(algorithm.lower())
            if size_bytes is None:
                continue
            value = value.strip().upper()
            if not re.fullmatch(rf"[0-9A-F]{{2}}(:[0-9A-F]{{2}}){{{size_bytes - 1}}}", value):
                raise MalformedOffer(
                    f"a=fingerprint:{algorithm[:16]} is not {size_bytes} bytes of hex with colons"
                )
            found.append(Fingerprint(algorithm=algorithm.lower(), value=value))
        if len(found) > MAX_FINGERPRINTS:
            raise MalformedOffer(f"the offer has more than {MAX_FINGERPRINTS} fingerprints")
        if found:
            return tuple(found)
    raise MalformedOffer("the offer has no a=fingerprint of sha-256, sha-384 or sha-512")


def _check_roles(session: _Block, sources: Iterable[_Block]) -> None:
    # RFC 8842 §5.2: the offer says actpass. Passive leaves us the same part; active does not.
    setup = next((value for source in sources if (value := source.first("setup"))), "actpass")
    if setup not in ("actpass", "passive"):
        raise MalformedOffer("the offer must say a=setup:actpass: this end begins the DTLS handshake")
    if "ice-lite" in session.attributes:
        raise MalformedOffer("the offer says a=ice-lite: this end is lite too, and one must send the checks")


def _number(text: str, largest: int) -> int | None:
    if not re.fullmatch(r"[0-9]{1,10}", text):
        return None
    number = int(text)
    return number if number <= largest else None


def encode_answer(
    offer: Offer,
    *,
    ice_ufrag: str,
    ice_pwd: str,
    fingerprint: Fingerprint,
    candidates: Sequence[tuple[str, int]],
    tcp_candidates: Sequence[tuple[str, int]] = (),
    slots: Sequence[SlotSsrcs],
    start_bitrate_bps: int | None = None,
) -> str:
    """The answer (RFC 8829 §5.3): each accepted section with its slot's SSRC, the others with port zero.

    `candidates` are (IP address, UDP port), the preferred one first; at least one. Those for TCP follow. A
    camera may begin with `start_bitrate_bps`, where its browser has a word for it.
    """
    streams = {
        section.mid: (slot.cname, f"{slot.cname}-{section.kind}", *[ssrc for ssrc in ssrcs if ssrc])
        for slot in slots
        for section, ssrcs in (
            (slot.audio_section, (slot.audio_ssrc,)),
            (slot.video_section, (slot.video_ssrc, slot.repair_ssrc)),
        )
        if section is not None
    }
    accepted = offer.accepted_sections()
    lines = [
        "v=0",
        "o=- 1 1 IN IP4 0.0.0.0",
        "s=-",
        "t=0 0",
        "a=ice-lite",
        f"a=group:BUNDLE {' '.join(section.mid for section in accepted)}",
        "a=msid-semantic: WMS *",
    ]
    for section in offer.sections:
        if not section.accepted:
            # RFC 3264 §6: a rejected stream keeps its place and its formats, with port zero.
            lines.append(f"m={section.kind} 0 {section.protocol} {' '.join(section.formats)}")
            lines.append("c=IN IP4 0.0.0.0")
            if section.mid:
                lines.append(f"a=mid:{section.mid}")
            lines.append("a=inactive")
            continue
        host, port = candidates[0]
        formats = " ".join(map(str, _answered_formats(section)))
        lines += [
            f"m={section.kind} {port} {section.protocol} {formats}",
            f"c=IN {'IP6' if ':' in host else 'IP4'} {host}",
            f"a=mid:{section.mid}",
            f"a=ice-ufrag:{ice_ufrag}",
            f"a=ice-pwd:{ice_pwd}",
            f"a=fingerprint:{fingerprint.algorithm} {fingerprint.value}",
            "a=setup:active",
            "a=rtcp-mux",
            f"a={ANSWERED_DIRECTIONS[section.sends, section.receives]}",
        ]
        lines += [f"a=extmap:{number} {uri}" for uri, number in section.header_extensions]
        lines += _redundancy_lines(section)
        for codec in section.codecs:
            lines += _codec_lines(codec, start_bitrate_bps if section.sends else None)
        lines += _encoding_lines(section)
        if section.mid in streams:
            stream, track, *ssrcs = streams[section.mid]
            lines.append(f"a=msid:{stream} {track}")
            if len(ssrcs) > 1:
                lines.append(f"a=ssrc-group:FID {' '.join(map(str, ssrcs))}")
            for ssrc in ssrcs:
                lines += [f"a=ssrc:{ssrc} cname:{stream}", f"a=ssrc:{ssrc} msid:{stream} {track}"]
        # RFC 9143 §7.3.1 wants the candidates in the tagged section alone; aiortc reads those of the last,
        # and who reads the first passes over the others.
        lines += candidate_lines(candidates, tcp_candidates)
    return "\r\n".join(lines) + "\r\n"


def candidate_lines(
    candidates: Sequence[tuple[str, int]], tcp_candidates: Sequence[tuple[str, int]]
) -> list[str]:
    """All candidates of a lite end, those for UDP first, and the word that there are no more."""
    lines = []
    for order, (host, port) in enumerate(candidates):
        # RFC 8445 §5.1.2.1: type preference 126 for host, local preference by order, component 1.
        priority = 126 << 24 | (65_535 - order) << 8 | 255
        lines.append(f"a=candidate:{order + 1} 1 udp {priority} {host} {port} typ host")
    for order, (host, port) in enumerate(tcp_candidates):
        # RFC 6544 §4.2: a lower type preference than UDP's, direction preference 4 for passive.
        priority = 90 << 24 | (4 << 13 | 8_191 - order) << 8 | 255
        foundation = len(candidates) + order + 1
        lines.append(f"a=candidate:{foundation} 1 tcp {priority} {host} {port} typ host tcptype passive")
    return [*lines, "a=end-of-candidates"]


def _answered_formats(section: MediaSection) -> Iterable[int]:
    # RFC 3264 §6.1: the answerer's preference. Who is offered RED first sends it; loss at a door is the rule.
    if section.redundant_payload_type is not None:
        yield section.redundant_payload_type
    for codec in section.codecs:
        yield codec.payload_type
        if codec.repair_payload_type is not None:
            yield codec.repair_payload_type


def _redundancy_lines(section: MediaSection) -> Iterable[str]:
    number = section.redundant_payload_type
    if number is not None:
        opus = section.codecs[0].payload_type
        yield f"a=rtpmap:{number} red/48000/2"
        yield f"a=fmtp:{number} {opus}/{opus}"


def _encoding_lines(section: MediaSection) -> Iterable[str]:
    if section.rids:
        yield from (f"a=rid:{rid} recv" for rid in section.rids)
        # RFC 8853 §5.3.2: what the answer does not pause is sent.
        streams = (f"~{rid}" if rid in section.paused_rids else rid for rid in section.rids)
        yield f"a=simulcast:recv {';'.join(streams)}"


def _codec_lines(codec: Codec, start_bitrate_bps: int | None) -> Iterable[str]:
    channels = f"/{codec.channels}" if codec.channels else ""
    yield f"a=rtpmap:{codec.payload_type} {codec.name}/{codec.clock_rate}{channels}"
    yield from (f"a=rtcp-fb:{codec.payload_type} {wish}" for wish in codec.feedback)
    parameters: list[str] = []
    if codec.name == "opus":
        # RFC 7587 §6.1: in-band FEC, so that the packet after a lost one still tells its sound.
        parameters += ["minptime=10", "useinbandfec=1"]
    elif codec.name == "H264":
        # RFC 6184 §8.2.2: profile and packetization are those of the offer.
        kept = ("level-asymmetry-allowed", "packetization-mode", "profile-level-id")
        parameters += [f"{name}={value}" for name, value in codec.parameters if name in kept]
    if start_bitrate_bps is not None and codec.name != "opus":
        parameters.append(f"x-google-start-bitrate={start_bitrate_bps // 1000}")  # libwebrtc alone reads it
    if parameters:
        yield f"a=fmtp:{codec.payload_type} {';'.join(parameters)}"
    if codec.repair_payload_type is not None:
        yield f"a=rtpmap:{codec.repair_payload_type} rtx/{codec.clock_rate}"
        yield f"a=fmtp:{codec.repair_payload_type} apt={codec.payload_type}"

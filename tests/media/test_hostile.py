"""Hostile participants: what they send, within what the port takes of one peer, is not amplified.

Each attack is played against a call, and the same call is played without it: what the relay sent in the one
and not in the other is what the attack was worth.
"""

from __future__ import annotations

import asyncio
import random
import statistics
from collections.abc import AsyncIterator, Callable, Iterable
from dataclasses import dataclass, replace

import pytest

from media import picture_buffer
from media.allowance import Allowance
from media.binding import MAX_LEARNT
from media.encodings import RIDS
from media.forwarder import RESEND_BURST_BYTES, RESEND_SHARE
from media.keyframes import MAX_PROMPT_WISHES, MIN_INTERVAL_S, WISH_INTERVAL_S, KeyframeWishes
from media.nack import WISHES_A_SECOND, WISHES_AT_ONCE, NackGenerator
from media.packet_history import Kept
from media.peer import STATUSES_A_SECOND, STATUSES_AT_ONCE
from media.picture_buffer import PictureBuffer
from media.relay import Relay
from media.router import MAX_BEGUN, MAX_RECEPTIONS
from media.rtcp import (
    FullIntraRequest,
    Goodbye,
    Nack,
    PictureLossIndication,
    ReceiverEstimatedMaximumBitrate,
    RtcpPacket,
    SenderReport,
    TransportFeedback,
    encode_compound,
    parse_compound,
)
from media.rtp import HEADER, Ssrc, extension_block, payload
from media.transport import PACKETS_A_SECOND, PACKETS_AT_ONCE, RTCP_BYTES_A_SECOND
from tests.media.call_scenario import (
    INTERFRAME,
    KEYFRAME,
    MID_ID,
    NUMBER_ID,
    REPAIRED_RID_ID,
    RID_ID,
    SOUND,
    START,
    Admit,
    Join,
    Send,
    SimulatedCall,
    call_of,
    offer_of,
    page_offer,
    play,
)
from tests.media.client_peer import AUDIO_PAYLOAD_TYPE, VIDEO_PAYLOAD_TYPE, ClientPeer
from tests.media.leg_scenario import element

STEP_S = 0.02
SECONDS = 10.0
STEPS = round(SECONDS / STEP_S)
PICTURE_BYTES = 1_100
BYTES_A_STEP = round(RTCP_BYTES_A_SECOND * STEP_S)  # of RTCP: whatever is more is dropped by the port
PACKETS_A_STEP = round(PACKETS_A_SECOND * STEP_S)  # of RTP

Attack = Callable[[SimulatedCall, int], Iterable[bytes]]  # what the attacker, "c", sends in a step


@dataclass(slots=True)
class Sums:
    """What was sent in a call, in bytes of RTP and RTCP."""

    by_attacker: int = 0
    to_attacker: int = 0
    to_others: int = 0
    media_to_attacker: int = 0
    keyframes_asked: int = 0  # of one bystander
    nack_bytes: int = 0  # of what the bystanders are asked for
    most_at_once: int = 0  # packets that one packet or compound of the attacker made


def played(attack: Attack | None, *, loss: float = 0.0) -> tuple[SimulatedCall, Sums]:
    """Ten seconds of a and b, who send 100 packets of pictures a second, keyframes when asked, and of c."""
    joined_by_c = Join("c", SPEAKS_OF_NETWORKS if attack in ABOUT_NETWORKS else page_offer())
    call = play(*call_of("a", "b"), joined_by_c, Admit("c"))
    sums, rng = Sums(), random.Random(5)
    seen = {"a": 0, "b": 0}
    for step in range(STEPS):
        for peer_id in seen:
            told = call.told[peer_id][seen[peer_id] :]
            seen[peer_id] += len(told)
            wanted = step == 0 or any(isinstance(one, PictureLossIndication) for _, one in told)
            sender = call.sender(peer_id, "video")
            for place in range(20 if wanted else 2):
                body = KEYFRAME if wanted and place == 0 else INTERFRAME
                packet = sender.next_packet(body.ljust(PICTURE_BYTES, b"x"), step=0 if place else 1800)
                if rng.random() >= loss or place == 0:
                    call.deliver(peer_id, packet)
        for packet in attack(call, step) if attack is not None else ():
            sums.by_attacker += len(packet)
            before = sum(map(len, call.heard.values())) + sum(map(len, call.told.values()))
            if 191 < packet[1] < 224:
                call.perform(call.router.handle_rtcp("c", packet, call.now))
            else:
                call.deliver("c", packet)
            after = sum(map(len, call.heard.values())) + sum(map(len, call.told.values()))
            sums.most_at_once = max(sums.most_at_once, after - before)
        call.run(STEP_S)
    sizes = {
        peer_id: sum(len(one.packet) for one in call.heard[peer_id])
        + sum(len(encode_compound([packet])) for _, packet in call.told[peer_id])
        for peer_id in "abc"
    }
    sums.to_attacker, sums.to_others = sizes["c"], sizes["a"] + sizes["b"]
    sums.media_to_attacker = sum(
        leg.forwarder.sent_bytes for _, _, leg in call.router._peers["c"].legs.values()
    )
    sums.keyframes_asked = len(call.told_of("a", PictureLossIndication))
    sums.nack_bytes = sum(
        len(encode_compound([one])) for peer_id in "ab" for one in call.told_of(peer_id, Nack)
    )
    return call, sums


def within(packets: Iterable[RtcpPacket], size_bytes: int) -> Iterable[bytes]:
    """Compounds of one packet each, as many as fit."""
    for packet in packets:
        compound = encode_compound([packet])
        size_bytes -= len(compound)
        if size_bytes < 0:
            return
        yield compound


def nack_of_everything(call: SimulatedCall, step: int) -> Iterable[bytes]:
    """What is kept of each slot, nearly two seconds, over and over."""
    nacks = []
    for slot in range(2):
        if heard := call.heard_in("c", slot, "video"):
            newest = heard[-1].header
            numbers = tuple((newest.sequence_number - back) & 0xFFFF for back in range(180, -1, -1))
            nacks.append(Nack(ssrc=Ssrc(1), media_ssrc=newest.ssrc, sequence_numbers=numbers))
    return within(nacks, BYTES_A_STEP)


def picture_loss_storm(call: SimulatedCall, step: int) -> Iterable[bytes]:
    ssrcs = [call.ssrc_of_slot("c", slot, "video") for slot in range(2)] * 40
    return within((PictureLossIndication(ssrc=Ssrc(1), media_ssrc=ssrc) for ssrc in ssrcs), BYTES_A_STEP)


def full_intra_storm(call: SimulatedCall, step: int) -> Iterable[bytes]:
    ssrcs = [call.ssrc_of_slot("c", slot, "video") for slot in range(2)]
    commands = tuple((ssrcs[number % 2], number) for number in range(80))
    return within([FullIntraRequest(ssrc=Ssrc(1), commands=commands)], BYTES_A_STEP)


def rtp(payload_type: int, sequence_number: int, ssrc: int, body: bytes) -> bytes:
    timestamp = sequence_number * 90 & 0xFFFF_FFFF
    return HEADER.pack(0x80, payload_type, sequence_number & 0xFFFF, timestamp, ssrc) + body


def sequence_jumps(call: SimulatedCall, step: int) -> Iterable[bytes]:
    """Just short of a restart, restarts, and just what is still asked for."""
    rng = random.Random(step)
    number = step * 31_007
    for _ in range(PACKETS_A_STEP):
        number += rng.choice((1, 17, 500, 2_999, 3_001, 32_768, -2_999))
        yield rtp(96, number, 77, rng.choice((KEYFRAME, INTERFRAME)))


def foreign_ssrcs(call: SimulatedCall, step: int) -> Iterable[bytes]:
    """A stream a packet, under a name of its own or another's; each reports, and says goodbye."""
    rng = random.Random(step)
    others = [sender.ssrc for sender in call.senders.values()]
    for _ in range(PACKETS_A_STEP):
        ssrc = rng.choice([*others, rng.getrandbits(32)])
        yield rtp(rng.choice((96, 111)), rng.getrandbits(16), ssrc, KEYFRAME)
        report = SenderReport(
            ssrc=Ssrc(ssrc), ntp_timestamp=1, rtp_timestamp=1, packet_count=1, octet_count=1
        )
        if rng.random() < 0.4:
            yield encode_compound([report, Goodbye(ssrcs=(Ssrc(ssrc),))])


def late_keyframes(call: SimulatedCall, step: int) -> Iterable[bytes]:
    """Two streams in turn: pictures that nobody can begin with, then a keyframe of before all of them."""
    turn, place = divmod(step, 75)
    ssrc, start = 77 + turn % 2, turn // 2 * 4_000 + 1
    for number in range(start + place * PACKETS_A_STEP, start + (place + 1) * PACKETS_A_STEP):
        if number != start + 10:
            yield rtp(96, number, ssrc, INTERFRAME)
    if place == 74:
        yield rtp(96, start + 10, ssrc, KEYFRAME)


def forged_feedback(call: SimulatedCall, step: int) -> Iterable[bytes]:
    """All of it came at once, also what was not sent; and then nothing did, or long ago."""
    newest = len(call.heard["c"])
    told = []
    for place in range(40):
        numbers = range(newest - 150 + 17 * (place % 7), newest + 100)
        arrivals = tuple(
            None if place % 3 == 2 and number % 50 else step * STEP_S * (place % 3) for number in numbers
        )
        told.append(
            TransportFeedback(
                ssrc=Ssrc(1),
                media_ssrc=Ssrc(2),
                feedback_count=place & 0xFF,
                first=numbers[0] & 0xFFFF,
                arrivals=arrivals,
            )
        )
    return within(told, BYTES_A_STEP)


def leaping_limits(call: SimulatedCall, step: int) -> Iterable[bytes]:
    """Nothing, and more than there is, in turn."""
    limits = [0, 1 << 63] * 20
    return within(
        (ReceiverEstimatedMaximumBitrate(ssrc=Ssrc(1), bitrate_bps=limit, ssrcs=()) for limit in limits),
        BYTES_A_STEP,
    )


def named_encodings(call: SimulatedCall, step: int) -> Iterable[bytes]:
    """Seventeen streams, each of which says that it is now one encoding, now another, or its repairs."""
    rng = random.Random(step)
    for place in range(PACKETS_A_STEP):
        ssrc, rid = 0x500 + rng.randrange(17), rng.choice((*RIDS, "none", "", "low\0"))
        named = element(rng.choice((RID_ID, REPAIRED_RID_ID)), rid.encode() or b"\0")
        number = element(NUMBER_ID, (step * PACKETS_A_STEP + place & 0xFFFF).to_bytes(2))
        head = HEADER.pack(0x90, rng.choice((96, 97)), step & 0xFFFF, step * 1800, ssrc)
        mid = element(MID_ID, b"1") if rng.random() < 0.5 else b""
        yield head + extension_block(mid + named + number) + rng.choice((KEYFRAME, INTERFRAME))


def padding(call: SimulatedCall, step: int) -> Iterable[bytes]:
    """More of it than there is packet, none though some is announced, nothing but it (RFC 3550 §5.1)."""
    rng = random.Random(step)
    for place in range(PACKETS_A_STEP):
        number = step * PACKETS_A_STEP + place
        body = rng.choice(
            (b"", b"\0", b"\xff", INTERFRAME + b"\xff", KEYFRAME + bytes(9) + b"\x0a", b"\0\0\x03")
        )
        head = HEADER.pack(0xA0, rng.choice((96, 97)), number & 0xFFFF, number * 90, rng.choice((77, 78)))
        yield head + body


SPEAKS_OF_NETWORKS = page_offer(numbered=True, rtx=True, rids=RIDS)
ABOUT_NETWORKS = (forged_feedback, leaping_limits, named_encodings, padding)
NOTHING = played(None)[1]

# Extra bytes that the relay sends, by the byte that the attacker sends: to the attacker and to both others.
ATTACKS = [
    pytest.param(nack_of_everything, 1e9, 0.01, id="NACK of everything"),  # the media bound it: see below
    pytest.param(picture_loss_storm, 1.0, 1.0, id="PLI storm"),
    pytest.param(full_intra_storm, 1.0, 1.0, id="FIR storm"),
    pytest.param(sequence_jumps, 1.0, 2.1, id="sequence jumps"),  # what is forwarded goes to two
    pytest.param(foreign_ssrcs, 1.0, 2.1, id="foreign SSRCs"),
    pytest.param(late_keyframes, 1.0, 2.1, id="late keyframes"),
    pytest.param(forged_feedback, 1.0, 1.0, id="forged feedback"),
    pytest.param(leaping_limits, 1.0, 1.0, id="limits that leap"),
    pytest.param(named_encodings, 1.0, 2.1, id="17 SSRCs with the names of encodings"),
    pytest.param(padding, 1.0, 2.1, id="padding"),
]


@pytest.mark.parametrize(("attack", "to_attacker", "to_others"), ATTACKS)
def test_no_attack_is_amplified(attack: Attack, to_attacker: float, to_others: float) -> None:
    call, sums = played(attack)
    back = (sums.to_attacker - NOTHING.to_attacker) / sums.by_attacker
    on = (sums.to_others - NOTHING.to_others) / sums.by_attacker
    print(f"{sums.by_attacker} B sent; back x {back:.3f}, on x {on:.3f}; at once {sums.most_at_once}")
    assert back <= to_attacker
    assert on <= to_others
    assert sums.most_at_once <= 2 * MAX_BEGUN, "nothing of anybody else waits behind it"
    assert len(call.router._peers["c"].receptions) <= MAX_RECEPTIONS
    kept = [len(one.history) for one in call.router._peers["c"].receptions.values()]
    assert len(call.router._peers["c"].rids) <= MAX_LEARNT
    assert len(call.router._peers["c"].repairs) <= MAX_LEARNT
    assert sum(kept) <= 3.1 * PACKETS_A_SECOND, "two seconds, and one until they are looked over"
    assert [len(call.heard_in("b", slot, "video")) > 900 for slot in range(1)] == [True], "b sees a"


def test_who_misses_everything_gets_three_times_the_pictures_and_no_more() -> None:
    _call, sums = played(nack_of_everything)
    again = sums.to_attacker - NOTHING.to_attacker
    print(f"again x {again / sums.media_to_attacker:.2f} of the media")
    # Two streams, each with a burst of its own, and reports.
    assert again <= RESEND_SHARE * sums.media_to_attacker + 2 * RESEND_BURST_BYTES
    assert sums.nack_bytes <= NOTHING.nack_bytes, "what has come is asked of nobody"


def test_what_is_not_asked_for_is_not_saved_up() -> None:
    """After ten quiet seconds a second of storm brings a second's share and the burst."""

    def late_storm(call: SimulatedCall, step: int) -> Iterable[bytes]:
        return nack_of_everything(call, step) if step >= 0.9 * STEPS else ()

    _, sums = played(late_storm)
    again = sums.to_attacker - NOTHING.to_attacker
    assert again <= 0.12 * RESEND_SHARE * sums.media_to_attacker + 2 * RESEND_BURST_BYTES


def test_who_misses_what_never_came_makes_nobody_be_asked_without_end() -> None:
    """A tenth of what a and b send is lost for good. They are asked for it anyway; the storm adds little."""
    _, usual = played(None, loss=0.1)
    _, sums = played(nack_of_everything, loss=0.1)
    upstream = (sums.nack_bytes - usual.nack_bytes) / sums.by_attacker
    print(f"upstream x {upstream:.3f}; keyframes {usual.keyframes_asked} -> {sums.keyframes_asked}")
    assert upstream <= 1
    assert sums.keyframes_asked <= usual.keyframes_asked + 2


@pytest.mark.parametrize("storm", [picture_loss_storm, full_intra_storm])
def test_a_storm_brings_few_keyframes(storm: Attack) -> None:
    _, sums = played(storm)
    assert sums.keyframes_asked <= NOTHING.keyframes_asked + MAX_PROMPT_WISHES + SECONDS / WISH_INTERVAL_S


def test_a_storm_does_not_delay_the_wish_of_another() -> None:
    call, _ = played(picture_loss_storm)
    call.deliver("a", call.sender("a", "video").next_packet(KEYFRAME, step=1800))
    call.run(MIN_INTERVAL_S)
    before = len(call.told_of("a", PictureLossIndication))
    wish = PictureLossIndication(ssrc=Ssrc(1), media_ssrc=call.ssrc_of_slot("b", 0, "video"))
    call.deliver_rtcp("b", wish)
    assert len(call.told_of("a", PictureLossIndication)) == before + 1


def test_a_wish_beyond_the_bound_is_put_off_and_heard() -> None:
    wishes = KeyframeWishes()
    heard = [wishes.handle_wish(START) for _ in range(MAX_PROMPT_WISHES + 3)]
    assert heard == [START] * MAX_PROMPT_WISHES + [START + WISH_INTERVAL_S] * 3
    assert wishes.handle_wish(START + 1) == START + WISH_INTERVAL_S
    rested = START + 100
    assert [wishes.handle_wish(rested) for _ in range(MAX_PROMPT_WISHES)] == [rested] * MAX_PROMPT_WISHES


def test_a_wish_that_was_put_off_is_asked_for_by_itself() -> None:
    """A sender that answers at once, and a receiver that asks again at once, until it is put off."""
    call = play(*call_of("a", "b"))
    wish = PictureLossIndication(ssrc=Ssrc(1), media_ssrc=call.ssrc_of_slot("b", 0, "video"))

    def asked() -> int:
        return len(call.told_of("a", PictureLossIndication))

    for count in range(MAX_PROMPT_WISHES):
        call.deliver("a", call.sender("a", "video").next_packet(KEYFRAME))
        call.deliver_rtcp("b", wish)
        call.run(MIN_INTERVAL_S)
        assert asked() == count + 1
    call.deliver("a", call.sender("a", "video").next_packet(KEYFRAME))
    call.deliver_rtcp("b", wish)
    call.run(0.0)
    assert asked() == MAX_PROMPT_WISHES
    call.run(WISH_INTERVAL_S)
    assert asked() > MAX_PROMPT_WISHES


def test_wishes_leave_room_for_what_is_missed_here_and_cost_no_keyframes() -> None:
    nacks = NackGenerator(max_age_s=2.0)
    for index in range(5_000):
        nacks.handle_wish(index, START)
    assert len(nacks) == WISHES_AT_ONCE
    given_up = 0
    for step in range(1_000):
        now = START + step * 0.01
        nacks.handle_wish(10_000 + step, now)
        given_up += nacks.handle_timeout(now, 0.05)[1]
    assert given_up == 0
    assert len(nacks._wished) <= WISHES_AT_ONCE + 10 * WISHES_A_SECOND


def test_an_allowance_is_so_much_at_once_and_so_much_a_second() -> None:
    allowance = Allowance(burst=10, per_second=4)
    assert [allowance.take(7, START), allowance.take(7, START), allowance.take(1, START)] == [7, 3, 0]
    assert allowance.take(9, START + 0.5) == 2
    assert allowance.take(99, START + 100) == 10


def test_redundancy_within_redundancy_is_nobodys() -> None:
    """Each block of a packet of RED may claim to be a packet that is missing; not to be RED again."""
    offer = page_offer()
    sections = [replace(offer.sections[0], redundant_payload_type=63), *offer.sections[1:]]
    call = play(*call_of("a", "b"))
    call.router.remove_peer("a", call.now)
    call.perform(call.router.add_peer("a", offer_of(*sections), call.slots["a"], call.now))
    call.perform(call.router.admit("a", call.now))

    def within_red(depth: int) -> bytes:
        inner = within_red(depth - 1) if depth else SOUND
        kind = 63 if depth else 111
        return (0x80 | kind).to_bytes(1) + (960 << 10 | len(inner)).to_bytes(3) + bytes([111]) + inner + SOUND

    call.deliver("a", rtp(111, 1, 77, SOUND))
    assert len(call.deliver("a", rtp(63, 100, 77, within_red(30)))) == 1
    call.deliver("a", rtp(111, 200, 77, SOUND))
    made = sum(len(call.deliver("a", rtp(63, 200 + 9 * n, 77, _full_red()))) for n in range(1, 200))
    assert made <= 199 + 100, "no more comes back than a sender of sound can have lost"


def _full_red() -> bytes:
    headers = b"".join((0x80 | 111).to_bytes(1) + (960 << 10 | 1).to_bytes(3) for _ in range(8))
    return headers + bytes([111]) + b"x" * 9


def test_a_keyframe_that_begins_again_and_again_is_not_read_anew_each_time(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Its packets come in reverse, each the start of a keyframe: work grows with them, not their square."""
    read = 0

    def counted(packet: bytes) -> bytes:
        nonlocal read
        read += 1
        return payload(packet)

    monkeypatch.setattr(picture_buffer, "rtp_payload", counted)
    buffer = PictureBuffer()
    for number in range(2_900, 0, -1):
        packet = HEADER.pack(0x80, 96, number, 5, 7) + KEYFRAME
        buffer.handle_packet(Kept(packet, START), "VP8", True)
    assert read <= 2 * 2_900


# Over real sockets: two calls on one port.

FLOOD_FACTOR = 20  # times what a peer may send
FLOOD_S = 3.0
BATCH_S = 0.005


@pytest.fixture
async def relay() -> AsyncIterator[Relay]:
    relay = await Relay.open(host="127.0.0.1", port=0, announce=())
    yield relay
    await relay.close()


async def joined(relay: Relay, call_id: str, participant_id: str, *, over_tcp: bool = False) -> ClientPeer:
    peer = await ClientPeer.open(over_tcp=over_tcp)
    peer.connect(relay.connect(call_id, participant_id, peer.offer()).answer)
    async with asyncio.timeout(10):
        while relay.connection_state(call_id, participant_id) != "connected":  # noqa: ASYNC110  # nobody tells
            await asyncio.sleep(0.005)
    relay.admit(call_id, participant_id)
    return peer


async def flood(peer: ClientPeer, slots: set[int], began: float) -> int:
    """20 times the packets that one may send, and storms of feedback; how many bytes."""
    loop, sent_bytes, number = asyncio.get_running_loop(), 0, 0
    count = round(FLOOD_FACTOR * PACKETS_A_SECOND * BATCH_S)
    while (passed_s := loop.time() - began) < FLOOD_S:
        for _ in range(count):
            number += 1
            body = KEYFRAME if number % 50 == 1 else INTERFRAME
            packet = rtp(VIDEO_PAYLOAD_TYPE, number, peer.video_ssrc, body.ljust(200, b"x"))
            peer.send_rtp(packet)
            sent_bytes += len(packet)
        for ssrc in slots:
            numbers = tuple(range(round(passed_s * 50) & 0xFFFF, 0x8000, 17))[:200]
            compound = encode_compound(
                [
                    Nack(ssrc=Ssrc(1), media_ssrc=Ssrc(ssrc), sequence_numbers=numbers),
                    PictureLossIndication(ssrc=Ssrc(1), media_ssrc=Ssrc(ssrc)),
                ]
            )
            peer.send_rtcp(compound)
            sent_bytes += len(compound)
        await asyncio.sleep(BATCH_S)
    return sent_bytes


async def test_a_flood_in_one_call_leaves_the_other_alone(relay: Relay) -> None:
    attacker, victim = await joined(relay, "call 1", "attacker"), await joined(relay, "call 1", "victim")
    speaker, hearer = await joined(relay, "call 2", "speaker"), await joined(relay, "call 2", "hearer")
    loop = asyncio.get_running_loop()
    sent_at: dict[int, float] = {}
    heard_at: dict[int, float] = {}
    slots: set[int] = set()
    got = {"attacker": 0, "victim": 0}

    def hear(packet: bytes) -> None:
        heard_at.setdefault(int.from_bytes(packet[12:16]), loop.time())

    def count(who: str) -> Callable[[bytes], None]:
        def note(packet: bytes) -> None:
            got[who] += len(packet)
            if who == "attacker" and not 191 < packet[1] < 224:
                slots.add(int.from_bytes(packet[8:12]))

        return note

    hearer.on_rtp = hear
    attacker.on_rtp = attacker.on_rtcp = count("attacker")
    victim.on_rtp = victim.on_rtcp = count("victim")
    flooding = asyncio.create_task(flood(attacker, slots, loop.time()))
    number = 0
    while not flooding.done():
        number += 1
        sent_at[number] = loop.time()
        speaker.send_rtp(
            rtp(AUDIO_PAYLOAD_TYPE, number, speaker.audio_ssrc, number.to_bytes(4) + SOUND.ljust(80))
        )
        body = (KEYFRAME if number == 1 else INTERFRAME).ljust(1_000, b"x")
        victim.send_rtp(rtp(VIDEO_PAYLOAD_TYPE, number, victim.video_ssrc, body))
        await asyncio.sleep(0.02)
    sent_bytes = await flooding
    await asyncio.sleep(0.3)
    delays = [heard_at[number] - sent_at[number] for number in sent_at if number in heard_at]
    excess = relay.datagrams()["excess"]
    sent = relay.traffic("call 1")["attacker"].sent_packets
    back, on = got["attacker"] / sent_bytes, got["victim"] / sent_bytes
    print(f"attacker {sent_bytes} B: back x {back:.3f}, on x {on:.3f}, {sent} let in, {excess} refused")
    print(f"the other call: median {statistics.median(delays):.4f} s, worst {max(delays):.4f} s")
    assert heard_at.keys() == sent_at.keys(), "every packet of the other call arrives"
    assert statistics.median(delays) <= 0.05
    assert excess > 0
    assert sent <= PACKETS_AT_ONCE + PACKETS_A_SECOND * (FLOOD_S + 1)
    assert back <= 1 and on <= 1
    for peer in (attacker, victim, speaker, hearer):
        peer.close()


@pytest.mark.parametrize("over_tcp", [False, True], ids=["UDP", "TCP"])
async def test_what_is_more_than_a_share_is_counted_and_goes_nowhere(relay: Relay, over_tcp: bool) -> None:
    peer = await joined(relay, "call", "peer", over_tcp=over_tcp)
    for number in range(2 * PACKETS_AT_ONCE):
        peer.send_rtp(rtp(AUDIO_PAYLOAD_TYPE, number, peer.audio_ssrc, SOUND))
        if number % 50 == 0:
            await asyncio.sleep(0.001)
    report = encode_compound([Goodbye(ssrcs=(Ssrc(1),))]) * 150
    await asyncio.sleep(0.3)
    refused = relay.datagrams()["excess"]
    assert refused > 0
    assert relay.traffic("call")["peer"].sent_packets <= 2 * PACKETS_AT_ONCE - refused
    for _ in range(100):
        peer.send_rtcp(report)
    await asyncio.sleep(0.3)
    assert relay.datagrams()["excess"] > refused, "feedback has a share of its own"
    peer.close()


async def test_who_forges_an_address_uses_up_nobodys_share(relay: Relay) -> None:
    peer = await joined(relay, "call", "peer")
    before = relay.datagrams()["unauthenticated_srtp"]
    for number in range(2 * PACKETS_AT_ONCE):
        peer.send(rtp(AUDIO_PAYLOAD_TYPE, number, peer.audio_ssrc, bytes(40)))  # as if from there: no key
        if number % 50 == 0:
            await asyncio.sleep(0.001)
    peer.send_rtp(rtp(AUDIO_PAYLOAD_TYPE, 1, peer.audio_ssrc, SOUND))
    await asyncio.sleep(0.3)
    assert relay.datagrams()["unauthenticated_srtp"] - before == 2 * PACKETS_AT_ONCE
    assert relay.traffic("call")["peer"].sent_packets == 1
    assert relay.datagrams()["excess"] == 0
    peer.close()


def test_what_a_receiver_claims_of_its_packets_is_read_within_an_allowance() -> None:
    """A run length names a thousand packets in two bytes: bytes do not bound what reading them costs."""
    statuses = Allowance(burst=STATUSES_AT_ONCE, per_second=STATUSES_A_SECOND)

    def read(compound: bytes, now: float) -> int:
        packets = parse_compound(compound, lambda cost: statuses.take_all(cost, now))
        return sum(len(packet.arrivals) for packet in packets if isinstance(packet, TransportFeedback))

    claims = TransportFeedback(
        ssrc=Ssrc(1), media_ssrc=Ssrc(2), feedback_count=0, first=0, arrivals=(1.0, *(None,) * 899, 1.0)
    )
    most = STATUSES_AT_ONCE + SECONDS * STATUSES_A_SECOND
    assert (
        0.5 * most < sum(read(encode_compound([claims] * 4), step * STEP_S) for step in range(STEPS)) <= most
    )
    modest = TransportFeedback(
        ssrc=Ssrc(1), media_ssrc=Ssrc(2), feedback_count=0, first=0, arrivals=(1.0,) * 100
    )
    assert [read(encode_compound([modest]), SECONDS + 1 + 0.05 * place) for place in range(20)] == [
        100
    ] * 20, "two thousand a second are three cameras of 2.5 Mbit/s"


def test_what_is_beyond_a_receivers_allowance_moves_nothing() -> None:
    call = play(
        Join("a", page_offer(numbered=True, rtx=True)),
        Join("c", page_offer(numbered=True, rtx=True)),
        Admit("a"),
        Admit("c"),
        Send("a", "audio", 8),
    )
    peer = call.router._peers["c"]
    told = TransportFeedback(
        ssrc=Ssrc(1),
        media_ssrc=Ssrc(2),
        feedback_count=0,
        first=0,
        arrivals=(1.0,) * 8,
    )
    peer.statuses = Allowance(burst=0, per_second=0)
    call.deliver_rtcp("c", told)
    assert not peer.downlink.estimator.has_feedback
    peer.statuses = Allowance(burst=STATUSES_AT_ONCE, per_second=STATUSES_A_SECOND)
    call.deliver_rtcp("c", told)
    assert peer.downlink.estimator.has_feedback

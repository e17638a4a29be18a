"""What is sent and read is what pylibsrtp's own sessions make of it, in every profile, from the first on."""

from __future__ import annotations

import os

import pytest
from aiortc.rtcdtlstransport import SRTP_PROFILES
from pylibsrtp import Policy, Session

from media.rtcp import ReceiverReport, encode_compound
from media.rtp import HEADER, Ssrc
from media.srtp import MAX_PACKET_BYTES, SRTP_ERRORS, PacketMemory, Protector, Unprotector

PROFILES = [
    pytest.param(one.libsrtp_profile, one.key_length + one.salt_length, id=one.openssl_profile.decode())
    for one in SRTP_PROFILES
]
SIZES = range(0, 1_300, 26)


def sessions(profile: int, key: bytes) -> tuple[Session, Session, Session]:
    """Two that send and one that receives, with the same key."""
    outbound, inbound = Policy.SSRC_ANY_OUTBOUND, Policy.SSRC_ANY_INBOUND
    first, second, third = (
        Session(Policy(key=key, ssrc_type=direction, srtp_profile=profile))
        for direction in (outbound, outbound, inbound)
    )
    return first, second, third


def packet_of(number: int, size_bytes: int) -> bytes:
    return HEADER.pack(0x80, 96, number, 5, 7) + bytes([number]) * size_bytes


@pytest.mark.parametrize(("profile", "key_bytes"), PROFILES)
def test_against_pylibsrtp(profile: int, key_bytes: int) -> None:
    ours, theirs, receiver = sessions(profile, os.urandom(key_bytes))
    protector, unprotector, memory = Protector(ours), Unprotector(receiver), PacketMemory(1)
    for number, size_bytes in enumerate(SIZES):
        packet = packet_of(number, size_bytes)
        shared = b"another head" + packet[12:]
        datagram = protector.protect(packet[:12], shared, 12)
        assert datagram == theirs.protect(packet)
        for forged in (datagram[:-1] + bytes([datagram[-1] ^ 1]), datagram[:-1], datagram[:14]):
            memory.write(0, forged)
            with pytest.raises(SRTP_ERRORS):
                unprotector.unprotect(memory, 0, len(forged))
        memory.write(0, datagram)
        assert unprotector.unprotect(memory, 0, len(datagram)) == packet
        memory.write(0, datagram)
        with pytest.raises(SRTP_ERRORS):
            unprotector.unprotect(memory, 0, len(datagram))


@pytest.mark.parametrize(("profile", "key_bytes"), PROFILES)
def test_rtcp_against_pylibsrtp(profile: int, key_bytes: int) -> None:
    ours, theirs, receiver = sessions(profile, os.urandom(key_bytes))
    protector, memory = Protector(ours, rtcp=True), PacketMemory(1)
    unprotector = Unprotector(receiver, rtcp=True)
    for _ in range(3):
        compound = encode_compound([ReceiverReport(ssrc=Ssrc(7))])
        datagram = protector.protect(compound, b"", 0)
        assert datagram == theirs.protect_rtcp(compound)
        memory.write(0, datagram)
        assert unprotector.unprotect(memory, 0, len(datagram)) == compound


def test_what_is_encrypted_in_place_is_nobody_elses() -> None:
    ours, _, _ = sessions(Policy.SRTP_PROFILE_AES128_CM_SHA1_80, os.urandom(30))
    protector, packet = Protector(ours), packet_of(1, 500)
    before = bytes(bytearray(packet))
    sent = [protector.protect(HEADER.pack(0x80, 96, number, 5, 7), packet, 12) for number in range(4)]
    assert packet == before
    assert len(set(sent)) == 4
    assert {len(datagram) for datagram in sent} == {len(packet) + 10}


def test_what_is_too_long_is_refused_and_the_next_is_not() -> None:
    ours, theirs, _ = sessions(Policy.SRTP_PROFILE_AEAD_AES_128_GCM, os.urandom(28))
    protector = Protector(ours)
    for number in range(3):
        with pytest.raises(SRTP_ERRORS):
            protector.protect(bytes(12), bytes(MAX_PACKET_BYTES + 1), 12)
        packet = packet_of(number, 10)
        assert protector.protect(packet, b"", 0) == theirs.protect(packet)

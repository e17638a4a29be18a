"""The lite end answers whoever has the password, learns addresses from nobody else, and follows the peer."""

from __future__ import annotations

from dataclasses import dataclass

import pytest
from aioice import stun as oracle

from media.errors import IllegalCheck
from media.ice import (
    MAX_ADDRESSES,
    MEDIA_HOLDS_S,
    MEDIA_QUIET_S,
    SELECTED_QUIET_S,
    Credentials,
    Forgotten,
    IceLite,
    Learned,
    Output,
    Reply,
    Retired,
    Selected,
)
from media.stun import Address, BindingRequest, parse_binding_request

PWD = "p" * 22
WIFI: Address = ("192.0.2.1", 1111)
MOBILE: Address = ("198.51.100.1", 2222)


def machine() -> IceLite:
    return IceLite(Credentials(ufrag="ours", pwd=PWD, remote_ufrag="theirs"))


def request(
    *,
    username: str = "ours:theirs",
    pwd: str = PWD,
    use_candidate: bool = False,
    role: str = "ICE-CONTROLLING",
) -> BindingRequest:
    message = oracle.Message(
        oracle.Method.BINDING, oracle.Class.REQUEST, attributes={"USERNAME": username, "PRIORITY": 1, role: 1}
    )
    if use_candidate:
        message.attributes["USE-CANDIDATE"] = None
    message.add_message_integrity(pwd.encode())
    return parse_binding_request(bytes(message))


def without_replies(outputs: list[Output]) -> list[Output]:
    return [output for output in outputs if not isinstance(output, Reply)]


def test_the_first_check_is_answered_and_selects_its_address() -> None:
    reply, *others = machine().handle_check(request(), WIFI, 0.0)
    assert isinstance(reply, Reply)
    assert oracle.parse_message(reply.datagram).attributes["XOR-MAPPED-ADDRESS"] == WIFI
    assert others == [Learned(address=WIFI), Selected(address=WIFI)]


@pytest.mark.parametrize(
    "forged",
    [
        request(pwd="q" * 22),
        request(username="ours:others"),
        request(username="other:theirs"),
        request(username="theirs:ours"),
    ],
)
def test_a_check_that_is_not_the_peers_changes_nothing(forged: BindingRequest) -> None:
    ice = machine()
    ice.handle_check(request(), WIFI, 0.0)
    with pytest.raises(IllegalCheck):
        ice.handle_check(forged, MOBILE, 100.0)
    assert ice.selected == WIFI
    assert ice.addresses == (WIFI,)


def test_a_peer_that_would_be_controlled_is_told_to_switch() -> None:
    ice = machine()
    (reply,) = ice.handle_check(request(role="ICE-CONTROLLED"), WIFI, 0.0)
    assert isinstance(reply, Reply)
    assert oracle.parse_message(reply.datagram).attributes["ERROR-CODE"][0] == 487
    assert ice.addresses == ()


def test_an_attribute_that_must_be_understood_and_is_not_is_refused() -> None:
    ice = machine()
    known = request()
    strange = BindingRequest(
        transaction_id=known.transaction_id,
        local_ufrag="ours",
        remote_ufrag="theirs",
        use_candidate=False,
        controlled=False,
        unknown_attributes=(0x7777,),
        signed=known.signed,
        integrity=known.integrity,
    )
    (reply,) = ice.handle_check(strange, WIFI, 0.0)
    assert isinstance(reply, Reply)
    assert oracle.parse_message(reply.datagram).attributes["ERROR-CODE"][0] == 420
    assert ice.addresses == ()


@dataclass(frozen=True)
class Check:
    at: float
    source: Address
    use_candidate: bool = False


@dataclass(frozen=True)
class Media:
    at: float
    source: Address


@dataclass(frozen=True)
class Expect:
    selected: Address


SCENARIOS: dict[str, list[Check | Media | Expect]] = {
    "a second address alone does not move anything": [
        Check(0.0, WIFI),
        Check(0.1, MOBILE),
        Expect(WIFI),
    ],
    "media moves the address at once": [
        Check(0.0, WIFI, use_candidate=True),
        Media(1.0, WIFI),
        Check(1.01, MOBILE),
        Media(1.02, MOBILE),
        Expect(MOBILE),
    ],
    "media from an address that never authenticated moves nothing": [
        Check(0.0, WIFI),
        Media(1.0, MOBILE),
        Expect(WIFI),
    ],
    "nomination moves who only receives": [
        Check(0.0, WIFI, use_candidate=True),
        Check(0.1, MOBILE, use_candidate=True),
        Expect(MOBILE),
    ],
    "nomination of all pairs does not move flowing media": [
        Check(0.0, WIFI, use_candidate=True),
        Media(1.0, WIFI),
        Check(1.0 + MEDIA_HOLDS_S / 2, MOBILE, use_candidate=True),
        Expect(WIFI),
    ],
    "nomination moves when media has ceased": [
        Check(0.0, WIFI, use_candidate=True),
        Media(1.0, WIFI),
        Check(1.1 + MEDIA_HOLDS_S, MOBILE, use_candidate=True),
        Expect(MOBILE),
    ],
    "any check moves when the selected address has fallen silent": [
        Check(0.0, WIFI, use_candidate=True),
        Check(1.0, MOBILE),
        Expect(WIFI),
        Check(0.1 + SELECTED_QUIET_S, MOBILE),
        Expect(MOBILE),
    ],
    "back and forth between Wi-Fi and 4G": [
        Check(0.0, WIFI, use_candidate=True),
        Media(1.0, WIFI),
        Check(1.1, MOBILE, use_candidate=True),
        Media(1.2, MOBILE),
        Expect(MOBILE),
        Check(5.0, WIFI, use_candidate=True),
        Media(5.1, WIFI),
        Expect(WIFI),
    ],
}


@pytest.mark.parametrize("name", SCENARIOS)
def test_the_address_follows_the_peer(name: str) -> None:
    ice = machine()
    for step in SCENARIOS[name]:
        match step:
            case Check():
                ice.handle_check(request(use_candidate=step.use_candidate), step.source, step.at)
            case Media():
                ice.handle_media(step.source, step.at)
            case Expect():
                assert ice.selected == step.selected


def test_all_addresses_that_authenticated_are_accepted_and_the_oldest_makes_room() -> None:
    ice = machine()
    addresses: list[Address] = [("192.0.2.1", port) for port in range(1, MAX_ADDRESSES + 2)]
    for now, address in enumerate(addresses[:-1]):
        ice.handle_check(request(), address, now / 100)
    assert ice.addresses == tuple(addresses[:-1])
    outputs = without_replies(ice.handle_check(request(), addresses[-1], 0.5))
    # The first is selected and stays.
    assert outputs == [Learned(address=addresses[-1]), Forgotten(address=addresses[1])]
    assert ice.selected == addresses[0]
    assert len(ice.addresses) == MAX_ADDRESSES


def test_an_address_taken_over_by_another_peer_is_given_up() -> None:
    ice = machine()
    ice.handle_check(request(), WIFI, 0.0)
    ice.handle_check(request(), MOBILE, 0.1)
    assert ice.handle_lost(WIFI) == [Forgotten(address=WIFI), Selected(address=MOBILE)]
    assert ice.handle_lost(WIFI) == []
    assert ice.handle_lost(MOBILE) == [Forgotten(address=MOBILE)]
    assert ice.selected is None


NEW = Credentials(ufrag="ours2", pwd="n" * 22, remote_ufrag="theirs2")


def new_request() -> BindingRequest:
    return request(username="ours2:theirs2", pwd=NEW.pwd)


def test_after_a_restart_both_credentials_are_good_until_the_new_ones_are_used() -> None:
    ice = machine()
    ice.handle_check(request(), WIFI, 0.0)
    assert ice.restart(NEW) == []
    assert (ice.newest, ice.ufrags) == (NEW, ("ours", "ours2"))
    assert without_replies(ice.handle_check(request(), WIFI, 1.0)) == []
    outputs = without_replies(ice.handle_check(new_request(), MOBILE, 2.0))
    assert outputs == [Learned(address=MOBILE), Selected(address=MOBILE), Retired(ufrag="ours")]
    assert ice.ufrags == ("ours2",)
    with pytest.raises(IllegalCheck):
        ice.handle_check(request(), WIFI, 3.0)


def test_a_check_that_mixes_old_and_new_credentials_is_nobodys() -> None:
    ice = machine()
    ice.restart(NEW)
    for mixed in (
        request(username="ours2:theirs", pwd=NEW.pwd),
        request(username="ours:theirs2"),
        request(username="ours2:theirs2", pwd=PWD),
        request(username="ours:theirs", pwd=NEW.pwd),
    ):
        with pytest.raises(IllegalCheck):
            ice.handle_check(mixed, MOBILE, 1.0)
    assert ice.addresses == () and ice.ufrags == ("ours", "ours2")


def test_a_second_restart_gives_up_the_first_but_not_what_is_in_use() -> None:
    ice = machine()
    ice.handle_check(request(), WIFI, 0.0)
    third = Credentials(ufrag="ours3", pwd="t" * 22, remote_ufrag="theirs3")
    ice.restart(NEW)
    assert ice.restart(third) == [Retired(ufrag="ours2")]
    assert without_replies(ice.handle_check(request(), WIFI, 1.0)) == []
    with pytest.raises(IllegalCheck):
        ice.handle_check(new_request(), WIFI, 1.1)
    check = request(username="ours3:theirs3", pwd=third.pwd)
    assert without_replies(ice.handle_check(check, WIFI, 1.2)) == [Retired(ufrag="ours")]


def test_media_from_an_unknown_address_moves_the_peer_once_the_old_one_is_quiet() -> None:
    ice = machine()
    ice.handle_check(request(), WIFI, 0.0)
    ice.handle_media(WIFI, 1.0)
    assert ice.handle_strange_media(MOBILE, 1.0 + MEDIA_QUIET_S / 2) == []
    assert ice.selected == WIFI and MOBILE not in ice.addresses
    outputs = ice.handle_strange_media(MOBILE, 1.01 + MEDIA_QUIET_S)
    assert outputs == [Learned(address=MOBILE), Selected(address=MOBILE)]
    assert ice.addresses == (WIFI, MOBILE)

"""Tokens: only ours, only as long as they are good, only of the type they say."""

from datetime import UTC, datetime, timedelta

import jwt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.errors import Unauthenticated
from server.tokens import LEEWAY_S, DeskToken, Granted, LinkToken, PlaybackToken, Tokens, VoucherToken

SECRET = b"s" * 64
NOW_AT = datetime(2026, 11, 22, 14, 3, tzinfo=UTC)
LATER = NOW_AT + timedelta(hours=1)
LINK = LinkToken(case_id="c_" + "a" * 20, link_id="l_" + "b" * 20, role="customer")
CLAIMS = {"aud": "proofcall", "typ": "link", "case": LINK.case_id, "sub": LINK.link_id, "role": "customer"}


def test_a_token_says_again_what_was_put_into_it() -> None:
    tokens = Tokens(SECRET)
    desk = DeskToken(desk_id="d_1", name="QA", role="dispatch")
    playback = PlaybackToken(
        case_id=LINK.case_id, actor_id=LINK.link_id, call_number=1, part=2, name="ab" * 32
    )
    for token, text in (
        (LINK, tokens.issue_link(LINK, expires_at=LATER)),
        (desk, tokens.issue_desk(desk, expires_at=LATER)),
    ):
        granted = Granted(token=token, expired=False, expires_at=LATER + timedelta(seconds=LEEWAY_S))
        assert tokens.read(text, now_at=NOW_AT) == granted
    assert tokens.read_playback(tokens.issue_playback(playback, expires_at=LATER), now_at=NOW_AT) == playback


def test_an_address_of_a_recording_opens_nothing_else_and_nothing_else_opens_a_recording() -> None:
    tokens = Tokens(SECRET)
    playback = PlaybackToken(
        case_id=LINK.case_id, actor_id=LINK.link_id, call_number=1, part=2, name="ab" * 32
    )
    with pytest.raises(Unauthenticated, match="another type"):
        tokens.read(tokens.issue_playback(playback, expires_at=LATER), now_at=NOW_AT)
    with pytest.raises(Unauthenticated, match="another type"):
        tokens.read_playback(tokens.issue_link(LINK, expires_at=LATER), now_at=NOW_AT)
    with pytest.raises(Unauthenticated, match="an hour"):
        tokens.read_playback(tokens.issue_playback(playback, expires_at=NOW_AT), now_at=LATER)


def test_an_address_of_a_voucher_opens_nothing_else_and_nothing_else_opens_a_voucher() -> None:
    tokens = Tokens(SECRET)
    voucher = VoucherToken(case_id=LINK.case_id, number=19)
    text = tokens.issue_voucher(voucher, expires_at=LATER)
    assert tokens.read_voucher(text, now_at=NOW_AT) == voucher
    assert text == tokens.issue_voucher(voucher, expires_at=LATER), "one address, whoever asks"
    for read in (tokens.read, tokens.read_playback):
        with pytest.raises(Unauthenticated, match="another type"):
            read(text, now_at=NOW_AT)
    with pytest.raises(Unauthenticated, match="another type"):
        tokens.read_voucher(tokens.issue_link(LINK, expires_at=LATER), now_at=NOW_AT)
    with pytest.raises(Unauthenticated, match="ten years"):
        tokens.read_voucher(tokens.issue_voucher(voucher, expires_at=NOW_AT), now_at=LATER)


@pytest.mark.parametrize(
    ("claims", "key", "algorithm"),
    [
        (CLAIMS | {"exp": LATER}, b"t" * 32, "HS256"),
        (CLAIMS | {"exp": LATER}, SECRET, "HS512"),
        (CLAIMS | {"exp": LATER}, None, "none"),
        (CLAIMS | {"exp": LATER, "aud": "others"}, SECRET, "HS256"),
        (CLAIMS | {"exp": LATER, "typ": "admin"}, SECRET, "HS256"),
        (CLAIMS, SECRET, "HS256"),
        ({key: value for key, value in CLAIMS.items() if key != "case"} | {"exp": LATER}, SECRET, "HS256"),
    ],
    ids=["key", "algorithm", "unsigned", "audience", "type", "no expiry", "no case"],
)
def test_any_other_token_is_refused(claims: dict[str, object], key: bytes | None, algorithm: str) -> None:
    with pytest.raises(Unauthenticated):
        Tokens(SECRET).read(jwt.encode(claims, key or "", algorithm=algorithm), now_at=NOW_AT)


def test_a_desk_token_of_before_there_was_dispatch_is_one_of_qa() -> None:
    claims = {"aud": "proofcall", "typ": "desk", "sub": "d_1", "name": "QA", "exp": LATER}
    granted = Tokens(SECRET).read(jwt.encode(claims, SECRET, algorithm="HS256"), now_at=NOW_AT)
    assert granted.token == DeskToken(desk_id="d_1", name="QA", role="qa")
    for role in ("customer", "", 7, None, ["qa"]):
        with pytest.raises(Unauthenticated):
            Tokens(SECRET).read(jwt.encode(claims | {"role": role}, SECRET, algorithm="HS256"), now_at=NOW_AT)


def test_an_expired_token_says_so_and_who_came_with_it() -> None:
    before = NOW_AT - timedelta(minutes=1)
    granted = Granted(token=LINK, expired=True, expires_at=before + timedelta(seconds=LEEWAY_S))
    assert Tokens(SECRET).read(Tokens(SECRET).issue_link(LINK, expires_at=before), now_at=NOW_AT) == granted


@given(st.text(max_size=300))
def test_no_text_does_anything_but_be_refused(text: str) -> None:
    for read in (Tokens(SECRET).read, Tokens(SECRET).read_playback, Tokens(SECRET).read_voucher):
        with pytest.raises(Unauthenticated):
            read(text, now_at=NOW_AT)

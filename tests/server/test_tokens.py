"""Tokens: only ours, only as long as they are good, only of the type they say."""

from datetime import UTC, datetime, timedelta

import jwt
import pytest
from hypothesis import given
from hypothesis import strategies as st

from server.errors import Unauthenticated
from server.tokens import DeskToken, LinkToken, Tokens

SECRET = b"s" * 64
NOW_AT = datetime(2026, 11, 22, 14, 3, tzinfo=UTC)
LATER = NOW_AT + timedelta(hours=1)
LINK = LinkToken(case_id="c_" + "a" * 20, link_id="l_" + "b" * 20, role="customer")
CLAIMS = {"aud": "proofcall", "typ": "link", "case": LINK.case_id, "sub": LINK.link_id, "role": "customer"}


def test_a_token_says_again_what_was_put_into_it() -> None:
    tokens = Tokens(SECRET)
    desk = DeskToken(desk_id="d_1", name="QA")
    assert tokens.read(tokens.issue_link(LINK, expires_at=LATER), now_at=NOW_AT) == LINK
    assert tokens.read(tokens.issue_desk(desk, expires_at=LATER), now_at=NOW_AT) == desk


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


def test_an_expired_token_is_refused_and_says_so() -> None:
    token = Tokens(SECRET).issue_link(LINK, expires_at=NOW_AT - timedelta(minutes=1))
    with pytest.raises(Unauthenticated, match="expired"):
        Tokens(SECRET).read(token, now_at=NOW_AT)


@given(st.text(max_size=300))
def test_no_text_does_anything_but_be_refused(text: str) -> None:
    with pytest.raises(Unauthenticated):
        Tokens(SECRET).read(text, now_at=NOW_AT)

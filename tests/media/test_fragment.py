"""A fragment names one pair of credentials, or it is refused with a sentence; candidates are passed over."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from media.errors import MalformedFragment
from media.fragment import encode_fragment, parse_fragment

# RFC 9725 figure 5: the fragment of an ICE restart.
RESTART = """a=ice-options:trickle ice2\r
a=group:BUNDLE 0 1\r
m=audio 9 UDP/TLS/RTP/SAVPF 111\r
a=mid:0\r
a=ice-ufrag:ysXw\r
a=ice-pwd:vw5LmwG4y/e6dPP/zAP9Gp5k\r
a=candidate:1387637174 1 udp 2122260223 192.0.2.1 61764 typ host generation 0 ufrag EsAw\r
a=candidate:473322822 1 tcp 1518280447 192.0.2.1 9 typ host tcptype active generation 0 ufrag EsAw\r
"""


def test_the_fragment_of_the_standard_is_read() -> None:
    fragment = parse_fragment(RESTART)
    assert (fragment.ice_ufrag, fragment.ice_pwd) == ("ysXw", "vw5LmwG4y/e6dPP/zAP9Gp5k")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "needs one a=ice-ufrag"),
        (RESTART.replace("a=ice-pwd", "a=ice-pwt"), "needs one a=ice-pwd"),
        (RESTART + "a=ice-ufrag:other\r\n", "needs one a=ice-ufrag"),
        (RESTART.replace("ysXw", "ys"), "4 to 256 characters"),
        (RESTART.replace("ysXw", "ys Xw"), "4 to 256 characters"),
        (RESTART.replace("vw5LmwG4y", "short"), "22 to 256 characters"),
        (RESTART + "a=x" * 30_000, "at most"),
    ],
)
def test_what_restarts_nothing_is_refused_with_the_reason(text: str, said: str) -> None:
    with pytest.raises(MalformedFragment, match=said):
        parse_fragment(text)


@given(st.text(max_size=400) | st.lists(st.sampled_from(RESTART.split("\r\n"))).map("\n".join))
def test_any_text_is_a_fragment_or_raises_its_own_error(text: str) -> None:
    try:
        parse_fragment(text)
    except MalformedFragment:
        return
    assert "a=ice-ufrag:" in text and "a=ice-pwd:" in text


def test_the_answer_names_credentials_and_all_candidates_once() -> None:
    answer = encode_fragment(
        ice_ufrag="ours",
        ice_pwd="p" * 24,
        kind="audio",
        mid="0",
        candidates=[("192.0.2.7", 8443)],
        tcp_candidates=[("192.0.2.7", 8443)],
    )
    assert parse_fragment(answer).ice_ufrag == "ours"
    lines = answer.split("\r\n")
    assert lines[0] == "a=ice-lite" and lines[-2:] == ["a=end-of-candidates", ""]
    udp, tcp = (line.split() for line in lines if line.startswith("a=candidate:"))
    assert (udp[2], tcp[2], tcp[-1]) == ("udp", "tcp", "passive")
    assert int(udp[3]) > int(tcp[3])

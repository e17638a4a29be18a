"""A trust file says whom to trust, or what is wrong with it."""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from server.evidence.checkpoint import encode_key
from server.evidence.cosignature import encode_witness_key
from server.evidence.errors import MalformedTrust
from server.evidence.policy import parse_policy
from server.evidence.trust import Trust, encode_trust, parse_trust
from tests.server.evidence.local_witness import WITNESSES
from tests.server.evidence.sample_case import SIGNER

ROOT = "-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n"
OTHER_ROOT = ROOT.replace("MIIB", "MIIC")
POLICY = f"witness w1 {encode_witness_key(WITNESSES[0].key)}\nquorum w1\n"
WHOLE = {
    "format": "proofcall-trust",
    "version": 1,
    "vkeys": [encode_key(SIGNER.key)],
    "roots": [ROOT],
    "picture_roots": [OTHER_ROOT],
    "policy": POLICY,
}


def test_it_is_read_as_it_is_written() -> None:
    trust = parse_trust(json.dumps(WHOLE).encode())
    assert trust == Trust(
        vkeys=(SIGNER.key,),
        roots=(ROOT.encode(),),
        picture_roots=(OTHER_ROOT.encode(),),
        policy=parse_policy(POLICY),
    )
    assert parse_trust(encode_trust(trust)) == trust


def test_each_part_may_be_missing() -> None:
    assert parse_trust(b'{"format":"proofcall-trust","version":1}') == Trust()


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"format": "trust"}, "proofcall-trust"),
        ({"version": 2}, "version"),
        ({"version": True}, "version"),
        ({"key": "x"}, "no member 'key'"),
        ({"vkeys": "x"}, "vkeys"),
        ({"vkeys": [1]}, "vkeys"),
        ({"vkeys": ["nonsense"]}, "verifier key"),
        ({"roots": ["nonsense"]}, "^roots: .* PEM"),
        ({"picture_roots": ["nonsense"]}, "picture_roots: .* PEM"),
        ({"roots": ["\ud800"]}, "UTF-8"),
        ({"policy": 1}, "policy"),
        ({"policy": "quorum w9\n"}, "w9"),
    ],
)
def test_what_is_wrong_is_said(change: dict[str, object], says: str) -> None:
    with pytest.raises(MalformedTrust, match=says):
        parse_trust(json.dumps(WHOLE | change).encode())


@given(st.binary(max_size=60) | st.text('{}[]":,formatvesin1', max_size=60).map(str.encode))
@settings(max_examples=100, deadline=None)
def test_any_bytes_are_a_trust_file_or_malformed(data: bytes) -> None:
    try:
        parse_trust(data)
    except MalformedTrust:
        return

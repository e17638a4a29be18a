"""A policy says whose cosignatures suffice; C2SP tlog-policy, sentence by sentence."""

import itertools

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from server.evidence.checkpoint import VerifierKey, encode_key
from server.evidence.cosignature import encode_witness_key
from server.evidence.errors import IllegalQuorum, MalformedPolicy
from server.evidence.policy import MAX_OF_A_KIND, Policy, encode_policy, parse_policy
from tests.server.evidence.local_witness import WITNESSES, LocalWitness
from tests.server.evidence.sample_case import SIGNER

LOG = encode_key(SIGNER.key)
SIX = tuple(LocalWitness(f"w.example/{number}", number) for number in range(11, 17))
V = [encode_witness_key(witness.key) for witness in SIX]

# The example of C2SP tlog-policy, with keys.
EXAMPLE = f"""\
log {LOG}

witness X1 {V[0]}
witness X2 {V[1]}
witness X3 {V[2]} https://witness.example/x3
group X-witnesses 2 X1 X2 X3

witness Y1 {V[3]}
witness Y2 {V[4]}
witness Y3 {V[5]}
group Y-witnesses any Y1 Y2 Y3

group X-and-Y all X-witnesses Y-witnesses
quorum X-and-Y
"""


def reaches(policy: Policy, *numbers: int) -> bool:
    try:
        policy.check({SIX[number].key for number in numbers})
    except IllegalQuorum:
        return False
    return True


def test_the_example_of_the_standard_wants_two_of_x_and_one_of_y() -> None:
    policy = parse_policy(EXAMPLE)
    for count in range(7):
        for numbers in itertools.combinations(range(6), count):
            expected = sum(number < 3 for number in numbers) >= 2 and any(number >= 3 for number in numbers)
            assert reaches(policy, *numbers) is expected, numbers


def test_a_quorum_may_be_one_witness_or_nobody() -> None:
    assert reaches(parse_policy("quorum none\n"))
    one = parse_policy(f"witness A {V[0]}\nwitness B {V[1]}\nquorum B\n")
    assert reaches(one, 1) and reaches(one, 0, 1)
    assert not reaches(one, 0) and not reaches(one)


def test_what_is_missing_is_said_in_words() -> None:
    policy = parse_policy(f"witness A {V[0]}\nwitness B {V[1]}\ngroup both all A B\nquorum both\n")
    with pytest.raises(IllegalQuorum, match="asks for 2 of A, B; none of its witnesses has cosigned"):
        policy.check([WITNESSES[0].key])
    with pytest.raises(IllegalQuorum, match="asks for 2 of A, B; B has cosigned, and nobody else of it"):
        policy.check([SIX[1].key])


def test_a_policy_is_about_its_logs_or_about_any() -> None:
    other = VerifierKey(name=SIGNER.key.name, public_key=bytes(32))
    parse_policy("quorum none\n").check_log(other)
    policy = parse_policy(EXAMPLE)
    policy.check_log(SIGNER.key)
    with pytest.raises(IllegalQuorum, match="other logs"):
        policy.check_log(other)


def test_blanks_and_comments_mean_nothing_and_the_text_comes_back_as_it_is_written_here() -> None:
    policy = parse_policy(EXAMPLE)
    loose = EXAMPLE.replace(" ", " \t ").replace("\nquorum", "\n\n \t# who?\n\t#\tnobody\nquorum")
    assert parse_policy(loose) == policy
    assert parse_policy(encode_policy(policy)) == policy
    assert parse_policy("# wer zählt: ü\nquorum none") == parse_policy("quorum none\n")
    assert policy.witnesses[2].url == "https://witness.example/x3"


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "no quorum line"),
        ("quorum none\nquorum none\n", "line 2.*one quorum line"),
        (f"quorum A\nwitness A {V[0]}\n", "line 1.*no witness and no group that a line before"),
        (f"witness A {V[0]}\ngroup none any A\nquorum A\n", "line 2.*the name none is taken"),
        (f"witness A {V[0]}\nwitness A {V[1]}\nquorum A\n", "line 2.*the name A is taken"),
        (f"witness A {V[0]}\nwitness B {V[0]}\nquorum A\n", "line 2.*stands in the policy already"),
        (f"log {LOG}\nlog {LOG}\nquorum none\n", "line 2.*stands in the policy already"),
        (f"witness A {LOG}\nquorum A\n", "line 1.*the key of a log, not the key of a witness"),
        (f"log {V[0]}\nquorum none\n", "line 1.*the key of a witness, not the key of a log"),
        (f"witness A {V[0]}\ngroup G 0 A\nquorum G\n", "line 2.*a number from 1 to 1, any, or all"),
        (f"witness A {V[0]}\ngroup G 2 A\nquorum G\n", "line 2.*a number from 1 to 1"),
        (f"witness A {V[0]}\ngroup G 01 A\nquorum G\n", "line 2.*a number from 1 to 1"),
        (f"witness A {V[0]}\ngroup G any A A\nquorum G\n", "line 2.*count twice"),
        (f"witness A {V[0]}\ngroup G any A\ngroup H any A\nquorum G\n", "line 3.*count twice"),
        (f"witness A {V[0]}\ngroup G any none\nquorum A\n", "line 2.*none is no witness"),
        (f"witness A {V[0]}\ngroup G any\nquorum A\n", "line 2.*a line reads"),
        ("quorum\n", "line 1.*a line reads"),
        ("quorums none\n", "line 1.*a line reads"),
        ("witness A\nquorum A\n", "line 1.*a line reads"),
        ("quorum none\r\n", "line 1.*control characters"),
        (
            "".join(
                f"log {encode_key(VerifierKey(name='l', public_key=bytes([n]) * 32))}\n" for n in range(65)
            ),
            f"line {MAX_OF_A_KIND + 1}.*{MAX_OF_A_KIND} logs at most",
        ),
        ("#" * 65_537, "at most"),
    ],
)
def test_what_is_no_policy_is_refused_with_its_line_and_what_to_write(text: str, says: str) -> None:
    with pytest.raises(MalformedPolicy, match=says):
        parse_policy(text)


def test_the_limits_of_the_standard_fit() -> None:
    witnesses = [LocalWitness(f"w/{number}", number) for number in range(32)]
    lines = [f"witness {n} {encode_witness_key(one.key)}" for n, one in enumerate(witnesses)]
    lines += [f"group g{n} any {n}" for n in range(31)]
    lines += [f"group all 31 {' '.join(f'g{n}' for n in range(31))}", "quorum all"]
    policy = parse_policy("\n".join(lines))
    policy.check({one.key for one in witnesses[:31]})
    with pytest.raises(IllegalQuorum):
        policy.check({one.key for one in witnesses[1:]})


LINES = st.lists(
    st.sampled_from(
        [
            f"witness A {V[0]}",
            f"witness B {V[1]} u",
            "group G any A",
            "group H 2 G B",
            "quorum H",
            "quorum none",
        ]
    )
    | st.text("AB witnesgroupqum19#\t", max_size=30),
    max_size=8,
).map("\n".join)


@given(st.text(max_size=80) | LINES)
@settings(max_examples=300, deadline=None)
def test_any_text_is_a_policy_or_malformed(text: str) -> None:
    try:
        policy = parse_policy(text)
    except MalformedPolicy:
        return
    assert parse_policy(encode_policy(policy)) == policy

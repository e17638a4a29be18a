"""Gaps on virtual time: what becomes one, what is too short, how a flood of them is bounded."""

from collections.abc import Sequence
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from signaling.entries import GapCause
from signaling.gaps import (
    MAX_LOGGED,
    STEADY_AFTER_S,
    GapBegan,
    GapOver,
    Gaps,
    Output,
)

EVERYTHING: frozenset[GapCause] = frozenset({"network", "microphone_off", "camera_off", "page_hidden"})
NETWORK: frozenset[GapCause] = frozenset({"network"})
CAMERA: frozenset[GapCause] = frozenset({"camera_off"})
NOTHING: frozenset[GapCause] = frozenset()

Step = tuple[float, frozenset[GapCause]]  # when, what is absent then


def run(steps: Sequence[Step], gaps: Gaps | None = None) -> list[Output]:
    """Everything is there at 0; then what the steps say."""
    gaps = gaps or Gaps()
    outputs = gaps.handle_reading(present=EVERYTHING, absent=NOTHING, now=0.0)
    for now, absent in steps:
        outputs += gaps.handle_reading(present=EVERYTHING - absent, absent=absent, now=now)
    return outputs


@pytest.mark.parametrize(
    ("steps", "outputs"),
    [
        pytest.param([(1, CAMERA), (1.9, CAMERA)], [], id="too young"),
        pytest.param([(1, CAMERA), (2, CAMERA)], [GapBegan(cause="camera_off", began=1)], id="noticed"),
        pytest.param([(1, CAMERA), (1.5, NOTHING), (9, NOTHING)], [], id="too short"),
        pytest.param(
            [(1, NETWORK), (1.5, NOTHING), (9, NOTHING), (11, NOTHING)],
            [GapBegan(cause="network", began=1), GapOver(cause="network", began=1, ended=1.5)],
            id="a connection that was lost is told, however soon the next one came",
        ),
        pytest.param(
            [(1, CAMERA), (2, CAMERA), (5, NOTHING), (6.9, NOTHING)],
            [GapBegan(cause="camera_off", began=1)],
            id="not yet steady",
        ),
        pytest.param(
            [(1, CAMERA), (2, CAMERA), (5, NOTHING), (7, NOTHING)],
            [GapBegan(cause="camera_off", began=1), GapOver(cause="camera_off", began=1, ended=5)],
            id="over when it came back, not when that was sure",
        ),
        pytest.param(
            [(1, CAMERA), (2, CAMERA), (5, NOTHING), (6, CAMERA), (8, NOTHING), (10, NOTHING)],
            [GapBegan(cause="camera_off", began=1), GapOver(cause="camera_off", began=1, ended=8)],
            id="flapping is one gap",
        ),
        pytest.param(
            [(1, NETWORK | CAMERA), (2, NETWORK | CAMERA), (3, NOTHING), (5, NOTHING)],
            [GapBegan(cause="network", began=1), GapOver(cause="network", began=1, ended=3)],
            id="without network nobody knows of the camera",
        ),
        pytest.param(
            [(1, CAMERA), (2, CAMERA), (3, NETWORK), (4, NETWORK), (9, NOTHING), (11, NOTHING)],
            [
                GapBegan(cause="camera_off", began=1),
                GapBegan(cause="network", began=3),
                GapOver(cause="camera_off", began=1, ended=9),
                GapOver(cause="network", began=3, ended=9),
            ],
            id="the network goes while the camera is off",
        ),
    ],
)
def test_what_is_missing_for_a_while_is_a_gap(steps: list[Step], outputs: list[Output]) -> None:
    assert run(steps) == outputs


def test_what_never_was_there_cannot_be_missing() -> None:
    gaps = Gaps()
    for second in range(10):
        assert gaps.handle_reading(present=NETWORK, absent=CAMERA, now=second) == []
    assert gaps.sum(10) == (0, 0)


def test_silence_began_when_something_was_last_heard() -> None:
    gaps = Gaps()
    gaps.handle_reading(present=NETWORK, absent=NOTHING, now=0)
    assert gaps.handle_reading(present=NOTHING, absent=NETWORK, now=5, since=2.0) == [
        GapBegan(cause="network", began=2.0)
    ]
    assert gaps.sum(8) == (1, 6.0)


def test_a_stay_logs_only_so_many_gaps_and_counts_them_all() -> None:
    gaps, steps = Gaps(), list[Step]()
    for number in range(MAX_LOGGED + 20):
        start = 10.0 * number + 1
        steps += [(start, CAMERA), (start + 1, CAMERA), (start + 2, NOTHING), (start + 4, NOTHING)]
    outputs = run(steps, gaps)
    assert len(outputs) == 2 * MAX_LOGGED
    count, total_s = gaps.sum(1e6)
    assert count == MAX_LOGGED + 20
    assert total_s == pytest.approx(2.0 * count)


STEPS = st.lists(
    st.tuples(
        st.floats(min_value=0.01, max_value=3.0, allow_nan=False),
        st.frozensets(st.sampled_from(sorted(EVERYTHING))),
    ),
    max_size=80,
)


@given(STEPS)
def test_gaps_begin_and_end_in_turn_and_never_close_together(
    steps: list[tuple[float, frozenset[GapCause]]],
) -> None:
    now, dated = 0.0, list[Step]()
    for step, absent in steps:
        now += step
        dated.append((now, absent))
    outputs = run(dated)
    for cause in EVERYTHING:
        mine = [output for output in outputs if output.cause == cause]
        assert [type(output) for output in mine] == ([GapBegan, GapOver] * len(mine))[: len(mine)]
        began = [output.began for output in mine if isinstance(output, GapBegan)]
        for before, after in pairwise(began):
            assert after - before >= STEADY_AFTER_S
        for output in mine:
            assert not isinstance(output, GapOver) or output.ended >= output.began

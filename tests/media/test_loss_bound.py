"""Loss attributed by trial: what is put to the question, and what the answers do."""

from media.loss_bound import DOUBT_S, LossBound, Verdict

PACKETS = 10  # in each feedback, ten a second
PACKET_BYTES = 1000
RATE_BPS = PACKETS * PACKET_BYTES * 8 * 10


class Told:
    """A bound that is told feedback every 100 ms of a flow that obeys, or does not."""

    def __init__(self) -> None:
        self.bound = LossBound()
        self.now = 100.0
        self.number = 0
        self.sent_bytes = 0

    def run(
        self, seconds: float, lost: tuple[int, ...], *, target_bps: float = RATE_BPS, run: int = 1
    ) -> list[Verdict]:
        """So many of each ten are lost, in turn, and in runs of so many; every verdict but "nothing"."""
        verdicts: list[Verdict] = []
        for place in range(round(seconds * 10)):
            self.now += 0.1
            self.number += PACKETS
            self.sent_bytes += PACKETS * PACKET_BYTES
            gone = lost[place % len(lost)]
            self.bound.handle_feedback(PACKETS, gone, gone // run, self.number - 1, self.now)
            verdict = self.bound.judge(self.number, self.sent_bytes, target_bps, self.now)
            if verdict != "nothing":
                verdicts.append(verdict)
        return verdicts


def test_a_little_loss_is_not_put_to_the_question() -> None:
    told = Told()

    assert told.run(10, (0, 0, 0, 0, 0, 0, 0, 0, 0, 1)) == []
    assert 0 < told.bound.fraction <= 0.02


def test_loss_that_goes_away_with_the_rate_was_ours() -> None:
    told = Told()

    assert told.run(0.5, (2,)) == ["try"]
    assert told.bound.is_trying
    assert told.run(2, (0,)) == ["ours"]
    assert told.bound.inherent == 0


def test_loss_that_stays_was_not() -> None:
    told = Told()

    assert told.run(3, (1,)) == ["try", "not_ours"]
    assert 0.08 <= told.bound.inherent <= 0.12
    assert told.run(DOUBT_S / 2, (1,)) == [], "it is known now"


def test_more_than_what_is_known_is_asked_about_again() -> None:
    told = Told()
    told.run(3, (1,))

    assert told.run(3, (3,)) == ["try", "not_ours"]
    assert told.bound.inherent > 0.2


def test_what_was_attributed_is_doubted_and_may_turn_out_to_be_ours() -> None:
    told = Told()
    told.run(3, (1,))
    verdicts = told.run(DOUBT_S, (1,))
    assert verdicts[0] == "doubt"
    told = Told()
    told.run(3, (1,))
    while told.run(0.1, (1,)) != ["doubt"]:
        pass

    assert told.run(2, (0,)) == ["ours"]
    assert told.bound.inherent == 0


def test_loss_that_ends_is_forgotten() -> None:
    told = Told()
    told.run(3, (2,))
    told.run(20, (0,))

    assert told.bound.inherent < 0.05


def test_a_run_of_losses_tells_no_more_than_one() -> None:
    rare = (0,) * 9 + (5,)

    assert Told().run(3, rare, run=1)[0] == "try", "5 % is put to the question"
    assert Told().run(3, rare, run=5) == [], "three events are too little to be"
    assert Told().run(2, (0, 5), run=1) == ["try", "not_ours"]
    told = Told()
    assert told.run(2, (0, 5), run=5) == ["try"], "what may be chance is watched for longer"
    assert told.run(5, (0, 5), run=5) == ["not_ours"]


def test_by_how_much_runs_spread_what_is_lost() -> None:
    told = Told()
    assert told.bound.spread == 1
    told.run(5, (1, 2, 3), run=1)
    assert told.bound.spread == 1
    told.run(5, (0, 5), run=5)
    assert 5 < told.bound.spread < 9
    told.run(5, (1, 2, 3), run=1)
    assert told.bound.spread < 1.5


def test_a_source_that_does_not_follow_proves_nothing() -> None:
    told = Told()
    assert told.run(0.5, (2,)) == ["try"]
    verdicts = told.run(4, (2,), target_bps=RATE_BPS / 2)

    assert "ours" not in verdicts and "not_ours" not in verdicts
    assert told.bound.inherent == 0


def test_a_late_packet_takes_its_loss_back() -> None:
    bound = LossBound()
    bound.handle_feedback(10, 2, 2, 9, 1.0)
    assert bound.fraction == 0.2
    bound.handle_feedback(0, -2, 0, 9, 1.1)
    assert bound.fraction == 0


def test_a_time_of_which_nothing_was_told_proves_nothing() -> None:
    bound = LossBound()
    bound.begin_anew(10, 1.0)
    bound.handle_feedback(1, 0, 0, 5, 9.0)  # of what was sent before

    assert bound.judge(20, 0, 100_000.0, 9.0) == "nothing"
    assert not bound.is_trying and bound.inherent == 0

"""Expected starts: pictures that cost little, ranges that hold the truth as often as they should."""

from __future__ import annotations

import random

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from tests.support.properties import examples
from tm.model.demand import Demand, one_of
from tm.model.families import Families
from tm.model.forecast import MOST_REMEMBERED, SAMPLE_SECONDS, SAMPLED, Expected, Forecaster
from tm.model.hall import Hall
from tm.model.host import HostConfig
from tm.model.job import Job
from tm.model.outlook import MOST_STEPS
from tm.model.ranges import Ranges
from tm.model.tasks import Tasks


def hall(*cores: int) -> Hall:
    """Return a cluster of hosts with so many cores."""
    return Hall([HostConfig(name=f"n{n}", address=f"n{n}", cores=count) for n, count in enumerate(cores)])


def job(number: int, cores: int = 1, time: float = 100.0, user: str = "alice", tasks: str = "", **more: object) -> Job:
    """Return a job."""
    demand = one_of(Demand(cores, time=time, **more))  # type: ignore[arg-type]
    return Job(
        number, user, "", "", demand, 0, False, "", float(number), family=user, tasks=Tasks(tasks) if tasks else None
    )


class GuessTests(SynchronousTestCase):
    def guess(self, stage: Hall, number: int, at: float = 10.0, last: bool = False) -> float | None:
        expected = Forecaster(stage, stage.scheduler, Families()).expected(number, at, last)
        return None if expected is None else round(expected.guess - at)

    def test_a_job_starts_when_those_before_it_are_over(self) -> None:
        stage = hall(2)
        for number in range(1, 7):
            stage.submitted(job(number), 10.0)
        stage.place(10.0)
        for number, wait in ((3, 100), (4, 100), (5, 200), (6, 200)):
            guess = self.guess(stage, number)
            assert guess is not None
            self.assertTrue(wait <= guess <= 1.1 * wait, (number, guess))
        self.assertIsNone(self.guess(stage, 1))
        self.assertIsNone(self.guess(stage, 99))

    def test_an_array_starts_with_its_first_task_and_all_of_it_runs_with_its_last(self) -> None:
        stage = hall(2)
        stage.submitted(job(1, tasks="0-9"), 10.0)
        stage.place(10.0)
        first, last = self.guess(stage, 1), self.guess(stage, 1, last=True)
        assert first is not None and last is not None
        self.assertTrue(100 <= first <= 110 and 400 <= last <= 440, (first, last))
        four = self.guess(stage, 1 << 52 | 1 << 20 | 4)
        assert four is not None
        self.assertTrue(200 <= four <= 220, four)

    def test_a_short_job_passes_a_wide_one_that_waits_and_a_long_one_does_not(self) -> None:
        stage = hall(4)
        for one in (job(1, 3, 1000.0), job(2, 4, 1000.0), job(3, 1, 5000.0, "bob"), job(4, 1, 50.0, "carol")):
            stage.submitted(one, 10.0)
        forecaster = Forecaster(stage, stage.scheduler, Families())
        waits = [expected.guess - 10 for n in (1, 2, 3, 4) if (expected := forecaster.expected(n, 10.0))]
        self.assertEqual((waits[0], waits[3]), (0.0, 0.0))
        self.assertTrue(1000 <= waits[1] <= 1060, waits)
        self.assertGreaterEqual(waits[2], 1000)

    def test_what_fits_nowhere_has_no_start(self) -> None:
        stage = hall(2)
        stage.submitted(job(1, 2, memory=1, constraint="gpu"), 10.0)
        stage.submitted(job(2, 3), 10.0)
        self.assertIsNone(self.guess(stage, 2))

    @examples(60)
    @given(st.integers(0, 1 << 32))
    def test_every_job_that_fits_a_host_has_a_start_and_those_of_a_class_in_their_order(self, seed: int) -> None:
        dice = random.Random(seed)
        stage = hall(*(dice.choice([1, 2, 4, 16]) for _ in range(dice.randint(1, 6))))
        widest = max(host.whole_cores for host in stage.hosts.values())
        for number in range(1, dice.randint(2, 60)):
            cores, time = dice.choice([1, 1, 2, widest]), dice.choice([0.0, 1.0, 1e3, 1e6])
            tasks = dice.choice(["", "", "0-30"])
            stage.submitted(job(number, min(cores, widest), time, dice.choice("ab"), tasks), 100.0)
        if dice.random() < 0.8:
            stage.place(100.0)
        forecaster = Forecaster(stage, stage.scheduler, Families())
        for kind in stage.queue.kinds:
            before = 0.0
            for number in stage.queue.ids(kind):
                expected = forecaster.expected(number, 100.0)
                assert expected is not None
                self.assertTrue(100.0 <= expected.earliest <= expected.guess <= expected.latest)
                self.assertGreaterEqual(expected.guess, before)
                before = expected.guess


class CostTests(SynchronousTestCase):
    def test_a_picture_serves_all_who_ask_soon_and_not_for_ever(self) -> None:
        stage = hall(1)
        for number in (1, 2, 3):
            stage.submitted(job(number), 10.0)
        stage.place(10.0)
        forecaster = Forecaster(stage, stage.scheduler, Families())
        first = forecaster.expected(2, 10.0)
        assert first is not None
        seen = forecaster._outlook
        again = forecaster.expected(2, 15.0)
        assert again is not None
        self.assertIs(forecaster._outlook, seen)
        self.assertAlmostEqual(first.guess, again.guess)
        forecaster.expected(2, 60.0)
        self.assertIsNot(forecaster._outlook, seen)

    def test_a_hundred_thousand_that_wait_cost_a_bounded_number_of_steps(self) -> None:
        stage = hall(2, 2)
        stage.submitted(job(1, tasks="0-99999"), 10.0)
        for number in range(2, 300):
            stage.submitted(job(number, 1, float(number)), 10.0)
        stage.place(10.0)
        forecaster = Forecaster(stage, stage.scheduler, Families())
        expected = forecaster.expected(1, 10.0, last=True)
        assert expected is not None and forecaster._outlook is not None
        self.assertGreater(expected.guess, 1e6)
        points = sum(len(line.points) for line in forecaster._outlook.lines.values())
        self.assertLess(points, 2 * MOST_STEPS)


class RangesTests(SynchronousTestCase):
    def test_a_miss_widens_the_next_range_on_its_side(self) -> None:
        ranges = Ranges()
        shortest, longest = ranges.around(1000.0)
        self.assertFalse(ranges.learned(1000.0, 10 * longest))
        self.assertGreater(ranges.around(1000.0)[1], longest)
        self.assertGreaterEqual(ranges.around(1000.0)[0], shortest)

    @examples(40)
    @given(st.integers(0, 1 << 32), st.floats(0.05, 3.0), st.floats(-2.0, 2.0))
    def test_whatever_guesses_are_worth_eight_in_ten_are_within(self, seed: int, spread: float, bias: float) -> None:
        dice = random.Random(seed)
        ranges = Ranges()
        hits = 0
        for _ in range(2000):
            guess = dice.choice([0.0, 100.0, 5000.0])
            hits += ranges.learned(guess, guess * dice.lognormvariate(bias, spread) + dice.expovariate(0.01))
        self.assertTrue(0.76 <= hits / 2000 <= 0.92, hits / 2000)

    def test_what_is_remembered_is_bounded_and_judged_once(self) -> None:
        stage = hall(1)
        forecaster = Forecaster(stage, stage.scheduler, Families())
        for number in range(MOST_REMEMBERED + 5):
            forecaster.remember(number, Expected(0.0, 50.0, 100.0), 0.0)
        self.assertIsNone(forecaster.began(4, 50.0))
        self.assertTrue(forecaster.began(5, 50.0))
        self.assertIsNone(forecaster.began(5, 50.0))

    def test_some_of_those_that_wait_are_remembered_now_and_then(self) -> None:
        stage = hall(1)
        for number in range(1, 40):
            stage.submitted(job(number, 1, 100.0 + number), 10.0)
        stage.submitted(job(50, tasks="0-9"), 10.0)
        stage.place(10.0)
        forecaster = Forecaster(stage, stage.scheduler, Families())
        for at in (10.0, 11.0, 69.0):
            forecaster.sample(at)
            self.assertTrue(0 < len(forecaster._said) <= SAMPLED)
        forecaster.sample(10.0 + SAMPLE_SECONDS)
        self.assertGreater(len(forecaster._said), SAMPLED)

"""Families of jobs: what was learned is bounded, survives being written, and never says nonsense."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from tests.support.brain import order
from tests.support.properties import examples
from tm.model.estimate import UNKNOWN, Ending, estimate
from tm.model.families import KEPT, MOST, WRITE_SECONDS, Families
from tm.model.job import Job, new_job
from tm.model.phase import Phase
from tm.model.shape import family_of, shape_of


def ended(run: float, name: str = "", phase: Phase = Phase.COMPLETED, user: str = "alice", **more: object) -> Job:
    """Return a job that ran for *run* seconds."""
    job, _ = new_job(1, order(user, name=name, **more)[0], "signed", 0.0)
    job.phase, job.started_at, job.ended_at = phase, 100.0, 100.0 + run
    return job


RUNS = st.floats(0, 1e6)
ENDINGS = st.lists(
    st.builds(Ending, RUNS, st.floats(0, 1e12), st.sampled_from([1.0, 4.0]), st.sampled_from([0.0, 60.0, 3600.0]))
)


class ShapeTests(SynchronousTestCase):
    def test_values_and_places_do_not_tell_commands_apart(self) -> None:
        for one, other in (
            ("/opt/bin/sim --seed 17 run4.dat", "sim --seed=3 run12.dat"),
            ("OMP_NUM_THREADS=4 ./sim2 a.dat", "cd /x && /y/sim3 b.dat"),
            ("python3 -u train.py --lr 0.1", "python3.11 -u /home/a/train.py --lr -3"),
        ):
            self.assertEqual(shape_of(one), shape_of(other))

    def test_programs_scripts_and_first_words_do(self) -> None:
        shapes = {
            shape_of(text) for text in ("git clone x", "git push", "python a.py", "python b.py", "sleep 5", "", "-")
        }
        self.assertEqual(len(shapes), 7)

    def test_a_name_counts_before_the_command_and_its_digits_do_not(self) -> None:
        self.assertEqual(family_of("alice", "sim-17", "true"), family_of("alice", "sim-4", "false"))
        self.assertNotEqual(family_of("alice", "", "true"), family_of("bob", "", "true"))


class EstimateTests(SynchronousTestCase):
    @examples(300)
    @given(ENDINGS, st.sampled_from([1, 4]), st.sampled_from([0.0, 60.0, 3600.0]), st.one_of(st.just(0.0), RUNS))
    def test_it_is_in_order_and_within_what_was_asked(
        self, endings: list[Ending], cores: int, asked: float, ran: float
    ) -> None:
        low, likely, high, _ = estimate(endings, cores, asked, ran)
        self.assertTrue(0 <= low <= likely <= high)
        self.assertGreaterEqual(low, min(ran, low))
        self.assertGreaterEqual(likely, ran)
        if asked:
            self.assertLessEqual(high, max(asked, ran))

    def test_what_is_not_known_is_what_was_asked(self) -> None:
        self.assertEqual(estimate((), 1, 60.0).likely, 60.0)
        self.assertEqual(estimate((), 1, 0.0).likely, UNKNOWN)

    def test_alike_endings_count_before_others(self) -> None:
        endings = [Ending(10.0, 0, 1, 60.0)] * 2 + [Ending(50.0, 0, 4, 60.0)] * 4
        self.assertEqual(estimate(endings, 1, 60.0).likely, 10.0)
        self.assertEqual(estimate(endings, 4, 60.0).likely, 50.0)

    def test_who_outlives_all_is_taken_to_run_on(self) -> None:
        self.assertEqual(estimate([Ending(10.0, 0, 1, 0.0)], 1, 0.0, 30.0).likely, 60.0)


class FamiliesTests(SynchronousTestCase):
    def test_what_is_written_is_learned_again(self) -> None:
        families = Families()
        for run in range(50):
            families.ended(ended(run + 0.25, "sim"))
        written = families.unwritten(0.0)
        self.assertEqual(set(written), {"alice/sim", "alice"})
        again = Families(written)
        waiting = ended(0, "sim")
        self.assertEqual(again.estimate(waiting), families.estimate(waiting))
        self.assertEqual(families.estimate(waiting).likely, 33.75)
        self.assertEqual(families.estimate(waiting).known, KEPT)

    def test_it_is_written_seldom(self) -> None:
        families = Families()
        families.ended(ended(1.0))
        self.assertTrue(families.unwritten(0.0))
        families.ended(ended(1.0))
        self.assertFalse(families.unwritten(WRITE_SECONDS - 1))
        self.assertTrue(families.unwritten(WRITE_SECONDS))
        self.assertFalse(families.unwritten(2 * WRITE_SECONDS))

    def test_there_are_only_so_many_and_the_forgotten_is_written_so(self) -> None:
        families = Families()
        for number in range(MOST):
            families.ended(ended(1.0, "x" * (1 + number % 50) + "yz"[number % 2] * (1 + number // 100)))
        for number in range(2 * MOST):
            families.ended(ended(1.0, user=f"u{number}"))
        self.assertEqual(len(families), MOST)
        written: dict[str, str] = {}
        for turn in range(200):
            written.update(families.unwritten(turn * WRITE_SECONDS))
        self.assertEqual(written["u0"], "")
        self.assertNotEqual(written[f"u{2 * MOST - 1}"], "")

    def test_what_makes_no_sense_is_forgotten(self) -> None:
        self.assertEqual(len(Families({"a": "", "b": "{", "c": "[1,2]", "d": '["x"]'})), 0)

    def test_a_job_that_was_cancelled_or_never_ran_teaches_nothing(self) -> None:
        families = Families()
        families.ended(ended(5.0, phase=Phase.CANCELLED))
        families.ended(ended(5.0, phase=Phase.LOST))
        never = ended(5.0, phase=Phase.FAILED)
        never.started_at, never.cause = None, "start"
        families.ended(never)
        self.assertEqual(len(families), 0)

    def test_who_has_no_such_family_is_estimated_from_what_else_they_ran(self) -> None:
        families = Families()
        families.ended(ended(7.0, "sim"))
        families.ended(ended(7.0, "sim"))
        self.assertEqual(families.estimate(ended(0, "other")).likely, 7.0)
        self.assertEqual(families.estimate(ended(0, "other", user="bob")).likely, UNKNOWN)

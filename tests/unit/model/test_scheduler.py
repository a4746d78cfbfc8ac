"""The scheduler, rule by rule: turns, own priorities, backfilling, reservations, scavengers, layouts."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from tests.support.brain import host_config
from tests.unit.model.test_scheduler_laws import job
from tm.model.hall import Hall
from tm.model.job import Job
from tm.model.queue import class_of
from tm.model.rights import Group, Groups, Limits
from tm.model.rules import EASY, FCFS, OURS, Rules
from tm.model.settings import Scheduling


def hall(*cores: int, rules: Rules = OURS, groups: Groups = Groups(), **settings: float) -> Hall:  # noqa: B008
    return Hall(
        [host_config(f"n{number}", count, 1 << 30) for number, count in enumerate(cores, 1)], rules=rules,
        groups=groups, settings=Scheduling(**settings),  # type: ignore[arg-type]
    )  # fmt: skip


class SchedulerCase(SynchronousTestCase):
    def place(self, made: Hall, at: float, *jobs: Job) -> list[int]:
        """Submit *jobs*; return the ids of what starts."""
        for one in jobs:
            made.submitted(one, at)
        return [one.id for one in made.place(at)]

    def why(self, made: Hall, one: Job) -> str:
        verdict = made.scheduler.verdict(class_of(one))
        assert verdict is not None
        return verdict.why


class TurnTests(SchedulerCase):
    def test_users_take_turns_from_the_first_core_on(self) -> None:
        made = hall(4)
        theirs = [job(number, "alice" if number < 5 else "bob", 0.0) for number in range(1, 9)]
        self.assertEqual(sorted(self.place(made, 0.0, *theirs)), [1, 2, 5, 6])

    def test_a_users_priorities_order_only_that_users_jobs(self) -> None:
        made = hall(1)
        self.place(made, 0.0, job(1, "bob", 0.0))
        waiting = [job(2, "alice", 1.0), job(3, "alice", 2.0, priority=1000), job(4, "carol", 1.5)]
        self.place(made, 2.0, *waiting)
        order = [kind.user + str(-kind.order) for _, kind in made.scheduler.in_order(2.0)]
        self.assertEqual(order, ["alice1000", "carol0", "alice0"])

    def test_who_waits_an_age_weight_longer_comes_before_any_share(self) -> None:
        made = hall(1, age_weight=100.0)
        self.place(made, 0.0, job(1, "alice", 0.0))
        old, new = job(2, "alice", 0.0), job(3, "bob", 101.0)
        self.place(made, 101.0, old, new)
        self.assertEqual([kind.user for _, kind in made.scheduler.in_order(101.0)], ["alice", "bob"])

    def test_a_boost_counts_like_an_age_weight(self) -> None:
        made = hall(1)
        self.place(made, 0.0, job(1, "alice", 0.0))
        self.assertEqual(self.place(made, 2.0, job(2, "bob", 1.0), job(3, "alice", 2.0, boost=2)), [])
        made.ended(1, 3.0)
        self.assertEqual(self.place(made, 3.0), [3])

    def test_scavengers_come_last_and_are_not_charged(self) -> None:
        made = hall(2)
        scavenger = job(1, "alice", 0.0, scavenge=True)
        self.assertEqual(self.place(made, 5.0, scavenger, job(2, "bob", 5.0)), [2, 1])
        self.assertEqual(made.fairshare.used("alice", 100.0), 0.0)


class BackfillTests(SchedulerCase):
    def full(self, rules: Rules = OURS) -> tuple[Hall, Job]:
        """Return a host of 4 cores, 3 of them in use until 100, and a job that waits for all."""
        made = hall(4, rules=rules)
        self.place(made, 0.0, job(1, "alice", 0.0, cores=3, time=100.0))
        wide = job(2, "bob", 1.0, cores=4, time=10.0)
        self.place(made, 1.0, wide, job(9, "zoe", 1.0, cores=4, time=10.0))
        return made, wide

    def test_a_job_passes_that_is_over_in_time_and_none_that_is_not(self) -> None:
        for rules in (OURS, EASY):
            made, wide = self.full(rules)
            long = job(4, "carol", 3.0, time=98.0)
            self.assertEqual(self.place(made, 3.0, long), [])
            self.assertEqual((self.why(made, long), self.why(made, wide)), ("reserved", "room"))
            self.assertEqual(self.place(made, 4.0, job(3, "carol", 4.0, time=90.0)), [3])

    def test_nobody_passes_without_backfill(self) -> None:
        made, _ = self.full(FCFS)
        self.assertEqual(self.place(made, 2.0, job(3, "carol", 2.0, time=1.0)), [])

    def test_of_what_nothing_is_known_is_taken_to_last_long(self) -> None:
        made, _ = self.full()
        self.assertEqual(self.place(made, 2.0, job(3, "carol", 2.0)), [])

    def test_what_the_reserved_job_leaves_is_for_all(self) -> None:
        made = hall(4)
        self.place(made, 0.0, job(1, "alice", 0.0, cores=2, time=100.0))
        self.place(made, 1.0, job(2, "bob", 1.0, cores=3, time=10.0), job(9, "zoe", 1.0, cores=4))
        self.assertEqual(self.place(made, 2.0, job(3, "carol", 2.0), job(4, "carol", 2.0)), [3])

    def test_an_estimate_that_proves_wrong_lets_nobody_pass_a_second_time(self) -> None:
        made, _ = self.full()
        self.assertEqual(self.place(made, 2.0, job(3, "carol", 2.0, time=90.0)), [3])
        made.scheduler.tick(150.0)
        made.ended(3, 150.0)
        self.assertEqual(self.place(made, 150.0, job(4, "carol", 150.0, time=0.1)), [])

    def test_nothing_is_kept_of_a_host_while_nobody_could_take_it_away(self) -> None:
        made = hall(4)
        self.place(made, 0.0, job(1, "alice", 0.0, cores=3, time=100.0))
        wide = job(2, "bob", 1.0, cores=4, time=10.0)
        self.place(made, 1.0, wide)
        made.scheduler.tick(2.0)
        self.assertEqual(list(made.scheduler.holds()), [])
        self.assertEqual(self.place(made, 3.0, job(3, "carol", 3.0)), [])
        self.assertEqual([hold.kind for hold in made.scheduler.holds()], [class_of(wide)])

    def test_a_cancelled_job_holds_nothing_any_more(self) -> None:
        made, wide = self.full()
        long = job(4, "carol", 3.0)
        self.assertEqual(self.place(made, 3.0, long), [])
        made.queue.remove(wide.id)
        made.queue.remove(9)
        made.scheduler.tick(4.0)
        self.assertEqual(self.place(made, 4.0), [4])


class ScavengerTests(SchedulerCase):
    def test_just_as_many_are_asked_to_leave_as_help_the_youngest_first(self) -> None:
        made = hall(2, 2)
        for number in range(1, 5):
            self.place(made, float(number), job(number, "alice", 0.0, scavenge=True))
        wanted = job(5, "bob", 9.0)
        self.assertEqual(self.place(made, 9.0, wanted), [])
        self.assertEqual((len(made.asked_to_leave()), self.why(made, wanted)), (1, "yield"))
        self.assertEqual((self.place(made, 10.0), made.asked_to_leave()), ([], []))

    def test_what_becomes_free_is_for_whom_they_left(self) -> None:
        made = hall(2)
        self.place(made, 1.0, job(1, "alice", 0.0, scavenge=True), job(2, "alice", 0.0, scavenge=True))
        self.place(made, 2.0, job(3, "bob", 2.0, cores=2))
        for number in made.asked_to_leave():
            gone = made.jobs[number]
            made.ended(number, 3.0)
            gone.gives_way = gone.host = None
            made.submitted(gone, 3.0)
            made.place(3.0)
        self.assertEqual([one.id for one in made.running("n1")], [3])

    def test_nobody_leaves_where_that_does_not_help(self) -> None:
        made = hall(2)
        self.place(made, 1.0, job(1, "alice", 0.0, cores=1), job(2, "alice", 0.0, scavenge=True))
        self.place(made, 2.0, job(3, "bob", 2.0, cores=2))
        self.assertEqual(made.asked_to_leave(), [])


class HostTests(SchedulerCase):
    def test_jobs_are_spread_or_packed_as_they_ask(self) -> None:
        made = hall(4, 8)
        self.place(made, 0.0, job(1, "alice", 0.0), job(2, "alice", 0.0, layout="spread"))
        self.place(made, 0.0, job(3, "alice", 0.0, layout="pack"))
        self.assertEqual([made.jobs[number].host for number in (1, 2, 3)], ["n2", "n2", "n1"])

    def test_a_limit_is_named_and_looked_at_when_somebody_ends(self) -> None:
        limited = Groups((Group("all", frozenset({"*"}), user_limits=Limits(running=1)),))
        made = hall(4, groups=limited)
        self.assertEqual(self.place(made, 0.0, job(1, "alice", 0.0), job(2, "alice", 0.0)), [1])
        self.assertEqual(self.why(made, made.jobs[2]), "limit")
        made.ended(1, 1.0)
        self.assertEqual(self.place(made, 1.0), [2])

    def test_a_freed_license_is_found_on_every_host(self) -> None:
        made = Hall([host_config("n1", 1), host_config("n2", 4)], settings=Scheduling(licenses={"matlab": 1}))
        need = (("matlab", 1),)
        self.place(made, 0.0, job(1, "alice", 0.0, hosts=("n1",), consumables=need))
        self.assertEqual(self.place(made, 0.0, job(2, "bob", 0.0, hosts=("n2",), consumables=need)), [])
        made.ended(1, 1.0)
        self.assertEqual(self.place(made, 1.0), [2])

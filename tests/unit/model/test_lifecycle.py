"""The table of moves: complete, and whatever is not in it changes nothing."""

from __future__ import annotations

import msgspec
from twisted.trial.unittest import SynchronousTestCase

from tests.support.brain import order
from tm.errors import IllegalMoveError
from tm.model.job import Job, new_job
from tm.model.lifecycle import MOVES, Fact, advance
from tm.model.phase import ACTIVE, FINAL, ON_HOST, Phase

EVENTS = [*"placed started suspended resumed ended refused returned lost cancelled nonsense".split(), ""]


def job_in(phase: Phase, cancelled_by: str | None = None) -> Job:
    job, _ = new_job(7, order()[0], "signed", 5.0)
    job.phase, job.attempt, job.host, job.spool, job.cancelled_by = phase, 2, "n1", "s", cancelled_by
    return job


class TableTests(SynchronousTestCase):
    def test_every_phase_is_active_or_final_and_never_both(self) -> None:
        self.assertEqual(ACTIVE | FINAL, set(Phase))
        self.assertEqual(ACTIVE & FINAL, set())
        self.assertLess(ON_HOST, ACTIVE)

    def test_every_active_phase_can_end_and_no_final_one_moves(self) -> None:
        leaves = {phase for phase, _ in MOVES}
        self.assertEqual(leaves, ACTIVE)
        reached = {Phase.COMPLETED, *MOVES.values()}
        self.assertEqual(reached & FINAL, {Phase.COMPLETED, Phase.FAILED, Phase.CANCELLED, Phase.LOST})

    def test_a_move_that_is_not_in_the_table_changes_nothing(self) -> None:
        for phase in Phase:
            for event in EVENTS:
                for attempt in (1, 2, 3):
                    if (phase, event) in MOVES and attempt == 2:
                        continue
                    job = job_in(phase)
                    before = msgspec.structs.asdict(job)
                    fact = Fact(7, attempt, event, 9.0, exit_code=0, reason="x", pid=4)
                    error = self.assertRaises(IllegalMoveError, advance, job, fact)
                    self.assertEqual((error.word, error.job, error.phase), ("job.move", 7, phase))
                    self.assertEqual(msgspec.structs.asdict(job), before)

    def test_every_move_in_the_table_leads_where_it_says(self) -> None:
        for (phase, event), target in MOVES.items():
            job = job_in(phase)
            advance(job, Fact(7, 2, event, 9.0, exit_code=1, turn=1))
            self.assertEqual(job.phase, target, (phase, event))

    def test_a_fact_heard_twice_is_no_move_the_second_time(self) -> None:
        for what in ("started", "ended", "refused", "returned", "lost", "rebooted"):
            job = job_in(Phase.STARTING)
            advance(job, Fact(7, 2, what, 9.0))
            self.assertRaises(IllegalMoveError, advance, job, Fact(7, 2, what, 10.0))


class EndingTests(SynchronousTestCase):
    def test_only_exit_status_0_of_that_attempt_completes_a_job(self) -> None:
        for code, number, phase in (
            (0, None, "completed"),
            (1, None, "failed"),
            (None, 9, "failed"),
            (None, None, "failed"),
        ):
            job = job_in(Phase.RUNNING)
            advance(job, Fact(7, 2, "ended", 9.0, exit_code=code, signal=number))
            self.assertEqual(
                (job.phase.value, job.exit_code, job.signal, job.ended_at), (phase, code, number, 9.0)
            )

    def test_a_limit_that_was_reached_is_how_it_ended_even_where_the_program_then_ended_well(self) -> None:
        for cause, phase in (("time", "timeout"), ("memory", "out_of_memory"), ("output", "output_limit")):
            for code, number in ((0, None), (3, None), (None, 15)):
                job = job_in(Phase.RUNNING)
                advance(job, Fact(7, 2, "ended", 9.0, exit_code=code, signal=number, cause=cause))
                self.assertEqual((job.phase.value, job.exit_code, job.cause), (phase, code, cause))

    def test_a_job_that_was_to_be_cancelled_is_so_only_when_it_is_seen_dead_without_success(self) -> None:
        for code, number, phase in (
            (0, None, "completed"),
            (143, None, "cancelled"),
            (None, 15, "cancelled"),
        ):
            job = job_in(Phase.RUNNING, "bob")
            advance(job, Fact(7, 2, "ended", 9.0, exit_code=code, signal=number))
            self.assertEqual(job.phase.value, phase)
        self.assertEqual(job.reason, "cancelled by bob")

    def test_what_is_taken_back_waits_again_or_is_cancelled_when_that_was_asked(self) -> None:
        job = job_in(Phase.STARTING)
        advance(job, Fact(7, 2, "returned", 9.0))
        self.assertEqual((job.phase, job.host, job.spool, job.ended_at), (Phase.PENDING, None, None, None))
        job = job_in(Phase.STARTING, "bob")
        advance(job, Fact(7, 2, "returned", 9.0))
        self.assertEqual((job.phase, job.host, job.ended_at), (Phase.CANCELLED, "n1", 9.0))

    def test_an_ending_brings_what_was_not_heard_of_the_start(self) -> None:
        job = job_in(Phase.STARTING)
        advance(
            job, Fact(7, 2, "ended", 9.0, pid=5, started_at=8.0, exit_code=3, cpu_seconds=0.5, max_rss=77)
        )
        self.assertEqual((job.started_at, job.pid, job.cpu_seconds, job.max_rss), (8.0, 5, 0.5, 77))

    def test_an_ending_that_says_nothing_of_the_start_keeps_what_is_known(self) -> None:
        job = job_in(Phase.STARTING)
        advance(job, Fact(7, 2, "started", 8.0, pid=5))
        advance(job, Fact(7, 2, "lost", 9.0, reason="rebooted"))
        self.assertEqual((job.started_at, job.pid, job.reason), (8.0, 5, "rebooted"))


class PauseTests(SynchronousTestCase):
    def test_of_two_words_about_a_pause_the_later_holds_in_whatever_order_they_come(self) -> None:
        suspended = Fact(7, 2, "suspended", 9.0, pid=5, started_at=8.0, turn=1)
        resumed = Fact(7, 2, "resumed", 9.5, pid=5, started_at=8.0, turn=2)
        for facts in ([suspended, resumed], [resumed]):
            job = job_in(Phase.STARTING)
            for fact in facts:
                advance(job, fact)
            self.assertEqual((job.phase, job.started_at, job.pid), (Phase.RUNNING, 8.0, 5))
            self.assertRaises(IllegalMoveError, advance, job, suspended)

    def test_what_is_suspended_can_end_in_every_way(self) -> None:
        for what, code, phase in (("ended", 0, "completed"), ("ended", 3, "failed"), ("lost", None, "lost")):
            job = job_in(Phase.SUSPENDED)
            advance(job, Fact(7, 2, what, 9.0, exit_code=code))
            self.assertEqual(job.phase.value, phase)


class GivingWayTests(SynchronousTestCase):
    def leaving(self, cancelled_by: str | None = None) -> Job:
        job = job_in(Phase.RUNNING, cancelled_by)
        job.gives_way, job.started_at, job.pid = "others: bob is at the console", 8.0, 5
        return job

    def test_an_attempt_that_gave_way_waits_again_and_says_why(self) -> None:
        for fact in (Fact(7, 2, "ended", 9.0, signal=15), Fact(7, 2, "ended", 9.0, exit_code=143)):
            job = self.leaving()
            advance(job, fact)
            self.assertEqual(job.reason, "attempt 2 on n1 gave way to others: bob is at the console")
            self.assertEqual((job.phase, job.attempt, job.gives_way), (Phase.PENDING, 2, None))
            self.assertEqual((job.host, job.spool, job.pid, job.started_at), (None, None, None, None))
            self.assertEqual((job.ended_at, job.exit_code, job.signal), (None, None, None))

    def test_a_job_whose_host_was_restarted_is_lost_or_begun_anew_if_it_consents(self) -> None:
        for requeue, by, phase in (
            (False, None, "lost"), (True, None, "pending"), (True, "bob", "cancelled"), (False, "bob", "cancelled"),
        ):  # fmt: skip
            job = job_in(Phase.RUNNING)
            job.requeue, job.cancelled_by = requeue, by
            advance(job, Fact(7, 2, "rebooted", 9.0, reason="n1 was restarted"))
            self.assertEqual((job.phase.value, job.reason), (phase, "n1 was restarted"))
            self.assertEqual(job.host is None, phase == "pending")

    def test_who_finishes_or_is_cancelled_or_lost_meanwhile_does_not_wait_again(self) -> None:
        for by, fact, phase in (
            (None, Fact(7, 2, "ended", 9.0, exit_code=0), "completed"),
            ("bob", Fact(7, 2, "ended", 9.0, signal=15), "cancelled"),
            (None, Fact(7, 2, "lost", 9.0), "lost"),
        ):
            job = self.leaving(by)
            advance(job, fact)
            self.assertEqual(job.phase.value, phase)

"""Which attempts are followed by another one: only those of which their user spoke."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from tests.support.brain import order
from tm.errors import IllegalMoveError
from tm.model.job import Job, new_job
from tm.model.lifecycle import Fact, advance
from tm.model.phase import Phase
from tm.model.retry import MOST_HOST_FAULTS, complaint

ENDINGS = {
    "exit 75": {"what": "ended", "exit_code": 75},
    "exit 1": {"what": "ended", "exit_code": 1},
    "signal 9": {"what": "ended", "signal": 9},
    "memory": {"what": "ended", "signal": 9, "cause": "memory"},
    "time": {"what": "ended", "signal": 15, "cause": "time"},
    "output": {"what": "ended", "signal": 9, "cause": "output"},
    "processes": {"what": "ended", "signal": 9, "cause": "processes"},
    "not startable": {"what": "refused", "exit_code": 126, "reason": "no such folder"},
    "not found": {"what": "refused", "exit_code": 127, "reason": "no such program"},
    "rebooted": {"what": "rebooted", "reason": "n1 was restarted"},
    "lost": {"what": "lost", "reason": "n1 has no record of it"},
    "well": {"what": "ended", "exit_code": 0},
}


def begun(**more: object) -> Job:
    """Return a job that was sent to a host."""
    job, _ = new_job(1, *order(**more), 1000.0)  # type: ignore[arg-type]
    job.phase, job.attempt, job.host, job.spool = Phase.STARTING, 1, "n1", "sp"
    return job


def after(ending: str, phase: Phase = Phase.RUNNING, **more: object) -> Job:
    """Return a job after its first attempt."""
    job = begun(**more)
    fact = Fact(1, 1, at=1100.0, **ENDINGS[ending])  # type: ignore[arg-type]
    job.phase = Phase.STARTING if fact.what == "refused" else phase
    advance(job, fact, 1200.0)
    return job


class WhichTests(SynchronousTestCase):
    def again(self, **more: object) -> set[str]:
        """Return the endings after which a job that asks for *more* is tried again."""
        return {ending for ending in ENDINGS if after(ending, **more).phase is Phase.PENDING}

    def test_by_default_none_is(self) -> None:
        self.assertEqual(self.again(), set())

    def test_who_consents_to_another_start_has_one_where_the_host_alone_failed(self) -> None:
        self.assertEqual(self.again(requeue=True), {"not startable", "rebooted"})

    def test_retries_alone_are_for_faults_of_hosts(self) -> None:
        self.assertEqual(self.again(retries=2), {"not startable", "rebooted", "lost"})

    def test_each_cause_is_what_it_says(self) -> None:
        host = {"not startable", "rebooted", "lost"}
        for cause, expected in {
            "host": host,
            "exit:75": {"exit 75"},
            "exit:64-78": {"exit 75"},
            "exit": {"exit 75", "exit 1"},
            "signal": {"signal 9"},
            "signal:KILL": {"signal 9"},
            "signal:15": set(),
            "oom": {"memory"},
            "time": {"time"},
            "output": {"output"},
            "fail": {"exit 75", "exit 1", "signal 9", "processes", "not found"},
            "any": ENDINGS.keys() - {"well"},
        }.items():
            self.assertEqual(self.again(retries=1, retry_on=[cause]), expected, cause)

    def test_what_was_cancelled_is_over(self) -> None:
        for ending in ("exit 75", "rebooted", "lost"):
            job = begun(retries=3, retry_on=["any"], requeue=True)
            job.phase, job.cancelled_by = Phase.RUNNING, "alice"
            advance(job, Fact(1, 1, at=1100.0, **ENDINGS[ending]))  # type: ignore[arg-type]
            self.assertNotEqual(job.phase, Phase.PENDING, ending)

    def test_so_many_and_no_more(self) -> None:
        job = begun(retries=2, retry_on=["exit"])
        for attempt in (1, 2, 3):
            job.phase, job.attempt, job.host = Phase.RUNNING, attempt, "n1"
            advance(job, Fact(1, attempt, "ended", 1100.0, exit_code=1))
        self.assertEqual((job.phase, job.retried, job.exit_code), (Phase.FAILED, 2, 1))

    def test_a_host_that_starts_nothing_is_asked_ever_more_seldom_and_not_for_ever(self) -> None:
        job = begun(requeue=True)
        pauses = []
        for attempt in range(1, MOST_HOST_FAULTS + 2):
            job.phase, job.attempt, job.host = Phase.STARTING, attempt, "n1"
            advance(job, Fact(1, attempt, "refused", 1000.0, exit_code=126, reason="no such folder"), 1000.0)
            pauses.append(job.not_before - 1000.0)
            job.not_before = 0.0
        self.assertEqual(pauses, [10.0, 20.0, 40.0, 80.0, 160.0, -1000.0])
        self.assertEqual((job.phase, job.cause), (Phase.FAILED, "start"))

    def test_an_old_word_of_an_attempt_that_was_followed_is_no_move(self) -> None:
        job = after("exit 1", retries=1, retry_on=["exit"])
        self.assertRaises(IllegalMoveError, advance, job, Fact(1, 1, "ended", 1100.0, exit_code=1))


class WaitingAgainTests(SynchronousTestCase):
    def test_it_waits_by_our_own_clock_and_says_what_happened(self) -> None:
        job = after("exit 75", retries=1, retry_on=["exit:75"], retry_delay=60)
        self.assertEqual(job.not_before, 1260.0)
        self.assertEqual(job.reason, "attempt 1 on n1 failed with exit code 75")
        self.assertEqual((job.host, job.pid, job.started_at, job.retried), (None, None, None, 1))

    def test_the_words_name_the_cause(self) -> None:
        said = {
            ending: after(ending, retries=1, retry_on=["any"]).reason
            for ending in ("memory", "not startable", "lost")
        }
        self.assertEqual(
            said,
            {
                "memory": "attempt 1 on n1 ran out of memory",
                "not startable": "attempt 1 on n1 could not be started: no such folder",
                "lost": "attempt 1 on n1 was lost: n1 has no record of it",
            },
        )


class WritingTests(SynchronousTestCase):
    def test_what_may_be_written(self) -> None:
        for cause in ("any", "exit:75", "exit:64-78", "signal:9", "signal:kill", "signal:SIGTERM", "oom"):
            self.assertEqual(complaint(cause), "", cause)
        for cause in ("sometimes", "exit:x", "exit:", "oom:3", "signal:99", "signal:NONE"):
            self.assertIn(cause, complaint(cause))

"""What every store says was used; and that the archive of months loses and doubles nothing."""

from __future__ import annotations

import os
import sqlite3

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from tests.contract.test_stores import job
from tests.support.properties import examples
from tm.errors import StoreError
from tm.model.accounting import Use, UseQuery, summed
from tm.model.effects import Attempt, JobEvent, Records
from tm.model.ids import task_id
from tm.model.job import Job, new_task
from tm.model.phase import Phase
from tm.ports import JobQuery, JobStore
from tm.store import schema
from tm.store.memory import MemoryStore
from tm.store.sqlite import SqliteStore

DAY = 86400.0
MONTH = 31 * DAY


def ended(
    number: int, user: str, at: float, seconds: float = 100.0, phase: Phase = Phase.COMPLETED, **more: object
) -> Job:
    """Return a job of *user* that ran for so long and ended *at*."""
    made = job(number, user, phase, **more)
    made.submitted_at, made.started_at, made.ended_at = at - seconds - 50, at - seconds, at
    made.cpu_seconds, made.max_rss = seconds / 2, number
    return made


def keep(store: JobStore, *jobs: Job, **more: object) -> None:
    records = Records(new={one.id: one for one in jobs}, **more)  # type: ignore[arg-type]
    store.commit(store.prepare(records))


def a_year(store: JobStore) -> None:
    """Fill *store* with a year of jobs: three users, an array, retries, what never started, what is not over."""
    jobs = [
        ended(n, f"u{n % 3}", n * 10 * DAY, phase=Phase.FAILED if n % 5 == 0 else Phase.COMPLETED, cores=1 + n % 4)
        for n in range(1, 37)
    ]
    array = job(50, "u1", Phase.FAILED, array="0-3")
    array.started_at, array.ended_at = 20 * DAY, 40 * DAY
    tasks = [new_task(task_id(50, index), array) for index in range(4)]
    for index, task in enumerate(tasks):
        task.phase, task.started_at, task.ended_at = Phase.COMPLETED, index * DAY, 40 * DAY - 1
    never = job(60, "u0", Phase.CANCELLED)
    never.ended_at, never.submitted_at = 30 * DAY, 29 * DAY
    retried = [Attempt(3, 1, "n1", 29 * DAY, 29 * DAY + 600, 75, None, "exit", "", 300.0, 5)]
    events = [JobEvent(3, 29 * DAY, "submitted", "by u0")]
    keep(store, *jobs, array, *tasks, never, job(70, "u2"), attempts=retried, events=events)


class UsesContract:
    """What every store says of the past."""

    def store(self) -> JobStore:
        raise NotImplementedError

    def test_sums_count_tasks_and_attempts_but_no_array_twice(self) -> None:
        store = self.store()
        array = job(5, "alice", Phase.COMPLETED, array="0-1", account="physics")
        array.started_at, array.ended_at = 10.0, 110.0
        tasks = [ended(task_id(5, index), "alice", 110.0, array="0-1", account="physics") for index in (0, 1)]
        for task in tasks:
            task.tasks, task.account = None, "physics"
        array.account = "physics"
        lost = Attempt(task_id(5, 1), 1, "n1", 0.0, 40.0, None, 9, "signal", "", 7.0, 1 << 20)
        keep(store, array, *tasks, attempts=[lost])
        (use,) = summed(store.uses(UseQuery()), ("user", "group"))
        self.assertEqual(  # type: ignore[attr-defined]
            use, Use("alice", "physics", "", 2, 2, 0, 240.0, 107.0, 0.0, 100.0, task_id(5, 1))
        )

    def test_only_what_ended_in_the_time_and_was_asked_for_counts(self) -> None:
        store = self.store()
        keep(
            store, ended(1, "a", 1000.0), ended(2, "b", 2000.0, phase=Phase.FAILED), ended(3, "a", 3000.0), job(4, "a")
        )
        count = lambda **asked: sum(use.jobs for use in store.uses(UseQuery(**asked)))  # type: ignore[arg-type]  # noqa: E731
        self.assertEqual(  # type: ignore[attr-defined]
            (count(), count(since=2000.0), count(until=2000.0), count(user="a"), count(group="x")), (3, 2, 1, 2, 0)
        )

    def test_what_never_started_waited_and_used_nothing(self) -> None:
        store = self.store()
        never = job(1, "a", Phase.CANCELLED)
        never.submitted_at, never.ended_at = 10.0, 70.0
        keep(store, never)
        (use,) = store.uses(UseQuery())
        self.assertEqual((use.jobs, use.failed, use.core_seconds, use.waited), (1, 0, 0.0, 60.0))  # type: ignore[attr-defined]


class MemoryUsesTests(UsesContract, SynchronousTestCase):
    def store(self) -> JobStore:
        return MemoryStore()


class SqliteUsesTests(UsesContract, SynchronousTestCase):
    def store(self) -> SqliteStore:
        self.path = os.path.join(os.path.abspath(self.mktemp()), "store.sqlite")
        schema.create(self.path)
        store = SqliteStore(self.path)
        self.addCleanup(store.close)
        return store

    def seen(self, store: JobStore) -> object:
        """Return all that can be asked of the past."""
        month = ("user", "group", "month")
        jobs = {number: store.job(number) for number in [*range(1, 71), *(task_id(50, index) for index in range(5))]}
        shown = {number: None if one is None else (one.phase, one.ended_at, one.spec) for number, one in jobs.items()}
        listed = [one.id for one in store.jobs(JobQuery(since=0.0))]
        tasks = [one.id for one in store.jobs(JobQuery(array=50))]
        return summed(store.uses(UseQuery()), month), shown, listed, tasks, store.attempts(3), store.events(3)

    def test_moving_to_the_archive_changes_no_answer(self) -> None:
        store = self.store()
        a_year(store)
        before = self.seen(store)
        while store.archive(200 * DAY):
            pass
        self.assertEqual(self.seen(store), before)
        self.assertEqual(len(os.listdir(os.path.join(os.path.dirname(self.path), "archive"))), 7)
        self.assertEqual([one.id for one in store.load().jobs], [70])
        self.assertTrue(all(one.ended_at is None or one.ended_at >= 200 * DAY for one in store.jobs(JobQuery())))

    def test_what_a_crash_leaves_in_both_places_counts_once(self) -> None:
        store = self.store()
        a_year(store)
        before = self.seen(store)
        connection = sqlite3.connect(self.path)
        kept = {name: connection.execute(f"SELECT * FROM {name}").fetchall() for name in ("jobs", "attempts", "events")}
        store.archive(200 * DAY)
        for name, rows in kept.items():
            values = ", ".join("?" * len(rows[0]))
            connection.executemany(f"INSERT OR IGNORE INTO {name} VALUES ({values})", rows)
        connection.commit()
        connection.close()
        self.assertEqual(self.seen(store), before)
        while store.archive(200 * DAY):
            pass
        self.assertEqual(self.seen(store), before)

    def test_a_task_stays_until_its_array_has_ended(self) -> None:
        store = self.store()
        array = job(50, "u1", Phase.PENDING, array="0-3")
        task = new_task(task_id(50, 0), array)
        task.phase, task.started_at, task.ended_at = Phase.COMPLETED, 1.0, 2.0
        keep(store, array, task)
        self.assertEqual(store.archive(100 * DAY), 0)
        self.assertEqual([one.tasks.waiting for one in store.load().jobs if one.tasks], [3])

    def test_a_file_that_cannot_be_written_loses_nothing(self) -> None:
        store = self.store()
        a_year(store)
        before = self.seen(store)
        folder = os.path.join(os.path.dirname(self.path), "archive")
        with open(folder, "w", encoding="ascii"):
            pass
        self.assertRaises(StoreError, store.archive, 200 * DAY)
        os.unlink(folder)
        self.assertEqual(self.seen(store), before)


USES = st.builds(
    Use, st.sampled_from("ab"), st.sampled_from(["", "g"]), st.sampled_from(["2026-01", "2026-02"]),
    *[st.integers(0, 100)] * 3, *[st.integers(0, 1000).map(float)] * 4, st.integers(0, 1 << 40),
)  # fmt: skip


class SumsTests(SynchronousTestCase):
    @examples(100)
    @given(st.lists(USES), st.sets(st.sampled_from(["user", "group", "month"])))
    def test_however_it_is_told_the_whole_is_the_same(self, uses: list[Use], by: set[str]) -> None:
        told = summed(uses, sorted(by))
        for name in ("jobs", "core_seconds", "waited"):
            self.assertEqual(sum(getattr(one, name) for one in told), sum(getattr(one, name) for one in uses))
        self.assertEqual(max((one.max_rss for one in told), default=0), max((one.max_rss for one in uses), default=0))

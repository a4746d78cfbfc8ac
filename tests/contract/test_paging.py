"""Every page of every list: each job exactly once, in its order, whatever comes meanwhile; in every store alike."""

from __future__ import annotations

import os
import sqlite3
from dataclasses import replace
from itertools import count

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from tests.contract.test_stores import job
from tests.support.properties import examples
from tm.model.effects import Records
from tm.model.ids import task_id
from tm.model.job import Job, new_task
from tm.model.paging import ORDERS, Position, has_text, position, sort_key
from tm.model.phase import ACTIVE, FINAL, Phase
from tm.ports import JobQuery, JobStore
from tm.store import schema
from tm.store.asking import page_groups
from tm.store.meant import teach
from tm.store.memory import MemoryStore
from tm.store.sqlite import SqliteStore

DAY = 86400.0
HOSTS = (None, "n1", "n2", "ñ")
COMMANDS: tuple[object, ...] = (
    "true", "echo 'a  b' | Sort", ["/bin/Echo", "it's here", "100 %"], ["python", "Straße.py", '--x="7"'], "x\\y\tz",
)  # fmt: skip
NAMES = ("sim-1", "Sim-1", "sim-10", "ß☃", "17", "a'b\"c")
TEXTS = (
    "sim", "SIM-1", "17", "echo", "'a  b'", "it's", "100 %", "straße", '"7"', "y\tz", "\\", "_", "_1", "☃", "'", "zz",
)  # fmt: skip


@st.composite
def jobs(draw: st.DrawFn) -> Job:
    """Return a job without a number, of one of few users, that waits, runs or has ended."""
    phase = draw(st.sampled_from(list(Phase)))
    made = job(
        1, draw(st.sampled_from(["alice", "bob", "Bob"])), phase, name=draw(st.sampled_from(NAMES)),
        command=draw(st.sampled_from(COMMANDS)), cores=draw(st.integers(1, 3)),
        **({"array": "0-3"} if draw(st.booleans()) and draw(st.booleans()) else {}),
    )  # fmt: skip
    moments = st.integers(0, 8).map(lambda step: step * DAY / 4)
    if phase not in (Phase.HELD, Phase.PENDING):
        made.started_at = draw(st.none() | moments) if phase in FINAL else draw(moments)
        made.host = draw(st.sampled_from(HOSTS)) if made.tasks is None else None
    if phase in FINAL:
        made.ended_at = (made.started_at or 0.0) + draw(moments)
        made.cpu_seconds, made.max_rss = draw(st.none() | st.floats(0, 9)), draw(st.none() | st.integers(0, 3))
    made.account = draw(st.sampled_from(["", "p"]))
    return made


@st.composite
def many(draw: st.DrawFn) -> list[Job]:
    """Return jobs with numbers, some of them arrays with tasks that started."""
    found: list[Job] = []
    numbers = count(draw(st.sampled_from([1, 9, 95, 4_000_000_000])))
    for made in draw(st.lists(jobs(), max_size=14)):
        made.id = next(numbers)
        found.append(made)
        if made.tasks is None:
            continue
        for index in draw(st.sets(st.integers(0, 3))):
            task = new_task(task_id(made.id, index), made)
            task.phase, task.started_at, task.ended_at, task.host = Phase.RUNNING, made.started_at or 1.0, None, "n1"
            found.append(task)
    return found


def _maybe(values: st.SearchStrategy[object]) -> st.SearchStrategy[object]:
    return st.none() | st.none() | values


QUERIES = st.builds(
    JobQuery,
    user=_maybe(st.sampled_from(["alice", "Bob"])),
    phases=st.sampled_from([frozenset(), ACTIVE, FINAL, frozenset({Phase.RUNNING}), frozenset({Phase.FAILED})]),
    name=_maybe(st.sampled_from(["sim*", "[sS]im-1", "*"])),
    host=_maybe(st.sampled_from(["n1", "ñ"])),
    account=_maybe(st.sampled_from(["", "p"])),
    text=_maybe(st.sampled_from(TEXTS)),
    since=_maybe(st.sampled_from([0.0, DAY])),
    until=_maybe(st.sampled_from([DAY, 3 * DAY])),
    overlap=_maybe(st.sampled_from([(0.0, DAY), (DAY, 2 * DAY), (DAY / 2, DAY / 2 + 1)])),
    each=st.booleans(),
    also=st.sampled_from([frozenset(), frozenset({1, 9, 10})]),
    array=_maybe(st.sampled_from([1, 9, 96])),
    after=st.sampled_from([0, 0, 0, 10]),
    order=st.sampled_from(sorted(ORDERS)),
    descending=st.booleans(),
)  # type: ignore[arg-type]


def pages(store: JobStore, query: JobQuery, size: int) -> list[Job]:
    """Return the jobs of all pages of *size*."""
    found: list[Job] = []
    query = replace(query, limit=size)
    while page := store.jobs(query):
        found += page
        query = replace(query, start=position(page[-1], query.order))
    return found


def numbers(jobs: list[Job]) -> list[int]:
    return [one.id for one in jobs]


class PagingTests(SynchronousTestCase):
    """What memory holds is the measure; SQLite says the same, in the file and in the archive."""

    def stores(self, jobs: list[Job]) -> tuple[MemoryStore, SqliteStore, SqliteStore]:
        """Return *jobs* in memory, in a file, and in a file whose archive has all that ended."""
        made = []
        for _ in (False, True):
            path = os.path.join(os.path.abspath(self.mktemp()), "store.sqlite")
            schema.create(path)
            store = SqliteStore(path)
            self.addCleanup(store.close)
            made.append(store)
        memory = MemoryStore()
        for store in (memory, *made):
            store.commit(store.prepare(Records(new={one.id: one for one in jobs})))
        while made[1].archive(1000 * DAY):
            pass
        return memory, made[0], made[1]

    @given(many(), st.lists(QUERIES, min_size=1, max_size=12), st.integers(1, 5))
    @examples(50)
    def test_every_job_is_on_one_page_in_its_order_in_every_store(
        self, jobs: list[Job], queries: list[JobQuery], size: int
    ) -> None:
        memory, plain, archived = self.stores(jobs)
        active = {one.id for one in jobs if one.phase in ACTIVE}
        for query in queries:
            query = replace(query, also=query.also & active)
            whole = numbers(memory.jobs(replace(query, limit=1000)))
            self.assertEqual(len(whole), len(set(whole)))
            for store in (memory, plain):
                self.assertEqual(numbers(pages(store, query, size)), whole, query)
            found = memory.counted(query)
            self.assertEqual(plain.counted(query), found, query)
            if not query.after:
                self.assertEqual(sum(found.values()), len(whole), query)
            if query.since is not None or query.overlap is not None or query.array is not None:
                self.assertEqual(numbers(pages(archived, query, size)), whole, query)
                self.assertEqual(archived.counted(query), found, query)

    @given(many(), QUERIES, st.integers(1, 4))
    @examples(25)
    def test_a_page_in_the_other_direction_is_the_one_before(self, jobs: list[Job], query: JobQuery, size: int) -> None:
        memory, plain, _ = self.stores(jobs)
        query = replace(query, also=frozenset())
        for store in (memory, plain):
            whole = store.jobs(replace(query, limit=1000))
            for at, one in enumerate(whole):
                back = replace(
                    query, limit=size, descending=not query.descending, start=position(one, query.order)
                )
                self.assertEqual(numbers(store.jobs(back)), numbers(whole[:at])[::-1][:size], query)

    @given(many(), many(), QUERIES, st.integers(1, 4))
    @examples(25)
    def test_what_comes_meanwhile_shifts_nothing(
        self, jobs: list[Job], later: list[Job], query: JobQuery, size: int
    ) -> None:
        memory, plain, _ = self.stores(jobs)
        query = replace(query, also=frozenset())
        before = numbers(memory.jobs(replace(query, limit=1000)))
        for store in (memory, plain):
            first = store.jobs(replace(query, limit=size))
            moved = {one.id + (1 << 31 if one.array is None else 1 << 40): one for one in later}
            for number, one in moved.items():
                one.id = number
            store.commit(store.prepare(Records(new=moved)))
            if first:
                rest = pages(store, replace(query, start=position(first[-1], query.order)), size)
                seen = numbers(first) + [number for number in numbers(rest) if number in before]
                self.assertEqual(seen, before, query)
            for one in later:
                one.id -= 1 << 31 if one.array is None else 1 << 40

    def test_what_is_searched_for_is_in_the_name_the_command_or_the_id(self) -> None:
        made = job(1234, name="Sim-Ä", command=["/bin/echo", "Two words", "x"])
        for needle in ("sim", "SIM-", "Ä", "'two WORDS'", "echo", "234", "/BIN"):
            self.assertTrue(has_text(made, needle), needle)
        for needle in ("ä", "two  words", "12345", "alice", "signature"):
            self.assertFalse(has_text(made, needle), needle)

    def test_every_order_sorts_by_something(self) -> None:
        one, other = job(1), job(2)
        other.phase, other.host, other.started_at, other.ended_at = Phase.FAILED, "n", 1.0, 2.0
        for order in ORDERS:
            self.assertNotEqual(sort_key(one, order), sort_key(other, order))


class WayTests(SynchronousTestCase):
    """Which way SQLite goes to a page: through an index that has what is asked, never through all jobs."""

    def ways(self, **asked: object) -> list[str]:
        """Return how the jobs of a page are found by each statement, before they are read as a whole."""
        path = os.path.join(os.path.abspath(self.mktemp()), "store.sqlite")
        schema.create(path)
        connection = sqlite3.connect(path)
        self.addCleanup(connection.close)
        teach(connection)
        many = dict.fromkeys(Phase, 100_000)
        found = []
        for group in page_groups(JobQuery(limit=51, **asked), many):  # type: ignore[arg-type]
            for part in group:
                plan = connection.execute(f"EXPLAIN QUERY PLAN {part.sql}", [*part.values, 51]).fetchall()
                found.append("; ".join(words for _, within, _, words in plan if within))
        return found

    def test_every_order_and_every_half_goes_through_an_index_that_has_it_all(self) -> None:
        for order in ORDERS:
            for phases, index in ((ACTIVE, "jobs_active"), (FINAL, "jobs_ended")):
                for user in (None, "alice"):
                    if order == "id" and phases == FINAL:
                        continue
                    ways = self.ways(order=order, phases=frozenset(phases), user=user, descending=True)
                    self.assertTrue(ways)
                    for way in ways:
                        self.assertIn(f"USING COVERING INDEX {index}", way, (order, phases, user))

    def test_the_usual_orders_sort_nothing(self) -> None:
        usual: tuple[dict[str, object], ...] = (
            {}, {"user": "alice"}, {"descending": True}, {"phases": ACTIVE}, {"phases": FINAL, "order": "ended"},
            {"phases": FINAL, "order": "ended", "user": "alice", "descending": True}, {"order": "ended"},
        )  # fmt: skip
        for asked in usual:
            for way in self.ways(**asked):
                self.assertNotIn("TEMP B-TREE", way, asked)

    def test_where_a_page_goes_on_is_found_in_the_index(self) -> None:
        (way,) = self.ways(phases=FINAL, order="ended", start=Position(5.0, 7))[:1]
        self.assertRegex(way, r"SEARCH jobs USING COVERING INDEX jobs_ended \(.*ended_at.*\)")
        (way,) = self.ways(start=Position(7, 7))
        self.assertRegex(way, r"SEARCH jobs USING INTEGER PRIMARY KEY \(rowid>\?")

    def test_what_ran_in_a_time_is_sought_from_its_begin(self) -> None:
        ways = self.ways(overlap=(5.0, 9.0), phases=FINAL, order="started")
        self.assertTrue(all("jobs_ended (ended_at>?)" in way for way in ways), ways)

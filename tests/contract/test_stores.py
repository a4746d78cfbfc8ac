"""One contract for every store of the dispatcher, and what only the one in a file has to promise."""

from __future__ import annotations

import contextlib
import os
import shutil
import sqlite3
import subprocess
import threading

import msgspec
from twisted.trial.unittest import SynchronousTestCase

from tests.support.brain import order
from tm.errors import StoreError
from tm.model.accounting import UseQuery
from tm.model.audit import Change
from tm.model.cluster import Spool
from tm.model.decided import HostMemo
from tm.model.effects import Records
from tm.model.ids import task_id
from tm.model.job import Job, new_job, new_task
from tm.model.phase import ACTIVE, FINAL, Phase
from tm.model.sessions import Session
from tm.ports import JobQuery, JobStore
from tm.store import schema
from tm.store.memory import MemoryStore
from tm.store.rows import More
from tm.store.sqlite import SqliteStore


def job(number: int, user: str = "alice", phase: Phase = Phase.PENDING, **more: object) -> Job:
    made, _ = new_job(number, order(user, **more)[0], f"signature of {number}", 100.25 + number)
    made.phase = phase
    made.ended_at = 200.25 + number if phase in FINAL else None
    return made


def whole_job(number: int) -> Job:
    """Return a job every field of which has a value of its own."""
    made = job(
        number,
        "bob",
        Phase.FAILED,
        cores=3,
        memory=1 << 40,
        priority=-7,
        hosts=["n1", "ñ2"],
        interactive=True,
    )
    made.reason, made.attempt, made.host, made.spool, made.command_number = (
        "because; 'quoted' ☃\n",
        4,
        "n1",
        "sp",
        12,
    )
    made.cancelled_by, made.pid, made.started_at, made.ended_at = "root", 4242, 1.5, 2.000001
    made.exit_code, made.signal, made.cpu_seconds, made.max_rss = 3, 9, 0.125, 1 << 45
    made.gives_way = "others: root is at the console"
    return made


def new(*jobs: Job) -> Records:
    return Records(new={made.id: made for made in jobs})


def recorded(number: int, user: str = "alice") -> Change:
    return Change(id=number, at=1.5, user=user, verb="addhost", kind="host", name="n1", after={})


class StoreContract:
    """What every store promises; `restarted` gives the store as the next dispatcher finds it."""

    store: JobStore

    def restarted(self) -> JobStore:
        raise NotImplementedError

    def keep(self, records: Records) -> None:
        self.store.commit(self.store.prepare(records))

    def listed(self, **asked: object) -> list[int]:
        return [found.id for found in self.store.jobs(JobQuery(**asked))]  # type: ignore[arg-type]

    def test_an_empty_store_begins_with_epoch_1_and_job_1(self) -> None:
        loaded = self.store.load()
        self.assertEqual((loaded.epoch, loaded.next_id, list(loaded.jobs), list(loaded.spools)), (1, 1, [], []))  # type: ignore[attr-defined]

    def test_every_start_is_a_new_epoch(self) -> None:
        self.assertEqual([self.store.load().epoch, self.store.load().epoch], [1, 2])  # type: ignore[attr-defined]
        self.assertEqual(self.restarted().load().epoch, 3)  # type: ignore[attr-defined]

    def test_a_job_comes_back_with_every_field(self) -> None:
        plain, whole = job(1), whole_job(2)
        self.keep(new(plain, whole))
        for made in (plain, whole):
            self.assertEqual(self.store.job(made.id), made)  # type: ignore[attr-defined]
        self.assertEqual(self.restarted().jobs(JobQuery()), [plain, whole])  # type: ignore[attr-defined]

    def test_tasks_that_began_are_known_with_what_became_of_them(self) -> None:
        array = job(1, array="0-9")
        tasks = [new_task(task_id(1, index), array) for index in (3, 7)]
        other = new_task(task_id(2, 3), job(2, array="3"))
        tasks[0].phase = Phase.FAILED
        self.keep(new(array, other, *tasks))
        self.assertEqual(list(self.store.begun(1)), [(3, Phase.FAILED), (7, Phase.PENDING)])  # type: ignore[attr-defined]
        self.assertEqual(list(self.store.begun(9)), [])  # type: ignore[attr-defined]

    def test_what_changed_replaces_what_was(self) -> None:
        made = job(1)
        self.keep(new(made))
        made.phase, made.host, made.attempt = Phase.STARTING, "n1", 1
        self.keep(Records(changed={1: made}))
        self.assertEqual(self.store.job(1), made)  # type: ignore[attr-defined]
        self.assertEqual(self.listed(), [1])  # type: ignore[attr-defined]

    def test_a_job_that_is_new_and_changed_is_kept_once_as_it_is_now(self) -> None:
        made = job(1)
        made.phase = Phase.CANCELLED
        self.keep(Records(new={1: made}, changed={1: made}))
        self.assertEqual(self.store.job(1), made)  # type: ignore[attr-defined]

    def test_a_batch_is_what_was_when_it_was_prepared(self) -> None:
        made, spool = job(1), Spool("s", "alice", "n1", 1, 1)
        batch = self.store.prepare(Records(new={1: made}, spools={"s": spool}))
        made.phase, spool.commands = Phase.LOST, 99
        self.store.commit(batch)
        loaded = self.restarted().load()
        self.assertEqual((loaded.jobs[0].phase, loaded.spools[0].commands), (Phase.PENDING, 1))  # type: ignore[attr-defined]

    def test_what_was_loaded_and_changes_is_not_stored_by_that(self) -> None:
        self.keep(Records(new={1: job(1)}, spools={"s": Spool("s", "alice", "n1", 1, 1)}))
        loaded = self.store.load()
        loaded.jobs[0].phase, loaded.spools[0].commands = Phase.LOST, 99
        again = self.store.load()
        self.assertEqual((again.jobs[0].phase, again.spools[0].commands), (Phase.PENDING, 1))  # type: ignore[attr-defined]

    def test_only_what_has_not_ended_is_loaded_and_ids_go_on(self) -> None:
        jobs = [job(number, phase=phase) for number, phase in enumerate(Phase, 1)]
        self.keep(new(*jobs))
        loaded = self.restarted().load()
        self.assertEqual([made.id for made in loaded.jobs], [made.id for made in jobs if made.phase in ACTIVE])  # type: ignore[attr-defined]
        self.assertEqual(loaded.next_id, len(jobs) + 1)  # type: ignore[attr-defined]

    def test_a_token_is_known_for_ever_and_to_its_user_alone(self) -> None:
        self.keep(Records(new={5: job(5), 6: job(6)}, submissions=[("alice", "t", 5, 2)]))
        store = self.restarted()
        self.assertEqual(store.submission("alice", "t"), range(5, 7))  # type: ignore[attr-defined]
        self.assertEqual((store.submission("bob", "t"), store.submission("alice", "T")), (None, None))  # type: ignore[attr-defined]

    def test_a_token_used_twice_fails_and_leaves_nothing(self) -> None:
        self.keep(Records(new={1: job(1)}, submissions=[("alice", "t", 1, 1)]))
        again = Records(
            new={2: job(2)},
            submissions=[("alice", "u", 2, 1), ("alice", "t", 2, 1)],
            environments={"d": "{}"},
            spools={"s": Spool("s", "alice", "n1")},
        )
        twice = Records(submissions=[("alice", "v", 3, 1), ("alice", "v", 3, 1)])
        for records in (again, twice):
            error = self.assertRaises(StoreError, self.keep, records)  # type: ignore[attr-defined]
            self.assertTrue(error.word.startswith("store."))  # type: ignore[attr-defined]
        self.assertEqual((self.listed(), self.store.environment("d")), ([1], None))  # type: ignore[attr-defined]
        self.assertEqual(self.store.submission("alice", "u"), None)  # type: ignore[attr-defined]
        self.keep(new(job(3)))
        loaded = self.restarted().load()
        self.assertEqual(([made.id for made in loaded.jobs], list(loaded.spools)), ([1, 3], []))  # type: ignore[attr-defined]

    def test_an_environment_is_kept_once(self) -> None:
        self.keep(Records(environments={"d1": '{"A":"1"}', "d2": "{}"}))
        self.keep(Records(environments={"d1": '{"A":"1"}', "d3": '{"ü":"☃"}'}))
        store = self.restarted()
        found = [store.environment(digest) for digest in ("d1", "d2", "d3", "d4")]
        self.assertEqual(found, ['{"A":"1"}', "{}", '{"ü":"☃"}', None])  # type: ignore[attr-defined]

    def test_what_is_remembered_of_a_host_is_what_was_decided_last(self) -> None:
        self.keep(Records(memos={"n1": HostMemo("n1", 5.5, "bob"), "n2": HostMemo("n2", declared="lost ☃")}))
        self.keep(Records(memos={"n1": HostMemo("n1", drain_deadline=7.25, drain_reason="a fan")}))
        loaded = self.restarted().load()
        self.assertEqual(
            sorted(loaded.memos, key=lambda memo: memo.name),
            [HostMemo("n1", drain_deadline=7.25, drain_reason="a fan"), HostMemo("n2", declared="lost ☃")],
        )

    def test_what_was_learned_of_a_family_is_what_was_said_last_and_may_be_forgotten(self) -> None:
        for families in ({"a": "[1]", "b": "[2]", "c": "[3]"}, {"a": "[4]", "b": "", "d": ""}):
            self.keep(Records(families=families))
        self.assertEqual(self.restarted().load().families, {"a": "[4]", "c": "[3]"})

    def test_the_counters_of_a_spool_are_the_last_ones(self) -> None:
        self.keep(Records(spools={"s": Spool("s", "alice", "n1", 1, 1), "r": Spool("r", "bob", "n2", 7, 8)}))
        self.keep(Records(spools={"s": Spool("s", "alice", "n1", 5, 3)}))
        spools = sorted(self.restarted().load().spools, key=lambda spool: spool.id)
        self.assertEqual(spools, [Spool("r", "bob", "n2", 7, 8), Spool("s", "alice", "n1", 5, 3)])  # type: ignore[attr-defined]

    def test_every_filter_of_a_query_counts_alone_and_together(self) -> None:
        self.keep(
            new(
                job(1, "alice", Phase.RUNNING, name="sim-1"),
                job(2, "bob", Phase.RUNNING, name="sim-2"),
                job(3, "alice", Phase.FAILED, name="Sim-3"),
                job(4, "alice", Phase.PENDING),
                job(5, "bob", Phase.LOST, name="[x]"),
            )
        )
        same = self.assertEqual  # type: ignore[attr-defined]
        same(self.listed(), [1, 2, 3, 4, 5])
        same(self.listed(user="alice"), [1, 3, 4])
        same(self.listed(user="ALICE"), [])
        same(self.listed(phases=frozenset({Phase.RUNNING})), [1, 2])
        same(self.listed(phases=ACTIVE), [1, 2, 4])
        same(self.listed(phases=FINAL), [3, 5])
        same(self.listed(phases=frozenset({Phase.PENDING, Phase.LOST})), [4, 5])
        same(self.listed(after=2), [3, 4, 5])
        same(self.listed(limit=2), [1, 2])
        same(self.listed(after=1, limit=2), [2, 3])
        same(self.listed(name="sim-*"), [1, 2])
        same(self.listed(name="[sS]im-[!1]"), [2, 3])
        same(self.listed(name="[[]x]"), [5])
        same(self.listed(name="*"), [1, 2, 3, 4, 5])
        same(self.listed(name=""), [])
        same(self.listed(name="true"), [4])
        same(self.listed(name="sim-?", user="bob", phases=ACTIVE, after=1), [2])
        same(self.listed(after=1 << 62), [])

    def counted(self, **asked: object) -> dict[str, int]:
        return {str(phase): count for phase, count in self.store.counted(JobQuery(**asked)).items()}  # type: ignore[arg-type]

    def test_jobs_are_counted_by_phase_as_they_are_now_tasks_folded_or_each(self) -> None:
        same = self.assertEqual  # type: ignore[attr-defined]
        same(self.counted(), {})
        array = job(3, array="0-3")
        tasks = [new_task(task_id(3, index), array) for index in (0, 1)]
        made = [job(1), job(2, "bob"), array, *tasks]
        self.keep(new(*made))
        same(self.counted(), {"pending": 3})
        same(self.counted(each=True), {"pending": 5})
        for one in (made[0], *tasks):
            one.phase = Phase.RUNNING
        self.keep(Records(changed={one.id: one for one in made}))
        self.keep(Records(changed={1: made[0]}))
        same(self.counted(), {"running": 1, "pending": 2})
        same(self.counted(user="alice", each=True), {"running": 3, "pending": 1})
        same(self.counted(user="bob"), {"pending": 1})
        same(self.counted(user="carol"), {})
        for one in made:
            one.phase, one.ended_at = Phase.COMPLETED, 50.0
        self.keep(Records(changed={one.id: one for one in made}))
        same(self.counted(), {"completed": 3})
        same(self.counted(each=True, phases=FINAL), {"completed": 4})
        same(self.counted(phases=ACTIVE), {})
        same(self.counted(name="true", user="bob", limit=1, order="ended"), {"completed": 1})
        while self.store.archive(100.0):  # type: ignore[attr-defined]
            pass
        same(sum(self.counted(since=0.0).values()), 3)

    def test_its_size_is_that_of_its_files_and_its_jobs(self) -> None:
        self.assertEqual(self.store.size().jobs, 0)  # type: ignore[attr-defined]
        array = job(3, array="0-3")
        self.keep(new(job(1), job(2, phase=Phase.FAILED), array, new_task(task_id(3, 0), array)))
        self.assertEqual(self.store.size().jobs, 4)  # type: ignore[attr-defined]

    def test_a_job_that_is_not_there_is_none_however_large_its_number(self) -> None:
        for number in (0, 1, 1 << 62, 1 << 63, 10**40):
            self.assertIsNone(self.store.job(number))  # type: ignore[attr-defined]

    def test_ten_thousand_jobs_are_one_batch(self) -> None:
        jobs = [job(number) for number in range(1, 10_001)]
        self.keep(Records(new={made.id: made for made in jobs}, submissions=[("alice", "t", 1, 10_000)]))
        for made in jobs[5000:]:
            made.phase = Phase.COMPLETED
        self.keep(Records(changed={made.id: made for made in jobs[5000:]}))
        loaded = self.restarted().load()
        self.assertEqual((len(loaded.jobs), loaded.next_id), (5000, 10_001))  # type: ignore[attr-defined]

    def test_a_record_of_the_audit_log_comes_back_with_every_field(self) -> None:
        whole = Change(
            id=1, at=100.25, user="alice", verb="changehost", kind="host", name="ñ1",
            before={"cores": 4, "features": ["a", "☃"], "options": {"port": 22}, "idle": 0.5, "active": True},
            after=None, reason="because; 'quoted'\n", undoes=7,
        )  # fmt: skip
        plain = recorded(2)
        self.keep(Records(changes=[whole]))
        self.keep(Records(changes=[plain]))
        for made in (whole, plain):
            self.assertEqual(self.store.change(made.id), made)  # type: ignore[attr-defined]
        self.assertEqual(self.restarted().changes(10), [whole, plain])  # type: ignore[attr-defined]

    def test_the_last_records_are_listed_in_their_order_and_numbers_go_on(self) -> None:
        self.assertEqual((self.store.load().next_change, self.store.changes(5)), (1, []))  # type: ignore[attr-defined]
        self.keep(Records(changes=[recorded(number) for number in range(1, 8)]))
        store = self.restarted()
        for limit, ids in ((3, [5, 6, 7]), (7, [1, 2, 3, 4, 5, 6, 7]), (1 << 70, [1, 2, 3, 4, 5, 6, 7]), (0, [])):
            self.assertEqual([one.id for one in store.changes(limit)], ids)  # type: ignore[attr-defined]
        self.assertEqual(store.load().next_change, 8)  # type: ignore[attr-defined]
        for number in (0, 8, 1 << 63, 10**40):
            self.assertIsNone(store.change(number))  # type: ignore[attr-defined]

    def test_a_record_is_never_altered_and_what_comes_with_its_number_is_not_kept(self) -> None:
        self.keep(Records(changes=[recorded(1)]))
        again = Records(new={1: job(1)}, changes=[recorded(2), recorded(1, user="mallory")])
        error = self.assertRaises(StoreError, self.keep, again)  # type: ignore[attr-defined]
        self.assertTrue(error.word.startswith("store."))  # type: ignore[attr-defined]
        self.assertEqual(self.listed(), [])  # type: ignore[attr-defined]
        self.assertEqual([one.user for one in self.restarted().changes(9)], ["alice"])  # type: ignore[attr-defined]

    def test_sessions_are_what_was_said_of_them_last_until_they_are_ended(self) -> None:
        made = [
            Session(
                id=f"s{n}", kind="session", user="alice", may="act", digest=f"hash {n}", made_at=9.5 - n, until=99.5
            )
            for n in range(4)
        ]
        self.keep(Records(sessions={one.id: one for one in made}))
        made[1].used_at, made[1].grant = 12.25, "ñ 'quoted'"
        self.keep(Records(sessions={"s1": made[1]}, ended=["s0"]))
        both = Records(sessions={"s3": made[3]})
        both.absorb(Records(ended=["s3", "never"]))
        self.keep(both)
        self.assertEqual(list(self.restarted().load().sessions), [made[2], made[1]])

    def test_the_configuration_is_what_was_remembered_last(self) -> None:
        self.assertIsNone(self.store.load().known)  # type: ignore[attr-defined]
        self.keep(Records(known='{"host":{}}'))
        self.keep(Records(known='{"host":{"ñ1":{}}}', changes=[recorded(1)]))
        self.keep(Records(new={1: job(1)}))
        self.assertEqual(self.restarted().load().known, '{"host":{"ñ1":{}}}')  # type: ignore[attr-defined]
        self.assertRaises(StoreError, self.keep, Records(known="{}", changes=[recorded(1)]))  # type: ignore[attr-defined]
        self.assertEqual(self.restarted().load().known, '{"host":{"ñ1":{}}}')  # type: ignore[attr-defined]

    def test_jobs_and_the_records_of_changes_are_one_batch(self) -> None:
        self.keep(Records(new={1: job(1)}, changes=[recorded(1)]))
        store = self.restarted()
        self.assertEqual((len(store.jobs(JobQuery())), len(store.changes(9))), (1, 1))  # type: ignore[attr-defined]

    def test_a_request_that_would_be_refused_today_is_still_read(self) -> None:
        made = job(1)
        made.spec = made.spec.replace('"cwd": "/"', '"cwd": "relative"')
        self.keep(new(made))
        self.assertEqual(self.restarted().load().jobs[0].spec, made.spec)  # type: ignore[attr-defined]


class MemoryStoreTests(StoreContract, SynchronousTestCase):
    def setUp(self) -> None:
        self.store = MemoryStore()

    def restarted(self) -> JobStore:
        return self.store


class SqliteStoreTests(StoreContract, SynchronousTestCase):
    def setUp(self) -> None:
        self.path = os.path.join(os.path.abspath(self.mktemp()), "state", "store.sqlite")
        schema.create(self.path)
        self.store = SqliteStore(self.path)
        self.addCleanup(lambda: self.store.close())

    def restarted(self) -> JobStore:
        self.store.close()
        self.store = SqliteStore(self.path)
        return self.store

    def opened(self) -> str:
        self.store.close()
        self.addCleanup(setattr, self, "store", MemoryStore())
        error = self.assertRaises(StoreError, SqliteStore, self.path)
        self.assertIn(self.path, error.text)
        return error.word

    def test_it_is_for_nobody_elses_eyes(self) -> None:
        self.keep(Records())
        for name in os.listdir(os.path.dirname(self.path)):
            self.assertEqual(os.stat(os.path.join(os.path.dirname(self.path), name)).st_mode & 0o077, 0, name)

    def test_what_is_in_the_archive_has_a_size_of_its_own(self) -> None:
        self.keep(new(*(job(number, phase=Phase.COMPLETED) for number in range(1, 200))))
        before = self.store.size()
        self.assertEqual((before.archive_bytes, before.jobs), (0, 199))
        self.assertGreater(min(before.bytes, before.wal), 50_000)
        while self.store.archive(1e6):
            pass
        after = self.store.size()
        self.assertGreater(after.archive_bytes, 50_000)
        self.assertEqual(after.jobs, 0)

    def test_a_month_of_the_archive_that_was_only_begun_has_no_jobs(self) -> None:
        folder = os.path.join(os.path.dirname(self.path), "archive")
        os.makedirs(folder)
        with open(os.path.join(folder, "jobs-2026-01.sqlite"), "wb"):
            pass
        self.assertIsNone(self.store.job(1))
        self.assertEqual(self.store.uses(UseQuery(since=0.0, until=253_402_300_799.0)), [])

    def test_a_missing_store_is_not_an_empty_one(self) -> None:
        self.store.close()
        os.unlink(self.path)
        self.assertEqual(self.opened(), "store.missing")
        self.assertFalse(os.path.exists(self.path))

    def test_creating_one_over_another_is_refused(self) -> None:
        self.assertEqual(self.assertRaises(StoreError, schema.create, self.path).word, "store.exists")

    def test_one_that_was_left_half_made_is_made_anew(self) -> None:
        path = self.path + "2"
        with open(path + ".new", "wb") as file:
            file.write(b"rubbish")
        schema.create(path)
        store = SqliteStore(path)
        self.assertEqual(store.load().epoch, 1)
        store.close()
        self.assertFalse(os.path.exists(path + ".new"))

    def test_one_that_cannot_be_made_says_where(self) -> None:
        error = self.assertRaises(StoreError, schema.create, os.path.join(self.path, "below", "a", "file"))
        self.assertEqual((error.word, self.path in error.text), ("store.io", True))

    def test_a_second_dispatcher_is_refused_and_the_first_goes_on(self) -> None:
        error = self.assertRaises(StoreError, SqliteStore, self.path)
        self.assertEqual(error.word, "store.locked")
        self.keep(new(job(1)))

    def test_a_path_relative_to_the_folder_works(self) -> None:
        self.store.close()
        self.store = SqliteStore(os.path.relpath(self.path))
        self.assertEqual(self.store.load().epoch, 1)

    def test_a_damaged_file_is_refused(self) -> None:
        self.keep(new(*[job(number) for number in range(1, 500)]))
        self.store.close()
        with open(self.path, "r+b") as file:
            file.seek(4096)
            file.write(os.urandom(8192))
        self.assertEqual(self.opened(), "store.corrupt")

    def test_a_value_that_changed_behind_its_back_is_noticed(self) -> None:
        self.keep(new(job(1), whole_job(2)))
        self.store.close()
        for column, value, number in (("exit_code", 0, 2), ("phase", "completed", 1), ("more", '{"sum":1}', 1)):
            other = self.path + column
            shutil.copy(self.path, other)
            with contextlib.closing(sqlite3.connect(other)) as connection, connection:
                connection.execute(f"UPDATE jobs SET {column} = ? WHERE id = ?", (value, number))
            store = SqliteStore(other)
            self.addCleanup(store.close)
            error = self.assertRaises(StoreError, store.job, number)
            self.assertEqual((error.word, f"job {number} is damaged" in error.text), ("store.corrupt", True))
        self.store = MemoryStore()  # type: ignore[assignment]

    def test_a_file_that_is_no_store_is_refused(self) -> None:
        self.store.close()
        with open(self.path, "wb") as file:
            file.write(b"hello " * 1000)
        self.assertEqual(self.opened(), "store.corrupt")

    def test_an_empty_file_is_no_store_of_ours(self) -> None:
        self.store.close()
        with open(self.path, "wb"):
            pass
        self.assertEqual(self.opened(), "store.version")

    def test_a_schema_of_a_later_program_is_refused(self) -> None:
        self.store.close()
        connection = sqlite3.connect(self.path)
        connection.execute(f"PRAGMA user_version = {schema.VERSION + 1}")
        connection.close()
        self.assertEqual(self.opened(), "store.version")

    def first_schema(self) -> None:
        """Put a store of schema 1, as the first version made them, in the place of this one."""
        self.store.close()
        os.unlink(self.path)
        connection = sqlite3.connect(self.path, isolation_level=None)
        connection.executescript(schema._script(1))
        connection.execute("INSERT INTO facts VALUES ('epoch', '41')")
        spec = order("alice", name="old")[0]
        connection.execute(
            "INSERT INTO jobs VALUES (7, 'alice', ?, 'sig', 'running', '', 1, 'n1', 's', 3, NULL, 42, 1.0, 2.0, NULL,"
            " NULL, NULL, NULL, NULL)", (spec,),
        )  # fmt: skip
        connection.execute("INSERT INTO submissions VALUES ('alice', 't', 7, 1)")
        connection.execute("INSERT INTO spools VALUES ('s', 'alice', 'n1', 3, 2)")
        connection.execute("PRAGMA user_version = 1")
        connection.close()

    def test_a_store_of_the_first_schema_is_taken_over_with_all_that_is_in_it(self) -> None:
        self.first_schema()
        self.store = SqliteStore(self.path)
        loaded = self.store.load()
        (old,) = loaded.jobs
        self.assertEqual((loaded.epoch, loaded.next_id, loaded.next_change), (42, 8, 1))
        self.assertEqual((old.id, old.phase, old.pid, old.host), (7, Phase.RUNNING, 42, "n1"))
        self.assertEqual(self.store.submission("alice", "t"), range(7, 8))
        self.assertEqual((self.counted(), self.listed(phases=ACTIVE, order="name")), ({"running": 1}, [7]))
        self.keep(Records(changed={7: old}, changes=[recorded(1)]))
        self.assertEqual(self.restarted().changes(9), [recorded(1)])
        self.assertEqual(self.store.load().epoch, 43)

    def test_a_store_of_the_schema_before_sessions_has_none_and_takes_them(self) -> None:
        self.first_schema()
        steps = schema._script
        self.patch(schema, "VERSION", 4)
        SqliteStore(self.path).close()
        self.patch(schema, "VERSION", 5)
        self.assertIn("CREATE TABLE sessions", steps(5))
        self.store = SqliteStore(self.path)
        self.assertEqual(list(self.store.load().sessions), [])
        one = Session(id="s1", kind="token", user="alice", may="look", digest="h", made_at=1.0, until=2.0)
        self.keep(Records(sessions={"s1": one}))
        self.assertEqual(list(self.restarted().load().sessions), [one])

    def test_a_step_that_fails_leaves_the_store_as_it_was(self) -> None:
        self.first_schema()
        steps = {2: schema._script(2) + "INSERT INTO nowhere VALUES (1);"}
        with self.assertRaises(StoreError):
            self.patch(schema, "_script", lambda number: steps[number])
            SqliteStore(self.path)
        connection = sqlite3.connect(self.path)
        self.addCleanup(connection.close)
        self.assertEqual(connection.execute("PRAGMA user_version").fetchone(), (1,))
        tables = {name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
        self.assertNotIn("audit", tables)
        self.store = MemoryStore()

    def test_a_store_another_program_holds_is_said_to_be_locked(self) -> None:
        self.store.close()
        other = sqlite3.connect(self.path, isolation_level=None)
        self.addCleanup(other.close)
        other.execute("PRAGMA locking_mode = EXCLUSIVE")
        other.execute("BEGIN EXCLUSIVE")
        self.patch(
            sqlite3,
            "connect",
            lambda *args, _real=sqlite3.connect, **named: _real(*args, timeout=0.05, **named),
        )
        self.assertEqual(self.opened(), "store.locked")

    def test_a_store_on_a_network_file_system_is_refused(self) -> None:
        folder = os.path.dirname(self.path)
        self.assertEqual(schema.network_file_system(folder), "")
        shown = subprocess.run(["stat", "-f", "-c", "%t", folder], capture_output=True, text=True, check=True).stdout
        self.patch(schema, "_NETWORK_FILE_SYSTEMS", {int(shown, 16): "NFS"})
        self.assertEqual(schema.network_file_system(folder), "NFS")
        self.assertEqual(self.opened(), "store.network")

    def test_a_folder_that_is_not_there_is_on_no_network(self) -> None:
        self.assertEqual(schema.network_file_system("/nowhere/at/all"), "")

    def test_a_value_no_column_can_hold_fails_the_batch_and_not_the_next_one(self) -> None:
        for field, value in (("pid", 10**30), ("reason", "\udcff")):
            made = job(1)
            setattr(made, field, value)
            self.assertEqual(self.assertRaises(StoreError, self.keep, new(made)).word, "store.io")
            self.assertEqual(self.listed(), [])
        self.keep(new(job(1)))
        self.assertEqual(self.store.load().next_id, 2)

    def test_a_failed_load_leaves_no_transaction_open(self) -> None:
        self.store._writer.execute("ALTER TABLE spools RENAME TO hidden")  # type: ignore[attr-defined]
        self.assertRaises(StoreError, self.store.load)
        self.store._writer.execute("ALTER TABLE hidden RENAME TO spools")  # type: ignore[attr-defined]
        self.keep(new(job(1)))
        self.assertEqual(len(self.store.load().jobs), 1)

    def test_a_store_that_cannot_be_read_says_so_in_its_own_words(self) -> None:
        for table in ("jobs", "submissions", "environments"):
            self.store._writer.execute(f"DROP TABLE {table}")  # type: ignore[attr-defined]
        for ask in (
            lambda: self.store.job(1),
            lambda: self.store.jobs(JobQuery()),
            lambda: self.store.submission("a", "t"),
            lambda: self.store.environment("d"),
        ):
            self.assertEqual(self.assertRaises(StoreError, ask).word, "store.io")

    def test_it_may_be_read_while_another_thread_commits(self) -> None:
        batches = [
            self.store.prepare(new(*[job(number) for number in range(low, low + 100)])) for low in range(1, 1001, 100)
        ]
        thread = threading.Thread(target=lambda: [self.store.commit(batch) for batch in batches])
        thread.start()
        seen = [0]
        while thread.is_alive():
            seen.append(len(self.listed(limit=2000)))
        thread.join()
        self.assertEqual(len(self.listed(limit=2000)), 1000)
        self.assertTrue(all(count % 100 == 0 for count in seen), seen)
        self.assertEqual(seen, sorted(seen))

    def test_a_commit_is_on_the_disk_and_not_in_this_process(self) -> None:
        self.keep(new(whole_job(1)))
        other = sqlite3.connect(self.path)
        self.addCleanup(other.close)
        found = other.execute("SELECT count(*) FROM jobs").fetchone()
        level = self.store._writer.execute("PRAGMA synchronous").fetchone()  # type: ignore[attr-defined]
        mode = self.store._writer.execute("PRAGMA journal_mode").fetchone()  # type: ignore[attr-defined]
        self.assertEqual((found, level, mode), ((1,), (2,), ("wal",)))

    def test_every_field_of_a_job_has_a_column_or_is_in_its_request(self) -> None:
        in_spec = {"demand", "priority", "interactive", "environment", "requeue", "changed", "notify", "family"}
        said_again_by_the_host = {"turn"}
        fields = {field.name for field in msgspec.structs.fields(Job)}
        columns = {row[1] for row in self.store._writer.execute("PRAGMA table_info(jobs)")}  # type: ignore[attr-defined]
        in_more, of_demand = set(More.__struct_fields__), {"cores", "memory", "gpus"}
        self.assertEqual(fields - in_spec - in_more - said_again_by_the_host, columns - {"more"} - of_demand)

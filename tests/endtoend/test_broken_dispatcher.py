"""A dispatcher that has been broken into, with its key and its store in wrong hands, cannot run code as anybody.

Whoever has the store can change what the dispatcher sends; here the store is changed between two runs of a dispatcher.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import sqlite3
from collections.abc import Callable
from typing import Any

from tests.support.chain import ChainCase
from tests.support.false_dispatcher import FalseDispatcher
from tests.support.processes import wait_for


def _forget_checksums(connection: sqlite3.Connection) -> None:
    """Let all jobs be as those were that had no checksums yet: they find what was damaged, not what somebody wrote."""
    for number, more in connection.execute("SELECT id, more FROM jobs WHERE more IS NOT NULL").fetchall():
        connection.execute("UPDATE jobs SET more = ? WHERE id = ?", (re.sub(r',?"sum":[0-9]+}$', "}", more), number))


class ChangedStoreTests(ChainCase):
    def after(self, change: Callable[[sqlite3.Connection], object], **common: Any) -> list[int]:
        """Let two jobs wait, *change* the store meanwhile, and return their ids once everything has ended."""
        cluster = self.cluster
        cluster.wait(cluster.submit("alice", "true"))
        with cluster.dispatcher("alice") as alice:
            alice.ask("deactivatehost", "n1")
            ids = cluster.submit_ledger("alice", 2, **common)
        cluster.end_dispatcher()
        with sqlite3.connect(os.path.join(cluster.state, "TaskDispatcher.sqlite")) as connection:
            change(connection)
            _forget_checksums(connection)
        connection.close()
        cluster.start_dispatcher()
        with cluster.dispatcher("alice") as alice:
            alice.ask("activatehost", "n1")
        cluster.wait(cluster.jobs("alice"))
        return ids

    def assert_refused(self, number: int) -> None:
        """See that the job failed because of its signature and has never run."""
        job = self.cluster.job("alice", number)
        self.assertEqual((job["state"], job["started_at"]), ("failed", None), job)
        self.assertIn("auth.signature", job["reason"])
        self.assertNotIn(number, {line.job for line in self.cluster.ledger()})
        self.assertEqual(os.listdir(self.cluster.work), [])

    def test_a_changed_command_is_refused_by_the_users_server_and_never_runs(self) -> None:
        def change(connection: sqlite3.Connection) -> None:
            (number,) = connection.execute("SELECT min(id) FROM jobs WHERE phase = 'pending'").fetchone()
            spec = json.loads(connection.execute("SELECT spec FROM jobs WHERE id = ?", (number,)).fetchone()[0])
            spec["command"] = "touch ran; id"
            connection.execute("UPDATE jobs SET spec = ? WHERE id = ?", (json.dumps(spec), number))

        altered, untouched = self.after(change)
        self.assert_refused(altered)
        self.cluster.check([untouched])

    def test_an_invented_job_is_refused_by_the_users_server_and_never_runs(self) -> None:
        def change(connection: sqlite3.Connection) -> None:
            (number,) = connection.execute("SELECT max(id) FROM jobs").fetchone()
            spec = json.loads(connection.execute("SELECT spec FROM jobs WHERE id = ?", (number,)).fetchone()[0])
            spec["command"] = "touch ran"
            other = {"id": "id + 1", "spec": "?", "signature": "?"}
            columns = [row[1] for row in connection.execute("PRAGMA table_info(jobs)")]
            values = ", ".join(other.get(column, column) for column in columns)
            connection.execute(
                f"INSERT INTO jobs SELECT {values} FROM jobs WHERE id = ?", (json.dumps(spec), "0" * 64, number)
            )

        ids = self.after(change)
        self.assert_refused(ids[-1] + 1)
        self.cluster.check(ids)

    def test_a_changed_environment_is_refused_and_nothing_runs_with_it(self) -> None:
        def change(connection: sqlite3.Connection) -> None:
            evil = json.dumps({"PATH": "/evil", "LD_PRELOAD": "/evil.so"})
            connection.execute("UPDATE environments SET text = ? WHERE instr(text, 'SPECIAL')", (evil,))

        ids = self.after(change, environment={"SPECIAL": "1"})
        for number in ids:
            self.assert_refused(number)


class FalseDispatcherTests(ChainCase):
    def test_orders_of_a_false_dispatcher_with_the_true_key_are_checked_one_by_one(self) -> None:
        cluster = self.cluster
        cluster.end_dispatcher()
        with FalseDispatcher(cluster.port, os.path.join(cluster.etc, "certs")) as false:
            cluster.start_tms("alice")
            (number,) = cluster.submit_ledger("alice", 1)
            spec, signature = false.order(number)
            altered = spec.replace("ledger.py", "sabotage.py")
            evil = json.dumps({"PATH": "/evil"})
            digest = hashlib.sha256(b"another").hexdigest()
            false.orders(
                [(101, altered, signature), (102, spec, "0" * 64), (103, spec, ""), (number, spec, signature)],
                {digest: evil},
            )
            wait_for(lambda: {101, 102, 103, number} <= set(false.facts), "what became of the orders")
            facts = false.facts
        for refused in (101, 102, 103):
            self.assertEqual(facts[refused]["what"], "refused")
            self.assertIn("auth.signature", facts[refused]["reason"])
        self.assertEqual([line.job for line in cluster.ledger() if line.what == "start"], [number])
        spool = os.path.join(cluster.spool("alice"), "environments")
        self.assertNotIn(digest, os.listdir(spool))

    def test_a_truly_signed_job_runs_once_whatever_it_is_called_and_wherever_it_is_sent(self) -> None:
        cluster = self.cluster
        cluster.end_dispatcher()
        with FalseDispatcher(cluster.port, os.path.join(cluster.etc, "certs")) as false:
            cluster.start_tms("alice")
            (number,) = cluster.submit_ledger("alice", 1)
            order = (number, *false.order(number))

            def refused(job: int, host: str, attempt: int) -> None:
                false.facts.clear()
                false.orders([(job, *order[1:])], {}, host, attempt)
                wait_for(lambda: job in false.facts, f"what became of {job} on {host}")
                self.assertEqual(false.facts[job]["what"], "refused")
                self.assertIn("auth.replay", false.facts[job]["reason"])

            false.orders([order], {})
            wait_for(lambda: number in false.facts, "its end")
            for job, host, attempt in ((number, "n1", 1), (number, "n1", 2), (number, "n2", 1), (301, "n2", 1)):
                refused(job, host, attempt)
            cluster.kill("tms:alice")
            false.forget_hosts()
            cluster.start_tms("alice")
            for job, host, attempt in ((number, "n2", 2), (302, "n1", 1)):
                refused(job, host, attempt)
        self.assertEqual([line.job for line in cluster.ledger() if line.what == "start"], [number])

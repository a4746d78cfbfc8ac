"""What was learned of jobs: kept over restarts, told at the next submission, and in what waiting jobs can expect."""

from __future__ import annotations

import contextlib
import json
import os
import sqlite3
import subprocess
import sys
from datetime import datetime
from typing import ClassVar

from twisted.trial.unittest import SynchronousTestCase

from tests.support.chain import ChainCase
from tests.support.cluster import ROOT
from tests.support.processes import wait_for
from tm.model.estimate import Ending

G = 1 << 30
TRACE = os.path.join(ROOT, "benchmarks", "data", "hpc2n.swf")


class LearningTests(ChainCase):
    hosts: ClassVar = {"n1": {"launcher": "local", "cores": 2, "memory": "64G"}}

    def endings(self) -> int:
        """Return how many endings of alice's jobs the store has."""
        with contextlib.closing(sqlite3.connect(os.path.join(self.cluster.state, "TaskDispatcher.sqlite"))) as store:
            rows = store.execute("SELECT learned FROM families WHERE name = 'alice/sim'").fetchall()
        return len(json.loads(rows[0][0])) // len(Ending._fields) if rows else 0

    def test_who_asks_for_much_more_than_alike_jobs_used_is_told_so_also_by_the_next_dispatcher(self) -> None:
        cluster = self.cluster
        cluster.wait(cluster.submit("alice", *["true"] * 6, name="sim", memory=16 * G))
        wait_for(lambda: self.endings() == 6, "what was learned to be in the store", seconds=60.0)
        cluster.end_dispatcher()
        cluster.start_dispatcher()

        done = subprocess.run(
            [sys.executable, os.path.join(ROOT, "bin", "hRunJob"), "--name", "sim", "--mem", "16G", "true"],
            cwd=cluster.work, env=cluster.environment("alice"), capture_output=True, text=True, timeout=60, check=True,
        )  # fmt: skip

        self.assertEqual(len(done.stdout.splitlines()), 1)
        self.assertRegex(
            done.stderr, r"the last 6 of this kind used at most .* of the 16G of memory asked; --mem \S+ would"
        )
        self.assertEqual(len(cluster.ask("alice", "submit", self.wish("other"))), 1)
        said = cluster.ask("alice", "submit", self.wish("sim"), as_json=True)
        self.assertEqual([list(json.loads(line)) for line in said], [["id"], ["advice"]])

    def wish(self, name: str) -> str:
        """Return a submission of a job of that name that asks for much."""
        common = {"cwd": self.cluster.work, "name": name, "memory": 16 * G}
        return json.dumps({"token": name, "common": common, "jobs": [{"command": "true"}]})

    def test_a_job_that_waits_is_told_from_when_to_when_it_may_start(self) -> None:
        cluster = self.cluster
        cluster.wait(cluster.submit("alice", *["sleep 0.2 # sim"] * 3, name="sim"))
        ids = cluster.submit("alice", *["exec sleep 300"] * 3, name="sim", time=600.0)
        cluster.wait(ids[:2], states=("running",))
        (line,) = cluster.ask("alice", "jobinfo", str(ids[2]), as_json=True)
        earliest, latest = map(datetime.fromisoformat, json.loads(line)["expected_start"])
        self.assertLessEqual(earliest, latest)
        (line,) = cluster.ask("alice", "jobinfo", str(ids[0]), as_json=True)
        self.assertIsNone(json.loads(line)["expected_start"])


class SimulateTests(SynchronousTestCase):
    def test_the_trace_of_the_benchmarks_is_replayed_and_learning_pays(self) -> None:
        done = subprocess.run(
            [sys.executable, os.path.join(ROOT, "bin", "tm"), "simulate", TRACE, "--json", "--policy", "easy,ours"],
            capture_output=True, text=True, timeout=120, check=True,
        )  # fmt: skip
        easy, ours = map(json.loads, done.stdout.splitlines())
        self.assertEqual((easy["jobs"], ours["jobs"]), (3170, 3170))
        self.assertLess(ours["mean_bounded_slowdown"], easy["mean_bounded_slowdown"])
        self.assertGreaterEqual(ours["utilisation"], easy["utilisation"])
        self.assertTrue(0.7 <= ours["ranges_held"] <= 0.9, ours)

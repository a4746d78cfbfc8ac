"""What was used and how arrays went, asked by real commands of a real dispatcher, archived months included."""

from __future__ import annotations

import csv
import json
import os
import subprocess
import sys
import time
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import ClassVar

from tests.support.chain import ChainCase
from tests.support.cluster import ROOT
from tests.support.processes import wait_for
from tm.errors import StoreError
from tm.store.sqlite import SqliteStore


class AccountingTests(ChainCase):
    hosts: ClassVar[Mapping[str, Mapping[str, object]]] = {"n1": {"launcher": "local", "cores": 4}}

    def tm(self, user: str, *words: str, status: int = 0) -> str:
        """Return what ``tm WORDS…`` of *user* prints, having checked how it ends."""
        ended = subprocess.run(
            [sys.executable, os.path.join(ROOT, "bin", "tm"), *words], env=self.cluster.environment(user),
            cwd=self.cluster.work, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60, check=False,
        )  # fmt: skip
        self.assertEqual(ended.returncode, status, ended.stdout + ended.stderr)
        self.assertNotIn("Traceback", ended.stderr)
        return ended.stdout + ended.stderr

    def uses(self, *words: str) -> list[dict[str, object]]:
        return [json.loads(line) for line in self.tm("bob", "report", "--json", *words).splitlines()]

    def test_who_used_what_is_told_to_everybody_and_outlives_the_archive(self) -> None:
        alice = self.cluster.submit("alice", "sleep 0.4", "exit 3", cores=2)
        bob = self.cluster.submit("bob", "true", array="0-4")
        self.cluster.wait(alice)
        self.cluster.wait(bob, user="bob")
        month = datetime.fromtimestamp(time.time(), UTC).strftime("%Y-%m")
        by_user = {use["user"]: use for use in self.uses("--by", "user,month")}
        self.assertEqual([(one["jobs"], one["completed"], one["failed"]) for _, one in sorted(by_user.items())],
                         [(2, 1, 1), (5, 5, 0)])  # fmt: skip
        self.assertEqual(by_user["alice"]["month"], month)
        self.assertGreaterEqual(float(str(by_user["alice"]["core_hours"])), round(0.4 * 2 / 3600, 4))
        self.assertEqual(self.uses("--to", "2020"), [])
        table = list(csv.DictReader(self.tm("bob", "report", "--by", "user", "--csv").splitlines()))
        self.assertEqual([(row["user"], row["jobs"]) for row in table], [("alice", "2"), ("bob", "5")])
        self.assertIn("CORE HOURS", self.tm("bob", "report"))

        before = self.uses("--by", "user,group,month")
        self.cluster.end_dispatcher()
        self.assertEqual(self.archived(), 8)
        self.cluster.start_dispatcher()
        self.assertEqual(self.uses("--by", "user,group,month"), before)
        self.assertEqual(self.cluster.job("alice", alice[1])["exit_code"], 3)
        self.assertEqual(self.log("bob", bob[0])[2][6], "0")

    def archived(self) -> int:
        """Move all that has ended to the archive; return how many jobs. The dispatcher has been killed."""
        stores: list[SqliteStore] = []

        def opened() -> bool:
            try:
                stores.append(SqliteStore(os.path.join(self.cluster.state, "TaskDispatcher.sqlite")))
            except StoreError:
                return False  # who was killed lets go of its files a moment later than of its memory
            return True

        wait_for(opened, "the dispatcher lets go of its store")
        moved = stores[0].archive(time.time() + 1)
        stores[0].close()
        return moved

    def log(self, user: str, number: int) -> list[list[str]]:
        lines = self.tm(user, "joblog", str(number)).splitlines()
        self.assertEqual(lines[0].split("\t")[:4], ["Seq", "Host", "Starttime", "JobRuntime"])
        return [line.split("\t") for line in lines[1:]]

    def test_an_array_is_told_as_gnu_parallel_does(self) -> None:
        (number,) = self.cluster.submit("alice", "exit $TM_ARRAY_TASK_ID", array="0-6:2")
        self.cluster.wait([number])
        rows = self.log("alice", number)
        self.assertEqual([(row[0], row[1], row[6], row[7]) for row in rows],
                         [(str(index), "n1", str(index), "0") for index in (0, 2, 4, 6)])  # fmt: skip
        self.assertIn("there is no array", self.tm("alice", "joblog", "99", status=1))
        self.assertIn("there is no array", self.tm("bob", "joblog", str(number), status=1))

    def test_what_cannot_be_asked_is_said(self) -> None:
        for words, said in (
            (["--by", "colour"], "usage is told by"), (["--from", "soon"], "is no day"),
            (["--from", "2026", "--to", "2025"], "lies before"),
        ):  # fmt: skip
            self.assertIn(said, self.tm("alice", "report", *words, status=1))

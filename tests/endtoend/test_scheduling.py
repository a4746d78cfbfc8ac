"""Turns on real daemons: users share from the first core on, a wide job is not starved, scavengers give way."""

from __future__ import annotations

import json
import subprocess
import sys
from collections import Counter
from collections.abc import Mapping
from typing import ClassVar

from tests.support.chain import ChainCase
from tm.places import find_program, find_root


class SchedulingTests(ChainCase):
    hosts: ClassVar[Mapping[str, Mapping[str, object]]] = {"n1": {"cores": 4, "launcher": "local"}}

    def test_who_comes_later_does_not_wait_until_the_first_one_s_jobs_are_over(self) -> None:
        self.cluster.submit("alice", "true")
        self.cluster.wait(self.cluster.submit("bob", "true"), user="bob")
        first = self.cluster.submit("alice", *["sleep 0.3"] * 20)
        second = self.cluster.submit("bob", *["sleep 0.3"] * 8)
        theirs = self.cluster.wait(second, user="bob")
        ours = self.cluster.wait(first)
        self.assertLess(max(view["started_at"] for view in theirs), max(view["started_at"] for view in ours))
        (mine,) = [row for row in self.shares() if row["user"] == "alice"]
        self.assertGreater(mine["used"], 4.0)

    def shares(self) -> list[dict[str, object]]:
        """Return what ``tm shares`` says."""
        program = find_program("tm", find_root(), sys.executable)
        done = subprocess.run(
            [sys.executable, program, "shares", "--json"], env=self.cluster.environment("alice"), capture_output=True,
            text=True, timeout=60, check=True,
        )  # fmt: skip
        return [json.loads(line) for line in done.stdout.splitlines()]

    def test_a_wide_job_is_not_passed_for_ever_and_says_why_it_waits(self) -> None:
        narrow = self.cluster.submit("alice", *["sleep 1.0"] * 3)
        self.cluster.wait(narrow, states={"running"})
        (wide,) = self.cluster.submit("alice", *["sleep 0.1"] * 1, cores=4)
        later = self.cluster.submit("alice", *["sleep 0.4"] * 6)
        self.cluster.wait(later[-1:], states={"pending", "running", "completed"})
        (view,) = self.cluster.wait([wide])
        others = self.cluster.wait(later)
        after = Counter(one["started_at"] > view["started_at"] for one in others)
        self.assertGreaterEqual(after[True], 5)

    def test_scavengers_give_way_to_others_and_go_on_later(self) -> None:
        scavengers = self.cluster.submit("alice", *["sleep 5.0"] * 4, scavenge=True)
        self.cluster.wait(scavengers, states={"running"})
        ids = self.cluster.submit("bob", *["sleep 0.1"] * 2)
        normal = self.cluster.wait(ids, user="bob")
        self.assertEqual({view["state"] for view in normal}, {"completed"}, normal)
        ended = self.cluster.wait(scavengers)
        self.assertEqual({view["state"] for view in ended}, {"completed"})
        self.assertEqual(sum(view["attempt"] > 1 for view in ended), 2)

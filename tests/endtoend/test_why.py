"""Why jobs wait and when they start, asked by a user of real daemons."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from typing import Any, ClassVar

from tests.support.chain import ChainCase
from tests.support.cluster import ROOT
from tests.support.processes import wait_for


class WhyTests(ChainCase):
    hosts: ClassVar[Mapping[str, Mapping[str, object]]] = {
        "n1": {"launcher": "local", "cores": 2},
        "n2": {"launcher": "local", "cores": 1, "active": False},
    }

    def client(self, *words: str, status: int = 0) -> str:
        """Return what ``hRunJob WORDS…`` prints."""
        ended = subprocess.run(
            [sys.executable, os.path.join(ROOT, "bin", "hRunJob"), *words], env=self.cluster.environment("alice"),
            cwd=self.cluster.work, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=60, check=False,
        )  # fmt: skip
        self.assertEqual(ended.returncode, status, ended.stdout + ended.stderr)
        return ended.stdout

    def why(self, number: int) -> dict[str, Any]:
        return dict(json.loads(self.client("--why", str(number), "--json")))

    def test_a_waiting_job_says_why_and_the_change_it_names_starts_it(self) -> None:
        (first,) = self.cluster.submit("alice", "exec sleep 300", cores=1, time=600)
        self.cluster.wait([first], states=("running",))
        (wide,) = self.cluster.submit("alice", "exec sleep 300", cores=2)
        why = self.why(wide)
        self.assertEqual({one["host"]: one["verdict"] for one in why["hosts"]}, {"n1": "cores", "n2": "cores"})
        self.assertIn("waits for 2 free cores", why["sentence"])
        self.assertIn("with 1 core instead of 2", why["change"])
        earliest, latest = why["expected_start"]
        self.assertLessEqual(earliest, latest)
        self.assertIn("with 1 core instead of 2", self.client("--why", str(wide)))
        self.client("--change", str(wide), *(f"{key}={value}" for key, value in why["change_set"].items()))
        self.cluster.wait([wide], states=("running",))
        self.assertIn("does not wait", self.why(wide)["sentence"])

    def test_a_host_that_is_off_is_told_from_one_that_is_full(self) -> None:
        ids = self.cluster.submit("alice", *["exec sleep 300"] * 3)
        self.cluster.wait(ids[:2], states=("running",))
        (last,) = ids[2:]
        wait_for(lambda: self.why(last)["counts"] == {"cores": 1, "inactive": 1}, "the verdicts are told")
        self.assertTrue(all(one["reason"] for one in self.why(last)["hosts"]))
        self.assertTrue(self.cluster.job("alice", last)["reason"])

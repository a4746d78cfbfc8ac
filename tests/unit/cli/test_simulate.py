"""``tm simulate``: the table, the JSON, and what is refused before anything is replayed."""

from __future__ import annotations

import contextlib
import io
import json
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from tm.cli.main import run

DATA = Path(__file__).parents[3] / "benchmarks" / "data"
LINE = "{} {} -1 {} {} -1 -1 {} 600 -1 1 {} 1 -1 -1 -1 -1 -1\n"
KEYS = [
    "policy", "jobs", "utilisation", "mean_wait", "p95_wait", "mean_bounded_slowdown", "worst_user", "fairness",
    "makespan", "waited", "ranges_held", "range_width", "hosts", "cores", "widest", "split", "too_wide", "left_out",
]  # fmt: skip


class SimulateTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.folder = Path(self.mktemp())
        self.folder.mkdir()
        self.trace = self.folder / "small.swf"
        jobs = [LINE.format(n, 10 * n, 100, 1 + n % 4, 1 + n % 4, n % 3) for n in range(1, 30)]
        self.trace.write_text("; MaxProcs: 4\n; Acknowledge: Nobody\n" + "".join(jobs))

    def tm(self, *words: str) -> tuple[int, str, str]:
        out, err = io.StringIO(), io.StringIO()
        with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
            status = run(["simulate", *words], {})
        return status, out.getvalue(), err.getvalue()

    def cluster(self, text: str) -> str:
        path = self.folder / "ComputerCluster.config"
        path.write_text(text)
        return str(path)

    def test_every_policy_has_a_row_and_the_head_says_what_was_replayed_where(self) -> None:
        status, out, _ = self.tm(str(self.trace))
        self.assertEqual(status, 0)
        lines = out.splitlines()
        self.assertEqual(lines[0], f"29 jobs of 3 users of {self.trace} as one pool of 4 cores")
        self.assertIn("thanks to Nobody", lines[1])
        self.assertEqual([line.split()[0] for line in lines[3:7]], ["POLICY", "fcfs", "easy", "ours"])

    def test_wide_jobs_are_split_on_narrow_hosts_which_is_said(self) -> None:
        narrow = self.cluster("[hosts.a]\ncores = 2\nactive = false\nusers = ['x']\n[hosts.b]\ncores = 2\n")
        status, out, _ = self.tm(str(self.trace), "--cluster", narrow, "--policy", "easy")
        self.assertEqual(status, 0)
        self.assertIn("on 2 hosts, 4 cores", out)
        self.assertIn("14 wider than any host were split into pieces of 2 cores at most", out)

    def test_json_has_an_object_for_each_policy(self) -> None:
        status, out, _ = self.tm(str(self.trace), "--policy", "ours,fcfs", "--json")
        self.assertEqual(status, 0)
        found = [json.loads(line) for line in out.splitlines()]
        self.assertEqual([one["policy"] for one in found], ["ours", "fcfs"])
        self.assertEqual([list(one) for one in found], [KEYS, KEYS])

    def test_what_is_wrong_is_said_with_its_place(self) -> None:
        self.trace.write_text("1 2 3\n")
        status, _, err = self.tm(str(self.trace))
        self.assertEqual((status, err), (1, f"tm: {self.trace}:1: expected 18 numbers, not 3\n"))
        status, out, _ = self.tm(str(self.trace), "--json")
        self.assertEqual(json.loads(out)["error"]["code"], "trace.invalid")
        self.assertEqual(self.tm(str(self.folder / "no.swf"))[0], 78)
        good = str(DATA / "hpc2n.swf")
        for text in ("", "[hosts.a]\n", "[hosts.a]\ncores = 'x'\n", "hosts = 4\n", "[x"):
            status, _, err = self.tm(good, "--cluster", self.cluster(text))
            self.assertEqual(status, 78, text)
            self.assertIn("ComputerCluster.config", err)
        self.assertEqual(self.tm(good, "--policy", "fair")[0], 1)
        self.assertEqual(self.tm(good, "--policy", ",")[0], 1)

    def test_a_cluster_on_which_no_job_fits_is_refused(self) -> None:
        self.trace.write_text(LINE.format(1, 0, 10, 4, 4, 1))
        status, _, err = self.tm(str(self.trace), "--cluster", self.cluster("[hosts.a]\ncores = 2\n"))
        self.assertEqual(status, 1)
        self.assertIn("every job is wider than 2 cores", err)

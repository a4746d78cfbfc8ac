"""quickstart.py in a copy of the checkout, as a newcomer runs it; only its environment is made without a network."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from tests.support.checkout import copy_checkout, make_environment, run
from tests.support.processes import wait_for
from tm.cli import seen
from tm.cli.here import NAMES
from tm.cli.quick.environment import Environment


class QuickstartTests(SynchronousTestCase):
    """One cluster of one machine."""

    def setUp(self) -> None:
        """A copy of the checkout with its environment."""
        self.folder = tempfile.mkdtemp(prefix="tm-q-", dir="/tmp")
        self.addCleanup(shutil.rmtree, self.folder)
        self.root = copy_checkout(os.path.join(self.folder, "c"))
        make_environment(os.path.join(self.root, ".venv"))
        Environment(self.root).mark()
        self.addCleanup(self.quickstart, "stop")

    def quickstart(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run quickstart.py."""
        return run([sys.executable, os.path.join(self.root, "quickstart.py"), *arguments], self.root)

    def good(self, *arguments: str) -> str:
        """Run quickstart.py, which must succeed; return what it prints."""
        done = self.quickstart(*arguments)
        self.assertEqual((done.returncode, done.stderr), (0, ""), done.stdout)
        return done.stdout

    def client(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run hRunJob."""
        return run([sys.executable, os.path.join(self.root, "bin", "hRunJob"), *arguments], self.folder)

    def daemons(self) -> dict[str, dict[str, Any]]:
        """Return what ``status --json`` says, by name."""
        return {row["name"]: row for row in map(json.loads, self.good("status", "--json").splitlines())}

    def ours(self) -> list[int]:
        """Return all processes that were started from the copy, or work in it."""
        found = [pid for pid, words in seen.processes() if any(word.startswith(self.root) for word in words)]
        return [pid for pid in found if seen.environment(pid)]

    def test_a_newcomer_computes_stops_and_cleans_up(self) -> None:
        etc = sorted(os.listdir(os.path.join(self.root, "etc")))
        said = self.good()
        self.assertRegex(said, r"(?s)\[1/6\] environment.*\[5/6\] example.*\[6/6\] result .* which is right; .*x\)")
        self.assertIn("quickstart.py stop", said)
        self.assertEqual(os.stat(os.path.join(self.root, "var")).st_mode & 0o777, 0o700)
        first = self.daemons()
        self.assertTrue(all(first[name]["pid"] for name in NAMES), first)
        self.assertTrue(all(os.path.exists(row["log"]) for row in first.values()), first)
        self.assertEqual(self.client("--wait", "exit 7").returncode, 7)
        said = self.good()
        self.assertIn("there: dispatcher", said)
        again = self.daemons()
        self.assertEqual([again[name]["pid"] for name in NAMES], [first[name]["pid"] for name in NAMES])
        number = self.client("--quiet", "setsid sleep 300; true").stdout.strip()
        wait_for(lambda: '"running"' in self.client("--json", "--info", number).stdout, "the job runs")
        self.assertIn("ended dispatcher, infoserver, tms, tmms, keeper", self.good("stop"))
        self.assertEqual(self.ours(), [])
        self.good("clean")
        self.assertEqual(sorted(os.listdir(os.path.join(self.root, "etc"))), etc)
        self.assertFalse(os.path.exists(os.path.join(self.root, "var")))

    def test_start_replaces_what_was_killed_and_nothing_else(self) -> None:
        self.good()
        for name in ("dispatcher", "tms"):
            before = self.daemons()
            os.kill(before[name]["pid"], signal.SIGKILL)
            self.good("start")
            after = self.daemons()
            same = [one for one in NAMES if after[one]["pid"] == before[one]["pid"]]
            self.assertEqual(same, [one for one in NAMES if one != name])
        for name in ("tmms", "keeper"):
            os.kill(self.daemons()[name]["pid"], signal.SIGKILL)
            self.good("start")
            self.assertEqual(self.client("--wait", "exit 7").returncode, 7)
            self.assertTrue(self.daemons()[name]["pid"])

    def test_a_real_configuration_is_left_alone(self) -> None:
        path = os.path.join(self.root, "etc", "TaskDispatcher.info")
        with open(path, "w", encoding="utf-8") as file:
            file.write("cluster = physics\nhost = server1\nport = 10101\n")
        for command in ((), ("start",), ("stop",), ("clean",), ("status",)):
            done = self.quickstart(*command)
            self.assertEqual(done.returncode, 78, done.stdout)
            self.assertIn("does not touch", done.stderr)
        with open(path, encoding="utf-8") as file:
            self.assertIn("physics", file.read())
        os.unlink(path)

    def test_before_the_first_run_there_is_nothing_to_see_or_stop(self) -> None:
        self.assertIn("nothing has been set up", self.good("stop"))
        done = self.quickstart("status")
        self.assertEqual(done.returncode, 78)
        self.assertIn("'python3 quickstart.py' does it", done.stderr)

    def test_a_taken_port_is_given_up_for_another(self) -> None:
        self.good()
        self.good("stop")
        info = os.path.join(self.root, "etc", "TaskDispatcher.info")
        with open(info, encoding="utf-8") as file:
            text = file.read()
        with socket.socket() as taken:
            taken.bind(("127.0.0.1", 0))
            taken.listen()
            with open(info, "w", encoding="utf-8") as file:
                file.write(re.sub(r"port = \d+", f"port = {taken.getsockname()[1]}", text))
            self.good("start")
            self.assertNotEqual(self.daemons()["dispatcher"]["port"], taken.getsockname()[1])
        self.assertEqual(self.client("--wait", "exit 7").returncode, 7)

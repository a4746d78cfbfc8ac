"""``tm doctor`` on a cluster that is well, and on ones that are not."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from tests.support.cluster import ROOT, Cluster
from tests.support.sshd import Sshd

Findings = list[dict[str, Any]]


class DoctorTests(SynchronousTestCase):
    """A cluster with a host of its own."""

    def setUp(self) -> None:
        self.cluster = Cluster()
        self.addCleanup(self.cluster.stop)
        self.cluster.more = {"TM_PROGRAMS": os.path.join(self.cluster.folder, "programs")}

    def doctor(self, *options: str, user: str = "alice") -> tuple[int, str]:
        """Run ``tm doctor``; return exit status and what it said."""
        command = [sys.executable, os.path.join(ROOT, "bin", "tm"), "doctor", *options]
        done = subprocess.run(
            command, env=self.cluster.environment(user), stdin=subprocess.DEVNULL, capture_output=True, text=True,
            timeout=120, cwd=self.cluster.folder,
        )  # fmt: skip
        self.assertNotIn("Traceback", done.stderr)
        return done.returncode, done.stdout + done.stderr

    def findings(self, *options: str, user: str = "alice") -> tuple[int, dict[str, Findings]]:
        """Run ``tm doctor --json``; return exit status and the findings by host (``here``: this machine)."""
        status, said = self.doctor("--json", *options, user=user)
        shown = [json.loads(line) for line in said.splitlines()]
        return status, {one["host"]: one["findings"] for one in shown}

    def assert_bad(self, topic: str, *words: str, options: tuple[str, ...] = (), host: str = "here") -> None:
        """See that something of *topic* is bad, and that finding and remedy hold *words*."""
        status, found = self.findings(*options)
        bad = [one for one in found[host] if one["level"] == "bad"]
        self.assertEqual((status, topic in [one["topic"] for one in bad]), (1, True), bad)
        said = " ".join(f"{one['text']} → {one['remedy']}" for one in bad if one["topic"] == topic)
        for word in words:
            self.assertIn(word, said)

    def test_a_cluster_that_is_well(self) -> None:
        self.cluster.start_dispatcher()
        self.cluster.wait(self.cluster.submit("alice", "true"))
        status, said = self.doctor()
        self.assertEqual(status, 0, said)
        self.assertIn("it knows you as alice", said)
        self.assertIn("1 hosts asked", said)
        status, found = self.findings()
        self.assertEqual((status, set(found)), (0, {"here", "n1"}))
        topics = {one["topic"] for one in found["here"]}
        self.assertLessEqual({"etc", "key", "certificate", "trust", "dispatcher", "server", "disk"}, topics)
        self.assertEqual(self.doctor(user="bob")[0], 0)

    def test_no_configuration(self) -> None:
        shutil.rmtree(self.cluster.etc)
        self.assert_bad("etc", "tm setup", "TM_ETC")

    def test_a_configuration_that_is_wrong(self) -> None:
        self.cluster.start_dispatcher()
        self.cluster.write_etc("ComputerCluster.config", "[hosts.n1]\ncoers = 4\n")
        self.assert_bad("etc", "ComputerCluster.config:2", "coers")

    def test_a_key_that_others_may_read(self) -> None:
        key = self.cluster.pair("alice")[1]
        os.chmod(key, 0o644)
        self.assert_bad("key", f"chmod 600 {key}", options=("--here",))

    def test_no_dispatcher(self) -> None:
        self.assert_bad("dispatcher", f"localhost:{self.cluster.port}", "see that it runs")

    def test_a_dispatcher_that_is_another_one(self) -> None:
        self.cluster.start_dispatcher()
        trusted = Path(self.cluster.directory("alice"), "ca_certs.alice.crt")
        trusted.write_text(Path(self.cluster.pair("alice")[0]).read_text())
        self.assert_bad("dispatcher", "ask those who administer the cluster for a new")

    def test_a_user_whom_the_dispatcher_does_not_know(self) -> None:
        self.cluster.start_dispatcher()
        for path in self.cluster.pair("alice"):
            os.unlink(path)
        command = [sys.executable, os.path.join(ROOT, "bin", "tm"), "cert", "request"]
        self.cluster.launch(command, "alice")
        self.assert_bad("dispatcher", "tm users add alice")

    def test_a_host_that_does_not_let_us_in(self) -> None:
        if Sshd.missing:
            self.skipTest(Sshd.missing)
        sshd = Sshd()
        self.addCleanup(sshd.stop)
        options = {**sshd.options(), "config": sshd.config}
        self.cluster.configure({"n2": {"address": "127.0.0.1", "options": options}})
        self.cluster.start_dispatcher()
        Path(sshd.folder, "authorized").write_text("")
        self.assert_bad("ssh", "ssh-copy-id", host="n2")
        self.assertEqual(self.doctor("--here")[0], 0)

    def test_what_an_old_cluster_left(self) -> None:
        self.cluster.start_dispatcher()
        left = Path(self.cluster.folder, "local", "old", "hosts", "n7")
        left.mkdir(parents=True)
        (left / "identity").write_text("")
        for path in (left / "identity", left):
            os.utime(path, (1_000_000_000, 1_000_000_000))
        status, found = self.findings("--here")
        self.assertEqual(status, 0)
        self.assertIn(f"rm -r {left}", [one["remedy"] for one in found["here"] if one["topic"] == "left"])

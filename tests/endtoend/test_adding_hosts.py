"""``tm hosts check`` and ``tm hosts add`` with a real sshd: hosts that are well, and each way in which they are not."""

from __future__ import annotations

import json
import os
import pty
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from tests.support import onefile
from tests.support.cluster import ROOT, Cluster
from tests.support.sshd import Sshd

TM = [sys.executable, os.path.join(ROOT, "bin", "tm")]


class HostsCase(SynchronousTestCase):
    """A cluster with a host of its own, and a private sshd behind which other hosts can be."""

    skip = Sshd.missing or None
    lines: tuple[str, ...] = ()

    def setUp(self) -> None:
        self.sshd = Sshd(self.lines)
        self.addCleanup(self.sshd.stop)
        self.cluster = Cluster()
        self.addCleanup(self.cluster.stop)
        self.cluster.start_dispatcher()
        self.cluster.more = {"TM_PROGRAMS": os.path.join(self.cluster.folder, "programs")}

    def values(self, **changes: object) -> list[str]:
        """Return the options of ``tm hosts add`` for a host behind the sshd."""
        options = {**self.sshd.options(**changes), "config": self.sshd.config}
        return ["--set", "infoserver=false", *(w for k, v in options.items() for w in ("--set", f"options.{k}={v}"))]

    def tm(self, *words: str, user: str = "alice") -> tuple[int, str]:
        """Run ``tm``; return exit status and what it said."""
        done = subprocess.run(
            [*TM, *words], env=self.cluster.environment(user), stdin=subprocess.DEVNULL, capture_output=True, text=True,
            timeout=180, cwd=self.cluster.folder,
        )  # fmt: skip
        return done.returncode, done.stdout + done.stderr

    def findings(self, *words: str) -> tuple[int, dict[str, dict[str, Any]]]:
        """Run ``tm … --json`` for one host; return exit status and its findings by topic."""
        status, said = self.tm(*words, "--json")
        shown = json.loads(said.splitlines()[0])
        return status, {one["topic"]: one for one in shown["findings"]}

    def names(self) -> set[str]:
        """Return the names of the cluster's hosts."""
        with self.cluster.dispatcher("alice") as alice:
            return {host["name"] for host in alice.values("lshosts")}


class GoodTests(HostsCase):
    def test_a_host_that_is_well_is_looked_at_taken_in_and_computes(self) -> None:
        status, said = self.tm("hosts", "add", "n2=127.0.0.1", *self.values(), "--dry-run")
        self.assertEqual(status, 0, said)
        self.assertIn("n2: would be added", said)
        self.assertEqual(self.names(), {"n1"})
        status, said = self.tm("hosts", "add", "n2=127.0.0.1", *self.values(), "--set", "cores=1")
        self.assertEqual((status, said.splitlines()[-1]), (0, "n2 ready, 1 core"), said)
        self.assertEqual(self.names(), {"n1", "n2"})
        status, said = self.tm("hosts", "check")
        self.assertEqual(status, 0, said)
        self.assertIn("2 hosts, all is well", said)
        status, found = self.findings("hosts", "check", "n2")
        self.assertEqual((status, found["ssh"]["short"], found["home"]["short"]), (0, "openssh", "same"))
        self.assertEqual({one["level"] for topic, one in found.items() if topic != "disk"}, {"good"})
        self.assertEqual([name for name in os.listdir(self.cluster.directory("alice")) if "probe" in name], [])

    def test_a_host_that_is_there_already_is_only_waited_for(self) -> None:
        status, said = self.tm("hosts", "add", "n1")
        self.assertEqual((status, said.splitlines()[-1]), (0, "n1 ready, 2 cores"), said)
        status, said = self.tm("hosts", "add", "n1", "--set", "cores=2")
        self.assertEqual(status, 2)
        self.assertIn("tm hosts change n1 cores=…", said)

    def test_who_may_not_add_hosts_hears_it_before_anything_is_done(self) -> None:
        status, said = self.tm("hosts", "add", "n2=127.0.0.1", *self.values(), user="bob")
        self.assertEqual(status, 77)
        self.assertIn("--dry-run", said)

    def test_a_value_that_cannot_be_meant_is_refused_before_anything_is_done(self) -> None:
        for value, expected in (("cores=many", "expected a number"), ("coers=2", "expected one of")):
            status, said = self.tm("hosts", "add", "n2", "--set", value)
            self.assertEqual((status, expected in said), (2, True), said)

    def test_on_a_terminal_the_table_fills_up(self) -> None:
        ours, theirs = pty.openpty()
        self.addCleanup(os.close, ours)
        process = subprocess.Popen(
            [*TM, "hosts", "check"], env=self.cluster.environment("alice"), stdin=theirs, stdout=theirs, stderr=theirs,
        )  # fmt: skip
        os.close(theirs)
        said = b""
        while True:
            try:
                said += os.read(ours, 65536)
            except OSError:
                break
        self.assertEqual(process.wait(60), 0, said)
        self.assertIn(b"HOST", said)
        self.assertIn(b"\x1b[2A\x1b[J", said)


class OneFileTests(HostsCase):
    skip = Sshd.missing or None

    def test_a_host_without_our_installation_is_given_the_one_file_program(self) -> None:
        home = tempfile.mkdtemp(prefix="tm-home-", dir="/tmp")
        self.addCleanup(shutil.rmtree, home)
        self.sshd.end()
        self.sshd._lines = (f"SetEnv HOME={home} TM_PROGRAMS={home}/programs TM_TEST={self.cluster.folder}",)
        self.sshd.start()
        values = [*self.values()[2:], "--set", f"python={onefile.bare_python()}"]
        command = ["hosts", "add", "n2=127.0.0.1", *values, "--program", onefile.servers()]
        status, said = self.tm(*command)
        self.assertEqual((status, said.splitlines()[-1].split(",")[0]), (0, "n2 ready"), said)
        self.assertNotIn("InfoServer", said)
        there = Path(home, ".taskManager", "bin", os.path.basename(onefile.servers()))
        self.assertEqual(there.read_bytes(), Path(onefile.servers()).read_bytes())
        self.assertEqual(there.stat().st_mode & 0o777, 0o700)
        words = Path(f"/proc/{self.cluster.pid('tmms:alice:n2')}/cmdline").read_text()
        self.assertIn("programs/tm-", words)
        with self.cluster.dispatcher("alice") as alice:
            self.assertEqual(alice.values("hostinfo", "n2")[0]["info"]["state"], "up")


class BadTests(HostsCase):
    def assert_not_added(self, level: str, topic: str, *words: str, **changes: object) -> dict[str, Any]:
        """Try to add a host; see that it is not, and why. Return the finding."""
        status, found = self.findings("hosts", "add", "n2=127.0.0.1", *self.values(**changes))
        self.assertEqual((status, found[topic]["level"]), (1, level), found)
        for word in words:
            self.assertIn(word, found[topic]["text"] + found[topic]["remedy"])
        self.assertEqual(self.names(), {"n1"})
        return found[topic]

    def test_a_key_that_is_not_let_in(self) -> None:
        Path(self.sshd.folder, "authorized").write_text("")
        self.assert_not_added("bad", "ssh", "Permission denied", "ssh-copy-id -p")

    def test_a_host_key_that_has_changed(self) -> None:
        self.sshd.swap_host_keys()
        found = self.assert_not_added("bad", "ssh", "log in once by hand: ssh -p")
        self.assertEqual(found["short"], "hostkey")

    def test_a_port_that_is_closed(self) -> None:
        self.sshd.end()
        self.assert_not_added("bad", "ssh", "Connection refused")

    def test_a_full_disk(self) -> None:
        if os.getuid() != 0 or not shutil.which("mount"):
            self.skipTest("only root mounts file systems")
        local = self.cluster.local("alice")
        os.makedirs(local, mode=0o700, exist_ok=True)
        mounting = ["mount", "-t", "tmpfs", "-o", "size=1m,mode=700", "none", local]
        if subprocess.run(mounting, capture_output=True, check=False).returncode != 0:
            self.skipTest("nothing can be mounted here")
        self.addCleanup(subprocess.run, ["umount", "-l", local], check=False)
        status, found = self.findings("hosts", "add", "n2=127.0.0.1", *self.values(), "--dry-run")
        self.assertEqual((status, found["disk"]["short"]), (1, "full"), found)
        self.assertIn("local_directory", found["disk"]["remedy"])


class NoPythonTests(HostsCase):
    def test_a_host_without_python_says_so(self) -> None:
        folder = os.path.join(self.sshd.folder, "few")
        os.mkdir(folder)
        for name in ("sh", "uname", "base64"):
            os.symlink(shutil.which(name) or "", os.path.join(folder, name))
        self.sshd.end()
        self.sshd._lines = (f"SetEnv PATH={folder}",)
        self.sshd.start()
        status, found = self.findings("hosts", "add", "n2=127.0.0.1", *self.values(), "--dry-run")
        self.assertEqual((status, found["program"]["short"]), (1, "no Python"), found)
        self.assertIn("apt install python3.11", found["program"]["remedy"])

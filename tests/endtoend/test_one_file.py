"""The one-file programs: a cluster runs from them, with a Python that has no library of ours."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import tempfile
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from tests.support import onefile
from tests.support.cluster import Cluster
from tests.support.processes import wait_for
from tests.support.sshd import Sshd


class OneFileCase(SynchronousTestCase):
    """A folder with the files, and the links that say which program is meant."""

    def setUp(self) -> None:
        self.folder = tempfile.mkdtemp(prefix="tm-one-", dir="/tmp")
        self.addCleanup(shutil.rmtree, self.folder)
        self.clients = shutil.copy(onefile.clients(), self.folder)
        self.servers = shutil.copy(onefile.servers(), self.folder)
        os.symlink(os.path.basename(self.servers), os.path.join(self.folder, "TMS"))
        self.more = {"TM_PROGRAMS": os.path.join(self.folder, "programs"), "TM_PYTHON": onefile.bare_python()}

    def run_file(self, *command: str, **changes: str) -> subprocess.CompletedProcess[str]:
        """Run one of them."""
        environment = {"PATH": "/usr/bin:/bin", "HOME": self.folder, **self.more, **changes}
        return subprocess.run(
            [onefile.bare_python(), *command], env=environment, capture_output=True, text=True, timeout=120,
        )  # fmt: skip


class FileTests(OneFileCase):
    def test_the_clients_are_small_and_whichever_the_name_says(self) -> None:
        self.assertLess(os.path.getsize(self.clients), 200_000)
        for name in ("hRunJob", "hRun", "hSend", "hListen"):
            link = os.path.join(self.folder, name)
            os.symlink(os.path.basename(self.clients), link)
            for command in ([self.clients, name], [link]):
                done = self.run_file(*command, "--version")
                self.assertEqual((done.returncode, done.stdout.split()[0]), (0, name), done.stderr)
        self.assertEqual(self.run_file(self.clients).returncode, 2)
        for words in (["--array", "0-9", "x"], ["--map", "a {}", ":::", "b"], ["-i", "3_4"], ["--dry-run", "x"]):
            done = self.run_file(self.clients, "hRunJob", *words, TM_ETC="/nonexistent")
            self.assertEqual((done.returncode, done.stderr.count("\n")), (78, 1), done.stderr)

    def test_every_program_is_in_the_one_file(self) -> None:
        for name in ("TaskDispatcher", "TMS", "TMMS", "InfoServer", "TaskWeb", "hRunJob"):
            done = self.run_file(self.servers, name, "--version")
            self.assertEqual((done.returncode, done.stdout.split()[0]), (0, name), done.stderr)
        self.assertEqual(self.run_file(os.path.join(self.folder, "TMS"), "--version").stdout.split()[0], "TMS")
        self.assertIn("cert create", self.run_file(self.servers, "tm", "--help").stdout)
        self.assertEqual(self.run_file(self.servers, "rm").returncode, 2)

    def test_what_a_cleaner_took_is_there_again(self) -> None:
        self.run_file(self.servers, "tm", "--help")
        (root,) = Path(self.more["TM_PROGRAMS"]).glob("tm-*")
        (root / "tm" / "cli" / "main.py").unlink()
        done = self.run_file(self.servers, "tm", "--help")
        self.assertEqual(done.returncode, 0, done.stderr)
        self.assertEqual(sorted(path.name for path in root.parent.iterdir()), sorted([root.name, "lock"]))

    def test_nothing_is_unpacked_where_others_could_replace_it(self) -> None:
        os.mkdir(self.more["TM_PROGRAMS"])
        os.chmod(self.more["TM_PROGRAMS"], 0o777)
        done = self.run_file(self.servers, "tm", "--help")
        self.assertEqual(done.returncode, 78)
        self.assertIn("others could replace what is in", done.stderr)
        self.assertEqual(os.listdir(self.more["TM_PROGRAMS"]), [])

    def test_a_dispatcher_says_that_it_needs_a_folder(self) -> None:
        done = self.run_file(self.servers, "TaskDispatcher", "--init")
        self.assertEqual(done.returncode, 78)
        self.assertIn("--state", done.stderr)


class ClusterTests(OneFileCase):
    """A dispatcher, servers on two hosts behind ssh, a job: all of it from the files."""

    skip = Sshd.missing or None

    def setUp(self) -> None:
        super().setUp()
        self.sshd = Sshd()
        self.addCleanup(self.sshd.stop)
        options = {**self.sshd.options(), "config": self.sshd.config}
        host = {"address": "127.0.0.1", "cores": 1, "options": options}
        other = os.path.join(self.folder, "another")
        os.mkdir(other, 0o700)
        program = shutil.copy(self.servers, os.path.join(other, "tm.pyz"))
        self.cluster = Cluster(
            hosts={"n1": host, "n2": {**host, "address": "localhost", "program": program, "python": self.python()}}
        )
        self.addCleanup(self.cluster.stop)
        self.cluster.more = {**self.more, "PATH": "/usr/bin:/bin"}

    def python(self) -> str:
        """Return the Python, as it may stand in the configuration."""
        return onefile.bare_python()

    def run_as_alice(self, *command: str) -> subprocess.CompletedProcess[str]:
        """Run one of them as alice."""
        return self.run_file(*command, **self.cluster.environment("alice"))

    def test_a_job_goes_its_whole_way(self) -> None:
        cluster = self.cluster
        known = Path(self.sshd.known_hosts)
        known.write_text(known.read_text() + self.sshd.known_hosts_lines(f"[localhost]:{self.sshd.port}"))
        where = ["--etc", cluster.etc, "--state", cluster.state]
        started = self.run_as_alice(self.servers, "TaskDispatcher", "--init", *where)
        self.assertEqual(started.returncode, 0, started.stderr)
        cluster.wait_greeting()
        for host in ("n1", "n2"):
            out = os.path.join(self.folder, host)
            done = self.run_as_alice(self.clients, "hRunJob", "--wait", "-w", host, "-o", out, "echo $TM_HOST; exit 7")
            self.assertEqual(done.returncode, 7, done.stderr + cluster.logs())
            self.assertEqual(Path(out).read_text(), host + "\n")
            for name in ("tmms", "keeper"):
                pid = wait_for(lambda name=name, host=host: cluster.pid(f"{name}:alice:{host}"), f"{name} on {host}")
                words = Path(f"/proc/{pid}/cmdline").read_text()
                self.assertIn(self.more["TM_PROGRAMS"] + "/tm-", words)
        shown = self.run_as_alice(self.clients, "hSend", "localhost", str(cluster.port), "lshosts.json")
        self.assertEqual([json.loads(line)["state"] for line in shown.stdout.splitlines()], ["up", "up"])

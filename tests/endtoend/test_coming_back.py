"""``tm service``: a user's server comes back after a boot, by a crontab or a unit, and nothing else of either changes.

The programs of cron and systemd are played by scripts; what they were given is then run as these would run it.
"""

from __future__ import annotations

import os
import shlex
import shutil
import socket
import subprocess
import sys
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from tests.support import processes
from tests.support.cluster import ROOT, Cluster
from tests.support.processes import wait_for

CRONTAB = """#!/bin/sh
case $1 in
  -l) [ -e {folder}/crontab.text ] || {{ echo "no crontab for me" >&2; exit 1; }}; cat {folder}/crontab.text;;
  -) cat > {folder}/crontab.text;;
esac
"""
NOTING = """#!/bin/sh
echo "$@" >> {folder}/asked
"""
BEFORE = "# backups\n0 3 * * * tar czf x.tgz 100\\% # taskmanager:tms-test\n\n"


class ComingBackTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.cluster = Cluster()
        self.addCleanup(self.cluster.stop)
        self.cluster.start_dispatcher()
        self.folder = os.path.join(self.cluster.folder, "programs")
        os.mkdir(self.folder)

    def program(self, name: str, text: str) -> None:
        """Have a program called *name*."""
        path = Path(self.folder, name)
        path.write_text(text.format(folder=self.folder))
        path.chmod(0o755)

    def tm(self, *arguments: str, status: int = 0) -> str:
        """Return what ``tm service`` says to alice, whose programs are found first."""
        environment = self.cluster.environment("alice")
        environment["PATH"] = f"{self.folder}:{environment['PATH']}"
        done = subprocess.run(
            [sys.executable, os.path.join(ROOT, "bin", "tm"), "service", *arguments],
            env=environment, capture_output=True, text=True, timeout=60, check=False,
        )  # fmt: skip
        self.assertEqual(done.returncode, status, done.stderr)
        return done.stdout + done.stderr

    def after_a_boot(self, command: list[str], **variables: str) -> subprocess.Popen[bytes]:
        """Run *command* with little in its environment, as machines do."""
        environment = {"HOME": self.cluster.directory("alice"), "PATH": "/usr/bin:/bin", **variables}
        null = subprocess.DEVNULL
        return subprocess.Popen(command, env=environment, cwd="/", stdin=null, stdout=null, stderr=null)

    def lose_the_server(self) -> list[int]:
        """Kill alice's server while a job of hers runs and another waits; return their ids."""
        ids = self.cluster.submit_ledger("alice", 3, seconds=1)
        self.cluster.wait(ids[:1], states=("running",))
        self.cluster.kill("tms:alice")
        self.cluster.kill("tmms:alice:n1")
        self.cluster.forget_talk("alice")
        return ids

    def assert_done_without_a_client(self, ids: list[int]) -> None:
        """See the jobs end although nobody has asked for anything."""

        def over() -> bool:
            with self.cluster.dispatcher("alice") as alice:
                states = {view["id"]: view["state"] for view in alice.values("lsjobs")}
            return all(states[number] in ("completed", "failed") for number in ids)

        wait_for(over, f"the end of the jobs; {self.cluster.logs()}", 40, 0.1)
        self.cluster.check(ids)

    def test_by_a_crontab_whose_other_lines_stay(self) -> None:
        self.program("crontab", CRONTAB)
        table = Path(self.folder, "crontab.text")
        table.write_text(BEFORE)
        self.assertIn("tm service install tms", self.tm("status"))
        self.assertIn("a line of your crontab", self.tm("install"))
        installed = table.read_text()
        self.assertTrue(installed.startswith(BEFORE))
        self.assertIn("already", self.tm("install"))
        self.assertEqual(table.read_text(), installed)
        self.assertIn("comes back by crontab", self.tm("status", "tms"))
        ids = self.lose_the_server()
        (line,) = installed.removeprefix(BEFORE).splitlines()
        self.after_a_boot(["/bin/sh", "-c", line.removeprefix("@reboot ").replace("\\%", "%")]).wait(30)
        self.assert_done_without_a_client(ids)
        self.assertIn("running (pid", self.tm("status"))
        self.assertIn("no more", self.tm("remove"))
        self.assertEqual(table.read_text(), BEFORE)
        self.assertIn("nothing to remove", self.tm("remove"))

    def test_by_a_unit_of_a_user_manager_that_lingers(self) -> None:
        for name in ("systemctl", "loginctl"):
            self.program(name, NOTING)
        self.assertIn("taskmanager-tms-test.service", self.tm("install"))
        unit = Path(self.cluster.directory("alice"), ".config/systemd/user/taskmanager-tms-test.service")
        lines = unit.read_text().splitlines()
        self.assertIn(f"ConditionHost={socket.gethostname()}", lines)
        asked = Path(self.folder, "asked").read_text()
        for word in ("enable-linger", "--user enable taskmanager", "--user start taskmanager"):
            self.assertIn(word, asked)
        ids = self.lose_the_server()
        (command,) = [line.removeprefix("ExecStart=") for line in lines if line.startswith("ExecStart=")]
        pairs = [shlex.split(line.removeprefix("Environment="))[0] for line in lines if line.startswith("Environment=")]
        variables = dict(pair.split("=", 1) for pair in pairs)
        server = self.after_a_boot(shlex.split(command), **variables)
        self.addCleanup(server.wait)
        self.addCleanup(processes.kill, server.pid)
        self.assert_done_without_a_client(ids)
        self.assertIsNone(server.poll(), "it stays in the foreground")
        self.tm("remove")
        self.assertFalse(unit.exists())
        self.assertIsNone(server.poll(), "one that runs goes on")

    def test_where_there_is_neither_it_is_said_what_can_be_done(self) -> None:
        if shutil.which("crontab"):
            self.program("crontab", "#!/bin/sh\necho 'you are not allowed to use this program' >&2\nexit 1\n")
        if shutil.which("systemctl"):
            self.program("systemctl", "#!/bin/sh\nexit 1\n")
        said = self.tm("install", status=78)
        self.assertIn("loginctl enable-linger", said)

    def test_the_dispatcher_and_an_infoserver_can_come_back_too(self) -> None:
        self.program("crontab", CRONTAB)
        said = self.tm("install", "dispatcher", "--state", self.cluster.state)
        self.assertIn("TaskDispatcher of test", said)
        self.assertIn("no InfoServer", self.tm("install", "infoserver", "--host", "n1", status=78))
        self.assertIn("invalid choice: 'x'", self.tm("install", "x", status=2))
        line = Path(self.folder, "crontab.text").read_text().strip()
        self.cluster.end_dispatcher()
        command = ["/bin/sh", "-c", line.removeprefix("@reboot ").replace("\\%", "%")]
        self.after_a_boot(command, TM_TEST=self.cluster.folder).wait(30)
        self.cluster.wait_greeting()

"""Whose a process is."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from tm import lineage
from tm.keeper import procfs
from tm.places import find_root

PARENT = """
import os, subprocess, sys
sys.path.insert(0, sys.argv[1])
from tm.lineage import become_daemon
become_daemon()
child = subprocess.Popen(["sleep", "1000"])
fork = os.fork()
if not fork:
    os.close(1)
    sys.stdin.read()
    os._exit(0)
print(child.pid, fork, flush=True)
sys.stdin.read()
child.kill()
child.wait()
os.waitpid(fork, 0)
"""


class LineageTests(SynchronousTestCase):
    def test_the_jobs_variables_go_and_nothing_else(self) -> None:
        environment = dict.fromkeys([*lineage.JOB_VARIABLES, "TM_USER", "TM_ETC", "PATH"], "x")

        lineage.leave_job(environment)

        self.assertEqual({"TM_USER": "x", "TM_ETC": "x", "PATH": "x", lineage.LEFT: "1"}, environment)

    def test_a_daemon_that_was_started_in_a_job_lays_off_its_limits(self) -> None:
        script = (
            "import os, resource, sys; sys.path.insert(0, sys.argv[1]); from tm import lineage\n"
            "os.sched_setaffinity(0, {min(os.sched_getaffinity(0))})\n"
            "resource.setrlimit(resource.RLIMIT_DATA, (1 << 30, resource.getrlimit(resource.RLIMIT_DATA)[1]))\n"
            "lineage.leave_job(os.environ); lineage.become_daemon()\n"
            "soft, hard = resource.getrlimit(resource.RLIMIT_DATA)\n"
            "print(len(os.sched_getaffinity(0)), soft == hard, lineage.LEFT in os.environ)"
        )
        for variables, cores, free in (
            ({"TM_JOB_ID": "7"}, len(os.sched_getaffinity(0)), True),
            ({}, 1, False),
        ):
            said = subprocess.run(
                [sys.executable, "-c", script, find_root()], env=variables, capture_output=True, text=True, check=True
            )
            self.assertEqual(said.stdout.split(), [str(cores), str(free), "False"])

    def test_a_daemon_stays_one_when_it_forks_but_what_it_starts_is_none(self) -> None:
        parent = subprocess.Popen(
            [sys.executable, "-I", "-S", "-c", PARENT, find_root()], stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
        self.addCleanup(parent.communicate)
        assert parent.stdout is not None
        child, fork = map(int, parent.stdout.readline().split())

        seen = [procfs.read(pid) for pid in (parent.pid, fork, child, os.getpid())]

        self.assertEqual([True, True, False, False], [one is not None and one.daemon for one in seen])
        self.assertEqual(f"{lineage.DAEMON}\n", Path(f"/proc/{parent.pid}/comm").read_text())

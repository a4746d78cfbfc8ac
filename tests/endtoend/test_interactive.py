"""``hRun`` on a real terminal: keys, sizes, leaving and finding again, going beside a job; what survives whom."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

from tests.support.chain import ChainCase
from tests.support.keyboard import Keyboard
from tests.support.processes import wait_for
from tm.places import find_root

HRUN = [sys.executable, os.path.join(find_root(), "bin", "hRun")]


class TerminalCase(ChainCase):
    """Has terminals with hRun on them."""

    def hrun(self, *arguments: str, **size: int) -> Keyboard:
        """Return a terminal on which alice says hRun with *arguments*."""
        environment = {**self.cluster.environment("alice"), "TERM": "xterm", "SHELL": "/bin/sh", "PS1": "$ ", "ENV": ""}
        keyboard = Keyboard([*HRUN, *arguments], environment, self.cluster.work, **size)
        self.addCleanup(keyboard.kill)
        return keyboard

    def plain(self, *arguments: str, given: bytes = b"") -> subprocess.CompletedProcess[bytes]:
        """Return what hRun makes of *arguments* without a terminal."""
        return subprocess.run(
            [*HRUN, *arguments], env=self.cluster.environment("alice"), cwd=self.cluster.work, input=given,
            capture_output=True, timeout=60, check=False,
        )  # fmt: skip

    def final(self) -> dict[str, Any]:
        """Return the view of the only job once it has ended."""
        (view,) = self.cluster.wait(self.cluster.jobs("alice"))
        return view


class TerminalTests(TerminalCase):
    def test_keys_sizes_and_the_exit_code_go_through(self) -> None:
        keyboard = self.hrun(
            "trap 'echo interrupted' INT; stty size; read x; echo; read x; stty size; exit 7", rows=33, columns=101
        )
        keyboard.see(b"33 101")
        keyboard.type(b"\x03")
        keyboard.see(b"interrupted")
        keyboard.resize(40, 120)
        keyboard.type(b"\n")
        keyboard.see(b"40 120")

        self.assertEqual(7, keyboard.end())
        self.assertEqual(("failed", 7), (self.final()["state"], self.final()["exit_code"]))

    def test_what_a_key_stops_goes_on_with_us(self) -> None:
        keyboard = self.hrun("echo begun; i=0; while [ $i -lt 600 ]; do sleep 0.1; i=$((i+1)); done")
        keyboard.see(b"begun")
        keyboard.type(b"\x1a")
        keyboard.see(b"[stopped]")
        keyboard.type(b"fg\n")
        keyboard.see(b"[goes on]")
        wait_for(lambda: self.typed(keyboard), "its end by a key")
        self.assertIn(keyboard.end() - 128, (signal.SIGINT, signal.SIGTERM, signal.SIGKILL))

    @staticmethod
    def typed(keyboard: Keyboard) -> bool:
        """Type ^C until it has ended: at first nobody may be in front yet, or hRun itself, which then grows harder."""
        keyboard.type(b"\x03")
        try:
            keyboard.see(b"(signal ", 1.0)
        except AssertionError:
            return False
        return True

    def test_a_key_within_a_remote_shell_is_the_shells(self) -> None:
        keyboard = self.hrun("bash --norc -i")
        keyboard.see(b"$ ")
        keyboard.type(b"sleep 1000\n")
        keyboard.see(b"sleep 1000")
        pid = wait_for(lambda: in_front("sleep", self.cluster.folder), "the sleep")
        self.assertTrue(pid)
        keyboard.type(b"\x1a")
        keyboard.see(b"Stopped")
        keyboard.type(b"kill %1; exit 3\n")
        keyboard.see(b"exit")
        keyboard.type(b"\nexit 3\n")
        self.assertEqual(3, keyboard.end())


class LimitTests(TerminalCase):
    def test_a_command_that_runs_now_is_kept_to_its_limits_as_any_job(self) -> None:
        late = self.plain("--time", "1s", "sleep 1000")
        self.assertEqual(124, late.returncode, late.stderr)
        self.assertIn(b"wall time", late.stderr)
        hog = self.plain("-m", "64M", "--", sys.executable, "-c", "x = bytearray(500_000_000); input()")
        self.assertNotEqual(0, hog.returncode)
        self.assertIn(b"memory", hog.stderr)
        states = [view["state"] for view in self.cluster.wait(self.cluster.jobs("alice"))]
        self.assertEqual(["timeout", "out_of_memory"], states)

    def test_a_command_that_is_suspended_goes_on_and_can_be_cancelled_meanwhile(self) -> None:
        keyboard = self.hrun("while :; do echo turn; sleep 0.05; done")
        keyboard.see(b"turn")
        (number,) = self.cluster.jobs("alice")
        self.cluster.ask("alice", "suspendjob", str(number))
        self.cluster.wait([number], states=["suspended"])
        self.cluster.ask("alice", "resumejob", str(number))
        self.cluster.wait([number], states=["running"])
        keyboard.shown = b""
        keyboard.see(b"turn")
        self.cluster.ask("alice", "canceljob", str(number))
        self.assertNotEqual(0, keyboard.end())
        self.assertEqual("cancelled", self.final()["state"])


class DetachTests(TerminalCase):
    def test_a_command_that_was_left_goes_on_and_is_found_again_by_many(self) -> None:
        first = self.hrun("echo begun; while read x; do echo got $x; stty size; done; exit 5")
        first.see(b"begun")
        first.type(b"\x1c")
        number = re.search(rb"left job (\d+)", first.see(b"finds it again"))
        assert number is not None
        self.assertEqual(0, first.end())
        job = number[1].decode()

        second = self.hrun("--attach", job, rows=50, columns=100)
        second.see(b"begun")
        second.type(b"one\n")
        second.see(b"got one")
        second.see(b"50 100")
        watcher = self.hrun("--attach", job, "--watch")
        watcher.see(b"got one")
        watcher.type(b"nothing\n")
        third = self.hrun("--attach", job, rows=60, columns=90)
        third.see(b"got one")
        third.type(b"two\n")
        for keyboard in (third, watcher, second):
            keyboard.see(b"got two")
        watcher.see(b"60 90")
        watcher.type(b"q")
        self.assertEqual(0, watcher.end())
        third.kill()
        second.type(b"\n")
        second.see(b"50 100")
        second.type(b"\x04")
        self.assertEqual(5, second.end())
        self.assertEqual(("failed", 5), (self.final()["state"], self.final()["exit_code"]))

    def test_a_command_that_was_left_outlives_client_and_servers_and_its_code_is_recorded(self) -> None:
        said = self.plain("-q", "--detach", "echo begun; while read x; do [ $x = end ] && exit 9; done")
        job = said.stdout.decode().strip()
        self.assertEqual((0, "running"), (said.returncode, self.cluster.job("alice", int(job))["state"]))
        for name in ("tmms:alice:n1", "tms:alice"):
            self.assertTrue(self.cluster.kill(name) or self.cluster.kill(name.replace("n1", "n2")))
        self.cluster.forget_talk("alice")
        self.cluster.wait(self.cluster.submit("alice", "true", hosts=[self.cluster.job("alice", int(job))["host"]]))

        keyboard = self.hrun("--attach", job)
        keyboard.see(b"begun")
        keyboard.type(b"end\n")
        self.assertEqual(9, keyboard.end())
        (view,) = self.cluster.wait([int(job)])
        self.assertEqual(("failed", 9), (view["state"], view["exit_code"]))

    def test_a_command_whose_keeper_was_killed_is_still_found_and_its_code_recorded(self) -> None:
        said = self.plain("-q", "--detach", "echo begun; while read x; do [ $x = end ] && exit 9; done")
        (view,) = self.cluster.jobs("alice").values()
        self.assertTrue(self.cluster.kill(f"keeper:alice:{view['host']}"))
        keyboard = self.hrun("--attach", said.stdout.decode().strip())
        keyboard.see(b"begun")
        keyboard.type(b"end\n")
        self.assertEqual(9, keyboard.end())
        self.assertEqual(("failed", 9), (self.final()["state"], self.final()["exit_code"]))

    def test_a_command_that_was_not_left_ends_with_its_terminal(self) -> None:
        keyboard = self.hrun("bash --norc -i")
        keyboard.see(b"$ ")
        keyboard.kill()
        self.assertIn(self.final()["signal"], (signal.SIGHUP, signal.SIGTERM))

    def test_who_may_not_be_visited_is_named(self) -> None:
        (number,) = self.cluster.submit("alice", "sleep 1000")
        self.cluster.wait([number], states=["running"])
        plain = self.plain("--attach", str(number))
        unknown = self.plain("--attach", "4711")
        self.cluster.ask("alice", "canceljob", str(number))
        self.cluster.wait([number])
        over = self.plain("--in", str(number), "true")

        self.assertIn(b"has no terminal", plain.stderr)
        self.assertIn(b"no job 4711", unknown.stderr)
        self.assertIn(b"is cancelled; this takes one that runs", over.stderr)
        self.assertEqual([1, 1, 1], [plain.returncode, unknown.returncode, over.returncode])


class BesideTests(TerminalCase):
    def begin(self, command: str, **more: Any) -> int:
        """Return a job that runs."""
        own = {"PATH": "/usr/bin:/bin", "TM_TEST": self.cluster.folder, "COLOUR": "blue", "PS1": "$ "}
        (number,) = self.cluster.submit("alice", command, environment=own, **more)
        self.cluster.wait([number], states=["running"])
        return number

    def test_a_command_beside_a_job_is_where_the_job_is_and_takes_no_slot(self) -> None:
        number = self.begin("sleep 1000", cores=2)
        said = self.plain("--in", str(number), "pwd; echo $COLOUR $TM_JOB_ID; cat; exit 4", given=b"given")

        self.assertEqual(f"{self.cluster.work}\nblue {number}\ngiven", said.stdout.decode())
        self.assertEqual(4, said.returncode)
        self.assertEqual(1, len(self.cluster.jobs("alice")))

    def running_task(self, array: int, index: int) -> str:
        """Return how a task is called once it runs."""
        shown = f"{array}_{index}"
        wait_for(lambda: '"state":"running"' in self.cluster.ask("alice", "jobinfo", shown, True)[0], "the task")
        return shown

    def test_a_command_goes_beside_a_task_of_an_array(self) -> None:
        (number,) = self.cluster.submit("alice", "sleep 1000", array="4-5")
        said = self.plain("--in", self.running_task(number, 4), "echo $TM_JOB_ID $TM_ARRAY_TASK_ID")
        self.assertEqual(f"{number}_4 4\n", said.stdout.decode(), said.stderr)

    def test_a_shell_beside_a_job_ends_with_the_job(self) -> None:
        number = self.begin("sleep 1000")
        keyboard = self.hrun("--in", str(number))
        keyboard.see(b"$ ")
        keyboard.type(b"trap '' TERM; echo $((6*7)) here\n")
        keyboard.see(b"42 here")

        self.cluster.ask("alice", "canceljob", str(number))
        (view,) = self.cluster.wait([number])

        self.assertNotEqual(0, keyboard.end())
        self.assertEqual("cancelled", view["state"])
        self.assertEqual([], marked(self.cluster.folder, number))

    def test_a_shell_that_is_there_when_the_job_ends_is_not_what_the_job_left(self) -> None:
        go = Path(self.cluster.work, "go")
        number = self.begin(f"while ! [ -e {go} ]; do sleep 0.05; done; exit 3")
        keyboard = self.hrun("--in", str(number))
        keyboard.see(b"$ ")
        go.touch()
        (view,) = self.cluster.wait([number])
        self.assertEqual(("failed", 3, ""), (view["state"], view["exit_code"], view["reason"]))
        self.assertNotEqual(0, keyboard.end())
        wait_for(lambda: not marked(self.cluster.folder, number), "the end of the shell")

    def test_a_shell_beside_a_job_ends_with_its_terminal_and_the_job_goes_on(self) -> None:
        number = self.begin("sleep 1000")
        before = len(marked(self.cluster.folder, number))
        keyboard = self.hrun("--in", str(number))
        keyboard.see(b"$ ")
        keyboard.kill()
        wait_for(lambda: len(marked(self.cluster.folder, number)) == before, "the end of the shell")
        self.assertEqual("running", self.cluster.job("alice", number)["state"])


def marked(folder: str, job: int) -> list[int]:
    """Return the pids of processes that have *job* in their environment, and *folder*."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                content = (entry / "environ").read_bytes()
            except OSError:
                continue
            if b"TM_JOB_ID=%d\0" % job in content and folder.encode() in content:
                found.append(int(entry.name))
    return found


def in_front(name: str, folder: str) -> int:
    """Return the pid of a program called *name* below *folder* (0: none)."""
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            try:
                if (entry / "comm").read_text().strip() == name and folder.encode() in (entry / "environ").read_bytes():
                    return int(entry.name)
            except OSError:
                continue
    return 0

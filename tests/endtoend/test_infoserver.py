"""A real InfoServer: started by its command, known to the dispatcher, asked by users, telling ours from others'."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from tests.support.chain import ChainCase
from tests.support.installation import free_port
from tests.support.processes import is_alive, kill, wait_for
from tm.daemon.info_server import METRICS
from tm.model.history import History
from tm.places import find_root

ROOT = find_root()
BUSY = "while :; do :; done"
TRUST = "ab" * 32


class CommandTests(SynchronousTestCase):
    """The command that starts one; nobody listens at the dispatcher's port."""

    def setUp(self) -> None:
        self.folder = tempfile.mkdtemp(prefix="tm-", dir="/tmp")
        self.addCleanup(shutil.rmtree, self.folder)
        self.state = os.path.join(self.folder, "state")
        self.port = free_port()
        self.pids: list[int] = []
        self.addCleanup(self._end)

    def _end(self) -> None:
        for pid in self.pids:
            kill(pid)

    def command(self, *more: str, host: str = "n1", trust: str = TRUST) -> subprocess.CompletedProcess[str]:
        program = os.path.join(ROOT, "bin", "InfoServer")
        arguments = ["--host", host, "--dispatcher", f"localhost:{self.port}", "--trust", trust, "--state", self.state]
        environment = {"PATH": "/usr/bin:/bin", "HOME": self.folder, "TM_PYTHON": sys.executable}
        return subprocess.run(
            [sys.executable, program, *arguments, *more], env=environment, stdin=subprocess.DEVNULL,
            capture_output=True, text=True, timeout=60, check=False,
        )  # fmt: skip

    def start(self, *more: str, trust: str = TRUST) -> dict[str, Any]:
        done = self.command(*more, trust=trust)
        self.assertEqual((done.returncode, done.stderr, done.stdout.count("\n")), (0, "", 1), done)
        said: dict[str, Any] = json.loads(done.stdout)
        self.pids.append(said["pid"])
        return said

    def test_it_says_one_line_and_listens(self) -> None:
        said = self.start()
        self.assertEqual(set(said), {"infoserver", "fingerprint", "port", "pid", "boot", "version"})
        self.assertEqual(said["infoserver"], "n1")
        self.assertTrue(is_alive(said["pid"]))
        self.assertEqual(os.stat(self.state).st_mode & 0o777, 0o700)
        self.assertEqual(Path(self.state, "server.key").stat().st_mode & 0o777, 0o600)

    def test_said_again_it_is_the_same_one(self) -> None:
        self.assertEqual(self.start(), self.start())

    def test_one_of_another_dispatcher_is_replaced_and_keeps_its_key(self) -> None:
        first, second = self.start(), self.start(trust="cd" * 32)
        self.assertFalse(is_alive(first["pid"]))
        self.assertTrue(is_alive(second["pid"]))
        self.assertEqual(first["fingerprint"], second["fingerprint"])

    def test_several_starts_at_once_make_one(self) -> None:
        with ThreadPoolExecutor(4) as pool:
            said = list(pool.map(lambda _: self.start(), range(4)))
        self.assertEqual(len({one["pid"] for one in said}), 1)

    def test_after_a_kill_it_starts_anew_with_its_key(self) -> None:
        first = self.start()
        kill(first["pid"])
        second = self.start()
        self.assertNotEqual(first["pid"], second["pid"])
        self.assertEqual(first["fingerprint"], second["fingerprint"])

    def test_one_that_hangs_is_killed_and_replaced(self) -> None:
        first = self.start()
        kill(first["pid"], signal.SIGSTOP)
        self.assertNotEqual(self.start(trust="cd" * 32)["pid"], first["pid"])
        self.assertFalse(is_alive(first["pid"]))

    def test_what_is_wrong_is_said_in_a_sentence(self) -> None:
        for more, said in (
            (["--host", "no/host"], "--host"), (["--trust", "me"], "--trust"),
            (["--dispatcher", "there"], "--dispatcher"), (["--port", "x"], "--port"),
        ):  # fmt: skip
            done = self.command(*more)
            self.assertEqual((done.returncode, done.stdout), (78, ""), more)
            self.assertIn(said, done.stderr)
            self.assertNotIn("Traceback", done.stderr)

    def test_a_port_that_is_taken_is_named(self) -> None:
        port = self.start()["port"]
        shutil.rmtree(self.state)
        done = self.command("--port", str(port))
        self.assertEqual(done.returncode, 69)
        self.assertIn(str(port), done.stderr)

    def test_history_outlives_a_restart(self) -> None:
        first = self.start()
        wait_for(lambda: _age(first["pid"]) > 4, "a look or two")
        kill(first["pid"], signal.SIGTERM)
        wait_for(lambda: not is_alive(first["pid"]), "its end")
        saved = Path(self.state, "history").read_bytes()
        history = History(METRICS)
        self.assertTrue(history.restore(saved))
        self.assertTrue(any(value for _, value in history.points("processes", "1h")))


class ServedTests(ChainCase):
    """One that a dispatcher has started, and its users."""

    hosts = {"n1": {"launcher": "local", "cores": 2, "infoserver": True, "policy": "ignore"}}  # noqa: RUF012  a ClassVar

    def setUp(self) -> None:
        super().setUp()
        self.port = 0
        wait_for(self._is_up, "the InfoServer")

    def _is_up(self) -> bool:
        info = self.hsend(self.cluster.port, "hostinfo.json:n1")["info"]
        self.port = info["port"]
        return bool(info["state"] == "up")

    def say(self, port: int, line: str, user: str = "alice") -> subprocess.CompletedProcess[str]:
        program = [sys.executable, os.path.join(ROOT, "bin", "hSend"), "localhost", str(port), line]
        return subprocess.run(
            program, env=self.cluster.environment(user), capture_output=True, text=True, timeout=60, check=False
        )

    def hsend(self, port: int, line: str, user: str = "alice") -> Any:
        done = self.say(port, line, user)
        self.assertEqual(done.returncode, 0, done.stderr)
        values = [json.loads(one) for one in done.stdout.splitlines() if one]
        return values[0] if len(values) == 1 else values

    def test_a_job_is_ours_and_what_somebody_else_runs_is_others(self) -> None:
        self.assertEqual(self.hsend(self.port, "whoami.json", "bob")["user"], "bob")
        (job,) = self.cluster.submit("alice", f"({BUSY}) & setsid sh -c '{BUSY}'")
        stranger = subprocess.Popen(["/bin/sh", "-c", BUSY])
        self.addCleanup(stranger.wait)
        self.addCleanup(stranger.kill)

        def told_apart() -> bool:
            shown = {one["pid"]: one for one in self.hsend(self.port, "processes.json")}
            load = self.hsend(self.port, "load.json")
            uses = {one["job"]: one for one in load["jobs"]}
            return (
                stranger.pid in shown and not shown[stranger.pid]["ours"] and shown[stranger.pid]["cpu"] > 0.1
                and job in uses and uses[job]["cpu"] > 0.2 and uses[job]["processes"] >= 3
                and load["cpu_ours"] > 0.2 and load["cpu_others"] > 0.1
            )  # fmt: skip

        wait_for(told_apart, "ours and others'", 30)
        listed = self.hsend(self.port, f"processes.json:job={job}")
        self.assertEqual({one["job"] for one in listed}, {job})
        self.cluster.ask("alice", "canceljob", str(job))

    def test_every_verb_answers_every_user(self) -> None:
        wait_for(lambda: self.say(self.port, "load", "bob").returncode == 0, "the first look")
        for line in (
            "help",
            "version",
            "status",
            "info",
            "load",
            "users",
            "processes:limit=3",
            "gpus",
            "history:load:1h",
        ):
            for form in (line, line.replace(":", ".json:", 1) if ":" in line else line + ".json"):
                done = self.say(self.port, form, "bob")
                self.assertEqual((done.returncode, done.stderr), (0, ""), form)

    def test_who_is_removed_is_a_stranger_within_seconds(self) -> None:
        self.assertEqual(self.say(self.port, "version", "bob").returncode, 0)
        users = Path(self.cluster.etc, "users")
        text = users.read_text()
        before, _, after = text.partition("[users.bob]")
        users.write_text(before + after.partition("\n[")[1] + after.partition("\n[")[2])
        self.say(self.cluster.port, "reload")
        wait_for(lambda: self.say(self.port, "version", "bob").returncode == 77, "that bob is refused", 10)
        self.assertEqual(self.say(self.port, "version", "alice").returncode, 0)


def _age(pid: int) -> float:
    """Return how long a process has lived, in seconds."""
    began = int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[19])
    return time.clock_gettime(time.CLOCK_BOOTTIME) - began / os.sysconf("SC_CLK_TCK")

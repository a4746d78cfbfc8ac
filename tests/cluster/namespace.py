"""Namespaces of the kernel with a first process of their own, and what runs in them."""

from __future__ import annotations

import json
import os
import select
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from tests.cluster import first_process

START_SECONDS = 30.0
END_SECONDS = 20.0
PROGRAM = Path(first_process.__file__).read_text(encoding="utf-8")  # in there, its file may be out of sight
KINDS = ("mount", "uts", "ipc", "net", "pid")
SEARCHED = "/usr/sbin:/sbin:/usr/bin:/bin:" + os.environ.get("PATH", "")


class BenchError(Exception):
    """The bench cannot be made, or a machine of it does not do what it should."""


class Namespace:
    """A first process with namespaces of its own, and all that runs below it."""

    def __init__(self, plan: Mapping[str, object], inside: Sequence[str] = ()) -> None:
        command = [
            *inside, "unshare", "--mount", "--uts", "--ipc", "--net", "--pid", "--fork", "--kill-child=KILL",
            "--propagation", "private", sys.executable, "-I", "-S", "-c", PROGRAM,
        ]  # fmt: skip
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, start_new_session=True
        )
        try:
            self._begin(plan)
        except BaseException:
            self.end()
            raise

    def _begin(self, plan: Mapping[str, object]) -> None:
        assert self._process.stdin is not None and self._process.stdout is not None
        self._process.stdin.write(json.dumps(plan).encode() + b"\n")
        self._process.stdin.flush()
        said = b""
        if select.select([self._process.stdout], [], [], START_SECONDS)[0]:
            said = self._process.stdout.readline()
        if said != b"ready\n":
            raise BenchError(f"{plan['name']} does not start: {said.decode(errors='replace').strip()}")
        self.pid = self._first()

    def _first(self) -> int:
        """Return the pid, as it is out here, of the process that has pid 1 in there."""
        pid = self._process.pid
        while children := Path(f"/proc/{pid}/task/{pid}/children").read_text().split():
            pid = int(children[0])
        return pid

    def path(self, path: str) -> str:
        """Return the name that the file *path* in there has out here."""
        return f"/proc/{self.pid}/root{path}"

    def enter(self, *kinds: str) -> list[str]:
        """Return what begins a command that is to run in there, in all its namespaces or in those of *kinds*."""
        return ["nsenter", "--target", str(self.pid), *(f"--{kind}" for kind in kinds or KINDS)]

    def processes(self) -> list[Process]:
        """Return what runs in there, the first process and the dead apart."""
        space = os.readlink(f"/proc/{self.pid}/ns/pid")
        found = []
        for pid in (int(name) for name in os.listdir("/proc") if name.isdigit()):
            try:
                if pid != self.pid and os.readlink(f"/proc/{pid}/ns/pid") == space:
                    found.append(Process(pid))
            except (OSError, KeyError):
                continue
        return [one for one in found if one.state not in "ZX"]

    def end(self) -> None:
        """Kill all that is in there."""
        process = self._process
        if process.stdin is not None:
            process.stdin.close()
        try:
            process.wait(END_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait(END_SECONDS)
        if process.stdout is not None:
            process.stdout.close()


class Process:
    """A process of a machine as it was when it was looked at: `pid` out here, `inner` in there."""

    def __init__(self, pid: int) -> None:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
        status = {key: value.split() for key, _, value in (line.partition(":") for line in lines)}
        self.pid = pid
        self.inner = int(status["NSpid"][-1])
        self.uids = {int(number) for number in status["Uid"]}
        self.uid = int(status["Uid"][1])
        self.name = " ".join(status["Name"])
        self.state = status["State"][0]
        self.command = Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace").strip()

    def __repr__(self) -> str:
        return f"{self.inner} (uid {self.uid}) {self.command or self.name}"

    def kill(self, number: int = signal.SIGKILL) -> None:
        """Send a signal."""
        try:
            os.kill(self.pid, number)
        except ProcessLookupError:
            return


def checked(argv: Sequence[str], **more: Any) -> str:
    """Return what *argv* says; raise `BenchError` when it fails."""
    done = subprocess.run(
        argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace",
        timeout=START_SECONDS, check=False, **more,
    )  # fmt: skip
    if done.returncode:
        raise BenchError(f"'{' '.join(argv)}' failed ({done.returncode}): {done.stdout.strip()}")
    return done.stdout

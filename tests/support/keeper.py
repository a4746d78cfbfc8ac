"""A real keeper in a temporary spool, and the host server's side of its socket."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from types import MappingProxyType

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Any

    Fact = dict[str, Any]

PATIENCE = 20.0
PROGRAM = Path(__file__).resolve().parents[2] / "tm" / "keeper" / "__main__.py"


def wait_for(condition: Callable[[], Any], what: str) -> Any:
    """Return the first true value of *condition*; fail after a while."""
    deadline = time.monotonic() + PATIENCE
    while not (value := condition()):
        if time.monotonic() > deadline:
            raise AssertionError(f"waited in vain: {what}")
        time.sleep(0.005)
    return value


def is_alive(pid: int) -> bool:
    """Whether *pid* is a process that has not ended (a zombie has)."""
    try:
        stat = Path(f"/proc/{pid}/stat").read_bytes()
    except OSError:
        return False
    return stat.rpartition(b") ")[2][:1] not in b"ZX"


class Peer:
    """One connection to the keeper; `hello` is its greeting."""

    def __init__(self, path: str) -> None:
        self._socket = socket.socket(socket.AF_UNIX)
        self._socket.settimeout(PATIENCE)
        self._socket.connect(path)
        self._lines = self._socket.makefile("rb")
        self.facts: list[Fact] = []

    def greeting(self) -> dict[str, Any]:
        """Return what the keeper says first."""
        hello: dict[str, Any] = self.read_line()["hello"]
        return hello

    def say(self, **message: Any) -> None:
        """Send one line."""
        self.send(json.dumps(message).encode() + b"\n")

    def send(self, data: bytes) -> None:
        """Send *data* as it is."""
        self._socket.sendall(data)

    def read_line(self) -> dict[str, Any]:
        """Return the next line; an empty object at the end."""
        line = self._lines.readline()
        return json.loads(line) if line else {}

    def wait(self, what: str, job: int, attempt: int = 1) -> Fact:
        """Return the fact *what* of *job*, reading on until it comes; all facts are kept in `facts`."""
        while True:
            for fact in self.facts:
                if (fact["what"], fact["job"], fact["attempt"]) == (what, job, attempt):
                    return fact
            line = self.read_line()
            if not line:
                raise AssertionError(f"the keeper hung up before {what} of {job}; it said {self.facts}")
            self.facts += line["facts"]

    def close(self) -> None:
        """Hang up."""
        self._lines.close()
        self._socket.close()


class Spool:
    """A temporary spool, the keepers in it, and a folder ``work`` for jobs."""

    def __init__(self) -> None:
        self.path = tempfile.mkdtemp(prefix="keeper-")
        self.work = os.path.join(self.path, "work")
        os.mkdir(self.work)
        self.keepers: list[subprocess.Popen[bytes]] = []
        self._peers: list[Peer] = []

    def start(
        self, number: int = 1, failpoint: str = "", more: Mapping[str, str] = MappingProxyType({})
    ) -> subprocess.Popen[bytes]:
        """Start a keeper with *more* variables and one descriptor too many; wait for its pidfile, or for its end."""
        with open(os.devnull) as extra:
            keeper = subprocess.Popen(
                [sys.executable, "-I", "-S", str(PROGRAM), self.path, str(number)],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
                env={"TM_FAILPOINT": failpoint, **more},
                pass_fds=[extra.fileno()],
            )
        self.keepers.append(keeper)
        own = f"{keeper.pid}\n"
        wait_for(lambda: keeper.poll() is not None or self.read(f"keeper-{number}.pid") == own, "a keeper")
        return keeper

    def connect(self, number: int = 1) -> Peer:
        """Return a new connection whose greeting is still to be read."""
        peer = Peer(os.path.join(self.path, f"keeper-{number}.sock"))
        self._peers.append(peer)
        return peer

    def order(self, job: int, command: str | list[str], **more: Any) -> dict[str, Any]:
        """Return an order that runs in ``work`` and writes to ``JOB.out`` there."""
        order = {
            "job": job,
            "attempt": 1,
            "command": command,
            "cwd": self.work,
            "env": None,
            "vars": {"TM_JOB_ID": str(job), "TM_ATTEMPT": "1", "PATH": "/usr/bin:/bin"},
            "umask": 0o22,
            "stdin": None,
            "stdout": f"{job}.out",
            "stderr": None,
            "append": False,
            "cores": 1,
        }
        return {**order, **more}

    def read(self, name: str) -> str:
        """Return the content of a file below the spool, empty when there is none."""
        try:
            return Path(self.path, name).read_text()
        except FileNotFoundError:
            return ""

    def pid_in(self, name: str) -> int:
        """Return the pid that a job writes, as a whole line, to file *name* in ``work``."""
        text: str = wait_for(
            lambda: (t := self.read(f"work/{name}")).endswith("\n") and t, f"a pid in {name}"
        )
        return int(text)

    def close_pipe(self, name: str) -> None:
        """Let the job that reads the named pipe *name* in ``work`` come to its end."""

        def opened() -> bool:
            try:
                os.close(os.open(os.path.join(self.work, name), os.O_WRONLY | os.O_NONBLOCK))
            except OSError:
                return False
            return True

        wait_for(opened, f"a reader of {name}")

    def clean(self) -> None:
        """End all keepers and all that works in their folder, and remove the spool."""
        for peer in self._peers:
            peer.close()
        while left := self._inhabitants():
            for pid in left:
                try:
                    os.kill(pid, 9)
                except ProcessLookupError:
                    continue
            time.sleep(0.005)
        for keeper in self.keepers:
            keeper.wait()
            assert keeper.stderr is not None
            keeper.stderr.close()
        shutil.rmtree(self.path, ignore_errors=True)

    def _inhabitants(self) -> list[int]:
        """Return the living processes whose working directory is the spool, or is in it."""
        found = []
        for name in os.listdir("/proc"):
            try:
                if name.isdigit() and os.readlink(f"/proc/{name}/cwd").startswith(self.path) and is_alive(int(name)):
                    found.append(int(name))
            except OSError:
                continue
        return found

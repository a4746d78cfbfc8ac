"""A peer's private folder and what is started in it.

Everything that is started has the folder's name in its environment or on its command line, and hands it down: so `stop`
finds it by process id, what a daemon left behind too, and nothing else. Nothing is inherited from the environment of
whoever measures: a variable of theirs must not lead to an installation of theirs.
"""

from __future__ import annotations

import os
import random
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from benchmarks.installation import ENVIRONMENT
from tests.support import processes

PROGRAMS = "/usr/local/bin:/usr/bin:/bin:/usr/sbin:/sbin"
CLIENTS = 4
PAUSE = 0.02
LONGEST = 600.0
LOOP = 'n=$1; shift; while [ "$n" -gt 0 ]; do TM_NUMBER=$n "$@" </dev/null || exit 1; n=$((n - 1)); done'


class Folder:
    """A folder that others may enter, called after *name*, and the `environment` of what runs there."""

    def __init__(self, name: str) -> None:
        self.folder = tempfile.mkdtemp(prefix=f"tm-peer-{name}-")
        os.chmod(self.folder, 0o755)
        self.environment = {**ENVIRONMENT, "PATH": PROGRAMS, "TMPDIR": self.folder, "TM_PEER": self.folder}

    def path(self, *names: str) -> str:
        """Return the path of something in the folder."""
        return os.path.join(self.folder, *names)

    def make(self, *names: str) -> None:
        """Make folders in the folder."""
        for name in names:
            os.makedirs(self.path(name))

    def write(self, name: str, content: str | bytes, mode: int = 0o644) -> str:
        """Write a file of the folder; return its path."""
        path = Path(self.path(name))
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        path.chmod(mode)
        return str(path)

    def read(self, name: str) -> str:
        """Return what is in a file of the folder, "" where there is none."""
        try:
            return Path(self.path(name)).read_text(errors="replace")
        except FileNotFoundError:
            return ""

    def start(self, command: Sequence[str], log: str) -> subprocess.Popen[bytes]:
        """Start a daemon in the foreground of a session of its own; what it says goes to the file *log*."""
        with open(self.path(log), "ab") as said:
            return subprocess.Popen(
                command, env=self.environment, cwd=self.folder, stdin=subprocess.DEVNULL, stdout=said, stderr=said,
                start_new_session=True,
            )  # fmt: skip

    def run(self, command: Sequence[str]) -> str:
        """Run *command* to its end; return what it printed; leave if it failed."""
        ended = self._run(command)
        if ended.returncode != 0:
            raise SystemExit(f"'{' '.join(command)}' ended with {ended.returncode}: {ended.stdout.strip()}")
        return ended.stdout

    def ask(self, command: Sequence[str]) -> str:
        """Run *command* to its end; return what it printed, also if it failed."""
        return self._run(command).stdout

    def _run(self, command: Sequence[str]) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            command, env=self.environment, cwd=self.folder, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT, timeout=LONGEST, check=False, text=True, errors="replace",
        )  # fmt: skip

    def measure(self, command: Sequence[str], output: str = os.devnull) -> float:
        """Return the seconds that *command* takes; what it prints goes to the file *output*."""
        with open(output, "wb") as out:
            begin = time.perf_counter()
            ended = subprocess.run(
                command, env=self.environment, cwd=self.folder, stdin=subprocess.DEVNULL, stdout=out,
                stderr=subprocess.DEVNULL, timeout=LONGEST, check=False,
            )  # fmt: skip
            seconds = time.perf_counter() - begin
        if ended.returncode != 0:
            raise SystemExit(f"'{' '.join(command)}' ended with {ended.returncode}")
        return seconds

    def repeat(self, command: Sequence[str], count: int, clients: int = 1) -> list[str]:
        """Run *command* *count* times, the next one when the last has ended, in *clients* loops of a shell at once.

        Each has the number that its loop has still to run, *count* for the first of a single one, in the environment as
        ``TM_NUMBER``. Returns the words that they printed.
        """
        names = [f"loop-{number}" for number in range(clients)]
        shares = [count // clients + (number < count % clients) for number in range(clients)]
        loops = [self._loop(name, share, command) for name, share in zip(names, shares, strict=True)]
        for name, loop in zip(names, loops, strict=True):
            if loop.wait() != 0:
                raise SystemExit(f"'{' '.join(command)}' failed: {self.read(name + '.err').strip()}")
        return [word for name in names for word in self.read(name).split()]

    def _loop(self, name: str, count: int, command: Sequence[str]) -> subprocess.Popen[bytes]:
        looped = ["/bin/sh", "-c", LOOP, "loop", str(count), *command]
        with open(self.path(name), "wb") as out, open(self.path(name + ".err"), "wb") as said:
            return subprocess.Popen(
                looped, env=self.environment, cwd=self.folder, stdin=subprocess.DEVNULL, stdout=out, stderr=said
            )

    def wait_for(
        self, condition: Callable[[], bool], what: str, seconds: float, of: subprocess.Popen[bytes] | None = None
    ) -> None:
        """Wait until *condition* holds; leave after *seconds*, or when the daemon *of* has ended."""
        deadline = time.monotonic() + seconds
        while not condition():
            if of is not None and of.poll() is not None:
                raise SystemExit(f"waited in vain for {what}: it ended with {of.returncode}\n{self.logs()}")
            if time.monotonic() > deadline:
                raise SystemExit(f"waited {seconds:.0f} s in vain for {what}\n{self.logs()}")
            time.sleep(PAUSE)

    def logs(self) -> str:
        """Return the last lines of each log."""
        found = sorted(Path(self.folder).glob("*.log"))
        return "\n".join(f"{path.name}: {path.read_text(errors='replace')[-1000:].strip()}" for path in found)

    def stop(self) -> None:
        """End what was started here and what that has started, and remove the folder; leave if anything remains."""
        left = processes.end_marked(self.folder)
        shutil.rmtree(self.folder, ignore_errors=True)
        if left or os.path.exists(self.folder):
            raise SystemExit(f"left behind: {left or self.folder}")


def kill(daemon: subprocess.Popen[bytes]) -> None:
    """End a daemon with SIGKILL, and see that it has gone."""
    daemon.kill()
    daemon.wait()


def free_ports(count: int) -> list[int]:
    """Return ports of loopback that nobody listens on, nor gets by chance as the own end of a connection."""
    first = int(Path("/proc/sys/net/ipv4/ip_local_port_range").read_text().split()[0])
    found: set[int] = set()
    while len(found) < count:
        port = random.randrange(first // 2, first)
        try:
            socket.create_server(("127.0.0.1", port)).close()
        except OSError:
            continue
        found.add(port)
    return list(found)


def is_open(port: int) -> bool:
    """Whether somebody listens on a port of loopback."""
    with socket.socket() as tried:
        tried.settimeout(0.5)
        return tried.connect_ex(("127.0.0.1", port)) == 0


def needs(programs: Sequence[str], packages: str, root: bool) -> str:
    """Return what is missing of *programs* (names or paths), and of being root; "" if nothing is."""
    lacking = [name for name in programs if shutil.which(name, path=PROGRAMS) is None]
    if lacking:
        return f"needs {', '.join(lacking)}: apt-get install --no-install-recommends {packages}"
    return "needs root" if root and os.geteuid() != 0 else ""


def version(package: str) -> str:
    """Return the upstream version of a Debian package as it is installed, "" where it is not."""
    asked = ["dpkg-query", "-W", "-f", "${source:Upstream-Version}", package]
    if shutil.which(asked[0]) is None:
        return ""
    found = subprocess.run(asked, capture_output=True, text=True, check=False)
    return found.stdout.partition("+")[0] if found.returncode == 0 else ""

"""GNU parallel on this machine, and over ssh: no server, no queue; a program that starts what it reads.

Its own record, ``--joblog``, has every exit code. With ``--resume`` it is what goes on after it was killed.
"""

from __future__ import annotations

import os
import subprocess
import time
from pathlib import Path

from benchmarks import daemons
from benchmarks.peers import crashing
from benchmarks.peers.contract import Crash
from benchmarks.peers.folder import Folder, kill, needs, version
from tests.support.sshd import Sshd

EXIT_CODE = 6
SETTLED = 1.5
SSH = """\
Host *
  HostName 127.0.0.1
  Port {port}
  User {user}
  IdentityFile {identity}
  IdentitiesOnly yes
  UserKnownHostsFile {known_hosts}
  StrictHostKeyChecking yes
  BatchMode yes
  LogLevel ERROR
"""


class Parallel:
    """``parallel -j SLOTS --joblog``, its input a file with a line for each job."""

    ways: tuple[str, ...] = ("bulk",)
    notes = "-n0 --joblog, PARALLEL_SHELL=/bin/sh; no server and no queue, it reads its input as it needs"

    def __init__(self) -> None:
        self.name = f"GNU parallel {version('parallel')}"
        self._folder: Folder | None = None
        self._slots = 0
        self._waiting: subprocess.Popen[bytes] | None = None

    def missing(self) -> str:
        """Return what is to be installed."""
        return needs(("parallel",), "parallel", root=False)

    def start(self, slots: int) -> None:
        """Make a folder; nothing runs between measurements."""
        self._slots = slots
        self._folder = folder = Folder("parallel")
        folder.make("home")
        folder.write("home/will-cite", "")
        folder.environment |= {"PARALLEL_SHELL": "/bin/sh", "PARALLEL_HOME": folder.path("home"), "HOME": folder.folder}

    @property
    def _here(self) -> Folder:
        assert self._folder is not None, "it has not been started"
        return self._folder

    def _command(self, log: str, source: str, *job: str) -> list[str]:
        return ["parallel", f"-j{self._slots}", "--joblog", log, "-a", source, *job]

    def _source(self, jobs: int) -> str:
        return self._here.write("input", "".join(f"{number}\n" for number in range(jobs)))

    def throughput(self, way: str, jobs: int) -> float:
        """Return the seconds from its start to its end, every exit code in its record."""
        log = self._here.path("joblog")
        seconds = self._here.measure(self._command(log, self._source(jobs), "-n0", "/bin/true"))
        _check(log, jobs)
        os.unlink(log)
        return seconds

    def submit_once(self) -> None:
        """Return None: there is nothing to submit to."""

    def wait_once(self) -> float:
        """Return the seconds of a whole run with one job."""
        return self._here.measure(self._command(self._here.path("joblog"), self._source(1), "-n0", "/bin/true"))

    def fill(self, waiting: int, array: bool) -> float | None:
        """Start it with so many lines of input behind jobs that sleep; it reads as it needs, so there is no time."""
        if not array:
            log, source = self._here.path("waiting"), self._source(waiting)
            self._waiting = self._here.start(self._command(log, source, "-n0", "/bin/sleep 3600"), "waiting.log")
            time.sleep(SETTLED)
        return None

    def list_once(self) -> None:
        """Return None: there is nothing to list."""

    def server_memory(self) -> int | None:
        """Return the resident bytes of the one with the input, while there is one."""
        return None if self._waiting is None else daemons.resident(self._waiting.pid)

    def idle_memory(self) -> None:
        """Return None: nothing runs."""

    def crash(self, jobs: int) -> Crash | None:
        """Kill it, and run the same command again: with ``--resume`` it leaves out what is in its record."""
        folder = self._here
        book, log, source = folder.path("book"), folder.path("crashlog"), self._source(jobs)
        script = folder.write("job", crashing.script("1", book))
        command = self._command(log, source, "--resume", "/bin/sh", script, "{}")
        running = [folder.start(command, "crash.log")]
        server = crashing.Server(
            kill=lambda: kill(running[0]),
            restart=lambda: running.append(folder.start(command, "resume.log")),
            unfinished=set,
        )
        found = crashing.kill_and_restart(book, [str(number) for number in range(jobs)], server)
        for process in running[1:]:
            process.wait()
        return found._replace(note="; ".join(filter(None, ["--joblog, --resume", found.note])))

    def stop(self) -> None:
        """End what runs and remove the folder."""
        if self._folder is not None:
            self._folder.stop()
            self._folder = self._waiting = None


class ParallelSsh(Parallel):
    """The same with ``--sshlogin`` to a private sshd on loopback; each job is a session of its own."""

    notes = "the same with -S SLOTS/localhost, to a private sshd with its own keys"

    def __init__(self) -> None:
        super().__init__()
        self.name = f"{self.name} over ssh"
        self._sshd: Sshd | None = None

    def missing(self) -> str:
        """Return what is to be installed."""
        return needs(("parallel", "sshd", "ssh-keygen"), "parallel openssh-server openssh-client", root=False)

    def start(self, slots: int) -> None:
        """Start the sshd."""
        super().start(slots)
        home = f"SetEnv HOME={self._here.path('home')}"  # what a login shell reads of the user's is not measured
        self._sshd = sshd = Sshd(lines=("UseDNS no", home))
        self._here.write("ssh_config", SSH.format(
            port=sshd.port, user=sshd.user, identity=sshd.identity, known_hosts=sshd.known_hosts
        ))  # fmt: skip

    def _command(self, log: str, source: str, *job: str) -> list[str]:
        remote = ["--ssh", f"ssh -F {self._here.path('ssh_config')}", "-S", f"{self._slots}/localhost"]
        return super()._command(log, source, *remote, *job)

    def fill(self, waiting: int, array: bool) -> None:
        """Return None: it is as without ssh."""

    def crash(self, jobs: int) -> None:
        """Return None: it is as without ssh."""

    def stop(self) -> None:
        """End the sshd too."""
        if self._sshd is not None:
            self._sshd.stop()
            self._sshd = None
        super().stop()


def _check(log: str, jobs: int) -> None:
    rows = [line.split("\t") for line in Path(log).read_text().splitlines()[1:]]
    if len(rows) != jobs or any(row[EXIT_CODE] != "0" for row in rows):
        raise SystemExit(f"{jobs} jobs are {len(rows)} in {log}, or some of them failed")

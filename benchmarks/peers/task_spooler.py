"""task-spooler: one server for one user, whose waiting jobs are waiting processes of its client.

Its queue is in memory alone, and there is no hold: what shall wait, waits for slots that sleeping jobs have taken.
"""

from __future__ import annotations

import re
import time
from collections import Counter
from pathlib import Path

from benchmarks.peers import crashing, folder
from benchmarks.peers.contract import Crash
from benchmarks.peers.folder import Folder
from tests.support import processes

MOST_WAITING = 900
"""Each waiting job is a connection of the server, and it takes about a thousand; then ``tsp`` blocks."""
KEPT = "100000"
START = 30.0
SLOWEST = 20.0
FORGETS = 10.0
"""Seconds after which no job will start any more: the queue went with the server."""
SLEEPER = "3600"
GOOD = "finished 0"
_LINE = re.compile(r"^(\d+) +(\w+) +\S+ +(-?\d*) ", re.MULTILINE)


class TaskSpooler:
    """task-spooler as Debian has it; usable between `start` and `stop`."""

    ways: tuple[str, ...] = ("singly",)
    notes = (
        "its queue is in memory only, for one user on one host; output discarded (tsp -n); its memory is also that "
        "of the clients that wait with their jobs"
    )

    _folder: Folder
    _server: int

    def __init__(self) -> None:
        self.name = f"task-spooler {folder.version('task-spooler')}".strip()
        self._slots = 0
        self._idle = 0
        self._started = False

    def missing(self) -> str:
        """Return what it needs and does not find, and how to get that."""
        return folder.needs(("tsp",), "task-spooler", root=False)

    def start(self, slots: int) -> None:
        """Start the server, by a client as always, and run one job."""
        self._folder = Folder("tsp")
        self._started = True
        self._folder.environment.update(TS_SOCKET=self._folder.path("socket"), TS_MAXFINISHED=KEPT)
        self._slots = slots
        self._start_server()
        self._idle = self.server_memory()
        self.throughput("singly", 1)

    def _start_server(self) -> None:
        """Set the slots: this starts the server where there is none."""
        before = set(self._pids())
        self._folder.run(["tsp", "-S", str(self._slots)])
        (self._server,) = set(self._pids()) - before

    def _pids(self) -> list[int]:
        """Return the processes of tsp: the server, and a client for each job."""
        return [pid for pid, line in processes.marked(self._folder.folder).items() if line.startswith("tsp ")]

    def throughput(self, way: str, jobs: int) -> float:
        """Measure *jobs* jobs, each submitted when the one before is accepted (there is no other *way*)."""
        here = self._folder
        here.wait_for(lambda: not self._unfinished(), "the end of all that runs", START)
        here.run(["tsp", "-C"])
        begin = time.perf_counter()
        here.repeat(["tsp", "-n", "/bin/true"], jobs)
        here.ask(["tsp", "-w"])
        here.wait_for(lambda: not self._unfinished(), f"{jobs} endings", START + jobs / SLOWEST)
        seconds = time.perf_counter() - begin
        found = Counter(f"{state} {code}" for _, state, code in self._list())
        if found != Counter({GOOD: jobs}):
            raise SystemExit(f"{jobs} jobs should have ended with '{GOOD}', but: {dict(found)}")
        return seconds

    def _list(self) -> list[tuple[str, str, str]]:
        return parse(self._folder.run(["tsp", "-l"]))

    def _unfinished(self) -> set[str]:
        return {number for number, state, _ in self._list() if state != "finished"}

    def submit_once(self) -> float:
        """Measure one ``tsp``."""
        return self._folder.measure(["tsp", "-n", "/bin/true"])

    def wait_once(self) -> float:
        """Measure ``tsp -f``, which waits."""
        return self._folder.measure(["tsp", "-n", "-f", "/bin/true"])

    def fill(self, waiting: int, array: bool) -> float | None:
        """Submit jobs behind others that sleep; there are no arrays, and there is room for few."""
        if array or waiting > MOST_WAITING:
            return None
        self._folder.repeat(["tsp", "-n", "sleep", SLEEPER], self._slots)
        begin = time.perf_counter()
        self._folder.repeat(["tsp", "-n", "/bin/true"], waiting)
        return time.perf_counter() - begin

    def list_once(self) -> float:
        """Measure ``tsp -l``."""
        return self._folder.measure(["tsp", "-l"])

    def server_memory(self) -> int:
        """Return the bytes of the server and of the clients that wait with their jobs; what they share counts once."""
        return sum(_proportional(pid) for pid in self._pids())

    def idle_memory(self) -> int:
        """Return the same before the first job."""
        return self._idle

    def crash(self, jobs: int) -> Crash:
        """Kill the server; the next client starts another one."""
        here = self._folder
        book = here.path("book")
        job = here.write("book.sh", crashing.script("TM_NUMBER", book), 0o755)
        here.repeat(["tsp", "-n", job], jobs)
        accepted = [str(number + 1) for number in range(jobs)]
        server = crashing.Server(lambda: processes.kill(self._server), self._start_server, set)
        return crashing.kill_and_restart(book, accepted, server, FORGETS)

    def stop(self) -> None:
        """End the server, its clients and their jobs, and remove the folder."""
        if self._started:
            self._started = False
            self._folder.stop()


def parse(listed: str) -> list[tuple[str, str, str]]:
    """Return (id, state, exit code, "" where it has none) of each job of what ``tsp -l`` printed."""
    return _LINE.findall(listed)


def _proportional(pid: int) -> int:
    """Return the resident bytes of a process, shared ones divided by how many share them; 0 if it has ended."""
    try:
        told = Path(f"/proc/{pid}/smaps_rollup").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return 0
    found = re.search(r"^Pss:\s+(\d+) kB", told, re.MULTILINE)
    return int(found.group(1)) * 1024 if found else 0

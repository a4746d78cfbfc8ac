"""TaskManager itself, asked what the others are asked: real daemons, TLS between them, durable as promised."""

from __future__ import annotations

import os
import time
from contextlib import ExitStack
from pathlib import Path

import tm
from benchmarks import daemons
from benchmarks.installation import Installation, installation
from benchmarks.limits import process_seconds
from benchmarks.peers import crashing
from benchmarks.peers.contract import Crash

SERVERS = ("TaskDispatcher", "TMS", "TMMS", "keeper")
TRUE = ["/bin/true"]


class Ourselves:
    """A private installation with one user and one host, driven over one connection and by ``hRunJob``."""

    name = f"TaskManager {tm.__version__}"
    ways: tuple[str, ...] = ("bulk", "array", "singly")
    notes = (
        "TaskDispatcher, TMS, TMMS and keeper, TLS between them, synchronous=FULL; singly: each accepted, and on the "
        "disk, before the next is sent over the open connection"
    )

    def __init__(self) -> None:
        self._stack = ExitStack()
        self._slots = 0
        self._idle = 0
        self._installed: Installation | None = None

    @property
    def installed(self) -> Installation:
        """What runs."""
        assert self._installed is not None, "it has not been started"
        return self._installed

    def missing(self) -> str:
        """Return "": what it needs is what the benchmarks need."""
        return ""

    def start(self, slots: int) -> None:
        """Start the daemons; a job has run before this returns."""
        self._slots = slots
        self._installed = self._stack.enter_context(installation(slots))
        self._idle = self.server_memory()

    def throughput(self, way: str, jobs: int) -> float:
        """Return the seconds until the last ending is on the dispatcher's disk."""
        begin = time.perf_counter()
        ids = self._submit(way, jobs)
        self.installed.wait(ids)
        seconds = time.perf_counter() - begin
        if way == "array":
            self._check_array(ids[0], jobs)
        else:
            self.installed.check(ids)
        self.installed.rest()
        return seconds

    def _submit(self, way: str, jobs: int) -> list[int]:
        if way == "singly":
            return self.installed.submit_singly(TRUE, jobs)
        if way == "bulk":
            return self.installed.submit([TRUE] * jobs)
        self.installed.common["array"] = f"0-{jobs - 1}"
        try:
            return self.installed.submit([TRUE])
        finally:
            del self.installed.common["array"]

    def _check_array(self, number: int, jobs: int) -> None:
        tasks = self.installed.view(number)["tasks"]
        if tasks.get("completed") != jobs:
            raise SystemExit(f"an array of {jobs} tasks ended with {tasks}")

    def submit_once(self) -> float:
        """Return the seconds of ``hRunJob true``."""
        return self._client("hRunJob", "true")

    def accept_once(self) -> float:
        """Return the seconds until one more job is accepted, over the open connection."""
        begin = time.perf_counter()
        self.installed.submit([TRUE])
        return time.perf_counter() - begin

    def wait_once(self) -> float:
        """Return the seconds of ``hRunJob --wait true``."""
        return self._client("hRunJob", "--wait", "true")

    def list_once(self) -> float:
        """Return the seconds of ``hRunJob -l``, which prints a line for each job and each array."""
        return self._client("hRunJob", "-l")

    def look_once(self) -> float:
        """Return the seconds of ``hRunJob -s``, which prints how all is and the first 40 jobs."""
        return self._client("hRunJob", "-s")

    def _client(self, *arguments: str) -> float:
        return process_seconds(self.installed.client(*arguments), self.installed.environment, self.installed.folder)

    def fill(self, waiting: int, array: bool) -> float:
        """Submit jobs that wait behind such as occupy the host."""
        self.installed.submit([["/bin/sleep", "3600"]] * self._slots)
        begin = time.perf_counter()
        if array:
            self._submit("array", waiting)
        else:
            self.installed.submit([TRUE] * waiting)
        return time.perf_counter() - begin

    def server_memory(self) -> int:
        """Return the resident bytes of dispatcher, user's server, host's server and keeper."""
        pids = self.installed.pids()
        return sum(daemons.resident(pids[name]) for name in SERVERS if name in pids)

    def idle_memory(self) -> int:
        """Return the same as it was after the start."""
        return self._idle

    def crash(self, jobs: int) -> Crash:
        """Kill the dispatcher in the middle of jobs; from the start of its Python until the next job starts."""
        book = os.path.join(self.installed.folder, "book")
        script = os.path.join(self.installed.folder, "job")
        Path(script).write_text(crashing.script("TM_JOB_ID", book))
        ids = self.installed.submit([["/bin/sh", script]] * jobs)
        server = crashing.Server(
            kill=self.installed.kill_dispatcher,
            restart=self.installed.start_dispatcher,
            unfinished=lambda: set(map(str, self.installed.unfinished(ids))),
        )
        found = crashing.kill_and_restart(book, [str(number) for number in ids], server)
        if not found.lost:
            self.installed.check(ids)
        return found._replace(note="; ".join(filter(None, ["the TaskDispatcher", found.note])))

    def stop(self) -> None:
        """End the daemons and remove their folder."""
        self._installed = None
        self._stack.close()

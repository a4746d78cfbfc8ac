"""All peers in turns: in each round the machine's own limits, then each peer after the other, one at a time.

The order is another one in each round. What a peer is asked is the same for all but in number: a slow one is given
fewer jobs, as `CAPS` says, and what it lacks it is not asked.
"""

from __future__ import annotations

import os
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from importlib import import_module
from typing import Any, NamedTuple

from benchmarks.handshakes import handshakes_per_second
from benchmarks.limits import PYTHON_START, BareSpawn, durable_microseconds, process_seconds
from benchmarks.peers.contract import Connected, Peer
from benchmarks.record import Recorder
from tests.support.cluster import DaemonError
from tm.errors import TaskManagerError

MODULES = {
    "ourselves": "ourselves:Ourselves", "slurm": "slurm:Slurm", "hyperqueue": "hyperqueue:HyperQueue",
    "parallel": "parallel:Parallel", "parallel_ssh": "parallel:ParallelSsh", "grid_engine": "grid_engine:GridEngine",
    "task_spooler": "task_spooler:TaskSpooler",
}  # fmt: skip
SLOTS = (2, 8)
CRASH_JOBS = 1000
LONG_FACTOR = 10
WAITING, MANY_WAITING = 10_000, 100_000
TIMES = 10
"""How often a client is started a round, unless that would take more than `LONGEST` seconds."""
LONGEST = 6.0
PAUSE = 0.1
FAILURES = (
    SystemExit, OSError, AssertionError, RuntimeError, ValueError, LookupError, subprocess.SubprocessError,
    sqlite3.Error, DaemonError, TaskManagerError,
)  # fmt: skip


class Cap(NamedTuple):
    """What a peer is asked at most: *jobs* of a measurement, *waiting* single ones, *tasks* of an array, of a *crash*.

    Where that takes long, many waiting and the crash are measured *once*, in the first round.
    """

    jobs: int = sys.maxsize
    waiting: int = sys.maxsize
    tasks: int = sys.maxsize
    crash: int = sys.maxsize
    once: bool = False


CAPS = {
    "slurm": Cap(jobs=500, crash=300, once=True),
    "grid_engine": Cap(jobs=40, waiting=WAITING, tasks=70_000, crash=120, once=True),
    "task_spooler": Cap(jobs=1000, waiting=900),
    "parallel_ssh": Cap(jobs=60, waiting=0, crash=0),
}
NO_CAP = Cap()


class Wishes(NamedTuple):
    """What whoever measures wants: *only* these peers, the *long* set, a Python that has *hyperqueue*."""

    only: tuple[str, ...] = ()
    long: bool = False
    hyperqueue: str = ""


def run(recorder: Recorder, rounds: int, jobs: int, wishes: Wishes) -> None:
    """Measure the machine and all peers that there are; say which there are not."""
    peers = _find(recorder, wishes)
    with _interruptible(), tempfile.TemporaryDirectory(prefix="tm-limits-") as folder:
        spawn = BareSpawn(folder)
        for number in recorder.rounds(rounds):
            _limits(recorder, spawn, folder, jobs)
            for key in _turned(list(peers), number):
                turn = Turn(recorder, key, peers[key], CAPS.get(key, NO_CAP))
                turn.take(spawn, jobs, wishes.long)


def _find(recorder: Recorder, wishes: Wishes) -> dict[str, Peer]:
    """Return the peers that can start; record of the others why not, and of all what is left out."""
    found: dict[str, Peer] = {}
    for key in wishes.only or MODULES:
        module, _, name = MODULES[key].partition(":")
        make: Callable[..., Peer] = getattr(import_module(f"benchmarks.peers.{module}"), name)
        peer = make(wishes.hyperqueue) if key == "hyperqueue" else make()
        lacking = peer.missing()
        if lacking:
            recorder.note(f"left out: {peer.name or key}: {lacking}", peer=key, missing=lacking)
            continue
        cap = CAPS.get(key, NO_CAP)
        text = f"{peer.name}: {peer.notes}{_told(cap)}"
        recorder.note(text, peer=key, name=peer.name, settings=peer.notes, ways=list(peer.ways))
        found[key] = peer
    if not wishes.long:
        recorder.note(f"left out: {LONG_FACTOR} times as many jobs, and {MANY_WAITING:,} waiting; --long has them")
    return found


def _told(cap: Cap) -> str:
    """Return in words what a peer is asked less than others."""
    words = {"jobs": "{:,} jobs", "waiting": "{:,} waiting", "tasks": "arrays of {:,}", "crash": "{:,} in a crash"}
    told = [text.format(most) for name, text in words.items() if 0 < (most := getattr(cap, name)) < sys.maxsize]
    parts = [f"at most {', '.join(told)}"] if told else []
    parts += ["many waiting and the crash in the first round only"] if cap.once else []
    return f" ({'; '.join(parts)})" if parts else ""


def _turned(keys: list[str], number: int) -> list[str]:
    """Return *keys*, in every second round the other way round."""
    return keys if number % 2 else keys[::-1]


def _limits(recorder: Recorder, spawn: BareSpawn, folder: str, jobs: int) -> None:
    for at_once in (1, *SLOTS):
        spawn.measure(recorder, at_once, jobs, alone=True)
    for _ in range(TIMES):
        recorder.add("python start", 1e3 * _python_start(folder), "ms", alone=True)
    recorder.add("durable append", durable_microseconds(folder), "us")
    recorder.add("handshakes", handshakes_per_second(folder), "1/s")


def _python_start(folder: str) -> float:
    return process_seconds([sys.executable, "-c", PYTHON_START], dict(os.environ), folder)


class Turn:
    """One peer in one round."""

    def __init__(self, recorder: Recorder, key: str, peer: Peer, cap: Cap) -> None:
        self._recorder, self._key, self._peer, self._cap = recorder, key, peer, cap

    def take(self, spawn: BareSpawn, jobs: int, long: bool) -> None:
        """Measure everything; what fails is recorded, and the rest goes on."""
        for slots in SLOTS:
            self._try(slots, partial(self._throughput, spawn, slots, jobs, long))
        self._try(2, self._clients)
        if self._cap.once and self._recorder.round > 1:
            return
        for array in (False, True):
            for waiting in self._depths(array, long):
                self._try(2, partial(self._deep, waiting, array))
        if self._cap.crash:
            self._try(8, self._crash)

    def _depths(self, array: bool, long: bool) -> list[int]:
        """Return how many jobs are to wait, by turns."""
        if array and "array" not in self._peer.ways:
            return []
        most = self._cap.tasks if array else self._cap.waiting
        depths = {min(waiting, most) for waiting in (WAITING, MANY_WAITING)[: 1 + long]}
        return sorted(depths - {0})

    def _try(self, slots: int, work: Callable[[], None]) -> None:
        try:
            self._recorder.settle()
            self._peer.start(slots)
            work()
        except FAILURES as error:
            self._recorder.note(f"{self._peer.name} failed: {error}", peer=self._key, failed=str(error)[:2000])
        finally:
            self._stop()

    def _stop(self) -> None:
        try:
            self._peer.stop()
        except FAILURES as error:
            self._recorder.note(f"{self._peer.name} did not stop: {error}", peer=self._key, failed=str(error)[:2000])

    def _add(self, what: str, value: float, unit: str, **marks: object) -> None:
        self._recorder.add(what, value, unit, peer=self._key, **marks)

    def _throughput(self, spawn: BareSpawn, slots: int, jobs: int, long: bool) -> None:
        for asked in (jobs, LONG_FACTOR * jobs)[: 1 + long]:
            count = min(asked, self._cap.jobs)
            if count < asked and asked > jobs:
                continue
            for way in self._peer.ways:
                spawn.measure(self._recorder, slots, jobs, peer=self._key, slots=slots, way=way, asked=asked)
                rate = count / self._peer.throughput(way, count)
                self._add("jobs", rate, "1/s", slots=slots, way=way, asked=asked, count=count)

    def _clients(self) -> None:
        idle = self._peer.idle_memory()
        if idle is not None:
            self._add("idle", idle / 1e6, "MB")
        with tempfile.TemporaryDirectory() as folder:
            asked: dict[str, Callable[[], float | None]] = {
                "python start": partial(_python_start, folder), "submit": self._peer.submit_once,
                "wait": self._peer.wait_once,
            }  # fmt: skip
            if isinstance(self._peer, Connected):
                asked["accept"] = self._peer.accept_once
            self._repeat(asked, LONGEST * len(asked))

    def _repeat(self, asked: dict[str, Callable[[], float | None]], longest: float, **marks: object) -> None:
        """Measure all of *asked* by turns, so that what else the machine does meets them alike."""
        begin = time.monotonic()
        for _ in range(TIMES):
            for what, once in asked.items():
                seconds = once()
                if seconds is not None:
                    self._add(what, 1e3 * seconds, "ms", **marks)
                    time.sleep(PAUSE)
            if time.monotonic() - begin > longest:
                return

    def _deep(self, waiting: int, array: bool) -> None:
        peer = self._peer
        marks = {"waiting": waiting, "array": array}
        self._one_more("empty", **marks)
        before = peer.server_memory()
        seconds = peer.fill(waiting, array)
        after = peer.server_memory()
        if seconds is not None:
            self._add("fill", seconds, "s", **marks)
        if after is not None:
            self._add("growth", (after - (before or 0)) / 1e6, "MB", **marks)
        self._one_more("full", **marks)
        self._repeat({"list": peer.list_once}, LONGEST, **marks)

    def _one_more(self, queue: str, **marks: object) -> None:
        """Measure one more submission to a queue that is empty or full."""
        asked: dict[str, Callable[[], float | None]] = {"one more": self._peer.submit_once}
        if isinstance(self._peer, Connected):
            asked["one more accepted"] = self._peer.accept_once
        self._repeat(asked, LONGEST, queue=queue, **marks)

    def _crash(self) -> None:
        jobs = min(CRASH_JOBS, self._cap.crash)
        found = self._peer.crash(jobs)
        if found is None:
            return
        for what in ("lost", "doubled", "disturbed"):
            self._add(what, getattr(found, what), "jobs", jobs=jobs, note=found.note)
        if found.next_start is not None:
            self._add("next start", found.next_start, "s", jobs=jobs)


@contextmanager
def _interruptible() -> Iterator[None]:
    """Let SIGTERM be as ^C: what runs is ended."""

    def interrupt(number: int, frame: Any) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)

"""A server that is killed in the middle of jobs: the jobs' own book, and what it says afterwards.

Each job writes that it begins, sleeps, and writes that it ends, each a line that is appended at once; so what ran,
and how often, is known from outside the scheduler. The server is killed when a third has ended, those that run get a
moment, and it is started again.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

from benchmarks.peers.contract import Crash

SCRIPT = """\
#!/bin/sh
echo "begin ${variable}" >> {book}
sleep 0.05
echo "end ${variable}" >> {book}
"""
MOMENT = 1.0
PATIENCE = 120.0
PAUSE = 0.01


class Book(NamedTuple):
    """How often each job has begun and ended."""

    begun: Counter[str]
    ended: Counter[str]

    def under_way(self) -> set[str]:
        """Return the jobs that have begun more often than they have ended."""
        return set(self.begun - self.ended)


class Server(NamedTuple):
    """What can be done to a server: *unfinished* returns the ids of the jobs that it still knows as not ended."""

    kill: Callable[[], None]
    restart: Callable[[], None]
    unfinished: Callable[[], set[str]]
    state: Callable[[], str] = lambda: ""


def script(variable: str, book: str) -> str:
    """Return the text of the job that writes to *book*; its id is in the environment as *variable*."""
    return SCRIPT.format(variable=variable, book=book)


def read(path: str) -> Book:
    """Return what the jobs have written so far; a last line without its end does not count."""
    try:
        text = Path(path).read_text()
    except FileNotFoundError:
        text = ""
    words = [line.split() for line in text.splitlines(keepends=True) if line.endswith("\n")]
    pairs = [(line[0], line[1]) for line in words if len(line) == 2]
    return Book(*(Counter(job for verb, job in pairs if verb == wanted) for wanted in ("begin", "end")))


def kill_and_restart(path: str, accepted: Sequence[str], server: Server, patience: float = PATIENCE) -> Crash:
    """Kill *server* when a third of the *accepted* jobs have ended, start it again, and wait until no more happens."""
    _until(lambda: read(path).ended.total() >= len(accepted) // 3, patience)
    server.kill()
    running = read(path).under_way()
    time.sleep(MOMENT)
    before = read(path).begun.total()
    began = time.perf_counter()
    server.restart()
    _until(lambda: read(path).begun.total() > before, patience)
    next_start = time.perf_counter() - began if read(path).begun.total() > before else None
    if next_start is not None:
        _until_quiet(path, set(accepted), patience)
    return judge(read(path), accepted, running, next_start, server, patience)


def judge(
    book: Book, accepted: Sequence[str], running: set[str], next_start: float | None, server: Server, patience: float
) -> Crash:
    """Return what *book* says in the end of the *accepted* jobs, and of those *running* when the server was killed."""
    jobs = set(accepted)
    still = (jobs - set(book.ended)) & server.unfinished()
    lost = jobs - set(book.begun) - still
    doubled = [job for job, times in book.begun.items() if times > 1]
    notes = []
    if still:
        notes.append(f"{len(still)} still queued {patience:.0f} s after the last one ended")
    if strange := set(book.begun) - jobs:
        notes.append(f"{len(strange)} ran that were not accepted")
    if state := server.state():
        notes.append(state)
    return Crash(len(lost), len(doubled), next_start, len(running & book.under_way()), "; ".join(notes))


def _until(condition: Callable[[], bool], seconds: float) -> None:
    deadline = time.monotonic() + seconds
    while not condition() and time.monotonic() < deadline:
        time.sleep(PAUSE)


def _until_quiet(path: str, jobs: set[str], patience: float) -> None:
    """Wait until all *jobs* have ended, or none has begun or ended for so long."""
    last, since = 0, time.monotonic()
    while True:
        book = read(path)
        if jobs <= set(book.ended) and not book.under_way():
            return
        if (count := book.begun.total() + book.ended.total()) > last:
            last, since = count, time.monotonic()
        if time.monotonic() - since > patience:
            return
        time.sleep(PAUSE)

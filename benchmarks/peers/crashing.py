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
from typing import NamedTuple, TypeVar

from benchmarks.peers.contract import Crash

Done = TypeVar("Done")

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
    """What can be done to a server, and asked.

    *unfinished* returns the ids of the jobs that it still knows as not ended, *state* what an administrator should
    know; *help* does what an administrator would do where jobs wait in vain, and returns what that was.
    """

    kill: Callable[[], None]
    restart: Callable[[], None]
    unfinished: Callable[[], set[str]]
    state: Callable[[], str] = lambda: ""
    help: Callable[[], str] | None = None


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
    _, next_start = _next_start(path, server.restart, patience)
    _until_quiet(path, set(accepted), patience if next_start is not None else 0.0)
    helped = _help(path, accepted, server, patience)
    return judge(read(path), accepted, running, next_start, server, helped)


def _help(path: str, accepted: Sequence[str], server: Server, patience: float) -> str:
    """Help a server where jobs wait in vain, until no more happens; return what it came to, "" without a need."""
    waiting = set(accepted) - set(read(path).ended)
    if not waiting or server.help is None:
        return ""
    state = server.state()
    done, later = _next_start(path, server.help, patience)
    _until_quiet(path, set(accepted), patience if later is not None else 0.0)
    found = f"{len(waiting)} jobs wait {patience:.0f} s in vain" + (f" ({state})" if state else "")
    return f"{found}; after {done} " + ("none starts" if later is None else f"the next starts in {later:.1f} s")


def _next_start(path: str, act: Callable[[], Done], patience: float) -> tuple[Done, float | None]:
    """Return what *act* returns, and the seconds from its begin to the next job that begins."""
    before = read(path).begun.total()
    begin = time.perf_counter()
    done = act()
    _until(lambda: read(path).begun.total() > before, patience)
    return done, time.perf_counter() - begin if read(path).begun.total() > before else None


def judge(
    book: Book, accepted: Sequence[str], running: set[str], next_start: float | None, server: Server, helped: str = ""
) -> Crash:
    """Return what *book* says in the end of the *accepted* jobs, and of those *running* when the server was killed.

    A job that has not run, but that the server still knows, is not lost; it waits.
    """
    jobs = set(accepted)
    still = (jobs - set(book.ended)) & server.unfinished()
    lost = jobs - set(book.begun) - still
    doubled = [job for job, times in book.begun.items() if times > 1]
    notes = [helped] if helped else []
    if still:
        notes.append(f"{len(still)} still wait when nothing more happens")
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

"""The keeper's journal: what the host server can still learn when the keeper itself has been killed.

A file of JSON arrays, one a line: ``["i", job, attempt]`` before a start, ``["s", job, attempt, pid, ticks,
at]`` after it, ``["z", job, attempt, turn, at, paused]`` before it is suspended (an odd turn) and after it was
resumed: when, and for how many seconds it was suspended before; ``["e", fact]`` for an ending and ``["r", fact]`` for
what never ran (refused, returned), both on disk before anybody is told; ``["u", job, attempt, {what it has used}]``
once the process is reaped, ``["f", job, attempt]`` once the ending is forgotten. A record holds when its line has its
end. When the file has grown it is replaced by one of what still counts.
"""

from __future__ import annotations

import contextlib
import errno
import json
import os
from operator import index

from tm.keeper import kernel

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Any

    from tm.keeper.book import Fact, Running
    from tm.keeper.order import Key

LIMIT = 1024 * 1024
AHEAD = 64 * 1024
AFTERWARDS = ("io_read", "io_written", "reason")
"""What else a fact may say only once its process is reaped."""

_encode = json.JSONEncoder(separators=(",", ":"), check_circular=False).encode


class Started:
    """A process of which the journal knows no ending: *ticks* is its start in clock ticks since boot, *turn* how often
    it was suspended and resumed, the last time at *turned_at*, before that for *paused* seconds in all."""

    __slots__ = ("at", "paused", "pid", "ticks", "turn", "turned_at")

    def __init__(self, pid: int, ticks: int, at: float) -> None:
        self.pid = pid
        self.ticks = ticks
        self.at = at
        self.turn = 0
        self.turned_at = at
        self.paused = 0.0


class Journal:
    """What a journal says. Each attempt is in one place at most; forgotten ones are in none.

    *intents*: may or may not have been started; *started*: run or have ended unrecorded; *endings*: final
    facts.
    """

    def __init__(self) -> None:
        self.intents: set[Key] = set()
        self.started: dict[Key, Started] = {}
        self.endings: dict[Key, Fact] = {}

    def apply(self, record: list[Any]) -> None:
        """Take in one record; raise `ValueError`, `TypeError`, `KeyError`, `IndexError` where it is none."""
        kind = record[0]
        if kind in ("e", "r"):
            fact = record[1]
            self._move((index(fact["job"]), index(fact["attempt"])), ending=fact)
            return
        key = index(record[1]), index(record[2])
        if kind == "i":
            self._move(key)
            self.intents.add(key)
        elif kind == "s":
            self._move(key, started=Started(index(record[3]), index(record[4]), float(record[5])))
        elif kind == "z" and key in self.started:
            turn, turned_at, paused = index(record[3]), float(record[4]), float(record[5])
            started = self.started[key]
            started.turn, started.turned_at, started.paused = turn, turned_at, paused
        elif kind == "u" and key in self.endings:
            self.endings[key].update(record[3])
        elif kind == "f":
            self._move(key)

    def _move(self, key: Key, started: Started | None = None, ending: Fact | None = None) -> None:
        self.intents.discard(key)
        self.started.pop(key, None)
        self.endings.pop(key, None)
        if started is not None:
            self.started[key] = started
        if ending is not None:
            self.endings[key] = ending


def read(path: str) -> Journal:
    """Return what the journal at *path* says; none is an empty one. A cut or spoilt line is nothing."""
    journal = Journal()
    try:
        with open(path, "rb") as file:
            for line in file:
                if line.endswith(b"\n"):
                    try:
                        journal.apply(json.loads(line))
                    except (ValueError, TypeError, KeyError, IndexError):
                        continue
    except FileNotFoundError:
        pass
    return journal


def intent(key: Key) -> bytes:
    """Return the record that *key* is about to be started."""
    return b'["i",%d,%d]\n' % key


def start(running: Running) -> bytes:
    """Return the record that *running* has been started."""
    return b'["s",%d,%d,%d,%d,%r]\n' % (*running.key, running.pid, running.ticks, running.at)


def pause(running: Running) -> bytes:
    """Return the record of how often *running* has been suspended and resumed."""
    return b'["z",%d,%d,%d,%r,%r]\n' % (*running.key, running.turn, running.turned_at, running.paused)


def final(fact: Fact) -> bytes:
    """Return the record of the final *fact* of an attempt."""
    return _encode(["e" if fact["what"] == "ended" else "r", fact]).encode() + b"\n"


def usage(fact: Fact) -> bytes:
    """Return the record of what the processes of *fact* have used, as is seen when the first is reaped."""
    values = fact["job"], fact["attempt"], fact["cpu_seconds"], fact["max_rss"]
    if fact.get("reason") or "io_read" in fact:
        more = {name: fact[name] for name in AFTERWARDS if name in fact}
        return b'["u",%d,%d,{"cpu_seconds":%r,"max_rss":%d,%s\n' % (*values, _encode(more)[1:].encode() + b"]")
    return b'["u",%d,%d,{"cpu_seconds":%r,"max_rss":%d}]\n' % values


def forgotten(key: Key) -> bytes:
    """Return the record that the ending of *key* need not be told again."""
    return b'["f",%d,%d]\n' % key


class Log:
    """The journal as its keeper writes it. A full disk is an answer here, never an error."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._file = _open(path)
        _sync_folder(path)
        self.size = os.fstat(self._file).st_size
        self._reserved = 0
        self._limit = LIMIT

    def append(self, records: bytes) -> bool:
        """Write *records*; return whether they are there, whole, as far as a killed keeper is concerned."""
        if self.size + len(records) > self._reserved:
            kernel.reserve(self._file, self.size, AHEAD)
            self._reserved = self.size + AHEAD
        try:
            written = os.write(self._file, records)
        except OSError as error:
            if error.errno == errno.EBADF:
                raise
            return False
        if written < len(records):
            os.ftruncate(self._file, self.size)
            self._reserved = 0
            return False
        self.size += written
        return True

    def secure(self, records: bytes) -> bool:
        """Write *records* and what stands before them to the disk itself; return whether they are there."""
        if not self.append(records):
            return False
        try:
            os.fdatasync(self._file)
        except OSError:
            return False
        return True

    @property
    def grown(self) -> bool:
        """Whether it is time to `replace` the journal."""
        return self.size > self._limit

    def replace(self, records: Iterable[bytes]) -> None:
        """Go on with a journal of *records* alone; where that cannot be written, with the old one."""
        new_path = self._path + ".new"
        content = b"".join(records)
        try:
            new = _open(new_path)
            try:
                os.ftruncate(new, 0)
                if os.write(new, content) < len(content):
                    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
                os.fsync(new)
                os.rename(new_path, self._path)
                new, self._file = self._file, new
                self.size = self._reserved = len(content)
            finally:
                os.close(new)
            self._limit = LIMIT + 2 * self.size
            _sync_folder(self._path)
        except OSError:
            self._limit = max(self._limit, self.size + LIMIT)
            with contextlib.suppress(OSError):
                os.unlink(new_path)

    def close(self) -> None:
        """Close the file."""
        os.close(self._file)


def _open(path: str) -> int:
    return os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o600)


def _sync_folder(path: str) -> None:
    folder = os.open(os.path.dirname(path) or ".", os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)

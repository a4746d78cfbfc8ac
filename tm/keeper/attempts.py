"""The attempts on their way: start, see the end, record it, reap, and only then let it be told.

The law: an ending is on disk before its process is reaped, so that whoever kills the keeper leaves either
the record or the zombie. With a full disk the ending is told nevertheless and the zombie stays; nothing
starts meanwhile.
"""

from __future__ import annotations

import os
import time

from tm.failpoint import reach
from tm.keeper import cgroup, journal, procfs, spawn
from tm.keeper.allotting import Allotting
from tm.keeper.book import Book, Running
from tm.keeper.enforcing import Enforcing, near_memory
from tm.keeper.environments import Environments
from tm.keeper.felling import Felling
from tm.keeper.order import Order, key_of
from tm.keeper.orphans import Orphans
from tm.keeper.pausing import Pausing
from tm.keeper.tree import Stem

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from typing import Any

    from tm.keeper.book import Fact
    from tm.keeper.journal import Log
    from tm.keeper.order import Key

RETRY_AFTER = 1.0
GATHER = 0.01
"""Seconds that endings wait for others to share a record with, while orders wait for their slots anyway."""
IO_AFTER = 0.05
"""Seconds after which it is worth while to ask what an attempt has read and written."""
START_LINGERS = 0.01
"""Seconds that a start waits to be told: the ending of a short job then goes with it, as one message all the way."""

_PEEK = os.WEXITED | os.WNOWAIT | os.WNOHANG


class Attempts:
    """All attempts of this keeper. *now* is always a monotonic clock's, ``at`` in facts the time of day."""

    def __init__(self, log: Log, groups: cgroup.Groups | None = None) -> None:
        self.book = Book()
        self.environments = Environments("environments")
        self.news: list[Fact] = []
        self._log = log
        self._mains: dict[int, Key] = {}
        self._dead: set[int] = set()
        stem = Stem(os.getpid(), self._mains, procfs.claim)
        self._felling = Felling(stem)
        self._pausing = Pausing(stem)
        self._orphans = Orphans(stem)
        self._enforcing = Enforcing(stem, self._felling)
        self._unrecorded: list[Fact] = []
        self._told_early: set[Key] = set()
        self._retry_at: float | None = None
        self._record_at: float | None = None
        self._tell_at: float | None = None
        self._starter = spawn.Starter()
        self._allotting = Allotting(self._starter, groups)

    @property
    def next_at(self) -> float | None:
        """When to `tend` even if no child dies, or None."""
        tended = (self._felling.next_at, self._pausing.next_at, self._orphans.next_at, self._enforcing.next_at)
        times = (self._retry_at, self._record_at, self._tell_at, *tended)
        return min((at for at in times if at is not None), default=None)

    @property
    def gathering(self) -> bool:
        """Whether there will be more to tell in a moment."""
        return self._record_at is not None or self._tell_at is not None

    @property
    def settled(self) -> bool:
        """Whether nothing waits, runs, or is still to be recorded or ended."""
        return self.book.idle and not self._unrecorded and self._orphans.next_at is None

    def queue(self, entry: dict[str, Any]) -> None:
        """Let the order *entry* wait, or refuse it; raise `ValueError` when it does not say whose it is."""
        key = key_of((entry["job"], entry["attempt"]))
        if self.book.knows(key):
            return
        try:
            self.book.queue(Order(entry))
        except ValueError as error:
            self._refuse(key, spawn.NOT_PREPARED, f"cannot start: {error}")

    def recall(self, keys: Iterable[Key]) -> None:
        """Take back those of *keys* that still wait."""
        for key in keys:
            if self.book.withdraw(key):
                self._conclude(key, {"what": "returned", "at": time.time()})

    def cancel(self, cancelled: Iterable[tuple[Key, float]], now: float) -> None:
        """Take back what waits, and end what runs, each within its grace in seconds."""
        fell = []
        for key, grace in cancelled:
            self.recall([key])
            if key in self.book.running:
                running = self.book.running[key]
                self._pausing.over(key)
                if running.suspended:
                    self._turn(running, now)
                    self.news.append(running.pause_fact(time.time()))
                fell.append((running, grace))
        if fell:
            self._felling.begin(fell, now)

    def suspend(self, keys: Iterable[Key], now: float) -> None:
        """Stop the trees of those of *keys* that run; who is suspended already is said to be so again."""
        for key in keys:
            running = self.book.running.get(key)
            if running is None or self._felling.holds(key):
                continue
            if not running.suspended:
                self._turn(running, now)  # before it is stopped: whoever kills the keeper leaves nobody stopped unknown
            self._pausing.begin(running, now)

    def resume(self, keys: Iterable[Key], now: float) -> None:
        """Let those of *keys* go on that were suspended; say again of the others that they run."""
        for key in keys:
            running = self.book.running.get(key)
            if running is not None:
                if running.suspended:
                    self._pausing.resume(running)
                    self._turn(running, now)
                self.news.append(running.pause_fact(time.time()))

    def _turn(self, running: Running, now: float) -> None:
        running.turn_over(time.time())
        self._log.append(journal.pause(running))
        if running.suspended:
            self._enforcing.pause(running.key, now)
        else:
            self._enforcing.resume(running.key, now)

    def limit(self, key: Key, seconds: float, now: float) -> None:
        """Let *key*, waiting or running, have *seconds* of wall time from its start, 0: without end."""
        if key in self.book.queued:
            self.book.queued[key].limits.time = seconds
        self._enforcing.change(key, seconds, now)

    def beside(self, entry: dict[str, Any]) -> None:
        """Start *entry*, an order in the name of an attempt that runs here, beside that: of its tree, in its limits."""
        order = Order(entry)
        running = self.book.running.get(order.key)
        if running is None or self._felling.holds(order.key):
            return
        group = running.group
        memory = 0 if group is not None and group.limits_memory else order.limits.memory
        try:
            pid = self._starter.start(order, self.environments.of(order), running.cpus, memory)
        except (ValueError, spawn.StartError):
            return  # who waits for it hears nothing of it in time, and says so
        self._orphans.welcome(pid)
        if group is not None:
            group.take(pid)

    def nice(self, key: Key, level: int) -> None:
        """Give the tree of *key*, if it runs, this niceness."""
        if key in self.book.running:
            self._pausing.nice(self.book.running[key], level)

    def signal(self, key: Key, number: int) -> None:
        """Send signal *number* to the tree of *key* if it runs."""
        if key in self.book.running:
            self._felling.signal(self.book.running[key], number)

    def forget(self, keys: Iterable[Key]) -> None:
        """The endings of *keys* need no longer be told, nor recorded where the disk was too full for it."""
        known = [key for key in keys if self.book.forget(key)]
        if not known:
            return
        self._log.append(b"".join(map(journal.forgotten, known)))
        for fact in [fact for fact in self._unrecorded if _key(fact) in known]:
            self._unrecorded.remove(fact)
            self._told_early.discard(_key(fact))
            self._reap(fact)
        if not self._unrecorded:
            self._record_at = None

    def tend(self, now: float, child_died: bool) -> None:
        """Do all there is to do at *now*; *child_died*: some child may have ended since the last time."""
        if self._retry_at is not None and now >= self._retry_at:
            self._retry_at = None
        fell_now = child_died and self._peek(now)
        if _due(self._enforcing.next_at, now):
            fell_now = self._enforce(now) or fell_now
        if fell_now or _due(self._felling.next_at, now):
            self._fell(now)
        if _due(self._pausing.next_at, now):
            standing = self._pausing.tend(now, self.book.running)
            self.news += [self.book.running[key].pause_fact(time.time()) for key in standing]
        self._launch(now)
        self._allotting.settle()
        if self._unrecorded:
            self._gather(now)
        if _due(self._tell_at, now):
            self._tell_at = None
        if child_died or _due(self._orphans.next_at, now):
            self._orphans.sweep(now)
        if self._log.grown:
            self._log.replace(self._still_counts())

    def _enforce(self, now: float) -> bool:
        """See who is over a limit; return whether anybody has to end."""
        if not self._enforcing.tend(now):
            return False
        for running in list(self.book.running.values()):
            if running.suspended and self._felling.holds(running.key):
                self._pausing.over(running.key)
                self._turn(running, now)
                self.news.append(running.pause_fact(time.time()))
        return True

    def _peek(self, now: float) -> bool:
        """See who has ended, without reaping; return whether a job that is being cancelled is among them."""
        held = False
        for running in list(self.book.running.values()):
            if running.pid in self._dead:
                continue
            seen = os.waitid(os.P_PID, running.pid, _PEEK)
            if seen is None:
                continue
            if self._felling.holds(running.key):
                self._dead.add(running.pid)
                held = True
            else:
                self._end(running, seen, now)
        return held

    def _fell(self, now: float) -> None:
        for key in self._felling.tend(now, self.book.running, self._dead.__contains__):
            running = self.book.running[key]
            self._dead.discard(running.pid)
            seen = os.waitid(os.P_PID, running.pid, _PEEK)
            if seen is not None:
                self._end(running, seen, now)

    def _end(self, running: Running, seen: os.waitid_result, now: float) -> None:
        exited = seen.si_code == os.CLD_EXITED
        exit_code = seen.si_status if exited else None
        cause, reason = self._enforcing.verdict(running.key, exit_code)
        left = self._orphans.left_behind(running, self._enforcing.seen(running.key))
        if left:
            reason = f"{reason}; {left}" if reason else left
        self._allotting.free(running)
        fact = {
            "what": "ended",
            "at": time.time(),
            "exit_code": exit_code,
            "signal": None if exited else seen.si_status,
            "started_at": running.at,
            "pid": running.pid,
            "cpu_seconds": 0.0,
            "max_rss": 0,
            "reason": reason,
            "cause": cause,
        }
        self._conclude(running.key, fact)

    def _refuse(self, key: Key, exit_code: int, reason: str) -> None:
        self.book.withdraw(key)
        self._conclude(key, {"what": "refused", "at": time.time(), "exit_code": exit_code, "reason": reason})

    def _conclude(self, key: Key, fact: Fact) -> None:
        fact = {"job": key[0], "attempt": key[1], **fact}
        self.book.end(fact)
        self._unrecorded.append(fact)

    def _launch(self, now: float) -> None:
        while self._retry_at is None and (order := self.book.first()) is not None:
            self._start(order, now)

    def _start(self, order: Order, now: float) -> None:
        key = order.key
        try:
            environment = self.environments.of(order)
        except ValueError as error:
            self._refuse(key, spawn.NOT_PREPARED, f"cannot start: {error}")
            return
        if not self._log.append(journal.intent(key)):
            self._retry_at = now + RETRY_AFTER
            return
        reach("keeper.intent")
        try:
            running = self._allotting.start(order, environment)
        except spawn.StartError as error:
            self._refuse(key, error.exit_code, error.text)
            return
        reach("keeper.started")
        self._log.append(journal.start(running))
        self._mains[running.pid] = key
        self.book.start(running)
        self._enforcing.begin(running, order.limits, now)
        self.news.append(running.fact())
        if self._tell_at is None:
            self._tell_at = now + START_LINGERS

    def _gather(self, now: float) -> None:
        """Record what has ended: at once, but a moment later while orders wait and the disk is not full."""
        if self._record_at is None and self._retry_at is None and self.book.queued:
            self._record_at = now + GATHER
        elif self._record_at is None or now >= self._record_at or not self.book.queued:
            self._record_at = None
            self._record(now)

    def _record(self, now: float) -> None:
        if self._retry_at is None:
            reach("keeper.ended")
            facts = self._unrecorded
            if self._log.secure(b"".join(map(journal.final, facts))):
                reach("keeper.recorded")
                self._unrecorded = []
                self._log.append(b"".join(filter(None, map(self._reap, facts))))
                self.news += [fact for fact in facts if _key(fact) not in self._told_early]
                self._told_early.clear()
                self._tell_at = None
                return
            self._retry_at = now + RETRY_AFTER
        for fact in self._unrecorded:
            if _key(fact) not in self._told_early:
                self._told_early.add(_key(fact))
                process = procfs.read(fact["pid"]) if fact["what"] == "ended" else None
                if process is not None:
                    fact["cpu_seconds"] = process.cpu
                self.news.append(fact)
                self._tell_at = None

    def _reap(self, fact: Fact) -> bytes:
        """Reap the process of *fact*, if it had one, and return the record of what it has used."""
        if fact["what"] != "ended":
            return b""
        pid = fact["pid"]
        key = _key(fact)
        lasted = fact["at"] - fact["started_at"] > IO_AFTER
        moved = procfs.moved(pid) if lasted else None
        own = procfs.moved(os.getpid()) if lasted and moved is None else None
        used = os.wait4(pid, 0)[2]
        if own is not None:
            moved = procfs.moved_by_reaped(own)
        if moved is not None:
            fact["io_read"], fact["io_written"] = moved
        self._orphans.left_by(pid, self._mains.pop(pid))
        self._starter.over(key)
        watch = self._enforcing.over(key, time.monotonic())
        fact["cpu_seconds"] = round(used.ru_utime + used.ru_stime, 6)
        fact["max_rss"] = used.ru_maxrss * 1024
        if watch is not None and watch.looks:
            fact["max_rss"] = max(watch.peak, fact["max_rss"])
        if watch is not None and watch.limits.memory:
            near = near_memory(watch.limits, fact["max_rss"], fact)
            fact["reason"] = "; ".join(filter(None, (near, fact["reason"])))
        return journal.usage(fact)

    def _still_counts(self) -> Iterator[bytes]:
        yield from map(journal.start, self.book.running.values())
        yield from (journal.pause(running) for running in self.book.running.values() if running.turn)
        yield from map(journal.final, self.book.ended.values())


def _key(fact: Fact) -> Key:
    return fact["job"], fact["attempt"]


def _due(at: float | None, now: float) -> bool:
    return at is not None and now >= at

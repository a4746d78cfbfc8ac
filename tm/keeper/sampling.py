"""Looking at the trees of running attempts: do they keep to their limits, and what is the most they used?

One sampler looks at all of them. Who may soon be over a limit is looked at often, who is far from it seldom, and those
who are due together are looked at together. The law: looking takes a fiftieth of one core at most, a fifth while
somebody rushes towards a limit. Between the looks one number tells whether the machine has many more threads than
before, and then all are looked at.
"""

from __future__ import annotations

import os
import time
from collections import Counter

from tm.keeper import procfs
from tm.keeper.limits import shown_size
from tm.keeper.tree import trees

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from tm.keeper.book import Running
    from tm.keeper.cgroup import Group
    from tm.keeper.limits import Limits, WallTime
    from tm.keeper.order import Key
    from tm.keeper.procfs import Process
    from tm.keeper.tree import Stem

SOONEST = 0.05
FIRST_LOOK = 0.25
SELDOM = 5.0
WITH_MEMORY = 1.0
"""Between two looks at one whose memory or output is limited, however far from it."""
REST = 50
SHORT_REST = 4
TOGETHER = 0.02
TRIP_EVERY = 0.5
TRIP_TASKS = 256
FASTEST_MEMORY = 2.0 * 2**30
FASTEST_OUTPUT = 512.0 * 2**20
FASTEST_FORKS = 500.0
"""Bytes and processes a second by which a job may grow, whatever it did before."""


class Watch:
    """One running attempt as it is looked at; *peak* is the most memory of its tree that was seen, in bytes.

    *verdict* is the cause of its death, if it is one of its limits, and that in a sentence.
    """

    __slots__ = (
        "count", "group", "limits", "look_at", "looks", "pace", "peak", "running", "seen", "size", "urgent", "verdict",
        "wall",
    )  # fmt: skip

    def __init__(self, running: Running, limits: Limits, wall: WallTime, group: Group | None, now: float) -> None:
        self.running = running
        self.limits = limits
        self.wall = wall
        self.group = group
        self.pace = SOONEST if limits.memory or limits.output or limits.own_processes else FIRST_LOOK
        self.look_at = now + self.pace
        self.looks = 0
        self.urgent = False
        self.count = 1
        self.peak = 0
        self.size = 0
        self.seen: dict[int, int] = {}
        self.verdict: tuple[str, str] | None = None


class Sampler:
    """Looks at *watches* when they are due. Times are seconds of one clock; *cost* counts the processor time."""

    def __init__(
        self, stem: Stem, watches: Mapping[Key, Watch],
        snapshot: Callable[[Iterable[int]], dict[int, Process]] = procfs.family,
        children: Callable[[], list[int]] = procfs.children,
        cost: Callable[[], float] = time.process_time,
    ) -> None:  # fmt: skip
        self._stem = stem
        self._watches = watches
        self._snapshot = snapshot
        self._children = children
        self._cost = cost
        self._tasks = 0
        self._trip_at = 0.0
        self._rest_until = 0.0
        self.next_at: float | None = None

    def begun(self, watch: Watch) -> None:
        """*watch* is one of the watches now."""
        at = max(watch.look_at, self._rest_until)
        if self.next_at is None or at < self.next_at:
            self.next_at = at

    def tend(self, now: float) -> list[Watch]:
        """Look at those that are due; return those that are over a limit, with their verdict."""
        if self.next_at is None or now < self.next_at:
            return []
        begun = self._cost()
        tripped = self._tripped(now)
        due = [
            watch for watch in self._watches.values()
            if watch.verdict is None and (watch.look_at <= now + TOGETHER or (tripped and watch.limits.processes))
        ]  # fmt: skip
        over = self._look(due, now) if due else []
        rest = SHORT_REST if any(watch.urgent for watch in due) else REST
        self._rest_until = now + rest * (self._cost() - begun)
        self._plan(now)
        return over

    def _plan(self, now: float) -> None:
        at = min((watch.look_at for watch in self._watches.values() if watch.verdict is None), default=None)
        if at is None:
            self.next_at = None
        else:
            self.next_at = max(min(at, self._trip_at), self._rest_until)

    def _tripped(self, now: float) -> bool:
        """Whether the machine has many more threads than when it was last asked."""
        if now < self._trip_at:
            return False
        before, self._tasks = self._tasks, procfs.tasks()
        self._trip_at = now + TRIP_EVERY
        return before > 0 and self._tasks > before + TRIP_TASKS

    def _look(self, due: list[Watch], now: float) -> list[Watch]:
        roots = [watch.running.pid for watch in due if watch.group is None]
        found: dict[Key, list[Process]] = {}
        if roots:
            orphans = [pid for pid in self._children() if pid not in self._stem.mains]
            seen = [pid for watch in due for pid in watch.seen]
            known = {pid: (ticks, watch.running.key) for watch in due for pid, ticks in watch.seen.items()}
            found = trees(self._stem, self._snapshot([*roots, *orphans, *seen]), known)
        for watch in due:
            watch.looks += 1
            watch.urgent = False
            tree = found.get(watch.running.key, [])
            if watch.group is None:
                watch.seen = {one.pid: one.ticks for one in tree if one.pid != watch.running.pid}
                watch.verdict = self._judge(watch, tree)
            else:
                watch.verdict = self._judge_group(watch, watch.group)
            watch.look_at = now + watch.pace
        return [watch for watch in due if watch.verdict is not None]

    def _judge(self, watch: Watch, tree: list[Process]) -> tuple[str, str] | None:
        """Note what *tree* uses and when to look again; return the verdict where it is too much."""
        limits, elapsed = watch.limits, watch.pace
        watch.pace = min(2 * watch.pace, WITH_MEMORY if limits.memory or limits.output else SELDOM)
        if limits.processes:
            if len(tree) > limits.processes:
                return "processes", too_many(len(tree), limits.processes, tree)
            _count(watch, len(tree), elapsed)
        used = sum(one.rss for one in tree)
        if limits.memory or used > 1.05 * watch.peak:
            if (limits.memory and used > limits.memory) or (len(tree) > 1 and used > 1.05 * watch.peak):
                used = min(used, _exactly(tree))
            if limits.memory and used > limits.memory:
                return "memory", too_much(used, limits.memory, tree)
            if limits.memory:
                _hurry(watch, used - watch.peak, limits.memory - used, elapsed, FASTEST_MEMORY)
            watch.peak = max(watch.peak, used)
        return _judge_output(watch, elapsed)

    def _judge_group(self, watch: Watch, group: Group) -> tuple[str, str] | None:
        limits, elapsed = watch.limits, watch.pace
        watch.pace = min(2 * watch.pace, WITH_MEMORY if limits.output else SELDOM)
        if group.out_of_memory():
            return "memory", group_memory(limits.memory)
        count = group.count()
        if limits.processes and count > limits.processes:
            tree = list(filter(None, map(procfs.read, group.pids()[:1000])))
            return "processes", too_many(count, limits.processes, tree)
        _count(watch, count, elapsed)
        used = group.memory()
        watch.peak = max(watch.peak, used)
        if limits.memory and not group.limits_memory and used > limits.memory:
            return "memory", too_much(used, limits.memory, list(filter(None, map(procfs.read, group.pids()[:1000]))))
        if limits.memory and not group.limits_memory:
            _hurry(watch, 0, limits.memory - used, elapsed, FASTEST_MEMORY)
        return _judge_output(watch, elapsed)


def _judge_output(watch: Watch, elapsed: float) -> tuple[str, str] | None:
    limit = watch.limits.output
    for path in watch.limits.files if limit else ():
        size = _size(path)
        if size > limit:
            return "output", f"its output {path} grew to {shown_size(size)}, more than the {shown_size(limit)} it may"
        _hurry(watch, size - watch.size, limit - size, elapsed, FASTEST_OUTPUT)
        watch.size = max(watch.size, size)
    return None


def _count(watch: Watch, count: int, elapsed: float) -> None:
    if watch.limits.processes:
        _hurry(watch, count - watch.count, watch.limits.processes - count, elapsed, FASTEST_FORKS)
    watch.count = count


def _hurry(watch: Watch, grown: float, left: float, elapsed: float, fastest: float) -> None:
    """Look at *watch* again before *left* can be used up: as *grown* in the last *elapsed* seconds, or at *fastest*."""
    seen = 2 * grown / elapsed if watch.looks > 1 else 0.0
    watch.urgent = watch.urgent or (seen > 0 and left < seen)
    watch.pace = max(SOONEST, min(watch.pace, left / max(seen, fastest)))


def _exactly(tree: list[Process]) -> int:
    """Return the memory of *tree*, what several share counted once."""
    total = 0
    for one in tree:
        used = procfs.memory(one.pid) if one.rss else 0
        total += one.rss if used is None else used
    return total


def _size(path: str) -> int:
    try:
        status = os.stat(path)
    except OSError:
        return 0
    return status.st_size if status.st_mode & 0o170000 == 0o100000 else 0


def too_many(count: int, limit: int, tree: Iterable[Process]) -> str:
    """Return in a sentence that a tree has *count* processes, and whose most are."""
    names = Counter(one.name for one in tree).most_common(1)
    mostly = f", mostly {names[0][0].decode('utf-8', 'replace')}" if names else ""
    return f"it had {count} processes{mostly}, more than the {limit} it may"


def too_much(used: int, limit: int, tree: Iterable[Process]) -> str:
    """Return in a sentence that a tree uses too much memory, and whose most is."""
    most = max(tree, key=lambda one: one.rss, default=None)
    whose = f", most of it {most.name.decode('utf-8', 'replace')} (pid {most.pid})" if most is not None else ""
    return f"it used {shown_size(used)} of memory{whose}, more than the {shown_size(limit)} it may"


def group_memory(limit: int) -> str:
    """Return in a sentence that the kernel ended a group for its memory."""
    return f"it needed more than the {shown_size(limit)} of memory it may use, and the kernel ended it"

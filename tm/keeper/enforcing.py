"""Keeping running attempts to their limits: wall time, memory, processes, output.

Who is over its wall time or output is told to end and has a grace; who has too much memory or too many processes is
stopped and killed at once. The verdict is kept until the ending is told. The time an attempt is suspended does not
count as its wall time.
"""

from __future__ import annotations

import os

from tm.keeper import procfs
from tm.keeper.limits import Limits, WallTime, shown_size, shown_time
from tm.keeper.sampling import Sampler, Watch, group_memory

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from typing import Any

    from tm.keeper.book import Running
    from tm.keeper.cgroup import Group
    from tm.keeper.felling import Felling
    from tm.keeper.order import Key
    from tm.keeper.procfs import Process
    from tm.keeper.tree import Stem

GRACE = 10.0
OUTPUT_GRACE = 2.0
LINGER = 2.0
LOOK_EVERY = 0.2
NEAR = 0.85
"""A job that fails by itself with so much of its memory in use may have failed for want of more."""

_GRACES = {"time": GRACE, "output": OUTPUT_GRACE}
_SHELLS = frozenset(("sh", "bash", "dash", "ash", "busybox", "zsh", "ksh", "mksh", "csh", "tcsh", "fish"))
_NEVER = float("inf")


class Enforcing:
    """The limits of the attempts that run here. Times are seconds of the clock that *felling* is told of, too."""

    def __init__(
        self, stem: Stem, felling: Felling,
        snapshot: Callable[[Iterable[int]], dict[int, Process]] = procfs.family,
        children: Callable[[], list[int]] = procfs.children,
    ) -> None:  # fmt: skip
        self._felling = felling
        self._watches: dict[Key, Watch] = {}
        self._sampler = Sampler(stem, self._watches, snapshot, children)
        self._wall_at = _NEVER
        self._left: list[tuple[Group, float]] = []
        self._left_at = _NEVER

    @property
    def next_at(self) -> float | None:
        """When to `tend` again, or None."""
        at = min(self._wall_at, self._left_at)
        sampled = self._sampler.next_at
        if sampled is not None and sampled < at:
            return sampled
        return at if at < _NEVER else None

    def begin(
        self, running: Running, limits: Limits, now: float, used: float = 0.0, suspended: bool = False
    ) -> None:
        """Keep *running* to its *limits*; it has run *used* seconds by *now*."""
        wall = WallTime(limits, now, used, suspended)
        watch = self._watches[running.key] = Watch(running, limits, wall, running.group, now)
        if limits.time:
            self._plan(wall)
        self._sampler.begun(watch)

    def _plan(self, wall: WallTime) -> None:
        at = wall.next_at
        if at is not None and at < self._wall_at:
            self._wall_at = at

    def pause(self, key: Key, now: float) -> None:
        """*key* is suspended: its time stands."""
        if key in self._watches:
            self._watches[key].wall.pause(now)

    def resume(self, key: Key, now: float) -> None:
        """*key* goes on."""
        if key in self._watches:
            self._watches[key].wall.resume(now)
            self._plan(self._watches[key].wall)

    def change(self, key: Key, limit: float, now: float) -> None:
        """*key* may run *limit* seconds from its start, 0: without end."""
        watch = self._watches.get(key)
        if watch is not None and watch.verdict is None:
            watch.wall.change(limit, now)
            self._plan(watch.wall)

    def tend(self, now: float) -> bool:
        """Look after all that is due; return whether somebody has to end now."""
        over = self._clock(now) if now >= self._wall_at else []
        over += self._sampler.tend(now)
        if now >= self._left_at:
            self._remove_groups(now)
        fell = [(watch.running, _GRACES.get(watch.verdict[0], 0.0)) for watch in over if watch.verdict is not None]
        if fell:
            self._felling.begin(fell, now)
            for watch in over:
                self._felling.remember(watch.running.key, watch.seen)
        return bool(fell)

    def _clock(self, now: float) -> list[Watch]:
        over = []
        self._wall_at = _NEVER
        for watch in self._watches.values():
            if not watch.limits.time or watch.verdict is not None or self._felling.holds(watch.running.key):
                continue
            due = watch.wall.due(now)
            if due == "over":
                watch.verdict = "time", f"its wall time of {shown_time(watch.limits.time)} was over"
                over.append(watch)
                continue
            if due:
                self._warn(watch)
            self._plan(watch.wall)
        return over

    def _warn(self, watch: Watch) -> None:
        """Send the warning: to all of the tree, but not to a shell that waits for what it has started."""
        tree = self._felling.tree(watch.running)
        first = [one for one in tree if one.pid == watch.running.pid]
        others = [one for one in tree if one.pid != watch.running.pid]
        if watch.limits.warn_first:
            told = first
        else:
            told = others if others and _is_shell(watch.running.pid) else tree
        for process in told:
            procfs.send(process, watch.limits.warn_signal)

    def verdict(self, key: Key, exit_code: int | None) -> tuple[str, str]:
        """*key* has ended: return by which of its limits, in one word and in a sentence, both empty if by none."""
        watch = self._watches.get(key)
        if watch is None:
            return "", ""
        if watch.verdict is None and watch.group is not None and exit_code != 0 and watch.group.out_of_memory():
            watch.verdict = "memory", group_memory(watch.limits.memory)
        return watch.verdict or ("", "")

    def seen(self, key: Key) -> dict[int, int]:
        """Return the processes that were in the tree of *key* when it was last looked at: pid → ticks of its start."""
        watch = self._watches.get(key)
        return watch.seen if watch is not None else {}

    def over(self, key: Key, now: float) -> Watch | None:
        """The ending of *key* is on its way: return what was seen of it, and forget it."""
        watch = self._watches.pop(key, None)
        if watch is not None and watch.group is not None and not watch.group.remove():
            self._left.append((watch.group, now + LINGER))
            self._left_at = min(self._left_at, now + LOOK_EVERY)
        return watch

    def _remove_groups(self, now: float) -> None:
        left = []
        for group, kill_at in self._left:
            if now >= kill_at:
                group.kill()
            if not group.remove() and now < kill_at + 60 * LINGER:
                left.append((group, kill_at))
        self._left = left
        self._left_at = now + LOOK_EVERY if left else _NEVER


def near_memory(limits: Limits, peak: int, fact: dict[str, Any]) -> str:
    """Return what is to be said of an attempt that failed by itself with nearly all its memory in use, else nothing."""
    if not limits.memory or fact["exit_code"] == 0 or fact["cause"] or peak < NEAR * limits.memory:
        return ""
    return f"it failed near its memory limit: it used {shown_size(peak)} of the {shown_size(limits.memory)} it may"


def _is_shell(pid: int) -> bool:
    try:
        return os.path.basename(os.readlink(f"/proc/{pid}/exe")).split("-")[0] in _SHELLS
    except OSError:
        return False

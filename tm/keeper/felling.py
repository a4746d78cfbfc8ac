"""Ending the trees of cancelled jobs: TERM, a grace, then KILL until nothing of the tree is left.

Who was seen in a tree stays of it.
"""

from __future__ import annotations

import signal

from tm.keeper import procfs
from tm.keeper.tree import Stem, members

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from tm.keeper.book import Running
    from tm.keeper.order import Key
    from tm.keeper.procfs import Process

LOOK_EVERY = 0.1
GIVE_UP_AFTER = 5.0


class Felling:
    """The cancelled jobs whose trees may still live. Times are seconds of a monotonic clock."""

    def __init__(self, stem: Stem, snapshot: Callable[[], dict[int, Process]] = procfs.snapshot) -> None:
        self._stem = stem
        self._snapshot = snapshot
        self._kill_at: dict[Key, float] = {}
        self._seen: dict[Key, dict[int, int]] = {}
        self._look_at = 0.0

    def holds(self, key: Key) -> bool:
        """Whether *key* is being cancelled: its ending waits for its tree."""
        return key in self._kill_at

    @property
    def next_at(self) -> float | None:
        """When to `tend` again, or None."""
        return self._look_at if self._kill_at else None

    def signal(self, running: Running, number: int) -> None:
        """Send signal *number* to the whole tree of *running*."""
        for process in self._tree(running, self._snapshot()):
            procfs.send(process, number)

    def begin(self, cancelled: Iterable[tuple[Running, float]], now: float) -> None:
        """Tell the trees of *cancelled* to end, each within its grace in seconds; the soonest holds."""
        processes: dict[int, Process] | None = None
        for running, grace in cancelled:
            known = self._kill_at.get(running.key)
            self._kill_at[running.key] = now + grace if known is None else min(known, now + grace)
            if known is None and grace > 0:
                processes = processes or self._snapshot()
                tree = self._tree(running, processes)
                for number in (signal.SIGTERM, signal.SIGCONT):
                    for process in tree:
                        procfs.send(process, number)
        self._look_at = min(self._kill_at.values(), default=now)

    def tend(self, now: float, running: dict[Key, Running], is_dead: Callable[[int], bool]) -> list[Key]:
        """Kill what is due; return the jobs that are gone: first process dead (*is_dead*) and tree empty."""
        due = [running[key] for key, at in self._kill_at.items() if at <= now or is_dead(running[key].pid)]
        if not due:
            self._look_at = min(self._kill_at.values(), default=now)
            return []
        self._look_at = now + LOOK_EVERY
        processes = self._snapshot()
        gone = []
        for one in due:
            tree = self._tree(one, processes)
            if self._kill_at[one.key] <= now:
                for process in tree:
                    procfs.send(process, signal.SIGKILL)
            hopeless = now > self._kill_at[one.key] + GIVE_UP_AFTER
            if is_dead(one.pid) and (not tree or hopeless):
                self.over(one.key)
                gone.append(one.key)
        return gone

    def over(self, key: Key) -> None:
        """Let *key* be, whether or not it is gone."""
        self._kill_at.pop(key, None)
        self._seen.pop(key, None)

    def _tree(self, running: Running, processes: dict[int, Process]) -> list[Process]:
        tree = members(self._stem, processes, running.pid, self._seen.get(running.key))
        if self.holds(running.key):
            self._seen[running.key] = {process.pid: process.ticks for process in tree}
        return tree

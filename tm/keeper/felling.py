"""Ending the trees of jobs, cancelled or over a limit: TERM, a grace, then KILL until nothing of the tree is left.

Who was seen in a tree stays of it. Before the KILL the whole tree is stopped, round by round until nobody new appears:
who forks faster than all processes can be read would outrun a KILL, and leave orphans of which nothing tells whose they
are. Where a job has a control group the kernel kills that in one go. A job is gone only when nobody can hide from the
look that finds nobody of it; it is given up on only when those that are left withstand KILL.
"""

from __future__ import annotations

import os
import signal
import time

from tm.keeper import procfs
from tm.keeper.chasing import Chase
from tm.keeper.tree import Stem, members

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

    from tm.keeper.book import Running
    from tm.keeper.order import Key
    from tm.keeper.procfs import Process

LOOK_EVERY = 0.1
GIVE_UP_AFTER = 5.0
"""Seconds after the KILL, and after somebody new was seen, that a job is waited for of which something seems left."""
ROUNDS = 20
ROUNDS_SECONDS = 0.5
"""Where others appear all the time, perhaps of another job, whoever is due is killed after so long all the same."""
CHASE_SECONDS = 0.2
LOOK_SECONDS = 0.05
"""So long at most orphans that live for a moment each are chased, and looked for where nobody is due to be killed."""


class Felling:
    """The cancelled jobs whose trees may still live. Times are seconds of a monotonic clock."""

    def __init__(
        self, stem: Stem, snapshot: Callable[[], dict[int, Process]] = procfs.snapshot,
        children: Callable[[], list[int]] = procfs.children,
    ) -> None:  # fmt: skip
        self._stem = stem
        self._snapshot = snapshot
        self._children = children
        self._kill_at: dict[Key, float] = {}
        self._seen: dict[Key, dict[int, int]] = {}
        self._fresh: set[Key] = set()
        self._fresh_at: dict[Key, float] = {}
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
        for process in self.tree(running):
            procfs.send(process, number)

    def tree(self, running: Running) -> list[Process]:
        """Return the living processes of *running*."""
        return self._tree(running, self._snapshot())

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

    def remember(self, key: Key, seen: Mapping[int, int]) -> None:
        """Know also these processes (pid → ticks of its start) as of the tree of *key*, which is to end."""
        if key in self._kill_at:
            self._seen[key] = {**seen, **self._seen.get(key, {})}

    def tend(self, now: float, running: dict[Key, Running], is_dead: Callable[[int], bool]) -> list[Key]:
        """Kill what is due; return the jobs that are gone: first process dead (*is_dead*) and tree empty."""
        due = [running[key] for key, at in self._kill_at.items() if at <= now or is_dead(running[key].pid)]
        if not due:
            self._look_at = min(self._kill_at.values(), default=now)
            return []
        self._look_at = now + LOOK_EVERY
        ripe = [one for one in due if self._kill_at[one.key] <= now]
        until = time.monotonic() + ROUNDS_SECONDS
        clear = self._chase(due, ripe)
        trees = self._kill(ripe, until)
        if len(trees) < len(due):
            processes = self._snapshot()
            trees.update((one.key, self._tree(one, processes)) for one in due if one.key not in trees)
        gone = []
        for one in due:
            if one.key in self._fresh:
                self._fresh_at[one.key] = now
            hopeless = now > max(self._kill_at[one.key], self._fresh_at.get(one.key, 0.0)) + GIVE_UP_AFTER
            if is_dead(one.pid) and ((not trees[one.key] and one.key in clear) or hopeless):
                self.over(one.key)
                gone.append(one.key)
        self._fresh.clear()
        return gone

    def _chase(self, due: list[Running], ripe: list[Running]) -> set[Key]:
        """Stop the orphans of *ripe*; return of which of *due* surely none lives."""
        chase = Chase(self._stem, {one.key for one in ripe}, {one.key for one in due}, self._children)
        clear = chase.run(CHASE_SECONDS if ripe else LOOK_SECONDS)
        for key, processes in chase.seen.items():
            self._note(key, processes, self._seen.get(key, {}))
        return clear

    def _kill(self, ripe: list[Running], until: float) -> dict[Key, list[Process]]:
        """Stop the trees of *ripe*, by *until* at most, then kill them; return what of each was there."""
        trees: dict[Key, list[Process]] = {}
        told: dict[int, int] = {}
        for one in ripe:
            if one.group is not None:
                one.group.kill()
            _stop_group(one)
        for turn in range(ROUNDS if ripe else 0):
            if turn and time.monotonic() > until:
                break
            processes = self._snapshot()
            trees = {one.key: self._tree(one, processes) for one in ripe}
            fresh = [process for tree in trees.values() for process in tree if told.get(process.pid) != process.ticks]
            if not fresh:
                break
            for process in fresh:
                procfs.send(process, signal.SIGSTOP)
                told[process.pid] = process.ticks
        for tree in trees.values():
            for process in tree:
                procfs.send(process, signal.SIGKILL)
        return trees

    def over(self, key: Key) -> None:
        """Let *key* be, whether or not it is gone."""
        self._kill_at.pop(key, None)
        self._seen.pop(key, None)
        self._fresh_at.pop(key, None)

    def _tree(self, running: Running, processes: dict[int, Process]) -> list[Process]:
        tree = members(self._stem, processes, running.pid, self._seen.get(running.key))
        if self.holds(running.key):
            self._note(running.key, tree, {})
        return tree

    def _note(self, key: Key, processes: list[Process], others: Mapping[int, int]) -> None:
        """Remember that *processes*, and *others*, are of the tree of *key*."""
        known = self._seen.get(key, {})
        if any(known.get(process.pid) != process.ticks for process in processes):
            self._fresh.add(key)
        self._seen[key] = {**others, **{process.pid: process.ticks for process in processes}}


def _stop_group(running: Running) -> None:
    """Stop at one go all that are in the process group of the first process of *running*, as most of a job are."""
    first = procfs.read(running.pid)
    if first is not None and first.ticks == running.ticks and first.group == first.pid == first.session:
        try:
            os.killpg(first.pid, signal.SIGSTOP)
        except (ProcessLookupError, PermissionError):
            return

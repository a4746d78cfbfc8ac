"""Suspending the trees of jobs: STOP until nothing of a tree runs and nobody new appears, CONT when they may go on.

Who was seen in a tree stays of it while it is being stopped. A process that waits in the kernel runs nothing and stops
before it does again, so it stands.
"""

from __future__ import annotations

import os
import signal

from tm.keeper import procfs
from tm.keeper.tree import Stem, members

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from tm.keeper.book import Running
    from tm.keeper.order import Key
    from tm.keeper.procfs import Process

ROUNDS = 20
LOOK_EVERY = 0.05
GIVE_UP_AFTER = 5.0


class Pausing:
    """The jobs whose trees are being stopped. Times are seconds."""

    def __init__(self, stem: Stem, snapshot: Callable[[], dict[int, Process]] = procfs.snapshot) -> None:
        self._stem = stem
        self._snapshot = snapshot
        self._seen: dict[Key, dict[int, int]] = {}
        self._since: dict[Key, float] = {}
        self._shares: dict[int, tuple[int, int]] = {}
        self._look_at = 0.0

    def holds(self, key: Key) -> bool:
        """Whether *key* is being stopped and does not stand yet."""
        return key in self._since

    @property
    def next_at(self) -> float | None:
        """When to `tend` again, or None."""
        return self._look_at if self._since or self._shares else None

    def begin(self, running: Running, now: float) -> None:
        """Have the tree of *running* stopped; `tend` does it."""
        self._since.setdefault(running.key, now)
        self._look_at = now

    def over(self, key: Key) -> None:
        """Let *key* be, whether or not it stands."""
        self._since.pop(key, None)
        self._seen.pop(key, None)

    def tend(self, now: float, running: Mapping[Key, Running]) -> list[Key]:
        """Stop what still runs; return the jobs of which nothing does any more."""
        standing = []
        for key, since in list(self._since.items()):
            one = running.get(key)
            if one is None:
                self.over(key)
            elif any(self._stop(one) for _ in range(ROUNDS)) or now - since > GIVE_UP_AFTER:
                del self._since[key]
                standing.append(key)
        self._share()
        self._look_at = now + LOOK_EVERY
        return standing

    def _stop(self, running: Running) -> bool:
        """Tell those to stop who have not been told yet; return whether all stand and there was nobody new."""
        told = self._seen.setdefault(running.key, {})
        tree = self._tree(running)
        fresh = [process for process in tree if told.get(process.pid) != process.ticks]
        for process in fresh:
            procfs.send(process, signal.SIGSTOP)
            told[process.pid] = process.ticks
        return not fresh and all(process.still for process in tree)

    def resume(self, running: Running) -> None:
        """Let the whole tree of *running* go on."""
        for process in self._tree(running):
            procfs.send(process, signal.SIGCONT)
        self.over(running.key)

    def nice(self, running: Running, level: int) -> None:
        """Give every thread of the tree, and its sessions, this niceness, as far as it is permitted."""
        for process in self._tree(running):
            self._shares[process.session] = (process.pid, level)
            for thread in procfs.threads(process.pid):
                try:
                    os.setpriority(os.PRIO_PROCESS, thread, level)
                except (ProcessLookupError, PermissionError):
                    continue

    def _share(self) -> None:
        """Many kernels divide the processor among sessions first, and take a word about that each 0.1 s."""
        for session, (pid, level) in list(self._shares.items()):
            try:
                procfs.nice_session(pid, level)
            except BlockingIOError:
                return
            del self._shares[session]

    def _tree(self, running: Running) -> list[Process]:
        return members(self._stem, self._snapshot(), running.pid, self._seen.get(running.key))

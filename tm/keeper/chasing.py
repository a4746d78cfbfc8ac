"""Catching the processes of jobs that live for a moment each and leave another one, an orphan, behind.

Nothing tells of one that is dead, or about to be, when it is looked at whose it was, nor whom it has left. But who
loses its parent is our child from that moment on, listed behind all others, and none leaves the list before it is
reaped. So where the list has only who is alive, and who was known to be dead before it was read, nobody of a job hides.
"""

from __future__ import annotations

import signal
import time

from tm.keeper import procfs

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    from tm.keeper.order import Key
    from tm.keeper.procfs import Process
    from tm.keeper.tree import Stem


class Chase:
    """One chase of orphans of the jobs *ripe*, which are stopped, and *others*, which are not.

    *children* lists the children of this process, of which none is reaped meanwhile.
    """

    def __init__(
        self, stem: Stem, ripe: Collection[Key], others: Collection[Key], children: Callable[[], list[int]]
    ) -> None:
        self._stem = stem
        self._ripe = ripe
        self._wanted = {*ripe, *others}
        self._children = children
        self._known: set[int] = set()
        self.seen: dict[Key, list[Process]] = {}

    def run(self, seconds: float) -> set[Key]:
        """Return those of the jobs of which surely no orphan lives; give up after so many *seconds*."""
        until = time.monotonic() + seconds
        while self._look():
            if time.monotonic() > until or not (self._ripe or self._wanted - self.seen.keys()):
                return set()
        return self._wanted - self.seen.keys()

    def _look(self) -> bool:
        """Look at who is new, and stop whoever has to be; return whether somebody may hide."""
        hidden = False
        for pid in self._children():
            if pid in self._known or pid in self._stem.mains:
                continue
            process = procfs.read(pid)
            if process is None or process.daemon or process.ppid != self._stem.keeper:
                self._known.add(pid)
                continue
            owner = self._stem.holder(process)
            now = process if owner is not None or process.dead else procfs.read(pid)
            if now is None or now.dead or not now.exiting:
                self._known.add(pid)
            if owner is None:
                hidden = hidden or now is None or now.dead or now.exiting
            elif owner in self._wanted:
                hidden = True
                if not process.dead:
                    self._see(owner, process)
        return hidden

    def _see(self, owner: Key, process: Process) -> None:
        self.seen.setdefault(owner, []).append(process)
        if owner in self._ripe:
            procfs.send(process, signal.SIGSTOP)

"""How scavengers make room: jobs that only use what is idle are asked to leave where another could start by that."""

from __future__ import annotations

from itertools import islice

from tm.model.around import Around
from tm.model.floor import Floor
from tm.model.holds import RESERVED, Holds
from tm.model.job import Job
from tm.model.matching import Matcher
from tm.model.queue import JobClass, WaitingQueue

MOST_LOOKED = 64
MOST_AT_ONCE = 32


class Scavenging:
    """Which hosts scavengers may be on, and whom they are asked to make room for."""

    def __init__(self, floor: Floor, holds: Holds, around: Around, matcher: Matcher) -> None:
        self._floor = floor
        self._holds = holds
        self._around = around
        self._matcher = matcher
        self.hosts: set[str] = set()
        self.last = ""

    def make_room(self, kind: JobClass, queue: WaitingQueue, at: float) -> bool:
        """Have scavengers leave where jobs of *kind* could start then; return whether some are about to."""
        if not self.hosts:
            return False
        ready = self._holds.ready.get(kind, 0)
        waiting = list(islice(queue.ids(kind), ready, ready + MOST_AT_ONCE))
        asked = 0
        for number in waiting:
            if not self._for_one(kind, number, at):
                break
            asked += 1
        return bool(asked)

    def _for_one(self, kind: JobClass, number: int, at: float) -> bool:
        best: tuple[int, str, list[Job]] | None = None
        for name in sorted(self.hosts)[:MOST_LOOKED]:
            leaving = self._who_leaves(kind, name)
            if leaving is not None and (best is None or (len(leaving), name) < best[:2]):
                best = len(leaving), name, leaving
        if best is None:
            return False
        for job in best[2]:
            self._around.give_way(job.id, number)
        self.last = best[1]
        self._holds.get_ready(kind, best[1], "yield", at)
        return True

    def _who_leaves(self, kind: JobClass, name: str) -> list[Job] | None:
        """Return which scavengers on *name* are to leave for one more job of *kind*; None where that does not help."""
        room = self._floor.rooms.get(name)
        there = [job for job in self._around.running(name) if job.demand.scavenge]
        if not there:
            self.hosts.discard(name)
            return None
        if room is None or self._matcher.may_ever(kind.demand, kind.user, room.host):
            return None
        if not self._around.reach(kind.user, name):
            return None
        trial = room.copy(dict(room.licenses))
        if self._matcher.room_for(kind.demand, trial):
            return None
        for job in there:
            if job.gives_way is not None:
                trial.give(job.demand)
        for hold in self._holds.on(name):
            for _ in range(hold.count if hold.why != RESERVED else 0):
                trial.take(hold.kind.demand)
        leaving: list[Job] = []
        for job in sorted(there, key=lambda job: (job.started_at or 0.0, job.id), reverse=True):
            if self._matcher.room_for(kind.demand, trial):
                break
            if job.gives_way is None and job.cancelled_by is None:
                leaving.append(job)
                trial.give(job.demand)
        return leaving if self._matcher.room_for(kind.demand, trial) else None

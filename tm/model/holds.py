"""All that is kept for classes that cannot start yet: reservations, and hosts that are being made ready for them.

A class has one reservation at most, and a host one; as many classes have one as the rules say, those first in turn that
found no room. They are made from a bounded number of hosts, and looked at again when something happens on their host,
when their time has passed, and about once a minute.
"""

from __future__ import annotations

from collections.abc import Iterable

from tm.model.around import Around
from tm.model.floor import Floor
from tm.model.matching import Matcher
from tm.model.queue import JobClass, WaitingQueue
from tm.model.reservation import Estimate, Hold, earliest, when_free
from tm.model.room import Room

MOST_LOOKED = 64
RESERVED = "reserved"
PATIENCE = 90.0
CHOOSE_AGAIN = 60.0
BETTER = 30.0


class Holds:
    """The holds of one cluster."""

    def __init__(
        self, queue: WaitingQueue, floor: Floor, around: Around, matcher: Matcher, estimate: Estimate | None
    ) -> None:
        self._queue = queue
        self._floor = floor
        self._around = around
        self._matcher = matcher
        self._estimate = estimate
        self._on: dict[str, list[Hold]] = {}
        self._turn = 0
        self.reserved: dict[JobClass, Hold] = {}
        self.ready: dict[JobClass, int] = {}

    def on(self, host: str) -> list[Hold]:
        """Return what is kept of *host*; of classes that wait no longer, nothing is."""
        holds = self._on.get(host)
        if not holds:
            return []
        for hold in [hold for hold in holds if hold.kind not in self._queue.kinds]:
            self.drop(hold)
        return self._on.get(host, [])

    def count(self, host: str) -> int:
        """Return for how many classes something is kept of *host*."""
        return len(self._on.get(host, ()))

    def everything(self) -> Iterable[Hold]:
        """Return all holds."""
        return [hold for holds in self._on.values() for hold in holds]

    def drop(self, hold: Hold) -> None:
        """Keep it no longer."""
        mine = self._on[hold.host]
        mine.remove(hold)
        if not mine:
            del self._on[hold.host]
        if hold.why == RESERVED:
            del self.reserved[hold.kind]
        else:
            left = self.ready.pop(hold.kind) - hold.count
            if left:
                self.ready[hold.kind] = left
        self._floor.changed.add(hold.host)

    def settled(self, host: str, room: Room | None = None) -> list[JobClass]:
        """What was got ready on *host* is, or failed: keep it no longer; return for which classes it was.

        With a *room* only scavengers are meant, where enough of them have left it.
        """
        done = [
            hold for hold in self._on.get(host, ())
            if hold.why != RESERVED
            and (room is None or (hold.why == "yield" and self._matcher.room_for(hold.kind.demand, room)))
        ]  # fmt: skip
        for hold in done:
            self.drop(hold)
        return [hold.kind for hold in done]

    def get_ready(self, kind: JobClass, host: str, why: str, at: float) -> None:
        """Keep of *host* what one more job of *kind* needs until `settled`."""
        hold = next((hold for hold in self._on.get(host, ()) if hold.kind == kind and hold.why == why), None)
        if hold is None:
            hold = Hold(kind, host, why, at)
            self._on.setdefault(host, []).append(hold)
        else:
            hold.count += 1
        self.ready[kind] = self.ready.get(kind, 0) + 1
        self.review(host, at)

    def left(self, room: Room) -> int:
        """Return how many cores of *room* are left beside those for whom it is being made ready."""
        ready = [
            hold.beside.free_cores
            for hold in self._on.get(room.name, ())
            if hold.beside and hold.why != RESERVED
        ]
        return min(ready, default=room.free_cores)

    def review(self, host: str, at: float) -> None:
        """Something is other than before on *host*: see when what is kept of it can be used, and what it leaves."""
        room = self._floor.rooms.get(host)
        for hold in self.on(host)[:]:
            if room is None:
                if hold.why == RESERVED:
                    self.drop(hold)
                continue
            if hold.why == RESERVED:
                found = self._earliest(hold.kind, room, at)
                if found is None:
                    self.drop(hold)
                else:
                    hold.firm = hold.firm or at > hold.until
                    hold.until, hold.beside = found
                continue
            hold.beside = room.copy(dict(room.licenses))
            for _ in range(hold.count):
                hold.beside.take(hold.kind.demand)

    def reserve(self, kind: JobClass, at: float) -> Hold | None:
        """Keep some of the host for *kind* on which it can start first, of those looked at; None: there is none."""
        best: tuple[float, int, Room] | None = None
        user, demand = kind.user, kind.demand
        self._turn += 1
        for room in self._floor.some(MOST_LOOKED, self._turn):
            if self._matcher.may_ever(demand, user, room.host) or not self._around.reach(user, room.name):
                continue
            if any(hold.why == RESERVED for hold in self._on.get(room.name, ())):
                continue
            when = when_free(demand, room, self._around.running(room.name), at, self._matcher, self._estimate)
            if when is not None and (best is None or (when, room.free_cores) < best[:2]):
                best = when, room.free_cores, room
        found = self._earliest(kind, best[2], at) if best is not None else None
        if best is None or found is None:
            return None
        hold = self.reserved[kind] = Hold(kind, best[2].name, RESERVED, at)
        hold.until, hold.beside = found
        self._on.setdefault(hold.host, []).append(hold)
        return hold

    def tick(self, first: list[JobClass], at: float, more: bool = True) -> None:
        """Let only those that are *first* keep reservations, and see whether there are better ones for them; with
        *more*, those of them that have none get one."""
        keep = set(first)
        for hold in list(self.reserved.values()):
            if hold.kind not in keep:
                self.drop(hold)
            elif at > hold.until:
                self.review(hold.host, at)
            elif at - hold.since > CHOOSE_AGAIN and hold.until > at + BETTER and not hold.firm:
                self._choose_again(hold, at)
        for kind in first if more else ():
            if kind not in self.reserved:
                self.reserve(kind, at)

    def overdue(self, at: float) -> list[str]:
        """Return the hosts that were to be ready for some class long ago."""
        return [
            hold.host for hold in self.everything() if hold.why != RESERVED and at - hold.since > PATIENCE
        ]

    def _choose_again(self, hold: Hold, at: float) -> None:
        hold.since = at
        self.drop(hold)
        new = self.reserve(hold.kind, at)
        if new is not None and new.until > hold.until - BETTER:
            self.drop(new)
            self.reserved[hold.kind] = hold
            self._on.setdefault(hold.host, []).append(hold)

    def _earliest(self, kind: JobClass, room: Room, at: float) -> tuple[float, Room] | None:
        return earliest(
            kind.demand, room, self._around.running(room.name), at, self._matcher, self._estimate
        )  # fmt: skip

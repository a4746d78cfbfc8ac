"""What is free where, at hand: the rooms of all hosts, found by how many cores are free, and by constraint.

Where jobs ask for what few hosts have, going through all others for each start is by far the most of what it costs; so
the rooms of the hosts that satisfy a constraint are kept apart, for as many constraints as were asked for last.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator

from tm.model.around import Around
from tm.model.cluster import HostState
from tm.model.room import Room

MOST_CONSTRAINTS = 32
MayHold = Callable[[str, HostState], bool]
ByFree = dict[int, dict[str, None]]


class Floor:
    """The rooms of all hosts as they were when last looked at; only those that *changed* are looked at again.

    *may_hold* says whether a constraint holds for a host, or may; what it says of a host may differ only when that has
    changed.
    """

    def __init__(self, around: Around, may_hold: MayHold) -> None:
        self._around = around
        self._may_hold = may_hold
        self._by_free: ByFree = {}
        self._such: dict[str, ByFree] = {}
        self.rooms: dict[str, Room] = {}
        self.changed: set[str] = set()

    def look(self, host: str) -> Room | None:
        """Look at *host* now."""
        before = self.rooms.pop(host, None)
        if before is not None:
            for by_free in (self._by_free, *self._such.values()):
                same = by_free.get(before.free_cores, {})
                same.pop(host, None)
                if not same:
                    by_free.pop(before.free_cores, None)
        room = self._around.room(host)
        if room is not None:
            self.rooms[host] = room
            self._by_free.setdefault(room.free_cores, {})[host] = None
            for constraint, by_free in self._such.items():
                if self._may_hold(constraint, room.host):
                    by_free.setdefault(room.free_cores, {})[host] = None
        return room

    def with_free(self, cores: int, full_first: bool, constraint: str = "") -> Iterator[Room]:
        """Yield rooms with so many free cores, the emptiest first, or the fullest, without those of hosts for which
        *constraint* does not hold; nothing must change meanwhile."""
        by_free = self._where(constraint) if constraint else self._by_free
        for free in sorted(by_free, reverse=not full_first):
            if free >= cores:
                for host in by_free[free]:
                    yield self.rooms[host]

    def _where(self, constraint: str) -> ByFree:
        found = self._such.pop(constraint, None)
        if found is None:
            if len(self._such) >= MOST_CONSTRAINTS:
                del self._such[next(iter(self._such))]
            found = {}
            for free, hosts in self._by_free.items():
                such = {host: None for host in hosts if self._may_hold(constraint, self.rooms[host].host)}
                if such:
                    found[free] = such
        self._such[constraint] = found
        return found

    def most_free(self) -> int:
        """Return how many cores are free on the host that has the most."""
        return max(0, *self._by_free) if self._by_free else 0

    def some(self, most: int, turn: int) -> Iterable[Room]:
        """Return *most* rooms at most, others each *turn*."""
        rooms = list(self.rooms.values())
        if len(rooms) <= most:
            return rooms
        first = turn * most % len(rooms)
        return (rooms + rooms)[first : first + most]


class Freest:
    """How many cores are free on that of *hosts* which has the most; asking again after each start costs little."""

    def __init__(self, floor: Floor, hosts: Iterable[str]) -> None:
        self._rooms = floor.rooms
        self._free = {name: floor.rooms[name].free_cores for name in hosts if name in floor.rooms}
        self._hosts = Counter(self._free.values())

    def looked(self, host: str) -> None:
        """*host*, perhaps one of these, was looked at again."""
        before = self._free.pop(host, None)
        if before is None:
            return
        self._hosts[before] -= 1
        if not self._hosts[before]:
            del self._hosts[before]
        room = self._rooms.get(host)
        if room is not None:
            self._free[host] = room.free_cores
            self._hosts[room.free_cores] += 1

    def most(self) -> int:
        """Return it; 0 where there is none."""
        return max(self._hosts, default=0)

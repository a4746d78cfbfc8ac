"""What is free where, at hand: the rooms of all hosts, found by how many cores are free."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from tm.model.around import Around
from tm.model.room import Room


class Floor:
    """The rooms of all hosts as they were when last looked at; only those that *changed* are looked at again."""

    def __init__(self, around: Around) -> None:
        self._around = around
        self._by_free: dict[int, dict[str, None]] = {}
        self.rooms: dict[str, Room] = {}
        self.changed: set[str] = set()

    def look(self, host: str) -> Room | None:
        """Look at *host* now."""
        before = self.rooms.pop(host, None)
        if before is not None:
            same = self._by_free[before.free_cores]
            del same[host]
            if not same:
                del self._by_free[before.free_cores]
        room = self._around.room(host)
        if room is not None:
            self.rooms[host] = room
            self._by_free.setdefault(room.free_cores, {})[host] = None
        return room

    def with_free(self, cores: int, full_first: bool) -> Iterator[Room]:
        """Yield rooms with so many free cores, the emptiest first, or the fullest; nothing must change meanwhile."""
        for free in sorted(self._by_free, reverse=not full_first):
            if free >= cores:
                for host in self._by_free[free]:
                    yield self.rooms[host]

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

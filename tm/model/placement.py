"""Which waiting job goes to which host now, by priority and age: a pure function of what it is given.

Another policy is another function of the same shape; the brain is told which to use.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import NamedTuple, Protocol

from tm.model.queue import JobClass


class Room(Protocol):
    """What is free on one host."""

    name: str
    free_cores: int
    free_memory: int


class Placement(NamedTuple):
    """One decision: this job there."""

    job: int
    host: str


class Waiting(Protocol):
    """What placement asks of the queue."""

    def heads(self) -> list[tuple[int, int, JobClass]]: ...

    def ids(self, kind: JobClass) -> Iterable[int]: ...


Reach = Callable[[str, str], int]
"""Whether jobs of a user can be sent to a host: 0 not, 1 once their server there has been started, 2 now."""


class Permit(Protocol):
    """What users may use at once, beside what they use and what this placement has taken."""

    def may_start(self, user: str, cores: int, memory: int) -> str:
        """Return why one more job may not start, or an empty text."""

    def take(self, user: str, cores: int, memory: int) -> None:
        """Count a job that is to start."""


Policy = Callable[[Waiting, Iterable[Room], Reach, "Permit | None"], list[Placement]]


def by_priority_and_age(
    queue: Waiting, rooms: Iterable[Room], reach: Reach, permit: Permit | None = None
) -> list[Placement]:
    """Return what to start now; *rooms* are used up on the way, and what *permit* leaves users.

    The best class first, each job on the host with the most free cores, of those where the user's server is there
    already if one has room, so that nobody waits for a start, and no server is started, in vain; a class that fits
    nowhere does not hold up the others.
    """
    free = [room for room in rooms if room.free_cores > 0]
    placed: list[Placement] = []
    for _, _, kind in queue.heads():
        if not free:
            break
        reached = {room.name: reach(kind.user, room.name) for room in free if allowed(kind, room)}
        candidates = [room for room in free if reached.get(room.name)]
        if not candidates:
            continue
        demand = kind.demand
        for job in queue.ids(kind):
            best = max(candidates, key=lambda room: (fits(kind, room), reached[room.name], room.free_cores))
            if not fits(kind, best):
                break
            if permit is not None:
                if permit.may_start(kind.user, demand.cores, demand.memory):
                    break
                permit.take(kind.user, demand.cores, demand.memory)
            best.free_cores -= demand.cores
            best.free_memory -= demand.memory
            placed.append(Placement(job, best.name))
        free = [room for room in free if room.free_cores > 0]
    return placed


def allowed(kind: JobClass, room: Room) -> bool:
    """Whether jobs of *kind* may run there at all, were it empty of others."""
    return not kind.demand.hosts or room.name in kind.demand.hosts


def fits(kind: JobClass, room: Room) -> bool:
    """Whether one more job of *kind* has room there now."""
    return room.free_cores >= kind.demand.cores and room.free_memory >= kind.demand.memory

"""Whether a job fits a host: where it may run at all, and where there is room now."""

from __future__ import annotations

from typing import Protocol

from tm.model.queue import JobClass


class Room(Protocol):
    """What is free on one host."""

    name: str
    free_cores: int
    free_memory: int


def allowed(kind: JobClass, room: Room) -> bool:
    """Whether jobs of *kind* may run there at all, were it empty of others."""
    return not kind.demand.hosts or room.name in kind.demand.hosts


def fits(kind: JobClass, room: Room) -> bool:
    """Whether one more job of *kind* has room there now."""
    return room.free_cores >= kind.demand.cores and room.free_memory >= kind.demand.memory

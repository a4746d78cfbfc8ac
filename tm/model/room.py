"""What is free on one host, to be used up while jobs are placed, or tried, one after the other."""

from __future__ import annotations

from collections.abc import Mapping

from tm.model.cluster import HostState
from tm.model.demand import Demand

NONE_LEFT: dict[str, int] = {}


class Room:
    """What is free on *host* now. *licenses* is what is free in the whole cluster: all rooms of a trial share it.

    *jobs* is how many are there, *alone* whether one of them has the host for itself. `take` and `give` change the
    room only, never the host: what ends and starts can be tried out.
    """

    __slots__ = ("alone", "consumables", "free_cores", "free_gpus", "free_memory", "host", "jobs", "licenses", "name")

    def __init__(self, host: HostState, licenses: dict[str, int] = NONE_LEFT) -> None:
        self.host = host
        self.name = host.name
        self.free_cores = 0 if host.offer.closed else host.cores - host.used_cores
        self.free_memory = host.memory - host.used_memory
        self.free_gpus = len(host.idle_gpus)
        self.jobs = host.job_count
        self.alone = bool(host.alone)
        self.consumables = host.free_consumables
        self.licenses = licenses

    def left(self, name: str) -> int:
        """Return how many of the consumable *name* are free for a job here: of the host's, or else the cluster's."""
        return self.consumables[name] if name in self.consumables else self.licenses.get(name, 0)

    def take(self, demand: Demand) -> None:
        """A job that asks for *demand* starts here."""
        self._change(demand, -1)
        self.alone = self.alone or demand.exclusive

    def give(self, demand: Demand) -> None:
        """A job that asked for *demand* ends here."""
        self._change(demand, 1)
        self.alone = self.alone and not demand.exclusive

    def _change(self, demand: Demand, sign: int) -> None:
        self.free_cores += sign * demand.cores
        self.free_memory += sign * demand.memory
        self.free_gpus += sign * demand.gpus
        self.jobs -= sign
        if demand.consumables:
            mine = dict(self.consumables)
            for name, count in demand.consumables:
                counts = mine if name in mine else self.licenses
                counts[name] = counts.get(name, 0) + sign * count
            self.consumables = mine

    def copy(self, licenses: dict[str, int]) -> Room:
        """Return another room of the same size, for a trial of its own with its *licenses*."""
        made = Room.__new__(Room)
        made.host, made.name, made.jobs, made.alone = self.host, self.name, self.jobs, self.alone
        made.free_cores, made.free_memory, made.free_gpus = self.free_cores, self.free_memory, self.free_gpus
        made.consumables, made.licenses = self.consumables, licenses
        return made


def free_licenses(total: Mapping[str, int], used: Mapping[str, int]) -> dict[str, int]:
    """Return how many of each license of the cluster are free; fewer than none after the configuration has shrunk."""
    return {name: count - used.get(name, 0) for name, count in total.items()}

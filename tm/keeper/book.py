"""What waits, what runs, what has ended, and who may start now. Pure: no I/O, no clock."""

from __future__ import annotations

from collections import OrderedDict

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from tm.keeper.cgroup import Group
    from tm.keeper.order import Key, Order

    Fact = dict[str, Any]


class Running:
    """A started attempt: its first process *pid*, started at clock tick *ticks* since boot, at time *at*.

    *turn* counts how often it was suspended and resumed: it is suspended while that is odd; *paused* is for how many
    seconds it was before *turned_at*, when that was the last time. *group* is its control group, *rung* says how its
    limits are enforced, *cpus* which of the machine's it was given.
    """

    __slots__ = ("at", "cores", "cpus", "group", "key", "paused", "pid", "rung", "ticks", "turn", "turned_at")

    def __init__(self, key: Key, cores: int, pid: int, ticks: int, at: float) -> None:
        self.key = key
        self.cores = cores
        self.pid = pid
        self.ticks = ticks
        self.at = at
        self.turn = 0
        self.turned_at = at
        self.paused = 0.0
        self.group: Group | None = None
        self.rung = ""
        self.cpus: tuple[int, ...] = ()

    @property
    def suspended(self) -> bool:
        """Whether it is suspended."""
        return self.turn % 2 == 1

    def fact(self) -> Fact:
        """Return the ``started`` fact."""
        fact = {"job": self.key[0], "attempt": self.key[1], "what": "started", "at": self.at, "pid": self.pid}
        if self.rung:
            fact["rung"] = self.rung
        if self.cpus:
            fact["cpus"] = self.cpus
        return fact

    def turn_over(self, at: float) -> None:
        """It is suspended or goes on *at* this time of day."""
        if self.suspended:
            self.paused += max(0.0, at - self.turned_at)
        self.turn += 1
        self.turned_at = at

    def pause_fact(self, at: float) -> Fact:
        """Return the ``suspended`` or ``resumed`` fact that says how it is since *at*."""
        fact = {"job": self.key[0], "attempt": self.key[1], "what": "suspended" if self.suspended else "resumed"}
        return {**fact, "at": at, "pid": self.pid, "started_at": self.at, "turn": self.turn}


class Book:
    """Every attempt known is in exactly one of *queued*, *running* and *ended* (until it is forgotten)."""

    def __init__(self) -> None:
        self.grant = 0
        self.in_use = 0
        self.queued: OrderedDict[Key, Order] = OrderedDict()
        self.running: dict[Key, Running] = {}
        self.ended: dict[Key, Fact] = {}

    def knows(self, key: Key) -> bool:
        """Whether an order for *key* says nothing new; one that was returned may be given again."""
        if key in self.queued or key in self.running:
            return True
        return key in self.ended and self.ended[key]["what"] != "returned"

    def queue(self, order: Order) -> None:
        """Let *order*, which is not known, wait behind all others."""
        self.ended.pop(order.key, None)
        self.queued[order.key] = order

    def first(self) -> Order | None:
        """Return the order that may start now: the oldest, if its cores are free or it would run alone."""
        if not self.queued or self.grant <= 0:
            return None
        order = next(iter(self.queued.values()))
        if self.in_use + order.cores <= self.grant or not self.running:
            return order
        return None

    def withdraw(self, key: Key) -> bool:
        """Take *key* out of the queue; return whether it was there."""
        return self.queued.pop(key, None) is not None

    def start(self, running: Running) -> None:
        """Note that *running* has begun; its order leaves the queue."""
        del self.queued[running.key]
        self.running[running.key] = running
        self.in_use += running.cores

    def end(self, fact: Fact) -> None:
        """Note the final *fact* of an attempt; its cores are free now."""
        key = fact["job"], fact["attempt"]
        running = self.running.pop(key, None)
        if running is not None:
            self.in_use -= running.cores
        self.ended[key] = fact

    def forget(self, key: Key) -> bool:
        """Drop the ending of *key*; return whether it was there."""
        return self.ended.pop(key, None) is not None

    @property
    def idle(self) -> bool:
        """Whether nothing waits and nothing runs."""
        return not self.queued and not self.running

    def hello(self) -> dict[str, list[Any]]:
        """Return all that a new host server must know."""
        return {
            "queued": list(self.queued),
            "running": [
                *(running.fact() for running in self.running.values()),
                *(running.pause_fact(running.at) for running in self.running.values() if running.turn),
            ],
            "ended": list(self.ended.values()),
        }

"""What an attempt is given when it starts: its processors, its control group, the bounds of its processes.

Processors that nobody named for an order are those of a job that has just ended: an order sent ahead follows it there.
"""

from __future__ import annotations

import time
from functools import cache

from tm.keeper import procfs
from tm.keeper.book import Running
from tm.keeper.spawn import StartError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

    from tm.keeper.cgroup import Group, Groups
    from tm.keeper.limits import Limits
    from tm.keeper.order import Order
    from tm.keeper.spawn import Starter

_MEMORY = {False: "memory: sampled", True: "memory: sampled and rlimit"}


class Allotting:
    """Starts orders by *starter*, in *groups* where there are any."""

    def __init__(self, starter: Starter, groups: Groups | None) -> None:
        self._starter = starter
        self._groups = groups
        self._freed: list[int] = []

    def start(self, order: Order, environment: Mapping[bytes, bytes]) -> Running:
        """Start *order* with all it is to have. Raises `StartError`; then nothing is left of it."""
        limits = order.limits
        group = self._groups.make(order.key, limits) if self._groups is not None and limits.wants_group else None
        cpus = self._cpus(order)
        memory = 0 if group is not None and group.limits_memory else limits.memory
        before = procfs.ticks()
        try:
            if group is None:
                pid = self._starter.start(order, environment, cpus, memory)
            else:
                pid = self._start_inside(group, order, environment, cpus, memory)
        except StartError:
            self._starter.over(order.key)
            if group is not None:
                group.remove()
            raise
        running = Running(order.key, order.cores, pid, procfs.started_at(pid, before), time.time())
        running.group = group
        running.cpus = cpus if self._starter.confined[0] else ()
        running.rung = rung(limits, running, self._starter.confined[1])
        return running

    def _start_inside(
        self, group: Group, order: Order, environment: Mapping[bytes, bytes], cpus: tuple[int, ...], memory: int
    ) -> int:
        """Be in *group* ourselves for that moment, so that nothing of the job is ever outside."""
        assert self._groups is not None
        inside = group.enter()
        try:
            pid = self._starter.start(order, environment, cpus, memory)
        finally:
            if inside:
                self._groups.come_back()
        if not inside:
            group.take(pid)
        return pid

    def _cpus(self, order: Order) -> tuple[int, ...]:
        if order.cpus:
            self._freed = [cpu for cpu in self._freed if cpu not in order.cpus]
            return order.cpus
        if not 0 < order.cores <= len(self._freed):
            return ()
        cpus, self._freed = tuple(self._freed[: order.cores]), self._freed[order.cores :]
        return cpus

    def free(self, running: Running) -> None:
        """*running* has ended: who starts before `settle` may have its processors."""
        self._freed += running.cpus

    def settle(self) -> None:
        """Nobody follows those who have ended any more: others may have been given what is free."""
        self._freed.clear()


def rung(limits: Limits, running: Running, bounded: bool) -> str:
    """Return in words how the *limits* of *running* are enforced; *bounded*: its processes' private memory is."""
    group = running.group
    by_kernel = (False, False) if group is None else (group.limits_memory, group.limits_processes)
    return _rung(limits.memory > 0, limits.processes > 0, group is not None, by_kernel, bounded, bool(running.cpus))


@cache
def _rung(
    memory: bool, processes: bool, group: bool, by_kernel: tuple[bool, bool], bounded: bool, cores: bool
) -> str:
    words = []
    if memory:
        words.append("memory: cgroup" if by_kernel[0] else _MEMORY[bounded])
    if processes:
        words.append("processes: cgroup" if by_kernel[1] else "processes: sampled")
    if group:
        words.append("ended by cgroup")
    if cores:
        words.append("cores: affinity")
    return ", ".join(words)

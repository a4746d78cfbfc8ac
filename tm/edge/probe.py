"""All that is read of a computer. It blocks, if never for long: it belongs into a thread of its own.

Processes are read by `Processes`, memory, disks and network by psutil, whose cost is the same as reading the
kernel's files by hand.
"""

from __future__ import annotations

import os
import platform
import time
from collections.abc import Callable, Mapping
from typing import Any

import psutil

from tm.edge.probe_gpu import NvidiaGpus
from tm.edge.probe_people import People
from tm.edge.probe_processes import Processes
from tm.edge.spool import boot_id
from tm.model.report import Gpu
from tm.model.sample import Disk, Machine, Memory, Rates, Sample
from tm.model.usage import Attribution, KnownJob, Process

RATE_SECONDS = 10.0
_REMOTE = ("nfs", "cifs", "smb", "fuse", "autofs", "9p", "afs", "ceph", "lustre", "gpfs", "beegfs", "squashfs")


class Probe:
    """Reads this computer; every method is called in one thread. *survives* says how its daemon lives on."""

    def __init__(
        self, *, processes: Processes | None = None, people: People | None = None,
        gpus: Callable[[], list[Gpu]] | None = None, survives: str = "",
        clock: Callable[[], float] = time.time,
    ) -> None:  # fmt: skip
        self._processes = processes or Processes()
        self._people = people or People()
        self._gpus = gpus or NvidiaGpus(self._owner)
        self._survives = survives
        self._clock = clock
        self._attribution = Attribution(os.getpid())
        self._told: list[KnownJob] = []
        self._counted: tuple[float, tuple[int, ...]] | None = None
        self._rates = Rates()
        self._cpu: dict[int, float] = {}

    def machine(self) -> Machine:
        """Return what this computer is."""
        memory = self._memory()
        model, sockets = _processor()
        cores = psutil.cpu_count() or 1
        threads = max(1, cores // (psutil.cpu_count(logical=False) or cores))
        return Machine(
            boot=boot_id(), booted_at=psutil.boot_time(), system=_system(), kernel=platform.release(),
            cpu_model=model, cores=cores, sockets=sockets,
            threads=threads, memory=memory.total, swap=memory.swap_total, gpus=self._gpus(),
            survives=self._survives, disks=_disks(),
        )  # fmt: skip

    def jobs(self, told: list[KnownJob]) -> None:
        """These jobs run here."""
        self._told = told
        self._attribution.jobs(told, any(self._processes.hidden(one.pid) for one in told))

    def sample(self) -> Sample:
        """Return how this computer is."""
        now = self._clock()
        look = self._processes.look()
        use = self._attribution.look(look)
        each = 1 / look.seconds if look.seconds > 0 else 0.0
        self._cpu = {process.pid: process.used * each for process in look.active}
        count = sum(not process.kernel for process in look.processes.values())
        return Sample(
            at=now, load=os.getloadavg(), use=use, memory=self._memory(), rates=self._measure_rates(),
            sessions=self._people.look(now), processes=count, gpus=self._gpus(),
        )  # fmt: skip

    def processes(self, user: str | None, job: int | None, asker: str) -> list[dict[str, object]]:
        """Return the processes of a *user* or a *job* (None: all), parents first, each with its *depth* in the tree.

        The command line is told to the *asker* of the same name alone; others see the program's name.
        """
        shown = {
            pid: one for pid, one in self._processes.by_pid.items()
            if not one.kernel and (user is None or one.user == user) and (job is None or one.job == job)
        }  # fmt: skip
        return [self._shown(one, depth, asker) for one, depth in _tree(shown)]

    def close(self) -> None:
        """Let go of all files."""
        self._processes.close()

    def _shown(self, one: Process, depth: int, asker: str) -> dict[str, object]:
        command = self._processes.command(one.pid) if one.user == asker else ""
        return {
            "pid": one.pid, "ppid": one.ppid, "depth": depth, "user": one.user,
            "cpu": round(self._cpu.get(one.pid, 0.0), 3), "cpu_seconds": round(one.cpu, 2), "memory": one.rss,
            "ours": one.ours, "job": one.job or None, "name": one.name, "command": command or one.name,
        }  # fmt: skip

    def _owner(self, pid: int) -> str:
        process = self._processes.by_pid.get(pid)
        return process.user if process is not None else ""

    def _memory(self) -> Memory:
        memory, swap = psutil.virtual_memory(), psutil.swap_memory()
        return Memory(memory.total, memory.available, swap.total, swap.used)

    def _measure_rates(self) -> Rates:
        """Return the rates over the last `RATE_SECONDS`; a counter that was set back says nothing."""
        now = time.monotonic()
        if self._counted is not None and now - self._counted[0] < RATE_SECONDS:
            return self._rates
        counts = _counts()
        if self._counted is not None:
            seconds = now - self._counted[0]
            differences = [max(0, new - old) / seconds for new, old in zip(counts, self._counted[1], strict=True)]
            self._rates = Rates(*differences)
        self._counted = (now, counts)
        return self._rates


def _counts() -> tuple[int, ...]:
    cards: Mapping[str, Any] = psutil.net_io_counters(pernic=True)
    real = [card for name, card in cards.items() if name != "lo"]
    disks = psutil.disk_io_counters()
    return (
        sum(card.bytes_recv for card in real), sum(card.bytes_sent for card in real),
        disks.read_bytes if disks else 0, disks.write_bytes if disks else 0,
    )  # fmt: skip


def _tree(shown: Mapping[int, Process]) -> list[tuple[Process, int]]:
    offspring: dict[int, list[Process]] = {}
    for one in shown.values():
        offspring.setdefault(one.ppid if one.ppid in shown and one.ppid != one.pid else 0, []).append(one)
    found: list[tuple[Process, int]] = []
    waiting = [(one, 0) for one in sorted(offspring.get(0, ()), key=lambda one: -one.pid)]
    while waiting:
        one, depth = waiting.pop()
        found.append((one, depth))
        below = sorted(offspring.get(one.pid, ()), key=lambda child: -child.pid)
        waiting += [(child, depth + 1) for child in below]
    return found


def _disks() -> list[Disk]:
    """Return the file systems on local disks; one that is mounted twice is shown once."""
    found: dict[str, Disk] = {}
    for part in psutil.disk_partitions(all=False):
        if part.fstype.startswith(_REMOTE) or part.device in found:
            continue
        try:
            usage = psutil.disk_usage(part.mountpoint)
        except OSError:
            continue
        found[part.device] = Disk(part.mountpoint, part.fstype, usage.total, usage.free)
    return list(found.values())


def _system() -> str:
    try:
        return platform.freedesktop_os_release().get("PRETTY_NAME", platform.system())
    except OSError:
        return platform.system()


def _processor() -> tuple[str, int]:
    """Return the model of the processor and how many sockets there are."""
    model, sockets = "", set()
    try:
        with open("/proc/cpuinfo", encoding="utf-8", errors="replace") as file:
            for line in file:
                name, _, value = (part.strip() for part in line.partition(":"))
                if name in ("model name", "Model", "cpu model") and not model:
                    model = value
                elif name == "physical id":
                    sockets.add(value)
    except OSError:
        return platform.machine(), 1
    return model or platform.machine(), len(sockets) or 1

"""One look at a computer as a whole, and the report that is made of it."""

from __future__ import annotations

import msgspec

from tm.model.report import About, Gpu, HostReport, JobUse
from tm.model.usage import Use

MOST_USERS = 64
SUDDEN_CORES = 0.5
AT_THE_CONSOLE = 5.0


class Session(msgspec.Struct, frozen=True):
    """Somebody who is logged in; *since* in seconds since the epoch, *idle* seconds since the last touch (None: not
    known), *console* whether they sit at the machine, *seen* what tells the idle time: ``tty``, ``logind``, ``keys``.
    """

    user: str
    terminal: str
    origin: str = ""
    since: float | None = None
    idle: float | None = None
    console: bool = False
    seen: str = ""


class Rates(msgspec.Struct, frozen=True):
    """Bytes a second."""

    network_in: float = 0.0
    network_out: float = 0.0
    disk_read: float = 0.0
    disk_write: float = 0.0


class Memory(msgspec.Struct, frozen=True):
    """Bytes."""

    total: int = 0
    available: int = 0
    swap_total: int = 0
    swap_used: int = 0


class Sample(msgspec.Struct, frozen=True, kw_only=True):
    """How a computer is at *at*, seconds since the epoch; the CPU is that since the sample before."""

    at: float
    load: tuple[float, float, float]
    use: Use
    memory: Memory
    rates: Rates
    sessions: list[Session]
    processes: int
    gpus: list[Gpu]


class Disk(msgspec.Struct, frozen=True):
    """A file system on a local disk; sizes in bytes."""

    path: str
    kind: str
    size: int
    free: int


class Machine(msgspec.Struct, frozen=True, kw_only=True):
    """What does not change while the machine is up, but for *disks*, which are as they are now.

    *cores* are those that the kernel schedules on, *threads* how many of them share a core of the chip.
    """

    boot: str
    booted_at: float
    system: str
    kernel: str
    cpu_model: str
    cores: int
    sockets: int
    threads: int
    memory: int
    swap: int
    gpus: list[Gpu]
    survives: str
    disks: list[Disk] = []


def about(machine: Machine, host: str, version: str, pid: int, port: int, fingerprint: str) -> About:
    """Return what is said of *machine* when joining."""
    return About(
        host=host, boot=machine.boot, version=version, pid=pid, port=port, fingerprint=fingerprint,
        booted_at=machine.booted_at, system=machine.system, kernel=machine.kernel, cpu_model=machine.cpu_model,
        cores=machine.cores, sockets=machine.sockets, threads=machine.threads, memory=machine.memory,
        swap=machine.swap, gpus=machine.gpus, survives=machine.survives,
    )  # fmt: skip


def console_idle(sessions: list[Session]) -> float | None:
    """Return how many seconds ago the console was touched: 0 when nobody can tell, None when nobody is there."""
    idle = [session.idle or 0.0 for session in sessions if session.console]
    return min(idle) if idle else None


def report(sample: Sample, host: str) -> HostReport:
    """Return what is said of *sample*."""
    use = sample.use
    users = sorted(use.by_user.items(), key=lambda item: -item[1])[:MOST_USERS]
    return HostReport(
        host=host, at=sample.at, load=sample.load, cpu_ours=use.ours, cpu_others=use.others,
        cpu_by_user=dict(users), memory_available=sample.memory.available, memory_ours=use.memory_ours,
        swap_used=sample.memory.swap_used,
        logged_in=sorted({session.user for session in sample.sessions})[:MOST_USERS],
        console_idle=console_idle(sample.sessions), processes=sample.processes,
        jobs=[JobUse(job, *values) for job, values in use.by_job.items()], gpus=sample.gpus,
    )  # fmt: skip


def sudden(before: HostReport, now: HostReport) -> bool:
    """Whether *now* is so different from what was reported *before* that it should be said at once."""
    touched = now.console_idle is not None and now.console_idle < AT_THE_CONSOLE
    was_touched = before.console_idle is not None and before.console_idle < AT_THE_CONSOLE + 5
    return (
        abs(now.cpu_others - before.cpu_others) > SUDDEN_CORES
        or (touched and not was_touched)
        or now.logged_in != before.logged_in
    )

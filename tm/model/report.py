"""What an InfoServer says of its host: `About` once per connection, a `HostReport` every few seconds.

Nothing in it is believed: `faults` names what cannot be true, and a host with such a report is handled by its
configuration alone.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Annotated

import msgspec

Number = Annotated[int, msgspec.Meta(ge=0, le=1 << 53)]
MOST_CORES = 65536
MOST_LETTERS = 256
MOST_THINGS = 1024
MOST_BYTES = 1 << 53
_DESCRIBING = ("system", "kernel", "cpu_model", "survives")


class Gpu(msgspec.Struct, frozen=True):
    """One graphics processor; memory in bytes, *use* from 0 to 1, *users* who has processes on it."""

    index: int
    model: str
    memory: Number
    memory_used: Number = 0
    use: float = 0.0
    users: list[str] = []


class About(msgspec.Struct, frozen=True, kw_only=True):
    """The argument of ``infojoin``: what does not change while the machine is up. Memory in bytes."""

    host: str
    boot: str
    version: str
    pid: int
    port: int
    fingerprint: str
    booted_at: float
    system: str = ""
    kernel: str = ""
    cpu_model: str = ""
    cores: Number = 1
    sockets: Number = 1
    threads: Number = 1
    memory: Number = 0
    swap: Number = 0
    gpus: list[Gpu] = []
    survives: str = ""


class JobUse(msgspec.Struct, frozen=True, array_like=True):
    """What one job uses: cores busy, resident bytes, processes."""

    job: int
    cpu: float
    rss: int
    processes: int


class HostReport(msgspec.Struct, frozen=True, kw_only=True):
    """The argument of ``info``. Times in seconds since the epoch, sizes in bytes, CPU in cores busy on average.

    *cpu_ours* is that of TaskManager's jobs and servers, *cpu_others* the rest; *console_idle* is how many seconds
    ago somebody touched the console, None when nobody is logged in there.
    """

    host: str
    at: float
    load: tuple[float, float, float] = (0.0, 0.0, 0.0)
    cpu_ours: float = 0.0
    cpu_others: float = 0.0
    cpu_by_user: dict[str, float] = {}
    memory_available: int = 0
    memory_ours: int = 0
    swap_used: int = 0
    logged_in: list[str] = []
    console_idle: float | None = None
    processes: int = 0
    jobs: list[JobUse] = []
    gpus: list[Gpu] = []


def about_faults(about: About) -> list[str]:
    """Return what in *about* cannot be true, as phrases; none when all can."""
    faults = []
    if not 1 <= about.cores <= MOST_CORES:
        faults.append(f"{about.cores} cores")
    if not math.isfinite(about.booted_at) or about.booted_at < 0:
        faults.append(f"up since {about.booted_at}")
    if not 0 <= about.port < 65536:
        faults.append(f"port {about.port}")
    texts = {name: getattr(about, name) for name in ("host", "boot", "version", "fingerprint", *_DESCRIBING)}
    return faults + _text_faults(texts.items()) + _gpu_faults(about.gpus)


def report_faults(report: HostReport, about: About, now: float) -> list[str]:
    """Return what in *report* of the host described by *about* cannot be true, as phrases; none when all can."""
    cores = about.cores
    bounds = (
        ("CPU of ours", report.cpu_ours, 1.5 * cores + 1),
        ("CPU of others", report.cpu_others, 1.5 * cores + 1),
        *((f"load {minutes}", load, 1e6) for minutes, load in zip((1, 5, 15), report.load, strict=True)),
        ("available memory", report.memory_available, 2 * max(about.memory, 1)),
        ("memory of ours", report.memory_ours, 4 * max(about.memory, 1)),
        ("idle console", report.console_idle or 0.0, 1e10),
        ("processes", report.processes, 1e8),
        ("swap in use", report.swap_used, MOST_BYTES),
        *((f"memory of job {use.job}", use.rss, MOST_BYTES) for use in report.jobs),
        *((f"CPU of job {use.job}", use.cpu, 1.5 * cores + 1) for use in report.jobs),
        *(("CPU of a user", cpu, 1.5 * cores + 1) for cpu in report.cpu_by_user.values()),
        *((f"use of GPU {gpu.index}", gpu.use, 1.5) for gpu in report.gpus),
    )
    faults = [f"{what} is {value:g}" for what, value, most in bounds if not 0 <= value <= most]
    if not abs(report.at - now) < 1e9:
        faults.append(f"its clock says {report.at:g}")
    names = [("host", report.host), *(("user", name) for name in [*report.logged_in, *report.cpu_by_user])]
    if len(names) > MOST_THINGS or len(report.jobs) > MOST_CORES:
        faults.append(f"{len(names)} users and {len(report.jobs)} jobs")
    return faults + _text_faults(names) + _gpu_faults(report.gpus)


def _gpu_faults(gpus: Sequence[Gpu]) -> list[str]:
    names = [(f"user of GPU {gpu.index}", name) for gpu in gpus for name in gpu.users]
    faults = _text_faults([*((f"model of GPU {gpu.index}", gpu.model) for gpu in gpus), *names])
    return [*faults, f"{len(gpus)} GPUs"] if len(gpus) + len(names) > MOST_THINGS else faults


def _text_faults(texts: Iterable[tuple[str, str]]) -> list[str]:
    """Return which of *texts*, named, cannot be shown: on a terminal a control character does more than be seen."""
    return [f"its {name} cannot be shown" for name, text in texts if len(text) > MOST_LETTERS or not text.isprintable()]

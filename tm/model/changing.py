"""What can be changed of a job that waits, and what that makes of its request: the same rules as for a new one."""

from __future__ import annotations

from datetime import timedelta

import msgspec
from msgspec import UNSET, UnsetType

from tm.errors import RefusedError
from tm.model.job import Job
from tm.model.matching import shown_size
from tm.model.spec import JobSpec, accepted_spec
from tm.model.views import shown_time

MOST_BOOST = 1000
OF_RUNNING = ("time",)
OF_OPERATORS = ("boost",)
_NONE_AT_0 = ("begin", "deadline", "time", "memory", "array_cap")
_AS_ASKED = {"begin": "begin", "deadline": "deadline", "dependency": "dependency", "cap": "array_cap"}


class Wanted(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """What is to hold from now on of a job: as in `JobSpec`, *cap* how many tasks of an array may run at once, *boost*
    what an operator adds to the priority."""

    time: float | UnsetType = UNSET
    cores: int | UnsetType = UNSET
    memory: int | UnsetType = UNSET
    gpus: int | UnsetType = UNSET
    priority: int | UnsetType = UNSET
    boost: int | UnsetType = UNSET
    hosts: list[str] | UnsetType = UNSET
    exclude: list[str] | UnsetType = UNSET
    constraint: str | UnsetType = UNSET
    prefer: str | UnsetType = UNSET
    exclusive: bool | UnsetType = UNSET
    layout: str | UnsetType = UNSET
    consumables: dict[str, int] | UnsetType = UNSET
    begin: float | UnsetType = UNSET
    deadline: float | UnsetType = UNSET
    dependency: str | UnsetType = UNSET
    cap: int | UnsetType = UNSET

    @property
    def given(self) -> dict[str, object]:
        """What is to be changed, by name."""
        values = {name: getattr(self, name) for name in self.__struct_fields__}
        return {name: value for name, value in values.items() if value is not UNSET}


def changed_spec(job: Job, wanted: Wanted) -> JobSpec:
    """Return the request that asks of *job* what holds now, changed as *wanted*.

    Raises `RefusedError` ``job.invalid`` where the two together make no sense.
    """
    given = wanted.given
    boost = given.pop("boost", 0)
    if not isinstance(boost, int) or abs(boost) > MOST_BOOST:
        raise RefusedError("job.invalid", f"boost must be from -{MOST_BOOST} to {MOST_BOOST}, not {boost}")
    if "cap" in given and job.tasks is None:
        raise RefusedError("job.invalid", "only an array has a number of tasks that may run at once (cap)")
    asked = msgspec.structs.replace(holding(job), **{_AS_ASKED.get(name, name): value for name, value in given.items()})
    complaint = asked.complaint()
    if complaint:
        raise RefusedError("job.invalid", complaint)
    return asked


def holding(job: Job) -> JobSpec:
    """Return the request of *job* with all that was changed since in it."""
    demand = job.demand
    return msgspec.structs.replace(
        accepted_spec(job.spec), cores=demand.cores, memory=demand.memory, gpus=demand.gpus, time=demand.time,
        hosts=list(demand.hosts), exclude=list(demand.exclude), constraint=demand.constraint, prefer=demand.prefer,
        exclusive=demand.exclusive, layout=demand.layout, consumables=dict(demand.consumables),
        scavenge=demand.scavenge, priority=job.priority, begin=job.not_before, deadline=job.deadline,
        dependency=job.dependency, array_cap=job.tasks.cap if job.tasks is not None else 0,
    )  # fmt: skip


def in_words(before: JobSpec, after: JobSpec) -> str:
    """Return what is other in *after* than in *before*: ``cores 1 → 4, time none → 1:00:00``."""
    told = []
    for name in JobSpec.__struct_fields__:
        old, new = getattr(before, name), getattr(after, name)
        if old != new:
            told.append(f"{'cap' if name == 'array_cap' else name} {_shown(name, old)} → {_shown(name, new)}")
    return ", ".join(told)


def _shown(name: str, value: object) -> str:
    if name in _NONE_AT_0 and not value:
        return "none"
    if name in ("begin", "deadline") and isinstance(value, float):
        return shown_time(value) or "none"
    if name == "time" and isinstance(value, float):
        return str(timedelta(seconds=round(value)))
    if name == "memory" and isinstance(value, int):
        return shown_size(value)
    if isinstance(value, dict):
        value = [f"{name}:{count}" for name, count in value.items()]
    if isinstance(value, list):
        value = ",".join(map(str, value))
    if isinstance(value, float):
        value = f"{value:.15g}"
    return str(value) if value not in ("", None) else "none"

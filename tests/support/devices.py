"""The laws of what jobs get of a host beside cores and memory, in a dispatcher's books and on the hosts themselves."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping

from tm.model.brain import Brain
from tm.model.cluster import HostState
from tm.model.effects import Start
from tm.model.job import Job
from tm.model.spec import accepted_spec

GPUS = 2
CONSUMABLES = {"matlab": 2}
LICENSES = {"ansys": 2}


def devices_broken(brain: Brain, licenses: Mapping[str, int]) -> list[str]:
    """Return what is wrong about what jobs have; *licenses* are those of the cluster."""
    wrong: list[str] = []
    used: dict[str, int] = {}
    for host in brain.hosts.values():
        jobs = [job for session in host.sessions.values() for job in session.occupying.values()]
        jobs += [job for s in host.sessions.values() for job in s.ahead.values() if job.id in host.back]
        wrong += [f"{host.name}: {text}" for text in _on_host(host, jobs)]
        for job in jobs:
            for name, count in job.demand.consumables:
                used[name] = used.get(name, 0) + count
    over = [name for name, count in licenses.items() if used.get(name, 0) > count]
    return wrong + [f"{used[name]} of {licenses[name]} {name} are in use" for name in over]


def _on_host(host: HostState, jobs: list[Job]) -> Iterator[str]:
    if set(host.places) != {job.id for job in jobs}:
        yield f"it counts jobs {sorted(host.places)}, there are {sorted(job.id for job in jobs)}"
    if host.used_gpus != sum(job.demand.gpus for job in jobs):
        yield f"it counts {host.used_gpus} GPUs in use"
    for what, holding in (("cpus", host.cpus), ("gpu_ids", host.gpus)):
        has = [number for job in jobs for number in getattr(job, what)]
        if len(has) != len(set(has)) or set(has) != holding.held:
            yield f"{what} are given as {sorted(has)}, held are {sorted(holding.held)}"
    for job in jobs:
        if len(job.gpu_ids) != job.demand.gpus:
            yield f"job {job.id} has the GPUs {job.gpu_ids} of {job.demand.gpus}"
        if job.cpus and len(job.cpus) != job.cores:
            yield f"job {job.id} has the cores {job.cpus} of {job.cores}"
        if job.demand.exclusive and len(jobs) > 1:
            yield f"job {job.id} has it for itself beside {len(jobs) - 1} others"
    for name, free in host.free_consumables.items():
        if free < 0:
            yield f"{-free} {name} more than there are are in use"


def shared_wrongly(running: Mapping[str, Iterable[Start]]) -> list[str]:
    """Return which GPUs, and which hosts that a job has for itself, are shared by attempts that run, by host."""
    wrong = []
    for host, starts in running.items():
        there = list(starts)
        gpus = [number for start in there for number in start.gpus]
        if len(gpus) != len(set(gpus)):
            wrong.append(f"{host}: its GPUs are shared: {sorted(gpus)}")
        alone = [start.job for start in there if accepted_spec(start.spec).exclusive]
        if alone and len(there) > 1:
            wrong.append(f"{host}: job {alone[0]} is not alone")
    return wrong

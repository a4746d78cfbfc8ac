"""The overview: what becomes of my jobs, how full the cluster is, what failed, and what needs somebody."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tm.model.phase import Phase, how_ended
from tm.web.board import totals, troubled
from tm.web.render import size
from tm.web.views.hosts import by_trouble_and_load

BAD = ("failed", "timeout", "out_of_memory", "output_limit", "lost")
"""The endings of jobs that their owner wants to hear of."""
MOST_FAILURES = 5
MOST_TROUBLES = 8
FAILURES = f"state={','.join(BAD)}:order=-ended:limit={MOST_FAILURES}"
"""What ``lsjobs`` is asked."""

View = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Use:
    """How much of something is in use: *part* is from 0 to 100, *told* says it in words."""

    name: str
    part: float
    told: str


@dataclass(frozen=True, slots=True)
class Failure:
    """A job that went wrong, and how, in a sentence."""

    id: str
    name: str
    sentence: str
    at: str


def counted(counts: View) -> list[tuple[str, int]]:
    """Return how many jobs are in each state, those that are not over first."""
    return [(str(state), int(count)) for state, count in (counts.get("by_state") or {}).items() if count]


def use(hosts: Iterable[View]) -> list[Use]:
    """Return how full the cluster is; things of which there are none are left out."""
    hosts = list(hosts)
    sums = totals(hosts, {})
    whole = sum(host.get("cores") or 0 for host in hosts)
    cores = f"{sums['cores_used']:.0f} of {sums['cores']:.0f} cores in use"
    if whole > sums["cores"]:
        cores += f"; {whole - sums['cores']:.0f} more are not offered now"
    memory = f"{size(sums['memory_used'])} of {size(sums['memory'])} asked for"
    gpus = f"{sums['gpus_used']:.0f} of {sums['gpus']:.0f} GPUs in use"
    found = (("Cores", "cores", cores), ("Memory", "memory", memory), ("GPUs", "gpus", gpus))
    return [
        Use(name, round(min(100.0, 100 * sums[f"{what}_used"] / sums[what]), 1), told)
        for name, what, told in found if sums[what]
    ]  # fmt: skip


def failures(jobs: Iterable[View]) -> list[Failure]:
    """Return what is said of *jobs* that went wrong."""
    return [
        Failure(str(job["id"]), str(job.get("name") or ""), _sentence(job), str(job.get("ended_at") or ""))
        for job in jobs
    ]


def _sentence(job: View) -> str:
    try:
        told = how_ended(Phase(str(job["state"])), job.get("exit_code"), job.get("signal"))
    except (ValueError, KeyError):
        told = str(job["state"])
    where = f" on {job['host']}" if job.get("host") else ""
    reason = f": {job['reason']}" if job.get("reason") else ""
    return f"{told}{where}{reason}"


def troubles(hosts: Iterable[View]) -> list[View]:
    """Return the hosts that need somebody, the worst first."""
    return by_trouble_and_load(host for host in hosts if troubled(host))


def warnings(*told: Sequence[str]) -> list[str]:
    """Return all that is warned of, each once."""
    return list(dict.fromkeys(text for some in told for text in some))

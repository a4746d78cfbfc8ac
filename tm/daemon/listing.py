"""What ``lsjobs`` asks for, and how jobs and hosts look as lines of text."""

from __future__ import annotations

from tm.errors import RefusedError
from tm.model.job import ACTIVE, FINAL, Phase
from tm.model.rights import DISPATCHER, demand
from tm.model.views import Shown
from tm.ports import JobQuery

MOST_LISTED = 1000
_GROUPS = {"active": ACTIVE, "ended": FINAL, "all": frozenset[Phase]()}


def job_query(arguments: list[str], user: str, rights: frozenset[str]) -> JobQuery:
    """Return the query of ``lsjobs:key=value…`` as *user* asks it.

    Raises `RefusedError`: ``proto.arguments`` for what cannot be understood, ``perm.denied`` for jobs of others.
    """
    given: dict[str, str] = {}
    for argument in arguments:
        key, equals, value = argument.partition("=")
        if not equals or key not in ("user", "state", "limit", "after", "name"):
            raise RefusedError("proto.arguments", f"'{argument}': expected user= state= limit= after= or name=")
        given[key] = value
    owner = given.get("user", user)
    demand(DISPATCHER, "lsjobs", rights, own=owner == user)
    return JobQuery(
        user=None if owner == "all" else owner,
        phases=_phases(given.get("state", "all")),
        name=given.get("name"),
        after=_number(given, "after", 0, 1 << 62),
        limit=_number(given, "limit", MOST_LISTED, MOST_LISTED),
    )


def _phases(text: str) -> frozenset[Phase]:
    wanted: set[Phase] = set()
    for word in text.split(","):
        if word in _GROUPS:
            wanted |= _GROUPS[word]
        elif word == "unreachable":
            wanted |= {Phase.STARTING, Phase.RUNNING, Phase.SUSPENDED}
        else:
            try:
                wanted.add(Phase(word))
            except ValueError:
                known = ", ".join([*(phase.value for phase in Phase), "unreachable", *_GROUPS])
                raise RefusedError("proto.arguments", f"there is no state '{word}'; the states are {known}") from None
    return frozenset(wanted)


def _number(given: dict[str, str], key: str, default: int, most: int) -> int:
    text = given.get(key, str(default))
    if not (text.isascii() and text.isdigit()):
        raise RefusedError("proto.arguments", f"{key}={text}: expected a number")
    return min(int(text), most)


def job_ids(text: str) -> list[int]:
    """Return the ids of ``3,5-7``; raise `RefusedError` ``proto.arguments``."""
    found: list[int] = []
    for part in text.split(","):
        first, dash, last = part.partition("-")
        if not (first.isascii() and first.isdigit()) or (dash and not (last.isascii() and last.isdigit())):
            raise RefusedError("proto.arguments", f"'{part}' is no job id; ids are numbers, e.g. 17 or 3-7")
        low, high = int(first), int(last) if dash else int(first)
        if high - low >= 100_000:
            raise RefusedError("limit.ids", "at most 100,000 ids at once")
        found += range(low, high + 1)
    return found


def job_lines(jobs: list[Shown]) -> list[str]:
    """Return a table of jobs."""
    return [
        f"{job['id']:>8}  {job['state']:<12} {job['user']:<10} {job['host'] or '-':<12} "
        f"{_ending(job):<8} {job['command']!s:.80}"
        for job in jobs
    ]


def _ending(job: Shown) -> str:
    if job["signal"] is not None:
        return f"signal {job['signal']}"
    return "" if job["exit_code"] is None else f"exit {job['exit_code']}"


def host_lines(hosts: list[Shown]) -> list[str]:
    """Return a table of hosts."""
    return [
        f"{host['name']:<16} {host['state']:<9} {host['used_cores']:>3}/{host['cores']} cores  "
        f"{host['jobs']} jobs  {host['reason']}".rstrip()
        for host in hosts
    ]

"""What ``lsjobs`` asks for, and how jobs and hosts look as lines of text."""

from __future__ import annotations

from tm.errors import RefusedError
from tm.model.phase import ACTIVE, FINAL, ON_HOST, Phase
from tm.model.rights import DISPATCHER, demand
from tm.model.views import Shown
from tm.ports import JobQuery

MOST_LISTED = 1000
MOST_IDS = 100_000
UNREACHABLE = "unreachable"
_GROUPS = {"active": ACTIVE, "ended": FINAL, "all": ACTIVE | FINAL}


def job_query(arguments: list[str], user: str, rights: frozenset[str]) -> tuple[JobQuery, frozenset[str]]:
    """Return the query of ``lsjobs:key=value…`` as *user* asks it, and which states, as they are shown, are wanted.

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
    states = _states(given.get("state", "all"))
    phases = {phase for phase in Phase if phase in states} | (ON_HOST if UNREACHABLE in states else frozenset())
    query = JobQuery(
        user=None if owner == "all" else owner,
        phases=frozenset(phases) if len(phases) < len(Phase) else frozenset(),
        name=given.get("name"),
        after=_number(given, "after", 0, 1 << 62),
        limit=_number(given, "limit", MOST_LISTED, MOST_LISTED),
    )
    return query, states


def _states(text: str) -> frozenset[str]:
    wanted: set[str] = set()
    known = [*(phase.value for phase in Phase), UNREACHABLE]
    for word in text.split(","):
        if word in _GROUPS:
            wanted |= {phase.value for phase in _GROUPS[word]} | ({UNREACHABLE} if word != "ended" else set())
        elif word in known:
            wanted.add(word)
        else:
            words = ", ".join([*known, *_GROUPS])
            raise RefusedError("proto.arguments", f"there is no state '{word:.40}'; the states are {words}")
    return frozenset(wanted)


def _number(given: dict[str, str], key: str, default: int, most: int) -> int:
    if key not in given:
        return default
    return min(whole_number(given[key], f"{key}={given[key]:.40}: expected a number"), most)


def whole_number(text: str, complaint: str) -> int:
    """Return the number *text* of at most 18 digits; raise `RefusedError` ``proto.arguments`` with *complaint*."""
    if not (text.isascii() and text.isdigit() and len(text) <= 18):
        raise RefusedError("proto.arguments", complaint)
    return int(text)


def job_ids(text: str) -> list[int]:
    """Return the ids of ``3,5-7``; raise `RefusedError` ``proto.arguments`` or ``limit.ids``."""
    found: list[int] = []
    for part in text.split(","):
        complaint = f"'{part:.40}' is no job id; ids are numbers, e.g. 17 or 3-7"
        first, dash, last = part.partition("-")
        low = whole_number(first, complaint)
        high = whole_number(last, complaint) if dash else low
        if high < low:
            raise RefusedError("proto.arguments", complaint)
        if len(found) + high - low >= MOST_IDS:
            raise RefusedError("limit.ids", f"at most {MOST_IDS:,} ids at once")
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
    """Return a table of hosts with a line that names its columns."""
    rows = [_HOST_COLUMNS, *map(_host_row, hosts)]
    widths = [max(len(row[column]) for row in rows) for column in range(len(_HOST_COLUMNS))]
    return ["  ".join(map(str.ljust, row, widths)).rstrip() for row in rows]


_HOST_COLUMNS = ("host", "state", "free", "ours", "others", "memory", "reason")


def _host_row(host: Shown) -> tuple[str, ...]:
    return (
        str(host["name"]), str(host["state"]), f"{host['free_cores']}/{host['offered_cores']}",
        _number_shown(host["cpu_ours"]), _number_shown(host["cpu_others"]), _size_shown(host["memory_available"]),
        str(host["reason"]),
    )  # fmt: skip


def _number_shown(value: object) -> str:
    return f"{value:.1f}" if isinstance(value, float) else "-"


def _size_shown(value: object) -> str:
    """Return bytes as people write them, e.g. ``3.5G``."""
    if not isinstance(value, int):
        return "-"
    size = float(value)
    for unit in ("", "K", "M", "G", "T"):
        if size < 1024 or unit == "T":
            break
        size /= 1024
    return f"{size:.0f}{unit}" if size >= 10 or not unit else f"{size:.1f}{unit}"

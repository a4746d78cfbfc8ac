"""What ``lsjobs`` asks for, and how jobs and hosts look as lines of text."""

from __future__ import annotations

from tm.errors import RefusedError
from tm.model.accounting import moment
from tm.model.ids import task_id
from tm.model.phase import ON_HOST, Phase
from tm.model.rights import DISPATCHER, demand
from tm.model.selection import UNREACHABLE, states
from tm.model.views import Shown
from tm.ports import JobQuery

MOST_LISTED = 1000
AFTER_ALL = 1 << 62
_KEYS = ("user", "state", "limit", "after", "name", "array", "host", "account", "since", "until")


def job_query(arguments: list[str], user: str, rights: frozenset[str]) -> tuple[JobQuery, frozenset[str]]:
    """Return the query of ``lsjobs:key=value…`` as *user* asks it, and which states, as they are shown, are wanted.

    Raises `RefusedError`: ``proto.arguments`` for what cannot be understood, ``perm.denied`` for jobs of others.
    """
    given: dict[str, str] = {}
    for argument in arguments:
        key, equals, value = argument.partition("=")
        if not equals or key not in _KEYS:
            known = ", ".join(f"{name}=" for name in _KEYS)
            raise RefusedError("proto.arguments", f"'{argument:.60}': expected {known}")
        given[key] = value
    owner = given.get("user", user)
    demand(DISPATCHER, "lsjobs", rights, own=owner == user)
    wanted = states(given.get("state", "all"))
    phases = {phase for phase in Phase if phase in wanted} | (ON_HOST if UNREACHABLE in wanted else frozenset())
    after, array = given.get("after", ""), given.get("array")
    query = JobQuery(
        user=None if owner == "all" else owner,
        phases=frozenset(phases) if len(phases) < len(Phase) else frozenset(),
        name=given.get("name"),
        after=_id(after) if after else 0,
        limit=_limit(given.get("limit")),
        array=None if array is None else whole_number(array, f"'array={array:.40}': expected the id of an array"),
        since=moment(given["since"], 0.0, end=False) if "since" in given else None,
        until=moment(given["until"], 0.0, end=True) if "until" in given else None,
        account=given.get("account"),
        host=given.get("host"),
    )
    return query, wanted


def _limit(text: str | None) -> int:
    return MOST_LISTED if text is None else min(whole_number(text, f"limit={text:.40}: expected a number"), MOST_LISTED)


def _id(text: str) -> int:
    """Return the id ``17`` or ``17_4``; what is folded, ``17_[5-99]``, comes last."""
    complaint = f"after={text:.40}: expected a number, the last id that was listed"
    number, underscore, index = text.partition("_")
    if index.startswith("["):
        return AFTER_ALL
    array = whole_number(number, complaint)
    return task_id(array, whole_number(index, complaint)) if underscore else array


def whole_number(text: str, complaint: str) -> int:
    """Return the number *text* of at most 18 digits; raise `RefusedError` ``proto.arguments`` with *complaint*."""
    if not (text.isascii() and text.isdigit() and len(text) <= 18):
        raise RefusedError("proto.arguments", complaint)
    return int(text)


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

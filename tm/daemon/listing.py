"""What ``lsjobs`` asks for, and how jobs and hosts look as lines of text."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import NamedTuple

from tm.errors import RefusedError
from tm.model.accounting import moment
from tm.model.brief import read_columns
from tm.model.ids import task_id
from tm.model.log_wish import LEVELS, SUBJECTS, LogWish
from tm.model.paging import ORDERS, read_position
from tm.model.phase import FINAL, ON_HOST, Phase
from tm.model.rights import DISPATCHER, demand
from tm.model.selection import UNREACHABLE, states
from tm.model.spec import LATEST
from tm.model.views import Shown, shown_time
from tm.ports import JobQuery

MOST_LISTED = 1000
MOST_ROWS = 5000
"""So many are one answer where only some columns of what is active are asked for."""
MOST_LETTERS = 4000
MOST_LINES = 5000
AFTER_ALL = 1 << 62
BY_START = "start"
_KEYS = (
    "user", "state", "limit", "after", "name", "array", "host", "account", "since", "until", "text", "overlap", "tasks",
    "order", "from", "columns",
)  # fmt: skip


class Listing(NamedTuple):
    """What ``lsjobs`` asks: a *query* of the store, and which *states*, as they are shown, are wanted.

    *cursors*: each job is to say where a page that begins after it begins. *starting*: those that wait, in the order in
    which they would start, come from the scheduler. *columns* are those that are wanted, none: the public views.
    """

    query: JobQuery
    states: frozenset[str]
    cursors: bool = False
    starting: bool = False
    columns: tuple[str, ...] = ()

    @property
    def of_active(self) -> bool:
        """Whether all it can find is active, and nothing but the age of a job says where it stands."""
        query = self.query
        bare = replace(query, after=0).plain and not query.each and query.start is None
        by_age = query.order == "id" and not query.descending
        return bare and by_age and bool(query.phases) and not query.phases & FINAL


def job_query(arguments: list[str], user: str, rights: frozenset[str], verb: str = "lsjobs") -> Listing:
    """Return what ``lsjobs:key=value…``, or another *verb*, asks when *user* says it.

    Raises `RefusedError`: ``proto.arguments`` for what cannot be understood, ``perm.denied`` for jobs of others.
    """
    given: dict[str, str] = {}
    for argument in arguments:
        key, equals, value = argument.partition("=")
        if not equals or key not in _KEYS:
            known = ", ".join(f"{name}=" for name in _KEYS)
            raise RefusedError("proto.arguments", f"'{argument:.60}': expected {known}")
        if len(value) > MOST_LETTERS:
            raise RefusedError("proto.arguments", f"'{key}=' has more than {MOST_LETTERS:,} letters")
        given[key] = value
    owner = given.get("user", user)
    demand(DISPATCHER, verb, rights, own=owner == user)
    wanted = states(given.get("state", "all"))
    phases = {phase for phase in Phase if phase in wanted} | (ON_HOST if UNREACHABLE in wanted else frozenset())
    after, array = given.get("after", ""), given.get("array")
    order, descending = _order(given.get("order", "id"))
    overlap = _overlap(given["overlap"]) if "overlap" in given else None
    query = JobQuery(
        user=None if owner == "all" else owner,
        phases=frozenset(phases) if len(phases) < len(Phase) else frozenset(),
        name=given.get("name"),
        after=_id(after) if after else 0,
        limit=_limit(given.get("limit")),
        array=None if array is None else whole_number(array, f"'array={array:.40}': expected the id of an array"),
        since=instant(given["since"], end=False) if "since" in given else None,
        until=instant(given["until"], end=True) if "until" in given else None,
        account=given.get("account"),
        host=given.get("host"),
        text=given.get("text") or None,
        overlap=overlap,
        each=_each(given.get("tasks"), "host" in given or overlap is not None),
        order="id" if order == BY_START else order,
        descending=descending,
        start=read_position(given["from"], order) if "from" in given else None,
    )
    columns = read_columns(given["columns"]) if "columns" in given else ()
    listing = Listing(query, wanted, "order" in given or "from" in given, order == BY_START, columns)
    if columns and listing.of_active:
        return listing._replace(query=replace(query, limit=_limit(given.get("limit"), MOST_ROWS)))
    return listing


def _order(text: str) -> tuple[str, bool]:
    """Return by what a list is to be sorted, and whether downwards: ``-ended``."""
    name, descending = text.removeprefix("-"), text.startswith("-")
    if name not in ORDERS and text != BY_START:
        known = " ".join([*ORDERS, BY_START])
        raise RefusedError("proto.arguments", f"'order={text:.40}': jobs are sorted by {known}; downwards: -ended")
    return name, descending


def _each(text: str | None, usual: bool) -> bool:
    if text not in (None, "each", "folded"):
        raise RefusedError("proto.arguments", f"'tasks={text:.40}': tasks of arrays are listed 'each' or 'folded'")
    return usual if text is None else text == "each"


def _overlap(text: str) -> tuple[float, float]:
    """Return the time ``SINCE..UNTIL``; one of both may be left out."""
    first, dots, last = text.partition("..")
    if not dots or not (first or last):
        example = "2026-11-22..2026-11-23"
        raise RefusedError("proto.arguments", f"'overlap={text:.60}': expected SINCE..UNTIL, e.g. {example}")
    since = instant(first, end=False) if first else 0.0
    until = instant(last, end=True) if last else LATEST
    if until <= since:
        raise RefusedError("proto.arguments", f"'overlap={text:.60}': the time ends before it begins")
    return since, until


def instant(text: str, end: bool) -> float:
    """Return the time *text* means, seconds since the epoch: ``2026-11-23T14:02:03Z``, or where a day, month or year
    begins, with *end* where it is over. Raises `RefusedError` ``proto.arguments``."""
    if "T" not in text:
        return moment(text, 0.0, end=end)
    try:
        found = datetime.fromisoformat(text)
        return found.replace(tzinfo=found.tzinfo or UTC).timestamp()
    except (ValueError, OverflowError):
        raise RefusedError(
            "proto.arguments", f"'{text:.40}' is no time; write 2026-11-23 or 2026-11-23T14:02:03Z (UTC)"
        ) from None


def _limit(text: str | None, most: int = MOST_LISTED) -> int:
    return most if text is None else min(whole_number(text, f"limit={text:.40}: expected a number"), most)


def _id(text: str) -> int:
    """Return the id ``17`` or ``17_4``; what is folded, ``17_[5-99]``, comes last."""
    complaint = f"after={text:.40}: expected a number, the last id that was listed"
    number, underscore, index = text.partition("_")
    if index.startswith("["):
        return AFTER_ALL
    array = whole_number(number, complaint)
    return task_id(array, whole_number(index, complaint)) if underscore else array


def log_wish(arguments: list[str]) -> LogWish:
    """Return which lines ``log:LINES:key=value…`` asks for; raise `RefusedError` ``proto.arguments``."""
    given: dict[str, str] = {}
    for place, argument in enumerate(arguments):
        key, equals, value = argument.partition("=")
        if not equals and place == 0:
            key, value = "lines", argument
        elif not equals or key not in ("level", "text", *SUBJECTS, "before", "since", "file"):
            known = "lines, then level= text= job= host= user= before= since= file="
            raise RefusedError("proto.arguments", f"'{argument:.60}': expected {known}")
        given[key] = value
    lines, level, file = given.get("lines", "50"), given.get("level", ""), given.get("file", "log")
    if level and level not in LEVELS:
        raise RefusedError("proto.arguments", f"'level={level:.40}': how grave a line is, is {', '.join(LEVELS)}")
    if file not in ("log", "error"):
        raise RefusedError("proto.arguments", f"'file={file:.40}': the logs are 'log' and 'error'")
    count = whole_number(lines, f"'{lines:.40}': expected a number of lines")
    before, since = (
        shown_time(instant(given[key], end=False)) or "" if given.get(key) else "" for key in ("before", "since")
    )
    about = tuple((subject, given[subject]) for subject in SUBJECTS if given.get(subject))
    return LogWish(min(count, MOST_LINES), level, given.get("text", ""), about, before, since, file == "error")


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

"""Lists of jobs: what an address asks for, what the dispatcher is asked, and how a job looks as a row.

The law: all that a list depends on stands in its address, so that it can be kept, passed on, and had as CSV or JSON.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from tm.errors import RefusedError
from tm.model.selection import STATES
from tm.web.render import seconds_of
from tm.web.views.arrays import Part, bar, told
from tm.wire.message import quote

PAGE = 50
MOST_SAVED = 10_000
MOST_COMMAND = 60
MOST_REASON = 120
START = "start"
"""The order in which waiting jobs would start."""


@dataclass(frozen=True, slots=True)
class Kind:
    """A list with a page of its own: its *title*, the *state* and the *order* where the address says no other."""

    path: str
    title: str
    state: str
    order: str


KINDS = {
    kind.path: kind
    for kind in (
        Kind("/jobs", "Jobs", "all", "-id"),
        Kind("/jobs/pending", "Waiting jobs", "pending,held", START),
        Kind("/jobs/finished", "Finished jobs", "ended", "-ended"),
    )
}
FILTERS = ("user", "state", "name", "text", "host", "account", "array", "since", "until", "overlap")
STATE_CHOICES = ("all", "active", "ended", *STATES)
ORDERED_DOWN = ("id", "started", "ended", "duration", "cpu", "rss", "cores", "memory")
"""What is sorted downwards first when its head is clicked: who sorts by these looks for the most or the latest."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """What an address asks for: *filters* that were filled in, an *order* (``-ended``), the page that begins after the
    *cursor*, or ends before it (*back*), of *limit* jobs."""

    kind: Kind
    filters: Mapping[str, str] = field(default_factory=dict)
    order: str = "-id"
    cursor: str = ""
    back: bool = False
    limit: int = PAGE

    @property
    def state(self) -> str:
        """The states that are shown."""
        return self.filters.get("state") or self.kind.state

    @property
    def everybody(self) -> bool:
        """Whether jobs of several users may be among them."""
        return self.filters.get("user") == "all"

    def words(self, stated: bool = True) -> list[str]:
        """Return the filters as arguments of ``lsjobs`` and ``countjobs``; unless *stated* without the states."""
        given = [(name, value) for name, value in self.filters.items() if name != "state"]
        return [quote(f"{name}={value}") for name, value in [*given, *([("state", self.state)] if stated else [])]]

    def rest(self, limit: int | None = None) -> str:
        """Return the arguments of ``lsjobs`` for this page, by default with one job more, which says there is more."""
        order = flipped(self.order) if self.back else self.order
        words = [*self.words(), f"order={order}", f"limit={self.limit + 1 if limit is None else limit}"]
        return ":".join([*words, quote(f"from={self.cursor}")] if self.cursor else words)

    def query(self, **changes: object) -> dict[str, object]:
        """Return the arguments of the address of this list, from its first page, with *changes*."""
        order = None if self.order == self.kind.order else self.order
        return {**self.filters, "order": order, **changes}


def read(path: str, args: Mapping[str, str]) -> Wanted:
    """Return what the address of the list *path* with *args* asks for. Raises `RefusedError` ``proto.arguments``."""
    kind = KINDS[path]
    filters = {name: args[name].strip() for name in FILTERS if args.get(name, "").strip()}
    limit = args.get("limit", "")
    if limit and not (limit.isascii() and limit.isdigit() and len(limit) < 7 and int(limit)):
        raise RefusedError("proto.arguments", f"'limit={limit:.40}': expected a number of jobs, at most {MOST_SAVED:,}")
    order = args.get("order", "") or kind.order
    return Wanted(
        kind, filters, order, args.get("from", ""), bool(args.get("back")) and order != START,
        min(int(limit or PAGE), MOST_SAVED),
    )  # fmt: skip


def flipped(order: str) -> str:
    """Return *order* the other way round."""
    return order[1:] if order.startswith("-") else f"-{order}"


# -- pages --------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Pages:
    """The jobs of a page, and the arguments of the addresses of those before and after it, where these are there."""

    jobs: list[dict[str, Any]]
    before: dict[str, object] | None
    after: dict[str, object] | None


def paged(wanted: Wanted, found: list[dict[str, Any]]) -> Pages:
    """Return the page of what ``lsjobs`` has *found*, which has one job more where there is more that way."""
    more, jobs = len(found) > wanted.limit, found[: wanted.limit]
    if wanted.back:
        jobs.reverse()
    before = more if wanted.back else bool(wanted.cursor) and wanted.order != START
    after = bool(jobs) if wanted.back else more
    limit = None if wanted.limit == PAGE else wanted.limit
    first = wanted.query(limit=limit)
    return Pages(
        jobs,
        {**first, "from": jobs[0]["cursor"], "back": 1} if before and jobs else first if wanted.cursor else None,
        {**first, "from": jobs[-1]["cursor"]} if after and jobs else None,
    )


# -- columns ------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Column:
    """A column: its *name* in rows, its *title*, and by what a click on it sorts, if it does."""

    name: str
    title: str
    order: str = ""
    number: bool = False


_ALL = {
    column.name: column
    for column in (
        Column("id", "Job", "id"), Column("name", "Name", "name"), Column("state", "State"),
        Column("user", "User", "user"), Column("account", "Account", "account"), Column("host", "Host", "host"),
        Column("cores", "Cores", "cores", True), Column("memory", "Memory", "memory", True),
        Column("submitted", "Submitted"), Column("started", "Started", "started"), Column("ended", "Ended", "ended"),
        Column("seconds", "Time", "duration", True), Column("rss", "Used memory", "rss", True),
        Column("what", "What, or why"),
    )
}  # fmt: skip
_SHOWN = {
    "/jobs": ("id", "name", "state", "user", "host", "cores", "memory", "started", "seconds", "what"),
    "/jobs/pending": ("id", "name", "state", "user", "cores", "memory", "submitted", "what"),
    "/jobs/finished": ("id", "name", "state", "user", "host", "cores", "rss", "ended", "seconds", "what"),
}


@dataclass(frozen=True, slots=True)
class Head:
    """The head of a *column*: the arguments of the address that sorts by it, and how the list is sorted by it now
    (``ascending``, ``descending``, or not at all)."""

    column: Column
    query: dict[str, object] | None
    sorted: str


def heads(wanted: Wanted) -> list[Head]:
    """Return the heads of the columns of the list."""
    now, down = wanted.order.removeprefix("-"), wanted.order.startswith("-")
    found = []
    for name in _SHOWN[wanted.kind.path]:
        column = _ALL[name]
        if name == "user" and not wanted.everybody:
            continue
        if not column.order:
            found.append(Head(column, None, ""))
            continue
        here = column.order == now
        order = flipped(wanted.order) if here else ("-" if column.order in ORDERED_DOWN else "") + column.order
        sorted_ = ("descending" if down else "ascending") if here else ""
        found.append(Head(column, wanted.query(order=None if order == wanted.kind.order else order), sorted_))
    return found


# -- rows ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Row:
    """A job as a row: what stands in each cell. *to* is the part of its page's address; *tasks* the bar of an array,
    *told* the same in words; *spent* in seconds."""

    id: str
    to: str
    name: str
    command: str
    state: str
    user: str
    account: str
    host: str
    cores: object
    memory: object
    rss: object
    submitted: object
    started: object
    ended: object
    spent: float | None
    what: str
    tasks: list[Part]
    told: str


def row(job: Mapping[str, Any], now: float) -> Row:
    """Return the row of *job* at *now*."""
    tasks = job.get("tasks") or {}
    return Row(
        id=str(job["id"]), to=str(job["id"]) if "count" not in job else str(job.get("array")),
        name=str(job.get("name") or ""), command=shortened(job.get("command"), MOST_COMMAND), state=str(job["state"]),
        user=str(job.get("user") or ""), account=str(job.get("account") or ""), host=str(job.get("host") or ""),
        cores=job.get("cores"), memory=job.get("memory") or None, rss=job.get("max_rss"),
        submitted=job.get("submitted_at"), started=job.get("started_at"), ended=job.get("ended_at"),
        spent=spent(job, now), what=shortened(what(job), MOST_REASON), tasks=bar(tasks),
        told=told(tasks) if tasks else f"{job['count']:,} tasks" if job.get("count", 1) > 1 else "",
    )  # fmt: skip


def spent(job: Mapping[str, Any], now: float) -> float | None:
    """Return how many seconds *job* ran, or has run until *now*; None for one that has not begun."""
    started, ended = seconds_of(job.get("started_at")), seconds_of(job.get("ended_at"))
    return None if started is None else max(0.0, (now if ended is None else ended) - started)


def what(job: Mapping[str, Any]) -> str:
    """Return what is most worth knowing of *job*: why it waits, or how it ended; an array that has ended is told by
    its tasks."""
    reason = "" if job.get("tasks") and job.get("ended_at") else str(job.get("reason") or "")
    if job.get("signal"):
        return f"signal {job['signal']}" + (f": {reason}" if reason else "")
    if job.get("exit_code"):
        return f"exit code {job['exit_code']}" + (f": {reason}" if reason else "")
    return reason


def shortened(text: object, most: int) -> str:
    """Return the first line of *text*, at most *most* letters of it."""
    line = " ".join(str(text or "").split())
    return line if len(line) <= most else line[: most - 1] + "…"


# -- faults -------------------------------------------------------------------------------------------------------

_NAMED = re.compile(r"'(\w+)=|there is no (state) ")
_QUOTED = re.compile(r"'(.+?)' is no (?:day|time)")


def fault_of(wanted: Wanted, word: str, text: str) -> tuple[str, str] | None:
    """Return the filter of *wanted* that the dispatcher complains of and what it says; None where it speaks of
    something else."""
    if word == "perm.denied":
        return "user", text
    found = _NAMED.search(text) if word == "proto.arguments" else None
    name = (found[1] or found[2]) if found else ""
    if name in FILTERS:
        return name, text
    quoted = _QUOTED.match(text) if word == "proto.arguments" else None
    times = (name for name in ("since", "until", "overlap") if quoted and quoted[1] in wanted.filters.get(name, ""))
    name = next(times, "")
    return (name, text) if name else None


# -- counts -------------------------------------------------------------------------------------------------------


def counted(wanted: Wanted, counts: Mapping[str, Any]) -> list[tuple[str, int, dict[str, object]]]:
    """Return each state that there is, how many jobs are so, and the arguments of the address that lists them."""
    by_state = counts.get("by_state") or {}
    known = sorted(by_state, key=lambda state: STATES.index(state) if state in STATES else len(STATES))
    return [(state, by_state[state], wanted.query(state=state, limit=None)) for state in known]


def saved(wanted: Wanted) -> list[tuple[str, dict[str, object]]]:
    """Return what can be saved of the list: a word for it, and the arguments of its address."""
    here = wanted.query(limit=wanted.limit, **({"from": wanted.cursor} if wanted.cursor else {}))
    if wanted.back:
        here["back"] = 1
    return [("this page", here), ("all", wanted.query(limit=MOST_SAVED))]


def whole(wanted: Wanted, left: int, cursor: str) -> Wanted:
    """Return the list to be asked for when *left* jobs are still to come after *cursor*."""
    return replace(wanted, cursor=cursor, limit=left)

"""A job as a short row: of its public view only what was asked for, and quickly: a list may have 100,000 of them."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import NamedTuple

from tm.errors import RefusedError
from tm.model.ids import shown_id
from tm.model.job import Job
from tm.model.spec import JobSpec
from tm.model.views import Shown, show_tasks, shown_time


class Seen(NamedTuple):
    """What a cell of a row is taken from; *state* and *reason* as its user sees them."""

    job: Job
    spec: JobSpec
    state: str
    reason: str


Cell = Callable[[Seen], object]

COLUMNS: dict[str, Cell] = {
    "id": lambda seen: shown_id(seen.job.id),
    "name": lambda seen: seen.job.name or seen.spec.shown_name,
    "user": lambda seen: seen.job.user,
    "state": lambda seen: seen.state,
    "reason": lambda seen: seen.reason,
    "host": lambda seen: seen.job.host,
    "command": lambda seen: seen.spec.shown_command,
    "exit_code": lambda seen: seen.job.exit_code,
    "signal": lambda seen: seen.job.signal,
    "submitted_at": lambda seen: shown_time(seen.job.submitted_at),
    "started_at": lambda seen: shown_time(seen.job.started_at),
    "ended_at": lambda seen: shown_time(seen.job.ended_at),
    "cores": lambda seen: seen.job.cores,
    "memory": lambda seen: seen.job.memory,
    "priority": lambda seen: seen.job.priority,
    "tasks": lambda seen: show_tasks(seen.job.tasks),
}


def read_columns(text: str) -> tuple[str, ...]:
    """Return the columns ``id,name,…``; raise `RefusedError` ``proto.arguments`` for one that there is not."""
    names = tuple(text.split(","))
    for name in names:
        if name not in COLUMNS:
            raise RefusedError("proto.arguments", f"'columns={name:.40}': there are {', '.join(COLUMNS)}")
    return names


def short_rows(seen: Iterable[Seen], columns: tuple[str, ...]) -> list[list[object]]:
    """Return the values of *columns* of each that was *seen*."""
    cells = [COLUMNS[name] for name in columns]
    return [[cell(one) for cell in cells] for one in seen]


def short_row(shown: Shown, columns: tuple[str, ...]) -> list[object]:
    """Return the values of *columns* of a public view."""
    return [shown.get(name) for name in columns]

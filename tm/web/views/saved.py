"""Jobs as the rows of a table that is saved."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

FIELDS = (
    "id", "name", "user", "state", "host", "cores", "memory", "submitted_at", "started_at", "ended_at", "exit_code",
    "signal", "cpu_seconds", "max_rss", "priority", "attempt", "cause", "reason", "command", "cwd", "stdout", "stderr",
)  # fmt: skip
_TASKS = ("total", "waiting", "active", "completed")


def table(jobs: Iterable[Mapping[str, Any]]) -> list[list[object]]:
    """Return *jobs* as the rows of a table, the first one with the names of its columns."""
    rows: list[list[object]] = [[*FIELDS, *(f"tasks_{word}" for word in _TASKS)]]
    for job in jobs:
        tasks = job.get("tasks") or {}
        rows.append([*(job.get(name) for name in FIELDS), *(tasks.get(word) for word in _TASKS)])
    return rows

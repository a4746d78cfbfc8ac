"""Jobs as rows of a table: a plain job a row, an array one row for all its tasks."""

from __future__ import annotations

import os
import sys
import time

from tm.client.ending import signal_number
from tm.client.table import Column, render
from tm.client.timing import duration, parse_time, size

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    View = dict[str, Any]

_COLUMNS = (
    Column("ID", right=True),
    Column("NAME", least=6),
    Column("STATE"),
    Column("HOST", least=6),
    Column("CORES", right=True),
    Column("MEMORY", right=True),
    Column("TIME", right=True),
    Column("WHAT", least=10),
)

NEEDED = (
    "id", "name", "state", "host", "cores", "memory", "started_at", "ended_at", "command", "reason", "signal",
    "exit_code", "tasks",
)  # fmt: skip
"""What of a job's public view a row is made from."""


def print_table(jobs: list[View], otherwise: str) -> None:
    """Print a table of *jobs*, or *otherwise* when there are none."""
    if not jobs:
        print(otherwise)
        return
    now = time.time()
    print("\n".join(render(_COLUMNS, [_row(job, now) for job in jobs], screen_width())))


def screen_width() -> int | None:
    """Return the width to fit tables to: the terminal's, None when stdout is none."""
    if not sys.stdout.isatty():
        return None
    try:
        return int(os.environ.get("COLUMNS") or 0) or os.get_terminal_size(1).columns or 80
    except (ValueError, OSError):
        return 80


def _row(job: View, now: float) -> list[str]:
    started, ended = job.get("started_at"), job.get("ended_at")
    spent = "-"
    if started:
        spent = duration((parse_time(ended) if ended else now) - parse_time(started))
    return [
        str(job["id"]), str(job.get("name") or ""), str(job.get("state")), str(job.get("host") or "-"),
        str(job.get("cores", "")), size(job.get("memory")), spent, what(job),
    ]  # fmt: skip


def what(job: View) -> str:
    """Return what is most worth knowing of *job*: why it waits, how it ended, or what it does; of an array its bar."""
    command = str(job.get("command") or "")
    reason = str(job.get("reason") or "")
    if job.get("tasks"):
        from tm.client.arrays import bar, told

        shown = f"[{bar(job['tasks'])}] {told(job['tasks'])}"
        return f"{shown}; {reason}" if reason and not job.get("ended_at") else shown
    signal = signal_number(job.get("signal"))
    if signal:
        return f"signal {signal}" + (f": {reason}" if reason else "")
    if job.get("exit_code"):
        return f"exit {job['exit_code']}: {reason or command}"
    return reason or command

"""Arrays as people see them: a bar of how their tasks are, and waiting for all of them.

The exit status of who waited is the worst of the tasks.
"""

from __future__ import annotations

import json
import sys
import time

from tm.client.ending import exit_status, has_ended, sentence
from tm.client.watch import list_jobs
from tm.errors import EXIT_REFUSED

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from typing import Any

    from tm.client.connection import Connection
    from tm.client.program import Manner
    from tm.client.watch import Watch

BAR = 20
MOST_SEEN = 5000
_GOOD, _UNDER_WAY, _WAITING = "completed", "active", "waiting"
_FACTS = ("indices", "total", "cap")
_LOOK_SECONDS = 1.0


def parts(tasks: Mapping[str, Any]) -> tuple[int, int, int, int]:
    """Return how many of *tasks* are done, ended badly, are under way, and wait."""
    bad = sum(count for word, count in tasks.items() if word not in (*_FACTS, _GOOD, _UNDER_WAY, _WAITING))
    return tasks.get(_GOOD, 0), bad, tasks.get(_UNDER_WAY, 0), tasks.get(_WAITING, 0)


def bar(tasks: Mapping[str, Any], width: int = BAR) -> str:
    """Return *width* letters: ``#`` done, ``!`` ended badly, ``>`` under way, ``.`` waiting; none is hidden."""
    counts = parts(tasks)
    total = max(1, sum(counts))
    lengths = [max(1, width * count // total) if count else 0 for count in counts]
    while sum(lengths) > width:
        lengths[lengths.index(max(lengths))] -= 1
    while sum(lengths) < width and any(counts):
        lengths[counts.index(max(counts))] += 1
    return "".join(map(str.__mul__, "#!>.", lengths))


def told(tasks: Mapping[str, Any]) -> str:
    """Return how the tasks are, in words: ``40 completed, 3 failed, 10 active, 47 waiting of 100``."""
    words = [word for word in tasks if word not in (*_FACTS, _UNDER_WAY, _WAITING)]
    shown = [
        f"{tasks[word]:,} {word.replace('_', ' ')}"
        for word in [*words, _UNDER_WAY, _WAITING]
        if tasks.get(word)
    ]
    cap = f", at most {tasks['cap']:,} at once" if tasks.get("cap") and tasks.get(_WAITING) else ""
    return f"{', '.join(shown)} of {tasks.get('total', 0):,}{cap}"


def wait_array(
    watch: Watch,
    number: int,
    total: int,
    connect: Callable[[], Connection],
    manner: Manner,
    seconds: float = 30.0,
) -> int:
    """Wait until array *number* of *total* tasks has ended; return the worst exit status of its tasks."""
    from tm.client.progress import Progress

    progress = Progress(total, "tasks", sys.stderr)
    seen = time.monotonic()
    try:
        while watch.left:
            watch.look(seconds if manner.quiet else _LOOK_SECONDS)
            if watch.left and not manner.quiet and time.monotonic() - seen >= _LOOK_SECONDS:
                seen = time.monotonic()
                done, bad, _, _ = parts(watch.describe(number).get("tasks") or {})
                progress.show(done + bad, bad)
    finally:
        progress.end()
    view = watch.describe(number)
    if manner.json:
        shown = {key: view.get(key) for key in ("id", "state", "tasks", "reason")}
        print(json.dumps(shown, ensure_ascii=False), flush=True)
    status, which = _worst(view, number, connect)
    if not manner.quiet and (status or sys.stderr.isatty()):
        manner.say(f"array {number}: {told(view.get('tasks') or {})}" + (f"; {which}" if which else ""))
    return status


def _worst(view: Mapping[str, Any], number: int, connect: Callable[[], Connection]) -> tuple[int, str]:
    """Return the worst exit status of the tasks of the array of *view*, and a sentence about that task."""
    if view.get("state") == "completed":
        return 0, ""
    states = [word for word in view.get("tasks") or {} if word not in (*_FACTS, _GOOD, _UNDER_WAY, _WAITING)]
    worst, which = 0, ""
    with connect() as connection:
        for seen, task in enumerate(
            list_jobs(connection, array=str(number), state=",".join(states) or "ended")
        ):
            status = exit_status(task) if has_ended(task) else 0
            if status > worst:
                worst, which = status, sentence(task)
            if seen >= MOST_SEEN:
                break
    return worst or exit_status(view) or EXIT_REFUSED, which

"""Letters about jobs: what became of one, or of many at once, as people read it. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from tm.model.duration import format_duration
from tm.model.lifecycle import CAUSES
from tm.model.resources import format_memory

Event = Mapping[str, Any]

MOST_IN_SUBJECT = 60
_WHAT = {
    "begin": "began", "end": "ended", "fail": "failed", "requeue": "waits for another start",
    "time_limit": "reached its time limit", "waiting": "still waits", "first_fail": "has a first failed task",
}  # fmt: skip


def letter(cluster: str, events: Sequence[Event]) -> tuple[str, str]:
    """Return subject and text of a letter about *events*: public views of jobs, each with its ``event``."""
    if len(events) == 1:
        event = events[0]
        subject = f"[{cluster}] job {event['id']} {_named(event)}{_what(event)}"
        return subject, "\n".join(_story(event)) + "\n"
    counts = Counter(str(event["event"]) for event in events)
    told = ", ".join(f"{count} {_WHAT.get(word, word)}" for word, count in counts.most_common())
    lines = [f"{len(events)} events: {told}", ""]
    for event in events:
        lines += [f"job {event['id']} {_named(event)}{_what(event)}", *(f"  {line}" for line in _story(event)[1:]), ""]
    return f"[{cluster}] {told}", "\n".join(lines)


def _named(event: Event) -> str:
    name = " ".join(str(event.get("name") or "").split())
    return f"({name[:MOST_IN_SUBJECT]}) " if name.isprintable() and name else ""


def _what(event: Event) -> str:
    word = str(event["event"])
    if word in ("end", "fail") and event.get("state") not in ("completed", "failed", None):
        return str(event["state"]).replace("_", " ")
    return _WHAT.get(word, word)


def _story(event: Event) -> list[str]:
    """Return the lines about one job, the first one its headline."""
    lines = [f"Job {event['id']} {_named(event)}{_what(event)}."]
    cause = CAUSES.get(str(event.get("cause") or ""))
    facts = {
        "state": event.get("state"), "cause": cause, "reason": event.get("reason"), "tasks": _tasks(event),
        "host": event.get("host"), "exit code": event.get("exit_code"), "signal": event.get("signal"),
        "submitted": event.get("submitted_at"), "started": event.get("started_at"), "ended": event.get("ended_at"),
        "processor time": _span(event.get("cpu_seconds")), "most memory": _size(event.get("max_rss")),
        "folder": event.get("cwd"), "output": event.get("stdout"), "errors": event.get("stderr"),
        "command": event.get("command"),
    }  # fmt: skip
    for name, value in facts.items():
        if value not in (None, "", {}):
            shown = " ".join(str(value)[:1000].split())
            lines.append(f"{name:<15} {''.join(char if char.isprintable() else '?' for char in shown)}")
    return lines


def _tasks(event: Event) -> str:
    tasks = event.get("tasks")
    if not isinstance(tasks, Mapping):
        return ""
    parts = [f"{count} {word}" for word, count in tasks.items() if word not in ("indices", "total", "cap") and count]
    return f"{tasks.get('total')} ({', '.join(parts)})"


def _span(seconds: Any) -> str:
    return "" if seconds is None else format_duration(seconds)


def _size(count: Any) -> str:
    return format_memory((count >> 20) << 20 or count) if count else ""

"""The story of a job: what was asked and used, what happened when, of what it ended, and how to do it again."""

from __future__ import annotations

import os
import stat
import time

from tm.client.ending import has_ended, signal_number
from tm.client.table import plain
from tm.client.timing import duration, local_time, parse_time, size

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    View = Mapping[str, Any]

LAST_LINES = 10
LAST_BYTES = 16 * 1024
MOST_NAMED = 8
_GAP = "  "


def story(view: View, environ: Mapping[str, str] | None = None) -> list[str]:
    """Return the lines that tell all that is known of the job of *view*; *environ* is the environment now."""
    lines = [*_head(view), *_tasks(view), *_used(view), *_attempts(view), *_timeline(view)]
    lines += _ending(view)
    lines += _environment(view, os.environ if environ is None else environ)
    return [*lines, "again", f"{_GAP}{again(view)}"]


def _head(view: View) -> list[str]:
    state = str(view.get("state")).replace("_", " ")
    details = [f"on {view['host']}"] if view.get("host") else []
    if view.get("exit_code") is not None and not view.get("tasks"):
        details.append(f"exit code {view['exit_code']}")
    if signal_number(view.get("signal")):
        details.append(f"signal {_signal_name(view['signal'])}")
    if view.get("rung"):
        details.append(f"limits by {view['rung']}")
    name = f' "{plain(str(view["name"]))}"' if view.get("name") else ""
    lines = [
        f"{'array' if view.get('tasks') else 'job'} {view.get('id')}{name} {state}" + _in_brackets(details)
    ]
    facts = {
        "command": view.get("command"), "folder": view.get("cwd"), "user": view.get("user"),
        "account": view.get("account"), "output": view.get("stdout"),
        "errors": view.get("stderr") if view.get("stderr") != view.get("stdout") else None,
        "waits for": view.get("dependency"), "not before": view.get("begin") and local_time(view["begin"]),
        "deadline": view.get("deadline") and local_time(view["deadline"]), "process": view.get("pid"),
        "on cores": _numbers(view.get("cpus")), "on gpus": _numbers(view.get("gpu_ids")),
    }  # fmt: skip
    lines += [f"{_GAP}{word:<11}{plain(str(value))}" for word, value in facts.items() if value]
    if view.get("reason") and not has_ended(view):
        lines.append(f"{_GAP}{'because':<11}{plain(str(view['reason']))}")
    expected = view.get("expected_start")
    if expected and not has_ended(view):
        lines.append(f"{_GAP}{'starts':<11}{expected_start(expected)}")
    return lines


def expected_start(expected: Any) -> str:
    """Return a range of times of day in words."""
    if not isinstance(expected, (list, tuple)) or not expected:
        return plain(str(expected))
    times = [local_time(one) if isinstance(one, str) else "" for one in expected]
    if len(times) == 1 or times[0] == times[-1]:
        return f"about {times[0]}"
    if not times[-1]:
        return f"{times[0]} at the earliest"
    return f"between {times[0] or 'now'} and {times[-1]}"


def _tasks(view: View) -> list[str]:
    if not view.get("tasks"):
        return []
    from tm.client.arrays import bar, told

    lines = [f"{_GAP}{'tasks':<11}[{bar(view['tasks'], 40)}] {told(view['tasks'])}"]
    for word, text in (view.get("indices") or {}).items():
        lines.append(f"{_GAP}{'':<11}{word}: {plain(str(text))}")
    return lines


def _used(view: View) -> list[str]:
    """Return a table of what was asked and what was used."""
    started, ended = view.get("started_at"), view.get("ended_at")
    seconds = parse_time(ended) - parse_time(started) if started and ended else 0.0
    limit, memory = view.get("time"), view.get("memory")
    rows = [("cores", str(view.get("cores") or ""), _busy(view, seconds)),
            ("memory", size(memory) if memory else "", size(view["max_rss"]) if view.get("max_rss") else ""),
            ("time", duration(limit) if limit else "", duration(seconds) if seconds else ""),
            ("gpus", str(view.get("gpus") or ""), ""),
            ("read", "", size(view["io_read"]) if view.get("io_read") else ""),
            ("written", "", size(view["io_written"]) if view.get("io_written") else "")]  # fmt: skip
    shown = [row for row in rows if row[1] or row[2]]
    if not shown or (view.get("tasks") and not any(row[2] for row in shown)):
        shown = [row for row in shown if row[1]]
    lines = [f"{_GAP}{'':<11}{'asked':<12}used"] if any(row[2] for row in shown) else [f"{_GAP}{'':<11}asked"]
    lines += [f"{_GAP}{word:<11}{asked or '-':<12}{used}".rstrip() for word, asked, used in shown]
    for word, value in (view.get("changed") or {}).items():
        lines.append(f"{_GAP}{'changed':<11}{word} is {_value(word, value)} now")
    return lines if shown else []


def _busy(view: View, seconds: float) -> str:
    cpu = view.get("cpu_seconds")
    if not cpu or seconds <= 0:
        return ""
    busy = cpu / seconds
    return f"{f'{busy:.2g}' if busy >= 0.01 else 'under 0.01'} busy on average ({duration(cpu)} of processor time)"


def _value(word: str, value: Any) -> str:
    if word == "memory":
        return size(value)
    if word == "time":
        return duration(value) if value else "without limit"
    if word in ("begin", "deadline") and isinstance(value, (int, float)):
        return time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(value)) if value else "none"
    return plain(str(value))


def _attempts(view: View) -> list[str]:
    lines = []
    for attempt in view.get("attempts") or ():
        code, signal = attempt.get("exit_code"), signal_number(attempt.get("signal"))
        how = f"signal {_signal_name(signal)}" if signal else f"exit code {code}" if code is not None else ""
        parts = [
            f"on {attempt.get('host') or '-'}",
            how,
            str(attempt.get("reason") or attempt.get("cause") or ""),
        ]
        if attempt.get("max_rss"):
            parts.append(f"{size(attempt['max_rss'])} of memory")
        lines.append(f"{_GAP}{attempt.get('attempt')}  {plain(', '.join(part for part in parts if part))}")
    return ["attempts before", *lines] if lines else []


def _timeline(view: View) -> list[str]:
    events = view.get("events")
    if not events:
        events = [{"at": view.get(f"{what}_at"), "what": what} for what in ("submitted", "started", "ended")]
    told = [
        (local_time(event["at"]), str(event.get("what") or ""), plain(str(event.get("text") or "")))
        for event in events
        if event.get("at")
    ]
    lines = [f"{_GAP}{at}  {what:<10} {text}".rstrip() for at, what, text in told]
    return ["what happened", *lines] if lines else []


def _ending(view: View) -> list[str]:
    """Return of what it ended, in words, with the last lines of its stderr where that can be read from here."""
    if not has_ended(view) or view.get("state") == "completed":
        return []
    lines = ["why it ended", f"{_GAP}{plain(_why(view))}"]
    path = view.get("stderr") or view.get("stdout")
    last = last_lines(str(path)) if path and not view.get("tasks") and not view.get("bundle") else []
    if last:
        lines += [f"{_GAP}the last lines of {path}:", *(f"{_GAP}{_GAP}{plain(line)}" for line in last)]
    return lines


def _why(view: View) -> str:
    """Return of what the job of *view* ended: the reason, with the exit code or signal where there is no other."""
    reason, by = str(view.get("reason") or ""), str(view.get("cancelled_by") or "")
    if not reason and view.get("cause") == "exit" and view.get("exit_code"):
        return f"the program itself ended with exit code {view['exit_code']}"
    if not reason and view.get("cause") == "signal" and signal_number(view.get("signal")):
        return f"the signal {_signal_name(view['signal'])} ended it"
    reason = reason or str(view.get("cause_text") or "")
    if by and f"by {by}" not in reason:
        reason = f"{reason}; by {by}" if reason else f"by {by}"
    return reason or "nothing more is known"


def last_lines(path: str, count: int = LAST_LINES) -> list[str]:
    """Return the last lines of the file *path*, none where it cannot be read or is no plain file."""
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    except (OSError, ValueError):
        return []
    try:
        found = os.fstat(fd)
        if not stat.S_ISREG(found.st_mode):
            return []
        start = max(0, found.st_size - LAST_BYTES)
        lines = os.pread(fd, LAST_BYTES, start).decode(errors="replace").splitlines()
        return lines[1 if start and len(lines) > 1 else 0 :][-count:]
    except OSError:
        return []
    finally:
        os.close(fd)


def _environment(view: View, environ: Mapping[str, str]) -> list[str]:
    """Return how the environment now differs from the one it was submitted in."""
    then = view.get("environment")
    if not isinstance(then, dict):
        return []
    from tm.client.jobspec import capture

    now = capture(environ, "ALL", [], str(view.get("cwd") or "/"))
    lines = []
    for word, names in (
        ("new", [name for name in now if name not in then]),
        ("gone", [name for name in then if name not in now]),
        ("other", [name for name in now if name in then and now[name] != then[name]]),
    ):
        shown = [f"{name} (was {then[name][:60]!r})" if word == "other" else name for name in sorted(names)]
        if shown:
            more = f" and {len(shown) - MOST_NAMED} more" if len(shown) > MOST_NAMED else ""
            lines.append(f"{_GAP}{word:<11}{plain(', '.join(shown[:MOST_NAMED]))}{more}")
    return ["the environment here and now", *(lines or [f"{_GAP}is the one it was submitted in"])]


def again(view: View) -> str:
    """Return a line that submits the same again, as it was asked."""
    from tm.model import command_line

    return plain(command_line.again(view))


def _in_brackets(parts: list[str]) -> str:
    return f" ({', '.join(parts)})" if parts else ""


def _numbers(numbers: Any) -> str:
    return ", ".join(map(str, numbers)) if numbers else ""


def _signal_name(signal: Any) -> str:
    import signal as signals

    number = signal_number(signal)
    try:
        return signals.Signals(number).name[3:]
    except ValueError:
        return str(number)

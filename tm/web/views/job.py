"""All that is known of one job: facts, what was asked and used, why it waits, what can be done."""

from __future__ import annotations

import shlex
import signal as signals
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from tm.model import command_line
from tm.model.phase import FINAL
from tm.web.asked import Visitor
from tm.web.render import size, span
from tm.web.views.acts import ACTS, Act
from tm.web.views.jobs import spent

View = Mapping[str, Any]
MOST_HOSTS = 100
MOST_LETTERS = 2000
MOST_EVENTS = 200
MOST_ATTEMPTS = 50
"""A page shows so much of what may be of any length."""
WAITING = ("pending", "held")
ON_HOST = ("starting", "running", "suspended", "unreachable")
_ENDED = frozenset(str(phase) for phase in FINAL)


_SAID = (
    ("hosts", "hosts"), ("exclude", "none of"), ("constraint", "the condition"), ("prefer", "rather"),
)  # fmt: skip
_TOLD = (
    "tasks", "array", "task", "host", "name", "user", "state", "stdout", "stderr", "submitted_at", "started_at",
    "ended_at", "begin", "deadline", "events", "attempts",
)  # fmt: skip


def known(job: View) -> dict[str, Any]:
    """Return *job* with all that a page speaks of; None for what it has not."""
    return {**dict.fromkeys(_TOLD), **job}


def has_ended(job: View) -> bool:
    """Whether *job* has reached its last state."""
    return job.get("state") in _ENDED


def waits(job: View) -> bool:
    """Whether *job* waits, or tasks of it do."""
    return job.get("state") in WAITING or bool((job.get("tasks") or {}).get("waiting"))


# -- asked and used -----------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Usage:
    """What was *asked* of something and how much of it was *used*, in words; *part* is how much that is of what was
    asked, in percent of a bar, None where there is nothing to compare."""

    name: str
    asked: str
    used: str
    part: float | None = None

    @property
    def fill(self) -> str:
        """The class of the bar."""
        return "bad" if self.part is not None and self.part > 95 else "active"


def usages(job: View, now: float, gpus: Iterable[View] = ()) -> list[Usage]:
    """Return what *job* asked for and what it used until its end or *now*; *gpus* are those of its host."""
    seconds, cores, limit = spent(job, now) or 0.0, job.get("cores") or 0, job.get("time")
    memory, rss, cpu = job.get("memory"), job.get("max_rss"), job.get("cpu_seconds")
    busy = cpu / seconds if cpu and seconds else None
    used = "" if busy is None else f"{_busy(busy)} busy on average ({span(cpu)} of processor time)"
    found = [Usage("Cores", str(cores), used, _part(busy, cores))]
    if job.get("tasks"):
        seconds = 0.0
    found += [
        Usage("Memory", size(memory) if memory else "", size(rss) if rss else "", _part(rss, memory)),
        Usage("Time", span(limit) if limit else "", span(seconds) if seconds else "", _part(seconds, limit)),
        _gpus(job, gpus),
        Usage("Read", "", size(job["io_read"]) if job.get("io_read") else ""),
        Usage("Written", "", size(job["io_written"]) if job.get("io_written") else ""),
    ]
    return [one for one in found if one.asked or one.used]


def _gpus(job: View, gpus: Iterable[View]) -> Usage:
    ids = job.get("gpu_ids") or []
    mine = [gpu for gpu in gpus if gpu.get("index") in ids] if job.get("state") == "running" else []
    use = sum(float(gpu.get("use") or 0) for gpu in mine)
    numbers = f"GPU {', '.join(map(str, ids))}" if ids else ""
    used = f"{numbers}: {use:.2g} busy now" if mine else numbers
    return Usage("GPUs", str(job.get("gpus") or ""), used, _part(use, len(ids)) if mine else None)


def _part(used: float | None, asked: float | None) -> float | None:
    return round(min(100.0, 100.0 * used / asked), 1) if used and asked else None


# -- facts --------------------------------------------------------------------------------------------------------


def _busy(cores: float) -> str:
    return f"{cores:.2g}" if cores >= 0.01 else "under 0.01"


def facts(job: View) -> list[tuple[str, str]]:
    """Return what is known of *job* in words, a word and its value each; times are told elsewhere."""
    same = job.get("stderr") == job.get("stdout")
    found = {
        "command": job.get("command"), "folder": job.get("cwd"), "account": job.get("account"),
        "output": job.get("stdout"), "errors": None if same else job.get("stderr"), "input": _asked(job, "stdin"),
        "waits for": job.get("dependency"), "constraint": _asked(job, "constraint"), "prefers": _asked(job, "prefer"),
        "hosts": _list(_asked(job, "hosts")), "not on": _list(_asked(job, "exclude")),
        "licenses": ", ".join(f"{name}:{count}" for name, count in (_asked(job, "consumables") or {}).items()),
        "priority": job.get("priority"), "boost": job.get("boost"), "comment": _asked(job, "comment"),
        "on cores": _list(job.get("cpus")), "process": job.get("pid"), "limits by": job.get("rung"),
        "attempt": job["attempt"] if job.get("attempt", 1) > 1 else None, "held by": job.get("held_by"),
        "suspended by": job.get("suspended_by"), "cancelled by": job.get("cancelled_by"),
        "changed": "; ".join(f"{name} is {_value(name, new)} now" for name, new in (job.get("changed") or {}).items()),
    }  # fmt: skip
    return [(word, cut(str(value))) for word, value in found.items() if value]


def cut(text: str) -> str:
    """Return as much of *text* as a page shows."""
    return text if len(text) <= MOST_LETTERS else f"{text[:MOST_LETTERS]}… ({len(text):,} letters)"


def again(job: View) -> str:
    """Return the line that submits *job* once more, as it was asked, where that is of a length that people copy."""
    line = command_line.again(job)
    return line if len(line) <= 2 * MOST_LETTERS else f"hRunJob --rerun {job.get('id')}"


def _asked(job: View, name: str) -> Any:
    return (job.get("changed") or {}).get(name, (job.get("asked") or {}).get(name))


def _list(values: Any) -> str:
    return ", ".join(map(str, values)) if values else ""


def _value(name: str, value: Any) -> str:
    if name == "memory":
        return size(value)
    if name == "time":
        return span(value) if value else "without limit"
    return str(value)


def ending(job: View) -> str:
    """Return in a sentence how *job* ended, or why it is as it is; empty where there is nothing to say."""
    reason, by = str(job.get("reason") or ""), str(job.get("cancelled_by") or "")
    if not has_ended(job):
        return reason
    if not reason and job.get("cause") == "exit" and job.get("exit_code"):
        return f"the program itself ended with exit code {job['exit_code']}"
    if not reason and job.get("cause") == "signal" and job.get("signal"):
        return f"the signal {signal_name(job['signal'])} ended it"
    reason = reason or str(job.get("cause_text") or "")
    if by and f"by {by}" not in reason:
        reason = f"{reason}; by {by}" if reason else f"by {by}"
    return reason


def code(job: View) -> str:
    """Return the exit code or the signal of *job* in words; empty where it has none."""
    if job.get("signal"):
        return f"signal {signal_name(job['signal'])}"
    return "" if job.get("exit_code") is None or job.get("tasks") else f"exit code {job['exit_code']}"


def signal_name(number: Any) -> str:
    """Return the name of a signal without SIG, or its number."""
    try:
        return signals.Signals(int(number)).name[3:]
    except ValueError:
        return str(number)


def attempt_told(attempt: View) -> str:
    """Return of what an attempt ended."""
    parts = [code(attempt), str(attempt.get("reason") or attempt.get("cause") or "")]
    return ", ".join(part for part in parts if part)


# -- why it waits -------------------------------------------------------------------------------------------------


def why_here(job: View) -> str:
    """Return in a sentence why *job* is where it is; empty for what is nowhere."""
    if not job.get("host") or job.get("tasks"):
        return ""
    values = [(word, _asked(job, name)) for name, word in _SAID]
    said = [f"{word} {_list(value) if isinstance(value, list) else value}" for word, value in values if value]
    said += ["a host for itself"] if _asked(job, "exclusive") else []
    asked = f" It asked for {', '.join(said)}." if said else " It named no hosts and set no condition."
    least = "fewest" if _asked(job, "layout") == "pack" else "most"
    return (
        f"Of the hosts that fitted when its turn came it was sent to the one that it prefers, or else where"
        f" {job.get('user')}'s server runs already, or else to the one with the {least} free cores.{asked}"
    )


def change_typed(change: View | None) -> dict[str, str]:
    """Return the change that would start a job as people type it, by the names of fields."""
    return {name: _typed(name, value) for name, value in (change or {}).items()}


def _typed(name: str, value: Any) -> str:
    if name == "memory":
        return f"{-(-int(value) >> 20)}M"
    if name == "time":
        return f"{int(value)}s"
    if name == "consumables":
        return ",".join(f"{key}:{count}" for key, count in value.items()) or "none"
    text = ",".join(map(str, value)) if isinstance(value, list) else str(value)
    return text if value else "none"


def change_command(number: object, typed: Mapping[str, str]) -> str:
    """Return the command that makes the change *typed*; empty for none."""
    words = [f"{'mem' if name == 'memory' else name}={shlex.quote(text)}" for name, text in typed.items()]
    return f"hRunJob --change {number} {' '.join(words)}" if words else ""


# -- what can be done ---------------------------------------------------------------------------------------------


def acts(job: View, visitor: Visitor) -> list[Act]:
    """Return what *visitor* may do to *job* as it is now."""
    mine = job.get("user") == visitor.user
    if not visitor.may_act or not (mine or visitor.has("jobs")):
        return []
    state, active = job.get("state"), (job.get("tasks") or {}).get("active")
    running = state in ON_HOST or bool(active)
    names = []
    if has_ended(job):
        names = ["rerun"] + (["rerun-failed"] if job.get("tasks") else [])
        return [ACTS[name] for name in names] if mine else []
    if state == "held" or job.get("held_by") or "held" in (job.get("indices") or {}):
        names.append("release")
    if state != "held" and waits(job):
        names.append("hold")
    if state != "suspended" and running:
        names.append("suspend")
    if state == "suspended" or active:
        names.append("resume")
    names += (["signal", "requeue"] if running else []) + ["change", "cancel"] + (["rerun"] if mine else [])
    return [ACTS[name] for name in names]


def shows_output(job: View, visitor: Visitor) -> str:
    """Return why the output of *job* cannot be shown to *visitor*; empty where it can."""
    if job.get("user") != visitor.user:
        return f"Its output is read by the server of {job.get('user')}, and shown to {job.get('user')} alone."
    if job.get("tasks"):
        return "Each task has an output of its own: choose one in the table of its tasks."
    if not (job.get("stdout") or job.get("stderr")):
        return "It was submitted without a file to write to, so there is nothing to be read."
    return ""

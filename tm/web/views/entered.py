"""What people enter about a job: each field with its help, and what reads it; faults are told beside it.

The law: a field means what the option of ``hRunJob`` with its name means, and is refused in the same words.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from tm.model import dates, values
from tm.model.dependency import read_dependency
from tm.model.ids import read_ranges

Reader = Callable[[str], Any]


@dataclass(frozen=True, slots=True)
class Field:
    """A field of a form: its *name* is that of what a request asks; *title* and *help* are for people. *kind* is
    ``text``, ``area``, ``flag``, ``number`` or ``choice`` (of *choices*)."""

    name: str
    title: str
    help: str
    read: Reader
    kind: str = "text"
    choices: tuple[str, ...] = ()
    example: str = ""


def _text(text: str) -> str:
    """Return *text* with the line ends of shells: browsers have others."""
    return text.replace("\r\n", "\n")


def _flag(text: str) -> bool:
    return bool(text)


def _list(text: str) -> list[str]:
    return values.read_hosts(text)


def _array(text: str) -> str:
    read_ranges(text)
    return text


def _dependency(text: str) -> str:
    read_dependency(text)
    return text


def _when(text: str) -> float:
    raise ValueError(f"'{text:.40}' is read with a clock")


_cap = values.read_count(0, 1_000_000, "tasks at once")
_gpus = values.read_count(0, 100_000, "gpus")
_retries = values.read_count(0, 1000, "retries")

FIELDS: Mapping[str, Field] = {
    field.name: field
    for field in (
        Field("command", "Command", "text for the shell; it runs under your account", _text, "area"),
        Field("name", "Name", "what it is called in lists", _text, example="fit"),
        Field("cores", "Cores", "processor cores that it uses at once", values.read_cores, "number", example="1"),
        Field("memory", "Memory", "the most it uses; it is ended beyond: 500M, 4G", values.read_size, example="4G"),
        Field("time", "Wall time", "the longest it runs: 90s, 30m, 1h30m, 2d; a bare number counts minutes",
              values.read_time, example="1h"),
        Field("gpus", "GPUs", "graphics processors for it alone", _gpus, "number", example="0"),
        Field("constraint", "Constraint", "which hosts can run it: gpu and memory>=32G", _text,
              example="gpu and not old"),
        Field("prefer", "Preference", "where it would rather run, the most important first", _text, example="ssd"),
        Field("hosts", "Hosts", "only these: n1,n2 or n[1-4]", _list, example="n1,n2"),
        Field("exclude", "Not on", "never on these hosts", _list, example="n3"),
        Field("exclusive", "Exclusive", "alone on its host", _flag, "flag"),
        Field("layout", "Layout", "to hosts that are empty (spread) or full (pack)", values.read_layout, "choice",
              ("", "spread", "pack")),
        Field("consumables", "Licenses", "things that are counted: matlab:2", values.read_licenses, example="matlab:1"),
        Field("array", "Tasks of an array", "runs once for each of these indices: 0-99, 1,5,7-9:2", _array,
              example="0-99"),
        Field("array_cap", "Tasks at once", "so many run at the same time at most", _cap, "number"),
        Field("cap", "Tasks at once", "so many tasks of the array run at the same time; 0: any number", _cap, "number"),
        Field("dependency", "Waits for", "afterok:17 (it succeeded), afterany:17:18, afternotok:17, singleton",
              _dependency, example="afterok:17"),
        Field("priority", "Priority", "among your own jobs, -1000 to 1000", values.read_priority, "number",
              example="0"),
        Field("boost", "Boost", "before or after the jobs of others, -1000 to 1000", values.read_priority, "number"),
        Field("account", "Account", "the group for which it counts", _text, "choice"),
        Field("cwd", "Working folder", "where it runs; empty: your home folder; ~/ is that, too", _text,
              example="~/work"),
        Field("stdin", "Input from", "a file; empty: none", _text),
        Field("stdout", "Output to", "a file; %j job, %a task, %n name, %h host; empty: tm-%j.out", _text,
              example="tm-%j.out"),
        Field("stderr", "Errors to", "a file; empty: with the output", _text),
        Field("environment", "Environment variables", "NAME=VALUE, a line each; added to those of your own server",
              _text, "area"),
        Field("retries", "Retries", "so many more attempts, when its host fails", _retries, "number", example="0"),
        Field("retry_on", "Retry after", "of what else: any, fail, exit:75, oom, time, signal:KILL, host",
              values.read_retry_on, example="exit:75,oom"),
        Field("begin", "Begin", "not before: now+2h, 18:30, tomorrow, 2026-12-24T18:00, by the clock of the web server",
              _when, example="now+2h"),
        Field("deadline", "Deadline", "in vain after: 18:30, 2026-12-24T18:00", _when),
        Field("notify", "Tell", "a mail address, https://…, or desktop, when it has ended", values.read_addresses,
              example="alice@example.org"),
        Field("notify_on", "Tell of", "end, fail, begin, …; empty: of its end", values.read_mail_types, example="fail"),
        Field("requeue", "May begin anew", "when its host was restarted, or is needed by others", _flag, "flag"),
        Field("hold", "Hold", "it waits until you release it", _flag, "flag"),
        Field("comment", "Comment", "for yourself", _text),
    )
}  # fmt: skip

_EMPTY: Mapping[str, Any] = {
    "hosts": [], "exclude": [], "constraint": "", "prefer": "", "layout": "", "consumables": {}, "begin": 0.0,
    "deadline": 0.0, "dependency": "", "cap": 0, "time": 0.0, "memory": 0,
}  # fmt: skip
"""What ``none`` stands for, where a change takes something away."""


def read(
    typed: Mapping[str, str], names: Iterable[str], now: float, none: bool = False
) -> tuple[dict[str, Any], dict[str, str]]:
    """Return the values of those of *names* that were filled in, by the names of requests, and the faults of the
    others. *none*: this word takes away what there is."""
    found: dict[str, Any] = {}
    faults: dict[str, str] = {}
    for name in names:
        text = typed.get(name, "").strip()
        if not text:
            continue
        if none and text == "none" and name in _EMPTY:
            found[name] = _EMPTY[name]
            continue
        try:
            found[name] = dates.when(text, now) if name in ("begin", "deadline") else FIELDS[name].read(text)
        except ValueError as error:
            faults[name] = str(error)
    return found, faults


def environment(text: str) -> dict[str, str]:
    """Return the variables of lines ``NAME=VALUE``; raise `ValueError` with a sentence."""
    found: dict[str, str] = {}
    for line in text.splitlines():
        name, equals, value = line.partition("=")
        if not line.strip():
            continue
        if not equals or not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", name.strip()):
            raise ValueError(f"'{line:.60}': a variable is written NAME=VALUE")
        found[name.strip()] = value
    return found


# -- what servers refuse ------------------------------------------------------------------------------------------

_BY_CLASS = {
    "host.unknown": "hosts", "feature.unknown": "constraint", "consumable.unknown": "consumables",
    "account.unknown": "account", "job.dependency": "dependency", "limit.environment": "environment",
}  # fmt: skip
_BY_WORD = (
    ("constraint", "constraint"), ("prefer", "prefer"), ("wall time", "time"), ("deadline", "deadline"),
    ("working directory", "cwd"), ("cwd", "cwd"), ("cores", "cores"), ("memory", "memory"), ("gpus", "gpus"),
    ("priority", "priority"), ("retries", "retries"), ("indices", "array"), ("array", "array"), ("index", "array"),
    ("dependency", "dependency"), ("depend", "dependency"), ("address", "notify"), ("notices", "notify_on"),
    ("signal", "signal"), ("command", "command"), ("name", "name"),
)  # fmt: skip


def field_of(word: str, text: str, names: Iterable[str]) -> str:
    """Return beside which field of *names* the refusal of class *word* is told; an empty text: above them all."""
    known = set(names)
    found = _BY_CLASS.get(word, "")
    if not found and word in ("job.invalid", "proto.arguments", "feature.invalid"):
        found = next((name for sign, name in _BY_WORD if sign in text and name in known), "")
    return found if found in known else ""

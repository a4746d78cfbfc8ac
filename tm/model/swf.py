"""Traces in the Standard Workload Format of the Parallel Workloads Archive: a job a line, in 18 numbers.

Lines that begin with ``;`` are the head (``; MaxProcs: 240``) or remarks; -1 stands for what is not known. A line that
makes no sense is an error with its number; a job of which nothing could be replayed is left out and counted.
"""

from __future__ import annotations

import math
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from tm.errors import ConfigError

FIELDS = (
    "job number", "submit time", "wait time", "run time", "processors", "processor time", "memory",
    "requested processors", "requested time", "requested memory", "status", "user", "group", "program", "queue",
    "partition", "preceding job", "think time",
)  # fmt: skip
MOST_COMPLAINTS = 20
MOST = 1e12
_WHOLE = frozenset({0, 4, 7, 10, 11, 12, 13})
_MAY_LACK = frozenset(range(2, len(FIELDS)))
_PARTS = (2, 3, 4)
_HEAD = re.compile(r";\s*([A-Za-z]+)\s*:\s*(.*)")


class TraceJob(NamedTuple):
    """One job of a trace: seconds from its beginning, *asked* its wall time (0: none), *cores* all its processors."""

    number: int
    submitted: float
    run: float
    cores: int
    asked: float
    user: int
    program: int


@dataclass(frozen=True)
class Trace:
    """The *jobs* of a trace by time of submission, what its *head* says, and why jobs were *left_out*, with counts."""

    jobs: list[TraceJob]
    head: Mapping[str, str] = field(default_factory=dict)
    left_out: Mapping[str, int] = field(default_factory=dict)

    @property
    def processors(self) -> int:
        """How many processors the computer of the trace had, as its head says; else as many as its widest job."""
        text = self.head.get("MaxProcs") or self.head.get("MaxNodes") or ""
        return int(text) if text.isascii() and text.isdigit() and int(text) else max(job.cores for job in self.jobs)


def read_trace(lines: Iterable[str], name: str) -> Trace:
    """Return the trace that *lines* are; raise `ConfigError` with a complaint for each line of *name* that is wrong."""
    head: dict[str, str] = {}
    jobs: list[TraceJob] = []
    left_out: dict[str, int] = {}
    complaints: list[str] = []
    known: dict[int, int] = {}
    for at, line in enumerate(lines, 1):
        text = line.strip()
        if text.startswith(";"):
            match = _HEAD.match(text)
            if match is not None:
                head.setdefault(match[1], match[2].strip())
        elif text:
            try:
                values = _numbers(text)
                number = int(values[0])
                if known.setdefault(number, at) != at:
                    raise ValueError(f"job {number} stands on line {known[number]} already")
            except ValueError as error:
                complaints.append(f"{name}:{at}: {error}")
                if len(complaints) == MOST_COMPLAINTS:
                    complaints.append(f"{name}: no more of it was read")
                    break
                continue
            job = _job(values)
            if isinstance(job, str):
                left_out[job] = left_out.get(job, 0) + 1
            else:
                jobs.append(job)
    if complaints:
        raise ConfigError(complaints, "trace.invalid")
    if not jobs:
        raise ConfigError([f"{name}: there is no job in it that could be replayed"], "trace.invalid")
    return Trace(sorted(jobs, key=lambda job: (job.submitted, job.number)), head, left_out)


def _numbers(text: str) -> list[float]:
    """Return the 18 numbers of a line; raise `ValueError` with what is wrong in words."""
    words = text.split()
    if len(words) != len(FIELDS):
        raise ValueError(f"expected {len(FIELDS)} numbers, not {len(words)}")
    return [_number(at, word) for at, word in enumerate(words)]


def _number(at: int, word: str) -> float:
    where = f"field {at + 1} ({FIELDS[at]})"
    try:
        value = float(word) if word.isascii() and "_" not in word else math.nan
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise ValueError(f"{where}: '{word[:40]}' is no number")
    if at in _WHOLE and value != int(value):
        raise ValueError(f"{where}: {word[:40]} is no whole number")
    if value < 0 and not (value == -1 and at in _MAY_LACK):
        raise ValueError(f"{where}: {word[:40]} is below 0{', and not the -1 of what is not known' * (at > 1)}")
    if value > MOST:
        raise ValueError(f"{where}: {word[:40]} is more than anything could be")
    return value


def _job(values: list[float]) -> TraceJob | str:
    """Return the job, or why there is none: *run time* is what its processors were busy where that is not known."""
    number, submitted, _, run, cores, busy, _, asked_cores, asked, _, status, user, _, program, *_ = values
    if status in _PARTS:
        return "parts of jobs that stand there whole, too"
    run = busy if run < 0 else run
    if run < 0:
        return "without a run time"
    width = int(asked_cores if asked_cores > 0 else cores)
    if width < 1:
        return "without processors"
    return TraceJob(int(number), submitted, run, width, max(0.0, asked), int(user), int(program))

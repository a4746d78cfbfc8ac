"""What the web server counts by itself: requests, events, and how long jobs have waited and run.

The law: it is bounded however many jobs there are, and nothing in it names a job or a user.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from tm.model.phase import FINAL
from tm.web.render import seconds_of

WAIT_BOUNDS = (1.0, 5.0, 15.0, 60.0, 300.0, 900.0, 3600.0, 14400.0, 43200.0, 86400.0, 259200.0)
RUN_BOUNDS = (1.0, 10.0, 60.0, 300.0, 900.0, 3600.0, 14400.0, 43200.0, 86400.0, 259200.0, 604800.0)
MOST_JOBS = 100_000
"""So many jobs are remembered that wait, and as many that run; of more the oldest are not counted."""
_STARTED = ("starting", "running")
_ENDED = frozenset(str(phase) for phase in FINAL)


class Histogram:
    """How many values were at most each of *bounds*, and their sum."""

    def __init__(self, bounds: Sequence[float]) -> None:
        self.bounds = bounds
        self.counts = [0] * (len(bounds) + 1)
        self.sum = 0.0

    def observe(self, value: float) -> None:
        """Count *value*, in seconds; a clock that was set back gives none below 0."""
        value = max(0.0, value)
        self.counts[bisect_left(self.bounds, value)] += 1
        self.sum += value

    def buckets(self) -> list[tuple[str, int]]:
        """Return for each bound, written as a number, how many values were at most that; ``+Inf`` comes last."""
        found, total = [], 0
        for bound, count in zip((*(f"{bound:g}" for bound in self.bounds), "+Inf"), self.counts, strict=True):
            total += count
            found.append((bound, total))
        return found


class Meter:
    """Hears the events of the dispatcher and what the site answers."""

    def __init__(self) -> None:
        self.requests: Counter[int] = Counter()
        self.events: Counter[str] = Counter()
        self.ended: Counter[str] = Counter()
        self.wait = Histogram(WAIT_BOUNDS)
        self.run = Histogram(RUN_BOUNDS)
        self._waiting: dict[Any, float] = {}
        self._running: dict[Any, float] = {}

    def answered(self, status: int) -> None:
        """A request was answered with *status*."""
        self.requests[status] += 1

    def heard(self, event: Mapping[str, Any]) -> None:
        """Count an event of the dispatcher."""
        topic = str(event.get("topic"))
        if topic not in ("jobs", "hosts", "log"):
            return
        self.events[topic] += 1
        at = seconds_of(event.get("at")) if topic == "jobs" else None
        if at is not None and "tasks" in event:
            self._array(event.get("id"), str(event.get("state")), at)
        elif at is not None:
            self._job(event, str(event.get("state")), at)

    def _array(self, array: Any, state: str, at: float) -> None:
        """An array waits for its tasks, which are counted each by itself; it runs as long as they do."""
        if state == "pending":
            _remember(self._waiting, array, at)
        elif state == "held" or state in _ENDED:
            self._waiting.pop(array, None)

    def _job(self, event: Mapping[str, Any], state: str, at: float) -> None:
        job = event.get("id")
        if state == "pending":
            self._running.pop(job, None)
            _remember(self._waiting, job, at)
        elif state == "held":
            self._waiting.pop(job, None)
        elif state in _STARTED:
            began = self._waiting.pop(job, None)
            if job not in self._running:
                began = self._waiting.get(event.get("array")) if began is None else began
                if began is not None:
                    self.wait.observe(at - began)
            if state == "running" or job not in self._running:
                _remember(self._running, job, at, anew=True)
        elif state in _ENDED:
            self._waiting.pop(job, None)
            self.ended[state] += 1
            started = self._running.pop(job, None)
            if started is not None:
                self.run.observe(at - started)


def _remember(known: dict[Any, float], job: Any, at: float, anew: bool = False) -> None:
    """Note that *job* is so since *at*, or since it was noted; *anew*: since *at* in any case."""
    if anew:
        known[job] = at
    else:
        known.setdefault(job, at)
    if len(known) > MOST_JOBS:
        del known[next(iter(known))]

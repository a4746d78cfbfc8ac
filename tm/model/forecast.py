"""Expected starts as ranges, for every waiting job: a picture of what comes next, and how true such pictures were.

The law: a picture serves all who ask within `FRESH_SECONDS`, whoever they ask about, and longer where it costs more
(`FRESH_FOR_EACH` host and class), so that asking costs little, however often. What was said of some jobs is remembered
until they start, and judged by that.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple, Protocol

from tm.model.families import Families
from tm.model.job import Job
from tm.model.outlook import Outlook, Stage
from tm.model.queue import JobClass
from tm.model.ranges import Ranges
from tm.model.score import Order

FRESH_SECONDS = 10.0
FRESH_FOR_EACH = 0.02
MOST_REMEMBERED = 2000
SAMPLE_SECONDS = 60.0
SAMPLED = 8
FARTHEST = 10 * 366 * 86400.0


class _Deciding(Protocol):
    order: Order


class Expected(NamedTuple):
    """When a job starts: from *earliest* to *latest*, most likely at *guess* (seconds since the epoch)."""

    earliest: float
    guess: float
    latest: float


class Forecaster:
    """Says when the waiting jobs of *stage* start, and learns from when they did."""

    def __init__(self, stage: Stage, scheduler: _Deciding, families: Families, always: bool = False) -> None:
        """With *always* every picture is a new one."""
        self._stage = stage
        self._scheduler = scheduler
        self._families = families
        self._always = always
        self._ends: dict[int, float] = {}
        self._outlook: Outlook | None = None
        self._seen_at = -math.inf
        self._said: dict[int, tuple[float, float]] = {}
        self._sampled_at = -math.inf
        self._turn = 0
        self.ranges = Ranges()

    def expected(self, number: int, at: float, last: bool = False) -> Expected | None:
        """Return when the job or task *number* starts, of an array its first task, or its *last*.

        None where nobody can say: it waits for something else than its turn, or no host would take it.
        """
        found = self._stage.queue.before(number)
        if found is None:
            return None
        kind, ahead = found
        tasks = self._stage.jobs[number].tasks if last and number in self._stage.jobs else None
        line = self._picture(at).lines.get(kind)
        wait = line.when(ahead + (max(0, tasks.waiting - 1) if tasks is not None else 0)) if line is not None else 0.0
        if not math.isfinite(wait):
            return None
        wait = min(max(0.0, wait - (at - self._seen_at)), FARTHEST)
        shortest, longest = self.ranges.around(wait)
        return Expected(at + shortest, at + wait, at + longest)

    def waits(self, kind: JobClass, at: float) -> Callable[[int], float]:
        """Return what says in how many seconds, most likely, a job of *kind* starts that has so many before it there.

        Without end where nobody can say.
        """
        line, past = self._picture(at).lines.get(kind), at - self._seen_at
        return (lambda ahead: math.inf) if line is None else (lambda ahead: max(0.0, line.when(ahead) - past))

    def remember(self, number: int, expected: Expected, at: float) -> None:
        """What was said *at* that time of *number* is to be judged when it starts; the oldest of too many is not."""
        if len(self._said) >= MOST_REMEMBERED:
            del self._said[next(iter(self._said))]
        self._said[number] = at, expected.guess - at

    def sample(self, at: float) -> None:
        """Said about once a second: see, not often, when some of the waiting are expected, so as to learn from it."""
        if at - self._sampled_at < SAMPLE_SECONDS or not self._stage.queue:
            return
        self._sampled_at = at
        queue, jobs = self._stage.queue, self._stage.jobs
        kinds = list(queue.kinds)
        self._turn += SAMPLED
        for place in range(min(SAMPLED, len(kinds))):
            number = queue.newest(kinds[(self._turn + place) % len(kinds)])
            job = jobs.get(number)
            if job is None or job.tasks is not None or number in self._said:
                continue
            expected = self.expected(number, at)
            if expected is not None:
                self.remember(number, expected, at)

    def began(self, number: int, at: float) -> bool | None:
        """*number* starts: return whether that is within what was said of it; None: nothing was."""
        said = self._said.pop(number, None)
        return None if said is None else self.ranges.learned(said[1], at - said[0])

    def _picture(self, at: float) -> Outlook:
        fresh = FRESH_SECONDS + FRESH_FOR_EACH * (len(self._stage.hosts) + len(self._stage.queue.kinds))
        if self._outlook is None or self._always or not 0 <= at - self._seen_at < fresh:
            self._ends = {
                job.id: self._end(job, at)
                for host in self._stage.hosts.values()
                for session in host.sessions.values()
                for job in session.occupying.values()
            }
            self._outlook = Outlook(self._stage, self._scheduler.order, self._ends, self._lasting, at)
            self._seen_at = at
        return self._outlook

    def _end(self, job: Job, at: float) -> float:
        """Return when *job*, which runs, is likely to be over; looked up anew only when it has outlived that."""
        known = self._ends.get(job.id)
        if known is not None and known > at:
            return known
        began = at if job.started_at is None else job.started_at
        end = began + self._lasting(job, 0.0)
        return end if end > at else began + max(self._lasting(job, at - began), at - began + 1.0)

    def _lasting(self, job: Job, ran: float) -> float:
        return self._families.estimate(job, ran).likely

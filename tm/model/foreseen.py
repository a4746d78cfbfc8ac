"""What would have been said to the users of a trace of when their jobs start, and how often it would have been true."""

from __future__ import annotations

from tm.model.forecast import Expected, Forecaster
from tm.model.hall import Hall
from tm.model.job import Job
from tm.model.replay import Replay


class Foreseen:
    """Watches a replay: asks for the range of every job that cannot start when it is submitted, and judges it.

    *waited* is how many jobs had to wait, *held* how many of them began within their range, *widths* how wide the
    ranges were, in seconds.
    """

    def __init__(self) -> None:
        self.waited = self.held = 0
        self.widths: list[float] = []
        self._forecaster: Forecaster | None = None
        self._replay: Replay | None = None

    def watches(self, replay: Replay) -> None:
        """Let *replay* be watched."""
        self._replay = replay
        self._forecaster = Forecaster(replay.hall, replay.hall.scheduler, replay.families, always=True)
        replay.watcher = self

    @property
    def share(self) -> float | None:
        """The part of those that waited of whom the truth was said; None where nobody waited."""
        return self.held / self.waited if self.waited else None

    @property
    def width(self) -> float | None:
        """The width that half of the ranges had at most, in seconds."""
        return sorted(self.widths)[len(self.widths) // 2] if self.widths else None

    def waits(self, job: Job, hall: Hall, at: float) -> None:
        """Say when *job* will have begun."""
        assert self._forecaster is not None
        expected: Expected | None = self._forecaster.expected(job.id, at, last=True)
        self.waited += 1
        if expected is not None:
            self._forecaster.remember(job.id, expected, at)
            self.widths.append(expected.latest - expected.earliest)

    def began(self, job: Job, at: float) -> None:
        """See whether that was so."""
        assert self._forecaster is not None
        self.held += bool(self._forecaster.began(job.id, at))

"""Moves jobs that ended long ago out of the dispatcher's store: a few at a time, so that nobody waits for it."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Protocol

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.logger import Logger
from twisted.python.failure import Failure

from tm.errors import StoreError
from tm.ports import JobStore, Worker

_log = Logger()

FIRST_AFTER = 300.0
EVERY = 6 * 3600.0
NEXT_AFTER = 2.0


class _Around(Protocol):
    @property
    def clock(self) -> IReactorTime: ...

    @property
    def store(self) -> JobStore: ...

    @property
    def writer(self) -> Worker: ...


def begin_of(months: int, now: float) -> float:
    """Return when the month began that lies *months* before that of *now* (seconds since the epoch, UTC)."""
    day = datetime.fromtimestamp(now, UTC)
    count = day.year * 12 + day.month - 1 - months
    return datetime(count // 12, count % 12 + 1, 1, tzinfo=UTC).timestamp()


class Archiving:
    """Keeps the present month and so many whole *months* before it in the store; 0 months: everything."""

    def __init__(self, around: _Around) -> None:
        self._around = around
        self._call: IDelayedCall | None = None
        self.months = 0

    def begin(self, months: int) -> None:
        """Keep *months*; look for what is older from now on."""
        self.months = months
        self._later(FIRST_AFTER)

    def keep(self, months: int) -> None:
        """Keep so many *months* from now on."""
        if months != self.months:
            self.begin(months)

    def end(self) -> None:
        """Look no more."""
        if self._call is not None and self._call.active():
            self._call.cancel()
        self._call = None

    def _later(self, seconds: float) -> None:
        self.end()
        if self.months > 0:
            self._call = self._around.clock.callLater(seconds, self._take)

    def _take(self) -> None:
        before = begin_of(self.months, self._around.clock.seconds())
        done: Deferred[int] = self._around.writer.run(lambda: self._around.store.archive(before))
        done.addCallbacks(self._taken, self._failed)

    def _taken(self, moved: int) -> None:
        if moved:
            _log.info("{moved} jobs went to the archive", event="archived", moved=moved)
        self._later(NEXT_AFTER if moved else EVERY)

    def _failed(self, failure: Failure) -> None:
        failure.trap(StoreError)
        _log.error("nothing archived: {reason}", event="archive", reason=failure.getErrorMessage())
        self._later(EVERY)

"""The dispatcher's turns: what the brain wants is gathered, made durable, and only then told.

While one commit runs, everything that happens joins the next. An idle dispatcher waits for nothing. When a commit fails
nothing of it has been told, the brain is ahead of the store, and whoever owns this is told to begin anew.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.python.failure import Failure

from tm import failpoint
from tm.errors import StoreError
from tm.model.audit import Change
from tm.model.brain import Brain
from tm.model.effects import Effects, Notice, Records
from tm.ports import JobStore, Worker

BRIEF = 32
"""So many jobs make a commit that hardly takes longer than the disk alone."""

Told = tuple[Deferred[Any], object]


class Turns:
    """Moves effects from one brain into one store and on to *tell*."""

    def __init__(
        self,
        brain: Brain,
        store: JobStore,
        worker: Worker,
        clock: IReactorTime,
        tell: Callable[[Effects], None],
        failed: Callable[[StoreError], None],
    ) -> None:
        self._brain = brain
        self._store = store
        self._worker = worker
        self._clock = clock
        self._tell = tell
        self._failed = failed
        self._pending = Effects()
        self._answers: list[Told] = []
        self._turn_due = False
        self._committing = False
        self._over: StoreError | None = None

    def happened(self) -> None:
        """Something was said to the brain: take its effects at the end of this turn of the reactor."""
        if not self._turn_due:
            self._turn_due = True
            self._clock.callLater(0, self._turn)

    def record(self, change: Change, notices: Iterable[Notice] = ()) -> None:
        """Write *change* into the audit log with all that happens now, and tell *notices* once it is durable."""
        self._pending.records.changes.append(change)
        self._pending.notices += notices
        self.happened()

    def note(self, records: Records) -> None:
        """Write *records* down with all that happens now."""
        self._pending.records.absorb(records)
        self.happened()

    def remember(self, configuration: str) -> None:
        """Write down, with all that happens now, how the *configuration* is (JSON)."""
        self._pending.records.known = configuration
        self.happened()

    def durable(self, value: object) -> Deferred[Any]:
        """Return *value* once all that has happened until now is durable; fail with `StoreError` if it cannot be."""
        answer: Deferred[Any] = Deferred()
        self._answers.append((answer, value))
        self.happened()
        return answer

    def _turn(self) -> None:
        self._turn_due = False
        if self._over is not None:
            self._fail(self._answers, self._over)
            return
        self._brain.place(self._clock.seconds())
        self._pending.absorb(self._brain.take())
        if self._brain.scheduler.unfinished:
            self.happened()
        if not self._committing:
            self._flush()

    def _flush(self) -> None:
        if not (self._pending or self._answers):
            return
        effects, self._pending = self._pending, Effects()
        answers, self._answers = self._answers, []
        if not effects.records:
            self._done(effects, answers)
            return
        self._committing = True
        batch = self._store.prepare(effects.records)
        failpoint.reach("dispatcher.commit")
        brief = len(effects.records.new) + len(effects.records.changed) <= BRIEF
        done = self._worker.run(lambda: self._store.commit(batch), brief)
        done.addCallbacks(lambda _: self._committed(effects, answers), lambda failure: self._broken(failure, answers))

    def _committed(self, effects: Effects, answers: list[Told]) -> None:
        failpoint.reach("dispatcher.committed")
        self._committing = False
        self._done(effects, answers)
        if not self._turn_due:
            self._flush()

    def _done(self, effects: Effects, answers: list[Told]) -> None:
        for answer, value in answers:
            answer.callback(value)
        failpoint.reach("dispatcher.answered")
        self._tell(effects)
        failpoint.reach("dispatcher.told")

    def _broken(self, failure: Failure, answers: list[Told]) -> None:
        self._over = (
            failure.value
            if isinstance(failure.value, StoreError)
            else StoreError("store.io", f"the store failed: {failure.getErrorMessage()}")
        )
        self._fail(answers, self._over)
        self._fail(self._answers, self._over)
        self._failed(self._over)

    @staticmethod
    def _fail(answers: list[Told], error: StoreError) -> None:
        waiting = answers[:]
        answers.clear()
        for answer, _ in waiting:
            answer.errback(error)

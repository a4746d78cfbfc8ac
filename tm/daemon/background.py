"""The one way to start something nobody waits for: its failure is logged, never lost."""

from __future__ import annotations

from collections.abc import Coroutine

from twisted.internet.defer import Deferred
from twisted.logger import Logger
from twisted.python.failure import Failure

from tm.errors import TaskManagerError

_log = Logger()


def start(work: Coroutine[Deferred[object], object, object] | Deferred[object], what: str) -> None:
    """Let *work* run; *what* names it in the log should it fail."""
    running = work if isinstance(work, Deferred) else Deferred.fromCoroutine(work)

    def failed(failure: Failure) -> None:
        if failure.check(TaskManagerError):
            _log.warn("{what}: {text}", event="failed", what=what, text=failure.getErrorMessage())
        else:
            _log.failure("{what} failed", failure=failure, event="internal", what=what)

    running.addErrback(failed)

"""One thread that makes things durable, one batch after the other; the reactor never waits for a disk."""

from __future__ import annotations

import queue
import threading
from collections.abc import Callable

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorFromThreads
from twisted.python.failure import Failure


class Committer:
    """Runs blocking *work* in its one thread, in order; the outcome comes back in the reactor."""

    def __init__(self, reactor: IReactorFromThreads, name: str) -> None:
        self._reactor = reactor
        self._work: queue.SimpleQueue[tuple[Callable[[], object], Deferred[object]] | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._thread.start()

    def run(self, work: Callable[[], object]) -> Deferred[object]:
        """Return what *work* returns or raises, once the thread has done it."""
        done: Deferred[object] = Deferred()
        self._work.put((work, done))
        return done

    def stop(self) -> None:
        """Finish what was asked and end the thread."""
        self._work.put(None)
        self._thread.join()

    def _run(self) -> None:
        while True:
            item = self._work.get()
            if item is None:
                return
            work, done = item
            try:
                result: object = work()
            except Exception:  # noqa: BLE001  handed to whoever asked for the work
                result = Failure()
            self._reactor.callFromThread(done.callback, result)

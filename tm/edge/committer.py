"""Makes things durable, one batch after the other; the reactor never waits for a slow disk.

Handing work to the thread and its outcome back costs more than a quick disk takes to flush a few lines. So *brief*
work is done at once, in the reactor, as long as nothing is before it and the disk has proved quick; after one piece
that took long, `PROBATION` pieces have to be quick in the thread before the reactor does one again.
``docs/decisions/0021-brief-commits-in-the-reactor.md`` says why.
"""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorFromThreads
from twisted.python.failure import Failure

QUICK_SECONDS = 0.005
PROBATION = 20

Work = Callable[[], object]


class Committer:
    """Runs blocking *work* in its one thread, in order; the outcome comes back in the reactor.

    *clock* gives seconds and never goes back.
    """

    def __init__(
        self, reactor: IReactorFromThreads, name: str, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._reactor = reactor
        self._clock = clock
        self._probation = PROBATION
        self._unfinished = 0
        self._work: queue.SimpleQueue[tuple[Work, bool, Deferred[object]] | None] = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._thread.start()

    def run(self, work: Work, brief: bool = False) -> Deferred[object]:
        """Return what *work* returns or raises, once it is done: in the thread, or, if *brief*, maybe at once."""
        done: Deferred[object] = Deferred()
        if brief and not self._unfinished and not self._probation:
            self._finish(done, brief, *self._do(work))
        else:
            self._unfinished += 1
            self._work.put((work, brief, done))
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
            work, brief, done = item
            self._reactor.callFromThread(self._finished, done, brief, *self._do(work))

    def _do(self, work: Work) -> tuple[object, float]:
        """Return what came of *work* and the seconds it took."""
        begin = self._clock()
        try:
            result = work()
        except Exception:  # noqa: BLE001  handed to whoever asked for the work
            result = Failure()
        return result, self._clock() - begin

    def _finished(self, done: Deferred[object], brief: bool, result: object, seconds: float) -> None:
        self._unfinished -= 1
        self._finish(done, brief, result, seconds)

    def _finish(self, done: Deferred[object], brief: bool, result: object, seconds: float) -> None:
        if brief:
            self._probation = PROBATION if seconds > QUICK_SECONDS else max(0, self._probation - 1)
        done.callback(result)

"""Parts around a dispatcher under test: a worker whose work is done by hand, and peers that note what they are told."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from twisted.internet.defer import Deferred
from twisted.python.failure import Failure

from tm.errors import TaskManagerError
from tm.wire.message import Reply


class HandWorker:
    """A `Worker` whose work waits until the test does it."""

    def __init__(self) -> None:
        self.waiting: list[tuple[Callable[[], Any], Deferred[Any]]] = []
        self.brief: list[bool] = []
        self.broken: Exception | None = None

    def run(self, work: Callable[[], Any], brief: bool = False) -> Deferred[Any]:
        done: Deferred[Any] = Deferred()
        self.waiting.append((work, done))
        self.brief.append(brief)
        return done

    def work(self) -> int:
        """Do what waits; return how much that was. While *broken* all of it fails so."""
        waiting, self.waiting = self.waiting, []
        for work, done in waiting:
            try:
                if self.broken is not None:
                    raise self.broken
                result = work()
            except Exception:  # noqa: BLE001  handed to whoever asked for the work
                done.errback(Failure())
            else:
                done.callback(result)
        return len(waiting)


class ReadyWorker:
    """A `Worker` that does its work at once."""

    def run(self, work: Callable[[], Any], brief: bool = False) -> Deferred[Any]:
        done: Deferred[Any] = Deferred()
        try:
            done.callback(work())
        except Exception:  # noqa: BLE001  handed to whoever asked for the work
            done.errback(Failure())
        return done


def refusal(failure: Failure) -> Reply:
    """Return how a failed answer leaves on a connection."""
    failure.trap(TaskManagerError)
    error = failure.value
    assert isinstance(error, TaskManagerError)
    return Reply(error.text, word=error.word)


class NotedPeer:
    """A `Peer` that notes what it is told."""

    def __init__(self, user: str = "alice") -> None:
        self.user = user
        self.fingerprint = f"fingerprint of {user}"
        self.told: list[dict[str, Any]] = []
        self.bulks: list[tuple[int, bytes]] = []
        self.aborted = False
        self.held = False
        self.kept = False
        self.patient = False
        self.congestion: Callable[[bool], None] = lambda choked: None
        self._closers: list[Callable[[], object]] = []

    def send_event(self, json_text: bytes) -> None:
        self.told.append(json.loads(json_text))

    def send_bulk(self, channel: int, data: bytes) -> None:
        self.bulks.append((channel, data))

    def on_close(self, callback: Callable[[], object]) -> None:
        self._closers.append(callback)

    def abort(self) -> None:
        self.aborted = True

    def keep(self) -> None:
        self.kept = True

    def wait_for_ever(self) -> None:
        self.patient = True

    def hold(self, held: bool) -> None:
        self.held = held

    def on_congestion(self, callback: Callable[[bool], None]) -> None:
        self.congestion = callback
        callback(False)

    def lost(self) -> None:
        """The connection is gone."""
        closers, self._closers = self._closers, []
        for callback in closers:
            callback()

    def heard(self, topic: str) -> list[dict[str, Any]]:
        """Return what it was told of *topic*."""
        return [line for line in self.told if line.get("topic") == topic]

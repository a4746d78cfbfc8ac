"""One visit of a job on this host: its connection to the user's server, on which it happens."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from typing import Protocol as Promise

import msgspec
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime, IReactorUNIX
from twisted.python.failure import Failure

from tm.edge.link import ClientLink, Dialler
from tm.errors import TaskManagerError
from tm.model.lifecycle import Fact
from tm.wire.frames import Bulk

Key = tuple[int, int]

HANG_UP_SECONDS = 1.0


class Reactor(IReactorUNIX, IReactorTime):  # type: ignore[misc]  # two interfaces of one reactor
    """What visits need of the reactor."""


class Around(Promise):
    """What a visit is given."""

    reactor: Reactor
    host: str
    dialler: Callable[[Any], Dialler]

    def forget(self, stream: Stream) -> None:
        """*stream* has parted."""


class Stream:
    """Visit *number* of an attempt: its connection to the user's server, on which *visit* happens once it is there."""

    def __init__(self, streams: Around, key: Key, number: int) -> None:
        self.key = key
        self.number = number
        self.streams = streams
        self.link: ClientLink | None = None
        self._dialler: Dialler | None = None
        self._over = False

    def dial(self) -> None:
        """Connect to the user's server, once."""
        self._dialler = self.streams.dialler(self)
        self._dialler.start()

    # -- Listener -------------------------------------------------------------------------------------------------

    def link_up(self, link: ClientLink, greeting: str) -> None:
        """Connected: say whose visit this is."""
        self.link = link
        rest = f"{self.key[0]}:{self.number}" if self.number else str(self.key[0])
        link.ask("stream", rest).addCallbacks(lambda reply: self._answered(reply.ok), self._unanswered)

    def _answered(self, good: bool) -> None:
        if self._over:
            return
        if good:
            self.begin()
        else:
            self.link_down("nobody waits for it")

    def _unanswered(self, failure: Failure) -> None:
        failure.trap(TaskManagerError)
        self.link_down(failure.getErrorMessage())

    def link_down(self, reason: str) -> None:
        """The connection is lost, or could not be made: so ends the visit."""
        self.link = None
        if not self._over:
            self._over = True
            self.left()
            self._hang_up()

    def event(self, link: ClientLink, json: bytes) -> None:
        """The client has a wish."""

    def bulk(self, link: ClientLink, data: Bulk) -> None:
        """The client's input."""

    # -- what a visit is ------------------------------------------------------------------------------------------

    def begin(self) -> None:
        """The client is there."""

    def left(self) -> None:
        """The client is gone, or will never come."""

    def ended(self, fact: Fact) -> None:
        """The attempt has ended."""

    def say(self, **shown: object) -> None:
        """Say how it is."""
        if self.link is not None and not self._over:
            line = msgspec.json.encode(shown).decode().replace("\x7f", "\\u007f")
            said: Deferred[Any] = self.link.ask("runstate", line)
            said.addErrback(lambda failure: failure.trap(TaskManagerError) and None)

    def close(self, **shown: object) -> None:
        """Say how it is at last, and part."""
        if not self._over:
            self.say(**shown)
            self._over = True
            if self.link is not None and self.link.transport is not None:
                self.link.transport.unregisterProducer()
            self.streams.reactor.callLater(HANG_UP_SECONDS, self._hang_up)

    def _hang_up(self) -> None:
        self.streams.forget(self)
        if self._dialler is not None:
            dialler, self._dialler = self._dialler, None
            dialler.stop()

    @property
    def is_over(self) -> bool:
        """Whether it has parted."""
        return self._over

"""Who reads a stream of events, and what of all events they may hear."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable
from typing import Protocol

from twisted.internet.interfaces import IReactorTime

from tm.model.rights import TOPICS, permitted
from tm.web.asked import Visitor

Audience = tuple[tuple[str, str], ...]
"""Topics, each with the user whose events alone are heard, or with an empty name for all."""


class Sender(Protocol):
    """What a reader needs of the `tm.web.hub.Hub`: the number up to which all who keep up have heard."""

    clock: IReactorTime
    flushed: int

    def flush_soon(self) -> None:
        """Send what has changed."""

    def leave(self, reader: Reader) -> None:
        """Forget *reader*."""


class Reader:
    """A stream to a browser: *send* takes bytes, *close* ends it (at once when told True)."""

    __slots__ = ("address", "audience", "behind", "close", "hub", "seen_by", "send", "stuck", "topics", "visitor")

    def __init__(
        self, hub: Sender, visitor: Visitor, address: str, topics: tuple[str, ...], send: Callable[[bytes], object],
        close: Callable[[bool], object],
    ) -> None:  # fmt: skip
        self.hub = hub
        self.address = address
        self.topics = topics
        self.now(visitor)
        self.send = send
        self.close = close
        self.behind: int | None = None
        self.stuck: float | None = None

    def now(self, visitor: Visitor) -> None:
        """It reads for *visitor*."""
        self.visitor = visitor
        self.audience = audience(visitor, self.topics)
        self.seen_by = seen_by(visitor)

    def pause(self) -> None:
        """The browser does not keep up: nothing more is sent to it, and nothing kept for it."""
        if self.stuck is None:
            self.stuck = self.hub.clock.seconds()
        if self.behind is None:
            self.behind = self.hub.flushed

    def go_on(self) -> None:
        """The browser has taken what it was sent."""
        self.stuck = None
        self.hub.flush_soon()

    def gone(self) -> None:
        """The stream has ended."""
        self.hub.leave(self)


def audience(visitor: Visitor, topics: Iterable[str]) -> Audience:
    """Return what of *topics* *visitor* may hear; what is not the dispatcher's is for everybody."""
    heard = []
    for topic in topics:
        if topic not in TOPICS or permitted(TOPICS, topic, visitor.rights, own=False):
            heard.append((topic, ""))
        elif permitted(TOPICS, topic, visitor.rights, own=True):
            heard.append((topic, visitor.user))
    return tuple(heard)


def seen_by(visitor: Visitor) -> str:
    """Return a word for what decides what pages show to *visitor*; ids given for another word do not count."""
    decides = (visitor.user, visitor.may, sorted(visitor.rights), sorted(visitor.groups))
    return hashlib.sha256(repr(decides).encode()).hexdigest()[:8]

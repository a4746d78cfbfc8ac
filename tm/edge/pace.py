"""How fast and how many: a server takes in no more connections at once than it can shake hands with, and no more in all
than it has descriptors for.

After a restart everybody comes back at the same moment. Whoever is taken in then and waits too long for the handshake
is lost, and so is the work for it; who is not taken in yet waits in the queue of the system, which costs nothing. So
nothing is accepted while `MOST_AT_ONCE` handshakes are under way. Who has not said anything yet is not counted, and one
that does not proceed for no longer than `YOUNG_SECONDS`: silence must not keep others out.
"""

from __future__ import annotations

import resource
from typing import Protocol

from twisted.internet.interfaces import IDelayedCall, IReactorTime

MOST_AT_ONCE = 64
YOUNG_SECONDS = 1.0
KEPT_BACK = 256
"""Descriptors for the store, logs, configuration and programs that a server starts; a quarter where there are few."""


class Accepting(Protocol):
    """A listening port of the reactor."""

    connected: bool
    disconnecting: bool
    numberAccepts: int  # noqa: N815  Twisted's name

    def startReading(self) -> None:  # noqa: N802  Twisted's name
        """Accept connections."""

    def stopReading(self) -> None:  # noqa: N802  Twisted's name
        """Accept none for now."""


def most_connections() -> int:
    """Return how many connections the descriptors allow that this process may have."""
    soft = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    return 1 << 30 if soft == resource.RLIM_INFINITY else soft - min(KEPT_BACK, soft // 4)


class Pace:
    """Has a port accept as fast as handshakes are done."""

    def __init__(self, clock: IReactorTime) -> None:
        self._clock = clock
        self._port: Accepting | None = None
        self._under_way: dict[object, float] = {}
        self._again: IDelayedCall | None = None

    def steer(self, port: Accepting) -> None:
        """Let this be the port."""
        self._port = port

    def came(self, who: object) -> None:
        """The handshake with *who* begins."""
        self._under_way[who] = self._clock.seconds()
        self._look()

    def done(self, who: object) -> None:
        """It is over, well or not; once told of it is enough."""
        if self._under_way.pop(who, None) is not None:
            self._look()

    def _look(self) -> None:
        """Accept, or not, as so many are under way."""
        port = self._port
        if port is None:
            return
        old = self._clock.seconds() - YOUNG_SECONDS
        while self._under_way:
            first = next(iter(self._under_way))
            if self._under_way[first] > old:
                break
            del self._under_way[first]
        if self._again is None and len(self._under_way) >= MOST_AT_ONCE:
            port.stopReading()
            self._again = self._clock.callLater(YOUNG_SECONDS, self._in_time)
        elif self._again is not None and len(self._under_way) <= MOST_AT_ONCE // 2:
            self._again.cancel()
            self._open(port)

    def _in_time(self) -> None:
        if self._port is not None:
            self._open(self._port)

    def _open(self, port: Accepting) -> None:
        self._again = None
        if port.connected and not port.disconnecting:
            port.numberAccepts = MOST_AT_ONCE // 2
            port.startReading()

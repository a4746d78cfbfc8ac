"""Who is let in: how many connections a server takes, from one address, of one user, of people it does not know yet.

Nothing here knows what is said over them; `tm.edge.connection` does, and tells its `Door` how each goes on.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from typing import Any

from twisted.internet.interfaces import IReactorTime
from twisted.internet.protocol import Factory
from twisted.logger import Logger
from typing_extensions import override

from tm.edge.connection import Conversation, Door, ServerConnection
from tm.edge.pace import Accepting, Pace, most_connections
from tm.errors import RefusedError
from tm.ports import Peer

MOST_PER_ADDRESS = 64
MOST_PER_LOOPBACK = 1024
COMPLAIN_EVERY = 60.0
MOST_STRANGERS = 1200
"""So many connections may be on their way to a greeting; each takes some 50 KiB then."""

_log = Logger()


class ServerFactory(Factory, Door):
    """Makes the connections of one server and bounds them: per address those that nobody knows, per user and address
    those that have been greeted, in all as descriptors allow. Where too many are unknown, the longest there goes."""

    noisy = False

    def __init__(self, conversation: Conversation, clock: IReactorTime) -> None:
        self._conversation = conversation
        self._clock = clock
        self._per_address: Counter[str] = Counter()
        self._per_user: Counter[tuple[str, str]] = Counter()
        self._strangers: dict[ServerConnection, None] = {}
        self._pace = Pace(clock)
        self._most = most_connections()
        self._complained = float("-inf")
        self.connections: set[ServerConnection] = set()

    def steer(self, port: Any) -> Any:
        """Accept by *port*, which is returned, no faster than handshakes are done."""
        accepting: Accepting = port
        self._pace.steer(accepting)
        return port

    @override
    def buildProtocol(self, addr: object) -> ServerConnection | None:
        host = getattr(addr, "host", "")
        if self._per_address[host] >= _most_from(host):
            _log.warn("too many connections from {host}", event="cut", host=host)
            return None
        if not self._has_room():
            return None
        self._per_address[host] += 1
        connection = ServerConnection(self._conversation, self._clock, self, host)
        self.connections.add(connection)
        self._strangers[connection] = None
        if len(self._strangers) > MOST_STRANGERS:
            longest = next(iter(self._strangers))
            del self._strangers[longest]
            longest.abort()
        return connection

    @override
    def speaks(self, connection: ServerConnection) -> None:
        self._pace.came(connection)

    @override
    def known(self, connection: ServerConnection) -> None:
        self._no_stranger(connection)
        connection.is_known = True
        key, most = (connection.host, connection.user), _most_from(connection.host)
        self._per_user[key] += 1
        if self._per_user[key] > most:
            raise RefusedError(
                "limit.connections", f"{connection.user} has {most} connections from {key[0]} already; close some"
            )

    @override
    def gone(self, connection: ServerConnection) -> None:
        self.connections.discard(connection)
        if connection.is_known:
            _one_less(self._per_user, (connection.host, connection.user))
        else:
            self._no_stranger(connection)

    def _no_stranger(self, connection: ServerConnection) -> None:
        self._strangers.pop(connection, None)
        self._pace.done(connection)
        _one_less(self._per_address, connection.host)

    def _has_room(self) -> bool:
        """Whether one more connection leaves the descriptors that the server itself needs; complain in time."""
        count, most, now = len(self.connections), self._most, self._clock.seconds()
        if count >= most * 4 // 5 and now - self._complained >= COMPLAIN_EVERY:
            self._complained = now
            _log.error(
                "{count} connections are open, of {most} that its descriptors allow; raise the limit of the system "
                "(ulimit -Hn, LimitNOFILE= of its service) and start it again",
                event="descriptors", count=count, most=most,
            )  # fmt: skip
        return count < most

    def cut(self, users: Callable[[str], bool]) -> None:
        """Abort the connections of all users that *users* picks."""
        self.cut_peers(lambda peer: users(peer.user))

    def cut_peers(self, picked: Callable[[Peer], bool]) -> None:
        """Abort all connections that have been greeted and that *picked* picks."""
        for connection in list(self.connections):
            if connection.user and picked(connection):
                connection.abort()


def _most_from(host: str) -> int:
    loopback = not host or host.startswith("127.") or host == "::1"
    return MOST_PER_LOOPBACK if loopback else MOST_PER_ADDRESS


def _one_less(counter: Counter[Any], key: object) -> None:
    counter[key] -= 1
    if not counter[key]:
        del counter[key]

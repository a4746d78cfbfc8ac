"""Idle connections: ``python3 -m benchmarks.scale_idle PORT COUNT BLOCK PINNED KEY CERTIFICATE``, a process of its own.

COUNT links as servers dial them, each with its own TLS connection and identity check, a sign of life every 30 s, and
the pauses of the product when it breaks. At most `PER_ADDRESS` come from one address of loopback. The first time they
dial `AT_ONCE` at a time, later as they come. A line on stdin is answered by a line of JSON: how many are greeted, how
often a link could not be made or broke, by reason. The end of stdin ends the process.
"""

from __future__ import annotations

import json
import sys
from collections import Counter, deque
from typing import Any

from twisted.internet import reactor as installed  # noqa: TID251  a process of its own

from benchmarks.distant import Lines
from benchmarks.scale_hosts import FromAddress
from tm.edge.link import ClientLink, Dialler
from tm.edge.tls import client_context_factory
from tm.tap.common import bound_resources
from tm.wire.frames import Bulk

reactor: Any = installed
PER_ADDRESS = 60
AT_ONCE = 50
PER_BLOCK = 250


class Idle:
    """One link that says nothing but that it is alive."""

    def __init__(self, links: Links) -> None:
        self._links = links

    def link_up(self, link: ClientLink, greeting: str) -> None:
        """The server has greeted us."""
        self._links.greeted.add(self)
        self._links.one_more()

    def link_down(self, reason: str) -> None:
        """The link is gone, or could not be made."""
        self._links.greeted.discard(self)
        self._links.broken[reason[:60]] += 1

    def event(self, link: ClientLink, line: bytes) -> None:
        """Nothing is subscribed."""

    def bulk(self, link: ClientLink, data: Bulk) -> None:
        """Nobody sends any."""


class Links:
    """All links of this process."""

    def __init__(self, port: int, count: int, block: int, connections: Any) -> None:
        self.greeted: set[Idle] = set()
        self.broken: Counter[str] = Counter()
        self._waiting = deque(self._dialler(port, number, block, connections) for number in range(count))

    def _dialler(self, port: int, number: int, block: int, connections: Any) -> Dialler:
        place = number // PER_ADDRESS
        away: Any = FromAddress(f"127.{block}.{place // PER_BLOCK}.{place % PER_BLOCK + 1}")
        return Dialler(away, Idle(self), lambda: ("127.0.0.1", port), lambda: connections)

    def begin(self) -> None:
        """Dial the first ones."""
        for _ in range(AT_ONCE):
            self.one_more()

    def one_more(self) -> None:
        """Dial the next one, if any was never dialled."""
        if self._waiting:
            self._waiting.popleft().start()

    def answer(self, line: str) -> None:
        """Say how it is."""
        broken, self.broken = self.broken, Counter()
        print(json.dumps({"greeted": len(self.greeted), "broken": broken}), flush=True)


def main(port: int, count: int, block: int, pinned: str, key: str, certificate: str) -> None:
    """Keep *count* links to *port*."""
    bound_resources()
    links = Links(port, count, block, client_context_factory(key, certificate, frozenset({pinned})))
    reactor.callWhenRunning(links.begin)
    Lines(0, links.answer)
    reactor.run()


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3]), *sys.argv[4:])

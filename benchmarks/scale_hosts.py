"""Simulated hosts: ``python3 -m benchmarks.scale_hosts PLAN``, a process that is a TMMS on each of many hosts.

Each is the server of the product with its own TLS connection, from an address of its own, to the TMS of its user; only
its disk and its keepers are pretended: what it is told to start ends after a drawn time, or at once. *PLAN* is a JSON
file as `write_plan` writes it. Lines on stdin are orders, answered by a line of JSON each: ``{"mean": SECONDS}`` lets
what is told from now on last so long on average (0: it ends at once); ``{}`` asks only. The answer says what has
happened since the last one: see `Tally`. The end of stdin ends the process.
"""

from __future__ import annotations

import json
import random
import sys
import time
import uuid
from collections import deque
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from twisted.internet import reactor as installed  # noqa: TID251  a process of its own
from twisted.internet.defer import Deferred, succeed
from typing_extensions import override

from benchmarks.distant import Lines
from tm.daemon.host_book import Book, Claim, Key, Snapshot
from tm.daemon.host_server import HostServer, HostSurroundings
from tm.edge.keys import fingerprint, load_certificate
from tm.edge.link import Dialler
from tm.edge.tls import client_context_factory
from tm.model.lifecycle import Fact
from tm.ports import Link
from tm.tap.common import bound_resources

reactor: Any = installed
FOR_EVER = 1e9
PER_BLOCK = 250


class Tally:
    """What has happened since it was asked for: start orders that arrived, as [job, monotonic seconds]; seconds from an
    ending that was told to the next start order of that host; when the dispatcher agreed to what a host holds."""

    def __init__(self) -> None:
        self.mean = 0.0
        self.joins: list[float] = []
        self.starts: list[tuple[int, float]] = []
        self.delays: list[float] = []

    def take(self) -> dict[str, Any]:
        """Return it, and begin anew."""
        taken = {"starts": self.starts, "delays": self.delays, "joins": self.joins}
        self.starts, self.delays, self.joins = [], [], []
        return taken


class FromAddress:
    """The reactor, but that connections are made from *address*."""

    def __init__(self, address: str) -> None:
        self._address = address

    def connectTCP(self, *given: Any, **more: Any) -> Any:  # noqa: N802  Twisted's name
        """Connect as the reactor does."""
        return reactor.connectTCP(*given, **{**more, "bindAddress": (self._address, 0)})

    def __getattr__(self, name: str) -> Any:
        return getattr(reactor, name)


def own_address(number: int, block: int = 1) -> str:
    """Return the address of loopback that the host with that number has for itself."""
    return f"127.{block}.{number // PER_BLOCK}.{number % PER_BLOCK + 1}"


class NoDisk:
    """A spool that keeps nothing, and its writer."""

    def append(self, lines: list[bytes], durable: bool) -> int:
        """Keep nothing; there is never too much of it."""
        return 0

    def rewrite(self, lines: list[bytes]) -> None:
        """Keep nothing."""

    def keep_environment(self, digest: str, text: str) -> None:
        """Keep nothing."""

    def drop_environments(self) -> None:
        """There are none."""

    def run(self, work: Any, brief: bool = False) -> Deferred[Any]:
        """Do it at once."""
        return succeed(work())


class Host(HostServer):
    """One user's server on one host."""

    def __init__(self, surroundings: HostSurroundings, book: Book, tally: Tally) -> None:
        super().__init__(surroundings, book)
        self._tally = tally

    @override
    async def _join(self, link: Link) -> None:
        await super()._join(link)
        if self._joined:
            self._tally.joins.append(time.monotonic())


class Pretended:
    """Keepers that start nothing, but say that they did."""

    def __init__(self, server: Host, tally: Tally, at_once: bool, chance: random.Random) -> None:
        self._server = server
        self._tally = tally
        self._at_once = at_once
        self._chance = chance
        self._free: deque[float] = deque()

    def give(self, claims: list[Claim]) -> None:
        """Say that they run, or have run."""
        now, at = time.monotonic(), time.time()
        mean = 0.0 if self._at_once else self._tally.mean
        for claim in claims:
            self._tally.starts.append((claim.order.job, now))
            if self._free:
                self._tally.delays.append(now - self._free.popleft())
        if mean:
            started = [Fact(*claim.key, "started", at, pid=1) for claim in claims]
            self._server.facts(started, False)
            for claim in claims:
                reactor.callLater(self._chance.expovariate(1 / mean), self._end, claim.key, at)
        elif claims:
            self._server.facts([_ended(claim.key, at) for claim in claims], False)

    def _end(self, key: Key, began: float, number: int | None = None) -> None:
        if key in self._server.book.claims:
            self._free.append(time.monotonic())
            self._server.facts([_ended(key, began, number)], False)

    def cancel(self, key: Key, grace: float) -> None:
        """Have it ended by TERM."""
        self._end(key, time.time(), 15)

    def idle(self) -> None:
        """What is free now is not the next start's."""
        self._free.clear()

    def recall(self, keys: list[Key]) -> None:
        """All have begun."""

    def pause(self, suspend: list[Key], resume: list[Key], nice: list[Any]) -> None:
        """Nobody asks for that here."""

    def limit(self, limits: list[Any]) -> None:
        """Nothing here lasts so long."""

    def signal(self, signals: list[Any]) -> None:
        """Nobody asks for that here."""

    def forget(self, claims: list[Claim]) -> None:
        """Nothing is kept of them."""

    def tick(self) -> None:
        """Nothing has to be looked at."""

    def leave(self) -> None:
        """It is never idle for so long."""


def _ended(key: Key, began: float, number: int | None = None) -> Fact:
    code = None if number else 0
    at = max(began, time.time())
    return Fact(*key, "ended", at, started_at=began, exit_code=code, signal=number, cpu_seconds=0.01, max_rss=1 << 20)


def write_plan(
    path: str, hosts: Mapping[str, str], users: Mapping[str, Mapping[str, str]], cores: int, at_once: Sequence[str]
) -> None:
    """Write a plan: the user of each host, by user ``key``, ``certificate`` and ``address`` (the file that says where
    the TMS is), the cores of each host, and the hosts on which everything ends at once."""
    Path(path).write_text(json.dumps({"hosts": hosts, "users": users, "cores": cores, "at_once": at_once}))


class Hosts:
    """All hosts of a plan."""

    def __init__(self, plan: Any) -> None:
        self.tally = Tally()
        self.servers: list[Host] = []
        self._pretended: list[Pretended] = []
        self._connections: dict[str, Any] = {}
        for name, user in plan["hosts"].items():
            self._add(name, plan["users"][user], plan["cores"], name in plan["at_once"])

    def _add(self, name: str, user: Mapping[str, str], cores: int, at_once: bool) -> None:
        disk = NoDisk()
        around = HostSurroundings(
            host=name, cores=cores, memory=64 << 30, clock=reactor, spool=disk, writer=disk, revive=lambda: None,
            stop=lambda: None, idle_seconds=FOR_EVER,
        )  # fmt: skip
        server = Host(around, Book(Snapshot(uuid.uuid4().hex, "b")), self.tally)
        pretended = Pretended(server, self.tally, at_once, random.Random(name))
        server.keeping = pretended  # type: ignore[assignment]  # all that the server asks of it
        self.servers.append(server)
        self._pretended.append(pretended)
        key, certificate = user["key"], user["certificate"]
        if key not in self._connections:
            own = frozenset({fingerprint(load_certificate(certificate))})
            self._connections[key] = client_context_factory(key, certificate, own)
        connections = self._connections[key]
        away: Any = FromAddress(own_address(int(name.lstrip("n"))))
        dialler = Dialler(away, server, lambda: _address(user["address"]), lambda: connections)
        reactor.callWhenRunning(server.startService)
        reactor.callWhenRunning(dialler.start)

    def obey(self, line: str) -> None:
        """Do what *line* says, and answer."""
        said = json.loads(line)
        if "mean" in said:
            self.tally.mean = said["mean"]
            for one in self._pretended:
                one.idle()
        held = sum(len(server.book.claims) for server in self.servers)
        print(json.dumps({**self.tally.take(), "held": held}), flush=True)


def _address(path: str) -> tuple[str, int]:
    shown = json.loads(Path(path).read_text())
    return str(shown["host"]), int(shown["port"])


def main(path: str) -> None:
    """Be the hosts of the plan in *path*."""
    bound_resources()
    hosts = Hosts(json.loads(Path(path).read_text()))
    Lines(0, hosts.obey)
    reactor.run()


if __name__ == "__main__":
    main(sys.argv[1])

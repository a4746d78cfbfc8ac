"""The local socket to a keeper: JSON objects, one a line, both ways; and the start of a keeper."""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Protocol as Promise

import msgspec
from twisted.internet.defer import Deferred
from twisted.internet.error import ProcessDone
from twisted.internet.interfaces import IReactorProcess, IReactorTime, IReactorUNIX
from twisted.internet.protocol import ClientFactory, ProcessProtocol, Protocol, connectionDone
from twisted.python.failure import Failure
from typing_extensions import override

from tm.errors import TaskManagerError
from tm.model.lifecycle import Fact

_encode = msgspec.json.Encoder().encode


class Greeting(msgspec.Struct):
    """What a keeper says first."""

    pid: int
    number: int
    queued: list[tuple[int, int]]
    running: list[Fact]
    ended: list[Fact]


class _Line(msgspec.Struct):
    hello: Greeting | None = None
    facts: list[Fact] = []


_decode = msgspec.json.Decoder(_Line).decode


class KeeperUser(Promise):
    """Who listens to a keeper."""

    def keeper_greets(self, link: KeeperLink, greeting: Greeting) -> None:
        """The keeper says what it has."""

    def keeper_says(self, link: KeeperLink, facts: list[Fact]) -> None:
        """The keeper tells facts."""

    def keeper_gone(self, link: KeeperLink) -> None:
        """The connection to the keeper is gone."""


class KeeperLink(Protocol):
    """One connection to a keeper."""

    def __init__(self, number: int, user: KeeperUser, made: Deferred[KeeperLink]) -> None:
        self.number = number
        self.pid = 0
        self._made: Deferred[KeeperLink] | None = made
        self._user = user
        self._partial = b""

    def tell(self, **keys: object) -> None:
        """Say one line to the keeper."""
        if self.transport is not None:
            self.transport.write(_encode(keys) + b"\n")

    @override
    def dataReceived(self, data: bytes) -> None:
        *lines, self._partial = (self._partial + data).split(b"\n")
        for raw in lines:
            line = _decode(raw)
            if line.hello is not None:
                self.pid = line.hello.pid
                self._user.keeper_greets(self, line.hello)
                self._greeted()
            if line.facts:
                self._user.keeper_says(self, line.facts)

    def _greeted(self) -> None:
        """Only now is it known what the keeper has; who connected may go on."""
        made, self._made = self._made, None
        if made is not None:
            made.callback(self)

    @override
    def connectionLost(self, reason: Failure = connectionDone) -> None:
        made, self._made = self._made, None
        if made is not None:
            made.errback(TaskManagerError("net.keeper", f"keeper {self.number} went before it said what it has"))
        self._user.keeper_gone(self)


class _Factory(ClientFactory):
    noisy = False

    def __init__(self, link: KeeperLink, made: Deferred[KeeperLink]) -> None:
        self._link = link
        self._made = made

    @override
    def buildProtocol(self, addr: object) -> KeeperLink:
        return self._link

    @override
    def clientConnectionFailed(self, connector: object, reason: Failure) -> None:
        self._made.errback(TaskManagerError("net.keeper", f"keeper {self._link.number}: {reason.getErrorMessage()}"))


class _Child(ProcessProtocol):
    def __init__(self, ended: Callable[[], None]) -> None:
        self._ended = ended

    @override
    def processEnded(self, reason: Failure) -> None:
        reason.trap(ProcessDone, Exception)
        self._ended()


class Reactor(IReactorUNIX, IReactorProcess, IReactorTime):  # type: ignore[misc]  # three interfaces of one reactor
    """What keepers need of the reactor."""


class Keepers:
    """Starts keepers of one spool and connects to them."""

    def __init__(self, reactor: Reactor, python: str, program: str, spool: str) -> None:
        self._reactor = reactor
        self._python = python
        self._program = program
        self._spool = spool

    def connect(self, number: int, user: KeeperUser) -> Deferred[KeeperLink]:
        """Connect to the running keeper *number*; fails with `TaskManagerError` ``net.keeper`` when there is none."""
        made: Deferred[KeeperLink] = Deferred()
        path = os.path.join(self._spool, f"keeper-{number}.sock")
        self._reactor.connectUNIX(path, _Factory(KeeperLink(number, user, made), made), timeout=5)
        return made

    async def start(self, number: int, user: KeeperUser) -> KeeperLink:
        """Start the keeper *number* as a child of this process and connect to it."""
        ended = False

        def gone() -> None:
            nonlocal ended
            ended = True

        null = os.open(os.devnull, os.O_RDWR)
        try:
            argv = [self._python, "-I", "-S", self._program, self._spool, str(number)]
            self._reactor.spawnProcess(
                _Child(gone), self._python, argv, env=dict(os.environ), childFDs={0: null, 1: null, 2: null}
            )
        finally:
            os.close(null)
        for _ in range(400):
            await _pause(self._reactor, 0.02)
            if os.path.exists(os.path.join(self._spool, f"keeper-{number}.pid")):
                return await self.connect(number, user)
            if ended:
                break
        raise TaskManagerError("internal.keeper", f"keeper {number} did not start in {self._spool}; see its log")


def _pause(clock: IReactorTime, seconds: float) -> Deferred[None]:
    waiting: Deferred[None] = Deferred()
    clock.callLater(seconds, waiting.callback, None)
    return waiting

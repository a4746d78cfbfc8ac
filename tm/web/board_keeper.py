"""Keeps the board current: hosts and counters are asked for when the link comes up, every 10 s, and soon after an event
that says that more has changed than it tells."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import msgspec
from twisted.application.service import Service
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.internet.task import LoopingCall
from twisted.logger import Logger
from typing_extensions import override

from tm.errors import TaskManagerError
from tm.web.desk import Desk

ASK_SECONDS = 10.0
SOON_SECONDS = 1.0
SAVE_SECONDS = 300.0

_decode = msgspec.json.Decoder(dict[str, Any]).decode
_log = Logger()


class BoardKeeper(Service):
    """Asks *desk* for what its board shows; *save* writes what outlives a restart, and returns when it is done.
    *taken* is called whenever the board shows what was asked anew."""

    name = "Board"

    def __init__(self, desk: Desk, clock: IReactorTime, save: Callable[[bytes], Any]) -> None:
        self._desk = desk
        self._clock = clock
        self._save_content = save
        self._asking = False
        self.taken: list[Callable[[], None]] = []
        self._soon: IDelayedCall | None = None
        self._loops = [(LoopingCall(self.ask), ASK_SECONDS), (LoopingCall(self._save), SAVE_SECONDS)]

    @override
    def startService(self) -> None:
        super().startService()
        for loop, seconds in self._loops:
            loop.clock = self._clock
            loop.start(seconds, False)

    @override
    def stopService(self) -> Any:
        super().stopService()
        for loop, _ in self._loops:
            if loop.running:
                loop.stop()
        if self._soon is not None and self._soon.active():
            self._soon.cancel()
        return self._save()

    def ask(self) -> None:
        """Ask now, unless an answer is still awaited."""
        if self._desk.link is not None and not self._asking:
            self._asking = True
            Deferred.fromCoroutine(self._ask()).addErrback(self._failed)

    def heard(self, event: dict[str, Any]) -> None:
        """The dispatcher says something."""
        if self._desk.board.heard(event) and (self._soon is None or not self._soon.active()):
            self._soon = self._clock.callLater(SOON_SECONDS, self.ask)

    async def _ask(self) -> None:
        try:
            hosts = await self._desk.system("lshosts")
            status = await self._desk.system("status")
        finally:
            self._asking = False
        now = self._desk.clock()
        at = datetime.fromtimestamp(now, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
        self._desk.board.take([_decode(line) for line in hosts.body], _decode(status.body[0]), now, at)
        for call in self.taken:
            call()

    def _failed(self, failure: Any) -> None:
        failure.trap(TaskManagerError)
        _log.warn("the hosts are not known: {text}", event="board", text=failure.value.text)

    def _save(self) -> Any:
        if not self._desk.board.at:
            return None
        return self._save_content(self._desk.board.saved())

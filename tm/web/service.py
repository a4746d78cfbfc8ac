"""The web server as the dispatcher's client: one link, one subscription, however many browsers there are."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec
from twisted.application.service import Service
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.logger import Logger
from typing_extensions import override

import tm
from tm.errors import TaskManagerError
from tm.ports import Link
from tm.web.desk import Desk

TOPICS = "jobs:hosts:log"
AGAIN_SECONDS = 2.0

Event = dict[str, Any]
_log = Logger()

_WORDS = (
    ("refused", "nothing listens at its address"),
    ("non-clean", "the connection broke off"),
    ("closed cleanly", "the connection was closed"),
    ("timed out", "its machine does not answer"),
    ("timeout", "its machine does not answer"),
)
"""What the network says of a lost connection, and what that means."""


def in_words(reason: str) -> str:
    """Return *reason*, why the link is gone, as people say it; what is said otherwise already stays."""
    return next((text for mark, text in _WORDS if mark in reason.lower()), reason)


class WebServer(Service):
    """Keeps *desk* linked. *heard* is called with each event of the dispatcher; *up* and *down* when the link comes and
    goes (with the reason)."""

    name = "TaskWeb"

    def __init__(self, desk: Desk, clock: IReactorTime, url: str) -> None:
        self.desk = desk
        self._clock = clock
        self._url = url
        self._link: Link | None = None
        self.heard: list[Callable[[Event], None]] = []
        self.up: list[Callable[[], None]] = []
        self.down: list[Callable[[str], None]] = []

    # -- Listener of the link -------------------------------------------------------------------------------------

    def link_up(self, link: Link, greeting: str) -> None:
        """The dispatcher has greeted us."""
        self._link = link
        self._join(link)

    def link_down(self, reason: str) -> None:
        """The dispatcher is not reached."""
        was = self.desk.link
        self._link = None
        why = in_words(reason)
        self.desk.lost(why)
        if was is not None:
            _log.warn("no dispatcher: {reason}", event="unreachable", reason=reason)
            for call in self.down:
                call(f"the TaskDispatcher is not reached: {why}")

    def event(self, link: Link, json: bytes) -> None:
        """The dispatcher says something."""
        event = msgspec.json.decode(json, type=Event)
        if event.get("topic") == "answer":
            self.desk.hear(json)
            return
        if event.get("topic") == "replaced":
            _log.warn("another web server has taken over; this one answers no more", event="replaced")
            self.desk.lost("another web server has taken this one's place; 'hRunJob --web' leads to that one")
        for call in self.heard:
            call(event)

    def bulk(self, link: Link, data: object) -> None:
        """The dispatcher sends no raw bytes."""

    # -- inside ---------------------------------------------------------------------------------------------------

    def _join(self, link: Link) -> None:
        if link is self._link:
            Deferred.fromCoroutine(self._joined(link)).addErrback(self._not_joined, link)

    async def _joined(self, link: Link) -> None:
        shown = msgspec.json.encode({"url": self._url, "version": tm.__version__}).decode()
        for verb, rest in (("webjoin", shown), ("subscribe", TOPICS)):
            reply = await link.ask(verb, rest)
            if reply.word is not None:
                raise TaskManagerError(reply.word, reply.text)
        if link is not self._link:
            return
        self.desk.link = link
        _log.info("joined the dispatcher as {url}", event="joined", url=self._url)
        for call in self.up:
            call()

    def _not_joined(self, failure: Any, link: Link) -> None:
        failure.trap(TaskManagerError)
        self.desk.why_away = str(failure.value)
        self._clock.callLater(AGAIN_SECONDS, self._join, link)

    @override
    def startService(self) -> None:
        super().startService()
        _log.info("web server at {url}", event="started", url=self._url)

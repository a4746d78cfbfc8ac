"""The stream of events that a browser's pages follow: what has changed, so that they ask anew for what they show."""

from __future__ import annotations

import socket
from typing import Any

from twisted.internet.interfaces import IPushProducer
from zope.interface import implementer

from tm.errors import RefusedError
from tm.web.answers import Answer, Json, Stream
from tm.web.asked import Asked
from tm.web.changes import NAMED
from tm.web.desk import Desk
from tm.web.hub import Hub
from tm.web.readers import Reader
from tm.web.routes import Route

KEPT_BYTES = 64 * 1024
GONE_MILLISECONDS = 60_000


async def events(desk: Desk, asked: Asked) -> Answer:
    """Return the stream of ``topics`` (all where none are named) after the id ``after`` or that of Last-Event-ID.

    Who wants JSON hears at once how things stand. Raises `RefusedError` ``proto.arguments``, ``limit.streams``.
    """
    hub = desk.events
    if hub is None:
        raise RefusedError("web.away", "this server has no events; reload the page to see what is new")
    topics = [topic for topic in asked.args.get("topics", ",".join(NAMED)).split(",") if topic]
    unknown = [topic for topic in topics if topic not in NAMED]
    if unknown:
        raise RefusedError("proto.arguments", f"there is no topic '{unknown[0]:.40}'; topics are {', '.join(NAMED)}")
    hub.check_room(asked.address)
    if asked.json:
        stale = None if hub.stale is None else {"reason": hub.stale[0], "since": hub.stale[1]}
        return Json({"user": asked.user, "id": hub.mark(asked.visitor), "stale": stale})
    return Stream(lambda request: Following(request).begin(hub, asked, topics))


def hold_little(transport: Any) -> None:
    """Have the system keep little of what a browser does not read: it is paused soon, and noticed when it is gone."""
    found = getattr(transport, "socket", None) or getattr(getattr(transport, "transport", None), "socket", None)
    if found is None:
        return
    found.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, KEPT_BYTES)
    if hasattr(socket, "TCP_USER_TIMEOUT"):
        found.setsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, GONE_MILLISECONDS)


@implementer(IPushProducer)
class Following:
    """A request that is answered as long as its browser is there."""

    def __init__(self, request: Any) -> None:
        self._request = request
        self._reader: Reader | None = None

    def begin(self, hub: Hub, asked: Asked, topics: list[str]) -> None:
        """Answer the request with events of *topics*."""
        request = self._request
        if asked.method == "HEAD":
            request.finish()
            return
        request.notifyFinish().addBoth(self._gone)
        after = request.getHeader("last-event-id") or asked.args.get("after", "")
        self._reader = hub.open(asked.who, asked.address, topics, after, request.write, self._close)
        request.registerProducer(self, True)
        hold_little(request.channel.transport)

    def pauseProducing(self) -> None:  # noqa: N802  Twisted's name
        """The browser has more before it than it takes."""
        if self._reader is not None:
            self._reader.pause()

    def resumeProducing(self) -> None:  # noqa: N802  Twisted's name
        """It has taken it."""
        if self._reader is not None:
            self._reader.go_on()

    def stopProducing(self) -> None:  # noqa: N802  Twisted's name
        """The connection is gone."""
        self._gone(None)

    def _close(self, at_once: bool) -> None:
        self._reader = None
        if at_once:
            self._request.channel.forceAbortClient()
        else:
            self._request.unregisterProducer()
            self._request.finish()

    def _gone(self, result: object) -> None:
        reader, self._reader = self._reader, None
        if reader is not None:
            reader.gone()


ROUTES = (Route("GET", "/events", events),)

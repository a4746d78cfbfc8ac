"""A web server without sockets: requests as bytes in, answers as values out; the dispatcher says what it is told."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from twisted.internet.address import IPv4Address
from twisted.internet.defer import Deferred, succeed
from twisted.internet.task import Clock
from twisted.internet.testing import StringTransport

from tm.web.connections import WebFactory
from tm.web.desk import Desk
from tm.web.guard import Front
from tm.web.hub import Hub
from tm.web.pages.all import all_routes
from tm.web.routes import Routes
from tm.web.site import Server
from tm.wire.message import Reply

COOKIE = "tm-test"
SECRET = "s" * 43


class SaidLink:
    """A `Link` to a dispatcher that answers what *replies* has for a verb: JSON values, a `Reply`, or a function."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, Any]] = []
        self.replies: dict[str, Any] = {}
        self.event: Callable[[bytes], None] = lambda json: None

    def ask(self, verb: str, rest: str | None = None, json: bool = False) -> Deferred[Reply]:
        if verb == "as":
            return self._as(loads(rest or ""))
        self.asked.append((verb, rest))
        return succeed(_reply(self.replies.get(verb, []), rest))

    def _as(self, said: dict[str, Any]) -> Deferred[Reply]:
        self.asked.append((said["verb"], said["rest"]))
        reply = _reply(self.replies.get(said["verb"], []), said["rest"])
        if "number" not in said:
            return succeed(reply)
        answer = {"number": said["number"], "word": reply.word, "text": reply.text, "body": reply.body}
        self.event(json.dumps({"topic": "answer", **answer}).encode())
        return succeed(Reply())

    def send_bulk(self, channel: int, data: bytes) -> None:
        raise AssertionError("the web server sends no raw bytes")


def loads(text: str) -> Any:
    return json.loads(text)


def _reply(value: Any, rest: str | None) -> Reply:
    if callable(value):
        value = value(rest)
    if isinstance(value, Reply):
        return value
    return Reply(body=[json.dumps(one) for one in (value if isinstance(value, list) else [value])])


@dataclass
class Got:
    """An answer: its status, its headers by lower-case name, its body."""

    status: int
    headers: dict[str, str]
    body: str


class Site:
    """A web server at ``http://web.test:1234`` with a visitor who has logged in."""

    def __init__(self, routes: Routes | None = None, url: str = "http://web.test:1234/", **session: Any) -> None:
        self.clock = Clock()
        self.clock.advance(1_800_000_000)
        self.link = SaidLink()
        self.desk = Desk(self.clock.seconds, "physics")
        self.desk.timer = self.clock
        self.desk.link = self.link  # type: ignore[assignment]  # it asks as a Link does
        self.link.event = self.desk.hear
        self.desk.events = Hub(self.clock, self.desk.sessions, "run")
        self.server = Server(self.desk, routes or all_routes(), Front.of(url), COOKIE)
        self.factory = WebFactory(self.server, self.clock)
        self.session = {
            "secret": SECRET, "id": "7", "user": "alice", "may": "act", "until": "2027-01-16T00:00:00.000Z",
            "rights": [], "groups": [], **session,
        }  # fmt: skip
        self.link.replies["checksessions"] = self._check

    def _check(self, rest: str | None) -> list[Any]:
        return [self.session] if self.session["secret"] in json.loads(rest or "{}")["secrets"] else []

    @property
    def csrf(self) -> str:
        from tm.web.asked import Visitor

        return Visitor(SECRET, "7", "alice").csrf

    def connect(self) -> tuple[Any, StringTransport]:
        """Return the protocol and the transport of a new connection."""
        protocol: Any = self.factory.buildProtocol(IPv4Address("TCP", "127.0.0.1", 5))
        transport = StringTransport(peerAddress=IPv4Address("TCP", "127.0.0.1", 5))
        transport.abortConnection = transport.loseConnection  # type: ignore[method-assign]  # it has no other end
        protocol.callLater = self.clock.callLater
        protocol.makeConnection(transport)
        return protocol, transport

    def raw(self, data: bytes) -> bytes:
        """Return all that comes back for *data* on a connection of its own."""
        protocol, transport = self.connect()
        protocol.dataReceived(data)
        return transport.value()

    def get(self, path: str, logged_in: bool = True, **headers: str) -> Got:
        """Return what GET *path* answers."""
        return self.send("GET", path, b"", logged_in, **headers)

    def post(self, path: str, logged_in: bool = True, form: dict[str, Any] | None = None, **headers: str) -> Got:
        """Return what a form of ours with the fields *form* gets at *path*."""
        from urllib.parse import urlencode

        fields = {"csrf": self.csrf, **(form or {})} if logged_in else (form or {})
        told = {"origin": "http://web.test:1234", "content_type": "application/x-www-form-urlencoded", **headers}
        return self.send("POST", path, urlencode(fields, doseq=True).encode(), logged_in, **told)

    def send(self, method: str, path: str, body: bytes, logged_in: bool = True, **headers: str) -> Got:
        """Return what a request gets; a header ``content_type`` is Content-Type."""
        told = {"host": "web.test:1234", **headers}
        if logged_in:
            told["cookie"] = f"{COOKIE}={SECRET}"
        if body:
            told["content-length"] = str(len(body))
        head = "".join(f"{name.replace('_', '-')}: {value}\r\n" for name, value in told.items() if value)
        return parse(self.raw(f"{method} {path} HTTP/1.1\r\n{head}\r\n".encode() + body))


def parse(data: bytes) -> Got:
    """Return the first answer in *data*."""
    head, _, body = data.partition(b"\r\n\r\n")
    lines = head.decode("latin-1").split("\r\n")
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines[1:])}
    return Got(int(lines[0].split()[1]), headers, body.decode())


Answering = Callable[[str | None], Any]

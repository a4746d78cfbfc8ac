"""The stream of events as bytes of HTTP."""

from __future__ import annotations

from typing import Any

from twisted.internet.error import ConnectionLost
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from tests.support.web import COOKIE, SECRET, Site


class Following(SynchronousTestCase):
    def setUp(self) -> None:
        self.site = Site()
        assert self.site.desk.events is not None
        self.hub = self.site.desk.events

    def follow(self, path: str = "/events", method: str = "GET", **headers: str) -> tuple[Any, Any]:
        protocol, transport = self.site.connect()
        told = {"Host": "web.test:1234", "Cookie": f"{COOKIE}={SECRET}", **headers}
        head = "".join(f"{name.replace('_', '-')}: {value}\r\n" for name, value in told.items())
        protocol.dataReceived(f"{method} {path} HTTP/1.1\r\n{head}\r\n".encode())
        return protocol, transport

    def test_events_go_out_as_they_come(self) -> None:
        _, transport = self.follow()
        head = transport.value()
        self.assertIn(b" 200 ", head.split(b"\r\n")[0])
        self.assertIn(b"text/event-stream", head)
        transport.clear()
        self.hub.heard({"topic": "jobs", "id": 17, "user": "alice", "state": "running", "host": "n1"})
        self.site.clock.advance(0.1)
        self.assertIn(b'"ids":[17]', transport.value())
        self.assertIn(b"id: run.", transport.value())

    def test_a_browser_that_leaves_is_forgotten(self) -> None:
        protocol, _ = self.follow()
        self.assertEqual(self.hub.streams, 1)
        protocol.connectionLost(Failure(ConnectionLost()))
        self.assertEqual(self.hub.streams, 0)

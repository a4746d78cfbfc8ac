"""The stream of events as bytes of HTTP: how it begins, goes on, waits for slow browsers, and ends."""

from __future__ import annotations

import json
from typing import Any

from twisted.internet.error import ConnectionLost
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from tests.support.web import COOKIE, SECRET, Site
from tm.web.asked import Visitor
from tm.web.hub import MOST_STREAMS, STUCK_SECONDS

JOB = {"topic": "jobs", "id": 17, "user": "alice", "state": "running", "host": "n1"}
ALICE = Visitor(SECRET, "7", "alice", "act")


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

    def pass_seconds(self, seconds: float) -> None:
        for _ in range(round(seconds * 2)):
            self.site.clock.advance(0.5)

    def test_events_go_out_as_they_come_and_no_proxy_keeps_them(self) -> None:
        _, transport = self.follow()
        head = transport.value()
        self.assertIn(b" 200 ", head.split(b"\r\n")[0])
        for line in (
            b"text/event-stream",
            b"no-store",
            b"X-Accel-Buffering: no",
            b"default-src 'self'",
            b"event: hello",
        ):
            self.assertIn(line.lower(), head.lower())
        transport.clear()
        self.hub.heard(JOB)
        self.site.clock.advance(0.1)
        self.assertIn(b'"ids":[17]', transport.value())

    def test_a_quiet_stream_is_not_idle(self) -> None:
        _, transport = self.follow()
        self.pass_seconds(200)
        self.assertFalse(transport.disconnecting)
        self.assertEqual(transport.value().count(b"event: beat"), 13)

    def test_a_browser_that_leaves_is_forgotten(self) -> None:
        protocol, _ = self.follow()
        self.assertEqual(self.hub.streams, 1)
        protocol.connectionLost(Failure(ConnectionLost()))
        self.assertEqual(self.hub.streams, 0)

    def test_a_browser_goes_on_from_the_id_it_knows(self) -> None:
        protocol, transport = self.follow(f"/events?after={self.hub.mark(None)}")
        known = transport.value().rpartition(b"id: ")[2].split(b"\n")[0].decode()
        protocol.connectionLost(Failure(ConnectionLost()))
        self.hub.heard(JOB)
        for path, headers in ((f"/events?after={known}", {}), ("/events?after=x.1", {"Last_Event_ID": known})):
            got = self.follow(path, **headers)[1].value()
            self.assertIn(b'"ids":[17]', got)
            self.assertNotIn(b"reset", got)

    def test_a_browser_that_does_not_read_is_sent_no_more_and_cut_off_in_the_end(self) -> None:
        _, transport = self.follow()
        transport.producer.pauseProducing()
        transport.clear()
        for number in range(20):
            self.hub.heard({**JOB, "id": number})
            self.pass_seconds(1)
        self.assertEqual(transport.value(), b"")
        transport.producer.resumeProducing()
        self.pass_seconds(1)
        self.assertEqual(transport.value().count(b"event: jobs"), 1)
        transport.producer.pauseProducing()
        self.pass_seconds(STUCK_SECONDS + 3)
        self.assertTrue(transport.disconnecting)

    def test_a_session_that_is_over_ends_its_stream_as_http_does(self) -> None:
        _, transport = self.follow()
        self.site.session["secret"] = "another"
        self.pass_seconds(3)
        self.assertIn(b"event: over", transport.value())
        self.assertTrue(transport.value().endswith(b"0\r\n\r\n"))
        self.assertEqual(self.hub.streams, 0)

    def test_nobody_gets_no_stream(self) -> None:
        got = self.site.get("/events", logged_in=False, accept="application/json")
        self.assertEqual((got.status, json.loads(got.body)["error"]["class"]), (401, "auth.session"))

    def test_head_and_an_unknown_topic_begin_none(self) -> None:
        self.assertEqual(self.site.get("/events?topics=jobs,weather").status, 400)
        _, transport = self.follow(method="HEAD")
        self.assertIn(b" 200 ", transport.value().split(b"\r\n")[0])
        self.assertEqual(self.hub.streams, 0)

    def test_how_things_stand_is_said_as_json(self) -> None:
        self.hub.down("cut")
        said = json.loads(self.site.get("/events", accept="application/json").body)
        self.assertEqual((said["user"], said["stale"]["reason"]), ("alice", "cut"))
        self.assertEqual(self.hub.streams, 0)

    def test_too_many_streams_are_refused_with_429(self) -> None:
        for number in range(MOST_STREAMS):
            self.hub.open(Visitor(f"s{number}", "1", "bob"), "127.0.0.1", ["jobs"], "", len, bool)
        got = self.site.get("/events", accept="application/json")
        self.assertEqual((got.status, json.loads(got.body)["error"]["class"]), (429, "limit.streams"))

    def test_pages_say_after_which_event_they_were_made(self) -> None:
        self.assertIn(f'data-mark="{self.hub.mark(ALICE)}"', self.site.get("/nothing").body)

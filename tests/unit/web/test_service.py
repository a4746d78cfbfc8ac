"""What the web server says when the dispatcher is away."""

from __future__ import annotations

from twisted.internet.error import ConnectionDone, ConnectionLost, ConnectionRefusedError, TCPTimedOutError
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from tests.support.web import SaidLink
from tm.web.desk import Desk
from tm.web.service import WebServer, in_words


class Away(SynchronousTestCase):
    def test_errors_of_the_network_are_said_in_words(self) -> None:
        for error, words in (
            (ConnectionLost(), "the connection broke off"), (ConnectionDone(), "the connection was closed"),
            (ConnectionRefusedError(), "nothing listens at its address"),
            (TCPTimedOutError(), "its machine does not answer"),
        ):  # fmt: skip
            self.assertEqual(in_words(str(error)), words)

    def test_what_is_said_in_words_already_stays(self) -> None:
        text = "auth.unknown nobody knows the certificate of this web server"
        self.assertEqual(in_words(text), text)

    def test_pages_hear_who_is_away_and_why(self) -> None:
        desk = Desk(Clock().seconds)
        server = WebServer(desk, Clock(), "http://127.0.0.1:1/")
        desk.link = SaidLink()
        heard: list[str] = []
        server.down.append(heard.append)
        server.link_down(str(ConnectionLost()))
        self.assertEqual(heard, ["the TaskDispatcher is not reached: the connection broke off"])
        self.assertEqual(desk.why_away, "the connection broke off")

    def test_one_whose_place_was_taken_says_so(self) -> None:
        desk = Desk(Clock().seconds)
        server = WebServer(desk, Clock(), "http://127.0.0.1:1/")
        desk.link = SaidLink()
        server.event(desk.link, b'{"topic":"replaced"}')
        self.assertIsNone(desk.link)
        self.assertIn("hRunJob --web", desk.why_away)

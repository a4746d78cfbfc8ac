"""A blocking conversation, over a Unix socket."""

from __future__ import annotations

import socket

from tests.unit.client.fake_server import FakeServer, Talker
from tests.unit.client.house import House
from tm.client import connection as module
from tm.client.connection import Connection, LostError
from tm.errors import RefusedError, TaskManagerError, WireError
from tm.wire.frames import BULK_LIMIT, Bulk, encode_bulk
from tm.wire.message import Reply, Request


class ConnectionTests(House):
    def setUp(self) -> None:
        super().setUp()
        self.server = FakeServer("TMS")

    def connect(self, answer_seconds: float = 10.0) -> Connection:
        path = self.path("s")
        self.server.listen_unix(path)
        self.addCleanup(self.server.stop)
        sock = socket.socket(socket.AF_UNIX)
        self.addCleanup(sock.close)
        sock.connect(path)
        return Connection(sock, "your TMS", answer_seconds=answer_seconds)

    def test_the_greeting_says_who_is_there(self) -> None:
        connection = self.connect()

        self.assertEqual(
            ("TMS", "1.0.0", "alice"), (connection.server, connection.version, connection.said["user"])
        )

    def test_a_refusal_in_place_of_the_greeting_is_raised(self) -> None:
        self.server.greeting = Reply("your certificate is not known here", word="auth.unknown")

        error = self.assertRaises(RefusedError, self.connect)

        self.assertEqual(("auth.unknown", 77), (error.word, error.exit_status))

    def test_another_protocol_is_refused(self) -> None:
        self.server.greeting = Reply("TMS 9.0.0 protocol=9 user=alice")

        error = self.assertRaises(TaskManagerError, self.connect)

        self.assertEqual("proto.version", error.word)

    def test_a_server_that_answers_nonsense_is_named_so(self) -> None:
        self.server.greeting = b"SSH-2.0-OpenSSH_9.2\n"

        self.assertRaises(WireError, self.connect)

    def test_an_error_is_raised_with_all_its_lines_and_the_conversation_goes_on(self) -> None:
        self.server.answers["reload"] = lambda talker, request: Reply(
            "users:3: x", ["users:9: y"], word="config.invalid"
        )
        connection = self.connect()

        error = self.assertRaises(RefusedError, connection.ask, "reload")

        self.assertEqual(("config.invalid", "users:3: x\nusers:9: y"), (error.word, error.text))
        self.assertTrue(connection.ask("version").ok)
        self.assertEqual("config.invalid", connection.ask("reload", check=False).word)

    def test_many_requests_on_the_way_are_answered_in_order(self) -> None:
        self.server.answers["echo"] = lambda talker, request: Reply(request.rest or "", ["x" * 1000] * 100)
        connection = self.connect()

        texts = [reply.text for reply in connection.ask_all(("echo", str(n)) for n in range(300))]

        self.assertEqual([str(n) for n in range(300)], texts)

    def test_events_between_replies_are_kept(self) -> None:
        def answer(talker: Talker, request: Request) -> Reply:
            talker.send(b'* {"topic":"jobs","id":1}\n* {"topic":"jobs","id":2}\n')
            return Reply("done")

        self.server.answers["go"] = answer
        connection = self.connect()

        self.assertEqual("done", connection.ask("go").text)
        self.assertEqual([1, 2], [(connection.event(5) or {})["id"] for _ in range(2)])
        self.assertIsNone(connection.event(0))

    def test_an_event_that_is_no_object_is_an_error(self) -> None:
        self.server.answers["go"] = lambda talker, request: talker.send(b"* [1\n") or Reply()
        connection = self.connect()
        connection.ask("go")

        self.assertRaises(WireError, connection.event, 5)

    def test_a_connection_that_breaks_is_lost(self) -> None:
        self.server.answers["go"] = lambda talker, request: talker.cut()
        connection = self.connect()

        self.assertEqual("net.lost", self.assertRaises(LostError, connection.ask, "go").word)

    def test_a_server_that_does_not_answer_is_given_up(self) -> None:
        self.server.answers["go"] = lambda talker, request: None
        connection = self.connect(answer_seconds=0.05)

        self.assertEqual("net.timeout", self.assertRaises(LostError, connection.ask, "go").word)

    def test_an_answer_that_nobody_asked_for_is_an_error(self) -> None:
        self.server.answers["go"] = lambda talker, request: talker.send(b"OK a\n.\nOK b\n.\n")
        connection = self.connect()
        connection.ask("go")

        self.assertRaises(WireError, connection.event, 5)

    def test_bulk_goes_both_ways_in_frames_of_bounded_size(self) -> None:
        self.server.on_bulk = lambda talker, data: talker.send(encode_bulk(1, data.data))
        connection = self.connect()

        connection.send_bulk(0, b"x" * (BULK_LIMIT + 1))
        connection.send_bulk(0, b"")

        sizes = [len((connection.bulk(5) or Bulk(9, b"")).data) for _ in range(3)]
        self.assertEqual([BULK_LIMIT, 1, 0], sizes)
        self.assertIsNone(connection.bulk(0))

    def test_a_long_line_is_sent_to_a_server_that_first_wants_to_be_read(self) -> None:
        def talk(talker: Talker, request: Request) -> Reply:
            for number in range(40):
                talker.send(b'* {"id":%d,"text":"%b"}\n' % (number, b"x" * 100000))
            return Reply("heard")

        self.server.answers.update(
            subscribe=talk, submit=lambda talker, request: Reply(str(len(request.rest or "")))
        )
        connection = self.connect()

        connection.send(b"subscribe:jobs\nsubmit:" + b"y" * 900000 + b"\n")

        self.assertEqual(["heard", "900000"], [connection.reply().text, connection.reply().text])
        self.assertEqual(list(range(40)), [(connection.event(5) or {})["id"] for _ in range(40)])

    def test_events_go_on_after_a_silence(self) -> None:
        connection = self.connect()
        self.patch(module, "HEARTBEAT_SECONDS", 0.01)
        self.server.answers["version"] = lambda talker, request: talker.send(b'* {"id":5}\n') or Reply()

        self.assertEqual({"id": 5}, next(connection.events()))

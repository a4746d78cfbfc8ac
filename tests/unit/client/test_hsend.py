"""``hSend`` and ``hListen``, against a fake dispatcher over TLS."""

from __future__ import annotations

import json

from tests.unit.client.fake_server import FakeCluster, FakeServer, Talker
from tests.unit.client.house import House
from tm.client import hlisten, hsend
from tm.client.hlisten import line_of, split_words
from tm.client.program import UsageError
from tm.wire.message import Reply, Request


class Dispatched(House):
    def setUp(self) -> None:
        super().setUp()
        self.certify()
        self.server = FakeServer("TaskDispatcher")
        FakeCluster(self.server)
        self.port = str(self.server.listen_tls(self.server_context()))
        self.addCleanup(self.server.stop)
        self.server.answers["help"] = lambda talker, request: Reply(body=["jobinfo:ID  all", ".  a dot"])


class SendTests(Dispatched):
    def send(self, *argv: str, stdin: str = "") -> tuple[int, str, str]:
        return self.run_client(hsend.main, "127.0.0.1", self.port, *argv, stdin=stdin)

    def test_an_answer_is_printed_text_and_body(self) -> None:
        self.assertEqual((0, "jobinfo:ID  all\n.  a dot\n", ""), self.send("help"))
        self.assertEqual((0, "fake 1.0.0\n", ""), self.send("version"))

    def test_json_is_asked_for_by_option_too(self) -> None:
        self.assertEqual(1, json.loads(self.send("--json", "status")[1])["pid"])
        self.assertTrue(self.server.heard[-1].json)

    def test_an_error_is_one_sentence_and_its_exit_status(self) -> None:
        self.server.answers["reload"] = lambda talker, request: Reply("you may not", word="perm.denied")

        self.assertEqual((77, "", "hSend: you may not\n"), self.send("reload"))
        self.assertEqual(1, self.send("no such verb")[0])

    def test_a_job_is_taken_to_the_users_own_server(self) -> None:
        own = self.serve_tms()
        own.answers["runjob"] = lambda talker, request: Reply(f"accepted 17: {request.rest}")

        self.assertEqual((0, "accepted 17: echo a:b\n", ""), self.send("runjob:echo a:b"))
        self.assertEqual([], self.server.heard)

    def test_lines_of_stdin_are_a_conversation(self) -> None:
        def subscribe(talker: Talker, request: Request) -> Reply:
            talker.send(b'* {"topic":"jobs","id":3}\n')
            return Reply("hearing jobs")

        self.server.answers["subscribe"] = subscribe

        status, out, err = self.send(stdin="version\n\nfoo\nsubscribe:jobs\nquit\nversion\n")

        self.assertEqual((0, "hSend: proto.verb: there is no verb 'foo' here\n"), (status, err))
        self.assertEqual('fake 1.0.0\nhearing jobs\n* {"topic": "jobs", "id": 3}\n', out)

    def test_wrong_usage_is_2(self) -> None:
        for argv in (["h"], ["h", "x"], ["h", "0"], ["h", "99999"], ["h", "1", "a\nb"]):
            self.assertEqual(2, self.run_client(hsend.main, *argv)[0])


class ListenTests(Dispatched):
    def listen(self, *argv: str) -> tuple[int, str, str]:
        """Run ``hListen``; the second subscription ends it as ^C would."""
        return self.run_client(hlisten.main, "127.0.0.1", self.port, "jobs", *argv)

    def subscribed(self, talker: Talker, request: Request) -> Reply | None:
        """Send an event and break the connection; refuse the next time."""
        if self.server.connected > 1:
            return Reply("you are removed", word="auth.removed")
        talker.send(
            Reply("hearing").encode() + b'* {"topic":"jobs","id":3,"user":"al","state":"lost","host":null}\n'
        )
        talker.cut()
        return None

    def test_events_are_lines_and_a_lost_connection_is_made_again(self) -> None:
        self.server.answers["subscribe"] = self.subscribed

        status, out, err = self.listen()

        self.assertEqual(77, status)
        self.assertRegex(out, r"^\d\d:\d\d:\d\d  jobs  3  al  lost\n$")
        self.assertRegex(err, "trying to connect again\nhListen: you are removed\n$")

    def test_json_passes_events_on(self) -> None:
        self.server.answers["subscribe"] = self.subscribed

        first = self.listen("--json")[1].splitlines()[0]

        self.assertEqual(3, json.loads(first)["id"])

    def test_a_first_connection_that_fails_is_an_error(self) -> None:
        self.port = "1"

        self.assertEqual(69, self.listen()[0])

    def test_host_and_port_are_told_from_topics(self) -> None:
        self.assertEqual((None, None, ["jobs", "hosts"]), split_words(["jobs", "hosts"]))
        self.assertEqual(("h", 7, ["log"]), split_words(["h", "7", "log"]))
        for words in ([], ["h", "7"], ["h", "99999", "x"], ["a:b"]):
            self.assertRaises(UsageError, split_words, words)

    def test_every_topic_has_its_line(self) -> None:
        self.assertRegex(
            line_of({"topic": "hosts", "host": "n1", "state": "failed", "reason": "x"}),
            "hosts  n1  failed  reason=x$",
        )
        self.assertRegex(line_of({"topic": "log", "text": "a\x1b"}), r"log  text=a\?$")

"""Servers whose certificate a client does not have: an InfoServer is believed on the dispatcher's word alone."""

from __future__ import annotations

import hashlib
import ssl

from tests.unit.client.fake_server import FakeServer, Talker
from tests.unit.client.house import House
from tm.client import hlisten, hsend
from tm.wire.message import Reply, Request


class TrustTests(House):
    def setUp(self) -> None:
        super().setUp()
        self.certify()
        self.make_pair(self.path("info.key"), self.path("info.crt"), "infoserver n1")
        with open(self.path("info.crt")) as file:
            der = ssl.PEM_cert_to_DER_cert(file.read())
        self.fingerprint = hashlib.sha256(der).hexdigest()
        self.dispatcher = FakeServer("TaskDispatcher")
        self.kind = "infoserver"
        self.dispatcher.answers["whois"] = self._whois
        self.serve(self.dispatcher, "td", write=True)
        self.info = FakeServer("InfoServer")
        self.port = self.serve(self.info, "info")

    def serve(self, server: FakeServer, pair: str, write: bool = False) -> int:
        port = server.listen_tls(self.server_context(pair))
        self.addCleanup(server.stop)
        if write:
            with open(self.path("etc/TaskDispatcher.info"), "w") as file:
                file.write(f"cluster = test\nhost = 127.0.0.1\nport = {port}\n")
        return port

    def _whois(self, talker: Talker, request: Request) -> Reply:
        if request.rest != self.fingerprint or not self.kind:
            return Reply("nobody here has that certificate", word="auth.unknown")
        return Reply(body=[f'{{"fingerprint":"{self.fingerprint}","kind":"{self.kind}","name":"n1"}}'])

    def ask(self) -> tuple[int, str, str]:
        return self.run_client(hsend.main, "127.0.0.1", str(self.port), "version")

    def test_an_infoserver_that_the_dispatcher_knows_is_asked(self) -> None:
        self.assertEqual(self.ask(), (0, "fake 1.0.0\n", ""))
        self.assertEqual([request.verb for request in self.dispatcher.heard], ["whois"])

    def test_its_load_can_be_listened_to(self) -> None:
        self.info.answers["subscribe"] = lambda talker, request: Reply("only so far", word="proto.arguments")
        status, _, err = self.run_client(hlisten.main, "127.0.0.1", str(self.port), "load")
        self.assertEqual((status, err), (1, "hListen: only so far\n"))
        self.assertEqual([(request.verb, request.rest) for request in self.info.heard], [("subscribe", "load")])

    def test_its_events_are_short_for_people(self) -> None:
        event = {"topic": "load", "at": "2026-11-23T00:00:00.000Z", "host": "n1", "load": [5.8525390625, 1.0, 0.5],
                 "cpu_by_user": {"bob": 1.98765}, "jobs": [], "gpus": [], "memory_ours": 3 << 20}  # fmt: skip
        self.assertEqual(
            hlisten.line_of(event).split()[1:],
            ["load", "n1", "load=5.85,1.00,0.50", "cpu_by_user=bob:1.99", "memory_ours=3M"],
        )

    def test_nothing_is_said_to_somebody_whom_the_dispatcher_does_not_know(self) -> None:
        self.kind = ""
        status, out, err = self.ask()
        self.assertEqual((status, out, self.info.heard), (77, "", []))
        self.assertIn("not the one you trust", err)

    def test_nor_to_a_user_who_plays_the_server(self) -> None:
        self.kind = "user"
        self.assertEqual(self.ask()[0], 77)
        self.assertEqual(self.info.heard, [])

    def test_nor_when_the_dispatcher_cannot_be_asked(self) -> None:
        self.dispatcher.answers["whois"] = lambda talker, request: talker.cut()  # type: ignore[func-returns-value]  # nothing is said
        status, _, err = self.ask()
        self.assertEqual((status, self.info.heard), (77, []))
        self.assertIn("cannot be found out now", err)

    def test_the_dispatcher_itself_must_be_the_pinned_one(self) -> None:
        self.make_pair(self.path("x.key"), self.path("x.crt"), "somebody else")
        self.trust(self.path("x.crt"), self.places.certificate)
        status, _, _ = self.ask()
        self.assertEqual((status, self.info.heard, self.dispatcher.heard), (77, [], []))

    def test_a_server_that_is_pinned_is_not_asked_about(self) -> None:
        self.port = int(self.serve(FakeServer("TaskDispatcher"), "td"))
        self.assertEqual(self.ask()[0], 0)
        self.assertEqual(self.dispatcher.heard, [])

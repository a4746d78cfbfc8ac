"""The sessions of ``docs/protocol.md``, replayed line by line against real daemons."""

from __future__ import annotations

import json
import os

from twisted.trial.unittest import SynchronousTestCase

from tests.support.cluster import FINAL, Cluster
from tests.support.identities import Identity
from tests.support.sessions import DOCUMENT, Replay, Session, sessions
from tests.support.talk import tls_socket

STRANGERS = {"stranger": "stranger", "forger": "alice"}
"""Who has a certificate that nobody registered, and whom it names."""


class ProtocolSessionTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.cluster = Cluster()
        self.addCleanup(self.cluster.stop)
        self.cluster.start_dispatcher()
        self.cluster.start_tms("alice")
        self.pairs: dict[str, tuple[str, str] | None] = {"nobody": None}
        for user in self.cluster.users:
            self.pairs[user] = self.cluster.pair(user)
        for file, name in STRANGERS.items():
            identity = Identity(self.cluster.folder, file, name)
            self.pairs[file] = (identity.certificate, identity.key)

    def port_of(self, server: str) -> int:
        """Return the port of the dispatcher or of alice's server."""
        if server == "TaskDispatcher":
            return self.cluster.port
        path = os.path.join(self.cluster.directory("alice"), "TMS.test.address")
        with open(path, encoding="utf-8") as file:
            return int(json.load(file)["port"])

    def meanwhile(self, what: str) -> None:
        """Wait until ``job 3 ends`` or ``job 3 runs``."""
        _, number, verb = what.split(" ")
        self.cluster.wait([int(number)], states=FINAL if verb == "ends" else ("running",))

    def replay(self, session: Session) -> None:
        """Play *session*, and see that nothing more is said than what it records."""
        with tls_socket(self.port_of(session.server), self.pairs[session.who]) as sock:
            replay = Replay(sock, self.meanwhile)
            replay.run(session)
            if session.lines[-1] != "S: <end>":
                replay.run(Session("", "", ["C: help:version", "S: OK", "S: version<text>", "S: ."]))

    def test_every_session_of_the_document_is_what_the_servers_say(self) -> None:
        recorded = sessions(DOCUMENT.read_text(encoding="utf-8"))
        self.assertGreater(len(recorded), 9)
        for number, session in enumerate(recorded, 1):
            try:
                self.replay(session)
            except AssertionError as error:
                self.fail(f"session {number}, {session.who} to {session.server}: {error}\n{self.cluster.logs()}")

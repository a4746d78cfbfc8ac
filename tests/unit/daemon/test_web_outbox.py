"""Large answers on their way to the web server do not cut its one link."""

from __future__ import annotations

import json

from twisted.trial.unittest import SynchronousTestCase

from tests.support.daemons import NotedPeer
from tm.daemon import web_outbox
from tm.daemon.web_outbox import Outbox
from tm.wire.message import Reply

LARGE = '{"a":"' + "x" * 200_000 + '"}'


class Outboxes(SynchronousTestCase):
    def setUp(self) -> None:
        self.peer = NotedPeer("web@test")
        self.outbox = Outbox(self.peer)

    def heard(self) -> list[tuple[int, bool]]:
        """Return of each line that was sent to which question it belongs, and whether more comes."""
        return [(one["number"], one.get("more", False)) for one in self.peer.told]

    def test_who_takes_it_gets_all(self) -> None:
        self.outbox.send(1, Reply(body=[LARGE, LARGE]))
        self.outbox.send(2, Reply("no", word="net.lost"))
        self.assertEqual(self.heard(), [(1, True), (1, False), (2, False)])

    def test_who_does_not_keep_up_gets_no_more_until_it_does(self) -> None:
        self.peer.congestion(True)
        self.outbox.send(1, Reply(body=[LARGE, LARGE]))
        self.outbox.send(2, Reply(body=["{}"]))
        self.assertEqual(self.heard(), [])
        self.peer.congestion(False)
        self.assertEqual(self.heard(), [(1, True), (1, False), (2, False)])

    def test_what_does_not_fit_is_refused(self) -> None:
        self.patch(web_outbox, "MOST_KEPT", 300_000)
        self.peer.congestion(True)
        self.outbox.send(1, Reply(body=[LARGE]))
        self.outbox.send(2, Reply(body=[LARGE]))
        self.peer.congestion(False)
        self.assertEqual([one.get("word") for one in self.peer.told], [None, "limit.reply"])
        self.outbox.send(3, Reply(body=[LARGE]))
        self.assertEqual(json.loads(self.peer.told[-1]["body"][0])["a"][:3], "xxx")

"""``fits`` as people say it: which hosts, and why not the others."""

from __future__ import annotations

import json

from tests.support.daemons import NotedPeer, refusal
from tests.unit.daemon.test_dispatcher import DispatcherCase
from tm.wire.message import Reply


class FitVerbTests(DispatcherCase):
    def ask(self, line: str) -> Reply:
        """Return the answer to *line*, also where it is a refusal."""
        answer = self.say(NotedPeer("alice"), line).addErrback(refusal)
        self.settle()
        return self.successResultOf(answer)

    def test_every_host_is_told_of(self) -> None:
        answer = self.ask('fits:{"cores":1}')
        self.assertEqual((answer.ok, answer.text), (True, f"{len(answer.body)} now, 0 later, 0 never"))
        self.assertRegex(answer.body[0], r"^n1 +now$")

    def test_what_never_fits_is_no_error(self) -> None:
        (line, *_) = self.ask('fits.json:{"cores":99}').body
        shown = json.loads(line)
        self.assertEqual((shown["host"], shown["fits"], shown["why"], shown["preference"]), ("n1", "never", "cores", 0))
        self.assertRegex(shown["reason"], r"^it has \d+ cores?$")

    def test_what_cannot_be_asked_is_refused(self) -> None:
        for line, word in (
            ("fits:{", "proto.arguments"),
            ('fits:{"command":"x"}', "proto.arguments"),
            ('fits:{"cores":0}', "job.invalid"),
            ('fits:{"constraint":"a b"}', "job.invalid"),
            ('fits:{"constraint":"odl"}', "feature.unknown"),
            ('fits:{"consumables":{"abaqus":1}}', "consumable.unknown"),
            ('fits:{"hosts":["n99"]}', "host.unknown"),
            ('fits:{"account":"nobody"}', "account.unknown"),
        ):
            self.assertEqual(self.ask(line).word, word, line)

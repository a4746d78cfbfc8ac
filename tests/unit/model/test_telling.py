"""What owners of jobs are told: each thing once, of arrays as a whole, over restarts, and only what they asked for."""

from __future__ import annotations

import json

from twisted.trial.unittest import SynchronousTestCase

from tests.support.brain import World
from tm.model.effects import Message

EVERYTHING = ["all"]


class TellingTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.world = World(["alice"], {"n1": 2})
        self.world.brain.user_server_attached("alice")
        self.world.connect("alice", "n1")
        self.heard: list[Message] = []

    def turn(self) -> list[tuple[str, object]]:
        """Let all that is to be done be done; return the new messages as (event, id)."""
        world = self.world
        before = {message.id for message in self.heard}
        for _ in range(4):
            world.report("alice", "n1")
            world.brain.tick(world.at)
            world.turn()
        self.heard = list(world.store.load().messages)
        said = [json.loads(message.body) for message in self.heard if message.id not in before]
        told = [one.get("told", one) for one in said]
        return [(str(one["event"]), one["id"]) for one in told]

    def end(self, index: int = 0, exit_code: int = 0) -> None:
        box = self.world.boxes["alice", "n1"]
        box.end(sorted(box.running)[index], self.world.at, exit_code)

    def submit(self, **more: object) -> None:
        self.world.submit("alice", notify=["alice@example.org"], **more)

    def test_who_names_an_address_alone_hears_of_the_end(self) -> None:
        self.submit()
        self.assertEqual(self.turn(), [])
        self.end()
        self.assertEqual((self.turn(), self.turn()), ([("end", 1)], []))

    def test_begin_and_failure_are_told_once_to_every_address(self) -> None:
        self.world.submit("alice", notify=["a@b.c", "https://x.y/z"], notify_on=EVERYTHING)
        self.assertEqual(self.turn(), [("begin", 1)] * 2)
        self.end(exit_code=3)
        self.assertEqual(self.turn(), [("fail", 1)] * 2)
        self.assertEqual([message.target for message in self.heard], ["a@b.c", "https://x.y/z"] * 2)

    def test_an_array_tells_as_a_whole(self) -> None:
        self.submit(array="0-2", notify_on=EVERYTHING)
        self.assertEqual(self.turn(), [("begin", 1)])
        self.end(exit_code=1)
        self.assertEqual(self.turn(), [("first_fail", 1)])
        self.end(exit_code=1)
        self.end()
        self.assertEqual(self.turn(), [("fail", 1)])

    def test_who_waits_long_hears_of_it_once(self) -> None:
        self.world.submit("alice", 2, cores=2)
        self.submit(notify_after=60.0, notify_on=["waiting"])
        self.world.at += 59
        self.assertEqual(self.turn(), [])
        self.world.at += 2
        self.assertEqual((self.turn(), self.turn()), ([("waiting", 3)], []))

    def test_a_restart_tells_nothing_again(self) -> None:
        self.submit(notify_on=EVERYTHING)
        self.assertEqual(self.turn(), [("begin", 1)])
        self.world.born()
        self.world.brain.user_server_attached("alice")
        self.world.connect("alice", "n1")
        self.assertEqual(self.turn(), [])
        self.end()
        self.assertEqual(self.turn(), [("end", 1)])

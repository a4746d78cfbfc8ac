"""Commands that run now, before they run."""

from __future__ import annotations

import json

from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from tm.edge.running_now import Command, CommandsNow
from tm.model.job import read_spec
from tm.model.lifecycle import Fact

SPEC = json.dumps({"user": "alice", "command": "true", "cwd": "/", "environment": "0" * 64, "interactive": True})


class Dialler:
    """Is on its way for ever."""

    def __init__(self) -> None:
        self.dials = False

    def start(self) -> None:
        self.dials = True

    def stop(self) -> None:
        self.dials = False


class CancelTests(SynchronousTestCase):
    def test_a_command_that_is_cancelled_before_its_connection_is_there_never_begins(self) -> None:
        told: list[Fact] = []
        dialler, commands = Dialler(), []

        def dial(command: Command) -> Dialler:
            commands.append(command)
            return dialler

        now = CommandsNow(
            Clock(), host="n1", python="/bin/false", dialler=dial, environment=lambda digest: {}, told=told.append
        )
        now.begin((7, 1), read_spec(SPEC), {})
        self.assertTrue(dialler.dials)

        self.assertTrue(now.cancel((7, 1), 10.0))
        commands[0]._streaming(True)
        commands[0].link_down("gone")

        self.assertEqual((False, ["returned"]), (dialler.dials, [fact.what for fact in told]))
        self.assertFalse(now.cancel((7, 1), 10.0))

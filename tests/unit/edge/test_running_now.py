"""Commands that run now: cancelled before they run, and while they do."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Generator

from twisted.internet import defer, reactor  # noqa: TID251  it starts a real process
from twisted.internet.defer import Deferred, succeed
from twisted.internet.task import Clock, deferLater
from twisted.trial.unittest import SynchronousTestCase, TestCase

from tests.support.processes import is_alive
from tm.edge.running_now import LATE_OUTPUT_SECONDS, Command, CommandsNow
from tm.keeper import procfs
from tm.model.lifecycle import Fact
from tm.model.spec import read_spec
from tm.wire.message import Reply

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


STUBBORN = "(trap '' TERM HUP; echo ready; while :; do sleep 0.05; done) & trap 'exit 3' TERM HUP; wait"


class Transport:
    """A connection that takes everything."""

    def registerProducer(self, producer: object, streaming: bool) -> None:  # noqa: N802  Twisted's name
        self.producer = producer

    def unregisterProducer(self) -> None:  # noqa: N802  Twisted's name
        del self.producer

    def resumeProducing(self) -> None:  # noqa: N802  Twisted's name
        self.producer = None


class Link:
    """The command's connection: keeps its output."""

    def __init__(self) -> None:
        self.transport = Transport()
        self.output = b""

    def ask(self, verb: str, rest: str) -> Deferred[Reply]:
        return succeed(Reply())

    def send_bulk(self, channel: int, data: bytes) -> None:
        self.output += data


class TreeTests(TestCase):
    def begin(self, command: str, told: list[Fact]) -> tuple[CommandsNow, Link]:
        """Run *command* as attempt 1 of job 7."""
        commands: list[Command] = []
        now = CommandsNow(
            reactor, host="n1", python=sys.executable, dialler=lambda command: commands.append(command) or Dialler(),
            environment=lambda digest: {"PATH": "/usr/bin:/bin"}, told=told.append,
        )  # fmt: skip
        spec = json.dumps({**json.loads(SPEC), "command": command})
        now.begin((7, 1), read_spec(spec), {"TM_JOB_ID": "7", "TM_ATTEMPT": "1"})
        link = Link()
        commands[0].link_up(link, "OK")
        return now, link

    @defer.inlineCallbacks
    def test_a_command_is_suspended_goes_on_and_is_suspended_when_it_is_cancelled(
        self,
    ) -> Generator[Deferred[object], object]:
        told: list[Fact] = []
        now, link = self.begin("while :; do sleep 0.01; echo ready; done", told)
        yield self.until(lambda: b"ready" in link.output)
        pid = told[0].pid
        for word, what, turn in (("suspend", "suspended", 1), ("resume", "resumed", 2), ("suspend", "suspended", 3)):
            self.assertTrue(now.pause(word, (7, 1), 0))
            yield self.until(lambda turn=turn: told[-1].turn == turn)
            self.assertEqual((told[-1].what, told[-1].pid), (what, pid))
            seen = len(link.output)
            if what == "resumed":
                yield self.until(lambda seen=seen: len(link.output) > seen + 20)
        self.assertTrue(all(one.still for one in procfs.snapshot().values() if one.session == pid))

        now.cancel((7, 1), 5.0)
        yield self.until(lambda: told[-1].what == "ended")
        self.assertEqual((told[-1].signal, living(pid), now.pause("suspend", (7, 1), 0)), (1, [], False))
        yield deferLater(reactor, LATE_OUTPUT_SECONDS + 0.1)

    @defer.inlineCallbacks
    def test_a_cancelled_command_has_ended_once_its_tree_is_gone(self) -> Generator[Deferred[object], object]:
        told: list[Fact] = []
        now, link = self.begin(STUBBORN, told)
        yield self.until(lambda: b"ready" in link.output)
        pid = told[0].pid

        now.cancel((7, 1), 0.3)
        yield self.until(lambda: not is_alive(pid))
        self.assertNotEqual([], living(pid))
        yield self.until(lambda: len(told) > 1)

        self.assertEqual(([], "ended", 3), (living(pid), told[1].what, told[1].exit_code))
        yield deferLater(reactor, LATE_OUTPUT_SECONDS + 0.1)

    @defer.inlineCallbacks
    def until(self, condition: Callable[[], bool]) -> Generator[Deferred[object], object]:
        """Wait for *condition*."""
        for _ in range(1000):
            if condition():
                return
            yield deferLater(reactor, 0.01)
        self.fail("waited in vain")


def living(session: int | None) -> list[int]:
    """Return the living processes of *session*."""
    return [one.pid for one in procfs.snapshot().values() if one.session == session and not one.dead]

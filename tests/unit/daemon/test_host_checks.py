"""Checks of hosts for the web interface: what is run for them, and what of it is told."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from tm.daemon.host_checks import MOST_CHECKS, POLL_SECONDS, UNPOLLED_SECONDS, HostChecks
from tm.errors import RefusedError

FINDING = {"topic": "ssh", "level": "bad", "short": "no", "text": "it says no", "remedy": "ssh-copy-id n1"}


@dataclass
class Said:
    """How the command ended."""

    output: str
    reason: str = ""


class CheckTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.clock = Clock()
        self.runs: list[tuple[Sequence[str], Deferred[Any]]] = []
        self.killed = 0
        self.checks = HostChecks(self.clock, self.run_command)

    def run_command(self, words: Sequence[str]) -> Deferred[Any]:
        def kill(running: Deferred[Any]) -> None:
            self.killed += 1

        running: Deferred[Any] = Deferred(kill)
        self.runs.append((words, running))
        return running

    def poll(self, check: str = "a random word", name: str = "n1", **more: object) -> Deferred[dict[str, Any]]:
        given = json.dumps({"check": check, "name": name, **more})
        return Deferred.fromCoroutine(self.checks.check(given))

    def words(self, **more: object) -> list[str]:
        """Return the command line of a check."""
        self.poll(check=f"another word {len(self.runs)}", **more).addErrback(self.fail)
        return list(self.runs[-1][0])

    def test_a_host_that_is_there_is_checked_as_it_is_or_would_be(self) -> None:
        self.assertEqual(self.words(), ["hosts", "check", "--json", "n1"])
        table = {"options": {"port": 22}, "features": ["a", "b"], "hours": ["mon 1-2", "tue 3-4"], "tunnel": True,
                 "memory": None, "address": "n1.lab"}  # fmt: skip
        options = ["options.port=22", "features=a,b", "hours=mon 1-2;tue 3-4", "tunnel=true", "memory=",
                   "address=n1.lab"]  # fmt: skip
        expected = ["hosts", "check", "--json", *(f"--set={one}" for one in options), "n1"]
        self.assertEqual(self.words(table=table), expected)

    def test_a_new_one_is_checked_as_by_adding_it_dry(self) -> None:
        self.assertEqual(
            self.words(name="n7", new=True, table={"address": "10.0.0.7", "cores": 8}),
            ["hosts", "add", "--dry-run", "--json", "--set=cores=8", "n7=10.0.0.7"],
        )
        self.assertEqual(self.words(name="n7", new=True), ["hosts", "add", "--dry-run", "--json", "n7"])

    def test_what_cannot_be_meant_is_not_run(self) -> None:
        for more in ({"name": "--etc=/x"}, {"name": "a/b"}, {"table": {"a": "x" * 5000}}, {"table": {"a": "\0"}},
                     {"check": "short"}, {"table": {"a": "b\n"}}):  # fmt: skip
            failure = self.failureResultOf(self.poll(**more), RefusedError)  # type: ignore[arg-type]  # wrong ones, too
            self.assertEqual(failure.value.word, "proto.arguments")
        self.assertEqual(self.runs, [])

    def test_polls_say_how_it_goes_and_what_was_found(self) -> None:
        poll = self.poll()
        self.assertNoResult(poll)
        self.clock.advance(POLL_SECONDS)
        under_way = {"host": "n1", "over": False, "good": None, "findings": [], "error": None}
        self.assertEqual(self.successResultOf(poll), under_way)
        poll = self.poll()
        self.runs[0][1].callback(Said("noise\n" + json.dumps({"host": "n1", "good": False, "findings": [FINDING]})))
        found = {"host": "n1", "over": True, "good": False, "findings": [FINDING], "error": None}
        self.assertEqual(self.successResultOf(poll), found)
        self.assertEqual(self.successResultOf(self.poll()), found)
        self.assertEqual(len(self.runs), 1)

    def test_why_there_was_no_answer_is_told(self) -> None:
        polls = [self.poll(check=f"another word {number}") for number in range(3)]
        self.runs[0][1].callback(Said("", "n1 is no host"))
        self.runs[1][1].callback(Said("[1]\n"))
        self.runs[2][1].errback(FileNotFoundError(2, "no such program", "tm"))
        errors = [str(self.successResultOf(poll)["error"]) for poll in polls]
        self.assertEqual(errors[:2], ["n1 is no host", "the check said nothing"])
        self.assertIn("no such program", errors[2])

    def test_a_check_that_nobody_polls_is_ended_and_only_so_many_go_on(self) -> None:
        for number in range(MOST_CHECKS):
            self.poll(check=f"another word {number}")
        self.assertEqual(self.failureResultOf(self.poll(), RefusedError).value.word, "limit.checks")
        self.clock.advance(UNPOLLED_SECONDS)
        self.assertEqual(self.killed, MOST_CHECKS)
        self.assertNoResult(self.poll())

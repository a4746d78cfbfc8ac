"""How what owners are told travels: gathered, tried again, given up, and never lost on the way."""

from __future__ import annotations

import json

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from tm.daemon.post_office import GATHER_SECONDS, GIVE_UP_AFTER, MOST_HELD, PATIENCE_SECONDS, RETRY_AFTER, PostOffice
from tm.errors import MailError
from tm.model.effects import Message

WEB = "https://example.org/hook"


class PostOfficeTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.clock = Clock()
        self.letters: list[tuple[str, str, str]] = []
        self.sending: list[Deferred[None]] = []
        self.lines: list[dict[str, object]] = []
        self.done: list[tuple[list[int], str]] = []
        self.server = True
        self.office = PostOffice(self.clock, "physics", lambda: self, self.tell_server, self.sent)

    def send(self, to: str, subject: str, text: str) -> Deferred[None]:
        self.letters.append((to, subject, text))
        self.sending.append(Deferred())
        return self.sending[-1]

    def tell_server(self, user: str, line: bytes) -> bool:
        if self.server:
            self.lines.append(json.loads(line))
        return self.server

    def sent(self, messages: list[Message], failed: str) -> None:
        self.done.append(([one.id for one in messages], failed))

    def message(self, number: int, target: str = "a@b.c", event: str = "end") -> Message:
        told = {"event": event, "id": number, "name": "sim", "state": "completed", "command": "true"}
        body = told if "@" in target else {"told": told, "spec": "{}", "sig": "s"}
        return Message(number, self.clock.seconds(), "alice", target, json.dumps(body))

    def test_what_ends_together_is_one_letter(self) -> None:
        self.office.post([self.message(1), self.message(2, event="fail"), self.message(3, "x@y.z")])
        self.assertEqual(self.letters, [])
        self.clock.advance(GATHER_SECONDS)
        self.assertEqual(
            [(to, "2 events" in text) for to, _, text in self.letters], [("a@b.c", True), ("x@y.z", False)]
        )
        self.assertIn("1 ended, 1 failed", self.letters[0][1])
        for one in self.sending:
            one.callback(None)
        self.assertEqual(self.done, [([1, 2], ""), ([3], "")])

    def test_what_waits_for_one_user_has_a_bound(self) -> None:
        self.server = False
        large = "x" * (MOST_HELD // 4 - 200)
        for number in range(1, 8):
            body = json.dumps({"told": {"event": "end", "id": number, "name": large}, "spec": "{}", "sig": "s"})
            for _ in range(2 if number < 5 else 1):
                self.office.post([Message(number, 0.0, "alice", f"{WEB}/{number}", body)])
        self.assertEqual([number for (number,), _ in self.done], [5, 6, 7])
        self.server = True
        self.done.clear()
        self.office.server_came("alice")
        self.clock.advance(0)
        for number in range(1, 5):
            self.office.told("alice", number, "")
        self.assertEqual([number for (number,), _ in self.done], [1, 2, 3, 4])
        self.office.post([self.message(9, WEB)])
        self.clock.advance(0)
        self.assertEqual(self.lines[-1]["id"], 9)

    def test_what_comes_while_a_letter_is_under_way_is_in_the_next(self) -> None:
        self.office.post([self.message(1)])
        self.clock.advance(GATHER_SECONDS)
        self.office.post([self.message(1), self.message(2)])
        self.sending[0].callback(None)
        self.clock.advance(GATHER_SECONDS)
        self.sending[1].callback(None)
        self.assertEqual(self.done, [([1], ""), ([2], "")])

    def test_a_passing_failure_is_tried_again_and_given_up_after_days(self) -> None:
        self.office.post([self.message(1)])
        self.clock.advance(GATHER_SECONDS)
        waited = 0
        while not self.done:
            self.sending[-1].errback(MailError("greylisted", True))
            self.clock.advance(RETRY_AFTER[min(waited, len(RETRY_AFTER) - 1)])
            waited += 1
        self.assertEqual(self.done, [([1], "greylisted")])
        self.assertGreater(self.clock.seconds(), GIVE_UP_AFTER)
        self.assertGreater(waited, len(RETRY_AFTER))

    def test_a_refused_address_is_given_up_at_once_and_remembered(self) -> None:
        self.office.post([self.message(1)])
        self.clock.advance(GATHER_SECONDS)
        self.sending[0].errback(MailError("550 no such user", False))
        self.assertEqual(self.done, [([1], "550 no such user")])
        self.assertEqual(self.office.complaint("a@b.c"), "550 no such user")
        self.office.post([self.message(2)])
        self.clock.advance(GATHER_SECONDS)
        self.sending[1].callback(None)
        self.assertEqual(self.office.complaint("a@b.c"), "")

    def test_the_owners_server_is_asked_one_by_one_and_answers(self) -> None:
        self.office.post([self.message(1, WEB), self.message(2, WEB)])
        self.clock.advance(0)
        self.assertEqual([(one["id"], one["target"], one["sig"]) for one in self.lines], [(1, WEB, "s")])
        self.office.told("alice", 1, "")
        self.clock.advance(0)
        self.office.told("mallory", 2, "")
        self.assertEqual(([one["id"] for one in self.lines], self.done), ([1, 2], [([1], "")]))
        self.office.told("alice", 2, "")
        self.assertEqual(self.done, [([1], ""), ([2], "")])

    def test_without_an_answer_or_a_server_it_is_asked_again(self) -> None:
        self.office.post([self.message(1, WEB)])
        self.clock.advance(0)
        self.clock.advance(PATIENCE_SECONDS)
        self.server = False
        self.clock.advance(RETRY_AFTER[0])
        self.assertEqual(len(self.lines), 1)
        self.server = True
        self.office.server_came("bob")
        self.clock.advance(0)
        self.assertEqual(len(self.lines), 1)
        self.office.server_came("alice")
        self.clock.advance(0)
        self.assertEqual([one["id"] for one in self.lines], [1, 1])
        self.office.told("alice", 1, "")
        self.assertEqual(self.done, [([1], "")])
        self.clock.advance(PATIENCE_SECONDS)
        self.assertEqual((len(self.lines), self.clock.getDelayedCalls()), (2, []))

    def test_at_the_end_nothing_more_is_delivered(self) -> None:
        self.office.post([self.message(1), self.message(2, WEB)])
        self.office.end()
        self.clock.advance(GATHER_SECONDS)
        self.assertEqual((self.letters, self.lines, self.clock.getDelayedCalls()), ([], [], []))

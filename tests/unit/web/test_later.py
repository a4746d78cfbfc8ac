"""Answers that come when they are there: in any order, in parts, or never."""

from __future__ import annotations

import json

from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from tests.support.web import Site
from tm.errors import RefusedError, TaskManagerError
from tm.web.asked import Asked, Visitor
from tm.web.desk import Desk
from tm.web.later import Later
from tm.wire.message import Reply


def part(number: int, **fields: object) -> bytes:
    return json.dumps({"topic": "answer", "number": number, **fields}).encode()


class LaterTests(SynchronousTestCase):
    def test_each_answer_finds_who_waits_for_it_in_any_order_and_in_parts(self) -> None:
        later = Later()
        (first, one), (second, other) = later.begin(), later.begin()
        later.hear(part(second, word="net.timeout", text="no answer"))
        self.assertEqual(self.successResultOf(other), Reply("no answer", word="net.timeout"))
        later.hear(part(first, body=["1", "2"], more=True))
        self.assertNoResult(one)
        later.hear(part(first, text="3", body=["3"]))
        self.assertEqual(self.successResultOf(one), Reply("3", ["1", "2", "3"]))
        later.hear(part(first, text="again"))

    def test_what_nobody_waits_for_any_more_is_passed_over(self) -> None:
        later = Later()
        number, answer = later.begin()
        later.end(number)
        later.hear(part(number))
        self.assertNoResult(answer)

    def test_with_the_link_all_answers_are_lost(self) -> None:
        later = Later()
        answers = [later.begin()[1] for _ in range(2)]
        later.lost(TaskManagerError("net.dispatcher", "gone"))
        for answer in answers:
            self.assertEqual(self.failureResultOf(answer, TaskManagerError).value.word, "net.dispatcher")


class DeskTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.site = Site()
        self.desk: Desk = self.site.desk
        self.asked = Asked("GET", "/", visitor=Visitor("s" * 43, "7", "alice"))

    def ask(self, verb: str) -> Deferred[object]:
        return Deferred.fromCoroutine(self.desk.ask(self.asked, verb, "n1:load"))

    def test_what_other_servers_answer_comes_as_an_event(self) -> None:
        self.site.link.replies["hostask"] = [{"load": 1}]
        self.assertEqual(self.successResultOf(self.ask("hostask")), [{"load": 1}])
        self.site.link.replies["hostask"] = Reply("it is away", word="info.away")
        self.assertEqual(self.failureResultOf(self.ask("hostask"), RefusedError).value.word, "info.away")

    def test_it_holds_up_no_other_answer_and_is_lost_with_the_link(self) -> None:
        self.site.link.event = lambda json: None
        waiting = self.ask("hostask")
        self.site.link.replies["lshosts"] = [{"name": "n1"}]
        self.assertEqual(self.successResultOf(self.ask("lshosts")), [{"name": "n1"}])
        self.assertNoResult(waiting)
        self.desk.lost("the connection broke")
        self.assertEqual(self.failureResultOf(waiting, TaskManagerError).value.word, "net.dispatcher")

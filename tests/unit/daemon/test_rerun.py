"""Jobs run again: what the dispatcher gives of them, and what their user's server makes of it."""

from __future__ import annotations

import json

from twisted.trial.unittest import SynchronousTestCase

from tests.support.brain import order
from tests.support.daemons import NotedPeer, refusal
from tests.support.desk import EMPTY, Seal
from tests.unit.daemon.test_dispatcher import DispatcherCase
from tests.unit.daemon.test_user_server import UserServerCase
from tm.daemon.rerun import signed_again
from tm.errors import RefusedError
from tm.model.ids import task_id
from tm.model.spec import read_spec
from tm.model.starts import mark_of
from tm.wire.message import Reply

SEAL = Seal()


def text_line(tasks: str = "", seal: Seal = SEAL, **more: object) -> str:
    """Return what the dispatcher gives of a job."""
    text, _ = order(**{"environment": EMPTY, **more})  # type: ignore[arg-type]
    return json.dumps({"id": "17", "text": text, "sig": seal.sign(text), **({"tasks": tasks} if tasks else {})})


class TextTests(DispatcherCase):
    """Alice has the ended job 1 and the array 2, of whose tasks 1 and 3 have failed; bob the waiting job 3."""

    def setUp(self) -> None:
        super().setUp()
        self.peer = self.attached()
        self.assertTrue(self.said(self.peer, self.hello()).ok)
        self.said(self.peer, self.submission("a"))
        self.said(self.peer, self.report(1, {"job": 1, "attempt": 1, "what": "ended", "at": 1.0, "exit_code": 0}))
        self.said(self.peer, self.submission("b", array="0-3", name="grid"))
        for number, (index, code) in enumerate(((0, 0), (1, 2), (2, 0), (3, 3)), 2):
            fact = {"job": task_id(2, index), "attempt": 1, "what": "ended", "at": 2.0, "exit_code": code}
            self.said(self.peer, self.report(number, fact))
        self.said(NotedPeer("bob"), self.submission("c", user="bob"))

    def texts(self, line: str, user: str = "alice") -> list[tuple[str, str]]:
        answer = self.said(NotedPeer(user), line)
        self.assertTrue(answer.ok, answer)
        return [(given["id"], given.get("tasks", "")) for given in map(json.loads, answer.body)]

    def refused(self, line: str) -> str:
        answer = self.say(NotedPeer("alice"), line)
        answer.addErrback(refusal)
        self.settle()
        return self.successResultOf(answer).word or ""

    def test_the_text_of_a_job_is_given_as_it_was_signed(self) -> None:
        (line,) = self.said(self.peer, "jobtexts:1").body
        self.assertEqual(json.loads(line)["sig"], "signed")
        self.assertEqual(read_spec(json.loads(line)["text"]).command, "true")

    def test_of_an_array_all_is_meant_or_the_tasks_that_are_named(self) -> None:
        self.assertEqual(self.texts("jobtexts:2"), [("2", "")])
        self.assertEqual(self.texts("jobtexts:2_[0-1]"), [("2", "0-1")])

    def test_what_failed_is_found_by_task(self) -> None:
        self.assertEqual(self.texts("jobtexts:2:failed"), [("2", "1,3")])
        self.assertEqual(self.texts("jobtexts:1-2:failed"), [("2", "1,3")])
        self.assertEqual(self.texts("jobtexts:2_[2-3]:failed"), [("2", "3")])
        self.assertEqual(self.texts("jobtexts:array=2:failed"), [("2", "1,3")])
        self.assertEqual(self.refused("jobtexts:1:failed"), "job.state")

    def test_filters_list_jobs_also_ended_ones(self) -> None:
        self.assertEqual(self.texts("jobtexts:name=gr*"), [("2", "")])
        self.assertEqual(self.texts("jobtexts:state=completed"), [("1", "")])

    def test_what_is_anothers_or_not_there_is_unknown(self) -> None:
        for line in ("jobtexts:3", "jobtexts:99", "jobtexts:2_9", "jobtexts:1_0"):
            self.assertEqual(self.refused(line), "job.unknown", line)
        self.assertEqual(self.refused("jobtexts:user=bob"), "perm.denied")
        self.assertEqual(self.refused("jobtexts:1:bad"), "proto.arguments")
        self.assertEqual(self.refused("jobtexts:1 state=completed"), "proto.arguments")


class SignedAgainTests(SynchronousTestCase):
    def again(self, *lines: str, now: float = 50.0) -> list[tuple[str, str]]:
        (chunk,) = signed_again("t", lines, "alice", SEAL, now)
        return chunk.orders

    def test_the_same_text_is_signed_as_something_new(self) -> None:
        line = text_line(command="echo")
        ((text, signature),) = self.again(line)
        self.assertEqual(text, json.loads(line)["text"])
        self.assertTrue(SEAL.check(text, signature))
        self.assertNotEqual(mark_of(signature), mark_of(json.loads(line)["sig"]))
        self.assertEqual(self.again(line), [(text, signature)])

    def test_fewer_tasks_are_signed_anew(self) -> None:
        ((text, signature),) = self.again(text_line("1,3", array="0-3"))
        self.assertEqual(read_spec(text).array, "1,3")
        self.assertTrue(SEAL.check(text, signature))

    def test_times_that_have_passed_do_not_count_again(self) -> None:
        ((text, _),) = self.again(text_line(begin=10.0, deadline=40.0))
        self.assertEqual((read_spec(text).begin, read_spec(text).deadline), (0.0, 0.0))
        ((text, _),) = self.again(text_line(begin=10.0, deadline=40.0), now=5.0)
        self.assertEqual((read_spec(text).begin, read_spec(text).deadline), (10.0, 40.0))

    def test_what_this_user_has_not_signed_is_refused(self) -> None:
        for line in (text_line(seal=Seal("another's")), text_line(user="bob")):
            refused = self.assertRaises(RefusedError, self.again, line)
            self.assertEqual(refused.word, "auth.signature")

    def test_tasks_that_this_user_has_never_asked_for_are_not_signed(self) -> None:
        for line in (text_line("0-999999"), text_line("0-4", array="0-3"), text_line("1", array="0-8:2"),
                     text_line("0-3%9", array="0-3"), text_line("0,0", array="0-3")):  # fmt: skip
            refused = self.assertRaises(RefusedError, self.again, line)
            self.assertEqual(refused.word, "auth.signature")


class UserServerRerunTests(UserServerCase):
    def test_it_asks_for_the_texts_and_submits_them_under_the_token(self) -> None:
        self.up()
        self.link.answers["jobtexts"] = Reply("1", [text_line("1", array="0-1")])
        self.link.answers["submit"] = Reply("accepted 1", ["18"])
        answer = self.successResultOf(self.say(NotedPeer(), 'rerun:{"token":"t","ids":"17 18","failed":true}'))
        self.assertEqual((answer.text, list(answer.body)), ("accepted 1", ["18"]))
        self.assertEqual([said.rest for said in self.link.said if said.verb == "jobtexts"], ["17 18:failed"])
        self.assertEqual(self.link.last("submit")["token"], "t.0")

    def test_a_refusal_is_passed_on(self) -> None:
        self.up()
        self.link.answers["jobtexts"] = Reply("nothing", word="job.state")
        self.assertEqual(self.word(self.say(NotedPeer(), 'rerun:{"token":"t","ids":"17"}')), "job.state")

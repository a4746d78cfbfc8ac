"""Questions that the dispatcher hands on, to users' own servers and to InfoServers, and what it lets back."""

from __future__ import annotations

import json
from typing import Any

from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from tests.support.daemons import NotedPeer
from tests.unit.daemon.test_dispatcher import DispatcherCase
from tests.unit.daemon.test_info_links import InfoCase
from tm.daemon.host_questions import HOST_SECONDS, MOST_LETTERS, MOST_OF_ONE
from tm.daemon.own_verbs import OWN_SECONDS
from tm.daemon.questions import MOST_BYTES, MOST_OF_ALL, PART_BYTES, Answered, answer_lines
from tm.daemon.web_desk import WebPeer
from tm.errors import TaskManagerError
from tm.model.sessions import Session
from tm.wire.frames import LARGE_LIMIT
from tm.wire.message import Reply


def session(user: str = "alice") -> WebPeer:
    """Return somebody who speaks through the web interface."""
    one = Session(
        id="s1", kind="session", user=user, may="act", digest="", made_at=0.0, until=9e9, grant="GRANT", sig="SIG"
    )
    return WebPeer(one)


class OwnTests(DispatcherCase):
    def own(self, peer: Any, verb: str = "output", argument: object = None) -> Deferred[Reply]:
        said = json.dumps({"verb": verb, "argument": argument or {"job": 17}})
        answer: Deferred[Reply] = self.say(peer, f"own:{said}")
        return answer.addErrback(lambda failure: Reply(failure.value.text, word=failure.value.word))

    def word(self, peer: Any, **more: Any) -> str | None:
        return self.successResultOf(self.own(peer, **more)).word

    def test_it_goes_to_the_server_of_who_asks_with_the_grant_of_the_session(self) -> None:
        server, other = self.attached("alice"), self.attached("bob")
        answer = self.own(session(), "rerun", {"ids": "17"})
        (asked,) = server.heard("asked")
        self.assertEqual(
            asked,
            {"topic": "asked", "number": asked["number"], "verb": "rerun", "argument": {"ids": "17"}, "grant": "GRANT",
             "sig": "SIG"},
        )  # fmt: skip
        self.assertEqual(other.heard("asked"), [])
        number = asked["number"]
        self.assertEqual(self.said(other, f'answered:{{"number":{number}}}').word, "perm.denied")
        self.assertTrue(self.said(server, f'answered:{{"number":{number},"body":["1"],"more":true}}').ok)
        self.assertNoResult(answer)
        self.assertTrue(self.said(server, f'answered:{{"number":{number},"text":"t","body":["2"]}}').ok)
        self.assertEqual(self.successResultOf(answer), Reply("t", ["1", "2"]))
        self.assertTrue(self.said(server, f'answered:{{"number":{number}}}').ok)

    def test_a_refusal_comes_as_one_and_a_class_that_is_none_as_a_failure(self) -> None:
        server = self.attached()
        for word, expected in (("perm.grant", "perm.grant"), ("no class\n", "internal.error")):
            answer = self.own(session())
            number = server.heard("asked")[-1]["number"]
            self.said(server, "answered:" + json.dumps({"number": number, "word": word, "text": "no"}))
            self.assertEqual(self.successResultOf(answer).word, expected)

    def test_it_is_said_through_a_session_alone(self) -> None:
        self.attached()
        self.assertEqual(self.word(NotedPeer("alice")), "perm.denied")
        self.assertEqual(self.word(session(), verb="run"), "proto.arguments")

    def test_a_server_that_is_not_there_or_leaves_or_says_nothing_is_an_error(self) -> None:
        self.assertEqual(self.word(session()), "web.server")
        server = self.attached()
        answer = self.own(session())
        server.lost()
        self.assertEqual(self.successResultOf(answer).word, "net.lost")
        self.attached()
        answer = self.own(session())
        self.clock.advance(OWN_SECONDS)
        self.assertEqual(self.successResultOf(answer).word, "net.timeout")

    def test_only_so_many_are_under_way_and_only_so_much_comes_back(self) -> None:
        server = self.attached()
        answers = [self.own(session()) for _ in range(MOST_OF_ALL)]
        self.assertEqual(self.word(session()), "limit.questions")
        number = server.heard("asked")[0]["number"]
        part = json.dumps({"number": number, "body": ["x" * 900_000], "more": True})
        for _ in range(MOST_BYTES // 900_000 + 1):
            self.assertTrue(self.said(server, "answered:" + part).ok)
        self.assertEqual(self.successResultOf(answers[0]).word, "limit.reply")
        answers.append(self.own(session()))
        self.assertNoResult(answers[-1])

    def test_who_is_not_the_attached_server_answers_nothing(self) -> None:
        self.attached()
        self.assertEqual(self.said(NotedPeer("alice"), 'answered:{"number":1}').word, "perm.denied")


class HostTests(InfoCase):
    def setUp(self) -> None:
        super().setUp()
        self.peer = NotedPeer("alice")

    def ask(self, line: str, peer: NotedPeer | None = None) -> Deferred[Reply]:
        answer: Deferred[Reply] = self.say(peer or self.peer, line)
        return answer.addErrback(lambda failure: Reply(failure.value.text, word=failure.value.word))

    def word(self, line: str) -> str | None:
        return self.successResultOf(self.ask(line)).word

    def test_the_hosts_infoserver_is_asked_as_the_user_and_answers(self) -> None:
        info = self.joined()
        answer = self.ask("hostask.json:n1:processes:user=bob:limit=5")
        (asked,) = info.heard("asked")
        number = asked.pop("number")
        expected = {
            "topic": "asked", "question": "processes", "rest": "user=bob:limit=5", "json": True, "user": "alice",
        }  # fmt: skip
        self.assertEqual(asked, expected)
        other = NotedPeer("infoserver@n2")
        self.assertEqual(self.said(other, f'infoanswer:{{"number":{number}}}').word, "perm.denied")
        self.said(info, "infoanswer:" + json.dumps({"number": number, "body": ['{"pid":1}', '{"pid":2}']}))
        self.assertEqual(self.successResultOf(answer).body, ['{"pid":1}', '{"pid":2}'])

    def test_what_is_no_json_goes_no_further(self) -> None:
        info = self.joined()
        for line in ("no", "[1]", '{"a":1}}', "[" * 100_000):
            answer = self.ask("hostask.json:n1:load")
            number = info.heard("asked")[-1]["number"]
            self.said(info, "infoanswer:" + json.dumps({"number": number, "body": [line]}))
            self.assertEqual(self.successResultOf(answer).word, "info.bad", line[:20])

    def test_what_cannot_be_asked_is_refused(self) -> None:
        self.assertEqual(self.word("hostask:n1:load"), "info.away")
        self.assertEqual(self.word("hostask:n9:load"), "host.unknown")
        self.joined()
        self.assertEqual(self.word("hostask:n1:subscribe"), "proto.arguments")
        self.assertEqual(self.word("hostask:n1:processes:user=" + "x" * MOST_LETTERS), "proto.arguments")
        self.assertEqual(self.word("hostask:n1"), "proto.arguments")

    def test_a_host_that_is_silent_costs_one_user_no_more_than_their_own_questions(self) -> None:
        self.joined()
        answers = [self.ask("hostask:n1:load") for _ in range(MOST_OF_ONE)]
        self.assertEqual(self.word("hostask:n1:load"), "limit.questions")
        answers += [self.ask("hostask:n1:load", NotedPeer("bob"))]
        self.assertNoResult(answers[-1])
        self.clock.advance(HOST_SECONDS)
        self.assertEqual({self.successResultOf(answer).word for answer in answers}, {"net.timeout"})
        self.assertNoResult(self.ask("hostask:n1:load"))

    def test_and_all_users_together_no_more_than_so_many(self) -> None:
        self.joined()
        questions = self.verbs._methods["hostask"].__self__._questions  # type: ignore[attr-defined]  # a bound method
        for number in range(MOST_OF_ALL):
            questions.ask(self.link().peer, f"user {number}").addErrback(lambda failure: None)
        self.assertEqual(self.word("hostask:n1:load"), "limit.questions")
        self.clock.advance(HOST_SECONDS)
        self.assertEqual(len(questions), 0)


class PartTests(SynchronousTestCase):
    def test_a_long_answer_comes_in_lines_that_may_be_sent(self) -> None:
        body = [json.dumps({"pid": number, "command": '"' * 1000}) for number in range(1000)]
        lines = list(answer_lines(7, Reply("many", body)))
        self.assertGreater(len(lines), 1000 * 2000 // PART_BYTES)
        self.assertTrue(all(len(line) + 20 < LARGE_LIMIT for line in lines))
        parts = [json.loads(line) for line in lines]
        self.assertEqual([line for part in parts for line in part["body"]], body)
        self.assertEqual([part.get("more", False) for part in parts], [True] * (len(parts) - 1) + [False])
        self.assertEqual(parts[-1]["text"], "many")

    def test_one_line_that_is_too_long_is_an_error(self) -> None:
        (line,) = answer_lines(7, Reply(body=["x" * 2_000_000]))
        self.assertEqual(json.loads(line)["word"], "limit.reply")
        self.assertEqual(Answered(1).word, None)

    def test_an_error_is_a_line(self) -> None:
        error = TaskManagerError("busy.sample", "wait")
        self.assertEqual(
            list(map(json.loads, answer_lines(7, Reply(error.text, word=error.word)))),
            [{"number": 7, "word": "busy.sample", "text": "wait"}],
        )

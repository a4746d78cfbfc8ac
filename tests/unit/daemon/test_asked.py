"""What a user's server does for the web interface: only with its own grant, and only where its user has signed."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from tests.support.brain import order
from tests.support.daemons import NotedPeer
from tests.support.desk import EMPTY, Seal
from tests.unit.daemon.test_user_server import UserServerCase
from tm.daemon.grants import SESSION_SECONDS
from tm.daemon.looking import FIRST_SECONDS, MOST_KEPT, MOST_LOOKS, PIECE, POLL_SECONDS, UNPOLLED_SECONDS, Kept
from tm.model.spec import read_spec
from tm.wire.frames import Bulk
from tm.wire.message import Reply

GRANTS = Seal("alice's grants")
LOOK = "a random word"


class AskedCase(UserServerCase):
    def setUp(self) -> None:
        super().setUp()
        self.link.answers["hello"] = Reply('{"epoch":1,"run":"r"}')
        self.link.answers["submit"] = Reply("accepted 1", ["17", "# ask for less"])
        self.link.answers["answered"] = Reply()
        self.up()
        self.number = 0
        self.grant, self.sig = self.granted()

    def granted(self, may: str = "submit", until: float = 1e9, user: str = "alice") -> tuple[str, str]:
        text = json.dumps({"user": user, "may": may, "until": until})
        return text, GRANTS.sign(text)

    def ask(self, verb: str, argument: object) -> int:
        """The dispatcher asks; return the number under which it does."""
        self.number += 1
        self.event(topic="asked", number=self.number, verb=verb, argument=argument, grant=self.grant, sig=self.sig)
        return self.number

    def answer(self, number: int) -> Any:
        """Return what was answered: the class of an error, or a value; None while nothing was."""
        for request in self.link.said:
            said = json.loads(request.rest or "{}") if request.verb == "answered" else {}
            if said.get("number") == number:
                return said.get("word") or json.loads(said["body"][0])
        return None

    def asked(self, verb: str, argument: object) -> Any:
        return self.answer(self.ask(verb, argument))


class GrantTests(AskedCase):
    def test_a_login_gets_a_grant_that_opens_what_it_says(self) -> None:
        self.link.answers["weblogin"] = Reply("", ['{"url":"u"}'])
        said = self.successResultOf(self.say(NotedPeer(), 'weblogin.json:{"may":"submit"}'))
        self.assertEqual(said.body, ['{"url":"u"}'])
        told = self.link.last("weblogin")
        self.assertEqual(told["may"], "submit")
        self.assertEqual(json.loads(told["grant"]), {"user": "alice", "may": "submit", "until": SESSION_SECONDS})
        self.grant, self.sig = told["grant"], told["sig"]
        self.assertEqual(self.asked("submit", {"token": "t", "job": {"command": "true"}})["ids"], [17])
        self.clock.advance(SESSION_SECONDS)
        self.assertEqual(self.asked("submit", {"token": "t", "job": {"command": "true"}}), "perm.grant")

    def test_a_token_gets_one_for_its_days(self) -> None:
        self.link.answers["addtoken"] = Reply("", ['{"token":"tm_"}'])
        self.successResultOf(self.say(NotedPeer(), 'addtoken.json:{"name":"n","may":"look","days":2}'))
        told = self.link.last("addtoken")
        self.assertEqual((told["name"], told["days"], told["may"]), ("n", 2, "look"))
        self.assertEqual(json.loads(told["grant"])["until"], 2 * 86400.0)
        for wish in ('{"name":"n","days":400}', '{"name":"n","days":0}', '{"may":"act"}', '{"name":"n","may":"all"}'):
            self.assertEqual(self.word(self.say(NotedPeer(), "addtoken:" + wish)), "proto.arguments")

    def test_without_a_live_grant_for_as_much_nothing_is_done(self) -> None:
        good = self.granted()
        orders = Seal()  # what signs job orders
        for grant, sig in (
            ("", ""), (good[0], ""), (good[0], "0" * 64), (good[0], orders.sign(good[0])), (good[0] + " ", good[1]),
            self.granted(until=0.0), self.granted(user="bob"), self.granted(may="look"), self.granted(may="act"),
        ):  # fmt: skip
            self.grant, self.sig = grant, sig
            self.assertEqual(self.asked("submit", {"token": "t", "job": {"command": "true"}}), "perm.grant", grant)
            self.assertEqual(self.asked("rerun", {"token": "t", "ids": "17"}), "perm.grant", grant)
        self.assertNotIn("submit", self.link.verbs())
        self.assertNotIn("jobtexts", self.link.verbs())

    def test_what_takes_long_or_is_said_by_daemons_is_not_passed_on(self) -> None:
        for line in ("hostask:n1:load", "own:{}", "answered:{}", "infoanswer:{}"):
            self.assertEqual(self.word(self.say(NotedPeer(), line)), "perm.denied", line)

    def test_a_grant_is_no_order_for_a_host(self) -> None:
        text, _ = order(environment=EMPTY)
        self.assertFalse(Seal().check(text, GRANTS.sign(text)))

    def test_what_cannot_be_asked_is_refused_and_what_cannot_be_read_passed_over(self) -> None:
        self.assertEqual(self.asked("run", {}), "proto.verb")
        self.assertEqual(self.asked("submit", []), "proto.arguments")
        self.event(topic="asked", number="x")
        self.assertEqual(self.asked("submit", {"token": "t", "job": {"command": ""}}), "job.invalid")


class SubmitTests(AskedCase):
    def spec(self, **job: object) -> Any:
        given = self.asked("submit", {"token": "t", "job": {"command": "true", **job}, "environment": {"X": "1"}})
        self.assertEqual(given, {"ids": [17], "advice": ["ask for less"]})
        return read_spec(self.link.last("submit")["orders"][0][0])

    def test_a_job_gets_the_environment_of_the_server_and_the_home_folder(self) -> None:
        spec = self.spec(name="n", cores=2)
        self.assertEqual((spec.cwd, spec.name, spec.cores, spec.user), ("/home/alice", "n", 2, "alice"))
        environments = self.link.last("submit")["environments"]
        self.assertEqual(json.loads(environments[spec.environment]), {"PATH": "/bin", "X": "1"})
        for cwd, expected in (("~/w/x", "/home/alice/w/x"), ("w", "/home/alice/w"), ("", "/home/alice"), ("/t", "/t")):
            self.assertEqual(self.spec(cwd=cwd).cwd, expected)

    def test_what_needs_a_terminal_is_refused(self) -> None:
        job = {"command": "true", "interactive": True}
        self.assertEqual(self.asked("submit", {"token": "t", "job": job}), "job.invalid")

    def test_jobs_are_run_again_as_they_were_signed(self) -> None:
        text, _ = order(environment=EMPTY)
        self.link.answers["jobtexts"] = Reply("1", [json.dumps({"id": "3", "text": text, "sig": Seal().sign(text)})])
        self.assertEqual(self.asked("rerun", {"token": "t", "ids": "3"})["ids"], [17])
        self.link.answers["jobtexts"] = Reply("1", [json.dumps({"id": "3", "text": text, "sig": "0" * 64})])
        self.assertEqual(self.asked("rerun", {"token": "u", "ids": "3"}), "auth.signature")


class OutputTests(AskedCase):
    def setUp(self) -> None:
        super().setUp()
        self.there = NotedPeer()
        self.assertTrue(self.successResultOf(self.say(self.there, 'join:{"host":"n1"}')).ok)
        self.grant, self.sig = self.granted("look")
        self.view(17)
        self.signed(stdout="out-%j", stderr="err-%h")

    def view(self, number: int | str, **fields: object) -> None:
        shown = {"id": number, "user": "alice", "state": "running", "host": "n1", "stdout": "/etc/x", "stderr": "/s"}
        self.link.answers["jobinfo"] = Reply("", [json.dumps({**shown, **fields})])

    def signed(self, sig: str | None = None, **more: object) -> None:
        text, _ = order(**{"environment": EMPTY, "cwd": "/w", **more})  # type: ignore[arg-type]
        line = {"id": "17", "text": text, "sig": Seal().sign(text) if sig is None else sig}
        self.link.answers["jobtexts"] = Reply("1", [json.dumps(line)])

    def poll(self, at: object = None, look: str = LOOK, job: int | str = 17, **more: object) -> int:
        return self.ask("output", {"job": job, "look": look, "at": at, **more})

    def follows(self) -> list[dict[str, Any]]:
        return self.there.heard("follow")

    def visit(self) -> NotedPeer:
        """The host connects for the visit that it was asked for last, and reads from the beginning."""
        host = NotedPeer()
        asked = self.follows()[-1]
        self.assertTrue(self.successResultOf(self.say(host, f"stream:{asked['job']}:{asked['number']}")).ok)
        return host

    def reading(self, host: NotedPeer, *places: tuple[int, int]) -> None:
        said = json.dumps({"state": "reading", "host": "n1", "places": places or ((1, 0), (2, 0))})
        self.assertTrue(self.successResultOf(self.say(host, "runstate:" + said)).ok)

    def begun(self) -> NotedPeer:
        self.poll()
        host = self.visit()
        self.reading(host)
        self.clock.advance(POLL_SECONDS)
        return host

    def test_files_are_read_where_the_signed_request_says_and_polls_bring_what_is_new(self) -> None:
        first = self.poll(lines=5)
        (asked,) = self.follows()
        self.assertEqual((asked["files"], asked["lines"]), ([[1, "/w/out-17", -1], [2, "/w/err-n1", -1]], 5))
        self.assertIsNone(self.answer(first))
        host = self.visit()
        self.reading(host, (1, 1000), (2, 0))
        self.verbs.bulk(host, Bulk(1, b"hello\n"))
        self.assertEqual(
            self.answer(first),
            {
                "state": "running", "host": "n1", "more": False, "over": False,
                "stdout": {"path": "/w/out-17", "from": 1000, "at": 1006, "text": "hello\n"},
                "stderr": {"path": "/w/err-n1", "from": 0, "at": 0, "text": ""},
            },
        )  # fmt: skip
        again = self.answer(self.poll({"1": 1000, "2": 0}))
        self.assertEqual(again["stdout"]["text"], "hello\n")
        second = self.poll({"1": 1006, "2": 0})
        self.assertIsNone(self.answer(second))
        self.verbs.bulk(host, Bulk(2, b"oh"))
        answer = self.answer(second)
        self.assertEqual((answer["stdout"]["text"], answer["stderr"]["text"], answer["stderr"]["at"]), ("", "oh", 2))
        self.assertEqual(len(self.follows()), 1)

    def test_a_poll_without_news_is_answered_after_a_while(self) -> None:
        number = self.poll()
        self.clock.advance(POLL_SECONDS)
        answer = self.answer(number)
        self.assertEqual((answer["stdout"]["at"], answer["stdout"]["text"], answer["over"]), (None, "", False))
        host = self.visit()
        self.reading(host, (1, 70), (2, 0))
        number = self.poll({"1": None, "2": None})
        self.clock.advance(POLL_SECONDS)
        self.assertEqual(self.answer(number)["stdout"]["at"], 70)
        self.assertEqual(len(self.follows()), 1)

    def test_a_file_that_is_empty_so_far_does_not_keep_a_page_waiting(self) -> None:
        number = self.poll()
        host = self.visit()
        self.clock.advance(POLL_SECONDS / 2)
        self.reading(host)
        self.assertIsNone(self.answer(number))
        self.clock.advance(FIRST_SECONDS)
        self.assertEqual(self.answer(number)["stdout"]["at"], 0)

    def test_no_character_is_cut_and_what_is_none_is_shown_as_that(self) -> None:
        host = self.begun()
        self.verbs.bulk(host, Bulk(1, "é€".encode()[:4]))
        answer = self.answer(self.poll({"1": 0, "2": 0}))
        self.assertEqual((answer["stdout"]["text"], answer["stdout"]["at"]), ("é", 2))
        self.verbs.bulk(host, Bulk(1, "é€".encode()[4:] + b"\xff\x00\xe2"))
        answer = self.answer(self.poll({"1": 2, "2": 0}))
        self.assertEqual((answer["stdout"]["text"], answer["stdout"]["at"]), ("€\ufffd\0", 7))
        self.view(17, state="completed")
        self.say(host, 'runstate:{"state":"read","places":[[1,8],[2,0]]}')
        answer = self.answer(self.poll({"1": 7, "2": 0}))
        self.assertEqual((answer["stdout"]["text"], answer["over"], answer["state"]), ("\ufffd", True, "completed"))

    def test_a_poll_brings_a_piece_and_says_that_there_is_more(self) -> None:
        host = self.begun()
        self.verbs.bulk(host, Bulk(1, b"x" * (PIECE + 1)))
        answer = self.answer(self.poll({"1": 0, "2": 0}))
        self.assertEqual((len(answer["stdout"]["text"]), answer["more"]), (PIECE, True))
        answer = self.answer(self.poll({"1": PIECE, "2": 0}))
        self.assertEqual((len(answer["stdout"]["text"]), answer["more"]), (1, False))

    def test_who_does_not_fetch_holds_up_the_host_of_that_look_alone(self) -> None:
        host = self.begun()
        self.poll(look="another look")
        other = self.visit()
        self.reading(other)
        self.assertFalse(host.held)
        self.verbs.bulk(host, Bulk(1, b"x" * MOST_KEPT))
        self.assertEqual((host.held, other.held), (True, False))
        self.poll({"1": 1, "2": 0})
        self.assertFalse(host.held)

    def test_a_look_that_nobody_polls_ends_and_goes_on_where_it_was(self) -> None:
        host = self.begun()
        self.verbs.bulk(host, Bulk(1, b"hello"))
        self.poll({"1": 5, "2": 0})
        self.clock.pump([1.0] * int(UNPOLLED_SECONDS))
        self.assertTrue(host.aborted)
        host.lost()
        self.poll({"1": 5, "2": 0})
        self.assertEqual(self.follows()[-1]["files"], [[1, "/w/out-17", 5], [2, "/w/err-n1", 0]])

    def test_a_place_that_is_not_in_hand_is_read_anew(self) -> None:
        self.begun()
        self.poll({"1": 50, "2": 0})
        self.assertEqual(self.follows()[-1]["files"][0], [1, "/w/out-17", 50])

    def test_after_an_attempt_the_next_one_is_looked_at(self) -> None:
        host = self.begun()
        self.say(host, 'runstate:{"state":"read","places":[[1,0],[2,0]]}')
        host.lost()
        answer = self.answer(self.poll({"1": 0, "2": 0}))
        self.assertFalse(answer["over"])
        self.view(17, state="pending", host=None)
        number = self.poll({"1": 0, "2": 0})
        self.clock.advance(POLL_SECONDS)
        self.assertEqual(self.answer(number)["state"], "pending")
        self.assertEqual(len(self.follows()), 1)
        self.view(17)
        self.poll({"1": 0, "2": 0})
        self.assertEqual(len(self.follows()), 2)

    def test_when_the_host_is_lost_what_has_come_is_still_told_and_then_that(self) -> None:
        host = self.begun()
        self.verbs.bulk(host, Bulk(1, b"hello"))
        host.lost()
        self.assertEqual(self.answer(self.poll({"1": 0, "2": 0}))["stdout"]["text"], "hello")
        self.assertEqual(self.answer(self.poll({"1": 5, "2": 0})), "net.host")
        self.poll({"1": 5, "2": 0})
        self.assertEqual(len(self.follows()), 2)

    def test_the_dispatcher_has_no_say_in_which_file_is_read(self) -> None:
        self.signed(sig="0" * 64)
        self.assertEqual(self.answer(self.poll()), "auth.signature")
        self.signed(user="bob")
        self.assertEqual(self.answer(self.poll()), "auth.signature")
        self.signed(stdout="/w/%h")
        for host in ("../etc/passwd", "..", "n1/x"):
            self.view(17, host=host)
            self.assertEqual(self.answer(self.poll()), "auth.signature")
        self.view("17_4")
        self.assertEqual(self.answer(self.poll(job="17_4")), "auth.signature")
        self.signed(array="0-3", stdout="o")
        self.assertEqual(self.answer(self.poll(job="17_4")), "auth.signature")
        self.link.answers["jobtexts"] = Reply("0")
        self.view(17)
        self.assertEqual(self.answer(self.poll()), "auth.signature")
        self.assertEqual(self.follows(), [])

    def test_tasks_and_bundles_are_where_they_were_signed_to_be(self) -> None:
        self.view("17_4")
        self.signed(array="0-9", stdout="o-%A-%a")
        self.poll(job="17_4")
        self.assertEqual(self.follows()[-1]["files"], [[1, "/w/o-17-4", -1]])
        self.signed(array="0-9", stdout="all", bundle=True)
        self.poll(job="17_4", look="another look")
        self.assertEqual(self.follows()[-1]["files"], [[1, "/w/all", -1]])

    def test_of_a_host_that_is_not_reached_what_has_ended_is_read_here(self) -> None:
        self.view(17, host="n9")
        self.assertEqual(self.answer(self.poll()), "net.host")
        self.assertEqual(self.here.asked, [])
        self.view(17, host="n9", state="completed")
        self.assertEqual(self.answer(self.poll()), "net.host")
        self.here.files = True
        number = self.poll({"1": 5}, lines=3)
        self.assertEqual(self.here.asked[-1], ([(1, "/w/out-17", 5), (2, "/w/err-n9", -1)], 3))
        peer = self.here.peers[-1]
        peer.send_event(b'{"state":"reading","places":[[1,5],[2,0]]}')
        peer.send_bulk(1, b"end")
        peer.send_event(b'{"state":"read","places":[[1,8],[2,0]]}')
        answer = self.answer(number)
        self.assertEqual((answer["stdout"]["text"], answer["over"]), ("end", False))
        answer = self.answer(self.poll({"1": 8, "2": 0}))
        self.assertEqual((answer["stdout"]["text"], answer["over"]), ("", True))

    def test_what_is_in_a_bundle_is_read_here(self) -> None:
        self.view("17_4", state="completed", bundle="/etc/x")
        self.signed(array="0-9", stdout="all", bundle=True)
        self.assertEqual(self.answer(self.poll(job="17_4")), "job.state")
        self.here.files = True
        self.poll(job="17_4", at={"1": 3})
        self.assertEqual(self.here.asked[-1], ("/w/all", 4, 3, 100))
        self.assertEqual(self.follows(), [])

    def test_of_what_never_started_there_is_nothing_and_of_an_array_only_tasks(self) -> None:
        self.view(17, state="cancelled", host=None, stdout="/etc/x")
        answer = self.answer(self.poll())
        self.assertEqual((answer["over"], answer["stdout"]["text"], self.here.asked), (True, "", []))
        for state in ("pending", "running", "completed"):
            self.view(17, state=state, host=None, tasks={"total": 4})
            self.assertEqual(self.answer(self.poll()), "job.state")

    def test_what_has_no_output_is_refused(self) -> None:
        self.signed(interactive=True)
        self.assertEqual(self.answer(self.poll()), "job.state")
        self.view(17, user="bob")
        self.assertEqual(self.answer(self.poll()), "perm.denied")
        for wish in ({"look": "short"}, {"job": "x"}, {"at": {"1": -1}}, {"lines": -1}):
            self.assertEqual(self.asked("output", {"job": 17, "look": LOOK, **wish}), "proto.arguments", wish)

    def test_only_so_many_are_looked_at(self) -> None:
        for number in range(MOST_LOOKS):
            self.poll(look=f"a random word {number}")
        self.assertEqual(self.answer(self.poll()), "limit.looks")
        self.clock.pump([1.0] * int(UNPOLLED_SECONDS))
        self.assertIsNone(self.answer(self.poll()))

    def test_two_polls_of_one_look_before_it_is_there_begin_it_once(self) -> None:
        texts = self.link.answers.pop("jobtexts")
        self.poll()
        self.poll()
        waiting: list[Deferred[Reply]] = [answer for request, answer in self.link.asked if request.verb == "jobtexts"]
        for answer in waiting:
            answer.callback(texts)
        self.assertEqual(len(self.follows()), 1)


class KeptTests(SynchronousTestCase):
    def test_any_bytes_in_any_pieces_are_shown_as_they_are_in_one(self) -> None:
        @given(st.lists(st.binary(max_size=6) | st.text(max_size=3).map(lambda text: text.encode("utf-8", "replace"))))
        def shown(pieces: list[bytes]) -> None:
            kept, text = Kept("/out"), ""
            for number, piece in enumerate([*pieces, b""]):
                kept.data += piece
                one = kept.shown(whole=number == len(pieces))
                self.assertEqual(one["from"], kept.begin)
                text += one["text"]
                self.assertTrue(kept.fetched(one["at"]))
            self.assertEqual(text, b"".join(pieces).decode(errors="replace"))
            self.assertEqual((kept.begin, bytes(kept.data)), (sum(map(len, pieces)), b""))

        shown()

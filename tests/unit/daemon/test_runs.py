"""Later visits to jobs at a user's server: whom they reach, and how they end."""

from __future__ import annotations

import json
from typing import Any

from tests.support.daemons import NotedPeer
from tests.unit.daemon.test_user_server import UserServerCase
from tm.daemon.runs import VISIT_SECONDS
from tm.model.spec import read_spec
from tm.wire.frames import Bulk
from tm.wire.message import Reply


class VisitTests(UserServerCase):
    def setUp(self) -> None:
        super().setUp()
        self.link.answers["hello"] = Reply('{"epoch":1,"run":"r"}')
        self.link.answers["submit"] = Reply("accepted 1", ["17"])
        self.link.answers["canceljob"] = Reply()
        self.up()
        self.there = NotedPeer()
        self.assertTrue(self.successResultOf(self.say(self.there, 'join:{"host":"n1"}')).ok)
        self.client, self.host = NotedPeer(), NotedPeer()
        self.view(17)

    def view(self, number: int | str, **fields: object) -> None:
        shown = {"id": number, "user": "alice", "state": "running", "host": "n1", "stdout": "/out", "stderr": "/out"}
        self.link.answers["jobinfo"] = Reply("", [json.dumps({**shown, **fields})])

    def visit(self, verb: str, **wish: object) -> str:
        return self.successResultOf(self.say(self.client, f"{verb}:{json.dumps({'job': 17, **wish})}")).text

    def refused(self, verb: str, **wish: object) -> str:
        return self.word(self.say(self.client, f"{verb}:{json.dumps({'job': 17, **wish})}"))

    def asked(self) -> Any:
        return self.there.told[-1]

    def test_the_host_is_asked_to_connect_and_is_joined_with_the_client(self) -> None:
        tty = {"rows": 24, "columns": 80, "term": "vt100"}
        self.assertEqual("attached 17", self.visit("runattach", tty=tty))
        self.assertEqual(
            {"topic": "attach", "job": 17, "number": 1, "rows": 24, "columns": 80, "watch": False}, self.asked()
        )
        self.assertEqual("job.unknown", self.word(self.say(self.host, "stream:17")))
        self.assertTrue(self.successResultOf(self.say(self.host, "stream:17:1")).ok)
        self.verbs.bulk(self.client, Bulk(0, b"in"))
        self.verbs.bulk(self.host, Bulk(1, b"out"))
        self.assertEqual(([(0, b"in")], [(1, b"out")]), (self.host.bulks, self.client.bulks))
        self.say(self.host, 'runstate:{"state":"stopped"}')
        self.assertEqual({"run": 17, "state": "stopped"}, self.client.told[-1])
        self.client.lost()
        self.assertTrue(self.host.aborted)
        self.assertNotIn("canceljob", self.link.verbs())

    def test_what_runs_beside_a_job_never_goes_to_the_dispatcher(self) -> None:
        self.view("20_4")
        self.assertEqual(
            "beside 20_4", self.visit("runbeside", job="20_4", command="top", tty={"rows": 1, "columns": 2})
        )
        asked = self.asked()
        self.assertEqual(
            (["/bin/sh", "-c", "top"], 1, 2, "xterm"),
            (asked["command"], asked["rows"], asked["columns"], asked["term"]),
        )
        self.assertEqual({"jobinfo"}, set(self.link.verbs()) - {"attach", "hello"})
        self.say(self.host, f"stream:{asked['job']}:1")
        self.say(self.host, 'runstate:{"state":"failed","exit_code":3}')
        self.assertEqual({"run": "20_4", "state": "failed", "exit_code": 3}, self.client.told[-1])

    def test_files_are_followed_from_where_it_is_wanted_each_once(self) -> None:
        self.assertEqual("following 17", self.visit("follow", lines=10))
        self.assertEqual(([[1, "/out", -1]], 10), (self.asked()["files"], self.asked()["lines"]))
        self.client = NotedPeer()
        self.view(17, state="completed", stderr="/err")
        self.visit("follow", at={"1": 5, "2": 0})
        self.assertEqual(([[1, "/out", 5], [2, "/err", 0]], None), (self.asked()["files"], self.asked()["lines"]))

    def test_who_cannot_be_visited_is_refused(self) -> None:
        for fields, verb, word in (
            ({"state": "pending", "host": None}, "runattach", "job.move"),
            ({"id": 18}, "runattach", "auth.signature"),
            ({"state": "completed"}, "runbeside", "job.move"),
            ({"host": "n9"}, "follow", "net.host"),
            ({"user": "bob"}, "follow", "perm.denied"),
        ):  # fmt: skip
            self.view(17, **fields)
            self.assertEqual(word, self.refused(verb))
        self.link.answers["jobinfo"] = Reply("there is no job 17", word="job.unknown")
        self.assertEqual("job.unknown", self.refused("runattach"))
        for job in ("x", "17_[0-3]", "-1"):
            self.assertEqual("proto.arguments", self.refused("runattach", job=job))
        self.assertEqual([], [line for line in self.there.told if line.get("topic") in ("attach", "beside", "follow")])

    def test_a_host_that_does_not_come_is_given_up(self) -> None:
        self.visit("runattach")
        self.clock.advance(VISIT_SECONDS)
        self.assertEqual(("lost", 17), (self.client.told[-1]["state"], self.client.told[-1]["run"]))
        self.assertEqual("job.unknown", self.word(self.say(self.host, "stream:17:1")))

    def test_a_command_that_is_left_is_not_cancelled_with_its_terminal(self) -> None:
        wish = {"command": "cat", "cwd": "/", "detach": True}
        self.successResultOf(self.say(self.client, "run:" + json.dumps(wish)))
        self.assertTrue(read_spec(self.link.last("submit")["orders"][0][0]).detach)
        self.client.lost()
        self.assertNotIn("canceljob", self.link.verbs())

        self.client = NotedPeer()
        self.successResultOf(self.say(self.client, 'run:{"command":"cat","cwd":"/"}'))
        self.say(self.host, "stream:17")
        self.assertTrue(self.successResultOf(self.say(self.client, "rundetach")).ok)
        self.assertEqual([{"detach": True}], self.host.told)
        self.say(self.host, 'runstate:{"state":"detached"}')
        self.assertEqual({"run": 17, "state": "detached"}, self.client.told[-1])

"""What an InfoServer answers, in words and in JSON."""

from __future__ import annotations

import json
from typing import Any

from twisted.internet.defer import Deferred
from twisted.trial.unittest import SynchronousTestCase

from tests.support.daemons import NotedPeer
from tests.support.info import InfoHouse
from tm.daemon.info_verbs import InfoVerbs, size, span
from tm.errors import RefusedError
from tm.model.rights import INFO_SERVER as RULES
from tm.model.sample import Session
from tm.model.usage import Use
from tm.wire.message import Reply, Request
from tm.wire.verbs import INFO_SERVER


class VerbsCase(SynchronousTestCase):
    def setUp(self) -> None:
        self.house = InfoHouse()
        self.house.server.startService()
        self.addCleanup(self.house.server.stopService)
        self.verbs = InfoVerbs(self.house.server, lambda transport: "alice")
        self.peer = NotedPeer()

    def ask(self, line: str) -> Reply:
        word, _, rest = line.partition(":")
        verb, _, as_json = word.partition(".")
        answer = self.verbs.answer(self.peer, Request(verb, rest if ":" in line else None, bool(as_json)))
        if isinstance(answer, Deferred):
            self.house.worker.work()
            return self.successResultOf(answer)
        return answer

    def json(self, line: str) -> list[Any]:
        return [json.loads(one) for one in self.ask(line).body]

    def refused(self, line: str) -> RefusedError:
        error = self.assertRaises(RefusedError, self.ask, line)
        assert isinstance(error, RefusedError)
        return error


class VerbsTests(VerbsCase):
    def setUp(self) -> None:
        super().setUp()
        self.house.probe.sessions = [
            Session("bob", "tty1", "", 1_699_999_000.0, 7.0, True, "tty"), Session("eve", "pts/2", "far", None, None),
        ]  # fmt: skip
        self.house.probe.use = Use(1.5, 0.75, {"bob": 0.75}, {17: (1.5, 3 << 20, 4)}, 5 << 20)
        self.house.worker.work()

    def test_every_verb_has_a_rule_and_an_answer_in_json(self) -> None:
        self.assertEqual(set(INFO_SERVER), set(RULES))
        arguments = {"history": ":load:1h"}
        for verb in INFO_SERVER:
            self.assertTrue(self.ask(f"{verb}.json{arguments.get(verb, '')}").ok, verb)
            self.assertTrue(self.ask(verb + arguments.get(verb, "")).ok, verb)

    def test_the_greeting_says_whose_server_it_is(self) -> None:
        self.assertRegex(self.verbs.greeting("alice"), r"^InfoServer \S+ protocol=1 user=alice host=n1$")

    def test_info_says_what_the_computer_is(self) -> None:
        (shown,) = self.json("info.json")
        self.assertEqual((shown["cores"], shown["memory"], shown["boot"]), (4, 8 << 30, "b00t"))
        self.assertEqual(shown["disks"], [{"path": "/", "kind": "ext4", "size": 100 << 30, "free": 40 << 30}])
        lines = self.ask("info").body
        self.assertIn("memory: 8.0 GiB", lines)
        self.assertIn("disks: / ext4, 40.0 GiB of 100.0 GiB free", lines)

    def test_load_tells_ours_from_others(self) -> None:
        (shown,) = self.json("load.json")
        self.assertEqual((shown["cpu_ours"], shown["cpu_others"], shown["cpu_by_user"]), (1.5, 0.75, {"bob": 0.75}))
        self.assertEqual(shown["jobs"], [{"job": 17, "cpu": 1.5, "memory": 3 << 20, "processes": 4}])
        self.assertEqual((shown["cores"], shown["uptime"], shown["network_in"]), (4, 100_000_000, 1024.0))
        lines = self.ask("load").body
        self.assertIn("cpu: 1.50 ours, 0.75 others', of 4", lines)
        self.assertIn("jobs: 17 1.50 3.0 MiB", lines)
        self.assertIn("console: touched 7s ago", lines)

    def test_users_says_who_is_there_and_what_told_it(self) -> None:
        shown = self.json("users.json")
        self.assertEqual([(one["user"], one["console"], one["idle"]) for one in shown],
                         [("bob", True, 7.0), ("eve", False, None)])  # fmt: skip
        self.assertEqual([one["seen"] for one in shown], ["tty", ""])
        self.assertEqual(shown[0]["since"], "2023-11-14T21:56:40.000Z")
        self.assertEqual([line.split() for line in self.ask("users").body],
                         [["bob", "tty1", "console", "idle", "7s"], ["eve", "pts/2", "far", "idle", "?"]])  # fmt: skip

    def test_processes_are_asked_for_in_the_name_of_the_asker(self) -> None:
        self.house.probe.shown = [
            {"pid": 7, "ppid": 1, "depth": 0, "user": "bob", "cpu": 0.5, "cpu_seconds": 9.0, "memory": 3 << 20,
             "ours": True, "job": 17, "name": "sh", "command": "sh -c \x1b[2J"},
            {"pid": 8, "ppid": 7, "depth": 1, "user": "bob", "cpu": 0.0, "cpu_seconds": 0.0, "memory": 0,
             "ours": False, "job": None, "name": "true", "command": "true"},
        ]  # fmt: skip
        self.assertEqual(len(self.ask("processes:user=bob:job=17").body), 2)
        self.assertEqual(self.house.probe.asked, [("bob", 17, "alice")])
        first, second = self.ask("processes").body
        self.assertTrue(first.endswith("17  sh -c ?[2J"), first)
        self.assertTrue(second.endswith("-    true"), second)
        self.assertEqual([one["pid"] for one in self.json("processes.json:limit=1")], [7])

    def test_wrong_arguments_are_explained(self) -> None:
        for line in ("processes:colour=red", "processes:job=all", "processes:user=", "processes:limit=1:limit=2",
                     "history:load", "history:weather:1h", "history:load:2h", "subscribe:jobs",
                     "load:now"):  # fmt: skip
            self.assertEqual(self.refused(line).word, "proto.arguments", line)
        self.assertEqual(self.refused("launch").word, "proto.verb")

    def test_history_says_means_with_their_times(self) -> None:
        self.house.run(60)
        shown = self.json("history.json:cpu_ours:1h")
        self.assertEqual({one["value"] for one in shown}, {1.5})
        self.assertEqual(shown[0]["at"], "2023-11-14T22:13:20.000Z")
        self.assertEqual(self.ask("history:cpu_ours:24h").body[0], "2023-11-14T22:13:00.000Z 1.5")

    def test_where_there_is_nothing_to_list_that_is_said_in_words_and_not_in_json(self) -> None:
        self.house.probe.sessions = []
        self.house.run(10)
        self.assertEqual((self.ask("users").text, self.ask("users").body), ("nobody is logged in", []))
        self.assertEqual((self.ask("users.json").text, self.ask("users.json").body), ("", []))
        self.assertEqual(self.ask("processes:job=4711").text, "no such processes")

    def test_gpus_and_who_uses_them(self) -> None:
        self.assertEqual(self.json("gpus.json")[0]["users"], ["alice"])
        self.assertEqual(self.ask("gpus").body, ["0 Fast 3000  1.0 GiB of 8.0 GiB  50%  alice"])

    def test_who_subscribes_hears_until_they_do_not_want_to(self) -> None:
        self.assertEqual(self.ask("subscribe:load").text, "hearing load")
        self.house.run(4)
        self.assertEqual(len(self.peer.heard("load")), 2)
        self.assertEqual(self.ask("unsubscribe:weather").text, "hearing load")
        self.assertEqual(self.ask("unsubscribe").text, "hearing nothing")
        self.house.run(4)
        self.assertEqual(len(self.peer.told), 2)

    def test_status_says_where_the_log_is_and_what_history_there_is(self) -> None:
        (shown,) = self.json("status.json")
        self.assertEqual((shown["server"], shown["host"], shown["log"]), ("InfoServer", "n1", "/log"))
        self.assertIn("cpu_others", shown["history"])


class EarlyTests(VerbsCase):
    def test_before_the_first_look_there_is_nothing_to_say(self) -> None:
        for verb in ("load", "users", "gpus"):
            self.assertEqual(self.refused(verb).word, "busy.sample")


class WordsTests(SynchronousTestCase):
    def test_sizes_and_spans_are_said_as_people_say_them(self) -> None:
        self.assertEqual([size(n) for n in (0, 1023, 1024, 5 << 30, 3 << 40)],
                         ["0 B", "1023 B", "1.0 KiB", "5.0 GiB", "3.0 TiB"])  # fmt: skip
        self.assertEqual([span(n) for n in (0.4, 61, 3661, 90061)], ["0s", "1m01s", "1h01m", "1d01h"])

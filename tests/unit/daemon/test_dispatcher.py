"""The dispatcher's service and verbs around a store in memory, a clock moved by hand and peers that note all."""

from __future__ import annotations

import hashlib
import json
import os
from dataclasses import replace
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from tests.support.brain import order
from tests.support.daemons import HandWorker, NotedPeer, ReadyWorker
from tm.config.files import HostsFile
from tm.daemon.dispatcher import RETRY_STORE_SECONDS, Dispatcher, Surroundings, Tables
from tm.daemon.dispatcher_verbs import DispatcherVerbs
from tm.daemon.post_office import GATHER_SECONDS
from tm.errors import StoreError, TaskManagerError
from tm.model.host import HostConfig
from tm.model.rights import RIGHTS, Group, Groups, User, Users
from tm.ports import JobQuery, StoreSize
from tm.store.memory import MemoryStore
from tm.wire.message import Reply, parse_request

ENVIRONMENT = "{}"
DIGEST = hashlib.sha256(ENVIRONMENT.encode()).hexdigest()


class DispatcherCase(SynchronousTestCase):
    def setUp(self) -> None:
        self.clock = Clock()
        self.clock.advance(1000.0)
        self.store = MemoryStore()
        self.writer = HandWorker()
        self.hosts: tuple[HostConfig, ...] = (HostConfig(name="n1", address="n1", cores=2),)
        self.etc = self.mktemp()
        os.makedirs(self.etc)
        with open(os.path.join(self.etc, "ComputerCluster.config"), "w", encoding="utf-8") as file:
            file.write("[hosts.n1]\ncores = 2\n")
        self.host_tables = HostsFile(self.etc)
        self.begin()

    def surroundings(self) -> Surroundings:
        """Return what the dispatcher is given; cases of their own add to it."""
        return Surroundings(
            cluster="physics",
            clock=self.clock,
            store=self.store,
            writer=self.writer,
            reader=ReadyWorker(),
            read_tables=self.tables,
            host_tables=self.host_tables,
            read_log=lambda wish: [],
            stop=lambda: None,
        )

    def begin(self) -> None:
        self.dispatcher = Dispatcher(self.surroundings(), self.store.load())
        self.dispatcher.startService()
        self.verbs = DispatcherVerbs(self.dispatcher, lambda transport: "")
        pulse = self.dispatcher._pulse
        self.addCleanup(lambda: pulse.running and pulse.stop())

    def tables(self) -> Tables:
        users = Users.of(*[User(name, (f"fingerprint of {name}",)) for name in ("alice", "bob", "root")])
        groups = Groups(
            (Group("admins", frozenset({"root"}), frozenset(RIGHTS)), Group("all", frozenset({"*"})))
        )
        return Tables(users, groups, self.hosts)

    def say(self, peer: NotedPeer, line: str) -> Deferred[Reply]:
        answer: Any
        try:
            answer = self.verbs.answer(peer, parse_request(line.encode()))
        except TaskManagerError as error:
            answer = Reply(error.text, word=error.word)
        if isinstance(answer, Reply):
            done: Deferred[Reply] = Deferred()
            done.callback(answer)
            return done
        return answer

    def settle(self) -> None:
        self.clock.advance(0)
        while self.writer.work():
            self.clock.advance(0)

    def said(self, peer: NotedPeer, line: str) -> Reply:
        answer = self.say(peer, line)
        self.settle()
        return self.successResultOf(answer)

    def attached(self, user: str = "alice") -> NotedPeer:
        peer = NotedPeer(user)
        self.assertTrue(self.said(peer, 'attach:{"version":"1","host":"here"}').ok)
        return peer

    def submission(self, token: str = "t", count: int = 1, user: str = "alice", **more: object) -> str:
        orders = [order(user, environment=DIGEST, **more)] * count
        return "submit:" + json.dumps(
            {"token": token, "orders": orders, "environments": {DIGEST: ENVIRONMENT}}
        )

    def hello(self, **more: object) -> str:
        about = {
            "host": "n1",
            "spool": "sp",
            "boot": "b",
            "epoch": 1,
            "run": "r",
            "mark": 0,
            "acked": 0,
            "holds": [],
            **more,
        }
        return "hello:" + json.dumps(about)

    def report(self, number: int, *facts: dict[str, object]) -> str:
        return "report:" + json.dumps({"host": "n1", "spool": "sp", "k": number, "facts": facts})


class AcceptingTests(DispatcherCase):
    def test_accepted_is_said_after_the_commit(self) -> None:
        peer = NotedPeer()
        answer = self.say(peer, self.submission(count=2))
        self.clock.advance(0)
        self.assertNoResult(answer)
        self.writer.work()
        self.assertEqual(self.successResultOf(answer), Reply("accepted 2", ["1", "2"]))
        self.assertEqual(len(self.store.jobs(JobQuery())), 2)

    def test_the_same_token_gives_the_same_ids_before_during_and_after_the_commit(self) -> None:
        peer = NotedPeer()
        answers = [self.say(peer, self.submission(count=3)), self.say(peer, self.submission(count=3))]
        self.clock.advance(0)
        answers.append(self.say(peer, self.submission(count=3)))
        self.settle()
        answers.append(self.say(peer, self.submission(count=3)))
        self.settle()
        self.dispatcher.stopService()
        self.settle()
        self.begin()
        answers.append(self.say(peer, self.submission(count=3)))
        self.settle()
        self.assertEqual([self.successResultOf(answer).body for answer in answers], [["1", "2", "3"]] * 5)
        self.assertEqual(len(self.store.jobs(JobQuery())), 3)

    def test_what_is_accepted_has_its_environments_recorded_also_if_the_token_was_used_before(self) -> None:
        peer = NotedPeer()
        self.assertTrue(self.said(peer, self.submission()).ok)
        again = json.loads(self.submission()[7:])
        text = '{"B":"2"}'
        digest = hashlib.sha256(text.encode()).hexdigest()
        again["environments"] = {digest: text}
        self.assertTrue(self.said(peer, "submit:" + json.dumps(again)).ok)
        self.assertEqual(self.store.environment(digest), text)

    def test_a_token_is_its_users_own(self) -> None:
        self.assertEqual(self.said(NotedPeer("alice"), self.submission()).body, ["1"])
        self.assertEqual(self.said(NotedPeer("bob"), self.submission(user="bob")).body, ["2"])

    def test_what_is_wrong_is_refused_and_nothing_is_kept(self) -> None:
        peer = NotedPeer()
        changed = json.loads(self.submission()[7:])
        changed["environments"] = {DIGEST: '{"A":"1"}'}
        for line, word in (
            ("submit:{", "proto.arguments"),
            ('submit:{"token":"t","orders":[["{}"]]}', "proto.arguments"),
            ('submit:{"token":"","orders":[["{}","s"]]}', "job.invalid"),
            ('submit:{"token":"' + "t" * 81 + '","orders":[["{}","s"]]}', "job.invalid"),
            ('submit:{"token":"t","orders":[]}', "job.invalid"),
            ('submit:{"token":"t","orders":[["{}","s"]]}', "job.invalid"),
            (self.submission(user="bob"), "job.user"),
            (self.submission(cores=99), "job.impossible"),
            (self.submission(hosts=["n9"]), "host.unknown"),
            ("submit:" + json.dumps(changed), "job.invalid"),
            ("runjob:echo", "auth.unsigned"),
        ):
            self.assertEqual(self.said(peer, line).word, word, line[:60])
        self.assertEqual(self.store.jobs(JobQuery()), [])


class StoreFailureTests(DispatcherCase):
    def break_store(self, peer: NotedPeer) -> Deferred[Reply]:
        answer = self.say(peer, self.submission())
        self.clock.advance(0)
        self.writer.broken = StoreError("store.full", "no space")
        self.writer.work()
        return answer

    def test_what_could_not_be_kept_is_refused_and_servers_are_cut(self) -> None:
        server, client = self.attached(), NotedPeer()
        answer = self.break_store(client)
        self.assertEqual(self.failureResultOf(answer, StoreError).value.word, "store.full")
        self.assertTrue(server.aborted)
        for line in (self.submission("u"), self.hello(), 'attach:{"host":"here"}', "canceljob:1"):
            self.assertEqual(self.said(server, line).word, "store.full", line[:20])
        self.assertTrue(self.said(client, "status").ok)

    def test_it_goes_on_from_the_store_once_that_works_again(self) -> None:
        client = NotedPeer()
        self.assertEqual(self.said(client, self.submission("first")).body, ["1"])
        self.failureResultOf(self.break_store(client), StoreError)
        epoch = self.dispatcher.brain.epoch
        for _ in range(3):
            self.clock.advance(RETRY_STORE_SECONDS)
            self.writer.work()
            self.assertEqual(self.said(client, self.submission("u")).word, "store.full")
        self.writer.broken = None
        self.clock.advance(RETRY_STORE_SECONDS)
        self.writer.work()
        self.assertEqual(self.said(client, self.submission("t")).body, ["2"])
        self.assertEqual(
            (self.dispatcher.brain.epoch, sorted(self.dispatcher.brain.jobs)), (epoch + 1, [1, 2])
        )

    def test_a_host_that_was_deactivated_stays_so(self) -> None:
        self.assertTrue(self.said(NotedPeer("root"), "deactivatehost:n1:repair").ok)
        self.failureResultOf(self.break_store(NotedPeer()), StoreError)
        self.writer.broken = None
        self.clock.advance(RETRY_STORE_SECONDS)
        self.writer.work()
        host = self.dispatcher.brain.hosts["n1"]
        self.assertEqual((host.active, host.reason), (False, "repair"))
        self.assertEqual(self.host_tables.table("host", "n1"), {"cores": 2, "active": False})

    def test_a_stopped_dispatcher_does_not_try_again(self) -> None:
        self.failureResultOf(self.break_store(NotedPeer()), StoreError)
        self.dispatcher.running = False
        self.clock.advance(RETRY_STORE_SECONDS)
        self.assertEqual(self.writer.waiting, [])
        self.dispatcher.running = True

    def test_orders_whose_environment_cannot_be_read_cut_the_server_so_that_they_come_again(self) -> None:
        server = self.attached()
        self.said(server, self.hello())

        def unreadable(digest: str) -> str | None:
            raise StoreError("store.io", "the disk is gone")

        self.patch(self.store, "environment", unreadable)
        self.assertTrue(self.said(NotedPeer(), self.submission()).ok)
        self.assertEqual((server.aborted, len(server.heard("orders"))), (True, 1))


class ServerTests(DispatcherCase):
    def test_only_the_attached_server_speaks_for_its_hosts(self) -> None:
        other = NotedPeer()
        for line in (self.hello(), self.report(1), 'hostnews:{"host":"n1","state":"failed"}'):
            self.assertEqual(self.said(other, line).word, "perm.denied")

    def test_a_newer_server_replaces_the_older(self) -> None:
        older = self.attached()
        newer = self.attached()
        self.assertEqual(older.told, [{"topic": "replaced"}])
        self.assertEqual(self.said(older, self.hello()).word, "perm.denied")
        older.lost()
        self.assertTrue(self.said(newer, self.hello()).ok)
        self.assertTrue(newer.kept)

    def test_a_job_goes_its_whole_way(self) -> None:
        server, client = self.attached(), NotedPeer()
        self.said(client, self.submission())
        (want,) = server.heard("want")
        self.assertEqual((want["host"], want["launcher"]), ("n1", "openssh"))
        agreed = json.loads(self.said(server, self.hello()).text)
        self.assertEqual(agreed["epoch"], 1)
        (line,) = [line for line in server.heard("orders") if line.get("orders")]
        self.assertEqual(
            (line["orders"][0]["c"], line["grant"], line["spool"], line["run"]), (1, 1, "sp", agreed["run"])
        )
        self.assertEqual(line["environments"], {DIGEST: ENVIRONMENT})
        fact: dict[str, object] = {"job": 1, "attempt": 1, "what": "started", "at": 1001.0, "pid": 5}
        self.assertTrue(self.said(server, self.report(1, fact)).ok)
        over = {**fact, "what": "ended", "at": 1002.0, "exit_code": 3}
        self.assertTrue(self.said(server, self.report(2, over)).ok)
        shown = json.loads(self.said(client, "jobinfo.json:1").body[0])
        self.assertEqual((shown["state"], shown["exit_code"], shown["host"]), ("failed", 3, "n1"))

    def test_a_report_is_acknowledged_after_its_commit(self) -> None:
        server = self.attached()
        self.said(NotedPeer(), self.submission())
        self.said(server, self.hello())
        answer = self.say(
            server, self.report(1, {"job": 1, "attempt": 1, "what": "ended", "at": 1002.0, "exit_code": 0})
        )
        self.clock.advance(0)
        self.assertNoResult(answer)
        self.writer.work()
        self.assertTrue(self.successResultOf(answer).ok)
        self.assertEqual(self.store.jobs(JobQuery())[0].exit_code, 0)

    def test_numbers_no_store_could_hold_are_refused_and_nobody_suffers(self) -> None:
        server = self.attached()
        self.said(NotedPeer(), self.submission())
        self.said(server, self.hello())
        fact: dict[str, object] = {"job": 1, "attempt": 1, "what": "ended", "at": 1.0}
        for more in (
            {"pid": 10**30},
            {"exit_code": -(10**30)},
            {"max_rss": 1 << 63},
            {"at": 1e300},
            {"at": -1.0},
            {"started_at": 1e300},
        ):
            self.assertEqual(
                self.said(server, self.report(1, {**fact, **more})).word, "proto.arguments", more
            )
        self.assertEqual(self.said(server, self.report(10**30)).word, "proto.arguments")
        self.assertTrue(self.said(server, self.report(1, fact)).ok)

    def test_an_environment_is_sent_again_to_a_server_that_said_hello_again(self) -> None:
        server = self.attached()
        self.said(server, self.hello())
        for number in (1, 2):
            self.said(NotedPeer(), self.submission(str(number)))
        sent = [line for line in server.heard("orders") if line.get("orders")]
        self.assertEqual([bool(line.get("environments")) for line in sent], [True, False])
        self.said(server, self.hello(mark=1, holds=[[1, 1, "running"]]))
        (again,) = [line for line in server.heard("orders")[len(server.heard("orders")) - 1 :]]
        self.assertEqual(
            ([order["c"] for order in again["orders"]], list(again["environments"])), ([2], [DIGEST])
        )

    def test_a_server_that_is_gone_makes_its_hosts_unreachable(self) -> None:
        server = self.attached()
        self.said(server, self.hello())
        self.said(NotedPeer(), self.submission())
        watcher = NotedPeer()
        self.said(watcher, "subscribe:jobs")
        server.lost()
        self.settle()
        self.assertEqual([line["state"] for line in watcher.heard("jobs")], ["unreachable"])
        self.assertEqual(json.loads(self.said(watcher, "jobinfo.json:1").body[0])["state"], "unreachable")

    def test_events_reach_those_they_concern(self) -> None:
        watchers = {user: NotedPeer(user) for user in ("alice", "bob", "root")}
        for peer in watchers.values():
            self.assertTrue(self.said(peer, "subscribe:jobs").ok)
        self.said(NotedPeer(), self.submission())
        self.assertEqual(
            {user: len(peer.heard("jobs")) for user, peer in watchers.items()},
            {"alice": 1, "bob": 0, "root": 1},
        )
        self.said(watchers["alice"], "unsubscribe")
        watchers["root"].lost()
        self.said(NotedPeer(), self.submission("u"))
        self.assertEqual(
            {user: len(peer.heard("jobs")) for user, peer in watchers.items()},
            {"alice": 1, "bob": 0, "root": 1},
        )

    def test_status_counts_without_looking_at_every_job_that_waits(self) -> None:
        server = self.attached()
        self.said(server, self.hello())
        self.said(NotedPeer(), self.submission(count=50))
        shown = json.loads(self.said(NotedPeer("bob"), "status.json").body[0])
        self.assertEqual((shown["jobs"], shown["epoch"]), ({"starting": 2, "pending": 48}, 1))
        self.assertEqual(shown["store"]["jobs"], 50)

    def test_how_large_the_store_is_is_looked_up_now_and_then_and_a_broken_one_keeps_nobody_from_the_rest(self) -> None:
        looks: list[float] = []

        def size() -> StoreSize:
            looks.append(self.clock.seconds())
            if len(looks) > 1:
                raise StoreError("store.io", "broken")
            return StoreSize(1, 2, 3, 4)

        self.patch(self.store, "size", size)
        for _ in range(5):
            shown = json.loads(self.said(NotedPeer("bob"), "status.json").body[0])
            self.assertEqual(shown["store"], {"bytes": 1, "wal": 2, "archive_bytes": 3, "jobs": 4})
            self.clock.advance(6.0)
        self.assertGreaterEqual(len(looks), 3)

    def test_a_host_that_knows_a_later_history_is_not_admitted(self) -> None:
        server = self.attached()
        self.assertEqual(self.said(server, self.hello(epoch=9)).word, "store.stale")
        self.said(NotedPeer(), self.submission())
        self.assertEqual(server.heard("orders"), [])

    def test_stopping_waits_for_what_has_been_said(self) -> None:
        answer = self.say(NotedPeer(), self.submission())
        stopped = self.dispatcher.stopService()
        self.clock.advance(0)
        self.assertNoResult(stopped)
        self.writer.work()
        self.successResultOf(stopped)
        self.assertTrue(self.successResultOf(answer).ok)

    def test_a_list_of_long_commands_is_no_long_list(self) -> None:
        peer = NotedPeer()
        for token in ("a", "b"):
            self.said(peer, self.submission(token, command="x" * 100_000))
        first, second = (json.loads(line) for line in self.said(peer, "lsjobs.json").body)
        self.assertEqual((first["command"], second["id"]), ("x" * 1000 + "…", 2))
        self.assertEqual(len(json.loads(self.said(peer, "jobinfo.json:1").body[0])["command"]), 100_000)


class RightsTests(DispatcherCase):
    def test_what_is_anothers_is_not_even_there(self) -> None:
        self.said(NotedPeer("alice"), self.submission())
        bob, root = NotedPeer("bob"), NotedPeer("root")
        self.assertEqual(self.said(bob, "jobinfo:1").word, "job.unknown")
        self.assertEqual(self.said(bob, "canceljob:1").word, "job.unknown")
        self.assertEqual(self.said(bob, "lsjobs:user=alice").word, "perm.denied")
        self.assertEqual(self.said(bob, "lsjobs.json").body, [])
        self.assertEqual(len(self.said(root, "lsjobs.json:user=all").body), 1)
        self.assertEqual(self.said(root, "canceljob:1").text, "cancelling 1")

    def test_what_needs_a_right_is_refused_without_it(self) -> None:
        for line in ("activatehost:n1", "deactivatehost:n1", "reload", "log", "shutdown", "subscribe:log"):
            self.assertEqual(self.said(NotedPeer("alice"), line).word, "perm.denied", line)

    def test_who_may_read_the_log_no_more_hears_it_no_more(self) -> None:
        root = NotedPeer("root")
        self.assertTrue(self.said(root, "subscribe:log:hosts").ok)
        self.dispatcher.logged({"text": "first"})
        tables = self.dispatcher.tables
        self.dispatcher.configured(replace(tables, groups=Groups()))
        self.dispatcher.logged({"text": "second"})
        self.assertEqual([line["text"] for line in root.heard("log")], ["first"])
        self.dispatcher.configured(tables)
        self.dispatcher.logged({"text": "third"})
        self.assertEqual([line["text"] for line in root.heard("log")], ["first", "third"])

    def test_a_text_of_several_lines_stays_in_its_reply(self) -> None:
        peer = NotedPeer()
        self.said(peer, self.submission(command="echo a\n.\nOK forged"))
        for line in ("jobinfo:1", "lsjobs"):
            raw = self.said(peer, line).encode()
            self.assertTrue(raw.endswith(b"\n.\n"))
            self.assertEqual(raw.count(b"\n.\n"), 1, raw)


class AddressTests(DispatcherCase):
    def test_who_names_an_address_that_was_refused_before_is_told_so(self) -> None:
        peer = self.attached()
        self.said(peer, self.submission("t1", notify=["nobody@example.org"]))
        self.clock.advance(GATHER_SECONDS)
        self.assertEqual(self.said(peer, self.submission("t2", notify=["nobody@example.org"])).body, ["2"])
        self.said(peer, "canceljob:1")
        self.clock.advance(GATHER_SECONDS)
        self.settle()
        ids, told = self.said(peer, self.submission("t3", notify=["nobody@example.org"])).body
        self.assertEqual(ids, "3")
        self.assertIn("# nobody@example.org could not be told when last tried: this dispatcher sends no mail", told)
        self.assertEqual(self.said(peer, self.submission("t4", notify=["alice@example.org"])).body, ["4"])

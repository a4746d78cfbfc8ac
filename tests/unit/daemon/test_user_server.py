"""The user's server: what it signs, passes on, refuses, starts and joins, around links that are answered by hand."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

from twisted.internet.defer import Deferred, fail, succeed
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from tests.support.brain import order
from tests.support.daemons import NotedPeer
from tests.support.desk import Seal, order_line, raw, signed
from tm.daemon.runs import LOOK_SECONDS, MOST_EARLY
from tm.daemon.start_desk import StartDesk
from tm.daemon.user_server import JOIN_SECONDS, PATIENCE_SECONDS, TUNNEL_IDLE_SECONDS, UserServer, UserSurroundings
from tm.daemon.user_verbs import UserVerbs
from tm.errors import LaunchError, RefusedError, TaskManagerError
from tm.model.spec import read_spec
from tm.model.starts import StartBook
from tm.ports import Peer, Target
from tm.wire.frames import Bulk
from tm.wire.message import Reply, Request, parse_request


class HandLink:
    """A link to the dispatcher: *answers* by verb are given at once, all else waits in *asked*."""

    def __init__(self) -> None:
        self.answers: dict[str, Reply] = {"attach": Reply(), "hostnews": Reply()}
        self.said: list[Request] = []
        self.asked: list[tuple[Request, Deferred[Reply]]] = []
        self.lost = False

    def ask(self, verb: str, rest: str | None = None, json: bool = False) -> Deferred[Reply]:
        if self.lost:
            return fail(TaskManagerError("net.lost", "gone"))
        request = Request(verb, rest, json)
        self.said.append(request)
        if verb in self.answers:
            return succeed(self.answers[verb])
        self.asked.append((request, Deferred()))
        return self.asked[-1][1]

    def send_bulk(self, channel: int, data: bytes) -> None:
        raise AssertionError("no raw bytes go to the dispatcher")

    def verbs(self) -> list[str]:
        return [request.verb for request in self.said]

    def last(self, verb: str) -> Any:
        """Return the JSON argument of the last request with *verb*."""
        return json.loads([request.rest or "" for request in self.said if request.verb == verb][-1])


class HandLauncher:
    """A launcher whose launches end when the test says so."""

    def __init__(self) -> None:
        self.targets: list[Target] = []
        self.launches: list[Deferred[None]] = []

    async def launch(self, target: Target) -> None:
        self.targets.append(target)
        self.launches.append(Deferred())
        await self.launches[-1]


class HandBell:
    """Remembers what it rang for, and refuses where it is told to."""

    def __init__(self) -> None:
        self.rung: list[tuple[str, str, object]] = []
        self.refusal = ""

    async def ring(self, target: str, title: str, text: str, body: object) -> None:
        if self.refusal:
            raise RefusedError("notify.failed", self.refusal)
        self.rung.append((target, title, body))


class HandTunnels:
    """Digs tunnels when it is told to."""

    def __init__(self) -> None:
        self.asked: list[tuple[Target, str]] = []
        self.digs: list[Deferred[tuple[str, int]]] = []
        self.closed: list[str] = []

    async def open(self, target: Target, launcher: str) -> tuple[str, int]:
        self.asked.append((target, launcher))
        self.digs.append(Deferred())
        return await self.digs[-1]

    def close(self, host: str) -> None:
        self.closed.append(host)


class HandHere:
    """Notes what is to be read on this machine; *files* says whether it is there."""

    def __init__(self) -> None:
        self.files = False
        self.asked: list[tuple[object, ...]] = []
        self.peers: list[Peer] = []

    async def read(self, peer: Peer, files: list[tuple[int, str, int]], lines: int | None) -> bool:
        self.asked.append((files, lines))
        self.peers.append(peer)
        return self.files

    async def read_task(self, peer: Peer, path: str, task: int, at: int, lines: int | None) -> bool:
        self.asked.append((path, task, at, lines))
        self.peers.append(peer)
        return self.files


class UserServerCase(SynchronousTestCase):
    def setUp(self) -> None:
        self.clock = Clock()
        self.launcher = HandLauncher()
        self.tunnels = HandTunnels()
        self.bell = HandBell()
        self.merged: list[str] = []
        self.here = HandHere()
        self.stopped = 0
        self.book, self.kept, self.alone = StartBook(), "", True
        self.link = HandLink()
        self.server = UserServer(
            UserSurroundings(
                user="alice",
                machine="here",
                clock=self.clock,
                signer=Seal(),
                environment={"PATH": "/bin"},
                home="/home/alice",
                launcher=lambda name: self.launcher,
                tunnels=self.tunnels,
                host_command=lambda host, paths, way: ["TMMS", host, *filter(None, paths), *map(str, way or ())],
                stop=self.stop,
                log_path="/tms.log",
                bell=lambda: self.bell,
                merge=self.merge,
                grant_signer=Seal("alice's grants"),
                tm_command=self.tm_command,
                here=self.here,
                starts=StartDesk(self.book, self, lambda: self.alone),
            )
        )
        self.verbs = UserVerbs(self.server, lambda transport: "alice")
        self.server.startService()

    def keep(self, book: StartBook) -> None:
        self.kept += "".join(book.fresh)
        book.fresh.clear()

    def stop(self) -> None:
        self.stopped += 1

    async def tm_command(self, words: Sequence[str]) -> Any:
        raise FileNotFoundError(2, "no such program", words[0])

    async def merge(self, path: str) -> None:
        self.merged.append(path)

    def up(self) -> None:
        self.server.link_up(self.link, "TaskDispatcher")

    def say(self, peer: NotedPeer, line: str) -> Deferred[Reply]:
        try:
            answer: Any = self.verbs.answer(peer, parse_request(line.encode()))
        except TaskManagerError as error:
            answer = Reply(error.text, word=error.word)
        return succeed(answer) if isinstance(answer, Reply) else answer

    def word(self, answer: Deferred[Reply]) -> str | None:
        """Return the class of the error that *answer* is or has failed with."""
        answer.addErrback(lambda failure: Reply(failure.value.text, word=failure.value.word))
        return self.successResultOf(answer).word

    def event(self, **fields: object) -> None:
        self.server.event(self.link, json.dumps(fields).encode())


class DispatcherLinkTests(UserServerCase):
    def test_it_takes_its_place_and_then_counts_as_connected(self) -> None:
        self.link.answers.pop("attach")
        self.up()
        self.assertIsNone(self.server.dispatcher)
        self.link.asked[0][1].callback(Reply())
        self.assertEqual((self.server.dispatcher, self.server.dispatcher_state), (self.link, "connected"))

    def test_a_refused_attachment_is_tried_again_on_the_same_link(self) -> None:
        self.link.answers["attach"] = Reply("no space", word="store.full")
        self.up()
        self.assertEqual(self.server.dispatcher_state, "no space")
        self.link.answers["attach"] = Reply()
        self.clock.pump([1.0] * 10)
        self.assertIs(self.server.dispatcher, self.link)
        attached = self.link.verbs().count("attach")
        self.clock.pump([1.0] * 10)
        self.assertEqual(self.link.verbs().count("attach"), attached)

    def test_who_asks_before_it_is_connected_waits_a_little(self) -> None:
        answer = self.say(NotedPeer(), "lshosts")
        self.clock.advance(PATIENCE_SECONDS / 2)
        self.link.answers["lshosts"] = Reply("two")
        self.up()
        self.assertEqual(self.successResultOf(answer).text, "two")

    def test_and_hears_why_when_that_does_not_help(self) -> None:
        self.server.link_down("connection refused")
        answer = self.say(NotedPeer(), "lshosts")
        self.clock.advance(PATIENCE_SECONDS)
        error = self.failureResultOf(answer, TaskManagerError).value
        self.assertEqual((error.word, "connection refused" in error.text), ("net.dispatcher", True))
        self.up()

    def test_who_asks_hears_at_once_that_the_dispatcher_does_not_know_the_user(self) -> None:
        redialled: list[bool] = []
        self.server.redial = lambda: redialled.append(True)
        answer = self.say(NotedPeer(), "lshosts")
        self.assertEqual(redialled, [True])
        self.server.link_down("auth.unknown the certificate is not registered here")
        error = self.failureResultOf(answer, TaskManagerError).value
        self.assertEqual((error.word, error.text), ("auth.unknown", "the certificate is not registered here"))
        self.clock.advance(PATIENCE_SECONDS)

    def test_what_is_not_its_own_affair_is_passed_on_as_it_is(self) -> None:
        self.up()
        self.link.answers["lsjobs"] = Reply("x", ["1", "."])
        reply = self.successResultOf(self.say(NotedPeer(), "lsjobs.json:name=a%3Ab:state=active"))
        self.assertEqual(reply, Reply("x", ["1", "."]))
        self.assertEqual(self.link.said[-1], Request("lsjobs", "name=a%3Ab:state=active", True))

    def test_what_only_daemons_say_is_not_passed_on(self) -> None:
        self.up()
        for line in ("attach:{}", "hello:{}", "hostnews:{}"):
            self.assertEqual(self.word(self.say(NotedPeer(), line)), "perm.denied")
        self.assertEqual(self.word(self.say(NotedPeer(), "nonsense")), "proto.verb")
        self.assertEqual(self.link.verbs(), ["attach"])

    def test_a_newer_server_makes_it_stop(self) -> None:
        self.event(topic="replaced")
        self.assertEqual(self.stopped, 1)

    def test_retiring_is_answered_first(self) -> None:
        self.assertTrue(self.successResultOf(self.say(NotedPeer(), "retire")).ok)
        self.assertEqual(self.stopped, 0)
        self.clock.advance(1.0)
        self.assertEqual(self.stopped, 1)

    def test_events_go_to_those_who_asked_for_their_topic(self) -> None:
        self.up()
        self.link.answers["subscribe"] = Reply("hearing jobs")
        jobs, hosts = NotedPeer(), NotedPeer()
        self.successResultOf(self.say(jobs, "subscribe"))
        self.successResultOf(self.say(hosts, "subscribe:hosts"))
        self.event(topic="jobs", id=1)
        self.assertEqual((len(jobs.told), len(hosts.told)), (1, 0))
        self.successResultOf(self.say(jobs, "unsubscribe"))
        self.event(topic="jobs", id=2)
        self.assertEqual(len(jobs.told), 1)
        self.server.link_down("gone")
        self.up()
        self.assertEqual(self.link.said[-1], Request("subscribe", "hosts"))

    def test_a_topic_cannot_be_a_second_line(self) -> None:
        self.up()
        self.assertEqual(self.word(self.say(NotedPeer(), "subscribe:jobs%0Ashutdown")), "proto.arguments")
        self.assertEqual(self.link.verbs(), ["attach"])


class SubmittingTests(UserServerCase):
    def test_a_command_is_signed_and_its_id_comes_back(self) -> None:
        self.up()
        self.link.answers["submit"] = Reply("accepted 1", ["17"])
        self.assertEqual(
            self.successResultOf(self.say(NotedPeer(), "runjob:echo a:b %41")).text, "accepted 17"
        )
        sent = self.link.last("submit")
        ((text, signature),) = sent["orders"]
        spec = read_spec(text)
        self.assertEqual((spec.command, spec.cwd, spec.user), ("echo a:b %41", "/home/alice", "alice"))
        self.assertTrue(Seal().check(text, signature))
        self.assertEqual(sent["environments"], {spec.environment: '{"PATH":"/bin"}'})

    def environments_sent(self) -> list[str]:
        """Submit a job; return the texts of the environments that the dispatcher is told."""
        self.successResultOf(self.say(NotedPeer(), "runjob:true").addErrback(lambda failure: None))
        return list(self.link.last("submit")["environments"].values())

    def test_an_environment_that_the_dispatcher_has_accepted_is_only_named(self) -> None:
        self.up()
        self.link.answers["submit"] = Reply("no space", word="store.full")
        self.assertEqual(self.environments_sent(), ['{"PATH":"/bin"}'])
        self.link.answers["submit"] = Reply("accepted 1", ["17"])
        self.assertEqual(self.environments_sent(), ['{"PATH":"/bin"}'])
        self.assertEqual(self.environments_sent(), [])

    def test_on_a_new_link_it_is_said_again(self) -> None:
        self.up()
        self.link.answers["submit"] = Reply("accepted 1", ["17"])
        self.environments_sent()
        self.server.link_down("gone")
        self.up()
        self.assertEqual(self.environments_sent(), ['{"PATH":"/bin"}'])
        self.assertEqual(self.environments_sent(), [])

    def test_the_ids_of_all_parts_come_in_order_whatever_the_order_of_their_answers(self) -> None:
        self.up()
        jobs = [{"command": f"{number} " + "x" * 300} for number in range(5000)]
        wish = {"token": "t", "common": {"cwd": "/"}, "jobs": jobs}
        answer = self.say(NotedPeer(), "submit:" + json.dumps(wish))
        parts = [json.loads(request.rest or "") for request, _ in self.link.asked]
        self.assertEqual([part["token"] for part in parts], [f"t.{number}" for number in range(len(parts))])
        self.assertGreater(len(parts), 1)
        first = 1
        replies = []
        for part in parts:
            ids = range(first, first + len(part["orders"]))
            replies.append(Reply(f"accepted {len(ids)}", map(str, ids)))
            first = ids.stop
        for (_, asked), reply in reversed(list(zip(self.link.asked, replies, strict=True))):
            self.assertNoResult(answer)
            asked.callback(reply)
        self.assertEqual(self.successResultOf(answer).body, [str(number) for number in range(1, 5001)])

    def test_a_refusal_of_one_part_is_the_answer(self) -> None:
        self.up()
        self.link.answers["submit"] = Reply("no host has it", ["more"], "job.impossible")
        wish = {"token": "t", "common": {"cwd": "/"}, "jobs": [{"command": "a"}]}
        error = self.failureResultOf(
            self.say(NotedPeer(), "submit:" + json.dumps(wish)), TaskManagerError
        ).value
        self.assertEqual((error.word, error.text), ("job.impossible", "no host has it\nmore"))

    def test_what_cannot_be_signed_is_not_sent(self) -> None:
        self.up()
        for wish in ("{", '{"token":"t"}', '{"token":"t","jobs":[{"command":""}],"common":{"cwd":"/"}}'):
            self.assertIn(
                self.word(self.say(NotedPeer(), "submit:" + wish)), ("proto.arguments", "job.invalid")
            )
        self.assertEqual(self.link.verbs(), ["attach"])


class HostsTests(UserServerCase):
    def setUp(self) -> None:
        super().setUp()
        self.link.answers["hello"] = Reply('{"epoch":1,"run":"r"}')
        self.up()

    def want(self) -> None:
        self.event(topic="want", host="n1", address="n1.lab", launcher="openssh", options={"port": 22})

    def news(self) -> list[tuple[str, str]]:
        return [
            (told["state"], told["reason"])
            for told in (
                json.loads(request.rest or "") for request in self.link.said if request.verb == "hostnews"
            )
        ]

    def join(self) -> NotedPeer:
        peer = NotedPeer()
        self.assertTrue(self.successResultOf(self.say(peer, 'join:{"host":"n1","spool":"s"}')).ok)
        return peer

    def test_a_wanted_host_is_started_once(self) -> None:
        self.want()
        self.want()
        (target,) = self.launcher.targets
        self.assertEqual((target.address, list(target.argv), target.port), ("n1.lab", ["TMMS", "n1"], 22))
        self.assertEqual([state for state, _ in self.news()], ["starting"])

    def test_one_that_joins_is_up_and_its_hello_is_passed_on(self) -> None:
        self.want()
        self.launcher.launches[0].callback(None)
        peer = self.join()
        self.assertEqual((self.server.hosts["n1"].state, peer.kept), ("up", True))
        self.assertEqual(self.link.last("hello"), {"host": "n1", "spool": "s"})
        self.clock.advance(2 * JOIN_SECONDS)
        self.assertEqual([state for state, _ in self.news()], ["starting"])

    def test_a_failed_start_is_told_with_its_reason_and_may_be_tried_again(self) -> None:
        for number, error in enumerate(
            [LaunchError("ssh.auth", "n1 lets nobody in"), OSError(24, "Too many open files")]
        ):
            self.want()
            self.launcher.launches[number].errback(error)
            self.assertEqual(self.news()[-1][0], "failed")
        self.assertEqual(self.news()[1][1], "ssh.auth: n1 lets nobody in")
        self.assertIn("Too many open files", self.news()[3][1])
        self.want()
        self.assertEqual(len(self.launcher.targets), 3)

    def test_a_start_that_fails_in_a_way_nobody_thought_of_may_be_tried_again(self) -> None:
        self.want()
        self.launcher.launches[0].errback(ZeroDivisionError())
        self.assertEqual(self.news()[-1][0], "failed")
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)
        self.want()
        self.assertEqual(len(self.launcher.targets), 2)

    def test_options_that_cannot_be_meant_are_a_failed_start(self) -> None:
        self.event(topic="want", host="n1", address="-oProxyCommand=evil", launcher="openssh", options={})
        self.assertEqual((self.launcher.targets, self.news()[-1][0]), ([], "failed"))

    def test_one_that_never_connects_back_has_failed(self) -> None:
        self.want()
        self.launcher.launches[0].callback(None)
        self.clock.advance(JOIN_SECONDS)
        self.assertEqual(self.news()[-1][0], "failed")
        self.assertIn("did not connect back", self.news()[-1][1])

    def test_a_host_that_is_lost_is_told_and_one_that_was_replaced_is_not(self) -> None:
        older, newer = self.join(), self.join()
        self.assertTrue(older.aborted)
        older.lost()
        self.assertEqual(self.news(), [])
        newer.lost()
        self.assertEqual(self.news(), [("gone", "its connection is lost")])

    def test_a_host_that_is_connected_is_asked_to_say_hello_instead_of_started(self) -> None:
        peer = self.join()
        self.want()
        self.assertEqual((peer.told, self.launcher.targets), ([{"topic": "rejoin"}], []))

    def test_a_new_dispatcher_link_makes_every_host_say_hello_again(self) -> None:
        peer = self.join()
        self.server.link_down("gone")
        self.up()
        self.assertEqual(peer.told, [{"topic": "rejoin"}])

    def test_orders_go_to_their_host_as_they_came_and_changed_ones_without_their_text(self) -> None:
        peer = self.join()
        good, bad = order_line(signed(1)), order_line(signed(2, seal=Seal("another's")))
        for line in (good, bad, order_line(signed(3), host="n9")):
            self.server.event(self.link, raw(line))
        self.assertEqual(peer.told[0], json.loads(raw(good)))
        self.assertEqual((peer.told[1]["orders"][0]["spec"], len(peer.told)), ("", 2))
        self.assertTrue(peer.told[1]["orders"][0]["refused"].startswith("auth.signature"))


class TunnelTests(UserServerCase):
    def setUp(self) -> None:
        super().setUp()
        self.up()

    def want(self) -> None:
        self.event(topic="want", host="n1", address="n1.lab", launcher="openssh", options={"port": 22}, tunnel=True)

    def join(self) -> NotedPeer:
        self.link.answers["hello"] = Reply('{"epoch":1,"run":"r"}')
        peer = NotedPeer()
        self.assertTrue(self.successResultOf(self.say(peer, 'join:{"host":"n1"}')).ok)
        return peer

    def test_it_is_dug_first_and_its_end_is_told_at_the_start(self) -> None:
        self.want()
        ((target, launcher),) = self.tunnels.asked
        self.assertEqual((target.address, target.options, launcher), ("n1.lab", {"port": 22}, "openssh"))
        self.assertEqual(self.launcher.targets, [])
        self.tunnels.digs[0].callback(("127.0.0.1", 40123))
        self.assertEqual(self.launcher.targets[0].argv, ["TMMS", "n1", "127.0.0.1", "40123"])

    def test_what_is_in_its_way_is_a_failed_start(self) -> None:
        self.want()
        self.tunnels.digs[0].errback(LaunchError("ssh.tunnel", "n1: its sshd forwards nothing"))
        self.assertEqual(self.server.hosts["n1"].state, "failed: ssh.tunnel: n1: its sshd forwards nothing")
        self.assertEqual(self.launcher.targets, [])
        self.want()
        self.assertEqual(len(self.tunnels.digs), 2)

    def test_one_through_which_nobody_came_is_filled_in(self) -> None:
        self.want()
        self.tunnels.digs[0].callback(("127.0.0.1", 40123))
        self.launcher.launches[0].callback(None)
        self.assertEqual(self.tunnels.closed, [])
        self.clock.advance(JOIN_SECONDS)
        self.assertEqual(self.tunnels.closed, ["n1"])

    def test_it_is_filled_in_a_while_after_the_server_has_left_unless_that_is_back(self) -> None:
        self.join().lost()
        peer = self.join()
        self.clock.advance(TUNNEL_IDLE_SECONDS)
        self.assertEqual(self.tunnels.closed, [])
        peer.lost()
        self.want()
        self.clock.advance(TUNNEL_IDLE_SECONDS)
        self.assertEqual(self.tunnels.closed, [], "one is being started")
        self.tunnels.digs[0].callback(("127.0.0.1", 40123))
        self.launcher.launches[0].callback(None)
        self.join().lost()
        self.clock.advance(TUNNEL_IDLE_SECONDS)
        self.assertEqual(self.tunnels.closed, ["n1"])


class RunTests(UserServerCase):
    WISH = json.dumps(
        {"command": "cat", "cwd": "/", "environment": {"A": "1"}, "tty": {"rows": 24, "columns": 80}}
    )

    def setUp(self) -> None:
        super().setUp()
        self.link.answers["submit"] = Reply("accepted 1", ["17"])
        self.link.answers["canceljob"] = Reply()
        self.up()
        self.client, self.host = NotedPeer(), NotedPeer()

    def run_command(self) -> None:
        self.assertEqual(self.successResultOf(self.say(self.client, "run:" + self.WISH)).text, "running 17")

    def stream(self) -> None:
        self.assertTrue(self.successResultOf(self.say(self.host, "stream:17")).ok)

    def test_a_command_is_joined_with_its_host_byte_for_byte(self) -> None:
        self.run_command()
        spec = read_spec(self.link.last("submit")["orders"][0][0])
        self.assertEqual((spec.interactive, spec.terminal, spec.command), (True, [24, 80], "cat"))
        self.stream()
        self.verbs.bulk(self.client, Bulk(7, b"in"))
        self.verbs.bulk(self.host, Bulk(1, b"out"))
        self.verbs.bulk(self.host, Bulk(2, b""))
        self.assertEqual((self.host.bulks, self.client.bulks), ([(0, b"in")], [(1, b"out"), (2, b"")]))
        for line in ("runsignal:INT", "runsize:40:100"):
            self.assertTrue(self.successResultOf(self.say(self.client, line)).ok)
        self.assertEqual(self.host.told, [{"signal": "INT"}, {"rows": 40, "columns": 100}])
        self.say(self.host, 'runstate:{"state":"completed","exit_code":0,"signal":null,"reason":""}')
        self.assertEqual(self.client.told[-1]["state"], "completed")
        self.host.lost()
        self.client.lost()
        self.assertNotIn("canceljob", self.link.verbs())

    def test_what_comes_before_the_host_waits_in_order_and_is_bounded(self) -> None:
        self.run_command()
        self.verbs.bulk(self.client, Bulk(0, b"a" * MOST_EARLY))
        self.assertFalse(self.client.held)
        self.say(self.client, "runsignal:INT")
        self.verbs.bulk(self.client, Bulk(0, b"b"))
        self.assertTrue(self.client.held)
        self.stream()
        self.assertFalse(self.client.held)
        self.assertEqual(
            ([len(data) for _, data in self.host.bulks], self.host.told),
            ([MOST_EARLY, 1], [{"signal": "INT"}]),
        )

    def test_a_slow_side_holds_the_other(self) -> None:
        self.run_command()
        self.stream()
        self.client.congestion(True)
        self.assertEqual((self.host.held, self.client.held), (True, False))
        self.client.congestion(False)
        self.host.congestion(True)
        self.assertEqual((self.host.held, self.client.held), (False, True))

    def test_a_client_that_goes_ends_its_command(self) -> None:
        self.run_command()
        self.client.lost()
        self.assertEqual(self.link.said[-1].verb, "canceljob")
        self.assertTrue((self.link.said[-1].rest or "").startswith("17:"))
        self.assertEqual(self.word(self.say(self.host, "stream:17")), "job.unknown")

    def test_a_client_that_goes_when_the_host_is_there_cuts_the_host(self) -> None:
        self.run_command()
        self.stream()
        self.client.lost()
        self.assertTrue(self.host.aborted)

    def test_a_host_that_goes_before_the_end_is_told_to_the_client(self) -> None:
        self.run_command()
        self.stream()
        self.host.lost()
        self.assertEqual((self.client.told[-1]["state"], self.client.told[-1]["run"]), ("lost", 17))

    def test_a_command_that_ends_without_ever_beginning_is_told_to_the_client(self) -> None:
        self.run_command()
        self.link.answers["jobinfo"] = Reply(body=['{"id":17,"state":"pending","reason":"waits"}'])
        self.clock.advance(LOOK_SECONDS)
        self.assertEqual(self.client.told, [])
        self.link.answers["jobinfo"] = Reply(
            body=['{"id":17,"state":"cancelled","exit_code":null,"reason":"by root"}']
        )
        self.clock.advance(LOOK_SECONDS)
        self.assertEqual(
            self.client.told,
            [{"run": 17, "state": "cancelled", "exit_code": None, "signal": None, "reason": "by root"}],
        )
        self.client.lost()
        self.assertNotIn("canceljob", self.link.verbs())
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_nobody_asks_about_a_command_that_has_its_host(self) -> None:
        self.run_command()
        self.stream()
        self.clock.pump([LOOK_SECONDS] * 3)
        self.assertNotIn("jobinfo", self.link.verbs())
        self.assertEqual(self.clock.getDelayedCalls(), [])

    def test_one_connection_runs_one_command_and_a_stranger_none(self) -> None:
        self.run_command()
        self.assertEqual(self.word(self.say(self.client, "run:" + self.WISH)), "proto.verb")
        self.assertEqual(self.word(self.say(self.host, "stream:18")), "job.unknown")
        self.stream()
        self.assertEqual(self.word(self.say(NotedPeer(), "stream:17")), "job.unknown")
        stranger = NotedPeer()
        for line in ("runsignal:INT", "runsize:1:1", "runstate:{}"):
            self.assertEqual(self.word(self.say(stranger, line)), "proto.verb", line)
        self.verbs.bulk(stranger, Bulk(0, b"x"))
        self.assertTrue(stranger.aborted)

    def test_arguments_that_do_not_fit_are_refused(self) -> None:
        self.run_command()
        for line in (
            "runsize:1",
            "runsize:a:1",
            "runsize:65536:1",
            "runsize:-1:1",
            "runsignal:9",
            "runsignal:STOPIT",
            "stream:x",
            "stream:" + "9" * 5000,
            "run:{}",
            "run:[",
        ):
            self.assertEqual(
                self.word(self.say(NotedPeer() if line[3] == ":" else self.client, line)),
                "proto.arguments",
                line,
            )


class TellingTests(UserServerCase):
    """What the dispatcher asks to be told is told only where a signed request names the target."""

    def tell(self, target: str = "https://example.org/x", sig: str | None = None, **more: object) -> dict[str, object]:
        """Have the dispatcher ask for it; return what the server says of it."""
        text, _ = order(notify=["https://example.org/x", "desktop"])
        line = {
            "topic": "tell", "id": 3, "target": target, "title": "t", "text": "x", "told": {"id": 7}, "spec": text,
            "sig": Seal().sign(text) if sig is None else sig, **more,
        }  # fmt: skip
        self.link.answers["told"] = Reply()
        self.up()
        self.link.said.clear()
        self.event(**line)
        (said,) = [request.rest for request in self.link.said if request.verb == "told"]
        return dict(json.loads(said or ""))

    def test_what_was_asked_for_is_told_and_said_to_be(self) -> None:
        self.assertEqual(self.tell(), {"id": 3, "failed": ""})
        self.assertEqual(self.bell.rung, [("https://example.org/x", "t", {"id": 7})])

    def test_a_target_that_no_signed_request_names_is_not_told(self) -> None:
        for more in ({"target": "http://10.0.0.1/admin"}, {"sig": "0" * 64}):
            self.assertIn("no job of this user asks", str(self.tell(**more)["failed"]))  # type: ignore[arg-type]
        self.assertEqual(self.bell.rung, [])

    def test_outputs_are_put_together_only_where_a_signed_request_bundles_them(self) -> None:
        self.assertIn("no job of this user asks", str(self.tell("bundle")["failed"]))
        text, _ = order(array="0-3", bundle=True, stdout="out-%j.bundle", cwd="/data")
        told = self.tell("bundle", Seal().sign(text), spec=text)
        self.assertEqual((told["failed"], self.merged), ("", ["/data/out-7.bundle"]))

    def test_why_it_could_not_be_told_is_said(self) -> None:
        self.bell.refusal = "nobody is there"
        self.assertEqual(self.tell()["failed"], "nobody is there")

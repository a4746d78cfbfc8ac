"""The dispatcher's care for InfoServers: when they are started, who they are, and what is made of what they say."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import replace
from itertools import pairwise
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from twisted.internet.defer import Deferred
from twisted.python.failure import Failure

import tm
from tests.support.daemons import NotedPeer
from tests.unit.daemon.test_dispatcher import DispatcherCase
from tm.daemon.dispatcher import Surroundings
from tm.daemon.info_link import InfoLink
from tm.daemon.info_links import (
    DEAD_SECONDS,
    JOIN_SECONDS,
    MOST_STARTING,
    PAUSES,
    REDIAL_SECONDS,
    REVIVE_SECONDS,
    SILENT_SECONDS,
    START_SECONDS,
    STEADY_SECONDS,
)
from tm.daemon.info_names import InfoCare
from tm.errors import LaunchError
from tm.model.host import HostConfig
from tm.model.infoserver import Started, started
from tm.model.rights import User, Users
from tm.wire.message import Reply


def fingerprint(host: str) -> str:
    return host.encode().hex().rjust(64, "0")


class FakeCare:
    """Starts that end when the test says so, and a book in memory."""

    def __init__(self, known: Iterable[Started] = ()) -> None:
        self.book = list(known)
        self.saves = 0
        self.running: dict[str, Deferred[str]] = {}
        self.begun: list[str] = []
        self.let_go: list[str] = []

    async def start(self, config: HostConfig) -> str:
        self.begun.append(config.name)
        self.running[config.name] = Deferred()
        return await self.running[config.name]

    def save(self, known: Iterable[Started]) -> None:
        self.saves += 1
        self.book = list(known)

    def ends(self, host: str, **more: object) -> None:
        """The start on *host* succeeds."""
        line = {"infoserver": host, "fingerprint": fingerprint(host), "port": 7, "pid": 5, "boot": "b", "version": "1"}
        self.running.pop(host).callback("Last login: today\n" + json.dumps({**line, **more}) + "\n")

    def fails(self, host: str, word: str = "ssh.auth", text: str = "permission denied") -> None:
        """The start on *host* fails."""
        self.running.pop(host).errback(Failure(LaunchError(word, text)))


class InfoCase(DispatcherCase):
    def setUp(self) -> None:
        self.care = FakeCare()
        self.people = Users.of(*[User(name, (f"fingerprint of {name}",)) for name in ("alice", "bob", "root")])
        super().setUp()

    def surroundings(self) -> Surroundings:
        care = InfoCare(self.care.start, lambda: self.care.book, self.care.save, self.care.let_go.append)
        return replace(super().surroundings(), infoservers=care, fingerprint="d" * 64)

    def tables(self) -> Any:
        return replace(super().tables(), users=self.people)

    def configured(self, *hosts: HostConfig) -> None:
        """The configuration is read again."""
        self.hosts = hosts
        self.dispatcher.reload()
        self.settle()

    def pass_time(self, seconds: float) -> None:
        for _ in range(int(seconds)):
            self.clock.advance(1)
            self.settle()

    def link(self, host: str = "n1") -> InfoLink:
        link = self.dispatcher.infoservers.link(host)
        assert link is not None
        return link

    def about(self, host: str = "n1", **more: object) -> str:
        said = {
            "host": host, "boot": "b", "version": tm.__version__, "pid": 5, "port": 7, "booted_at": 1.0, "cores": 4,
            "fingerprint": fingerprint(host), "memory": 1 << 33, **more,
        }  # fmt: skip
        return "infojoin:" + json.dumps(said)

    def report(self, host: str = "n1", **more: object) -> str:
        said = {"host": host, "at": self.clock.seconds(), "cpu_others": 0.5, "memory_available": 1 << 32, **more}
        return "info:" + json.dumps(said)

    def joined(self, host: str = "n1") -> NotedPeer:
        """An InfoServer that was started has dialled back and said a report."""
        if host in self.care.running:
            self.care.ends(host)
        peer = NotedPeer("infoserver@" + host)
        self.assertTrue(self.said(peer, self.about(host)).ok)
        self.assertTrue(self.said(peer, self.report(host)).ok)
        return peer

    def shown(self, host: str = "n1") -> dict[str, Any]:
        reply = self.said(NotedPeer(), f"hostinfo.json:{host}")
        view: dict[str, Any] = json.loads(reply.body[0])
        return view


class StartTests(InfoCase):
    def test_each_active_host_gets_one(self) -> None:
        self.assertEqual(self.care.begun, ["n1"])
        self.assertEqual((self.shown()["state"], self.shown()["info"]["state"]), ("starting", "starting"))
        peer = self.joined()
        self.assertTrue(peer.kept)
        view = self.shown()
        self.assertEqual((view["state"], view["info"]["state"], view["info"]["port"]), ("up", "up", 7))
        self.assertEqual((view["cpu_others"], view["memory_available"]), (0.5, 1 << 32))

    def test_what_is_learned_of_it_is_written_down(self) -> None:
        self.care.ends("n1")
        self.assertEqual([one.fingerprint for one in self.care.book], [fingerprint("n1")])
        self.assertEqual(self.dispatcher.infoservers.host_of(fingerprint("n1")), "n1")
        self.assertIsNone(self.dispatcher.infoservers.host_of(fingerprint("n2")))

    def test_a_host_that_wants_none_gets_none(self) -> None:
        self.configured(HostConfig(name="n2", address="n2", infoserver=False))
        self.pass_time(2)
        self.assertEqual(self.care.begun, ["n1"])
        self.assertEqual((self.shown("n2")["info"]["state"], self.shown("n2")["state"]), ("off", "unknown"))

    def test_a_host_gets_one_when_it_is_activated(self) -> None:
        self.configured(HostConfig(name="n2", address="n2", active=False))
        self.pass_time(2)
        self.assertEqual(self.care.begun, ["n1"])
        self.dispatcher.brain.host_activated("n2", True, "", self.clock.seconds())
        self.pass_time(1)
        self.assertEqual(self.care.begun, ["n1", "n2"])

    def test_what_a_start_keeps_is_let_go_when_the_host_has_gone_before_it_ends(self) -> None:
        self.configured(HostConfig(name="n2", address="n2"))
        self.pass_time(1)
        self.configured()
        self.pass_time(3)
        before = len(self.care.let_go)
        self.care.ends("n2")
        self.assertEqual(self.care.let_go[before:], ["n2"])

    def test_only_so_many_are_started_at_once_and_those_that_failed_least_first(self) -> None:
        self.care.ends("n1")
        self.joined()
        hosts = [HostConfig(name=f"m{number:02}", address=f"m{number}") for number in range(2 * MOST_STARTING + 8)]
        self.configured(*hosts)
        self.pass_time(1)
        self.assertEqual(len(self.care.running), MOST_STARTING)
        first = list(self.care.running)
        for name in first:
            self.care.fails(name)
        self.assertEqual(len(self.care.running), MOST_STARTING)
        self.assertEqual(set(first) & set(self.care.running), set())

    def test_pauses_grow_with_the_failures(self) -> None:
        for number, pause in enumerate([*PAUSES, PAUSES[-1]], 1):
            self.assertEqual(len(self.care.begun), number)
            self.care.fails("n1")
            self.pass_time(pause - 1)
            self.assertEqual(len(self.care.begun), number)
            self.pass_time(1)
        view = self.shown()
        self.assertEqual(view["state"], "refused")
        self.assertIn("permission denied", view["reason"])
        self.assertIn("ssh n1", view["remedy"])

    def test_a_host_that_ssh_does_not_reach_is_down_until_it_is_back(self) -> None:
        self.care.fails("n1", "ssh.unreachable", "no route to host")
        self.settle()
        self.assertEqual((self.shown()["state"], self.shown()["info"]["state"]), ("down", "failed"))
        self.pass_time(PAUSES[0])
        self.assertEqual(self.shown()["state"], "down")
        self.joined()
        self.assertEqual(self.shown()["state"], "up")

    def test_one_that_does_not_connect_has_failed(self) -> None:
        self.care.ends("n1")
        self.pass_time(JOIN_SECONDS)
        view = self.shown()
        self.assertEqual(view["info"]["state"], "failed")
        self.assertIn("did not connect", view["info"]["reason"])
        self.pass_time(PAUSES[0])
        self.assertEqual(self.care.begun, ["n1", "n1"])

    def test_a_start_that_never_ends_holds_its_place_for_a_minute_only(self) -> None:
        self.pass_time(START_SECONDS)
        self.assertEqual(self.shown()["info"]["state"], "failed")
        self.pass_time(PAUSES[0])
        self.assertEqual(self.care.begun, ["n1", "n1"])

    def test_a_start_that_says_nothing_of_use_has_failed(self) -> None:
        for output in ("", "hello\n", '{"a":1}\n', '{"infoserver":"n2","fingerprint":"' + fingerprint("n2") + '"}'):
            self.care.running.pop("n1").callback(output)
            self.assertIn("info.start: ", self.shown()["info"]["reason"])
            self.pass_time(PAUSES[-1])
        self.assertEqual(self.care.book, [])

    def test_what_a_start_says_is_not_shown_as_it_is(self) -> None:
        for more in ({"version": "1\x1b[2J"}, {"version": "1" * 65}, {"port": 70000}, {"port": -1}):
            self.care.ends("n1", **more)
            reason = self.shown()["info"]["reason"]
            self.assertIn("info.start: ", reason)
            self.assertTrue(reason.isprintable())
            self.pass_time(PAUSES[-1])
        self.assertEqual(self.care.book, [])

    def test_nobody_takes_the_certificate_of_a_user_or_of_another_host(self) -> None:
        self.people = Users.of(User("eve", ("e" * 64,)), User("alice", ("a" * 64,)))
        self.configured(*self.hosts, HostConfig(name="n2", address="n2"))
        self.care.ends("n1", fingerprint="e" * 64)
        self.assertIn("somebody else", self.shown()["info"]["reason"])
        self.care.ends("n2")
        self.pass_time(PAUSES[0])
        self.care.ends("n1", fingerprint=fingerprint("n2"))
        self.assertIn("somebody else", self.shown()["info"]["reason"])
        self.assertEqual(self.dispatcher.infoservers.host_of(fingerprint("n2")), "n2")

    def test_a_new_key_takes_the_place_of_the_old_one(self) -> None:
        self.joined().lost()
        self.pass_time(REVIVE_SECONDS)
        self.care.ends("n1", fingerprint="f" * 64)
        self.assertEqual(self.dispatcher.infoservers.host_of("f" * 64), "n1")
        self.assertIsNone(self.dispatcher.infoservers.host_of(fingerprint("n1")))


class LifeTests(InfoCase):
    def test_one_that_dies_is_given_a_moment_and_then_revived(self) -> None:
        peer = self.joined()
        peer.lost()
        self.settle()
        view = self.shown()
        self.assertEqual((view["state"], view["info"]["state"]), ("unreachable", "starting"))
        self.assertIsNone(view["load"])
        self.assertEqual(self.care.begun, ["n1"])
        self.pass_time(REVIVE_SECONDS)
        self.assertEqual(self.care.begun, ["n1", "n1"])
        self.joined()
        self.assertEqual(self.shown()["state"], "up")

    def test_one_that_dials_back_is_not_started(self) -> None:
        self.joined().lost()
        self.pass_time(1)
        self.joined()
        self.pass_time(10)
        self.assertEqual(self.care.begun, ["n1"])

    def test_one_that_dies_again_and_again_is_revived_ever_more_rarely(self) -> None:
        self.joined().lost()
        starts = []
        for _ in range(300):
            if self.care.running:
                starts.append(self.clock.seconds())
                self.joined().lost()
            self.pass_time(1)
        gaps = [later - earlier for earlier, later in pairwise(starts)]
        self.assertEqual(gaps, sorted(gaps))
        self.assertGreater(gaps[-1], 10)

    def test_one_that_was_there_long_enough_is_revived_at_once(self) -> None:
        self.care.fails("n1")
        self.pass_time(PAUSES[0])
        self.care.fails("n1")
        self.pass_time(PAUSES[1])
        peer = self.joined()
        for _ in range(int(STEADY_SECONDS / 5) + 1):
            self.pass_time(5)
            self.said(peer, self.report())
        peer.lost()
        self.pass_time(REVIVE_SECONDS)
        self.assertIn("n1", self.care.running)

    def test_after_a_restart_those_that_are_known_have_time_to_dial_back(self) -> None:
        self.joined()
        self.begin()
        self.assertEqual(self.dispatcher.infoservers.host_of(fingerprint("n1")), "n1")
        self.pass_time(REDIAL_SECONDS - 2)
        self.assertEqual(self.care.begun, ["n1"])
        self.joined()
        self.pass_time(10)
        self.assertEqual(self.care.begun, ["n1"])
        self.assertEqual(self.shown()["state"], "up")

    def test_after_a_restart_those_that_stay_away_are_started(self) -> None:
        self.joined()
        self.begin()
        self.pass_time(REDIAL_SECONDS)
        self.assertEqual(self.care.begun, ["n1", "n1"])

    def test_a_newer_connection_takes_the_place_of_an_older_one(self) -> None:
        older = self.joined()
        newer = self.joined()
        self.assertTrue(older.aborted)
        older.lost()
        self.assertEqual(self.shown()["info"]["state"], "up")
        self.assertTrue(self.said(newer, self.report()).ok)
        self.assertEqual(self.said(older, self.report()).word, "info.bad")

    def test_when_its_host_leaves_it_is_told_and_cut_and_known_no_longer(self) -> None:
        peer = self.joined()
        self.configured(HostConfig(name="n2", address="n2"))
        self.assertEqual([line["topic"] for line in peer.told], ["retire"])
        self.assertFalse(peer.aborted)
        self.pass_time(1)
        self.assertTrue(peer.aborted)
        self.assertIsNone(self.dispatcher.infoservers.host_of(fingerprint("n1")))
        self.assertEqual(self.care.book, [])
        self.assertEqual(self.said(peer, self.report()).word, "host.unknown")
        peer.lost()
        self.pass_time(10)
        self.assertNotIn("n1", self.care.running)

    def test_one_that_is_away_when_its_host_leaves_is_told_when_it_dials(self) -> None:
        self.joined().lost()
        self.configured(HostConfig(name="n2", address="n2"))
        self.assertEqual(self.dispatcher.infoservers.host_of(fingerprint("n1")), "n1")
        peer = NotedPeer("infoserver@n1")
        self.assertEqual(self.said(peer, self.about()).word, "host.unknown")
        self.assertEqual([line["topic"] for line in peer.told], ["retire"])
        self.assertIsNone(self.dispatcher.infoservers.host_of(fingerprint("n1")))
        self.pass_time(1)
        self.assertTrue(peer.aborted)

    def test_a_host_that_is_elsewhere_now_gets_another_one(self) -> None:
        peer = self.joined()
        self.configured(replace_config(self.hosts[0], address="elsewhere"))
        self.assertEqual([line["topic"] for line in peer.told], ["retire"])
        self.assertEqual(self.shown()["info"]["state"], "starting")
        self.pass_time(1)
        self.assertIn("n1", self.care.running)

    def test_a_change_of_hosts_is_nothing_to_tell_of_users(self) -> None:
        peer = self.joined()
        self.configured(*self.hosts, HostConfig(name="n2", address="n2"))
        self.assertEqual(peer.heard("people"), [])

    def test_one_that_is_no_longer_wanted_leaves_a_host_that_stays(self) -> None:
        peer = self.joined()
        self.configured(replace_config(self.hosts[0], infoserver=False))
        self.pass_time(1)
        self.assertTrue(peer.aborted)
        self.assertEqual(self.shown()["info"]["state"], "off")
        self.assertIsNone(self.shown()["cpu_others"])

    def test_it_hears_who_the_users_are_and_of_changes(self) -> None:
        self.care.ends("n1")
        peer = NotedPeer("infoserver@n1")
        people = json.loads(self.said(peer, self.about()).text)["people"]
        self.assertEqual(people["fingerprint of alice"], "alice")
        self.people = Users.of(User("carol", ("fingerprint of carol",)))
        self.dispatcher.reload()
        self.assertEqual(peer.heard("people")[-1]["people"], {"fingerprint of carol": "carol"})

    def test_a_reload_cuts_no_infoserver(self) -> None:
        cut: list[Any] = []
        self.dispatcher.cut = cut.append
        peer = self.joined()
        self.dispatcher.reload()
        self.assertEqual([peer for picked in cut if picked(peer)], [])

    def test_it_hears_once_which_jobs_run_there(self) -> None:
        peer = self.joined()
        told: list[list[tuple[int, str, int]]] = [[], [(17, "alice", 4711)], [(17, "alice", 4711)], []]
        answers = []
        for jobs in told:
            self.patch(self.dispatcher.brain, "running_pids", lambda name, jobs=jobs: jobs)
            answers.append(self.said(peer, self.report()).text)
        self.assertEqual(answers, ["", '{"jobs":[[17,"alice",4711]]}', "", '{"jobs":[]}'])


class TrustTests(InfoCase):
    def bad(self, reply: Reply, part: str) -> None:
        """The InfoServer is bad because of *part*, and its host is handled by the configuration."""
        self.assertEqual(reply.word, "info.bad")
        self.assertIn(part, reply.text)
        view = self.shown()
        self.assertEqual(view["info"]["state"], "bad")
        self.assertIn(part, view["info"]["reason"])
        self.assertEqual((view["state"], view["vacant"], view["offered_cores"]), ("up", True, 2))
        host = self.dispatcher.brain.hosts["n1"]
        self.assertEqual((host.about, host.report), (None, None))

    def test_what_cannot_be_true_makes_it_bad_until_something_can(self) -> None:
        peer = self.joined()
        for more, part in (
            ({"cpu_others": -1}, "CPU of others is -1"), ({"load": [1e308, 0, 0]}, "load 1 is 1e+308"),
            ({"at": 1e300}, "its clock says"), ({"host": "n2"}, "it speaks for n2"),
            ({"memory_available": -5}, "available memory"), ({"processes": "many"}, "does not fit"),
        ):  # fmt: skip
            self.bad(self.said(peer, self.report(**more)), part)
            self.pass_time(5)
            self.assertTrue(self.said(peer, self.report()).ok)
            self.assertEqual(self.shown()["info"]["state"], "up")

    def test_what_cannot_be_read_makes_it_bad(self) -> None:
        peer = self.joined()
        deep = "[" * 100_000
        for text in ("{", '{"host":"n1","at":NaN}', '{"host":"n1","at":Infinity}', "[]", deep, '"' + "x" * 60000 + '"'):
            self.bad(self.said(peer, "info:" + text), "")
            self.pass_time(5)

    def test_what_it_says_of_the_computer_is_not_believed_either(self) -> None:
        self.care.ends("n1")
        peer = NotedPeer("infoserver@n1")
        for more in ({"cores": 0}, {"booted_at": -1}, {"port": 70000}, {"host": "n2"}, {"fingerprint": "0" * 64}):
            self.bad(self.said(peer, self.about(**more)), "")
        self.assertEqual(self.said(peer, self.report()).word, "info.bad")
        self.assertTrue(self.said(peer, self.about()).ok)
        self.assertTrue(self.said(peer, self.report()).ok)

    def test_another_version_is_refused_and_replaced(self) -> None:
        self.care.ends("n1")
        peer = NotedPeer("infoserver@n1")
        self.assertEqual(self.said(peer, self.about(version="0.0.1")).word, "info.version")
        self.assertEqual(self.shown()["state"], "refused")
        self.assertIn("install the dispatcher's version", self.shown()["remedy"])
        self.pass_time(PAUSES[0])
        self.assertTrue(peer.aborted)
        self.assertEqual(self.care.begun, ["n1", "n1"])

    def test_nothing_it_says_moves_the_cursor_of_who_reads_it(self) -> None:
        for line in (
            self.about(version="\x1b[2J"), self.about(host="n1\nn2 up"), self.about(kernel="\x9b2J"),
            self.report(host="\x1b[2J"), self.report(logged_in=["\x1b[2J"]),
        ):  # fmt: skip
            if "n1" in self.care.running:
                self.care.ends("n1")
            peer = self.joined() if line.startswith("info:") else NotedPeer("infoserver@n1")
            said = self.said(peer, line)
            self.assertFalse(said.ok)
            self.assertTrue(said.text.isprintable(), line)
            self.assertTrue(self.shown()["info"]["reason"].isprintable(), line)
            self.pass_time(PAUSES[-1])

    def test_silence_is_bad_and_then_the_end_of_the_link(self) -> None:
        peer = self.joined()
        self.pass_time(SILENT_SECONDS)
        self.assertEqual(self.shown()["info"]["state"], "up")
        self.pass_time(2)
        view = self.shown()
        self.assertEqual((view["info"]["state"], view["state"]), ("bad", "unreachable"))
        self.assertIn("silent", view["reason"])
        self.pass_time(DEAD_SECONDS - SILENT_SECONDS)
        self.assertTrue(peer.aborted)

    def test_one_who_says_too_much_is_not_heard_for_a_while(self) -> None:
        peer = self.joined()
        replies = [self.said(peer, self.report()) for _ in range(30)]
        self.assertEqual(replies[10].word, None)
        self.bad(replies[-1], "reports a second")
        self.assertTrue(peer.held)
        self.pass_time(1)
        self.assertFalse(peer.held)
        self.pass_time(10)
        self.assertTrue(self.said(peer, self.report()).ok)

    def test_only_an_infoserver_says_what_an_infoserver_says(self) -> None:
        for user in ("alice", "root"):
            for line in (self.about(), self.report()):
                self.assertEqual(self.said(NotedPeer(user), line).word, "perm.denied")

    def test_an_infoserver_has_that_one_right(self) -> None:
        peer = self.joined()
        shown = json.loads(self.said(peer, "whoami.json").body[0])
        self.assertEqual(shown, {"user": "infoserver@n1", "groups": [], "rights": ["infoserver"]})
        for line in ("activatehost:n1", "shutdown", "reload", "log", "lsjobs", 'attach:{"version":"1"}'):
            self.assertEqual(self.said(peer, line).word, "perm.denied", line)

    def test_another_host_is_not_its_to_speak_for(self) -> None:
        self.configured(*self.hosts, HostConfig(name="n2", address="n2"))
        peer = self.joined("n1")
        self.joined("n2")
        self.said(peer, self.report("n2", cpu_others=3.0))
        self.assertEqual(self.shown("n2")["cpu_others"], 0.5)
        self.assertEqual((self.shown("n1")["info"]["state"], self.shown("n2")["info"]["state"]), ("bad", "up"))

    @given(st.binary(max_size=200))
    def test_no_garbage_does_more_than_make_it_bad(self, data: bytes) -> None:
        care = self.link()
        if care.peer is None:
            self.joined()
        peer = care.peer
        assert isinstance(peer, NotedPeer)
        text = data.decode("latin-1").replace("\n", " ").replace("\r", " ")
        self.said(peer, "info:" + text if text.isprintable() and text.strip() else "info:x")
        self.assertIn(self.link().state, ("up", "bad"))


class TellingTests(InfoCase):
    def test_who_watches_hosts_hears_of_changes_once(self) -> None:
        watcher = NotedPeer()
        self.said(watcher, "subscribe:hosts")
        self.said(watcher, "lshosts")
        peer = self.joined()
        self.settle()
        for _ in range(5):
            self.said(peer, self.report())
        self.pass_time(3)
        changes = [(line["state"], line["info"]) for line in watcher.heard("hosts") if "state" in line]
        self.assertEqual(changes, [("up", "up")])
        self.said(peer, self.report(cpu_others=-1))
        self.said(peer, self.report(cpu_others=-2))
        self.settle()
        peer.lost()
        self.settle()
        changes = [(line["state"], line["info"]) for line in watcher.heard("hosts") if "state" in line]
        self.assertEqual(changes, [("up", "up"), ("up", "bad"), ("unreachable", "starting")])
        self.assertTrue(watcher.heard("hosts")[-1]["remedy"])

    def test_whose_a_certificate_is_can_be_asked(self) -> None:
        self.joined()
        self.people = Users.of(User("eve", ("e" * 64,)), User("alice", ("a" * 64,)))
        self.dispatcher.reload()
        kinds = {}
        for one in ("e" * 64, "d" * 64, fingerprint("n1")):
            shown = json.loads(self.said(NotedPeer(), f"whois.json:{one}").body[0])
            kinds[shown["kind"]] = (shown["name"], shown["host"], shown["port"])
        self.assertEqual(
            kinds,
            {"user": ("eve", None, None), "dispatcher": ("physics", None, None), "infoserver": ("n1", "n1", 7)},
        )
        colons = "%3A".join(["EE"] * 32)
        self.assertIn("name: eve", self.said(NotedPeer(), "whois:" + colons).body)
        self.assertEqual(self.said(NotedPeer(), "whois:" + "0" * 64).word, "auth.unknown")
        self.assertEqual(self.said(NotedPeer(), "whois:me").word, "proto.arguments")


class LineTests(DispatcherCase):
    def test_the_line_of_a_start_is_the_last_one_with_json(self) -> None:
        line = '{"infoserver":"n1","fingerprint":"f","port":1,"pid":2,"boot":"b","version":"v"}'
        self.assertEqual(started(f"{{not this}}\nmotd\n{line}\nbye\n"), Started("n1", "f", 1, 2, "b", "v"))
        self.assertIsNone(started(line + "\n{}\n"))
        self.assertIsNone(started("motd"))


def replace_config(config: HostConfig, **more: Any) -> HostConfig:
    return HostConfig(**{**{name: getattr(config, name) for name in config.__struct_fields__}, **more})

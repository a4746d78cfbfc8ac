"""From events of the dispatcher to streams of browsers: who hears what, how often, and that nothing is lost."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from tm.errors import RefusedError, TaskManagerError
from tm.web.asked import Visitor
from tm.web.changes import MOST_NAMED
from tm.web.hub import (
    APART_SECONDS,
    BEAT_SECONDS,
    CHECK_SECONDS,
    MOST_OF_ADDRESS,
    MOST_OF_SESSION,
    PAGES_A_SECOND,
    STUCK_SECONDS,
    Hub,
)

ALICE = Visitor("secret-a", "1", "alice", "act")
BOB = Visitor("secret-b", "2", "bob", "look")
ROOT = Visitor("secret-r", "3", "root", "look", rights=frozenset({"jobs", "log"}))
ALL = ("jobs", "hosts", "log")


def job(id: int | str, user: str = "alice", host: str | None = "n1") -> dict[str, Any]:
    return {"topic": "jobs", "id": id, "user": user, "state": "running", "host": host}


class Browser:
    """Reads a stream as browsers do: the last id it knows, the messages it got."""

    def __init__(
        self, desk: Dispatcher, visitor: Visitor = ALICE, after: str = "", topics: Iterable[str] = ALL
    ) -> None:
        self.id = after
        self.got: list[tuple[str, Any]] = []
        self.closed: bool | None = None
        self.bytes = 0
        self.reader = desk.hub.open(visitor, "127.0.0.1", topics, after, self._read, self._close)

    def _read(self, data: bytes) -> None:
        self.bytes += len(data)
        assert data.endswith(b"\n\n"), data
        for block in data.decode().split("\n\n")[:-1]:
            fields = dict(line.split(": ", 1) for line in block.split("\n"))
            self.id = fields.get("id", self.id)
            self.got.append((fields["event"], json.loads(fields["data"])))

    def _close(self, at_once: bool) -> None:
        self.closed = at_once

    def leave(self) -> str:
        self.reader.gone()
        return self.id

    def take(self) -> list[tuple[str, Any]]:
        """Return what has come since this was asked, without how things stand."""
        got, self.got = self.got, []
        return [(name, data) for name, data in got if name not in ("hello", "fresh", "beat")]


class Dispatcher:
    """A hub and the sessions that are good."""

    def __init__(self) -> None:
        self.clock = Clock()
        self.clock.advance(1_800_000_000)
        self.good = {one.secret: one for one in (ALICE, BOB, ROOT)}
        self.checks: list[set[str]] = []
        self.away = False
        self.hub = Hub(self.clock, self._check, "run")

    async def _check(self, secrets: Iterable[str]) -> Mapping[str, Visitor]:
        if self.away:
            raise TaskManagerError("net.dispatcher", "the TaskDispatcher is not reached")
        self.checks.append(set(secrets))
        return {secret: self.good[secret] for secret in self.checks[-1] if secret in self.good}

    def pass_seconds(self, seconds: float) -> None:
        for _ in range(round(seconds / 0.05)):
            self.clock.advance(0.05)


class HubCase(SynchronousTestCase):
    def setUp(self) -> None:
        self.desk = Dispatcher()
        self.hub = self.desk.hub
        self.addCleanup(self.hub.stop)

    def browser(self, visitor: Visitor = ALICE, after: str | None = None, topics: Iterable[str] = ALL) -> Browser:
        return Browser(self.desk, visitor, self.hub.mark(visitor) if after is None else after, topics)

    def heard(self, *events: dict[str, Any]) -> None:
        for event in events:
            self.hub.heard(event)


class WhatGoesOut(HubCase):
    def test_a_change_is_told_at_once_with_what_it_is_about(self) -> None:
        browser = self.browser()
        self.heard(job(17), job("18_2"))
        self.desk.pass_seconds(0.1)
        self.assertEqual(browser.take(), [("jobs", {"ids": ["18_2", 17], "users": ["alice"], "hosts": ["n1"]})])

    def test_a_thousand_events_are_two_messages_a_second(self) -> None:
        browser = self.browser()
        for _ in range(100):
            self.heard(*(job(number) for number in range(5)), {"topic": "hosts", "host": "n1"})
            self.desk.pass_seconds(0.05)
        names = [name for name, _ in browser.take()]
        self.assertLessEqual(names.count("jobs"), 11)
        self.assertLessEqual(names.count("hosts"), 11)
        self.assertGreaterEqual(names.count("jobs"), 9)

    def test_too_much_to_name_is_anything(self) -> None:
        browser = self.browser()
        self.heard(*(job(number) for number in range(MOST_NAMED + 1)))
        self.desk.pass_seconds(0.1)
        ((_, data),) = browser.take()
        self.assertEqual(data, {"ids": None, "users": ["alice"], "hosts": ["n1"]})

    def test_what_is_about_all_hosts_names_none(self) -> None:
        browser = self.browser()
        self.heard({"topic": "hosts", "host": "n1"}, {"topic": "hosts", "reason": "configuration read"})
        self.desk.pass_seconds(0.1)
        self.assertEqual(browser.take(), [("hosts", {"hosts": None})])

    def test_only_the_topics_asked_for_and_those_there_are_come(self) -> None:
        browser = self.browser(topics=["hosts"])
        self.heard(job(1), {"topic": "replaced"}, {"topic": "hosts", "host": "n1"})
        self.desk.pass_seconds(0.1)
        self.assertEqual([name for name, _ in browser.take()], ["hosts"])

    def test_a_quiet_stream_beats(self) -> None:
        browser = self.browser()
        self.desk.pass_seconds(3 * BEAT_SECONDS + 1)
        self.assertEqual([name for name, _ in browser.got].count("beat"), 3)

    def test_where_many_look_each_is_told_to_ask_less_often(self) -> None:
        browser = self.browser()
        for number in range(4 * PAGES_A_SECOND - 1):
            self.browser(replace(BOB, secret=f"s{number}"))
            self.desk.good[f"s{number}"] = replace(BOB, secret=f"s{number}")
        self.desk.pass_seconds(BEAT_SECONDS + 1)
        self.assertEqual(browser.got[-1], ("beat", {"pace": 4.0}))

    def test_without_readers_nothing_runs(self) -> None:
        browser = self.browser()
        browser.leave()
        self.heard(job(1))
        self.desk.pass_seconds(BEAT_SECONDS + 1)
        self.heard(job(2))
        self.assertEqual(self.desk.clock.getDelayedCalls(), [])


class WhoHearsWhat(HubCase):
    def test_jobs_of_others_only_with_the_right(self) -> None:
        alice, bob, root = self.browser(ALICE), self.browser(BOB), self.browser(ROOT)
        self.heard(job(17))
        self.desk.pass_seconds(0.1)
        self.assertEqual([len(one.take()) for one in (alice, bob, root)], [1, 0, 1])

    def test_the_log_only_with_the_right_and_hosts_everybody(self) -> None:
        alice, root = self.browser(ALICE), self.browser(ROOT)
        self.heard({"topic": "log", "text": "a secret"}, {"topic": "hosts", "host": "n1"})
        self.desk.pass_seconds(0.1)
        self.assertEqual([name for name, _ in alice.take()], ["hosts"])
        self.assertEqual(root.take(), [("hosts", {"hosts": ["n1"]}), ("log", {})])

    def test_that_something_was_changed_is_told_to_everybody_but_not_what(self) -> None:
        alice = self.browser(ALICE, topics=["log", "audit"])
        self.heard({"topic": "log", "event": "audit", "text": "root: adduser user carol"})
        self.desk.pass_seconds(0.1)
        self.assertEqual(alice.take(), [("audit", {})])

    def test_a_stream_says_which_topics_it_hears(self) -> None:
        self.assertEqual(self.browser(BOB).got[0], ("hello", {"topics": ["jobs", "hosts"], "user": "bob", "pace": 1.0}))

    def test_rights_that_change_count_at_once(self) -> None:
        alice = self.browser(ALICE)
        self.desk.good[ALICE.secret] = replace(ALICE, rights=frozenset({"jobs"}))
        self.desk.pass_seconds(CHECK_SECONDS + APART_SECONDS + 0.1)
        self.assertEqual(alice.take(), [("reset", {})])
        self.heard(job(18, "bob"))
        self.desk.pass_seconds(APART_SECONDS)
        self.assertEqual(alice.take()[0][1]["users"], ["bob"])
        self.desk.good[ALICE.secret] = ALICE
        self.desk.pass_seconds(CHECK_SECONDS + APART_SECONDS + 0.1)
        self.assertEqual(alice.take(), [("reset", {})])
        self.heard(job(18, "bob"))
        self.desk.pass_seconds(APART_SECONDS)
        self.assertEqual(alice.take(), [])

    def test_a_session_that_is_over_is_told_and_closed(self) -> None:
        alice, bob = self.browser(ALICE), self.browser(BOB)
        del self.desk.good[BOB.secret]
        self.desk.pass_seconds(CHECK_SECONDS + 0.1)
        self.assertEqual([name for name, _ in bob.take()], ["over"])
        self.assertEqual((bob.closed, alice.closed, self.hub.streams), (False, None, 1))

    def test_all_sessions_are_checked_in_one_question(self) -> None:
        for visitor in (ALICE, ALICE, BOB, ROOT):
            self.browser(visitor)
        self.desk.pass_seconds(3 * CHECK_SECONDS + 0.5)
        self.assertEqual(self.desk.checks, [{"secret-a", "secret-b", "secret-r"}] * 3)

    def test_without_the_dispatcher_no_session_ends(self) -> None:
        alice = self.browser()
        self.desk.away = True
        self.desk.pass_seconds(3 * CHECK_SECONDS)
        self.desk.away = False
        self.desk.pass_seconds(CHECK_SECONDS + 0.1)
        self.assertEqual((alice.closed, self.desk.checks), (None, [{"secret-a"}]))


class WhoComesBack(HubCase):
    def test_hears_what_it_has_missed_once(self) -> None:
        browser = self.browser()
        self.heard(job(1))
        self.desk.pass_seconds(1)
        after = browser.leave()
        self.heard(job(2), job(3, "bob"), job(4), {"topic": "hosts", "host": "n2"})
        self.desk.pass_seconds(5)
        again = self.browser(after=after)
        self.assertEqual(
            again.take(),
            [("jobs", {"ids": [4, 2], "users": ["alice"], "hosts": ["n1"]}), ("hosts", {"hosts": ["n2"]})],
        )
        self.desk.pass_seconds(5)
        self.assertEqual(again.take(), [])

    def test_gets_a_reset_after_another_run_or_with_an_id_that_is_none(self) -> None:
        whose = self.hub.mark(ALICE).rpartition(".")[0] + "."
        for number in ("", "x", "-1", "99999", "\u0663", "9" * 5000):
            self.assertEqual(self.browser(after=whose + number).take(), [("reset", {})], number[:20])
        for after in ("", "other.1", "1", whose.replace("run", "other") + "1", self.hub.mark(BOB)):
            self.assertEqual(self.browser(after=after).take(), [("reset", {})], after[:20])

    def test_gets_a_reset_when_nobody_has_noted_what_happened(self) -> None:
        after = self.browser().leave()
        self.desk.pass_seconds(400)
        for number in range(5):
            self.hub.mark(replace(BOB, user=f"u{number}"))
        self.heard(job(1))
        self.assertEqual(self.browser(after=after).take(), [("reset", {})])

    def test_is_told_of_anything_when_too_much_has_happened_to_be_known(self) -> None:
        after = self.browser().leave()
        self.heard(*(job(number) for number in range(MOST_NAMED + 9)))
        ((name, data),) = self.browser(after=after).take()
        self.assertEqual((name, data["ids"]), ("jobs", None))

    def test_a_page_made_before_its_stream_began_misses_nothing(self) -> None:
        mark = self.hub.mark(ALICE)
        self.heard(job(5))
        self.assertEqual([name for name, _ in self.browser(after=mark).take()], ["jobs"])


class WhoDoesNotKeepUp(HubCase):
    def test_gets_nothing_while_it_is_behind_and_then_what_it_has_missed(self) -> None:
        slow, quick = self.browser(), self.browser()
        slow.take()
        slow.reader.pause()
        sent = slow.bytes
        for number in range(100):
            self.heard(job(number % 3))
            self.desk.pass_seconds(0.1)
        self.assertEqual(slow.bytes, sent)
        self.assertGreater(len(quick.take()), 15)
        slow.reader.go_on()
        self.desk.pass_seconds(APART_SECONDS + 0.1)
        ((name, data),) = slow.take()
        self.assertEqual((name, sorted(data["ids"])), ("jobs", [0, 1, 2]))

    def test_gets_a_reset_when_that_cannot_be_said(self) -> None:
        slow = self.browser()
        slow.reader.pause()
        self.hub.down("cut")
        self.hub.up()
        slow.take()
        slow.reader.go_on()
        self.desk.pass_seconds(1)
        self.assertEqual(slow.take(), [("reset", {})])

    def test_is_cut_off_after_a_while(self) -> None:
        slow = self.browser()
        slow.reader.pause()
        self.desk.pass_seconds(STUCK_SECONDS + CHECK_SECONDS)
        self.assertEqual((slow.closed, self.hub.streams), (True, 0))

    def test_too_many_streams_of_a_session_end_the_oldest(self) -> None:
        browsers = [self.browser() for _ in range(MOST_OF_SESSION + 2)]
        self.assertEqual([one.closed for one in browsers], [False] * 2 + [None] * MOST_OF_SESSION)
        self.assertEqual(browsers[0].take()[-1][0], "full")

    def test_too_many_streams_of_an_address_are_refused(self) -> None:
        for number in range(MOST_OF_ADDRESS):
            visitor = replace(ALICE, secret=f"s{number}")
            self.hub.open(visitor, "10.0.0.1", ALL, "", len, bool)
        with self.assertRaises(RefusedError) as caught:
            self.hub.check_room("10.0.0.1")
        self.assertEqual(caught.exception.word, "limit.streams")
        self.hub.check_room("10.0.0.2")


class TheLinkIsDown(HubCase):
    def test_it_is_said_with_the_reason_and_when_it_is_over_everything_is_new(self) -> None:
        browser = self.browser()
        now = self.desk.clock.seconds()
        self.hub.down("the TaskDispatcher at n0:1 does not answer")
        self.assertEqual(
            browser.take(), [("stale", {"reason": "the TaskDispatcher at n0:1 does not answer", "since": now})]
        )
        late = self.browser()
        self.assertEqual(late.take()[0][0], "stale")
        self.hub.up()
        self.desk.pass_seconds(APART_SECONDS + 0.1)
        self.assertEqual([name for name, _ in browser.got], ["fresh", "fresh", "reset"])
        self.assertEqual([name for name, _ in late.take()], ["reset"])

    def test_who_was_away_meanwhile_gets_a_reset_too(self) -> None:
        after = self.browser().leave()
        self.hub.down("cut")
        self.hub.up()
        self.assertEqual(self.browser(after=after).take(), [("reset", {})])


Step = tuple[str, Any]
_CHANGE = st.one_of(
    st.tuples(st.just("job"), st.tuples(st.integers(1, 4), st.sampled_from(["alice", "bob"]))),
    st.tuples(st.just("burst"), st.integers(MOST_NAMED - 2, MOST_NAMED + 9)),
    st.tuples(st.just("host"), st.sampled_from(["n1", "n2", None])),
)
_STEPS = st.lists(
    st.one_of(
        _CHANGE,
        _CHANGE,
        st.tuples(st.just("wait"), st.sampled_from([0.05, 0.3, 1.0, 200.0])),
        st.tuples(st.sampled_from(["cut", "open", "pause", "go on"]), st.none()),
        st.tuples(st.sampled_from(["cut", "open", "mark", "link", "rights"]), st.none()),
    ),
    min_size=4,
    max_size=25,
)


class Viewer:
    """A page: what it has seen of each thing, asked anew whenever a message says that it may have changed."""

    def __init__(self, desk: Dispatcher) -> None:
        self.desk = desk
        self.truth: dict[Any, int] = {}
        self.seen: dict[Any, int] = {}
        self.browser: Browser | None = None
        self.id = ""
        self.whole = False

    def changes(self, event: dict[str, Any], thing: object) -> None:
        self.truth[thing] = self.truth.get(thing, 0) + 1
        self.desk.hub.heard(event)

    def visible(self) -> dict[Any, int]:
        return {thing: at for thing, at in self.truth.items() if thing[0] != "bob" or self.whole}

    def read(self) -> None:
        """Ask anew for what the messages are about, and for nothing else."""
        if self.browser is None:
            return
        for name, data in self.browser.take():
            for thing, at in self.visible().items():
                named = data.get("ids") if name == "jobs" else data.get("hosts")
                of_topic = (name == "hosts") == (thing[0] == "host")
                if name == "reset" or (name in ("jobs", "hosts") and of_topic and (named is None or thing[1] in named)):
                    self.seen[thing] = at
        self.id = self.browser.id

    def step(self, what: str, value: Any) -> None:
        desk = self.desk
        if what == "job":
            self.changes(job(*value), (value[1], value[0]))
        elif what == "burst":
            for number in range(value):
                self.changes(job(100 + number), ("alice", 100 + number))
        elif what == "host":
            for name in ("n1", "n2") if value is None else (value,):
                self.truth["host", name] = self.truth.get(("host", name), 0) + 1
            desk.hub.heard({"topic": "hosts", **({} if value is None else {"host": value})})
        elif what == "wait":
            desk.pass_seconds(min(value, 1.0))
            desk.clock.advance(max(0.0, value - 1.0))
        elif what == "cut" and self.browser is not None:
            self.read()
            self.browser.leave()
            self.browser = None
        elif what == "open" and self.browser is None:
            self.browser = Browser(desk, desk.good[ALICE.secret], self.id)
        elif what in ("pause", "go on") and self.browser is not None:
            self.browser.reader.pause() if what == "pause" else self.browser.reader.go_on()
        elif what == "link":
            desk.hub.down("cut")
            for thing in self.truth:  # events that nobody hears
                self.truth[thing] += 1
            desk.hub.up()
        elif what == "rights":
            self.whole = not self.whole
            desk.good[ALICE.secret] = replace(ALICE, rights=frozenset({"jobs"} if self.whole else ()))
        elif what == "mark":
            desk.hub.mark(replace(BOB, user="carol"))


class NothingIsLost(SynchronousTestCase):
    @settings(max_examples=300, deadline=None)
    @given(_STEPS)
    def test_whoever_resumes_after_any_cut_sees_the_last_state_of_everything(self, steps: list[Step]) -> None:
        desk = Dispatcher()
        viewer = Viewer(desk)
        viewer.step("open", None)
        for what, value in steps:
            viewer.step(what, value)
            viewer.read()
        if viewer.browser is not None and viewer.browser.closed:
            viewer.browser = None
        viewer.step("open", None)
        viewer.step("go on", None)
        desk.pass_seconds(2 * CHECK_SECONDS + 1)
        viewer.read()
        desk.hub.stop()
        self.assertEqual({thing: viewer.seen.get(thing) for thing in viewer.visible()}, viewer.visible())

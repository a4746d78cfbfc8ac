"""How a host is follows from what is known of it: one word, a reason, and what brings it back."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from tests.support.brain import host_state, order
from tm.model.cluster import HostState, Link, Session
from tm.model.condition import RECEIVING, Condition, Info, Standing, State, advance, standing, worth_telling
from tm.model.guest import Offer
from tm.model.job import new_job
from tm.model.phase import Phase

WORDS = ["ssh.hostkey", "ssh.auth", "ssh.config", "ssh.unreachable", "ssh.command", "launch.command", "info.silent"]


def session(host: HostState, link: Link = Link.DOWN, reason: str = "", user: str = "alice", jobs: int = 0) -> Session:
    made = Session(user, host)
    made.link, made.reason = link, reason
    for number in range(jobs):
        job, _ = new_job(number + 1, order(user)[0], "s", 1.0)
        job.phase, job.host = Phase.RUNNING, host.name
        made.occupy(job)
    return made


def condition(
    host: HostState, *sessions: Session, info: Info | None = None, before: Condition | None = None, at: float = 5.0
) -> Condition:
    return advance(before, standing(host, sessions, info or Info()), at)


class ReachedTests(SynchronousTestCase):
    def test_nothing_is_known_of_a_host_where_nothing_was_tried(self) -> None:
        now = condition(host_state("n1"))
        self.assertEqual(now.state, State.UNKNOWN)
        self.assertIn("first job", now.remedy)

    def test_a_host_is_up_when_any_server_there_is_reached(self) -> None:
        host = host_state("n1")
        failed = session(host, Link.FAILED, "ssh.auth: no", "bob")
        now = condition(host, failed, session(host, Link.UP))
        self.assertEqual((now.state, now.reason), (State.UP, "bob: ssh.auth: no"))
        self.assertIn("let bob log in there", now.remedy)
        now = condition(host, info=Info("up"))
        self.assertEqual((now.state, now.reason, now.remedy), (State.UP, "", ""))

    def test_a_host_is_busy_when_others_leave_no_core_free(self) -> None:
        host = host_state("n1", 4)
        host.offer = Offer(cores=0, reason="others use 3.9 cores")
        now = condition(host, info=Info("up"))
        self.assertEqual((now.state, now.reason), (State.BUSY, "others use 3.9 cores"))
        self.assertIn("when that is over", now.remedy)
        host.offer = Offer(cores=1, reason="others use 2.9 cores")
        now = condition(host, info=Info("up"))
        self.assertEqual((now.state, now.reason), (State.UP, "others use 2.9 cores"))

    def test_a_host_full_of_our_own_jobs_is_up(self) -> None:
        host = host_state("n1", 2)
        self.assertEqual(condition(host, session(host, Link.UP, jobs=2)).state, State.UP)

    def test_who_sent_us_away_can_call_us_back(self) -> None:
        host = host_state("n1", 4)
        host.offer, host.left_by = Offer(cores=0, reason="carol has it until 20:00"), "carol"
        now = condition(host, info=Info("up"))
        self.assertEqual((now.state, now.reason), (State.BUSY, "carol has it until 20:00"))
        self.assertIn("tm hosts return n1", now.remedy)

    def test_a_lying_infoserver_takes_no_host_away(self) -> None:
        now = condition(host_state("n1"), info=Info("bad", "load 1 is nan"))
        self.assertEqual((now.state, now.reason), (State.UP, "its InfoServer: info.bad: load 1 is nan"))
        self.assertIn(now.state, RECEIVING)
        self.assertIn("configuration", now.remedy)


class InactiveTests(SynchronousTestCase):
    def test_a_host_that_is_not_active_is_draining_until_its_last_job_has_ended(self) -> None:
        host = host_state("n1")
        host.active, host.reason = False, "a new fan"
        now = condition(host, session(host, Link.UP, jobs=1))
        self.assertEqual((now.state, now.reason), (State.DRAINING, "a new fan"))
        now = condition(host, session(host, Link.UP))
        self.assertEqual((now.state, now.reason), (State.DRAINED, "a new fan"))
        self.assertIn("tm hosts activate n1", now.remedy)

    def test_it_is_unreachable_rather_than_draining_when_its_jobs_are(self) -> None:
        host = host_state("n1")
        host.active = False
        now = condition(host, session(host, Link.DOWN, "its connection is lost", jobs=1))
        self.assertEqual((now.state, now.reason), (State.UNREACHABLE, "alice: its connection is lost"))

    def test_a_host_that_was_declared_lost_is_down_whatever_answers_there(self) -> None:
        host = host_state("n1")
        host.active, host.reason = False, "declared lost by root"
        host.declared = host.reason
        now = condition(host, session(host, Link.UP), info=Info("up"))
        self.assertEqual((now.state, now.reason), (State.DOWN, "declared lost by root"))
        self.assertIn("tm hosts activate n1", now.remedy)


class UnreachedTests(SynchronousTestCase):
    def test_whoever_refuses_us_is_named_with_what_mends_it(self) -> None:
        host = host_state("n1")
        for word, part in (
            ("ssh.hostkey", "ssh-keygen -R n1"), ("ssh.auth", "let alice log in"), ("ssh.config", "ssh configuration"),
            ("launch.command", "mend what the reason says"),
        ):  # fmt: skip
            now = condition(host, session(host, Link.FAILED, f"{word}: no"))
            self.assertEqual((now.state, now.reason), (State.REFUSED, f"alice: {word}: no"))
            self.assertIn(part, now.remedy)
            self.assertIn("by itself", now.remedy)

    def test_an_old_store_and_another_version_are_refusals(self) -> None:
        host = host_state("n1")
        now = condition(host, session(host, Link.STALE, "n1 knows a later history"))
        self.assertEqual(now.state, State.REFUSED)
        self.assertIn("newest store", now.remedy)
        now = condition(host, info=Info("failed", "info.version: InfoServer 0.9"))
        self.assertEqual(now.state, State.REFUSED)
        self.assertIn("install the dispatcher's version", now.remedy)

    def test_a_host_that_ssh_does_not_reach_is_down(self) -> None:
        now = condition(host_state("n1"), info=Info("failed", "ssh.unreachable: no route to host"))
        self.assertEqual(now.state, State.DOWN)
        self.assertEqual(now.reason, "the dispatcher's account: ssh.unreachable: no route to host")

    def test_who_was_refused_counts_more_than_who_reached_nothing(self) -> None:
        host = host_state("n1")
        troubles = [session(host, Link.FAILED, "ssh.unreachable: x"), session(host, Link.FAILED, "ssh.auth: y", "bob")]
        self.assertEqual(condition(host, *troubles).reason, "bob: ssh.auth: y")

    def test_a_host_that_was_reached_is_unreachable(self) -> None:
        now = condition(host_state("n1"), info=Info("starting", "its connection is lost", lost=True))
        self.assertEqual((now.state, now.reason), (State.UNREACHABLE, "InfoServer: its connection is lost"))
        silent = condition(host_state("n1"), info=Info("bad", "silent for more than 20 s", lost=True))
        self.assertEqual(silent.state, State.UNREACHABLE)

    def test_a_new_try_takes_nothing_back(self) -> None:
        host = host_state("n1")
        refused = condition(host, info=Info("failed", "ssh.auth: no"), at=1.0)
        again = condition(host, info=Info("starting", "being started"), before=refused, at=2.0)
        self.assertEqual(again, refused)
        self.assertEqual(condition(host, info=Info("up"), before=again, at=3.0).state, State.UP)

    def test_the_first_try_is_a_start(self) -> None:
        host = host_state("n1")
        unknown = condition(host, at=1.0)
        now = condition(host, info=Info("starting", "being started by openssh"), before=unknown, at=2.0)
        self.assertEqual((now.state, now.reason), (State.STARTING, "InfoServer: being started by openssh"))


class TimeTests(SynchronousTestCase):
    def test_it_is_so_since_the_word_changed(self) -> None:
        host = host_state("n1")
        first = condition(host, info=Info("failed", "ssh.auth: no"), at=1.0)
        second = condition(host, info=Info("failed", "ssh.hostkey: no"), before=first, at=2.0)
        self.assertEqual((second.since, second.reason), (1.0, "the dispatcher's account: ssh.hostkey: no"))
        self.assertEqual(condition(host, info=Info("up"), before=second, at=3.0).since, 3.0)

    def test_another_word_is_told_and_so_is_another_reason_of_what_is_in_the_way(self) -> None:
        up, other = Condition(State.UP, "others use 1.0 cores"), Condition(State.UP, "others use 1.1 cores")
        self.assertFalse(worth_telling(up, other))
        self.assertTrue(worth_telling(up, Condition(State.BUSY)))
        self.assertTrue(worth_telling(Condition(State.DOWN, "a"), Condition(State.DOWN, "b")))
        self.assertTrue(worth_telling(None, up))


_troubles = st.lists(
    st.tuples(st.sampled_from(["alice", "bob"]), st.sampled_from(WORDS).map(lambda word: word + ": text")), max_size=3
)
_known = st.builds(
    Standing, name=st.just("n1"), address=st.just("n1.lab"), active=st.booleans(), reason=st.sampled_from(["", "fan"]),
    jobs=st.integers(0, 2), reached=st.booleans(), troubles=_troubles.map(tuple), lost=st.sampled_from(["", "gone"]),
    starting=st.sampled_from(["", "being started"]), declared=st.sampled_from(["", "", "lost"]),
    held_back=st.sampled_from(["", "others use it"]),
    free_cores=st.integers(-1, 2), out_until=st.sampled_from([None, 9.0]), out_because=st.just("jobs failed"),
    left=st.sampled_from(["", "carol"]),
)  # fmt: skip


class LawTests(SynchronousTestCase):
    @given(st.lists(_known, min_size=1, max_size=6))
    def test_however_it_comes_about_a_condition_makes_sense(self, knowns: list[Standing]) -> None:
        before: Condition | None = None
        for at, known in enumerate(knowns, 1):
            now = advance(before, known, float(at))
            if known.declared:
                self.assertIs(now.state, State.DOWN)
            elif known.reached and known.active:
                self.assertIn(now.state, (State.UP, State.BUSY, State.REFUSED))
            elif not known.active and not known.jobs:
                self.assertIs(now.state, State.DRAINED)
            if now.state is State.UP:
                self.assertTrue(known.reached and known.active)
            else:
                self.assertTrue(now.remedy)
            if now.state not in (State.UP, State.DRAINED, State.DRAINING):
                self.assertTrue(now.reason)
            self.assertLessEqual(now.since, at)
            self.assertEqual(now.since == at, before is None or before.state is not now.state)
            before = now

"""A good guest: what is offered follows what others need, without flutter, and never exceeds the configuration."""

from __future__ import annotations

import time

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from tests.support.brain import about, host_config, report
from tests.support.properties import examples
from tm.model.guest import CALM_SECONDS, Action, Left, Level, Offer, Use, beyond, left_by, offer
from tm.model.host import Courtesy, HostConfig

GIGABYTE = 1 << 30
WHOLE = 64 * GIGABYTE


def noon(weekday: int, hour: int = 12) -> float:
    """Return a time of the given day (0 is Monday) and hour where this test runs."""
    return time.mktime((2026, 11, 23 + weekday, hour, 0, 0, 0, 0, -1))


class LeftTests(SynchronousTestCase):
    def left(self, config: HostConfig | None = None, cores: int = 8, **said: object) -> Left:
        shown = report(**said)  # type: ignore[arg-type]
        return left_by(config or host_config("n1", cores), cores, WHOLE, about(cores=8), shown, 5.0)

    def test_half_a_core_of_others_counts_as_one_and_less_as_none(self) -> None:
        for others, cores in ((0.0, 8), (0.49, 8), (0.5, 7), (1.2, 7), (1.6, 6), (7.9, 0), (12.0, 0)):
            self.assertEqual(self.left(others=others).cores, cores)

    def test_cores_that_are_not_ours_are_used_by_others_first(self) -> None:
        self.assertEqual([self.left(cores=4, others=busy).cores for busy in (3.0, 4.0, 5.0, 9.0)], [4, 4, 3, 0])

    def test_the_reason_names_who_is_busy(self) -> None:
        left = self.left(others=3.0, cpu_by_user={"bob": 2.5, "carol": 0.5, "eve": 0.1})
        self.assertEqual(left.reason, "others (bob, carol) use 3 of 8 cores")
        self.assertEqual(self.left(others=1.0).reason, "others use 1 of 8 cores")
        self.assertEqual(self.left().reason, "")

    def test_who_sits_at_the_console_needs_it_all_and_at_once(self) -> None:
        left = self.left(console_idle=299.0, logged_in=["carol"])
        self.assertEqual((left.cores, left.at_once, left.reason), (0, True, "carol is at the console"))
        self.assertEqual(self.left(console_idle=300.0).cores, 8)
        self.assertEqual(self.left(host_config("n1", 8, console_idle=0.0), console_idle=1.0).cores, 8)

    def test_memory_that_others_use_is_not_offered(self) -> None:
        left = self.left(memory_ours=GIGABYTE, memory=2 * GIGABYTE)
        self.assertEqual((left.memory, left.cores), (3 * GIGABYTE, 8))

    def test_when_hardly_any_memory_is_free_nothing_new_starts(self) -> None:
        left = self.left(memory_ours=60 * GIGABYTE, memory=GIGABYTE)
        self.assertEqual((left.closed, left.reason), (True, "hardly any memory is free"))

    def test_a_host_that_ignores_others_does(self) -> None:
        config = host_config("n1", 8, policy=Courtesy.IGNORE)
        self.assertEqual(self.left(config, others=8.0, console_idle=1.0)[1:3], (8, WHOLE))


class LevelTests(SynchronousTestCase):
    """What reports leave of 8 cores as time goes on."""

    def setUp(self) -> None:
        self.level = Level()

    def cores(self, at: float, cores: int | None = None, at_once: bool = False) -> int:
        """Return the cores at *at*, where a report leaves *cores* (None: there is none)."""
        if cores is not None:
            self.level.heard(Left(at, cores, WHOLE, "others" if cores < 8 else "", at_once=at_once))
        return self.level.at(at, 8, WHOLE).cores

    def test_it_shrinks_when_two_reports_agree_to_what_both_say(self) -> None:
        self.assertEqual([self.cores(1.0, 3), self.cores(2.0), self.cores(6.0, 5), self.cores(11.0, 2)], [8, 8, 5, 5])

    def test_one_report_alone_does_nothing(self) -> None:
        self.assertEqual([self.cores(5.0 * n, cores) for n, cores in enumerate([8, 0, 8, 0, 8])], [8] * 5)

    def test_for_who_must_not_wait_it_shrinks_at_once(self) -> None:
        self.assertEqual([self.cores(1.0, 8), self.cores(2.0, 0, at_once=True), self.cores(3.0, 8)], [8, 0, 0])

    def test_it_grows_after_15_seconds_of_calm_also_between_reports(self) -> None:
        for at in (0.0, 5.0):
            self.cores(at, 2)
        seen = [self.cores(at, 8) for at in (10.0, 15.0, 20.0)]
        self.assertEqual([*seen, self.cores(20.1)], [2, 2, 2, 8])

    def test_it_grows_to_what_the_worst_report_of_that_time_leaves(self) -> None:
        for at, cores in ((0.0, 1), (5.0, 1), (10.0, 6), (15.0, 4), (20.0, 7)):
            self.cores(at, cores)
        self.assertEqual(self.cores(21.0), 4)

    def test_without_reports_nothing_is_known(self) -> None:
        self.cores(0.0, 1)
        self.level.forget()
        self.assertFalse(self.level.known)

    @examples(200)
    @given(st.lists(st.tuples(st.floats(0.1, 9.0), st.integers(0, 8), st.booleans()), min_size=1, max_size=40))
    def test_whatever_is_reported_it_stays_within_what_was_reported(
        self, reports: list[tuple[float, int, bool]]
    ) -> None:
        self.level = Level()
        at, past = 0.0, [(-100.0, 8)]
        before = 8
        for pause, cores, at_once in reports:
            at += pause
            now = self.cores(at, cores, at_once)
            past.append((at, cores))
            recent = [left for when, left in past if when >= at - CALM_SECONDS] + [before]
            self.assertTrue(min(recent) <= now <= 8)
            if now > before:
                self.assertTrue(all(left >= now for when, left in past if when >= at - CALM_SECONDS))
            if at_once:
                self.assertLessEqual(now, cores)
            elif now < before:
                self.assertTrue(all(left <= now for _, left in past[-2:]))
            before = now


class OfferTests(SynchronousTestCase):
    LOW = Left(1.0, 2, WHOLE, "others use 6 of 8 cores")

    def test_each_policy_has_its_way_with_what_is_too_much(self) -> None:
        for policy, action in (
            (Courtesy.NO_NEW_JOBS, Action.NONE), (Courtesy.NICE, Action.NICE), (Courtesy.SUSPEND, Action.SUSPEND),
            (Courtesy.GIVE_WAY, Action.GIVE_WAY),
        ):  # fmt: skip
            given = offer(host_config("n1", 8, policy=policy), self.LOW, 5.0)
            self.assertEqual(given, Offer(2, WHOLE, "others use 6 of 8 cores", action))

    def test_where_others_are_ignored_or_nothing_is_known_the_configuration_holds(self) -> None:
        self.assertEqual(offer(host_config("n1", 8, policy=Courtesy.IGNORE), self.LOW, 5.0), Offer())
        self.assertEqual(offer(host_config("n1", 8), None, 5.0), Offer())

    def test_outside_its_hours_a_host_offers_nothing(self) -> None:
        config = host_config("n1", 8, hours=("mon-fri 20:00-07:00", "sat,sun"), policy=Courtesy.SUSPEND)
        for at in (noon(0, 21), noon(1, 6), noon(5)):
            self.assertEqual(offer(config, None, at), Offer())
        for at in (noon(0), noon(1, 8)):
            reason = "outside its service hours (mon-fri 20:00-07:00, sat,sun)"
            self.assertEqual(offer(config, None, at), Offer(0, None, reason, Action.SUSPEND))

    def test_a_machine_that_is_left_is_left_under_every_policy_and_only_until_then(self) -> None:
        for policy in Courtesy:
            config = host_config("n1", 8, policy=policy)
            given = offer(config, None, 5.0, 6.0, "carol")
            self.assertEqual((given.cores, given.action), (0, Action.GIVE_WAY))
            self.assertTrue(given.reason.startswith("carol wants the machine to themselves until "))
            self.assertEqual(offer(config, None, 6.0, 6.0, "carol"), Offer())

    @examples(200)
    @given(
        st.integers(1, 64), st.floats(0, 100), st.integers(0, 64), st.sampled_from(Courtesy),
        st.one_of(st.none(), st.floats(0, 1000)), st.integers(0, 8),
    )  # fmt: skip
    def test_no_report_makes_it_offer_more_than_is_configured_or_less_than_nothing(
        self, cores: int, others: float, memory: int, policy: Courtesy, idle: float | None, machine: int
    ) -> None:
        config = host_config("n1", cores, policy=policy)
        said = report(others=others, memory=memory * GIGABYTE, console_idle=idle)
        level = Level()
        for at in (0.0, 5.0):
            level.heard(left_by(config, cores, WHOLE, about(cores=machine), said, at))
        given = offer(config, level.at(5.0, cores, WHOLE), 5.0)
        self.assertTrue(0 <= (cores if given.cores is None else given.cores) <= cores)
        self.assertTrue(0 <= (WHOLE if given.memory is None else given.memory) <= WHOLE)
        self.assertTrue(given.reason or (given.cores, given.action, given.closed) == (None, Action.NONE, False))


USES = st.lists(st.tuples(st.integers(1, 4), st.integers(0, 5), st.booleans()), max_size=10)


class BeyondTests(SynchronousTestCase):
    def test_the_youngest_are_beyond_and_the_oldest_go_on_first(self) -> None:
        running = [Use(1, 1, 10.0), Use(2, 1, 20.0), Use(3, 1, 30.0)]
        self.assertEqual(beyond(running, 1), ([3, 2], []))
        stopped = [use._replace(stopped=use.job > 1) for use in running]
        self.assertEqual([beyond(stopped, cores)[1] for cores in (1, 2, 9)], [[], [2], [2, 3]])

    def test_who_is_too_wide_does_not_keep_the_narrow_from_running(self) -> None:
        self.assertEqual(beyond([Use(1, 4, 10.0), Use(2, 1, 20.0)], 2), ([1], []))

    @examples(300)
    @given(USES, st.integers(0, 12))
    def test_what_goes_on_running_fits_and_nobody_stops_or_waits_in_vain(
        self, jobs: list[tuple[int, int, bool]], cores: int
    ) -> None:
        uses = [Use(number, width, since, stopped) for number, (width, since, stopped) in enumerate(jobs)]
        over, again = beyond(uses, cores)
        width = {use.job: use.cores for use in uses}
        run = {use.job for use in uses if not use.stopped} - set(over) | set(again)
        free = cores - sum(width[job] for job in run)
        self.assertTrue(free >= 0 or not run)
        self.assertTrue(not over or not again)
        self.assertTrue({use.job for use in uses if use.stopped} >= set(again))
        waiting = set(over) if over else {use.job for use in uses} - run
        self.assertTrue(all(width[job] > free for job in waiting))
        self.assertEqual(beyond([use._replace(stopped=use.job not in run) for use in uses], cores)[0], [])

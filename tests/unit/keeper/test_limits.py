"""Limits of one attempt, and its wall time under any order of events."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from tests.support.properties import examples
from tm.keeper.limits import Limits, WallTime, shown_size, shown_time


class LimitsTests(SynchronousTestCase):
    def test_an_entry_without_limits_has_none(self) -> None:
        limits = Limits({})
        found = [getattr(limits, name) for name in ("time", "memory", "processes", "output", "warn_signal")]
        self.assertEqual(([0] * 5, False), (found, limits.wants_group))

    def test_who_asks_for_memory_or_processes_of_their_own_had_better_have_a_group(self) -> None:
        self.assertTrue(Limits({"memory": 1}).wants_group)
        self.assertTrue(Limits({"processes": 5, "own_processes": True}).wants_group)
        self.assertFalse(Limits({"processes": 4096, "time": 5, "output": 3}).wants_group)

    def test_what_is_no_limit_is_an_error(self) -> None:
        wrong = (
            {"memory": -1}, {"processes": 1.5}, {"output": "x"}, {"time": -1}, {"time": "soon"},
            {"warn": [99, 1.0, False]}, {"time": float("inf")},
        )  # fmt: skip
        for entry in wrong:
            with self.subTest(entry), self.assertRaises(ValueError):
                Limits(entry)

    def test_sizes_and_times_are_shown_as_people_write_them(self) -> None:
        self.assertEqual(["0", "1.5K", "128M", "2G"], [shown_size(size) for size in (0, 1536, 128 << 20, 2 << 30)])
        self.assertEqual(
            ["0.3s", "90s", "2m", "1h30m", "1d2h"], [shown_time(one) for one in (0.3, 90, 120, 5400, 93600)]
        )


class WallTimeTests(SynchronousTestCase):
    def test_the_warning_comes_once_and_then_the_end(self) -> None:
        wall = WallTime(Limits({"time": 10, "warn": [10, 3, False]}), 100.0)
        self.assertEqual((107.0, ""), (wall.next_at, wall.due(106.9)))
        self.assertEqual(("warn", 110.0, ""), (wall.due(107.5), wall.next_at, wall.due(109)))
        self.assertEqual("over", wall.due(110))

    def test_a_later_limit_has_a_warning_of_its_own_and_none_ends_all(self) -> None:
        wall = WallTime(Limits({"time": 10, "warn": [10, 3, False]}), 0.0)
        self.assertEqual("warn", wall.due(8))
        wall.change(20, 8)
        self.assertEqual(("", "warn", "over"), (wall.due(16), wall.due(17), wall.due(20)))
        wall.change(0, 20)
        self.assertEqual((None, ""), (wall.next_at, wall.due(1000)))

    def test_a_limit_below_what_it_has_run_is_over_at_once(self) -> None:
        wall = WallTime(Limits({"time": 100}), 0.0)
        wall.change(5, 30)
        self.assertEqual("over", wall.due(30))

    @examples(200)
    @given(st.lists(st.tuples(st.sampled_from(["pause", "resume", "look"]), st.floats(0.001, 50)), max_size=20))
    def test_only_the_time_it_was_not_suspended_counts(self, steps: list[tuple[str, float]]) -> None:
        wall = WallTime(Limits({"time": 60}), 1000.0)
        now, ran, goes = 1000.0, 0.0, True
        for word, seconds in steps:
            now += seconds
            ran += seconds if goes else 0.0
            if word == "pause":
                wall.pause(now)
                goes = False
            elif word == "resume":
                wall.resume(now)
                goes = True
            self.assertAlmostEqual(ran, wall.used(now), places=6)
            self.assertEqual(goes, wall.next_at is not None)
            if goes and abs(ran - 60) > 1e-6:
                self.assertEqual("over" if ran >= 60 else "", wall.due(now))

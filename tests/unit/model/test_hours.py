"""Service hours: how they are written, and which minutes they cover."""

from __future__ import annotations

from hypothesis import assume, given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from tests.support.properties import examples
from tm.model.hours import DAYS, are_open, parse_hours


class HoursTests(SynchronousTestCase):
    def test_a_night_belongs_to_the_day_it_begins_on(self) -> None:
        night = ["mon-fri 20:00-07:00"]
        self.assertTrue(are_open(night, 4, 23 * 60))
        self.assertTrue(are_open(night, 5, 6 * 60 + 59))
        self.assertFalse(are_open(night, 5, 7 * 60))
        self.assertFalse(are_open(night, 0, 6 * 60))
        self.assertFalse(are_open(night, 5, 23 * 60))

    def test_days_alone_are_whole_and_times_alone_are_of_every_day(self) -> None:
        self.assertTrue(are_open(["sat,sun"], 6, 1439))
        self.assertFalse(are_open(["sat,sun"], 4, 1439))
        self.assertEqual([are_open(["12:30-13:30"], day, 13 * 60) for day in range(7)], [True] * 7)
        self.assertEqual(
            [are_open(["fri-mon"], day, 0) for day in range(7)], [True, False, False, False, True, True, True]
        )

    def test_without_hours_it_is_always_open_and_with_several_one_of_them_is_enough(self) -> None:
        self.assertTrue(are_open([], 3, 3))
        self.assertTrue(are_open(["mon", "thu 00:00-24:00"], 3, 1439))

    def test_what_is_wrong_is_refused_with_what_is_expected(self) -> None:
        for text in ("", "monday", "mon 7-8", "mon 25:00-26:00", "mon 07:60-08:00", "mon 7:00-7:00", "mon tue",
                     "24:00-1:00", "mon- 1:00-2:00", "mon 1:00-2:00 x", "1:00-24:01"):  # fmt: skip
            self.assertIn("expected", str(self.assertRaises(ValueError, parse_hours, text)), text)

    @examples(60)
    @given(st.sets(st.sampled_from(DAYS), min_size=1), st.integers(0, 1439), st.integers(0, 1439))
    def test_a_span_covers_as_many_minutes_as_it_is_long(self, days: set[str], start: int, end: int) -> None:
        assume(start != end)
        text = f"{','.join(days)} {start // 60:02}:{start % 60:02}-{end // 60}:{end % 60:02}"
        span = parse_hours(text)
        covered = sum(span.covers(day, minute) for day in range(7) for minute in range(1440))
        self.assertEqual(covered, (end - start) % 1440 * len(days))

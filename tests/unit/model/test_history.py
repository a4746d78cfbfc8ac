"""Rings of history: means that are true, gaps that are gaps, clocks that jump, and what survives being saved."""

from __future__ import annotations

import math
from collections import defaultdict

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from tests.support.properties import examples
from tm.model.history import SPANS, History, Ring

STEP, LENGTH = 10, 6
START = 1_700_000_000
VALUES = st.floats(-1e6, 1e6, allow_nan=False, width=32)
ANYTHING = st.floats() | VALUES


class RingTests(SynchronousTestCase):
    def ring(self) -> Ring:
        return Ring(["load"], STEP, LENGTH)

    @examples(200)
    @given(st.lists(st.tuples(st.integers(0, 25), VALUES), min_size=1, max_size=80))
    def test_it_says_the_means_of_a_naive_one_for_a_clock_that_only_goes_on(
        self, steps: list[tuple[int, float]]
    ) -> None:
        ring, at = self.ring(), START
        naive: defaultdict[int, list[float]] = defaultdict(list)
        for pause, value in steps:
            at += pause
            ring.add(at, {"load": value})
            naive[at // STEP].append(value)
        newest = at // STEP
        expected = {slot: sum(v) / len(v) for slot, v in naive.items() if slot > newest - LENGTH}
        points = ring.points("load")
        self.assertEqual([at for at, _ in points], [float(STEP * slot) for slot in range(min(expected), newest + 1)])
        for at_slot, value in points:
            mean = expected.get(int(at_slot) // STEP)
            self.assertEqual(value is None, mean is None)
            if value is not None and mean is not None:
                largest = max(map(abs, naive[int(at_slot) // STEP]))
                self.assertLess(abs(value - mean), 1e-5 * max(1.0, largest))

    @examples(200)
    @given(st.lists(st.tuples(ANYTHING, ANYTHING), max_size=60))
    def test_whatever_clock_and_values_say_it_never_grows_and_never_says_what_is_no_number(
        self, steps: list[tuple[float, float]]
    ) -> None:
        ring = self.ring()
        for at, value in steps:
            ring.add(at, {"load": value, "unknown": value})
            points = ring.points("load")
            self.assertLessEqual(len(points), LENGTH)
            self.assertEqual([time for time, _ in points], sorted({time for time, _ in points}))
            self.assertTrue(all(value is None or math.isfinite(value) for _, value in points))

    def test_a_clock_that_is_set_back_a_little_writes_into_the_newest_slot(self) -> None:
        ring = self.ring()
        ring.add(START + 20, {"load": 1.0})
        ring.add(START, {"load": 3.0})
        self.assertEqual(ring.points("load"), [(START + 20.0, 2.0)])

    def test_a_clock_that_is_set_back_by_years_begins_anew(self) -> None:
        ring = self.ring()
        ring.add(START, {"load": 1.0})
        ring.add(START - 10_000_000, {"load": 3.0})
        self.assertEqual(ring.points("load"), [(START - 10_000_000.0, 3.0)])

    def test_what_it_keeps_can_change(self) -> None:
        ring = Ring(("a", "b"), 10, 6)
        ring.add(1000.0, {"a": 1.0, "b": 2.0})
        ring.keep(("b", "c"))
        ring.add(1010.0, {"a": 1.0, "b": 3.0, "c": 4.0})
        self.assertEqual(ring.points("b"), [(1000.0, 2.0), (1010.0, 3.0)])
        self.assertEqual(ring.points("c"), [(1010.0, 4.0)])
        self.assertRaises(KeyError, ring.points, "a")

    def test_while_the_computer_was_off_nothing_is_known(self) -> None:
        ring = self.ring()
        ring.add(START, {"load": 1.0})
        ring.add(START + 30, {"load": 2.0})
        self.assertEqual([value for _, value in ring.points("load")], [1.0, None, None, 2.0])


class HistoryTests(SynchronousTestCase):
    def test_the_rings_reach_as_far_as_promised(self) -> None:
        spans = {name: step * length for name, (step, length) in SPANS.items()}
        self.assertEqual(spans, {"1h": 3600, "24h": 86400, "30d": 30 * 86400})
        self.assertEqual([step for step, _ in SPANS.values()], [10, 60, 900])

    def test_each_span_has_its_own_means(self) -> None:
        history = History(["load"])
        for second in range(0, 60, 2):
            history.add(START - START % 900 + second, {"load": float(second)})
        self.assertEqual(len(history.points("load", "1h")), 6)
        self.assertEqual([value for _, value in history.points("load", "24h")], [29.0])
        self.assertEqual([value for _, value in history.points("load", "30d")], [29.0])
        self.assertRaises(KeyError, history.points, "weather", "1h")

    @examples(50)
    @given(st.lists(st.tuples(st.integers(0, 4000), VALUES), max_size=40))
    def test_what_is_saved_is_restored(self, steps: list[tuple[int, float]]) -> None:
        history, at = History(["load", "swap"]), START
        for pause, value in steps:
            at += pause
            history.add(at, {"load": value})
        again = History(["load", "new"])
        self.assertTrue(again.restore(history.saved()))
        for span in SPANS:
            self.assertEqual(again.points("load", span), history.points("load", span))
            self.assertEqual(again.points("new", span), [])

    @examples(300)
    @given(st.binary(max_size=200), st.integers(0, 400), st.integers(0, 255))
    def test_a_damaged_file_is_no_misfortune(self, junk: bytes, place: int, byte: int) -> None:
        history = History(["load"])
        history.add(START, {"load": 1.0})
        saved = bytearray(history.saved())
        saved[place] = byte
        for damaged in (junk, bytes(saved), bytes(saved[:place])):
            again = History(["load"])
            again.restore(damaged)
            again.add(START + 5, {"load": 2.0})
            for span in SPANS:
                for _, value in again.points("load", span):
                    self.assertTrue(value is None or math.isfinite(value))

    def test_it_goes_on_where_it_was_saved(self) -> None:
        history = History(["load"])
        history.add(START, {"load": 1.0})
        again = History(["load"])
        again.restore(history.saved())
        again.add(START + 3600 * 5, {"load": 2.0})
        points = again.points("load", "24h")
        self.assertEqual((len(points), points[0][1], points[-1][1]), (301, 1.0, 2.0))

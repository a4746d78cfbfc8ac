"""The tasks of an array as ranges, against sets of numbers."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from tm.model.ids import read_ranges, show_ranges
from tm.model.tasks import ACTIVE, BLOCKED, HELD, READY, Tasks

INDICES = st.sampled_from(["0-299", "5-300:3", "1,4,9,16-40", "7", "0-999:2"])
RANGES = st.lists(
    st.tuples(st.integers(0, 400), st.integers(1, 400), st.integers(1, 7)).map(
        lambda given: range(given[0], given[0] + given[1], given[2])
    ),
    min_size=1, max_size=4,
)  # fmt: skip


def numbers(ranges: list[range]) -> list[int]:
    return [index for one in ranges for index in one]


class RangesTests(SynchronousTestCase):
    @given(INDICES, RANGES, RANGES)
    def test_what_is_in_a_state_is_found_among_ranges_each_once(
        self, indices: str, held: list[range], asked: list[range]
    ) -> None:
        tasks = Tasks(indices)
        everything = set(numbers(read_ranges(indices)))
        tasks.set_all(held, READY, HELD)
        of_held = everything & set(numbers(held))
        self.assertEqual(numbers(tasks.ranges(HELD)), sorted(of_held))
        self.assertEqual(numbers(tasks.ranges(READY)), sorted(everything - of_held))
        self.assertEqual(numbers(tasks.among(asked, (HELD,))), sorted(of_held & set(numbers(asked))))
        self.assertEqual(numbers(tasks.among(asked, (HELD, READY))), sorted(everything & set(numbers(asked))))
        self.assertEqual((tasks.count(HELD), tasks.count(READY)), (len(of_held), len(everything - of_held)))

    @given(INDICES, INDICES, RANGES, RANGES)
    def test_those_are_blocked_whose_ones_in_another_array_are_as_asked(
        self, indices: str, others: str, held: list[range], active: list[range]
    ) -> None:
        tasks, other = Tasks(indices), Tasks(others)
        tasks.set_all(held, READY, HELD)
        other.set_all(active, READY, ACTIVE)
        expected = sorted(set(numbers(tasks.ranges(READY))) & set(numbers(other.ranges(ACTIVE))))
        before = tasks.count(READY) + tasks.count(BLOCKED), tasks.count(HELD)
        tasks.block(other, (ACTIVE, HELD))
        self.assertEqual(numbers(tasks.ranges(BLOCKED)), expected)
        self.assertEqual(tasks.count(BLOCKED), len(expected))
        self.assertEqual((tasks.count(READY) + tasks.count(BLOCKED), tasks.count(HELD)), before)

    @given(INDICES, INDICES)
    def test_what_another_array_lacks_is_found(self, indices: str, others: str) -> None:
        tasks, other = Tasks(indices), Tasks(others)
        lacks = set(numbers(tasks.everything)) - set(numbers(other.everything))
        found = tasks.missing_from(other)
        self.assertEqual(found is None, not lacks)
        self.assertTrue(found is None or found in lacks)

    def test_what_is_shown_can_be_read_again(self) -> None:
        for indices in ("0-99", "0-999998:2", "3-997:7", "1,5,8-12"):
            self.assertEqual(show_ranges(Tasks(indices).ranges(READY)), indices)

    def test_a_million_tasks_with_a_step_are_one_range(self) -> None:
        self.assertEqual(Tasks("1-1000000:2").among([range(1_000_001)], (READY,)), [range(1, 1_000_000, 2)])

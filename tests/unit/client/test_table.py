"""Tables and times for people."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from tm.client.ending import exit_status, sentence
from tm.client.table import Column, cut, render, text_width
from tm.client.timing import duration, parse_time, size
from tm.client.wait import compact

ROWS = st.lists(st.tuples(st.text(max_size=30), st.text(max_size=60)), max_size=4)
COLUMNS = (Column("ID", right=True), Column("NAME", least=4), Column("WHAT", least=5))


class TableTests(SynchronousTestCase):
    def test_columns_are_as_wide_as_needed(self) -> None:
        self.assertEqual(["ID  NAME  WHAT", " 7  a     b"], render(COLUMNS, [["7", "a", "b"]], None))

    @given(ROWS, st.integers(17, 80))
    def test_a_table_fits_the_width_that_is_given(self, rows: list[tuple[str, str]], width: int) -> None:
        lines = render(COLUMNS, [["12", *row] for row in rows], width)

        self.assertTrue(all(text_width(line) <= width for line in lines), lines)

    def test_wide_characters_take_two_places_and_control_characters_none(self) -> None:
        self.assertEqual("漢…", cut("漢字漢字", 4))
        self.assertEqual(["ID  NAME  WHAT", " 1  a?b   c"], render(COLUMNS, [["1", "a\x1bb", "c"]], 80))


class WordsTests(SynchronousTestCase):
    def test_times_and_sizes(self) -> None:
        self.assertEqual(["0:07", "1:02:03", "2-03:04:05"], [duration(s) for s in (7.9, 3723, 183845)])
        self.assertEqual(["-", "512B", "1.5G", "3T"], list(map(size, [None, 512, 3 << 29, 3 << 40])))
        self.assertEqual(1795356123.25, parse_time("2026-11-22T14:02:03.250Z"))

    def test_ids_in_a_row_are_written_as_ranges(self) -> None:
        self.assertEqual("1-3,5,7-8", compact([1, 2, 3, 5, 7, 8]))

    def test_the_exit_status_is_the_jobs_own_wherever_it_has_one(self) -> None:
        cases = [
            ("completed", 0, None, 0), ("failed", 7, None, 7), ("failed", 127, None, 127),
            ("failed", None, 9, 137), ("failed", None, None, 125), ("failed", None, "SIGKILL", 137),
            ("timeout", None, 15, 124), ("lost", None, None, 125), ("cancelled", None, 15, 143),
            ("cancelled", None, None, 143), ("cancelled", 0, None, 143), ("out_of_memory", None, None, 137),
        ]  # fmt: skip
        for state, code, signal, expected in cases:
            view = {"state": state, "exit_code": code, "signal": signal}
            self.assertEqual(expected, exit_status(view), view)

    def test_an_ending_is_one_sentence(self) -> None:
        view = {
            "id": 17,
            "state": "out_of_memory",
            "exit_code": None,
            "signal": 9,
            "host": "n1",
            "reason": "4G",
        }

        self.assertEqual("job 17 out of memory (on n1, signal 9, 4G)", sentence(view))

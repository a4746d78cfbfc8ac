"""The rows of faults name what there is, and none is forgotten."""

from __future__ import annotations

from twisted.python.reflect import namedAny
from twisted.trial.unittest import SynchronousTestCase

from tests.faults.drills import load
from tests.faults.rows import GROUPS, ROWS


class RowTests(SynchronousTestCase):
    def test_they_are_numbered_one_to_sixty_seven_by_group(self) -> None:
        self.assertEqual([row.number for row in ROWS], list(range(1, 68)))
        groups = [row.group for row in ROWS]
        self.assertEqual(groups, sorted(groups))
        self.assertEqual(set(groups), set(GROUPS))

    def test_every_name_of_a_test_is_one_and_every_drill_is_there(self) -> None:
        drills = load()
        for row in ROWS:
            for name in row.quick:
                self.assertTrue(callable(namedAny(name)) or name.rpartition(".")[2].startswith("test_"), name)
            self.assertEqual([name for name in row.long if name not in drills], [], row.fault)

    def test_every_row_is_tried_or_says_why_not(self) -> None:
        forgotten = [row.number for row in ROWS if not (row.quick or row.long or row.cannot)]
        self.assertEqual(forgotten, [])

    def test_every_drill_is_named_by_the_rows_that_it_tries(self) -> None:
        named = {(row.number, name) for row in ROWS for name in row.long}
        self.assertEqual({(row, drill.name) for drill in load().values() for row in drill.rows}, named)

from __future__ import annotations

import json
import os
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from benchmarks.page import fill
from tests.faults.report import PAGE, PARTS, Results, bound, trials_of

RUN = {
    "what": "run", "mode": "long", "seed": "7", "commit": "abc", "at": "2026-11-23T10:00:00Z", "cores": 2,
    "processor": "AMD", "memory": 2**34, "hypervisor": True, "kernel": "6", "python": "3.11", "load": 0.1,
}  # fmt: skip
TEST = {
    "what": "test", "row": 13, "test": "tests.faults.test_cuts.CutTests.test_x", "outcome": "passed", "reason": "",
    "trials": 40, "violations": 0, "seconds": 1.0, "more": {},
}  # fmt: skip
DRILL = {
    "what": "drill", "drill": "cuts", "rows": [13, 14], "seed": "7:1:cuts", "trials": 60, "violations": [],
    "seconds": 60.0, "more": {},
}  # fmt: skip
MUTANT = {
    "mutant": "no-sync", "group": "promises", "what": "forgets to sync", "caught_by": ["tests.x"],
    "outcome": "caught", "seconds": 3.0,
}  # fmt: skip


class ReportTests(SynchronousTestCase):
    def results(self, *lines: dict[str, Any]) -> Results:
        """Return the results of a file of these *lines*."""
        path = os.path.abspath(self.mktemp())
        with open(path, "w", encoding="utf-8") as file:
            file.writelines(json.dumps(line) + "\n" for line in lines)
        return Results([path])

    def test_trials_of_tests_and_drills_are_summed_up_by_row(self) -> None:
        found = self.results(RUN, TEST, DRILL, {**DRILL, "more": {"by_row": {"13": 5}}})
        self.assertEqual(trials_of(found, 13), (40 + 60 + 5, 0))
        self.assertEqual(trials_of(found, 14), (60, 0))

    def test_the_bound_is_three_of_all_trials_and_none_where_something_was_seen(self) -> None:
        self.assertEqual(bound(1000, 0), "< 0.3 %")
        self.assertEqual(bound(1, 0), "< 100 %")
        self.assertEqual(bound(0, 0), "")
        self.assertEqual(bound(1000, 2), "2 of 1,000")

    def test_a_row_shows_its_figures_and_what_they_come_from(self) -> None:
        text = PARTS["groupA"](self.results(TEST))
        (line,) = (line for line in text.splitlines() if line.startswith("| 13 |"))
        self.assertIn("| 40 | 0 | < 7.5 % |", line)
        self.assertIn("`faults.test_cuts`", line)
        self.assertIn("drill `cuts`", line)

    def test_violations_and_skips_are_shown(self) -> None:
        found = self.results(
            {**TEST, "outcome": "failed", "violations": 1, "reason": "a job ran twice"},
            {**TEST, "outcome": "skipped", "trials": 0, "reason": "only root can do that"},
            {**DRILL, "violations": ["Traceback\n  x\nAssertionError: two jobs"]},
            {"what": "absent", "drill": "mounts", "rows": [22], "reason": "no loop device"},
        )
        self.assertIn("a job ran twice", PARTS["failures"](found))
        self.assertIn("`--again 7:1:cuts` | 13, 14 | AssertionError: two jobs", PARTS["failures"](found))
        self.assertIn("only root can do that", PARTS["skips"](found))
        self.assertIn("no loop device", PARTS["skips"](found))
        self.assertIn("**2**", PARTS["groupA"](found))

    def test_bytes_that_were_cut_at_are_counted_once_also_around_the_end(self) -> None:
        more = {"link": "host", "afresh": True, "length": 100, "from": 91, "to": 11}
        found = self.results({**DRILL, "trials": 20, "more": more}, {**DRILL, "trials": 5, "more": {**more, "from": 1}})
        self.assertIn(
            "| user's server and host | a new connection and a job on it | 100 | 20 | 20 % |", PARTS["cuts"](found)
        )

    def test_a_run_that_was_cut_short_takes_no_time_from_the_next(self) -> None:
        found = self.results(RUN, RUN, {"what": "end", "seconds": 120})
        self.assertEqual([" 0 min" in line for line in PARTS["runs"](found).splitlines()], [True, False])

    def test_broken_builds_are_counted(self) -> None:
        text = PARTS["mutants"](self.results(MUTANT, {**MUTANT, "mutant": "guess", "outcome": "survived"}))
        self.assertIn("1 of 2 were caught.", text)
        self.assertIn("**survived**", text)

    def test_the_page_has_a_place_for_every_part_and_keeps_its_words(self) -> None:
        page = PAGE.read_text(encoding="utf-8")
        filled = fill(page, self.results(RUN, TEST, DRILL, {"what": "end", "seconds": 120}, MUTANT), PARTS)
        for name in PARTS:
            self.assertEqual(filled.count(f"<!-- {name} -->"), 1, name)
        self.assertIn("the long set, seed 7, 2 min; commit abc", filled)
        self.assertIn("never a guess", filled)

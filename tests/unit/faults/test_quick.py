from __future__ import annotations

import io
import json
import os
from typing import Any, ClassVar

from twisted.trial.unittest import SkipTest, SynchronousTestCase

from tests.faults import quick
from tests.faults.log import Log
from tests.faults.record import RESULTS, count
from tests.faults.rows import Row

HERE = __name__


class Samples:
    """Tests of nothing: the base is no case, so that only `quick` runs them, by the name of the case below."""

    class Case(SynchronousTestCase):
        """Tests of all outcomes."""

        def test_holds(self) -> None:
            count(1, 7, seed=3)

        def test_fails(self) -> None:
            count(1, 5, 2)
            self.fail("it did not hold")

        def test_is_skipped(self) -> None:
            raise SkipTest("only root can do that")


class QuickTests(SynchronousTestCase):
    names: ClassVar[dict[str, str]] = {
        what: f"{HERE}.Samples.Case.{what}" for what in ("test_holds", "test_fails", "test_is_skipped")
    }

    def setUp(self) -> None:
        self.said: list[str] = []
        self.patch(Log, "say", staticmethod(self.said.append))

    def run_rows(self, *names: str, number: int = 1) -> tuple[int, list[dict[str, Any]]]:
        """Return the exit status of a row of these tests, and the lines that are written."""
        file = io.StringIO()
        row = Row(number, "A", "a fault", "", "", quick=tuple(self.names[name] for name in names))
        self.patch(quick, "_trial", self._trial)
        status = quick.run([row], Log(file))
        return status, [json.loads(line) for line in file.getvalue().splitlines()]

    def _trial(self, names: list[str], folder: str) -> tuple[list[quick.Result], bool]:
        """Run the tests as `quick` does, in the folder where we are: trial runs already."""
        told = quick.QuickReporter(io.StringIO(), "default", False, None)
        for name in names:
            Samples.Case(name.rpartition(".")[2]).run(told)
        return told.results, told.interrupted

    def test_what_a_test_counts_is_what_its_row_was_tried(self) -> None:
        status, lines = self.run_rows("test_holds", "test_is_skipped")
        self.assertEqual(status, 0)
        good, skipped = sorted((line for line in lines if line["what"] == "test"), key=lambda line: line["outcome"])
        self.assertEqual((good["trials"], good["violations"], good["more"]), (7, 0, {"seed": 3}))
        self.assertEqual((skipped["trials"], skipped["reason"]), (0, "only root can do that"))
        self.assertIn("row  1 a fault: held: 7 trials, 0 violations, 1 tests skipped", self.said)

    def test_what_fails_is_a_violation_and_the_exit_status_says_so(self) -> None:
        status, lines = self.run_rows("test_fails")
        self.assertEqual(status, 1)
        self.assertEqual((lines[0]["outcome"], lines[0]["trials"], lines[0]["violations"]), ("failed", 5, 2))

    def test_a_test_that_counts_nothing_for_a_row_is_one_trial_of_it(self) -> None:
        _, lines = self.run_rows("test_holds", number=2)
        self.assertEqual((lines[0]["trials"], lines[0]["violations"]), (1, 0))

    def test_a_name_that_is_no_test_is_no_success(self) -> None:
        row = Row(1, "A", "a fault", "", "", quick=("tests.faults.test_nothing",))
        self.patch(quick, "_trial", lambda names, folder: ([], False))
        self.assertEqual(quick.run([row], Log(None)), 1)

    def test_a_test_that_is_named_with_its_case_and_by_itself_is_run_once(self) -> None:
        asked: list[str] = []

        def trial(names: list[str], folder: str) -> tuple[list[quick.Result], bool]:
            asked.extend(names)
            return [], False

        self.patch(quick, "_trial", trial)
        case, test = f"{HERE}.Samples.Case", self.names["test_holds"]
        quick.run([Row(1, "A", "", "", "", quick=(case,)), Row(2, "A", "", "", "", quick=(test,))], Log(None))
        self.assertEqual(asked, [case])

    def test_counting_is_for_those_who_asked_for_it(self) -> None:
        asked = os.environ.pop(RESULTS, None)
        try:
            count(1, 1)
        finally:
            if asked is not None:
                os.environ[RESULTS] = asked

    def test_a_test_that_somebody_stopped_is_not_counted_and_is_the_last(self) -> None:
        class Stopped(SynchronousTestCase):
            def test_it(self) -> None:
                raise KeyboardInterrupt

        os.environ[RESULTS] = os.path.abspath(self.mktemp())
        self.addCleanup(os.environ.pop, RESULTS)
        told = quick.QuickReporter(io.StringIO(), "default", False, None)
        Stopped("test_it").run(told)
        self.assertEqual((told.results, told.interrupted, told.shouldStop), ([], True, True))

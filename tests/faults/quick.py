"""The quick set: the tests that the rows name, run by trial in this process, each once, and what came of each row.

Whatever needs something that is not there is skipped, and shown with its reason: a skip is not a pass.
"""

from __future__ import annotations

import json
import os
import tempfile
import time
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from twisted.trial import reporter
from twisted.trial.runner import TestLoader, TrialRunner
from typing_extensions import override

from tests.faults.log import Log
from tests.faults.record import RESULTS
from tests.faults.rows import Row

Said = list[dict[str, Any]]


class Result(NamedTuple):
    """What came of one test: *outcome* is ``passed``, ``failed`` or ``skipped``; *said* what it counted itself."""

    test: str
    outcome: str
    reason: str
    seconds: float
    said: Said


class Tried(NamedTuple):
    """What came of a row: numbers of tests by outcome, of *trials* and of *violations*."""

    passed: int
    failed: int
    skipped: int
    trials: int
    violations: int


class QuickReporter(reporter.Reporter):
    """Hears of each test and tells *results*; ``^C`` ends the run after the cleanups of the test it met, uncounted."""

    def __init__(self, *arguments: Any) -> None:
        super().__init__(*arguments)
        self.results: list[Result] = []
        self.interrupted = False
        self._outcome, self._reason, self._began = "passed", "", 0.0
        self._path = Path(os.environ[RESULTS])

    @override
    def startTest(self, method: Any) -> None:
        super().startTest(method)
        self._outcome, self._reason, self._began = "passed", "", time.monotonic()
        self._path.write_text("")

    @override
    def stopTest(self, method: Any) -> None:
        super().stopTest(method)
        if self.interrupted:
            return
        seconds = round(time.monotonic() - self._began, 2)
        said = [json.loads(line) for line in self._path.read_text(encoding="utf-8").splitlines()]
        self.results.append(Result(method.id(), self._outcome, self._reason, seconds, said))
        shown = f"{self._outcome}{': ' * bool(self._reason)}{self._reason}"
        Log.say(f"  {method.id()} ({seconds:.1f} s) {shown}")

    @override
    def addSkip(self, method: Any, reason: Any) -> None:
        super().addSkip(method, reason)
        self._outcome, self._reason = "skipped", str(reason)

    @override
    def addError(self, method: Any, error: Any) -> None:
        super().addError(method, error)
        self._fail(error)

    @override
    def addFailure(self, method: Any, failure: Any) -> None:
        super().addFailure(method, failure)
        self._fail(failure)

    def _fail(self, failure: Any) -> None:
        value = failure[1] if isinstance(failure, tuple) else failure.value
        self._outcome, self._reason = "failed", str(value).partition("\n")[0][:300]
        if isinstance(value, KeyboardInterrupt):
            self.interrupted = True
            self.stop()


def run(rows: Sequence[Row], log: Log) -> int:
    """Run the tests of *rows*; return the exit status: 1 when one failed, 130 after ``^C``."""
    every = {name for row in rows for name in row.quick}
    names = sorted(name for name in every if not belongs(name, every - {name}))
    log.say(f"{len(names)} names of tests for {len(rows)} rows")
    with tempfile.TemporaryDirectory(prefix="tm-faults-") as folder:
        os.environ[RESULTS] = os.path.join(folder, "counted")
        try:
            found, interrupted = _trial(names, folder)
        finally:
            del os.environ[RESULTS]
    for row in rows:
        mine = [result for result in found if belongs(result.test, row.quick)]
        for result in mine:
            log.write("test", **_line(row, result))
        log.say(verdict(row, mine))
    log.end()
    if interrupted:
        return 130
    loaded = {name for name in names if any(belongs(result.test, [name]) for result in found)}
    for name in sorted(set(names) - loaded):
        log.say(f"no test was found by the name {name}")
    return 1 if set(names) - loaded or any(result.outcome == "failed" for result in found) else 0


def _trial(names: Sequence[str], folder: str) -> tuple[list[Result], bool]:
    runner = TrialRunner(QuickReporter, workingDirectory=os.path.join(folder, "trial"))
    told: Any = runner.run(TestLoader().loadByNames(list(names), recurse=True))
    return told.results, told.interrupted


def belongs(test: str, names: Iterable[str]) -> bool:
    """Whether the *test* is one of *names*, which may be those of modules, classes or methods."""
    return any(test == name or test.startswith(name + ".") for name in names)


def counted(row: int, result: Result) -> tuple[int, int]:
    """Return how many trials a test made for *row*, and how many violations it saw."""
    if result.outcome == "skipped":
        return 0, 0
    said = [line for line in result.said if line["row"] == row]
    trials = sum(line["trials"] for line in said) if said else 1
    return trials, max(sum(line["violations"] for line in said), int(result.outcome == "failed"))


def _line(row: Row, result: Result) -> dict[str, object]:
    trials, violations = counted(row.number, result)
    more: dict[str, object] = {}
    for line in result.said:
        if line["row"] == row.number:
            more |= {key: value for key, value in line.items() if key not in ("row", "trials", "violations")}
    return {
        "row": row.number, "test": result.test, "outcome": result.outcome, "reason": result.reason, "trials": trials,
        "violations": violations, "seconds": result.seconds, "more": more,
    }  # fmt: skip


def tally(row: int, results: Iterable[Result]) -> Tried:
    """Sum up *results* of *row*."""
    outcomes = {"passed": 0, "failed": 0, "skipped": 0}
    trials = violations = 0
    for result in results:
        outcomes[result.outcome] += 1
        more, wrong = counted(row, result)
        trials, violations = trials + more, violations + wrong
    return Tried(outcomes["passed"], outcomes["failed"], outcomes["skipped"], trials, violations)


def verdict(row: Row, results: Sequence[Result]) -> str:
    """Return the line that says what came of *row*."""
    tried = tally(row.number, results)
    if not results:
        text = "only by drills" if row.long else row.cannot or "not tried"
    else:
        word = "FAILED" if tried.failed else "held" if tried.passed else "skipped"
        text = f"{word}: {tried.trials} trials, {tried.violations} violations"
        text += f", {tried.skipped} tests skipped" if tried.skipped else ""
    return f"row {row.number:2d} {row.fault}: {text}"

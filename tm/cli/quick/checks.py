"""All checks of the code and all tests, in one environment, with one line at the end."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence

SUITES = ("tests.unit", "tests.contract", "tests.endtoend", "tests.browser", "tests.cluster", "tests.faults")
_COUNTS = re.compile(r"(?:PASSED|FAILED) \((.*)\)\Z")
_RAN = re.compile(r"Ran (\d+) tests? in ")
_ELSEWHERE = re.compile(r"only (?:root|an ordinary user|a machine) ")
"""Reasons that nobody can do away with by installing something: another account, another machine's kernel."""
_PASSED = {"successes", "expectedFailures"}
_FAILED = {"failures", "errors", "unexpectedSuccesses"}


class Tally:
    """How many checks and tests have *passed*, *failed*, or were *skipped*, and why."""

    def __init__(self) -> None:
        self.passed = 0
        self.failed = 0
        self.skipped = 0
        self.reasons: dict[str, int] = {}

    def __str__(self) -> str:
        return f"{self.passed} passed, {self.failed} failed, {self.skipped} skipped"

    def count(self, good: bool) -> None:
        """Count one check."""
        self.passed += good
        self.failed += not good

    def read_trial(self, lines: Sequence[str], status: int) -> None:
        """Count what trial has said; a trial that has not come to its end counts as one that failed."""
        said = next((found for line in reversed(lines) if (found := _COUNTS.match(line))), None)
        if not any(map(_RAN.match, lines)) or said is None:
            self.failed += 1
            return
        before = self.failed
        for part in said.group(1).split(", "):
            kind, _, number = part.partition("=")
            self.passed += int(number) if kind in _PASSED else 0
            self.failed += int(number) if kind in _FAILED else 0
            self.skipped += int(number) if kind == "skips" else 0
        self.failed += status != 0 and self.failed == before
        for reason, number in _skips(lines):
            self.reasons[reason] = self.reasons.get(reason, 0) + number


    def judge_skips(self, strict: bool) -> list[str]:
        """Return why tests were skipped; if *strict* they have failed, unless they are for elsewhere."""
        lines = []
        for reason, number in self.reasons.items():
            failed = strict and not _ELSEWHERE.match(reason)
            lines.append(f"skipped {number}{', which must not be with CI=true' if failed else ''}: {reason}")
            if failed:
                self.skipped -= number
                self.failed += number
        return lines


def run(root: str, python: str, names: Sequence[str]) -> int:
    """Check the code and run the tests *names*, all by default; return the exit status."""
    tally = Tally()
    scripts = os.path.join(os.path.dirname(python), "")
    if not names:
        for command in (["ruff", "check", "."], ["mypy"], ["lint-imports"]):
            print(f"--- {' '.join(command)}", flush=True)
            tally.count(subprocess.run([scripts + command[0], *command[1:]], cwd=root).returncode == 0)
    folder = tempfile.mkdtemp(prefix="tm-tests-", dir="/tmp")
    try:
        for number, suite in enumerate(names or SUITES):
            print(f"--- trial {suite}", flush=True)
            temporary = os.path.join(folder, str(number))
            lines, status = _trial(root, [python, "-m", "twisted.trial", "--temp-directory", temporary, suite])
            tally.read_trial(lines, status)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    lines = tally.judge_skips(strict=os.environ.get("CI") == "true")
    print("\n".join([*lines, str(tally)]), flush=True)
    return 1 if tally.failed else 0


def _trial(root: str, command: Sequence[str]) -> tuple[list[str], int]:
    """Run trial; show what it says, and return it."""
    environment = {**os.environ, "PYTHONPATH": root, "COLUMNS": "120"}
    lines: list[str] = []
    with subprocess.Popen(
        command, cwd=root, env=environment, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT, text=True, errors="replace",
    ) as process:  # fmt: skip
        assert process.stdout is not None
        for line in process.stdout:
            sys.stdout.write(line)
            sys.stdout.flush()
            lines.append(line.rstrip("\n"))
    return lines, process.returncode


def _skips(lines: Sequence[str]) -> Iterator[tuple[str, int]]:
    """Yield each reason to skip that trial gives at its end, with the number of tests below it."""
    for at, line in enumerate(lines):
        if line == "[SKIPPED]" and at + 1 < len(lines):
            block = lines[at + 1 :]
            ends = [number for number, one in enumerate(block) if one.startswith(("=====", "-----"))]
            names = [one for one in block[: ends[0] if ends else None] if one.startswith("tests.")]
            yield block[0], len(names) or 1

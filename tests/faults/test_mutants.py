"""A handful of broken builds are made and caught, and one that nobody would see is said to survive."""

from __future__ import annotations

import shutil
from unittest import SkipTest

from twisted.trial.unittest import SynchronousTestCase

from tests.mutants import Edit, Mutant
from tests.mutants.table import MUTANTS
from tests.mutants.workshop import ROOT, Trial, Workshop

QUICK = ("acknowledge-before-commit", "no-mark", "default-code-0", "pid-unchecked", "unescaped-newline")
LIFECYCLE = "tests.unit.model.test_lifecycle."
CATCHER = LIFECYCLE + "EndingTests.test_only_exit_status_0_of_that_attempt_completes_a_job"


def made(old: str, new: str) -> Mutant:
    return Mutant("made-here", "made", "", "P5", (Edit("tm/model/lifecycle.py", old, new),), (CATCHER,))


class MutantTests(SynchronousTestCase):
    def setUp(self) -> None:
        if shutil.which("git") is None or not (ROOT / ".git").exists():
            raise SkipTest("only a machine with a git checkout can break a copy of it")
        self.workshop = Workshop()
        self.addCleanup(self.workshop.close)

    def test_some_are_caught(self) -> None:
        for mutant in MUTANTS:
            if mutant.name in QUICK:
                trial = self.workshop.attempt(mutant)
                self.assertEqual((trial.outcome, trial.caught_by), ("caught", mutant.catchers[:1]), trial)

    def test_what_changes_nothing_survives_and_what_is_no_program_is_not_caught(self) -> None:
        for old, new, outcome in (
            ("if fact.exit_code == 0:", "if 0 == fact.exit_code:", "survived"),
            ("if fact.exit_code == 0:", "if fact.no_such_thing_anywhere and nobody:", "caught"),
            ("if fact.exit_code == 0:", "if nobody_knows_this_name:", "survived"),
            ("if fact.exit_code == 0:", "if fact.exit_code = 0:", "does not apply"),
            ("this stands nowhere", "", "does not apply"),
        ):
            trial: Trial = self.workshop.attempt(made(old, new))
            self.assertEqual(trial.outcome, outcome, trial)
            self.assertEqual(
                set(trial.row()), {"mutant", "group", "what", "promise", "caught_by", "outcome", "seconds"}
            )

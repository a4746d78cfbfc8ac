from __future__ import annotations

import io
import json
import os
import random
import shutil
import tempfile
from itertools import islice
from pathlib import Path
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from tests.faults.drills import Bench, Drill, Outcome
from tests.faults.log import Log
from tests.faults.long import LongRun


class LongTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.said: list[str] = []
        self.patch(Log, "say", staticmethod(self.said.append))
        self.patch(tempfile, "tempdir", os.path.abspath(self.mktemp()))
        os.mkdir(tempfile.gettempdir())
        self.file = io.StringIO()
        self.benches: list[Bench] = []

    def drill(self, name: str, *wrong: str, error: Exception | None = None, lacking: str = "") -> Drill:
        """Return a drill that finds *wrong*, or raises *error*."""

        def run(bench: Bench, chance: random.Random) -> Outcome:
            self.benches.append(bench)
            (bench.folder / "written").write_text(str(chance.random()))
            if error is not None:
                raise error
            return Outcome(3, wrong, {"kills": 2})

        return Drill(name, (2, 8), False, lambda: lacking, run)

    def lines(self, what: str) -> list[dict[str, Any]]:
        """Return the lines of this kind."""
        every = [json.loads(line) for line in self.file.getvalue().splitlines()]
        return [line for line in every if line["what"] == what]

    def test_the_seed_decides_the_order_and_each_drill_has_its_turn(self) -> None:
        drills = [self.drill(name) for name in "abcde"]
        orders = [[seed for seed, _ in islice(LongRun(drills, Log(None)).order(seed), 10)] for seed in ("1", "1", "2")]
        self.assertEqual(orders[0], orders[1])
        self.assertNotEqual(orders[0], orders[2])
        self.assertEqual(sorted(seed[-1] for seed in orders[0]), list("aabbccddee"))

    def test_what_holds_is_written_down_and_leaves_nothing(self) -> None:
        run = LongRun([], Log(self.file))
        run.call(self.drill("good"), "1:1:good", 10)
        (line,) = self.lines("drill")
        self.assertEqual((line["trials"], line["violations"], line["more"]), (3, [], {"kills": 2}))
        self.assertEqual((line["drill"], line["rows"], line["seed"]), ("good", [2, 8], "1:1:good"))
        self.assertEqual(run.violations, 0)
        self.assertFalse(self.benches[0].folder.exists())

    def test_what_does_not_hold_is_counted_and_its_evidence_kept(self) -> None:
        run = LongRun([], Log(self.file))
        run.call(self.drill("bad", "job 1 was started 2 times"), "1:2:bad", 10)
        self.assertEqual(run.violations, 1)
        evidence = Path(tempfile.gettempdir(), "tm-faults-evidence-1-2-bad")
        self.assertEqual(len(list(evidence.rglob("written"))), 1)
        self.assertIn("--again 1:2:bad", self.said[-1])
        shutil.rmtree(evidence)

    def test_what_a_drill_raises_is_a_violation(self) -> None:
        run = LongRun([], Log(self.file))
        run.call(self.drill("raises", error=AssertionError("jobs are not ended")), "1:3:raises", 10)
        self.assertIn("jobs are not ended", self.lines("drill")[0]["violations"][0])

    def test_the_same_seed_makes_the_same_choices(self) -> None:
        run = LongRun([], Log(None))
        found = []
        for _ in range(2):
            run.call(self.drill("bad", "no"), "1:4:bad", 10)
            evidence = Path(tempfile.gettempdir(), "tm-faults-evidence-1-4-bad")
            found.append(next(evidence.rglob("written")).read_text())
            shutil.rmtree(evidence)
        self.assertEqual(found[0], found[1])

    def test_what_cannot_be_done_here_is_said_with_its_reason(self) -> None:
        LongRun([self.drill("mounts", lacking="this kernel has no such thing")], Log(self.file)).run("1", 1000)
        self.assertEqual(self.lines("absent")[0]["reason"], "this kernel has no such thing")
        self.assertEqual(self.benches, [])

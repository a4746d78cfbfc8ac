"""The long set: drills, again and again in an order made of the seed, until the time is over.

Each call has a seed of its own, ``SEED:NUMBER:DRILL``, which ``--again`` repeats. What a drill wrote while something
did not hold is kept.
"""

from __future__ import annotations

import random
import tempfile
import time
import traceback
from collections.abc import Iterator, Sequence
from pathlib import Path

from tests.faults.drills import USUAL_SECONDS, Bench, Drill, Outcome
from tests.faults.log import Log

LEAST_SECONDS = 10.0


class LongRun:
    """Runs drills and counts *violations*."""

    def __init__(self, drills: Sequence[Drill], log: Log) -> None:
        self._drills = [drill for drill in drills if not drill.reason_not_to()]
        self._log = log
        self.violations = 0
        for drill in drills:
            if reason := drill.reason_not_to():
                log.say(f"left out: {drill.name}: {reason}")
                log.write("absent", drill=drill.name, rows=drill.rows, reason=reason)

    def run(self, seed: str, seconds: float) -> None:
        """Call drills for *seconds*, each about equally often."""
        until = time.monotonic() + seconds
        usual = min(USUAL_SECONDS, max(LEAST_SECONDS, seconds / max(1, len(self._drills))))
        for name, drill in self.order(seed):
            left = until - time.monotonic()
            if left < LEAST_SECONDS / 2:
                return
            self.call(drill, name, min(usual, left))

    def order(self, seed: str) -> Iterator[tuple[str, Drill]]:
        """Yield the drills without end, each with the seed of its call."""
        chance = random.Random(seed)
        number = 0
        while self._drills:
            for drill in chance.sample(self._drills, len(self._drills)):
                number += 1
                yield f"{seed}:{number}:{drill.name}", drill

    def call(self, drill: Drill, seed: str, seconds: float) -> None:
        """Call one drill with the seed of this call; write down what came of it."""
        began = time.monotonic()
        bench = Bench(seconds)
        evidence = Path(tempfile.gettempdir(), "tm-faults-evidence-" + seed.replace(":", "-").replace("/", "-"))
        try:
            try:
                outcome = drill.run(bench, random.Random(seed))
            except Exception as error:  # noqa: BLE001  whatever it is, something did not hold
                (bench.folder / "traceback").write_text(traceback.format_exc())
                text = str(error).partition("\n")[0]
                outcome = Outcome(1, (f"{type(error).__name__}: {text[:500]}",))
        except BaseException:
            bench.clear()
            raise
        bench.clear(evidence if outcome.violations else None)
        self._tell(drill, seed, outcome, time.monotonic() - began, evidence)

    def _tell(self, drill: Drill, seed: str, outcome: Outcome, seconds: float, evidence: Path) -> None:
        self.violations += len(outcome.violations)
        self._log.write(
            "drill", drill=drill.name, rows=drill.rows, seed=seed, trials=outcome.trials,
            violations=[text[:2000] for text in outcome.violations], seconds=round(seconds, 1), more=dict(outcome.more),
        )  # fmt: skip
        more = "".join(f", {key} {value}" for key, value in outcome.more.items())
        wrong = f"{len(outcome.violations)} VIOLATIONS" if outcome.violations else "no violation"
        self._log.say(f"{seed}: {outcome.trials} trials, {wrong}{more} ({seconds:.0f} s)")
        for text in outcome.violations:
            self._log.say(f"  {text[:2000]}")
        if outcome.violations:
            self._log.say(f"  repeat it by --again {seed}; what it wrote is in {evidence}")

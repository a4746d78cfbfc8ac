"""How often a test tried its fault: `count`, once at its end, a JSON line in the file ``TM_FAULTS_RESULTS`` names.

A test that does not count is one trial. Trials are independent: a byte position, an ending, a kill, not an assertion.
"""

from __future__ import annotations

import json
import os

RESULTS = "TM_FAULTS_RESULTS"


def count(row: int, trials: int, violations: int = 0, **more: object) -> None:
    """Note that *row* was tried *trials* times with *violations*; *more* is shown with it, e.g. seed and seconds."""
    name = os.environ.get(RESULTS)
    if name:
        line = json.dumps({"row": row, "trials": trials, "violations": violations, **more})
        with open(name, "a", encoding="utf-8") as file:
            file.write(line + "\n")

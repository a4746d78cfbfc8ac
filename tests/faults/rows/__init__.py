"""What is tried, row by row: the fault, how it is injected, what must hold, and which tests and drills show it.

Groups: A crashes and the network, B jobs that misbehave, C the network without a valid certificate, D users with bad
intent. The tables of ``docs/reliability.md`` are made of these rows and of what `tests.faults` measured.
"""

from __future__ import annotations

from tests.faults.rows import bad_jobs, crashes, intent, strangers
from tests.faults.rows.row import Row

__all__ = ["GROUPS", "ROWS", "Row"]

GROUPS = {
    "A": "Crashes and the network",
    "B": "Jobs that misbehave",
    "C": "The network, without a valid certificate",
    "D": "Users with bad intent",
}

ROWS: tuple[Row, ...] = (*crashes.ROWS, *bad_jobs.ROWS, *strangers.ROWS, *intent.ROWS)

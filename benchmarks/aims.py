"""What is wanted of a measurement, and tables in Markdown."""

from __future__ import annotations

from typing import NamedTuple

from benchmarks.measurements import ByRound, median, number, summary


class Aim(NamedTuple):
    """What is wanted: at least, or *at_most*, *wanted*; and what was measured."""

    text: str
    wanted: float
    at_most: bool
    unit: str
    values: ByRound

    def row(self) -> list[str]:
        """Return the row of the table."""
        middle = median(self.values)
        good = middle is not None and (middle <= self.wanted if self.at_most else middle >= self.wanted)
        wanted = f"{'≤' if self.at_most else '≥'} {number(self.wanted)} {self.unit}"
        verdict = "not measured" if middle is None else "yes" if good else "**no**"
        return [self.text, wanted, summary(self.values), verdict]


def table(heads: list[str], rows: list[list[str]]) -> str:
    """Return a table in Markdown."""
    rule = ["---", *["---:"] * (len(heads) - 1)]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in [heads, rule, *rows])

"""Make the tables of ``docs/reliability.md`` of raw results: ``python3 -m tests.faults.report FILE …``.

FILE is what `tests.faults` and `tests.mutants` wrote by ``--json``. A table stands between ``<!-- NAME -->`` and
``<!-- /NAME -->``; nothing else of the page is touched.
"""

from __future__ import annotations

import json
import sys
from collections import defaultdict
from collections.abc import Callable, Iterable
from functools import partial
from pathlib import Path
from typing import Any

from benchmarks.page import fill
from tests.faults.rows import GROUPS, ROWS, Row

PAGE = Path(__file__).parent.parent.parent / "docs" / "reliability.md"

Line = dict[str, Any]

BETWEEN = {
    "client": "client and user's server", "dispatcher": "user's server and dispatcher",
    "host": "user's server and host",
}  # fmt: skip


class Results:
    """All lines of some files, by what they are."""

    def __init__(self, paths: Iterable[str | Path]) -> None:
        self.lines: dict[str, list[Line]] = defaultdict(list)
        for path in paths:
            for text in Path(path).read_text(encoding="utf-8").splitlines():
                line = json.loads(text)
                if line.get("what") == "end" and self.lines["run"]:
                    self.lines["run"][-1]["seconds"] = line["seconds"]
                self.lines["mutant" if "mutant" in line else line["what"]].append(line)

    def tests(self, row: int) -> list[Line]:
        """Return what the tests of *row* came to."""
        return [line for line in self.lines["test"] if line["row"] == row]

    def drills(self, row: int) -> list[Line]:
        """Return the calls of drills that tried *row*."""
        return [line for line in self.lines["drill"] if row in line["rows"]]


def trials_of(found: Results, row: int) -> tuple[int, int]:
    """Return how many trials of *row* were made, and how many violations were seen."""
    trials = violations = 0
    for line in found.tests(row):
        trials, violations = trials + line["trials"], violations + line["violations"]
    for line in found.drills(row):
        by_row = line["more"].get("by_row", {})
        trials += int(by_row.get(str(row), 0 if by_row else line["trials"]))
        violations += len(line["violations"])
    return trials, violations


def bound(trials: int, violations: int) -> str:
    """Return what share of violations is excluded with 95 % confidence, where none was seen."""
    if not trials:
        return ""
    if violations:
        return f"{violations} of {trials:,}"
    return "< " + share(3 / trials)


def share(value: float) -> str:
    """Return a share in per cent, with two digits that count."""
    percent = min(100.0, 100 * value)
    return f"{percent:.2g} %" if percent < 100 else "100 %"


def table(heads: list[str], rows: list[list[str]]) -> str:
    """Return a table in Markdown."""
    lines = [heads, ["---"] * len(heads), *([cell.replace("|", "\\|") for cell in row] for row in rows)]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)


def group(found: Results, name: str) -> str:
    """Return the table of a group of rows."""
    rows = [_row(found, row) for row in ROWS if row.group == name]
    heads = ["#", "fault", "how", "must hold", "trials", "violations", "95 % bound", "shown by", "elsewhere"]
    return table(heads, rows)


def _row(found: Results, row: Row) -> list[str]:
    trials, violations = trials_of(found, row.number)
    seen = [f"{trials:,}", str(violations), bound(trials, violations)] if trials else ["none", "", ""]
    if violations:
        seen[1] = f"**{violations}**"
    return [str(row.number), row.fault, row.injected, row.must_hold, *seen, _shown_by(row), row.peers]


def _shown_by(row: Row) -> str:
    names = dict.fromkeys(_suite(name) for name in row.quick)
    parts = [f"`{name}`" for name in names] + [f"drill `{name}`" for name in row.long]
    parts += ["[partly or not possible](#what-cannot-be-tried)"] if row.cannot else []
    return "<br>".join(parts)


def _suite(name: str) -> str:
    """Return the module of a test, without ``tests.``."""
    parts = name.split(".")[1:]
    last = next((at for at, part in enumerate(parts) if part.startswith("test_")), len(parts) - 1)
    return ".".join(parts[: last + 1])


def cannot(found: Results) -> str:
    """Return what can't be tried on a usual machine, and why."""
    return table(["#", "fault", "reason"], [[str(row.number), row.fault, row.cannot] for row in ROWS if row.cannot])


def skips(found: Results) -> str:
    """Return what was skipped in these runs, and why."""
    reasons: dict[tuple[str, str], list[int]] = defaultdict(list)
    for line in found.lines["test"]:
        if line["outcome"] == "skipped":
            reasons[_suite(line["test"]) + "." + line["test"].rpartition(".")[2], line["reason"]].append(line["row"])
    for line in found.lines["absent"]:
        reasons["drill " + line["drill"], line["reason"]] += line["rows"]
    if not reasons:
        return "Nothing was skipped."
    rows = [[f"`{name}`", ", ".join(map(str, sorted(set(of)))), why] for (name, why), of in reasons.items()]
    return table(["test", "rows", "reason"], rows)


def failures(found: Results) -> str:
    """Return what did not hold in these runs."""
    rows = [
        [f"`{line['test']}`", str(line["row"]), line["reason"]]
        for line in found.lines["test"]
        if line["outcome"] == "failed"
    ]
    for line in found.lines["drill"]:
        texts = [text.strip().splitlines()[-1][:300] for text in line["violations"]]
        rows += [[f"`--again {line['seed']}`", ", ".join(map(str, line["rows"])), text] for text in texts]
    return table(["test or call", "rows", "what was seen"], rows) if rows else "Everything held."


def drills(found: Results) -> str:
    """Return how often each drill was called, and what came of it."""
    calls: dict[str, list[Line]] = defaultdict(list)
    for line in found.lines["drill"]:
        calls[line["drill"]].append(line)
    rows = []
    for name, lines in sorted(calls.items()):
        numbers = [sum(line["trials"] for line in lines), sum(len(line["violations"]) for line in lines)]
        minutes = sum(line["seconds"] for line in lines) / 60
        of = ", ".join(map(str, lines[0]["rows"]))
        rows.append([f"`{name}`", of, str(len(lines)), *(f"{number:,}" for number in numbers), f"{minutes:.0f}"])
    return table(["drill", "rows", "calls", "trials", "violations", "minutes"], rows) if rows else "None was called."


def cuts(found: Results) -> str:
    """Return at how many of all bytes of each link's conversation it was cut, one after the other."""
    covered: dict[tuple[str, bool], set[int]] = defaultdict(set)
    lengths: dict[tuple[str, bool], int] = {}
    for line in found.lines["drill"]:
        if line["drill"] == "cuts" and line["more"]:
            more = line["more"]
            link, length = (more["link"], more["afresh"]), more["length"]
            lengths[link] = max(length, lengths.get(link, 0))
            covered[link] |= {(more["from"] - 1 + step) % length for step in range(line["trials"])}
    rows = []
    for (name, afresh), length in sorted(lengths.items()):
        done = len(covered[name, afresh])
        how = "a new connection and a job on it" if afresh else "a job on a connection that is there"
        rows.append([BETWEEN[name], how, f"{length:,}", f"{done:,}", share(done / length)])
    heads = ["between", "what is said", "bytes", "cut at", "share"]
    return table(heads, rows) if rows else "None was called."


def runs(found: Results) -> str:
    """Return where, when and how the results were made."""
    lines = []
    for run in found.lines["run"]:
        took = run.get("seconds", 0.0)
        kernel = run["kernel"].partition("-")[0]
        machine = f"{run['cores']} cores ({run['processor']}), {run['memory'] / 2**30:.0f} GiB, Linux {kernel}"
        kind = "a virtual machine" if run["hypervisor"] else "a machine"
        how = f"the {run['mode']} set" + (f", seed {run['seed']}" if run.get("seed") else "")
        made = f"commit {run['commit']}, " if run["commit"] else ""
        lines.append(
            f"- {run['at'][:10]}: {how}, {took / 60:.0f} min; {made}{kind}, {machine}, Python {run['python']}; "
            f"load at the beginning {run['load']}"
        )
    return "\n".join(lines) or "No run yet."


def mutants(found: Results) -> str:
    """Return which broken build was caught by which test."""
    latest = {line["mutant"]: line for line in found.lines["mutant"]}
    rows = []
    for name, line in latest.items():
        by = "<br>".join(f"`{test}`" for test in line["caught_by"])
        outcome = line["outcome"] if line["outcome"] == "caught" else f"**{line['outcome']}**"
        rows.append([f"`{name}`", line["group"], line["what"], outcome, by])
    caught = sum(line["outcome"] == "caught" for line in latest.values())
    heads = ["broken build", "group", "what is broken", "", "caught by"]
    return f"{caught} of {len(latest)} were caught.\n\n{table(heads, rows)}" if rows else "None was tried."


PARTS: dict[str, Callable[[Results], str]] = {
    "runs": runs, "drills": drills, "cuts": cuts, "skips": skips, "failures": failures, "cannot": cannot,
    "mutants": mutants,
    **{f"group{name}": partial(group, name=name) for name in GROUPS},
}  # fmt: skip


if __name__ == "__main__":
    if len(sys.argv) < 2:
        raise SystemExit("usage: python3 -m tests.faults.report FILE …")
    PAGE.write_text(fill(PAGE.read_text(encoding="utf-8"), Results(sys.argv[1:]), PARTS), encoding="utf-8")

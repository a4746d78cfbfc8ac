"""Make the tables of ``docs/scale.md`` of measurements: ``python3 -m benchmarks.scale_report FILE …``."""

from __future__ import annotations

import sys
from pathlib import Path

from benchmarks import report
from benchmarks.aims import Aim, table
from benchmarks.hosts import HOSTS as REPORTING
from benchmarks.measurements import ByRound, Measurements, median, number, summary
from benchmarks.page import fill
from benchmarks.scale import ALONE, SIZES, USERS
from benchmarks.scale_links import DESCRIPTORS, IDLE

PAGE = Path(__file__).parent.parent / "docs" / "scale.md"
MOST_MEMORY = 450.0
PARTS_OF_A_START = ("TaskDispatcher", "TMS", "hosts")


def _groups() -> list[tuple[str, dict[str, object]]]:
    shown: list[tuple[str, dict[str, object]]] = [(f"{size:,}", {"hosts": size, "users": USERS}) for size in SIZES]
    return [*shown, (f"{ALONE:,} of one user", {"hosts": ALONE, "users": 1})]


def _found(found: Measurements, what: str, **marks: object) -> ByRound:
    return found.rounds("scale", what, **marks)


def scale_aims(found: Measurements) -> str:
    """Return the aims and whether they are met."""
    links: dict[str, object] = {"links": IDLE}
    wanted = [
        Aim(f"starts a second on {ALONE:,} hosts of {USERS} users", 500, False, "/s",
            _found(found, "starts", hosts=ALONE, users=USERS)),
        Aim(f"most resident memory of the TaskDispatcher with {IDLE:,} idle connections", MOST_MEMORY, True, "MB",
            _found(found, "resident", daemon="TaskDispatcher", **links)),
        Aim("the answer to somebody new then, slowest of 20", 1000, True, "ms",
            _found(found, "new command", of="slowest", dispatcher="idle", **links)),
        Aim("all of them back after a restart of the TaskDispatcher", 60, True, "s",
            _found(found, "all links back after kill", **links)),
    ]  # fmt: skip
    return table(["what", "aim", "measured", "met"], [aim.row() for aim in wanted])


def scale_starts(found: Measurements) -> str:
    """Return what starts cost by the number of hosts."""
    rows = []
    for shown, marks in _groups():
        cells = [_found(found, "starts", **marks)]
        cells += [_found(found, "processor", daemon=part, **marks) for part in PARTS_OF_A_START]
        cells.append(_found(found, "share of a core", daemon="TaskDispatcher", jobs="at once", **marks))
        cells.append(_found(found, "cores taken by others", jobs="at once", **marks))
        rows.append([shown, *map(summary, cells)])
    heads = ["hosts", "starts/s", "µs a start of the TaskDispatcher", "of all TMS", "of the simulated hosts"]
    return table([*heads, "% of a core, TaskDispatcher", report.OTHERS], rows)


def scale_delays(found: Measurements) -> str:
    """Return how soon an event becomes a start order by the number of hosts."""
    rows = []
    for shown, marks in _groups()[: len(SIZES)]:
        cells = [_found(found, "paced starts", **marks)]
        for what in ("ending to start order", "submission to start order"):
            cells += [_found(found, what, of=of, **marks) for of in ("median", "99 %")]
        cells += [_found(found, "share of a core", daemon=part, jobs="paced", **marks) for part in PARTS_OF_A_START]
        cells.append(_found(found, "cores taken by others", jobs="paced", **marks))
        rows.append([shown, *map(summary, cells)])
    heads = ["hosts", "starts/s", "ending to order ms", "99 %", "submission to order ms", "99 %"]
    heads += ["% of a core, TaskDispatcher", "all TMS", "simulated hosts", report.OTHERS]
    return table(heads, rows)


def scale_restarts(found: Measurements) -> str:
    """Return memory by the number of hosts, and what a restart under load takes."""
    rows = []
    for shown, marks in _groups():
        killed = "TMS" if marks["users"] == 1 else "dispatcher"
        cells = [_found(found, "resident", daemon=daemon, **marks) for daemon in ("TaskDispatcher", "TMS")]
        cells += [
            _found(found, what, killed=killed, **marks)
            for what in ("greets after kill", "first start after kill", "all hosts back after kill")
        ]
        rows.append([shown, *map(summary, cells), killed if killed == "TMS" else "TaskDispatcher"])
    heads = ["hosts", "MB of the TaskDispatcher", "MB of a TMS", "s until it greets again", "s until the first start"]
    return table([*heads, "s until all hosts are back", "who was killed"], rows)


def scale_links(found: Measurements) -> str:
    """Return what idle connections cost."""
    steps = sorted({line["links"] for line in found.pick("scale", "resident") if "links" in line})
    rows = [
        [f"MB resident with {step:,}", summary(_found(found, "resident", daemon="TaskDispatcher", links=step))]
        for step in steps
    ]
    if len(steps) > 1:
        rows.append([f"kB for each, {steps[1]:,} to {steps[-1]:,}", number(_each(found, steps))])
    last: dict[str, object] = {"links": steps[-1] if steps else IDLE}
    for text, what, marks in (
        ("handshakes a second, 100 dialling at a time", "handshakes", {}),
        ("µs of a processor for one, TaskDispatcher", "processor of a handshake", {}),
        ("cores busy meanwhile, with those who dial", "machine busy", {}),
        ("% of a core while all are idle", "share of a core", {}),
        ("ms to the answer to somebody new, median", "new command", {"of": "median", "dispatcher": "idle"}),
        ("the slowest of 20", "new command", {"of": "slowest", "dispatcher": "idle"}),
        ("s until a killed TaskDispatcher greets again", "dispatcher greets after kill", {}),
        ("s until all are back", "all links back after kill", {}),
        ("tries in vain until then", "tries in vain", {}),
        ("ms to the answer to somebody new meanwhile, median", "new command", {"of": "median", "dispatcher": "storm"}),
        ("the slowest", "new command", {"of": "slowest", "dispatcher": "storm"}),
        ("MB at the most meanwhile", "peak", {"dispatcher": "storm"}),
    ):
        rows.append([text, summary(_found(found, what, **{**last, **marks}))])
    return table(["idle connections", "measured"], rows)


def _each(found: Measurements, steps: list[int]) -> float:
    """Return the kilobytes of one connection."""
    low, high = (
        median(_found(found, "resident", daemon="TaskDispatcher", links=step)) for step in (steps[1], steps[-1])
    )
    return 0.0 if low is None or high is None else (high - low) * 1000 / (steps[-1] - steps[1])


def scale_descriptors(found: Measurements) -> str:
    """Return how a dispatcher with too few descriptors fares."""
    rows = [
        [text, summary(_found(found, what, descriptors=DESCRIPTORS))]
        for text, what in (
            ("connections that it takes", "links"),
            ("ms of a `reload` then", "reload"),
            ("s until somebody new is greeted once they are gone", "greets again after the rush"),
        )
    ]
    return table([f"{DESCRIPTORS} descriptors, {DESCRIPTORS + 200} who dial", "measured"], rows)


def scale_bounds(found: Measurements) -> str:
    """Return at which size each thing comes to its end, reckoned from what was measured."""
    rows = []
    for size in SIZES:
        cost = median(_found(found, "processor", daemon="TaskDispatcher", hosts=size, users=USERS))
        if cost:
            rows.append([f"one core of the TaskDispatcher, {size:,} hosts", f"{number(1e6 / cost)} starts/s"])
    steps = sorted({line["links"] for line in found.pick("scale", "resident") if "links" in line})
    if len(steps) > 1:
        none = median(_found(found, "resident", daemon="TaskDispatcher", links=0))
        each = _each(found, steps)
        if none is not None and each:
            rows.append(
                [
                    f"{number(MOST_MEMORY)} MB of the TaskDispatcher",
                    f"{number((MOST_MEMORY - none) * 1000 / each)} links",
                ]
            )
    handshake = median(_found(found, "processor of a handshake"))
    if handshake:
        rows.append(["one core of the TaskDispatcher, handshakes alone", f"{number(1e6 / handshake)} /s"])
    idle = median(_found(found, "share of a core", links=steps[-1] if steps else 0))
    if idle:
        rows.append(["one core, signs of life alone", f"{number(steps[-1] * 100 / idle)} links"])
    reports = median(found.rounds("hosts", "share of a core", hosts=REPORTING))
    if reports:
        rows.append(["one core, reports of InfoServers alone", f"{number(REPORTING * 100 / reports)} hosts"])
    return table(["what is used up", "at"], rows)


def machine(found: Measurements) -> str:
    """Return where the runs of this page were made."""
    found.machines[:] = [run for run in found.machines if not run["arguments"] or "scale" in run["arguments"]]
    return report.machine(found)


PARTS = {
    part.__name__: part
    for part in (
        machine, scale_aims, scale_starts, scale_delays, scale_restarts, scale_links, scale_descriptors, scale_bounds,
    )
}  # fmt: skip


if __name__ == "__main__":
    if len(sys.argv) < 2:
        raise SystemExit("usage: python3 -m benchmarks.scale_report FILE …")
    page = fill(PAGE.read_text(encoding="utf-8"), Measurements(sys.argv[1:]), PARTS)
    PAGE.write_text(page, encoding="utf-8")

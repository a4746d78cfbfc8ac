"""The plots of ``docs/performance.md`` that hold us beside the other schedulers, by the names of their files."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from benchmarks.measurements import ByRound, Measurements, median, number
from benchmarks.peers.runner import SLOTS
from benchmarks.peers.tables import LATENCY, OURS, THROUGHPUT, asked, rates, shown
from benchmarks.plots import Bar, Panel
from benchmarks.plots import draw as draw_bars


def draw(found: Measurements) -> dict[str, str]:
    """Return the plots; none when no peer was measured."""
    sizes = asked(found)
    if not sizes:
        return {}
    throughput = []
    for jobs in sizes:
        for slots in SLOTS:
            limit = median(found.rounds("peers", "bare spawn", alone=True, at_once=slots))
            bars = _bars(found, partial(_rates, found, slots, jobs), least=False)
            head = f"{jobs:,} jobs of true, {slots} slots, jobs a second"
            throughput.append(Panel(head, bars, (limit, "the bare loop in C") if limit else None))
    waited = _bars(found, lambda key: found.medians("peers", "wait", peer=key))
    submitted = _bars(found, lambda key: found.medians("peers", "submit", peer=key))
    start = median(found.medians("peers", "python start", alone=True))
    floor = (start, "a Python with ssl") if start else None
    latency = [
        Panel("One submission by the command line", submitted, floor),
        Panel("A waited-for job on an idle cluster", waited, floor),
    ]
    return {
        THROUGHPUT: draw_bars([panel for panel in throughput if panel.bars], "jobs/s", log=True),
        LATENCY: draw_bars([panel for panel in latency if panel.bars], "ms", log=True),
    }


def _rates(found: Measurements, slots: int, jobs: int, key: str) -> ByRound:
    return rates(found, key, slots, jobs)


def _bars(found: Measurements, values: Callable[[str], ByRound], least: bool = True) -> list[Bar]:
    """Return a bar for each peer that has a value, the best first."""
    middles = {key: middle for key in shown(found) if (middle := median(values(key))) is not None}
    order = sorted(middles, key=lambda key: middles[key], reverse=not least)
    return [Bar(shown(found)[key], middles[key], number(middles[key]), key == OURS) for key in order]

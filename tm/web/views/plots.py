"""Series of values as browsers draw them, as tables, and as CSV."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from tm.errors import RefusedError
from tm.model.history import SPANS
from tm.web.board import Board
from tm.web.render import NOT_KNOWN, size
from tm.web.views.csv_text import csv_text

MOST_POINTS = 144
"""So many of a series are sent to be drawn: a picture is hardly wider."""
MOST_ROWS = 60
FEW_ROWS = 24
"""So many rows has a table that stands beside its plot in a page of other things."""
SPAN_WORDS = {"1h": "the last hour", "24h": "the last 24 hours", "30d": "the last 30 days"}
BYTES = ("B", "B/s")

Points = list[tuple[float, float | None]]


@dataclass(frozen=True, slots=True)
class Kind:
    """A plot that there is: *series* are metrics and their names."""

    title: str
    unit: str
    series: Mapping[str, str]


CLUSTER = {
    "jobs": Kind("Jobs that run and wait", "jobs", {"running": "running", "pending": "waiting", "held": "held"}),
    "cores": Kind("Cores", "cores", {"cores_used": "in use", "cores": "offered"}),
    "memory": Kind("Memory", "B", {"memory_used": "asked for", "memory": "offered"}),
    "gpus": Kind("GPUs", "GPUs", {"gpus_used": "in use", "gpus": "there are"}),
}
"""The plots of the whole cluster, out of the board."""
HOST = {
    "load": Kind("Load", "", {"load": "load"}),
    "cpu": Kind("Busy cores", "cores", {"cpu_ours": "ours", "cpu_others": "others"}),
    "memory": Kind("Memory in use", "B", {"memory_used": "memory", "swap_used": "swap"}),
    "network": Kind("Network", "B/s", {"network_in": "in", "network_out": "out"}),
    "disk": Kind("Disks", "B/s", {"disk_read": "read", "disk_write": "written"}),
    "gpu": Kind("Busy GPUs", "GPUs", {"gpu": "busy"}),
}
"""The plots of a host, as its InfoServer tells them."""


@dataclass(frozen=True, slots=True)
class Plot:
    """A plot with its points: *series* are names and points."""

    title: str
    unit: str
    series: list[tuple[str, Points]]


@dataclass(frozen=True, slots=True)
class Row:
    """A line of the table: when, and the values as people read them."""

    at: str
    values: list[str]


def kind(kinds: Mapping[str, Kind], what: str, span: str) -> Kind:
    """Return the plot *what* of *kinds*. Raises `RefusedError` ``web.unknown`` for what is none, or no *span*."""
    if what not in kinds or span not in SPANS:
        raise RefusedError(
            "web.unknown", f"there is no plot of {what:.40} over {span:.40}; there are {' '.join(kinds)} over"
            f" {' '.join(SPANS)}"
        )  # fmt: skip
    return kinds[what]


def of_cluster(board: Board, what: str, span: str) -> Plot:
    """Return a plot out of *board*. Raises as `kind`."""
    wanted = kind(CLUSTER, what, span)
    series = [(name, board.history.points(metric, span)) for metric, name in wanted.series.items()]
    return Plot(_titled(wanted, span), wanted.unit, series)


def of_host(host: str, wanted: Kind, span: str, told: Mapping[str, Points]) -> Plot:
    """Return the plot *wanted* of *host*; *told* has the points of each metric."""
    series = [(name, told.get(metric, [])) for metric, name in wanted.series.items()]
    return Plot(f"{host}: {_titled(wanted, span)}", wanted.unit, series)


def _titled(wanted: Kind, span: str) -> str:
    return f"{wanted.title}, {SPAN_WORDS[span]}"


def drawn(plot: Plot) -> dict[str, Any]:
    """Return *plot* as the script takes it."""
    return {
        "title": plot.title, "unit": plot.unit,
        "series": [
            {"name": name, "points": [(int(at), _short(value)) for at, value in thinned(points, MOST_POINTS)]}
            for name, points in plot.series
        ],
    }  # fmt: skip


def thinned(points: Points, most: int) -> Points:
    """Return *points*, at most so many: each the mean of several that follow each other, where there are more."""
    width = -(-len(points) // most)
    if width <= 1:
        return points
    return [_mean(points[first : first + width]) for first in range(0, len(points), width)]


def _mean(points: Points) -> tuple[float, float | None]:
    known = [value for _, value in points if value is not None]
    return points[0][0], sum(known) / len(known) if known else None


def _short(value: float | None) -> float | int | None:
    """Return *value* as exactly as anybody sees it."""
    if value is None:
        return None
    short = float(f"{value:.4g}")
    return int(short) if short.is_integer() else short


def rows(plot: Plot, most: int = MOST_ROWS) -> list[Row]:
    """Return the table of *plot*, the newest first, at most so many rows."""
    columns = [dict(thinned(points, most)) for _, points in plot.series]
    times = sorted({at for column in columns for at in column}, reverse=True)[:most]
    return [Row(_iso(at), [shown(column.get(at), plot.unit) for column in columns]) for at in times]


def shown(value: float | None, unit: str) -> str:
    """Return *value* as people read it."""
    if value is None:
        return NOT_KNOWN
    if unit in BYTES:
        return size(value) + unit[1:]
    return f"{value:.0f}" if float(value).is_integer() or value >= 100 else f"{value:.2f}"


def table(plot: Plot) -> str:
    """Return all points of *plot* as CSV."""
    columns = [dict(points) for _, points in plot.series]
    times = sorted({at for column in columns for at in column})
    head: list[Sequence[object]] = [["time", *(name for name, _ in plot.series)]]
    return csv_text([*head, *([_iso(at), *(column.get(at) for column in columns)] for at in times)])


def _iso(at: float) -> str:
    return datetime.fromtimestamp(at, UTC).isoformat().replace("+00:00", "Z")

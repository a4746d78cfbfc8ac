"""What ran where and when, drawn: a lane for each host, a bar for each attempt that a job is or was, the time to the
right. Plain numbers; a template makes SVG of them, and the same stands beside it as a table.

The law: bars on one host never cover each other; what runs side by side stands one below the other, and a host is as
high as so many jobs ran there at once. What is too short to be drawn apart is one bar that says how many it is.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from tm.errors import RefusedError
from tm.model.spec import LATEST
from tm.web.render import seconds_of
from tm.wire.message import quote

SPANS = {"1h": 3600, "6h": 6 * 3600, "24h": 86400, "7d": 7 * 86400}
_TICKS = {"1h": 600, "6h": 3600, "24h": 3 * 3600, "7d": 86400}
USUAL = "6h"
MOST_BARS = 2000
MOST_ROWS = 200
LEFT, WIDE, TOP = 130, 1000, 24
LANE, GAP = 12, 8
LEAST = 2.0
"""So wide the shortest bar is, so that it is seen; what follows within it is one bar with it."""
_WORST = ("bad", "late", "away", "off", "pause", "run", "good")
"""Of several in one bar the one that is shown: what somebody should look at."""
PATTERNS = {
    "completed": "good", "running": "run", "starting": "run", "suspended": "pause", "unreachable": "away",
    "failed": "bad", "timeout": "late", "out_of_memory": "bad", "output_limit": "bad", "cancelled": "off",
    "lost": "away",
}  # fmt: skip
LEGEND = (
    ("run", "running"), ("good", "completed"), ("bad", "failed"), ("late", "over its time"), ("off", "cancelled"),
    ("pause", "suspended"), ("away", "not reached, or lost"),
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Wanted:
    """What an address asks for: a *span* of time up to *until* (seconds since the epoch; None: now), of a *user*
    (empty: the visitor's own, ``all``) and on a *host* (empty: any)."""

    span: str = USUAL
    until: float | None = None
    user: str = ""
    host: str = ""

    def ends(self, now: float) -> tuple[float, float]:
        """Return when it begins and ends; up to now a little room is left for what comes."""
        seconds = SPANS[self.span]
        end = now + seconds / 50 if self.until is None else self.until
        return end - seconds, end

    def overlap(self, now: float) -> str:
        """Return the time as a filter of ``lsjobs``."""
        begin, end = self.ends(now)
        return f"{shown_time(begin)}..{shown_time(end)}"

    def rest(self, now: float, limit: int, cursor: str = "") -> str:
        """Return the arguments of ``lsjobs`` for *limit* bars, the latest first, those after *cursor*."""
        given = {"user": self.user, "host": self.host, "overlap": self.overlap(now), "from": cursor}
        words = [quote(f"{name}={value}") for name, value in given.items() if value]
        return ":".join([*words, "order=-started", f"limit={limit}"])

    def query(self, **changes: object) -> dict[str, object]:
        """Return the arguments of the address, with *changes*."""
        until = None if self.until is None else shown_time(self.until)
        kept = {"span": self.span, "until": until, "user": self.user, "host": self.host}
        return {**kept, **changes}

    def moved(self, parts: float, now: float) -> dict[str, object]:
        """Return the arguments of the address of the time so many spans later; what would end after now is now."""
        until = self.ends(now)[1] + parts * SPANS[self.span]
        return self.query(until=None if until >= now else shown_time(until))


def read(args: Mapping[str, str]) -> Wanted:
    """Return what the address with *args* asks for. Raises `RefusedError` ``proto.arguments``."""
    span, text = args.get("span") or USUAL, args.get("until", "")
    if span not in SPANS:
        raise RefusedError("proto.arguments", f"'span={span:.40}': expected one of {', '.join(SPANS)}")
    until = seconds_of(text)
    if text and (until is None or not SPANS[span] < until < LATEST):
        raise RefusedError("proto.arguments", f"'until={text:.40}': expected a time, e.g. 2026-11-23T14:02:03Z")
    return Wanted(span, until, args.get("user", "").strip(), args.get("host", "").strip())


def shown_time(at: float) -> str:
    """Return *at* as ``2026-11-22T14:02:03Z``."""
    return datetime.fromtimestamp(int(at), UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


# -- the drawing --------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Bar:
    """A job on a host, or several short ones of which *id* is the first: the rectangle, what it is, and the arguments
    of the address of its list, none where it is one job."""

    id: str
    title: str
    pattern: str
    x: float
    y: int
    wide: float
    count: int = 1
    listed: Mapping[str, str] | None = None


@dataclass(slots=True)
class Lane:
    """A host: where it stands, how high it is, its *bars*."""

    host: str
    y: int = 0
    high: int = 0
    bars: list[Bar] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Tick:
    """A moment on the axis, as it is written there."""

    x: float
    text: str


@dataclass(frozen=True, slots=True)
class Drawing:
    """The whole: its size, its *lanes* and *ticks*, and where *now* is, None where that is not within."""

    width: int
    height: int
    lanes: list[Lane]
    ticks: list[Tick]
    now: float | None
    count: int


def drawn(jobs: Sequence[Mapping[str, Any]], wanted: Wanted, now: float) -> Drawing:
    """Return the drawing of *jobs*, those that have a host and a beginning."""
    begin, end = wanted.ends(now)
    scale = WIDE / (end - begin)
    placed = [(job, seconds_of(job.get("started_at")), seconds_of(job.get("ended_at"))) for job in jobs[:MOST_BARS]]
    by_host: dict[str, list[tuple[float, float, Mapping[str, Any]]]] = {}
    for job, started, ended in placed:
        if job.get("host") and started is not None and started < end and (ended is None or ended >= begin):
            first, last = max(started, begin), min(end, max(now, started) if ended is None else ended)
            by_host.setdefault(str(job["host"]), []).append((first, last, job))
    lanes, y = [], TOP
    for host in sorted(by_host):
        lane = _lane(host, y, by_host[host], begin, scale)
        y += lane.high + GAP
        lanes.append(lane)
    line = LEFT + (now - begin) * scale if begin <= now <= end else None
    count = sum(bar.count for lane in lanes for bar in lane.bars)
    return Drawing(LEFT + WIDE + 10, y + 4, lanes, _ticks(wanted, begin, end, scale), _short(line), count)


_Found = tuple[float, float, Mapping[str, Any]]


def _lane(host: str, y: int, found: list[_Found], begin: float, scale: float) -> Lane:
    """Return the lane of *host*, its bars in as few rows as jobs ran there at once."""
    rows: list[list[list[_Found]]] = []
    for one in sorted(found, key=lambda one: (one[0], str(one[2]["id"]))):
        bars = next((bars for bars in rows if bars[-1][-1][1] <= one[0]), None)
        if bars is None:
            rows.append([[one]])
        elif _is_one(bars[-1], one, scale):
            bars[-1].append(one)
        else:
            bars.append([one])
    drawn = [
        bar for row, bars in enumerate(rows) for bar in _row(host, y + row * LANE, bars, begin, scale)
    ]
    return Lane(host, y, max(1, len(rows)) * LANE, drawn)


def _is_one(before: list[_Found], after: _Found, scale: float) -> bool:
    """Whether *after* ends within the shortest bar there is, which those *before* it are in."""
    return (after[1] - before[0][0]) * scale < LEAST


def _row(host: str, y: int, bars: list[list[_Found]], begin: float, scale: float) -> list[Bar]:
    """Return the bars of a row, each from its beginning or from where the one before it ends to be seen."""
    drawn, free = [], 0.0
    for jobs in bars:
        x = max(free, (jobs[0][0] - begin) * scale)
        free = max(x + LEAST, (jobs[-1][1] - begin) * scale)
        drawn.append(_bar(host, jobs, round(LEFT + x, 1), y, round(free - x, 1)))
    return drawn


def _bar(host: str, found: list[_Found], x: float, y: int, wide: float) -> Bar:
    first = found[0][2]
    pattern = min((PATTERNS.get(str(job["state"]), "off") for _, _, job in found), key=_WORST.index)
    if len(found) == 1:
        state = str(first["state"]).replace("_", " ")
        title = f"{first['id']} {first.get('name') or ''} of {first.get('user')}: {state}"
        return Bar(str(first["id"]), title, pattern, x, y, wide)
    states = Counter(str(job["state"]).replace("_", " ") for _, _, job in found)
    told = ", ".join(f"{count} {state}" for state, count in states.most_common())
    users = {str(job.get("user")) for _, _, job in found}
    listed = {
        "host": host, "user": users.pop() if len(users) == 1 else "all",
        "overlap": f"{shown_time(found[0][0])}..{shown_time(found[-1][1] + 1)}",
    }  # fmt: skip
    return Bar(str(first["id"]), f"{len(found)} short jobs: {told}", pattern, x, y, wide, len(found), listed)


def _ticks(wanted: Wanted, begin: float, end: float, scale: float) -> list[Tick]:
    step = _TICKS[wanted.span]
    form = "%d %b" if step >= 86400 else "%H:%M"
    ticks, at = [], (int(begin) // step + 1) * step
    while at < end:
        ticks.append(Tick(round(LEFT + (at - begin) * scale, 1), datetime.fromtimestamp(at, UTC).strftime(form)))
        at += step
    return ticks


def _short(value: float | None) -> float | None:
    return None if value is None else round(value, 1)

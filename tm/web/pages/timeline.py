"""What ran where and when."""

from __future__ import annotations

from typing import Any

from tm.errors import RefusedError
from tm.web.answers import Answer, Page
from tm.web.asked import Asked
from tm.web.desk import Desk
from tm.web.routes import Route
from tm.web.views import jobs
from tm.web.views import timeline as view

AT_ONCE = 1000
FEW_BARS = 200
"""So many are drawn unless all are asked for: a page of more takes longer than people wait gladly."""


async def show(desk: Desk, asked: Asked) -> Answer:
    """Return the timeline that the address asks for."""
    wanted = view.read(asked.args)
    most = view.MOST_BARS if asked.args.get("bars") == "all" else FEW_BARS
    faults: dict[str, str] = {}
    found: list[dict[str, Any]] = []
    try:
        found = await _bars(desk, asked, wanted, most)
    except RefusedError as error:
        if error.word != "perm.denied":
            raise
        faults["user"] = error.text
    drawing = view.drawn(found, wanted, asked.now)
    listed = {"overlap": wanted.overlap(asked.now), "user": wanted.user, "host": wanted.host, "order": "-started"}
    shown = {
        "wanted": wanted, "drawing": drawing, "faults": faults, "spans": view.SPANS, "legend": view.LEGEND,
        "rows": [jobs.row(job, asked.now) for job in found if job.get("host")][: view.MOST_ROWS], "listed": listed,
        "most": most, "most_ever": view.MOST_BARS, "found": len(found),
        "begin": view.shown_time(wanted.ends(asked.now)[0]), "end": view.shown_time(wanted.ends(asked.now)[1]),
        "earlier": wanted.moved(-0.5, asked.now),
        "later": None if wanted.until is None else wanted.moved(0.5, asked.now), "high": view.LANE - 2,
    }  # fmt: skip
    return Page("timeline.html", shown, 400 if faults else 200)


async def _bars(desk: Desk, asked: Asked, wanted: view.Wanted, most: int) -> list[dict[str, Any]]:
    """Return the jobs that ran in that time, the latest first, at most *most*."""
    found: list[dict[str, Any]] = []
    cursor = ""
    while len(found) < most:
        limit = min(AT_ONCE, most - len(found))
        page = await desk.ask(asked, "lsjobs", wanted.rest(asked.now, limit, cursor))
        found += page
        if len(page) < limit:
            break
        cursor = str(page[-1]["cursor"])
    return found


ROUTES = (Route("GET", "/timeline", show),)

"""Lists of jobs, and the same as CSV and JSON."""

from __future__ import annotations

from functools import partial
from typing import Any
from urllib.parse import urlencode

import msgspec

from tm.errors import RefusedError
from tm.model.selection import states
from tm.web.answers import Answer, Data, Page
from tm.web.asked import Asked
from tm.web.desk import Desk
from tm.web.routes import Route
from tm.web.views import acts as view_acts
from tm.web.views import jobs as view
from tm.web.views.csv_text import csv_text
from tm.web.views.saved import table

AT_ONCE = 1000
"""So many jobs the dispatcher lists at once."""


async def show(desk: Desk, asked: Asked, path: str) -> Answer:
    """Return the list of jobs *path*, one of `view.KINDS`; a filter that cannot be understood comes back as typed."""
    wanted = view.read(path, asked.args)
    faults: dict[str, str] = {}
    found: list[dict[str, Any]] = []
    counts: dict[str, Any] = {}
    try:
        found = await desk.ask(asked, "lsjobs", wanted.rest())
        counts = await desk.one(asked, "countjobs", ":".join(wanted.words(stated=False)) or None)
    except RefusedError as error:
        fault = view.fault_of(wanted, error.word, error.text)
        if fault is None:
            raise
        faults = dict([fault])
    pages = view.paged(wanted, found)
    chosen = states(wanted.state) if not faults else frozenset[str]()
    given = {name: value for name, value in asked.args.items() if name not in ("notice", "seal")}
    shown = {
        "wanted": wanted, "faults": faults, "states": view.STATE_CHOICES, "heads": view.heads(wanted), "pages": pages,
        "rows": [view.row(job, asked.now) for job in pages.jobs], "saves": view.saved(wanted),
        "counts": view.counted(wanted, counts), "acts": view_acts.offered(asked.who),
        "total": sum(count for state, count in counts.get("by_state", {}).items() if state in chosen),
        "back": path + ("?" + urlencode(given) if given else ""),
    }  # fmt: skip
    return Page("jobs.html", shown, 400 if faults else 200)


async def everything(desk: Desk, asked: Asked, wanted: view.Wanted) -> list[dict[str, Any]]:
    """Return the jobs of *wanted*, as many as its limit says, however many pages that are."""
    jobs: list[dict[str, Any]] = []
    while len(jobs) < wanted.limit:
        count = min(AT_ONCE, wanted.limit - len(jobs))
        page = await desk.ask(asked, "lsjobs", wanted.rest(count))
        jobs += page
        if len(page) < count:
            break
        wanted = view.whole(wanted, wanted.limit, str(page[-1]["cursor"]))
    if wanted.back:
        jobs.reverse()
    return [{name: value for name, value in job.items() if name != "cursor"} for job in jobs]


async def as_csv(desk: Desk, asked: Asked, path: str) -> Answer:
    """Return what the list *path* shows as CSV."""
    jobs = await everything(desk, asked, view.read(path, asked.args))
    return Data(csv_text(table(jobs)).encode(), "text/csv; charset=utf-8", _name(path, "csv"))


async def as_json(desk: Desk, asked: Asked, path: str) -> Answer:
    """Return what the list *path* shows as JSON: the jobs as the dispatcher tells them."""
    jobs = await everything(desk, asked, view.read(path, asked.args))
    return Data(msgspec.json.encode(jobs), "application/json", _name(path, "json"))


def _name(path: str, ending: str) -> str:
    return f"{path.strip('/').replace('/', '-')}.{ending}"


ROUTES = tuple(
    Route("GET", path + ending, partial(handler, path=path))
    for path in view.KINDS
    for ending, handler in (("", show), (".csv", as_csv), (".json", as_json))
)

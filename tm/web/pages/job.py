"""One job: its story, why it waits, what can be done, and what it writes."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

from tm.errors import RefusedError, TaskManagerError
from tm.web.answers import Answer, Json, Page
from tm.web.asked import Asked
from tm.web.desk import Desk
from tm.web.routes import Route
from tm.web.views import arrays, graph, output, submit
from tm.web.views import job as view
from tm.wire.message import quote

LAST_LINES = 100
OUTPUT_SECONDS = 3.0
"""So long a page waits for what a job has written: its host may be out of reach."""


async def show(desk: Desk, asked: Asked, job: str) -> Answer:
    """Return all that is known of *job*; with ``?environment=1`` also the environment it was submitted in."""
    whole = "environment" in asked.args
    told = view.known(await desk.one(asked, "jobinfo", quote(job) + (":environment" if whole else "")))
    why = await desk.one(asked, "whyjob", quote(job)) if view.waits(told) else None
    edges, known = await _before(desk, asked, told)
    here = view.why_here(told)
    others = await _others(desk, asked, told) if here and "where" in asked.args else None
    change = view.change_typed(why.get("change_set") if why else None)
    host = desk.board.hosts.get(str(told.get("host") or ""), {})
    tasks = told.get("tasks") or {}
    shown = {
        "job": told, "facts": view.facts(told), "usages": view.usages(told, asked.now, host.get("gpus") or ()),
        "ending": view.ending(told), "code": view.code(told), "why": why, "change": change,
        "change_command": view.change_command(told["id"], change), "bar": arrays.bar(tasks),
        "told": arrays.told(tasks) if tasks else "", "tasks": arrays.by_state(told), "acts": view.acts(told, asked.who),
        "here": here, "fits": others,
        "attempts": [(one, view.attempt_told(one)) for one in (told["attempts"] or ())[-view.MOST_ATTEMPTS :]],
        "events": (told["events"] or ())[-view.MOST_EVENTS :], "edges": edges,
        "live": " ".join([str(told["id"]), *([str(told["array"])] if told["array"] else []), *known]),
        "known": known, "graph": graph.drawn(str(told["id"]), edges, known) if edges else None,
        "again": view.again(told), "whole": whole,
        "environment": sorted((told.get("environment") or {}).items()), "ended": view.has_ended(told),
        "most_hosts": view.MOST_HOSTS, "mine": told.get("user") == asked.user, **await _written(desk, asked, told),
    }  # fmt: skip
    return Page("job.html", shown)


async def _others(desk: Desk, asked: Asked, told: Mapping[str, Any]) -> submit.Fits | None:
    """Return which hosts would fit what the job of *told* asks; None where that cannot be said any more."""
    demand = submit.demand_of({**(told.get("asked") or {}), **(told.get("changed") or {})})
    try:
        return submit.fits(await desk.ask(asked, "fits", demand))
    except RefusedError:
        return None


async def _before(
    desk: Desk, asked: Asked, told: Mapping[str, Any]
) -> tuple[list[graph.Edge], dict[str, Mapping[str, Any]]]:
    """Return what the job of *told* waits for, and what that does in turn, and those of these jobs that are known."""
    known: dict[str, Mapping[str, Any]] = {str(told["id"]): told}
    edges = graph.edges_of(told)[: graph.MOST_NODES]
    looked, front = set(known), edges
    for _ in range(graph.DEPTH):
        found: list[graph.Edge] = []
        for number in dict.fromkeys(edge.source for edge in front):
            if number in looked or len(looked) >= graph.MOST_NODES:
                continue
            looked.add(number)
            try:
                known[number] = await desk.one(asked, "jobinfo", number)
            except RefusedError:
                continue
            found += graph.edges_of(known[number])
        front = found[: max(0, graph.MOST_NODES - len(edges))]
        edges = edges + front
    return edges, known


# -- what it writes -----------------------------------------------------------------------------------------------


async def last(desk: Desk, asked: Asked, job: str) -> Answer:
    """Return the last lines of what *job* has written; a script goes on from there."""
    told = view.known(await desk.one(asked, "jobinfo", quote(job)))
    return Page("output.html", {"job": told, "lines": LAST_LINES, **await _written(desk, asked, told)})


async def _written(desk: Desk, asked: Asked, told: Mapping[str, Any]) -> dict[str, Any]:
    """Return the last lines of what the job of *told* has written, or why they are not shown: *no_output* where they
    are not for the visitor, *fault* where they did not come."""
    look, why = os.urandom(12).hex(), view.shows_output(told, asked.who)
    none: dict[str, Any] = {"look": look, "shown": {}, "no_output": why, "fault": ""}
    if why or asked.again or told.get("state") in view.WAITING:
        return none
    wish = {"job": told["id"], "look": look, "at": None, "lines": LAST_LINES}
    try:
        shown = await desk.soon(desk.own(asked, "output", wish), OUTPUT_SECONDS)
    except TaskManagerError as error:
        if error.word in ("net.dispatcher", "auth.session"):
            raise
        return {**none, "fault": error.text}
    return {**none, "shown": output.answer(shown, {})}


async def poll(desk: Desk, asked: Asked, job: str) -> Answer:
    """Return what *job* has written since the places in the address: ``?look=RANDOM&stdout=PLACE&stderr=PLACE``."""
    places = {name: _place(asked.args.get(name, "")) for name in ("stdout", "stderr")}
    at = {"1": places["stdout"], "2": places["stderr"]} if any(one is not None for one in places.values()) else None
    number: int | str = int(job) if job.isascii() and job.isdigit() and len(job) < 18 else job
    wish = {"job": number, "look": asked.args.get("look", "")[:64], "at": at, "lines": LAST_LINES}
    return Json(output.answer(await desk.own(asked, "output", wish), places))


def _place(text: str) -> int | None:
    return int(text) if text.isascii() and text.isdigit() and len(text) < 18 else None


ROUTES = (
    Route("GET", "/jobs/<job>", show),
    Route("GET", "/jobs/<job>/output", last),
    Route("GET", "/jobs/<job>/output.json", poll),
)

"""One host, its processes, and what is done to it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from tm.errors import RefusedError
from tm.model.history import SPANS
from tm.web.answers import Answer, Page, Redirect
from tm.web.asked import Asked
from tm.web.desk import Desk
from tm.web.guard import status_of
from tm.web.routes import Route
from tm.web.together import together
from tm.web.views import host as view
from tm.web.views import plots, processes
from tm.wire.message import quote

ABOUT_SECONDS = 60.0
"""So long what a host is made of is not asked for again."""
LOG_LINES = 30
_PASSING = ("info.", "busy.", "net.", "limit.")


async def show(desk: Desk, asked: Asked, name: str) -> Answer:
    """Return all that is known of the host *name*."""
    span = asked.args.get("span") or next(iter(SPANS))
    if span not in SPANS:
        raise RefusedError("proto.arguments", f"a history reaches back {', '.join(SPANS)}, not '{span:.20}'")
    host, jobs, records, lines = await together(
        desk.one(asked, "hostinfo", quote(name)), _jobs(desk, asked, name), _records(desk, asked),
        _lines(desk, asked, name),
    )  # fmt: skip
    about = await _about(desk, asked, name, host)
    kinds = {what: kind for what, kind in plots.HOST.items() if what != "gpu" or host.get("gpu_count")}
    shown = {
        "host": host, "sections": view.sections(host, about), "jobs": jobs, "most": view.MOST_JOBS,
        "everybody": _everybody(asked), "events": view.events(name, desk.board.changes(name), records, lines),
        "acts": view.offered(host, asked.who), "span": span, "spans": plots.SPAN_WORDS,
        "apart": SPANS[span][0],
        "known": (host.get("info") or {}).get("state") == "up",
        "plots": [(f"/plots/hosts/{name}/{what}/{span}", kind.title) for what, kind in kinds.items()],
    }  # fmt: skip
    return Page("host.html", shown)


async def _jobs(desk: Desk, asked: Asked, name: str) -> list[Any]:
    """Return the jobs on a host that the visitor may see."""
    whose = ":user=all" if _everybody(asked) else ""
    return await desk.ask(
        asked, "lsjobs", f"host={quote(name)}:state=active:order=-started:limit={view.MOST_JOBS}{whose}"
    )


def _everybody(asked: Asked) -> bool:
    return "jobs" in asked.who.rights


async def _records(desk: Desk, asked: Asked) -> list[Any]:
    return await desk.ask(asked, "audit", str(view.RECORDS)) if "audit" in asked.who.rights else []


async def _lines(desk: Desk, asked: Asked, name: str) -> list[Any]:
    return await desk.ask(asked, "log", f"{LOG_LINES}:host={quote(name)}") if "log" in asked.who.rights else []


async def _about(desk: Desk, asked: Asked, name: str, host: Mapping[str, Any]) -> dict[str, Any]:
    """Return what a host is made of, as its InfoServer said it lately; nothing where it is not there."""
    known = desk.board.about(name, asked.now - ABOUT_SECONDS)
    if known is not None:
        return known
    if (host.get("info") or {}).get("state") != "up":
        return {}
    try:
        found: dict[str, Any] = await desk.one(asked, "hostask", f"{quote(name)}:info")
    except RefusedError as error:
        if not error.word.startswith(_PASSING):
            raise
        return {}
    desk.board.learn(name, asked.now, found)
    return found


# -- processes ----------------------------------------------------------------------------------------------------


async def show_processes(desk: Desk, asked: Asked, name: str) -> Answer:
    """Return the processes of a host."""
    wanted = processes.read(asked.args)
    fault = None
    told: list[Any] = []
    try:
        told = await desk.ask(asked, "hostask", f"{quote(name)}:processes")
    except RefusedError as error:
        if not error.word.startswith(_PASSING):
            raise
        fault = error
    shown = {
        "name": name, "wanted": wanted, "found": processes.shown(told, wanted, asked.who), "fault": fault,
        "sorts": processes.SORTS,
    }  # fmt: skip
    return Page("processes.html", shown, 200 if fault is None else 503)


# -- acts ---------------------------------------------------------------------------------------------------------


async def ask_to_act(desk: Desk, asked: Asked, name: str, act: str) -> Answer:
    """Return the form of an act, with what it means and the jobs it is about."""
    return await _form(desk, asked, name, _act(act), {}, None)


async def do(desk: Desk, asked: Asked, name: str, act: str) -> Answer:
    """Do an act; what cannot be done comes back as it was typed."""
    wanted = _act(act)
    filled = asked.filled()
    try:
        if wanted.name == "lost":
            await _check_count(desk, asked, name)
        reply = await desk.said(asked, wanted.verb, ":".join(map(quote, view.order(wanted, name, filled))))
    except RefusedError as error:
        if error.word.startswith(("auth.", "perm.", "net.")) or error.word == "host.unknown":
            raise
        return await _form(desk, asked, name, wanted, filled, error)
    return Redirect("/hosts" if wanted.name == "remove" else f"/hosts/{name}", f"{reply.text}.")


def _act(name: str) -> view.Act:
    if name not in view.ACTS:
        raise RefusedError("web.unknown", f"'{name:.40}' cannot be done to a host; its page says what can")
    return view.ACTS[name]


async def _check_count(desk: Desk, asked: Asked, name: str) -> None:
    """Raise `RefusedError` ``conflict.changed`` when other jobs are there than were shown."""
    host = await desk.one(asked, "hostinfo", quote(name))
    if asked.field("jobs") != str(host.get("jobs") or 0):
        raise RefusedError("conflict.changed", "jobs have come or gone meanwhile; look at it, and say it again")


async def _form(
    desk: Desk, asked: Asked, name: str, act: view.Act, filled: Mapping[str, str], fault: RefusedError | None
) -> Answer:
    host, jobs = await together(desk.one(asked, "hostinfo", quote(name)), _jobs(desk, asked, name))
    if not view.permitted(act, host, asked.who):
        raise RefusedError(
            "perm.denied", f"'{act.title}' needs the right 'hosts' in etc/groups"
            + (", or to be one of the people of the host" if act.owner else "") + ", and a session that may act"
        )  # fmt: skip
    shown = {
        "host": host, "act": act, "jobs": jobs, "filled": filled, "fault": fault, "fields": view.FIELDS,
        "faulty": view.faulty(act, fault.word) if fault is not None else "",
        "everybody": _everybody(asked),
    }  # fmt: skip
    return Page("host_act.html", shown, 200 if fault is None else status_of(fault.word))


ROUTES = (
    Route("GET", "/hosts/<name>", show),
    Route("GET", "/hosts/<name>/processes", show_processes),
    Route("GET", "/hosts/<name>/do/<act>", ask_to_act, may="act"),
    Route("POST", "/hosts/<name>/do/<act>", do, may="act"),
)

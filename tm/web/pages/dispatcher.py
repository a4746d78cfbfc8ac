"""The TaskDispatcher: what it is, what is set of it and the cluster, and what can be done to it."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from tm.errors import RefusedError
from tm.web.answers import Answer, Page, Redirect
from tm.web.asked import Asked
from tm.web.desk import AnswerError, Desk
from tm.web.guard import status_of
from tm.web.render import size
from tm.web.routes import Route
from tm.web.together import together
from tm.web.views import properties as views
from tm.web.views import settings
from tm.wire.message import quote

HERE = "/dispatcher/properties"
RIGHT = "properties"
FILES = (
    ("etc/TaskDispatcher.info", "where the dispatcher is; clients and servers read it, too", "properties"),
    ("etc/ComputerCluster.config", "hosts, and what is set of the cluster as a whole", "properties"),
    ("etc/users", "who may use the cluster, and their certificates", "users"),
    ("etc/groups", "what people may: rights, limits, shares", "groups"),
    ("etc/certs", "certificates: the dispatcher's, and those of users", "certificates"),
)
"""What the dispatcher goes by, and which page shows it."""
_PAGES = {
    "properties": HERE, "users": "/admin/users", "groups": "/admin/groups", "certificates": "/admin/certificates"
}  # fmt: skip


async def show(desk: Desk, asked: Asked) -> Answer:
    """Return what the dispatcher is."""
    status, given = await together(desk.one(asked, "status"), desk.ask(asked, "lsproperties"))
    where = [one for one in given if one["name"].startswith("dispatcher.")]
    store = {
        name: size(count) if "bytes" in name or name == "wal" else count
        for name, count in (status.get("store") or {}).items()
    }  # fmt: skip
    files = [(name, about, _PAGES[page]) for name, about, page in FILES]
    return Page("dispatcher.html", {"status": status, "store": store, "where": where, "files": files})


async def reload(desk: Desk, asked: Asked) -> Answer:
    """Have the files of the configuration read again."""
    try:
        reply = await desk.said(asked, "reload")
    except AnswerError as fault:
        if not fault.word.startswith("config."):
            raise
        raise RefusedError(fault.word, "\n".join(["nothing was changed:", fault.text, *fault.body])) from None
    return Redirect("/dispatcher", f"etc/ was read again: {reply.text}.")


async def stop(desk: Desk, asked: Asked) -> Answer:
    """Ask once more, then stop the dispatcher."""
    if not asked.field("sure"):
        question = (
            "Stop the TaskDispatcher? Running jobs go on and nothing is lost, but nothing starts and nobody can submit"
            " before somebody starts it again on its machine, with 'twistd taskdispatcher'."
        )
        return Page("confirm.html", {"question": question, "button": "Stop the TaskDispatcher", "back": "/dispatcher",
                                     "fields": {}, "lines": []})  # fmt: skip
    reply = await desk.said(asked, "shutdown")
    return Redirect("/dispatcher", f"The TaskDispatcher is {reply.text}.")


# -- properties ---------------------------------------------------------------------------------------------------


async def properties(desk: Desk, asked: Asked) -> Answer:
    """Return all that can be set, and what was changed lately."""
    return await _form(desk, asked, {}, {}, None)


async def _form(
    desk: Desk, asked: Asked, texts: Mapping[str, str], faults: Mapping[str, str], remembered: str | None,
    status: int = 200,
) -> Page:  # fmt: skip
    given = await desk.ask(asked, "lsproperties")
    records = await desk.ask(asked, "audit", str(views.RECORDS)) if "audit" in asked.who.rights else []
    context = {
        "sections": views.sections(given, texts, faults), "seen": remembered or views.seen(given),
        "fresh": views.fresh(asked.form, given, texts, faults),
        "fault": faults.get("", ""), "faults": bool(faults), "changes": views.changes(records),
        "may": asked.who.has(RIGHT),
    }  # fmt: skip
    return Page("properties.html", context, status)


async def change(desk: Desk, asked: Asked) -> Answer:
    """Show what would be changed, then change it, unless somebody else has meanwhile."""
    given = await desk.ask(asked, "lsproperties")
    texts, remembered, faults = views.with_new(asked.form, given)
    try:
        wanted = views.wanted(texts, remembered)
    except ValueError as error:
        return await _form(desk, asked, texts, {"": str(error)}, None, 400)
    if faults:
        return await _form(desk, asked, texts, faults, asked.field("seen"), 400)
    if not wanted.changes:
        return Redirect(HERE, "Nothing was changed.")
    if not asked.field("sure"):
        return confirmation("Save these properties?", wanted.changes, HERE, HERE, wanted.fields)
    try:
        reply = await desk.said(asked, "changeproperties", wanted.argument())
    except AnswerError as fault:
        names = {**views.known(given), **views.known([{"name": name} for name in texts])}
        if fault.word == "conflict.changed":
            return conflict(fault, wanted, names, HERE, HERE)
        found = settings.faults([fault.text, *fault.body], names)
        return await _form(desk, asked, texts, found, _merged(given, remembered), status_of(fault.word))
    return Redirect(HERE, f"{reply.text}.")


def _merged(given: Sequence[Mapping[str, Any]], remembered: str) -> str:
    """Return what a whole form remembers where a part of it has been *remembered*."""
    whole = json.loads(views.seen([dict(one) for one in given]))
    part = {name: one for name, one in json.loads(remembered).items() if name in whole}
    return json.dumps({**whole, **part}, ensure_ascii=False)


def confirmation(
    title: str, changes: Sequence[settings.Change], action: str, back: str, fields: Mapping[str, str], **more: Any
) -> Page:
    """Return the page that shows what would be changed before it is.

    *more*: what it says where *nothing* is, whether the visitor *may_check* it first, whether it is *editable*.
    """
    context = {
        "title": title, "changes": changes, "action": action, "back": back, "fields": fields, "rows": [], "nothing": "",
        "may_check": False, "editable": False, **more,
    }  # fmt: skip
    return Page("settings_confirm.html", context, 409 if context["rows"] else 200)


def conflict(fault: AnswerError, wanted: settings.Wanted, known: settings.Known, action: str, back: str) -> Page:
    """Return the page that shows what somebody else has changed meanwhile beside what was typed."""
    rows, now = settings.conflicts(fault.body, wanted, known)
    fields = settings.remembering(wanted, now)
    return confirmation("Somebody else was quicker", wanted.changes, action, back, fields, rows=rows)


async def undo(desk: Desk, asked: Asked, number: str) -> Answer:
    """Show what taking a change back would do, then do it."""
    if not asked.field("sure"):
        records = await desk.ask(asked, "audit", str(views.RECORDS))
        found = [one for one in views.changes(records) if str(one["id"]) == number]
        if not found:
            raise RefusedError("undo.unknown", f"record {number:.12} is no change of properties that is listed here")
        question = f"Take back what {found[0]['user']} has changed? It was:"
        return Page("confirm.html", {"question": question, "button": "Take it back", "back": HERE, "fields": {},
                                     "lines": found[0]["told"]})  # fmt: skip
    reply = await desk.said(asked, "undo", quote(number))
    return Redirect(HERE, f"Taken back: {reply.text}.")


ROUTES = (
    Route("GET", "/dispatcher", show),
    Route("POST", "/dispatcher/reload", reload, may="act"),
    Route("POST", "/dispatcher/stop", stop, may="act"),
    Route("GET", HERE, properties),
    Route("POST", HERE, change, may="act"),
    Route("POST", HERE + "/undo/<number>", undo, may="act"),
)

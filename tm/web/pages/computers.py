"""A computer is added or changed: what is typed is checked where it is wished, shown as a difference, then saved."""

from __future__ import annotations

import json
import secrets
from collections.abc import Mapping
from typing import Any
from urllib.parse import quote as path_quote

from tm.errors import RefusedError
from tm.model.properties import HOST_KEYS
from tm.web.answers import Answer, Page, Redirect
from tm.web.asked import Asked
from tm.web.desk import AnswerError, Desk
from tm.web.guard import status_of
from tm.web.pages.dispatcher import confirmation, conflict
from tm.web.routes import Route
from tm.web.together import together
from tm.web.views import computers as views
from tm.web.views import settings
from tm.wire.message import quote

ADD = "/hosts/add"
NOT_WISHED = "Checks begin with a button: look at what is typed below, then press 'Check it'."
Texts = Mapping[str, str]


async def add(desk: Desk, asked: Asked) -> Answer:
    """Return the form of a new host, with what the address says of it."""
    return await _add_form(desk, asked, asked.args.get("name", ""), _typed_in(asked.args), {})


def _typed_in(args: Texts) -> dict[str, str]:
    return settings.typed({name: [text] for name, text in args.items()})


async def _add_form(desk: Desk, asked: Asked, name: str, texts: Texts, faults: Texts, status: int = 200) -> Page:
    low = views.defaults(await desk.ask(asked, "lsproperties"))
    sections = views.sections({}, {}, low, texts, faults)
    return Page("computer.html", _form("", name, sections, faults, "", asked), status)


def _form(host: str, name: str, sections: object, faults: Texts, seen: str, asked: Asked) -> dict[str, Any]:
    return {
        "host": host, "name": name, "sections": sections, "fault": faults.get("", ""),
        "name_fault": faults.get("name", ""),
        "faults": bool(faults), "seen": seen, "may": asked.who.has("hosts"), "may_check": asked.who.may_submit,
    }  # fmt: skip


async def add_it(desk: Desk, asked: Asked) -> Answer:
    """Check the new host, or show what is written of it, or add it."""
    name, texts = asked.field("name"), settings.typed(asked.form)
    fault = views.name_fault(name)
    if fault or asked.field("act") == "edit":
        return await _add_form(desk, asked, name, texts, {"name": fault} if fault else {}, 400 if fault else 200)
    if asked.field("act") == "check":
        return Redirect(_check_at(asked, f"{ADD}/check", name, texts))
    table = views.table_of(texts)
    if not asked.field("sure"):
        fields = {"name": name, **{settings.FIELD + key: text for key, text in texts.items() if text}}
        return confirmation(
            f"Add the computer {name}?", views.changes_of(table), ADD, ADD, fields, nothing="all is as usual",
            may_check=asked.who.may_submit, editable=True,
        )  # fmt: skip
    try:
        await desk.said(asked, "addhost", json.dumps({"name": name, **table}).replace("\x7f", "\\u007f"))
    except AnswerError as error:
        return await _add_form(desk, asked, name, texts, _faults(error, name), status_of(error.word))
    return Redirect(
        f"/hosts/{path_quote(name)}", f"{name} is added; jobs may start there as soon as a server of theirs does."
    )


def _faults(error: AnswerError, name: str) -> dict[str, str]:
    if error.word == "host.exists":
        return {"name": error.text}
    return settings.faults([error.text, *error.body], HOST_KEYS, f"host {name}: ")


async def change(desk: Desk, asked: Asked, name: str) -> Answer:
    """Return the form of a host that is there."""
    return await _change_form(desk, asked, name, _typed_in(asked.args), {}, None)


async def _change_form(
    desk: Desk, asked: Asked, name: str, texts: Texts, faults: Texts, seen: str | None, status: int = 200
) -> Page:
    host, low = await _host(desk, asked, name)
    sections = views.sections(host["own"], host["config"], low, texts, faults)
    seen = seen or views.seen(host["own"], host["config"])
    return Page("computer.html", _form(name, name, sections, faults, seen, asked), status)


async def _host(desk: Desk, asked: Asked, name: str) -> tuple[Mapping[str, Any], dict[str, Any]]:
    host, given = await together(desk.one(asked, "hostinfo", quote(name)), desk.ask(asked, "lsproperties"))
    if host.get("own") is None or host.get("config") is None:
        wrong = host.get("config_error") or f"{name} is not in etc/ComputerCluster.config any more; 'reload' reads that"
        raise RefusedError("config.read", str(wrong))
    return host, views.defaults(given)


async def change_it(desk: Desk, asked: Asked, name: str) -> Answer:
    """Check the host as it would be, or show the difference, or change it, unless somebody else has meanwhile."""
    texts, here = settings.typed(asked.form), f"/hosts/{path_quote(name)}/change"
    host, low = await _host(desk, asked, name)
    if asked.field("act") == "check":
        differing = {key: text for key, text in texts.items() if text != views.said(host["own"]).get(key, "")}
        return Redirect(_check_at(asked, f"/hosts/{path_quote(name)}/check", name, differing))
    if asked.field("act") == "edit":
        return await _change_form(desk, asked, name, texts, {}, None)
    try:
        wanted = settings.wanted(texts, asked.field("seen"), views.known(low))
    except ValueError as error:
        return await _change_form(desk, asked, name, texts, {"": str(error)}, None, 400)
    if not wanted.changes:
        return Redirect(f"/hosts/{path_quote(name)}", "Nothing was changed.")
    if not asked.field("sure"):
        return confirmation(
            f"Change the computer {name}?", wanted.changes, here, f"/hosts/{name}", wanted.fields,
            may_check=asked.who.may_submit, editable=True,
        )  # fmt: skip
    try:
        reply = await desk.said(asked, "changehost", wanted.argument(name=name))
    except AnswerError as error:
        if error.word == "conflict.changed":
            return conflict(error, wanted, views.known(low), here, f"/hosts/{name}")
        return await _change_form(desk, asked, name, texts, _faults(error, name), None, status_of(error.word))
    return Redirect(f"/hosts/{path_quote(name)}", f"{reply.text}.")


# -- checks -------------------------------------------------------------------------------------------------------


def _check_at(asked: Asked, path: str, name: str, texts: Texts) -> str:
    """Return where a check of *name* with *texts* that the visitor wishes runs, and where it is looked at."""
    random = secrets.token_hex(8)
    seal = asked.who.seal(f"{path}?{views.query(random, name, texts)}")
    return f"{path}?{views.query(f'{random}.{seal}', name, texts)}"


def _wished(asked: Asked, path: str, name: str, texts: Texts) -> bool:
    """Whether the visitor has pressed a button for this: what is typed decides which commands run as them, so that a
    link from elsewhere must begin nothing."""
    random, _, seal = asked.args.get("check", "").partition(".")
    return len(random) == 16 and asked.who.sealed(f"{path}?{views.query(random, name, texts)}", seal)


async def check_new(desk: Desk, asked: Asked) -> Answer:
    """Return how far the checks of a new host are."""
    name, texts, path = asked.args.get("name", ""), _typed_in(asked.args), f"{ADD}/check"
    fault = views.name_fault(name)
    if fault:
        return await _add_form(desk, asked, name, texts, {"name": fault}, 400)
    if not _wished(asked, path, name, texts):
        return await _add_form(desk, asked, name, texts, {"": NOT_WISHED}, 403)
    return await _checked(desk, asked, path, name, views.table_of(texts), texts)


async def check(desk: Desk, asked: Asked, name: str) -> Answer:
    """Return how far the checks of a host are, as it would be with what the address says."""
    host, _ = await _host(desk, asked, name)
    texts, path = _typed_in(asked.args), f"/hosts/{path_quote(name)}/check"
    if not _wished(asked, path, name, texts):
        return await _change_form(desk, asked, name, texts, {"": NOT_WISHED}, None, 403)
    return await _checked(desk, asked, path, name, views.changed(texts, host["own"]), texts)


async def _checked(desk: Desk, asked: Asked, path: str, name: str, table: Mapping[str, Any], texts: Texts) -> Answer:
    new = path.startswith(ADD)
    wish = {"check": asked.args["check"], "name": name, "table": table, "new": new}
    fault, found = None, views.findings({"over": True})
    try:
        found = views.findings(await desk.own(asked, "checkhost", wish))
    except RefusedError as error:
        if error.word.startswith("auth."):
            raise
        fault = error
    fields = {settings.FIELD + key: text for key, text in texts.items()}
    context = {
        "name": name, "new": new, "found": found, "fault": fault, "fields": {"name": name, **fields} if new else fields,
        "again": _check_at(asked, path, name, texts), "may": asked.who.has("hosts"),
        "action": ADD if new else f"/hosts/{name}/change", "changed": bool(texts),
    }  # fmt: skip
    return Page("check.html", context, 200 if fault is None else status_of(fault.word))


ROUTES = (
    Route("GET", ADD, add),
    Route("POST", ADD, add_it, may="act"),
    Route("GET", ADD + "/check", check_new, may="submit"),
    Route("GET", "/hosts/<name>/change", change),
    Route("POST", "/hosts/<name>/change", change_it, may="act"),
    Route("GET", "/hosts/<name>/check", check, may="submit"),
)

"""Submitting a job: a form that says which hosts would fit, and the line of ``hRunJob`` that does the same."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

from tm.errors import RefusedError
from tm.web.answers import Answer, Page, Redirect
from tm.web.asked import Asked
from tm.web.desk import Desk
from tm.web.routes import Route
from tm.web.views import entered
from tm.web.views import submit as view
from tm.wire.message import quote


async def form(desk: Desk, asked: Asked) -> Answer:
    """Return the form: empty, or with ``?like=17`` as job 17 was."""
    typed: dict[str, str] = {}
    if asked.args.get("like"):
        typed = view.like(await desk.one(asked, "jobinfo", quote(asked.args["like"])))
    return _page(asked, typed, view.read(typed, asked.now, asked.user) if typed else None, {})


async def send(desk: Desk, asked: Asked) -> Answer:
    """Check what was typed, or have it submitted by the visitor's own server."""
    entry = view.read(asked.filled(), asked.now, asked.user)
    if entry.faults or asked.field("do") != "submit" or not asked.who.may_submit:
        found, faults = await _fits(desk, asked, entry)
        return _page(asked, entry.typed, entry, faults, found)
    try:
        accepted = await desk.own(asked, "submit", entry.wish(asked.field("token")))
    except RefusedError as error:
        return _page(asked, entry.typed, entry, view.refused(entry, error.word, error.text))
    number = accepted["ids"][0]
    what = f"array {number}" if entry.job.get("array") else f"job {number}"
    return Redirect(f"/jobs/{number}", " ".join([f"Accepted {what}.", *accepted.get("advice", ())]))


async def fits(desk: Desk, asked: Asked) -> Answer:
    """Return, as a part of a page, which hosts would fit what has been typed so far, and the line for it."""
    entry = view.read(asked.filled(), asked.now, asked.user)
    found, faults = await _fits(desk, asked, entry)
    return Page("submit_fits.html", {"fits": found, "faults": faults, "line": view.line(entry), "typed": entry.typed})


async def _fits(desk: Desk, asked: Asked, entry: view.Entry) -> tuple[view.Fits | None, dict[str, str]]:
    """Return which hosts would fit, None where that cannot be said yet, and the faults."""
    try:
        return view.fits(await desk.ask(asked, "fits", entry.demand())), dict(entry.faults)
    except RefusedError as error:
        return None, view.refused(entry, error.word, error.text)


def _page(
    asked: Asked, typed: Mapping[str, str], entry: view.Entry | None, faults: Mapping[str, str],
    found: view.Fits | None = None,
) -> Page:  # fmt: skip
    shown: dict[str, Any] = {
        "groups": view.GROUPS, "fields": entered.FIELDS, "typed": typed, "faults": dict(faults), "fits": found,
        "line": view.line(entry) if entry is not None else "", "token": asked.field("token") or os.urandom(12).hex(),
        "accounts": asked.who.groups,
    }  # fmt: skip
    return Page("submit.html", shown, 400 if faults else 200)


ROUTES = (Route("GET", "/submit", form), Route("POST", "/submit", send), Route("POST", "/submit/fits", fits))

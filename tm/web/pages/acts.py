"""Acts on jobs: which jobs they would be done to is said first; only what was confirmed is done."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from tm.errors import RefusedError
from tm.model.values import SIGNALS
from tm.web.answers import Answer, Page, Redirect
from tm.web.asked import Asked
from tm.web.desk import AnswerError, Desk
from tm.web.guard import local_path
from tm.web.pages.jobs import everything
from tm.web.routes import Route
from tm.web.views import acts as view
from tm.web.views import entered, jobs
from tm.wire.message import quote

MOST_SEEN = 10
MOST_NAMED = 10_000
"""So many jobs are named one by one where no filter of an order means the same as the list's."""
MAY_NOT_SUBMIT = "This session may not submit jobs; in a terminal, hRunJob --web submit gives a link to one that may."


async def act(desk: Desk, asked: Asked) -> Answer:
    """Ask whether the act of the form is meant, or do it, where that was said."""
    wanted = view.ACTS.get(asked.field("act"))
    if wanted is None:
        raise RefusedError("proto.arguments", f"'{asked.field('act'):.40}' is nothing that can be done to jobs")
    try:
        ids = await _selection(desk, asked, wanted)
    except ValueError as error:
        return _page(asked, wanted, "", None, {"": str(error)})
    if not ids:
        return _page(asked, wanted, "", None, {"": "no job was ticked; go back and tick some, or choose all"})
    if not wanted.verb:
        return await _again(desk, asked, wanted, ids)
    return await _order(desk, asked, wanted, ids)


async def _selection(desk: Desk, asked: Asked, wanted: view.Act) -> str:
    """Return which jobs the form means. Raises `ValueError` for what is no job."""
    if asked.field("ids"):
        return asked.field("ids")
    if asked.field("scope") != "filter":
        return view.named(asked.form.get("job", []))
    filters = {name: asked.field(f"filter-{name}") for name in jobs.FILTERS if asked.field(f"filter-{name}")}
    found = view.picked(filters) if wanted.verb else None
    if found is not None:
        return found
    listed = await everything(desk, asked, jobs.Wanted(jobs.KINDS["/jobs"], filters, limit=MOST_NAMED))
    return view.named(str(job["id"]) for job in listed)


# -- orders -------------------------------------------------------------------------------------------------------


async def _order(desk: Desk, asked: Asked, wanted: view.Act, ids: str) -> Answer:
    names = view.fields_of(wanted, asked.who)
    try:
        body = await desk.ask(asked, "tryjobs", f"{wanted.verb}:{quote(ids)}")
    except AnswerError as error:
        return _page(asked, wanted, ids, _tried(error), {"": error.text})
    found = view.tried(body)
    grown = view.is_filter(ids) and found.jobs > _count(asked)
    if not asked.field("sure") or grown:
        more = "Meanwhile there are more jobs than you saw; look again."
        faults = {"": more} if grown and asked.field("sure") else {}
        return _page(asked, wanted, ids, found, faults, seen=await _seen(desk, asked, ids))
    typed = asked.filled()
    given, faults = view.read(wanted, typed, names, asked.now)
    if faults:
        return _page(asked, wanted, ids, found, faults)
    try:
        done = await desk.ask(asked, wanted.verb, view.request(wanted, ids, typed, given))
    except RefusedError as error:
        return _page(asked, wanted, ids, found, {entered.field_of(error.word, error.text, names): error.text})
    return Redirect(_back(asked), view.told(wanted, view.tried(done)))


async def _seen(desk: Desk, asked: Asked, ids: str) -> list[jobs.Row]:
    """Return the first few of the jobs *ids*, as lists show them, so that a slip is noticed."""
    found: list[Any] = []
    if view.is_filter(ids):
        found = await desk.ask(asked, "lsjobs", ":".join([*map(quote, ids.split()), f"limit={MOST_SEEN}"]))
    else:
        for one in ids.split(",")[:MOST_SEEN]:
            try:
                found += await desk.ask(asked, "jobinfo", quote(one))
            except RefusedError:
                continue  # what is said of it, the list says
    return [jobs.row(job, asked.now) for job in found]


def _tried(error: AnswerError) -> view.Tried | None:
    return view.tried(msgspec.json.decode(line) for line in error.body) if error.body else None


def _count(asked: Asked) -> int:
    text = asked.field("count")
    return int(text) if text.isascii() and text.isdigit() and len(text) < 10 else 0


# -- again --------------------------------------------------------------------------------------------------------


async def _again(desk: Desk, asked: Asked, wanted: view.Act, ids: str) -> Answer:
    if not asked.who.may_submit:
        return _page(asked, wanted, ids, None, {"": MAY_NOT_SUBMIT})
    if not asked.field("sure"):
        return _page(asked, wanted, ids, None, {}, ids.split(","), await _seen(desk, asked, ids))
    wish = {"token": asked.field("token"), "ids": ids, "failed": wanted.name == "rerun-failed"}
    try:
        accepted = await desk.own(asked, "rerun", wish)
    except RefusedError as error:
        return _page(asked, wanted, ids, None, {"": error.text})
    new = [str(number) for number in accepted["ids"]]
    to = f"/jobs/{new[0]}" if len(new) == 1 else "/jobs"
    return Redirect(to, f"Accepted {'job' if len(new) == 1 else 'jobs'} {', '.join(new[:20])}.")


# -- what is shown ------------------------------------------------------------------------------------------------


def _page(
    asked: Asked, wanted: view.Act, ids: str, found: view.Tried | None, faults: Mapping[str, str],
    lines: list[str] | None = None, seen: Sequence[jobs.Row] = (),
) -> Page:  # fmt: skip
    """Return the page that asks whether *wanted* is to be done to *ids*, with what was typed and the *faults*."""
    known = view.fields_of(wanted, asked.who)
    shown: dict[str, Any] = {
        "act": wanted, "ids": ids, "found": found, "faults": dict(faults), "lines": lines, "seen": seen,
        "typed": asked.filled(),
        "fields": [entered.FIELDS[name] for name in known if name in entered.FIELDS], "back": _back(asked),
        "back_to": asked.prefix + _back(asked),
        "signals": SIGNALS, "token": asked.field("token") or os.urandom(12).hex(),
        "ready": bool(ids) and (bool(found and found.jobs) if wanted.verb else asked.who.may_submit),
    }  # fmt: skip
    return Page("act.html", shown, 400 if faults else 200)


def _back(asked: Asked) -> str:
    """Return the page to go back to: one of ours."""
    path, _, query = (asked.field("back") or "/jobs").partition("#")[0].partition("?")
    path = local_path(path)
    return f"{path}?{query}" if query and query.isprintable() else path


ROUTES = (Route("POST", "/jobs/act", act, may="act"),)

"""What the page of properties shows: each value with its meaning, and the forms that change it."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from tm.model.audit import difference
from tm.model.properties import (
    DEFAULTS,
    DISPATCHER,
    LICENSES,
    MAIL,
    SCHEDULING,
    TABLES,
    Property,
    find,
    text_of,
)  # fmt: skip
from tm.web.views import settings
from tm.web.views.settings import View

TITLES = {
    SCHEDULING: ("Scheduling", "How waiting jobs are weighed against each other.", "etc/ComputerCluster.config"),
    LICENSES: ("Licenses", "What the cluster as a whole has, for jobs that ask for it.", "etc/ComputerCluster.config"),
    MAIL: ("Mail", "Who takes the letters to owners of jobs.", "etc/ComputerCluster.config"),
    DEFAULTS: ("Defaults of hosts", "What holds for a host where neither it nor its group says otherwise.",
               "etc/ComputerCluster.config"),
    DISPATCHER: ("Where the TaskDispatcher is", "Every client and every server reads this file.",
                 "etc/TaskDispatcher.info"),
}  # fmt: skip
NEW = 2
"""So many new licenses can be named at once."""
MOST_CHANGES = 10
RECORDS = 500


def known(given: Sequence[View]) -> dict[str, Property]:
    """Return the properties of an answer to ``lsproperties`` by name."""
    return {one["name"]: found for one in given if (found := find(one["name"])) is not None}


def said(given: Sequence[View]) -> dict[str, str]:
    """Return what the files say, as text, empty where they say nothing."""
    return {one["name"]: one["text"] if one["origin"] == "file" else "" for one in given}


def seen(given: Sequence[View]) -> str:
    """Return what the form remembers of what it shows."""
    return settings.seen_text(said(given), {one["name"]: one["value"] for one in given})


def sections(given: Sequence[View], typed: Mapping[str, str], faults: Mapping[str, str]) -> list[View]:
    """Return a section for each table, with a row for each property."""
    there = said(given)
    rows = [
        {
            **one, "key": one["name"].partition(".")[2], "table": one["name"].partition(".")[0],
            "field": settings.FIELD + one["name"], "typed": typed.get(one["name"], there[one["name"]]),
            "standard": _standard(one), "fault": faults.get(one["name"], ""), "long": one["kind"] in ("list", "table"),
            "pending": "" if one["running"] == one["value"] else settings.shown(_of(one), one["running"]),
        }
        for one in given
    ]  # fmt: skip
    return [
        {
            "table": table, "title": title, "about": about, "file": file,
            "rows": [row for row in rows if row["table"] == table],
        }
        for table in TABLES for title, about, file in [TITLES[table]]
    ]  # fmt: skip


def _of(one: View) -> Property:
    return find(one["name"]) or Property(name=one["name"], meaning="", kind="text")


def _standard(one: View) -> str:
    return text_of(_of(one), one["default"])


def with_new(form: Mapping[str, Sequence[str]], given: Sequence[View]) -> tuple[dict[str, str], str, dict[str, str]]:
    """Return what was typed, what was seen, and the faults of *form*: its new licenses are properties like others."""
    texts, faults = settings.typed(form), {}
    remembered = form.get("seen", ["{}"])[-1]
    fresh = {}
    there = {one["name"] for one in given}
    for number in range(NEW):
        name, count = (form.get(f"new.{what}.{number}", [""])[-1].strip() for what in ("name", "count"))
        full = f"{LICENSES}.{name}"
        if name and full in there:
            faults[f"new.{number}"] = f"there is a license {name:.64} already; change it above"
        elif name and not count:
            faults[f"new.{number}"] = f"how many of {name:.64} are there? expected a number, 0 for none now"
        elif count and not name:
            faults[f"new.{number}"] = "what is it called? expected a name like matlab"
        elif name:
            texts[full], fresh[full] = count, ["", None]
    try:
        old = msgspec.json.decode(remembered, type=dict[str, Any])
    except (msgspec.MsgspecError, RecursionError):
        return texts, remembered, faults
    return texts, json.dumps({**old, **fresh}, ensure_ascii=False), faults


def fresh(
    form: Mapping[str, Sequence[str]], given: Sequence[View], texts: Mapping[str, str], faults: Mapping[str, str]
) -> list[View]:
    """Return the rows for new licenses: as they were typed, with what is wrong with each."""
    there, front = {one["name"] for one in given}, f"{LICENSES}."
    rows = [
        {what: form.get(f"new.{what}.{number}", [""])[-1].strip() for what in ("name", "count")}
        for number in range(NEW)
    ]  # fmt: skip
    if not any(one["name"] or one["count"] for one in rows):
        named = [name for name in texts if name.startswith(front) and name not in there][:NEW]
        rows[: len(named)] = [{"name": name.removeprefix(front), "count": texts[name]} for name in named]
    return [
        {**one, "number": number, "fault": faults.get(f"new.{number}") or faults.get(front + one["name"], "")}
        for number, one in enumerate(rows)
    ]


def wanted(texts: Mapping[str, str], remembered: str) -> settings.Wanted:
    """Return what the form asks for. Raises `ValueError`."""
    names = {name: one for name in texts if (one := find(name)) is not None}
    return settings.wanted(texts, remembered, names)


def changes(given: Sequence[View]) -> list[View]:
    """Return the last records of the audit log that are about properties, the newest first."""
    taken_back = {one["undoes"] for one in given if one["undoes"]}
    return [
        {
            **one, "told": difference(one["before"] or {}, one["after"] or {}),
            "can_be_undone": one["before"] != one["after"] and one["id"] not in taken_back,
        }
        for one in reversed(given) if one["kind"] in TABLES
    ][:MOST_CHANGES]  # fmt: skip

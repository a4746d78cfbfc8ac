"""What the pages show that add or change a computer: every key a host can have, and the findings of its checks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import urlencode

from msgspec import structs

from tm.model.properties import DEFAULTS, HOST_KEYS, Property, text_of, value_of
from tm.places import valid_name
from tm.web.views import settings
from tm.web.views.settings import View

GROUPS = (
    ("How it is reached", ("address", "group", "launcher", "options", "tunnel")),
    ("What it offers", ("active", "cores", "memory", "gpus", "features", "consumables")),
    ("For whom and when", ("users", "owners", "hours", "policy", "console_idle")),
    ("What is installed there", ("python", "root", "program", "infoserver", "info_port")),
)
"""All keys of a host, in the order of the form."""
LEVELS = {"good": "good", "note": "warning", "bad": "bad"}
"""How a finding is shown, by its level."""


def defaults(properties: Sequence[View]) -> dict[str, Any]:
    """Return what ``[defaults]`` says, by key, of an answer to ``lsproperties``."""
    front = DEFAULTS + "."
    return {
        one["name"].removeprefix(front): one["value"]
        for one in properties if one["name"].startswith(front) and one["origin"] == "file"
    }  # fmt: skip


def known(low: Mapping[str, Any]) -> dict[str, Property]:
    """Return the keys of a host, whose defaults are what the defaults of all hosts say (*low*)."""
    return {key: structs.replace(one, default=low.get(key, one.default)) for key, one in HOST_KEYS.items()}


def said(own: Mapping[str, Any]) -> dict[str, str]:
    """Return what is said of one host alone, as text, by key; empty where nothing is."""
    return {key: text_of(one, own.get(key)) for key, one in HOST_KEYS.items()}


def seen(own: Mapping[str, Any], config: Mapping[str, Any]) -> str:
    """Return what the form remembers of a host as it shows it."""
    return settings.seen_text(said(own), config)


def sections(
    own: Mapping[str, Any], config: Mapping[str, Any], low: Mapping[str, Any], typed: Mapping[str, str],
    faults: Mapping[str, str],
) -> list[View]:  # fmt: skip
    """Return the fields of the form: what is said of the host alone (*own*), and what holds where nothing is said: of
    *config* for a key it takes over, else what the defaults say (*low*), else the usual."""
    there = said(own)
    found = []
    for title, keys in GROUPS:
        rows = []
        for key in keys:
            one = HOST_KEYS[key]
            taken = config.get(key) if key not in own else low.get(key)
            rows.append({
                "key": key, "field": settings.FIELD + key, "meaning": one.meaning, "unit": one.unit, "kind": one.kind,
                "choices": one.choices, "when": one.when, "typed": typed.get(key, there[key]),
                "fault": faults.get(key, ""), "long": one.kind in ("list", "table"),
                "standard": text_of(one, one.default if taken is None else taken),
                "origin": "host" if key in own else "defaults or group" if taken is not None else "the usual",
            })  # fmt: skip
        found.append({"title": title, "rows": rows})
    return found


def table_of(typed: Mapping[str, str]) -> dict[str, Any]:
    """Return the table of a new host of what was typed."""
    return {key: value_of(one, typed[key]) for key, one in HOST_KEYS.items() if typed.get(key)}


def changed(typed: Mapping[str, str], own: Mapping[str, Any]) -> dict[str, Any]:
    """Return what is typed otherwise than it is said of the host alone; None for what is said no longer."""
    there = said(own)
    return {
        key: value_of(one, typed[key]) if typed[key] else None
        for key, one in HOST_KEYS.items() if key in typed and typed[key] != there[key]
    }  # fmt: skip


def name_fault(name: str) -> str:
    """Return what is wrong with the *name* of a new host; empty where nothing is."""
    if not name:
        return "what is it called? a name or an address, as ssh knows it"
    return "" if valid_name(name) else "a host's name has letters, digits, '_', '.' and '-'; 'address' may be another"


def changes_of(table: Mapping[str, Any]) -> list[settings.Change]:
    """Return what is said of a new host."""
    return [
        settings.Change(key, settings.NOT_SAID, settings.shown(HOST_KEYS[key], value), HOST_KEYS[key].when)
        for key, value in table.items()
    ]  # fmt: skip


def query(check: str, name: str, typed: Mapping[str, str]) -> str:
    """Return the query of an address that holds what was typed."""
    fields = {settings.FIELD + key: text for key, text in typed.items() if key in HOST_KEYS}
    return urlencode({"check": check, "name": name, **fields})


def findings(answer: Mapping[str, Any]) -> View:
    """Return what the checks of a host say: a row for each finding, the faults first."""
    order = list(LEVELS)[::-1]
    rows = sorted(
        answer.get("findings") or [], key=lambda one: order.index(one["level"]) if one["level"] in order else 0
    )
    return {
        "rows": [{**one, "badge": LEVELS.get(one["level"], "bad")} for one in rows], "over": bool(answer.get("over")),
        "good": answer.get("good"), "error": answer.get("error"),
    }  # fmt: skip

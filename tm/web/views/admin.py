"""What the pages of administration show: users, groups, shares, certificates, changes, sessions."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, TypedDict

import msgspec

from tm.model.audit import difference
from tm.model.rights import RIGHTS
from tm.web.render import NOT_KNOWN, size

LIMITS = ("running", "cores", "memory", "queued")
"""What can be limited, for a group together and for each of its members."""
LIMIT_WORDS = {"running": "running jobs", "cores": "cores in use", "memory": "memory in use", "queued": "waiting jobs"}
SOON_DAYS = 30

View = dict[str, Any]


def users(given: Sequence[View], text: str = "") -> list[View]:
    """Return a row for each user whose name, group or address has *text* in it."""
    word = text.lower()
    rows = [{**one, "until": _last(one), "soon": _soon(one)} for one in given]
    return [one for one in rows if word in " ".join([one["name"], one["email"], *one["groups"]]).lower()]


def _last(user: View) -> str:
    """Return when the last of the user's certificates ends."""
    return max((one["until"] for one in user["certificates"]), default="")


def _soon(user: View) -> bool:
    return all(one["days_left"] < SOON_DAYS for one in user["certificates"])


def certificates(given: Iterable[View]) -> list[View]:
    """Return a row for each registered certificate, those that end first at the top."""
    rows = [{**one, "user": user["name"]} for user in given for one in user["certificates"]]
    for row in rows:
        left = row["days_left"]
        row["state"] = "expired" if left < 0 else "ends soon" if left < SOON_DAYS else "good"
    return sorted(rows, key=lambda row: (row["until"] or "", row["user"]))


def group_form(group: View) -> View:
    """Return the fields of the form that changes *group*, as texts."""
    fields: View = {
        "members": " ".join(group["members"]), "shares": str(group["shares"]),
        "rights": [right for right in group["rights"] if right in RIGHTS],
        "verbs": " ".join(right for right in group["rights"] if right not in RIGHTS and right != "all"),
        "all": "all" in group["rights"],
    }  # fmt: skip
    for key in ("limits", "user_limits"):
        for what in LIMITS:
            value = group[key].get(what)
            fields[f"{key}.{what}"] = "" if value is None else _amount(what, value)
    return fields


def _amount(what: str, value: object) -> str:
    if what != "memory" or not isinstance(value, int):
        return str(value)
    for power, unit in ((40, "T"), (30, "G"), (20, "M")):
        if value and value % (1 << power) == 0:
            return f"{value >> power}{unit}"
    return str(value)


def seen_group(group: View) -> str:
    """Return what a form remembers of a group as it was shown."""
    keys = ("members", "rights", "limits", "user_limits", "shares")
    return json.dumps({key: group[key] for key in keys}, sort_keys=True)


class SeenGroup(TypedDict):
    """What `seen_group` says."""

    members: list[str]
    rights: list[str]
    limits: dict[str, int | None]
    user_limits: dict[str, int | None]
    shares: int


def read_seen(text: str, kind: Any) -> Any:
    """Return what a form remembers, which must be a *kind*; raise `ValueError` with (field, complaint)."""
    try:
        return msgspec.json.decode(text, type=kind)
    except (msgspec.MsgspecError, RecursionError):
        raise ValueError("form", "the form cannot be read; open it anew") from None


def wanted_group(name: str, form: Mapping[str, list[str]], was: View) -> View:
    """Return the argument of ``changegroup`` that a filled *form* means for the group as it *was*.

    Raises `ValueError` with (field, complaint).
    """
    one = {key: values[-1].strip() for key, values in form.items() if values}
    members = re.split(r"[\s,]+", one.get("members", "").strip()) if one.get("members", "").strip() else []
    given = set(form.get("right", ()))
    verbs = one.get("verbs", "").split()
    rights = ["all"] if "all" in given else [*(right for right in RIGHTS if right in given), *verbs]
    shares = one.get("shares", "0") or "0"
    if not shares.isascii() or not shares.isdigit():
        raise ValueError("shares", f"'{shares:.40}' is no number of shares; 0 takes no part in sharing")
    wanted: View = {
        "name": name, "add": [m for m in members if m not in was["members"]],
        "drop": [m for m in was["members"] if m not in members], "give": [r for r in rights if r not in was["rights"]],
        "take": [r for r in was["rights"] if r not in rights], "was": was, "set": {},
    }  # fmt: skip
    if int(shares) != was["shares"]:
        wanted["set"]["shares"] = int(shares)
    for key in ("limits", "user_limits"):
        changed = {what: limit for what in LIMITS if (limit := _limit(one, key, what)) != _known(was, key, what)}
        if changed:
            wanted["set"][key] = changed
    return wanted


def _limit(one: Mapping[str, str], key: str, what: str) -> int | str | None:
    text = one.get(f"{key}.{what}", "")
    if not text:
        return None
    if what == "memory":
        return text
    if not text.isascii() or not text.isdigit():
        raise ValueError(f"{key}.{what}", f"'{text:.40}' is no number; leave it empty for no limit")
    return int(text)


def _known(was: View, key: str, what: str) -> int | str | None:
    value = was[key].get(what)
    return None if value is None else _amount(what, value) if what == "memory" else value


def nothing_changes(wanted: View) -> bool:
    """Whether a change of a group changes nothing."""
    return not any(wanted[key] for key in ("add", "drop", "give", "take", "set"))


def audit(given: Sequence[View], text: str = "") -> list[View]:
    """Return the records that have *text* in them, the newest first, each with what differs in words."""
    rows = []
    taken_back = {one["undoes"] for one in given if one["undoes"]}
    for one in reversed(given):
        told = difference(one["before"], one["after"])
        row = {**one, "told": told, "can_be_undone": one["before"] != one["after"] and one["id"] not in taken_back}
        words = [one["user"], one["verb"], one["kind"], one["name"], one["reason"], *told]
        if text.lower() in " ".join(map(str, words)).lower():
            rows.append(row)
    return rows


def shares(given: Sequence[View]) -> list[View]:
    """Return the rows of ``lsshares`` as people read them: parts in per cent, what was used in core hours."""
    return [
        {
            **one, "groups": " ".join(one["groups"]), "share": f"{100 * one['share']:.1f} %",
            "part": f"{100 * one['part']:.1f} %", "hours": f"{one['used'] / 3600:.1f}",
            "factor": f"{one['factor']:.2f}",
            "width": round(100 * min(1.0, one["part"])), "fair": round(100 * min(1.0, one["share"])),
        }
        for one in given
    ]  # fmt: skip


def groups(given: Sequence[View]) -> list[View]:
    """Return the rows of ``lsgroups`` with their limits in words."""
    return [{**one, "limit": limits(one, "limits"), "each": limits(one, "user_limits")} for one in given]


def limits(group: View, key: str) -> str:
    """Return the limits of a group in words."""
    parts = []
    for what in LIMITS:
        value = group[key].get(what)
        if value is not None:
            shown = size(value) if what == "memory" else str(value)
            parts.append(f"{shown} {LIMIT_WORDS[what]}")
    return ", ".join(parts)


def store(status: View) -> list[tuple[str, str]]:
    """Return what is said of the store's size."""
    given = status.get("store") or {}
    words = {"bytes": "jobs and events", "wal": "not yet merged", "archive_bytes": "archives by month"}
    rows = [(words[key], size(given[key])) for key in words if key in given]
    return [*rows, ("jobs in it", f"{given['jobs']:,}")] if "jobs" in given else rows or [("size", NOT_KNOWN)]

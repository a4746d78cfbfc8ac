"""Administration: users, groups, shares, certificates, the audit log, versions and the store."""

from __future__ import annotations

import json
from typing import Any

from tm.errors import RefusedError
from tm.model.rights import RIGHTS
from tm.web.answers import Answer, Page, Redirect
from tm.web.asked import Asked
from tm.web.desk import Desk
from tm.web.routes import Route
from tm.web.views import admin as views
from tm.wire.message import quote

AUDIT_LINES = 500


async def overview(desk: Desk, asked: Asked) -> Answer:
    """Return how the cluster is run: versions, the store, who may what, the last changes."""
    status = await desk.one(asked, "status")
    groups = await desk.ask(asked, "lsgroups")
    whoami = await desk.one(asked, "whoami")
    changes = views.audit(await desk.ask(asked, "audit", "10")) if asked.who.has("audit") else None
    context = {"status": status, "store": views.store(status), "groups": groups, "whoami": whoami, "changes": changes}
    return Page("admin.html", context)


# -- users --------------------------------------------------------------------------------------------------------


async def users(desk: Desk, asked: Asked) -> Answer:
    """Return all users and the form for another."""
    return await _users(desk, asked, {}, None)


async def _users(desk: Desk, asked: Asked, typed: dict[str, str], fault: RefusedError | None) -> Page:
    given = await desk.ask(asked, "lsusers")
    groups = [one["name"] for one in await desk.ask(asked, "lsgroups")]
    text = asked.args.get("text", "")
    context = {"users": views.users(given, text), "text": text, "groups": groups, "typed": typed, "fault": fault,
               "field": _user_field(fault)}  # fmt: skip
    return Page("users.html", context, 400 if fault else 200)


def _user_field(fault: RefusedError | None) -> str:
    """Return the field at which *fault* is shown."""
    word = fault.word if fault else ""
    return {"user.certificate": "certificate", "user.name": "name", "user.exists": "name"}.get(word, "form")


async def add_user(desk: Desk, asked: Asked) -> Answer:
    """Register a user."""
    typed = asked.filled()
    wanted: dict[str, Any] = {key: typed.get(key, "") for key in ("name", "certificate", "email")}
    wanted["groups"] = [name for name in asked.form.get("group", []) if name]
    try:
        await desk.said(asked, "adduser", json.dumps(wanted))
    except RefusedError as fault:
        return await _users(desk, asked, typed, fault)
    return Redirect("/admin/users", f"{wanted['name']} is a user now.")


async def user(desk: Desk, asked: Asked, name: str) -> Answer:
    """Return one user: groups, certificates, what can be changed."""
    return await _user(desk, asked, name, {}, None)


async def _user(desk: Desk, asked: Asked, name: str, typed: dict[str, str], fault: RefusedError | None) -> Page:
    found = [one for one in await desk.ask(asked, "lsusers") if one["name"] == name]
    if not found:
        raise RefusedError("user.unknown", f"there is no user {name:.64}; the list of users shows all there are")
    context = {"one": found[0], "typed": typed, "fault": fault, "seen": json.dumps(found[0]["email"])}
    return Page("user.html", context, 400 if fault else 200)


async def change_user(desk: Desk, asked: Asked, name: str) -> Answer:
    """Change a user's address or certificates."""
    typed = asked.filled()
    wanted: dict[str, Any] = {"name": name}
    if "email" in asked.form:
        wanted["email"] = asked.field("email")
        try:
            wanted["was"] = {"email": views.read_seen(asked.field("seen") or '""', str | None)}
        except ValueError as error:
            return await _user(desk, asked, name, typed, RefusedError("proto.arguments", error.args[1]))
    wanted.update((key, typed[key]) for key in ("add", "drop") if key in typed)
    try:
        await desk.said(asked, "changeuser", json.dumps(wanted))
    except RefusedError as fault:
        return await _user(desk, asked, name, typed, fault)
    return Redirect(f"/admin/users/{name}", f"{name} is changed.")


async def remove_user(desk: Desk, asked: Asked, name: str) -> Answer:
    """Ask once more, then let the user in no longer."""
    if not asked.field("sure"):
        question = (
            f"Let {name} in no longer? Their waiting jobs are cancelled; what runs goes on or is cancelled,"
            " as etc/users says."
        )
        return Page("confirm.html", {"question": question, "button": f"Remove {name}", "back": f"/admin/users/{name}",
                                     "fields": {}, "lines": []})  # fmt: skip
    await desk.said(asked, "removeuser", quote(name))
    return Redirect("/admin/users", f"{name} is a user no longer.")


# -- groups -------------------------------------------------------------------------------------------------------


async def groups(desk: Desk, asked: Asked) -> Answer:
    """Return all groups and the form for another."""
    return await _groups(desk, asked, None)


async def _groups(desk: Desk, asked: Asked, fault: RefusedError | None) -> Page:
    rows = views.groups(await desk.ask(asked, "lsgroups"))
    return Page("groups.html", {"groups": rows, "typed": asked.filled(), "fault": fault}, 400 if fault else 200)


async def add_group(desk: Desk, asked: Asked) -> Answer:
    """Make a group without members; its page gives it some."""
    name = asked.field("name")
    try:
        await desk.said(asked, "addgroup", json.dumps({"name": name}))
    except RefusedError as fault:
        return await _groups(desk, asked, fault)
    return Redirect(f"/admin/groups/{name}", f"The group {name} is made; give it members.")


async def group(desk: Desk, asked: Asked, name: str) -> Answer:
    """Return one group with the form that changes it."""
    one = await _group(desk, asked, name)
    return _group_page(one, views.group_form(one), views.seen_group(one), None)


async def _group(desk: Desk, asked: Asked, name: str) -> views.View:
    found = [one for one in await desk.ask(asked, "lsgroups") if one["name"] == name]
    if not found:
        raise RefusedError("group.unknown", f"there is no group {name:.64}; the list of groups shows all there are")
    return dict(found[0])


def _group_page(one: views.View, form: views.View, seen: str, fault: RefusedError | None, field: str = "form") -> Page:
    status = 200 if fault is None else 409 if fault.word == "conflict.changed" else 400
    context = {"one": one, "form": form, "seen": seen, "fault": fault, "field": field, "rights": RIGHTS,
               "limits": views.LIMITS, "limit_words": views.LIMIT_WORDS}  # fmt: skip
    return Page("group.html", context, status)


async def change_group(desk: Desk, asked: Asked, name: str) -> Answer:
    """Change a group, unless somebody else has meanwhile."""
    one = await _group(desk, asked, name)
    typed = {**views.group_form(one), **asked.filled(), "rights": asked.form.get("right", []),
             "all": "all" in asked.form.get("right", [])}  # fmt: skip
    try:
        wanted = views.wanted_group(name, asked.form, views.read_seen(asked.field("seen"), views.SeenGroup))
    except ValueError as error:
        field, complaint = error.args if len(error.args) == 2 else ("form", "the form cannot be read; open it anew")
        return _group_page(one, typed, asked.field("seen"), RefusedError("proto.arguments", complaint), field)
    if views.nothing_changes(wanted):
        return Redirect(f"/admin/groups/{name}", "Nothing was changed.")
    try:
        await desk.said(asked, "changegroup", json.dumps(wanted))
    except RefusedError as fault:
        seen = views.seen_group(one) if fault.word == "conflict.changed" else asked.field("seen")
        return _group_page(one, typed, seen, fault)
    return Redirect(f"/admin/groups/{name}", f"The group {name} is changed.")


async def remove_group(desk: Desk, asked: Asked, name: str) -> Answer:
    """Ask once more, then take the group out."""
    if not asked.field("sure"):
        question = f"Take the group {name} out? Its members lose the rights, limits and shares they have through it."
        return Page("confirm.html", {"question": question, "button": f"Remove {name}", "back": f"/admin/groups/{name}",
                                     "fields": {}, "lines": []})  # fmt: skip
    await desk.said(asked, "removegroup", quote(name))
    return Redirect("/admin/groups", f"The group {name} is no more.")


# -- shares, certificates, changes --------------------------------------------------------------------------------


async def shares(desk: Desk, asked: Asked) -> Answer:
    """Return whose share is what, and what they have used of it."""
    return Page("shares.html", {"rows": views.shares(await desk.ask(asked, "lsshares"))})


async def certificates(desk: Desk, asked: Asked) -> Answer:
    """Return all registered certificates and when they end."""
    given = await desk.ask(asked, "lsusers")
    return Page("certificates.html", {"rows": views.certificates(given), "status": await desk.one(asked, "status")})


async def audit(desk: Desk, asked: Asked) -> Answer:
    """Return who changed what, the newest first."""
    text = asked.args.get("text", "")
    given = await desk.ask(asked, "audit", str(AUDIT_LINES))
    return Page("audit.html", {"rows": views.audit(given, text), "text": text, "most": AUDIT_LINES})


async def undo(desk: Desk, asked: Asked, number: str) -> Answer:
    """Take a change back; refused when something has changed there since."""
    reply = await desk.said(asked, "undo", quote(number))
    return Redirect("/admin/audit", f"Taken back: {reply.text}")


ROUTES = (
    Route("GET", "/admin", overview),
    Route("GET", "/admin/users", users),
    Route("POST", "/admin/users", add_user, may="act"),
    Route("GET", "/admin/users/<name>", user),
    Route("POST", "/admin/users/<name>", change_user, may="act"),
    Route("POST", "/admin/users/<name>/remove", remove_user, may="act"),
    Route("GET", "/admin/groups", groups),
    Route("POST", "/admin/groups", add_group, may="act"),
    Route("GET", "/admin/groups/<name>", group),
    Route("POST", "/admin/groups/<name>", change_group, may="act"),
    Route("POST", "/admin/groups/<name>/remove", remove_group, may="act"),
    Route("GET", "/admin/shares", shares),
    Route("GET", "/admin/certificates", certificates),
    Route("GET", "/admin/audit", audit),
    Route("POST", "/admin/audit/<number>/undo", undo, may="act"),
)

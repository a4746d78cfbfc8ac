"""What people say to the TaskDispatcher about users and groups."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from tm.daemon.answers import Answer, Spoken, as_lines, as_reply, decoded
from tm.daemon.conflicts import Seen, check_unchanged, seen_of
from tm.daemon.dispatcher import Dispatcher
from tm.daemon.info_names import is_infoserver
from tm.daemon.people_desk import PeopleDesk, no_group, no_user, present, user_changes
from tm.daemon.web_desk import is_web
from tm.errors import RefusedError
from tm.model.audit import Deed
from tm.model.limits import Usage
from tm.model.people_views import group_lines, self_lines, show_group, show_self, show_user, user_lines
from tm.places import valid_name
from tm.ports import Edition, Peer
from tm.wire.message import Request

RESERVED = frozenset({"all", "taskdispatcher", "taskweb", "authorized_certs"})
LEAST_OF_FINGERPRINT = 8
_SETTABLE = ("rights", "limits", "user_limits", "shares")


class NewUser(msgspec.Struct, forbid_unknown_fields=True):
    """The argument of ``adduser``; *certificate* is PEM."""

    name: str
    certificate: str
    email: str = ""
    groups: list[str] = []


class UserChange(msgspec.Struct, forbid_unknown_fields=True):
    """The argument of ``changeuser``: a certificate (PEM) to add, the fingerprint of one to drop (its beginning).

    *was* holds what is meant to be there now.
    """

    name: str
    add: str = ""
    drop: str = ""
    email: str | None = None
    was: dict[str, Any] = {}


class NewGroup(msgspec.Struct, forbid_unknown_fields=True):
    """The argument of ``addgroup``."""

    name: str
    members: list[str] = []
    rights: list[str] = []
    limits: dict[str, Any] = {}
    user_limits: dict[str, Any] = {}
    shares: int | None = None


class GroupChange(msgspec.Struct, forbid_unknown_fields=True):
    """The argument of ``changegroup``.

    Members to *add* and *drop*, rights to *give* and *take*, keys to *set* and *unset*; a limit set to null goes.
    *was* holds keys as they are meant to be now.
    """

    name: str
    add: list[str] = []
    drop: list[str] = []
    give: list[str] = []
    take: list[str] = []
    set: dict[str, Any] = {}
    unset: list[str] = []
    was: dict[str, Any] = {}


class PeopleVerbs:
    """The verbs that concern users and groups."""

    def __init__(self, dispatcher: Dispatcher) -> None:
        self._dispatcher = dispatcher
        self._desk = PeopleDesk(dispatcher)
        self.methods: dict[str, Spoken] = {
            "whoami": self._whoami, "lsusers": self._lsusers, "adduser": self._adduser, "changeuser": self._changeuser,
            "removeuser": self._removeuser, "lsgroups": self._lsgroups, "addgroup": self._addgroup,
            "changegroup": self._changegroup, "removegroup": self._removegroup,
        }  # fmt: skip

    # -- questions ------------------------------------------------------------------------------------------------

    def _whoami(self, peer: Peer, request: Request, arguments: list[str]) -> Answer:
        dispatcher = self._dispatcher
        if is_infoserver(peer.user) or is_web(peer.user):
            rights = sorted(dispatcher.rights_of(peer.user))
            shown: dict[str, object] = {"user": peer.user, "groups": [], "rights": rights}
            return as_reply(request, shown, as_lines(shown))
        tables, usage = dispatcher.tables, dispatcher.brain.limits
        user = tables.users.by_name.get(peer.user)
        shown = show_self(peer.user, user, tables.groups, usage, peer.fingerprint, dispatcher.now)
        return as_reply(request, shown, as_lines(self_lines(shown)))

    def _lsusers(self, peer: Peer, request: Request, arguments: list[str]) -> Answer:
        tables, usage, now = self._dispatcher.tables, self._dispatcher.brain.limits, self._dispatcher.now
        users = [user for _, user in sorted(tables.users.by_name.items())]
        shown = [show_user(user, tables.groups, usage, now) for user in users]
        return as_reply(request, shown, user_lines(users, tables.groups, usage, now))

    def _lsgroups(self, peer: Peer, request: Request, arguments: list[str]) -> Answer:
        groups, usage = self._dispatcher.tables.groups, self._dispatcher.brain.limits
        shown = [show_group(group, usage) for group in groups.groups]
        return as_reply(request, shown, group_lines(groups, usage))

    # -- users ----------------------------------------------------------------------------------------------------

    def _adduser(self, peer: Peer, request: Request, arguments: list[str]) -> Answer:
        given = decoded(NewUser, arguments[0])
        name = given.name
        if not valid_name(name) or name in RESERVED or name.startswith("ca_certs"):
            raise RefusedError("user.name", f"'{name:.64}' cannot name a user; expected letters, digits, '_', '.', '-'")
        before = self._desk.edition()
        if before.table("user", name) is not None:
            raise RefusedError(
                "user.exists", f"there is a user {name} already; 'changeuser' adds a certificate to them"
            )
        table: dict[str, Any] = {"certificates": [], "groups": given.groups}
        if given.email:
            table["email"] = given.email
        return self._with_certificate(peer, "adduser", before, name, table, given.certificate)

    def _changeuser(self, peer: Peer, request: Request, arguments: list[str]) -> Answer:
        given = decoded(UserChange, arguments[0])
        before = self._desk.edition()
        table = present(before, "user", given.name)
        if table is None:
            raise no_user(given.name)
        seen = _seen_of_user(before, given.name, table, given.was)
        check_unchanged(given.name, "look at them again ('lsusers')", seen)
        if given.email is not None:
            table.pop("email", None)
            table.update({"email": given.email} if given.email else {})
        if given.drop:
            table["certificates"] = _dropped(before, given.name, given.drop, bool(given.add))
        if given.add:
            return self._with_certificate(peer, "changeuser", before, given.name, table, given.add)
        return self._user_changed(peer, "changeuser", before, given.name, table)

    def _removeuser(self, peer: Peer, request: Request, arguments: list[str]) -> Answer:
        before = self._desk.edition()
        if before.table("user", arguments[0]) is None:
            raise no_user(arguments[0])
        return self._user_changed(peer, "removeuser", before, arguments[0], None)

    def _with_certificate(
        self, peer: Peer, verb: str, before: Edition, name: str, table: dict[str, Any], text: str
    ) -> Answer:
        """Do *verb* with the certificate *text*, whose file is removed again when that is refused."""
        one, pem = self._desk.files.check_certificate(text, self._dispatcher.now)
        owner = before.users.user_of(one.fingerprint)
        if owner is not None:
            raise RefusedError(
                "user.certificate", f"the certificate {one.fingerprint[:16]}… is registered already, as {owner}'s"
            )
        file, take_back = self._desk.files.keep_certificate(name, one, pem)
        table["certificates"] = [*table["certificates"], file]
        try:
            return self._user_changed(peer, verb, before, name, table)
        except BaseException:
            take_back()
            raise

    def _user_changed(
        self, peer: Peer, verb: str, before: Edition, name: str, table: Mapping[str, Any] | None
    ) -> Answer:
        changes = user_changes(before, name, table)
        deed = Deed(peer.user, verb, "user", name)
        what = {"adduser": "is a user now", "removeuser": "is a user no longer"}.get(verb, "is changed")
        return self._desk.change(deed, before, changes, lambda change: f"{name} {what}; recorded as {change.id}")

    # -- groups ---------------------------------------------------------------------------------------------------

    def _addgroup(self, peer: Peer, request: Request, arguments: list[str]) -> Answer:
        given = decoded(NewGroup, arguments[0])
        before = self._desk.edition()
        if not valid_name(given.name):
            raise RefusedError("group.name", f"'{given.name:.64}' cannot name a group; expected letters, digits, '_.-'")
        if before.table("group", given.name) is not None:
            raise RefusedError("group.exists", f"there is a group {given.name} already; 'changegroup' changes it")
        _check_members(before, given.members)
        fields = {"rights": given.rights, "limits": given.limits, "user_limits": given.user_limits}
        table: dict[str, Any] = {"members": given.members, **{key: one for key, one in fields.items() if one}}
        if given.shares is not None:
            table["shares"] = given.shares
        return self._group_changed(peer, "addgroup", before, given.name, table)

    def _changegroup(self, peer: Peer, request: Request, arguments: list[str]) -> Answer:
        given = decoded(GroupChange, arguments[0])
        before = self._desk.edition()
        table = before.table("group", given.name)
        if table is None:
            raise no_group(given.name)
        seen = _seen_of_group(before, given.name, table, given.was)
        check_unchanged(f"group {given.name}", "look at it again ('lsgroups')", seen)
        _check_members(before, given.add)
        members = _edited(table.get("members", []), given.add, given.drop)
        rights = _edited(table.get("rights", []), given.give, given.take)
        changed = {**table, "members": members}
        if given.give or given.take:
            changed["rights"] = rights
        wanted = _with_keys(changed, given)
        emptied = {key for key in _SETTABLE if wanted.get(key) in ({}, [], None) and wanted.get(key) != table.get(key)}
        wanted = {key: value for key, value in wanted.items() if key not in emptied}
        return self._group_changed(peer, "changegroup", before, given.name, wanted)

    def _removegroup(self, peer: Peer, request: Request, arguments: list[str]) -> Answer:
        before = self._desk.edition()
        if before.table("group", arguments[0]) is None:
            raise no_group(arguments[0])
        return self._group_changed(peer, "removegroup", before, arguments[0], None)

    def _group_changed(
        self, peer: Peer, verb: str, before: Edition, name: str, table: Mapping[str, Any] | None
    ) -> Answer:
        deed = Deed(peer.user, verb, "group", name)
        what = {"addgroup": "is made", "removegroup": "is no more"}.get(verb, "is changed")
        changes = [("group", name, table)]
        return self._desk.change(deed, before, changes, lambda change: f"group {name} {what}; recorded as {change.id}")


def _dropped(before: Edition, name: str, fingerprint: str, another: bool) -> list[str]:
    """Return the files of *name*'s certificates without the one whose *fingerprint* begins so."""
    wanted = fingerprint.replace(":", "").lower()
    user = before.users.by_name[name]
    gone = [one for one in user.certificates if one.fingerprint.startswith(wanted)]
    if len(wanted) < LEAST_OF_FINGERPRINT or len({one.fingerprint for one in gone}) != 1:
        known = ", ".join(one.fingerprint[:16] for one in user.certificates)
        raise RefusedError("user.certificate", f"'{fingerprint:.80}' is no certificate of {name}; they have {known}")
    kept = [one.file for one in user.certificates if one not in gone]
    if not kept and not another:
        raise RefusedError(
            "user.certificate", f"it is the only certificate of {name}: add another first, or say removeuser:{name}"
        )
    return kept


def _check_members(before: Edition, members: list[str]) -> None:
    for member in members:
        if member != "*" and member not in before.users:
            raise no_user(member)


def _edited(old: list[str], more: list[str], less: list[str]) -> list[str]:
    """Return *old* without *less* and with *more*; raise `RefusedError` for what is not there to be taken."""
    for one in less:
        if one not in old:
            raise RefusedError("proto.arguments", f"'{one:.64}' is not there; there are {', '.join(old) or 'none'}")
    kept = [one for one in old if one not in less]
    return [*kept, *(one for one in dict.fromkeys(more) if one not in kept)]


def _seen_of_group(before: Edition, name: str, table: Mapping[str, Any], was: Mapping[str, Any]) -> list[Seen]:
    """Return what a group *was* and is now, as it is written or as it is shown; what it uses is no part of it."""
    group = next(group for group in before.groups.groups if group.name == name)
    shown = show_group(group, Usage())
    return [
        Seen(key, value, value if value == table.get(key) else shown.get(key))
        for key, value in was.items() if key not in ("name", "used")
    ]  # fmt: skip


def _seen_of_user(before: Edition, name: str, table: Mapping[str, Any], was: Mapping[str, Any]) -> list[Seen]:
    """Return what of a user *was* and is now: ``email``, ``groups``, ``certificates`` by their fingerprints."""
    known = {
        "email": table.get("email", ""), "groups": table.get("groups", []),
        "certificates": list(before.users.fingerprints_of(name)),
    }  # fmt: skip
    seen = dict(was)
    if isinstance(seen.get("certificates"), list):
        seen["certificates"] = [
            one.get("fingerprint") if isinstance(one, dict) else one for one in seen["certificates"]
        ]
    for key in seen:
        if key not in known:
            raise RefusedError("proto.arguments", f"'{key:.40}' cannot be looked at so; expected {', '.join(known)}")
    return seen_of(seen, known)


def _with_keys(table: dict[str, Any], given: GroupChange) -> dict[str, Any]:
    """Return *table* with the keys that are *given* to be set and unset."""
    for key in [*given.set, *given.unset]:
        if key not in _SETTABLE:
            raise RefusedError("proto.arguments", f"'{key:.40}' cannot be set; expected {', '.join(_SETTABLE)}")
    for key in given.unset:
        table.pop(key, None)
    for key, value in given.set.items():
        if isinstance(value, dict) and key in ("limits", "user_limits"):
            merged = {**table.get(key, {}), **value}
            table[key] = {what: limit for what, limit in merged.items() if limit is not None}
        else:
            table[key] = value
    return table

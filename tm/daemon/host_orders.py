"""What people order of hosts: into the configuration and out of it, other values, more jobs, no more, or not now.

Each order is done at once, in the file and live, and answered when its record is in the audit log.
"""

from __future__ import annotations

from typing import Any

import msgspec

from tm.daemon.answers import Answer, Spoken, decoded, json_line
from tm.daemon.conflicts import check_unchanged, seen_of
from tm.daemon.dispatcher import Dispatcher
from tm.daemon.host_changes import HOST, KINDS, HostChanges, check_empty
from tm.errors import RefusedError
from tm.model.audit import Change, Deed, difference, show_change
from tm.model.duration import parse_duration
from tm.model.effects import Notice
from tm.model.host import HostConfig
from tm.model.rights import DISPATCHER as RULES
from tm.model.rights import demand
from tm.model.views import shown_time
from tm.ports import Peer
from tm.wire.message import Reply, Request

LEAVE_SECONDS = 8 * 3600.0
MOST_SECONDS = 366 * 86400.0
MOST_REASON = 500
TABLES = ("options", "consumables")


class HostChange(msgspec.Struct, forbid_unknown_fields=True):
    """The argument of ``changehost``: values to *set*, keys to *unset*, and what they *were* when somebody looked."""

    name: str
    set: dict[str, Any] = {}
    unset: list[str] = []
    was: dict[str, Any] = {}


class HostOrders:
    """The verbs that change hosts."""

    def __init__(self, dispatcher: Dispatcher) -> None:
        self._dispatcher = dispatcher
        self._changes = HostChanges(dispatcher, HOST)
        for kind in KINDS:
            dispatcher.audit.undoers[kind] = HostChanges(dispatcher, kind)
        self.methods: dict[str, Spoken] = {
            "addhost": self._addhost, "changehost": self._changehost, "removehost": self._removehost,
            "activatehost": self._activatehost, "deactivatehost": self._deactivatehost, "drainhost": self._drainhost,
            "declarelost": self._declarelost, "leavehost": self._leavehost, "returnhost": self._returnhost,
        }  # fmt: skip

    # -- the configuration ----------------------------------------------------------------------------------------

    def _addhost(self, peer: Peer, request: Request, arguments: list[str]) -> Answer:
        table = decoded(dict[str, Any], arguments[0])
        name = table.pop("name", None)
        if not isinstance(name, str) or not name:
            raise RefusedError("proto.arguments", 'addhost needs a name: addhost:{"name":"n2","address":"n2.lab"}')
        self._dispatcher.check_store()
        if self._changes.present(name) is not None or name in self._dispatcher.brain.hosts:
            raise RefusedError("host.exists", f"there is a host '{name}' already; 'changehost' changes it")
        return self._put(peer, request, Deed(peer.user, "addhost", HOST, name, None, table), f"{name} is added")

    def _changehost(self, peer: Peer, request: Request, arguments: list[str]) -> Answer:
        given = decoded(HostChange, arguments[0])
        self._dispatcher.check_store()
        own = self._own(given.name)
        merged = self._dispatcher.around.host_tables.merged(given.name)
        check_unchanged(given.name, "look at it", seen_of(given.was, merged))
        both = set(given.set) & set(given.unset)
        if both:
            raise RefusedError("proto.arguments", f"'{min(both)}' is both set and unset")
        wanted = {**own, **given.set}
        for key in [*given.unset, *(key for key in TABLES if wanted.get(key) == {})]:
            wanted.pop(key, None)
        if wanted == own:
            return Reply(f"{given.name} stays as it is")
        return self._put(peer, request, Deed(peer.user, "changehost", HOST, given.name, own, wanted))

    def _removehost(self, peer: Peer, request: Request, arguments: list[str]) -> Answer:
        name = arguments[0]
        self._dispatcher.check_store()
        own = self._own(name)
        check_empty(self._dispatcher, name)
        return self._put(peer, request, Deed(peer.user, "removehost", HOST, name, own, None), f"{name} is removed")

    def _put(self, peer: Peer, request: Request, deed: Deed, done: str = "") -> Answer:
        """Do *deed*, and say how what holds for the host has changed with it."""
        tables = self._dispatcher.around.host_tables
        before = tables.merged(deed.name)
        take_back = self._changes.put(deed.name, deed.after)
        if not done:
            done = f"{deed.name}: {'; '.join(difference(before, tables.merged(deed.name))) or 'holds what it held'}"
        return self._dispatcher.audit.audited(
            deed, lambda change: _done(request, change, done), take_back, [_notice(self._dispatcher, deed)]
        )

    # -- whether jobs may start there -----------------------------------------------------------------------------

    def _activatehost(self, peer: Peer, request: Request, arguments: list[str]) -> Answer:
        return self._set_active(peer, request, Deed(peer.user, "activatehost", HOST, arguments[0]), True)

    def _deactivatehost(self, peer: Peer, request: Request, arguments: list[str]) -> Answer:
        reason = _reason(arguments, 1) or f"deactivated by {peer.user}"
        return self._set_active(
            peer, request, Deed(peer.user, "deactivatehost", HOST, arguments[0], reason=reason), False
        )

    def _drainhost(self, peer: Peer, request: Request, arguments: list[str]) -> Answer:
        within = _seconds(arguments, 1)
        deadline = None if within is None else self._dispatcher.now + within
        reason = _reason(arguments, 2) or f"drained by {peer.user}"
        deed = Deed(peer.user, "drainhost", HOST, arguments[0], reason=reason)
        return self._set_active(peer, request, deed, False, (deadline,))

    def _set_active(
        self, peer: Peer, request: Request, deed: Deed, active: bool, drained: tuple[float | None, ...] = ()
    ) -> Answer:
        dispatcher = self._dispatcher
        dispatcher.check_store()
        own = self._own(deed.name)
        wanted = own if self._said_active(deed.name) == active else {**own, "active": active}
        take_back = self._changes.put(deed.name, wanted)
        if drained:
            dispatcher.brain.host_drained(deed.name, drained[0], deed.reason, dispatcher.now)
        else:
            dispatcher.brain.host_activated(deed.name, active, deed.reason, dispatcher.now)
        told = "active" if active else f"not active: {deed.reason}"
        if drained:
            left = f"; what may be repeated leaves by {shown_time(drained[0])}" if drained[0] is not None else ""
            told = f"draining: {deed.reason}{left}"
        deed = Deed(deed.user, deed.verb, HOST, deed.name, own, wanted, deed.reason)
        return dispatcher.audit.audited(
            deed, lambda change: _done(request, change, f"{deed.name} is {told}", short=True), take_back
        )

    def _said_active(self, name: str) -> bool:
        return bool(self._dispatcher.around.host_tables.merged(name).get("active", True))

    def _declarelost(self, peer: Peer, request: Request, arguments: list[str]) -> Answer:
        name = arguments[0]
        self._dispatcher.check_store()
        lost = self._dispatcher.brain.host_declared_lost(name, peer.user, self._dispatcher.now)
        told = f"{name} is declared lost, and {lost} jobs with it"
        return self._noted(request, Deed(peer.user, "declarelost", HOST, name, reason=told), told)

    # -- for the people of the host -------------------------------------------------------------------------------

    def _leavehost(self, peer: Peer, request: Request, arguments: list[str]) -> Answer:
        name = arguments[0]
        self._demand_own(peer, "leavehost", name)
        within = _seconds(arguments, 1)
        until = self._dispatcher.now + (LEAVE_SECONDS if within is None else within)
        self._dispatcher.check_store()
        self._dispatcher.brain.machine_left(name, until, peer.user, self._dispatcher.now)
        told = f"{name} is left to {peer.user} until {shown_time(until)}"
        return self._noted(request, Deed(peer.user, "leavehost", HOST, name, reason=told), told)

    def _returnhost(self, peer: Peer, request: Request, arguments: list[str]) -> Answer:
        name = arguments[0]
        self._demand_own(peer, "returnhost", name)
        self._dispatcher.check_store()
        self._dispatcher.brain.machine_returned(name, peer.user, self._dispatcher.now)
        told = f"jobs may use {name} again"
        return self._noted(request, Deed(peer.user, "returnhost", HOST, name, reason=told), told)

    def _demand_own(self, peer: Peer, verb: str, name: str) -> None:
        config = self._config(name)
        groups = self._dispatcher.tables.groups.groups_of(peer.user)
        mine = {peer.user, "*", *(f"@{group}" for group in groups)}
        demand(RULES, verb, self._dispatcher.rights_of(peer.user), own=not mine.isdisjoint(config.owners))

    # -- parts ----------------------------------------------------------------------------------------------------

    def _noted(self, request: Request, deed: Deed, told: str) -> Answer:
        return self._dispatcher.audit.audited(deed, lambda change: _done(request, change, told, short=True))

    def _config(self, name: str) -> HostConfig:
        host = self._dispatcher.brain.hosts.get(name)
        if host is None:
            raise _unknown(name)
        return host.config

    def _own(self, name: str) -> dict[str, Any]:
        table = self._changes.present(name)
        if table is None:
            raise _unknown(name)
        return dict(table)


def _unknown(name: str) -> RefusedError:
    return RefusedError("host.unknown", f"there is no host '{name:.64}'; 'tm hosts list' lists them")


def _seconds(arguments: list[str], at: int) -> float | None:
    if len(arguments) <= at or not arguments[at]:
        return None
    try:
        seconds = parse_duration(arguments[at])
    except ValueError as error:
        raise RefusedError("proto.arguments", str(error)) from None
    if seconds > MOST_SECONDS:
        raise RefusedError("proto.arguments", f"'{arguments[at]}' is more than a year")
    return seconds


def _reason(arguments: list[str], at: int) -> str:
    return arguments[at][:MOST_REASON] if len(arguments) > at else ""


def _done(request: Request, change: Change, told: str, short: bool = False) -> Reply:
    """Return the answer to an order: *told*, and its record where JSON was asked for."""
    if request.json:
        return Reply(told, [json_line(show_change(change))])
    return Reply(told if short else f"{told}; recorded as {change.id}")


def _notice(dispatcher: Dispatcher, deed: Deed) -> Notice:
    fields: dict[str, object] = {
        "host": deed.name, "verb": deed.verb, "by": deed.user, "changed": difference(deed.before, deed.after),
        "at": shown_time(dispatcher.now),
    }  # fmt: skip
    return Notice("hosts", None, fields)

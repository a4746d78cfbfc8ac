"""What people say to the TaskDispatcher about its properties: how they are, and what they are to be.

A change of several tables is written in one step and has a record for each; it is answered when all are durable.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec
from twisted.internet.defer import Deferred, FirstError, gatherResults
from twisted.python.failure import Failure

from tm.daemon.answers import Answer, Spoken, as_reply, decoded, json_line
from tm.daemon.auditing import TakeBack
from tm.daemon.conflicts import check_unchanged, seen_of
from tm.daemon.dispatcher import Dispatcher
from tm.daemon.property_changes import VERB, PropertyChanges, thing
from tm.errors import RefusedError
from tm.model.audit import Change, Deed, difference, show_change
from tm.model.effects import Notice
from tm.model.people_views import table as table_lines
from tm.model.properties import DEFAULTS, DISPATCHER, RESTART, TABLES, Property, find, names_in, text_of
from tm.model.views import Shown, shown_time
from tm.ports import Peer
from tm.wire.message import Reply, Request

_COLUMNS = ("property", "value", "unit", "origin", "counts")
Tables = Mapping[str, Mapping[str, Any]]


class PropertyChange(msgspec.Struct, forbid_unknown_fields=True):
    """The argument of ``changeproperties``: values to *set*, names to *unset*, and what they *were* when looked at."""

    set: dict[str, Any] = {}
    unset: list[str] = []
    was: dict[str, Any] = {}


class PropertyVerbs:
    """The verbs of properties."""

    def __init__(self, dispatcher: Dispatcher) -> None:
        self._dispatcher = dispatcher
        self._changes = PropertyChanges(dispatcher)
        self.methods: dict[str, Spoken] = {"lsproperties": self._lsproperties, VERB: self._changeproperties}

    def _said(self) -> dict[str, dict[str, Any]]:
        """Return what the files say now, by table."""
        return {name: self._changes.table(name) or {} for name in TABLES}

    def _lsproperties(self, peer: Peer, request: Request, arguments: list[str]) -> Answer:
        said = self._said()
        running = {name: self._changes.running(name) for name in TABLES}
        shown = [_shown(one, said, running) for one in map(_known, names_in(said))]
        rows = [[str(one[key]) for key in ("name", "text", "unit", "origin", "when")] for one in shown]
        return as_reply(request, shown, table_lines(_COLUMNS, rows))

    def _changeproperties(self, peer: Peer, request: Request, arguments: list[str]) -> Answer:
        given = decoded(PropertyChange, arguments[0])
        self._dispatcher.check_store()
        _check(given)
        before = self._said()
        now = {name: _value(_known(name), before) for name in given.was}
        check_unchanged("what the cluster is set to", "look at it ('tm properties')", seen_of(given.was, now))
        after = _wanted(before, given)
        changed = [name for name in TABLES if after[name] != before[name]]
        if not changed:
            return Reply("all stays as it is")
        deeds = [Deed(peer.user, VERB, name, thing(name), self._changes.table(name), after[name]) for name in changed]
        take_back = self._changes.put({name: after[name] for name in changed})
        return self._recorded(request, deeds, take_back, _told(before, after, [*given.set, *given.unset]))

    def _recorded(self, request: Request, deeds: list[Deed], take_back: TakeBack, told: list[str]) -> Answer:
        """Record *deeds*, which are done and are taken back together; answer when all are durable."""
        pending, records = [take_back], []
        fields: dict[str, object] = {"verb": VERB, "by": deeds[0].user, "changed": told}
        notice = Notice("hosts", None, {**fields, "at": shown_time(self._dispatcher.now)})

        def back() -> None:
            while pending:
                pending.pop()()

        def noted(change: Change) -> Reply:
            records.append(change)
            return Reply()

        audited = self._dispatcher.audit.audited
        answers: list[Deferred[Reply]] = [
            audited(deed, noted, back, [notice] if deed is deeds[-1] else []) for deed in deeds
        ]

        def answered(replies: list[Reply]) -> Reply:
            records.sort(key=lambda change: change.id)
            if request.json:
                return Reply("; ".join(told), [json_line(show_change(one)) for one in records])
            return Reply(f"{'; '.join(told)}; recorded as {', '.join(str(one.id) for one in records)}")

        done: Deferred[Any] = gatherResults(answers, consumeErrors=True)
        return done.addCallbacks(answered, _first)


def _first(failure: Failure) -> Failure:
    """Return what is in the way, and not that it was in the way of one of several."""
    failure.trap(FirstError)
    found: Failure = failure.value.subFailure  # type: ignore[union-attr]
    return found


def _known(name: str) -> Property:
    found = find(name)
    if found is None:
        raise RefusedError(
            "property.unknown",
            f"there is no property '{name:.80}'; 'tm properties' lists them, licenses.NAME sets more",
        )
    return found


def _check(given: PropertyChange) -> None:
    """Raise `RefusedError` for names that there are not, or that are not changed so."""
    both = set(given.set) & set(given.unset)
    if both:
        raise RefusedError("proto.arguments", f"'{min(both)}' is both set and unset")
    nothing = [name for name, value in given.set.items() if value is None]
    if nothing:
        raise RefusedError("proto.arguments", f"'{nothing[0]:.80}' is set to null; 'unset' takes what is said away")
    for name in given.was:
        _known(name)
    for one in map(_known, [*given.set, *given.unset]):
        if not one.changeable:
            raise RefusedError("property.fixed", f"{one.name} {one.when}")
        if one.table == DISPATCHER and (one.name in given.unset or given.set.get(one.name) in (None, "")):
            raise RefusedError("property.fixed", f"{one.name} must be said: clients find the dispatcher by it")


def _value(one: Property, tables: Tables) -> Any:
    """Return what holds for a property: what is said in its table, else its default."""
    return tables.get(one.table, {}).get(one.key, one.default)


def _shown(one: Property, said: Tables, running: Tables) -> Shown:
    """Return the public view of a property."""
    value = _value(one, said)
    return {
        "name": one.name, "value": value, "default": one.default, "unit": one.unit, "meaning": one.meaning,
        "origin": "file" if one.key in said[one.table] else "default", "effect": one.effect, "when": one.when,
        "kind": one.kind, "choices": list(one.choices), "changeable": one.changeable, "running": _value(one, running),
        "text": text_of(one, value),
    }  # fmt: skip


def _wanted(before: Tables, given: PropertyChange) -> dict[str, dict[str, Any]]:
    """Return the tables as they are to be; a list or table that is empty is one of which nothing is said."""
    after = {name: dict(table) for name, table in before.items()}
    for one in map(_known, given.unset):
        after[one.table].pop(one.key, None)
    for one in map(_known, given.set):
        value = given.set[one.name]
        if value == {} and one.table == DEFAULTS and one.kind == "table":
            after[one.table].pop(one.key, None)
        else:
            after[one.table][one.key] = value
    return after


def _told(before: Tables, after: Tables, names: list[str]) -> list[str]:
    """Return what has changed, a phrase for each property."""
    told = []
    for one in map(_known, names):
        later = " (when the dispatcher is started again)" if one.effect == RESTART else ""
        told += [
            phrase + later for phrase in difference({one.name: _value(one, before)}, {one.name: _value(one, after)})
        ]
    return told or ["what was said by default is said in the file, or the other way round"]

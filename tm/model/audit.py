"""The audit log: who changed what of the cluster's configuration, when, from what to what.

A record is written with the change and never altered. *before* and *after* are the tables of the thing as they stand in
its file, None where it was not there; a record in which they are the same tells of something that has no inverse.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import msgspec

from tm.model.views import Shown, shown_time

Table = Mapping[str, Any]
RawTables = Mapping[str, Mapping[str, Table]]
"""All tables of the configuration as they stand in its files, by kind and name."""


@dataclass(frozen=True, slots=True)
class Deed:
    """What *user* did with *verb* to the thing *name* of a *kind* (``host``, ``user``, ``group``, …).

    *undoes* is the number of the record that this takes back; *verb* is then the one that was taken back.
    """

    user: str
    verb: str
    kind: str
    name: str
    before: Table | None = None
    after: Table | None = None
    reason: str = ""
    undoes: int | None = None


class Change(msgspec.Struct, frozen=True, kw_only=True):
    """A recorded deed: its number *id*, counted from 1 without gaps, and when it was done (seconds since the epoch)."""

    id: int
    at: float
    user: str
    verb: str
    kind: str
    name: str
    before: dict[str, Any] | None = None
    after: dict[str, Any] | None = None
    reason: str = ""
    undoes: int | None = None

    @classmethod
    def of(cls, deed: Deed, number: int, at: float) -> Change:
        """Return the record of *deed*; later changes of its tables do not change it."""
        return cls(
            id=number, at=at, user=deed.user, verb=deed.verb, kind=deed.kind, name=deed.name,
            before=_copied(deed.before), after=_copied(deed.after), reason=deed.reason, undoes=deed.undoes,
        )  # fmt: skip

    @property
    def can_be_undone(self) -> bool:
        """Whether there is something to put back."""
        return self.before != self.after


def deeds_between(user: str, verb: str, before: RawTables, after: RawTables) -> list[Deed]:
    """Return what differs between two configurations as deeds of *user*, one for each thing."""
    deeds = []
    for kind in [*before, *(kind for kind in after if kind not in before)]:
        old, new = before.get(kind, {}), after.get(kind, {})
        for name in [*old, *(name for name in new if name not in old)]:
            if old.get(name) != new.get(name):
                deeds.append(Deed(user, verb, kind, name, old.get(name), new.get(name)))
    return deeds


def own_keys(kind: str, table: Table) -> dict[str, Any]:
    """Return what of a recorded *table* stands at the thing itself: that a user is in groups, these say."""
    return {key: value for key, value in table.items() if (kind, key) != ("user", "groups")}


def _copied(table: Table | None) -> dict[str, Any] | None:
    return None if table is None else msgspec.json.decode(msgspec.json.encode(dict(table)))


def difference(before: Table | None, after: Table | None) -> list[str]:
    """Return what differs, a phrase for each key: ``cores 4 → 8``, ``features + gpu``, ``memory 64G → (not said)``."""
    if before is None or after is None:
        words = (
            "" if before is None and after is None else "not there → there" if before is None else "there → not there"
        )
        return [words] if words else []
    keys = [*before, *(key for key in after if key not in before)]
    return [_phrase(key, before.get(key), after.get(key)) for key in keys if before.get(key) != after.get(key)]


def _phrase(key: str, old: object, new: object) -> str:
    if isinstance(old, list) and isinstance(new, list):
        parts = [f"+ {_plain(one)}" for one in new if one not in old] + [
            f"- {_plain(one)}" for one in old if one not in new
        ]
        if parts:
            return f"{key} {' '.join(parts)}"
    if isinstance(old, Mapping) and isinstance(new, Mapping):
        return ", ".join(f"{key}.{phrase}" for phrase in difference(old, new))
    return f"{key} {_plain(old)} → {_plain(new)}"


def _plain(value: object) -> str:
    if value is None:
        return "(not said)"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, list):
        return ",".join(map(_plain, value)) or "(none)"
    if isinstance(value, Mapping):
        return ",".join(f"{key}={_plain(one)}" for key, one in value.items()) or "(none)"
    return str(value)


def show_change(change: Change) -> Shown:
    """Return the public view of a record."""
    return {
        "id": change.id, "at": shown_time(change.at), "user": change.user, "verb": change.verb, "kind": change.kind,
        "name": change.name, "before": change.before, "after": change.after, "reason": change.reason,
        "undoes": change.undoes,
    }  # fmt: skip

"""Forms of settings: what was typed against what was seen gives what is to be changed, and how that is shown.

The law: a field holds what is said in the file, empty where nothing is said. Only what was typed otherwise than it was
seen is asked for, together with what was seen, so that nobody overwrites what they have not looked at.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, NamedTuple

import msgspec

from tm.model.properties import Property, text_of, value_of

FIELD = "p."
"""What stands before a property's name in the name of its field."""
NOT_SAID = "(not said)"

View = dict[str, Any]
Known = Mapping[str, Property]


class Change(NamedTuple):
    """What becomes of a property: texts, as people type them; *when* it counts."""

    name: str
    old: str
    new: str
    when: str


@dataclass
class Wanted:
    """What a form asks for: values to *set*, names to *unset*, what they *were* when they were looked at; *changes*
    tells it to people, *fields* are those of a form that asks for the same."""

    set: dict[str, Any] = field(default_factory=dict)
    unset: list[str] = field(default_factory=list)
    was: dict[str, Any] = field(default_factory=dict)
    changes: list[Change] = field(default_factory=list)
    fields: dict[str, str] = field(default_factory=dict)

    def argument(self, **more: object) -> str:
        """Return the argument of a verb that changes something."""
        given = {**more, "set": self.set, "unset": self.unset, "was": self.was}
        return json.dumps(given, ensure_ascii=False).replace("\x7f", "\\u007f")


def seen_text(said: Mapping[str, str], held: Mapping[str, Any]) -> str:
    """Return what a form remembers: of each property what its file *said*, as text, and what *held*."""
    return json.dumps({name: [text, held.get(name)] for name, text in said.items()}, ensure_ascii=False)


def typed(form: Mapping[str, Sequence[str]]) -> dict[str, str]:
    """Return what was typed, by the names of properties."""
    return {
        name.removeprefix(FIELD): values[-1].strip().replace("\r\n", "\n")
        for name, values in form.items() if name.startswith(FIELD) and values
    }  # fmt: skip


def wanted(texts: Mapping[str, str], seen: str, known: Known) -> Wanted:
    """Return what *texts* ask for where *seen*, which a form remembered, was looked at.

    Raises `ValueError` when *seen* is not what a form remembers.
    """
    found = Wanted()
    remembered = {}
    for name, (said, held) in _remembered(seen).items():
        text = texts.get(name, said)
        one = known.get(name)
        if text == said or one is None or not one.changeable:
            continue
        if text:
            found.set[name] = value_of(one, text)
        else:
            found.unset.append(name)
        found.was[name] = held
        found.changes.append(Change(name, shown(one, held), shown(one, found.set.get(name)), one.when))
        found.fields[FIELD + name] = text
        remembered[name] = [said, held]
    found.fields["seen"] = json.dumps(remembered, ensure_ascii=False)
    return found


def _remembered(seen: str) -> Mapping[str, tuple[str, Any]]:
    try:
        return msgspec.json.decode(seen, type=dict[str, tuple[str, Any]])
    except (msgspec.MsgspecError, RecursionError):
        raise ValueError("this form cannot be read; open the page anew and type it again") from None


def shown(one: Property, value: object) -> str:
    """Return *value* for people who compare it with another; where there is none, what holds then."""
    if value is not None:
        return text_of(one, value) or "(empty)"
    return f"{text_of(one, one.default)} (the default)" if one.default not in (None, "", [], {}) else NOT_SAID


def remembering(found: Wanted, now: Mapping[str, Any]) -> dict[str, str]:
    """Return the fields of a form that asks for the same of what is there *now*, by the names of properties."""
    seen = {name: [text, now.get(name, held)] for name, (text, held) in _remembered(found.fields["seen"]).items()}
    return {**found.fields, "seen": json.dumps(seen, ensure_ascii=False)}


def conflicts(body: Iterable[str], found: Wanted, known: Known) -> tuple[list[View], dict[str, Any]]:
    """Return a row for each property that somebody else has changed, and what there is now, by name."""
    rows, now = [], {}
    for one in map(msgspec.json.decode, body):
        name = str(one["key"])
        now[name] = one["now"]
        told = known.get(name)
        if told is not None:
            mine = shown(told, found.set.get(name))
            rows.append({"name": name, "seen": shown(told, one["seen"]), "now": shown(told, one["now"]), "mine": mine})
    return rows, now


def faults(lines: Iterable[str], names: Iterable[str], front: str = "") -> dict[str, str]:
    """Return which fault is told beside which of *names*, where each line begins with *front* and a name; those that
    are about nothing that was typed are under the empty name."""
    found: dict[str, str] = {}
    by_length = sorted(names, key=len, reverse=True)
    for line in lines:
        rest = line.removeprefix(front) if line.startswith(front) else ""
        name = next((one for one in by_length if rest.startswith((f"{one}: ", f"{one} "))), "")
        text = rest[len(name) :].lstrip(": ").removesuffix("; nothing was changed") if name else line
        found[name] = f"{found[name]}\n{text}" if name in found else text
    return found

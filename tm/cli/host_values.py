"""``KEY=VALUE`` as people type it for a host → what ``changehost`` takes.

``cores=8`` sets, ``cores=`` takes the line out, ``features+=gpu`` and ``features-=old`` add to a list and take from it,
``options.port=2222`` is one entry of a table. What is expected of a value the dispatcher knows; here it gets its type.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from tm.client.program import UsageError
from tm.model.duration import parse_duration

NUMBERS = ("cores", "gpus", "info_port", "options.port")
FRACTIONS = ("console_idle",)
TRUTHS = ("active", "infoserver", "tunnel")
LISTS = {"features": ",", "users": ",", "owners": ",", "hours": ";"}
"""The keys that hold lists, and what stands between the values of each."""
TABLES = ("options", "consumables")

_ASSIGNMENT = re.compile(r"([a-z_]+)(?:\.(\w(?:[\w.+-]*[\w.])?))?([+-]?)=(.*)\Z", re.DOTALL | re.ASCII)
_WORDS = {"true": True, "yes": True, "on": True, "false": False, "no": False, "off": False}


@dataclass
class HostEdit:
    """What is to be set and unset, and what the keys concerned *were* when they were looked at."""

    set: dict[str, Any] = field(default_factory=dict)
    unset: list[str] = field(default_factory=list)
    was: dict[str, Any] = field(default_factory=dict)

    def json(self, host: str) -> str:
        """Return the argument of ``changehost``."""
        given = {"name": host, "set": self.set, "unset": self.unset, "was": self.was}
        return json.dumps(given, ensure_ascii=False).replace("\x7f", "\\u007f")


def edit_of(words: Sequence[str], config: Mapping[str, Any], own: Mapping[str, Any]) -> HostEdit:
    """Return what *words* mean for a host of which *config* holds, and *own* is said of it alone.

    Raises `UsageError` for what is no ``KEY=VALUE``.
    """
    edit = HostEdit()
    for word in words:
        found = _ASSIGNMENT.match(word)
        if found is None:
            raise UsageError(f"'{word}': expected KEY=VALUE, KEY= , KEY+=VALUE or KEY-=VALUE, e.g. cores=8")
        key, entry, sign, text = found.groups()
        edit.was[key] = config.get(key)
        if entry is not None:
            _set_entry(edit, own, key, entry, sign, text)
        elif sign:
            _set_part(edit, config, key, sign, text)
        elif text:
            edit.set[key] = value_of(key, text)
        else:
            edit.set.pop(key, None)
            edit.unset.append(key)
    return edit


def _set_entry(edit: HostEdit, own: Mapping[str, Any], key: str, entry: str, sign: str, text: str) -> None:
    if sign or key not in TABLES:
        raise UsageError(
            f"'{key}.{entry}{sign}={text}': only {' and '.join(TABLES)} have entries, and these are set: ="
        )
    table = dict(edit.set.get(key, own.get(key, {})))
    if text:
        table[entry] = value_of(f"{key}.{entry}", text)
    else:
        table.pop(entry, None)
    edit.set[key] = table


def _set_part(edit: HostEdit, config: Mapping[str, Any], key: str, sign: str, text: str) -> None:
    if key not in LISTS:
        raise UsageError(f"'{key}{sign}={text}': {key} is no list; the lists are {', '.join(LISTS)}")
    now = list(edit.set.get(key, config.get(key) or []))
    parts = value_of(key, text)
    if sign == "+":
        edit.set[key] = now + [part for part in parts if part not in now]
        return
    for part in parts:
        if part not in now:
            raise UsageError(f"'{key}-={text}': '{part}' is not among {', '.join(now) or 'none'}")
    edit.set[key] = [part for part in now if part not in parts]


def table_of(words: Sequence[str]) -> dict[str, Any]:
    """Return the table of a new host: what *words* set. Raises `UsageError`."""
    return edit_of(words, {}, {}).set


def value_of(key: str, text: str) -> Any:
    """Return *text* with the type that *key* has; a text that does not fit stays one, and the dispatcher says so."""
    if key in LISTS:
        return [part.strip() for part in text.split(LISTS[key]) if part.strip()]
    if key in NUMBERS or key.startswith("consumables."):
        return int(text) if re.match(r"-?[0-9]{1,18}\Z", text) else text
    if key in FRACTIONS:
        try:
            number = float(text)
        except ValueError:
            return text
        return int(number) if number.is_integer() else number
    if key in TRUTHS:
        return _WORDS.get(text.lower(), text)
    return text


def check_duration(text: str) -> None:
    """Raise `UsageError` for what is no duration; a number without a unit, but 0, could mean anything."""
    try:
        seconds = parse_duration(text)
    except ValueError as error:
        raise UsageError(str(error)) from None
    if text.isdigit() and seconds:
        raise UsageError(f"'{text}' has no unit; write {text}m, {text}h or {text}d")

"""One table of a TOML file is given other contents; everything else of the file stays as somebody wrote it.

The law: the result is read again and must be what was meant, or nothing is changed.
"""

from __future__ import annotations

import json
import tomllib
from collections.abc import Mapping
from typing import Any

from tm.config.toml_text import Path, Statement, key_text, list_text, scan, value_text

DEEPEST = 20
NOTHING = "# Nothing stands here.\n"
"""What a file holds that has lost its last table: an empty one would be taken for a damaged one."""


def with_table(text: str, where: Path, wanted: Mapping[str, Any] | None) -> str:
    """Return *text* in which the table *where* (``("hosts", "n1")``) is *wanted*; None takes it out.

    Comments stay: those of a key that changes too; with a key that goes only the one on its line, with a table those
    right above it. A new table comes at the end. Raises `ValueError` when the text cannot be changed so.
    """
    return edited(text, tomllib.loads(text), where, wanted)[0]


def edited(
    text: str, data: dict[str, Any], where: Path, wanted: Mapping[str, Any] | None
) -> tuple[str, dict[str, Any]]:
    """Return as `with_table` the new text, and what it says; *data* is what *text* says. Long files are read once."""
    if wanted is not None and not _is_shallow(wanted, DEEPEST):
        raise ValueError(f"what [{'.'.join(where)}] is to hold is nested too deeply")
    present = table_of(data, where)
    meant = _meant(data, where, wanted)
    ending = "\r\n" if "\r\n" in text else "\n"
    body = text.replace("\r\n", "\n")
    if wanted is None:
        body = _removed(body, where)
    elif present is None:
        body = _appended(body, where, wanted)
    else:
        body = _changed(body, where, present, wanted)
        if not wanted and table_of(tomllib.loads(body), where) is None:
            body = _appended(body, where, wanted)
    changed = (body if body.strip() else NOTHING).replace("\n", ending)
    try:
        read = tomllib.loads(changed)
    except tomllib.TOMLDecodeError:
        read = {}
    if not same(_pruned(read, where), meant):
        raise ValueError(f"[{'.'.join(where)}] is written in a way that cannot be changed safely")
    return changed, read


def table_of(data: Mapping[str, Any], where: Path) -> dict[str, Any] | None:
    """Return the table *where* of what was read, or None."""
    found: Any = data
    for name in where:
        found = found.get(name) if isinstance(found, Mapping) else None
    return found if isinstance(found, dict) else None


def _is_shallow(value: object, levels: int) -> bool:
    below = value.values() if isinstance(value, Mapping) else value if isinstance(value, list) else ()
    return levels > 0 and all(_is_shallow(one, levels - 1) for one in below)


def same(one: object, other: object) -> bool:
    """Whether two values read from TOML are the same, their types included: 1, 1.0 and true differ."""
    return json.dumps(one, sort_keys=True, default=repr) == json.dumps(other, sort_keys=True, default=repr)


def _meant(data: dict[str, Any], where: Path, wanted: Mapping[str, Any] | None) -> dict[str, Any]:
    meant = parent = dict(data)
    for name in where[:-1]:
        below = parent.get(name, {})
        if not isinstance(below, dict):
            raise ValueError(f"'{name}' is no table")
        parent[name] = parent = dict(below)
    if wanted is None:
        parent.pop(where[-1], None)
    else:
        parent[where[-1]] = dict(wanted)
    return _pruned(meant, where)


def _pruned(data: dict[str, Any], where: Path) -> dict[str, Any]:
    """Leave out the first table of *where* when it is empty: it is there only for what is in it."""
    return {key: value for key, value in data.items() if key != where[0] or len(where) == 1 or value != {}}


def _changed(text: str, where: Path, present: Mapping[str, Any], wanted: Mapping[str, Any]) -> str:
    for key in present:
        if key not in wanted:
            text = _removed(text, (*where, key))
    for key, value in wanted.items():
        old = present.get(key)
        if key in present and same(old, value):
            continue
        if isinstance(old, Mapping) and isinstance(value, Mapping) and not _value_of(scan(text), (*where, key)):
            text = _changed(text, (*where, key), old, value)
        else:
            text = _set(text, where, key, old, value)
    return text


def _value_of(statements: list[Statement], path: Path) -> Statement | None:
    return next((one for one in statements if one.kind == "value" and one.path == path), None)


def _set(text: str, where: Path, key: str, old: object, value: object) -> str:
    statements = scan(text)
    there = _value_of(statements, (*where, key))
    if there is not None:
        if isinstance(old, list) and isinstance(value, list):
            fresh = list_text(text[there.at : there.to], old, value)
        else:
            fresh = value_text(value)
        return text[: there.at] + fresh + text[there.to :]
    inline = _value_of(statements, where)
    if inline is not None:
        whole = {**tomllib.loads(f"x = {text[inline.at : inline.to]}")["x"], key: value}
        return text[: inline.at] + value_text(whole) + text[inline.to :]
    if old is not None:
        text = _removed(text, (*where, key))
        statements = scan(text)
    return _inserted(text, statements, where, key, value)


def _inserted(text: str, statements: list[Statement], where: Path, key: str, value: object) -> str:
    """Add a key to a table that is there: behind its last one, written as that is."""
    mine = [one for one in statements if one.kind == "value" and one.path[: len(where)] == where]
    for place, one in enumerate(statements):
        if one.kind == "header" and one.path == where:
            last = one
            for later in statements[place + 1 :]:
                if later.kind == "header":
                    break
                last = later if later.kind == "value" else last
            indent = "" if last is one else _indent(text, last)
            return _line_after(text, last, f"{indent}{key_text(key)} = {value_text(value)}")
        if one.kind == "header" and one.path[: len(where)] == where:
            break
    dotted = [one for one in mine if not _below_header(statements, one, where)]
    if dotted:
        last = dotted[-1]
        words = ".".join(map(key_text, (*where[len(_table_at(statements, last)) :], key)))
        return _line_after(text, last, f"{_indent(text, last)}{words} = {value_text(value)}")
    first = next(one for one in statements if one.kind == "header" and one.path[: len(where)] == where)
    header = ".".join(map(key_text, where))
    return text[: first.start] + f"[{header}]\n{key_text(key)} = {value_text(value)}\n\n" + text[first.start :]


def _table_at(statements: list[Statement], value: Statement) -> Path:
    table: Path = ()
    for one in statements:
        if one is value:
            break
        if one.kind == "header":
            table = one.path
    return table


def _below_header(statements: list[Statement], value: Statement, where: Path) -> bool:
    """Whether *value* stands below a header of *where* itself or of a table in it."""
    return _table_at(statements, value)[: len(where)] == where


def _indent(text: str, statement: Statement) -> str:
    line = text[statement.start : statement.end]
    return line[: len(line) - len(line.lstrip(" \t"))]


def _line_after(text: str, statement: Statement, line: str) -> str:
    head = text[: statement.end]
    if not head.endswith("\n"):
        head += "\n"
    return head + line + "\n" + text[statement.end :]


def _appended(text: str, where: Path, wanted: Mapping[str, Any]) -> str:
    lines = [f"[{'.'.join(map(key_text, where))}]"]
    lines += [f"{key_text(key)} = {value_text(value)}" for key, value in wanted.items()]
    gap = "" if not text.strip() else "\n" if text.endswith("\n") else "\n\n"
    return text + gap + "\n".join(lines) + "\n"


def _removed(text: str, where: Path) -> str:
    """Take out every statement about *where* and what is below it."""
    while True:
        statements = scan(text)
        for place, one in enumerate(statements):
            if one.kind in ("header", "value") and one.path[: len(where)] == where:
                start, end = _extent(statements, place)
                text = text[:start] + text[end:]
                break
        else:
            holds = table_of(tomllib.loads(text), where[:-1])
            return _out_of_inline(text, where) if holds and where[-1] in holds else text


def _out_of_inline(text: str, where: Path) -> str:
    """Take the key *where* out of a table that is written on one line."""
    inline = _value_of(scan(text), where[:-1])
    if inline is None:
        return text
    rest = tomllib.loads(f"x = {text[inline.at : inline.to]}")["x"]
    rest.pop(where[-1], None)
    return text[: inline.at] + value_text(rest) + text[inline.to :]


def _extent(statements: list[Statement], place: int) -> tuple[int, int]:
    """Return what goes with the statement at *place*: a key's lines; a table's, and the comments right above it."""
    one = statements[place]
    if one.kind == "value":
        return one.start, one.end
    first = place
    while first and statements[first - 1].kind == "comment":
        first -= 1
    if first == 0:
        first = place  # what stands at the very beginning is about the file
    last = place
    for later in range(place + 1, len(statements)):
        if statements[later].kind == "header":
            break
        last = later if statements[later].kind == "value" else last
    end = last + 1
    if first and statements[first - 1].kind == "blank" and (end == len(statements) or statements[end].kind == "blank"):
        first -= 1
    return statements[first].start, statements[end - 1].end

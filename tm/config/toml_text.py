"""The text of a TOML file as statements, so that one can be changed and all else stays: comments, order, line ends.

A statement is a header, a key with its value (of however many lines), or a line that is blank or a comment. What cannot
be told apart is a `ValueError`: nobody edits what they do not understand.
"""

from __future__ import annotations

import json
import re
import tomllib
from collections.abc import Mapping
from functools import lru_cache
from typing import Any, NamedTuple

_KEY = r"""(?:[A-Za-z0-9_-]+|"(?:[^"\\\n]|\\.)*"|'[^'\n]*')"""
_PARTS = re.compile(_KEY)
_DOTTED = re.compile(rf"[ \t]*({_KEY}(?:[ \t]*\.[ \t]*{_KEY})*)[ \t]*")
_TOKEN = re.compile(
    r'"""(?:[^\\]|\\.)*?"{3,5}|' + r"'''.*?'{3,5}|" + r'"(?:[^"\\\n]|\\.)*"|' + r"'[^'\n]*'|"
    r"(?P<comment>\#[^\n]*)|(?P<open>[\[{])|(?P<close>[\]}])|(?P<comma>,)|(?P<end>\r?\n)|(?P<space>[ \t]+)|"
    r"[^\"'\#\[\]{},\s]+",
    re.DOTALL,
)
_PLAIN_KEY = re.compile(r"[A-Za-z0-9_-]+\Z")

Path = tuple[str, ...]


class Statement(NamedTuple):
    """One statement: text[start:end] is its lines, *path* what it is about (a header's table, or table and key).

    *kind* is ``header``, ``value``, ``comment`` or ``blank``; a value's own text is text[at:to].
    """

    kind: str
    start: int
    end: int
    path: Path = ()
    at: int = 0
    to: int = 0


@lru_cache(maxsize=8)
def scan(text: str) -> list[Statement]:
    """Return the statements of *text*, which together are all of it."""
    found: list[Statement] = []
    table: Path = ()
    at = 0
    while at < len(text):
        end = text.find("\n", at) + 1 or len(text)
        line = text[at:end].strip()
        if not line or line.startswith("#"):
            made = Statement("comment" if line else "blank", at, end)
        elif line.startswith("["):
            table = _header(text, at, line.startswith("[["))
            made = Statement("header", at, end, table)
        else:
            made = _assignment(text, at, table)
        found.append(made)
        at = made.end
    return found


def _header(text: str, at: int, many: bool) -> Path:
    found = _DOTTED.match(text, text.index("[", at) + (2 if many else 1))
    if found is None:
        raise ValueError("a header cannot be read")
    path = _decoded(found.group(1))
    return (*path, "", "") if many else path  # [[…]] holds nothing that is edited here: nobody's path is like that


def _assignment(text: str, start: int, table: Path) -> Statement:
    key = _DOTTED.match(text, start)
    if key is None or text[key.end() : key.end() + 1] != "=":
        raise ValueError("a key cannot be read")
    at = key.end() + 1
    while text[at : at + 1] in (" ", "\t"):
        at += 1
    position = to = at
    depth = 0
    while position < len(text):
        token = _TOKEN.match(text, position)
        if token is None:
            raise ValueError("a value cannot be read")
        position = token.end()
        kind = token.lastgroup
        if kind == "end" and depth == 0:
            break
        depth += (kind == "open") - (kind == "close")
        if kind not in ("comment", "space", "end"):
            to = position
    return Statement("value", start, position, (*table, *_decoded(key.group(1))), at, to)


def _decoded(dotted: str) -> Path:
    parts = _PARTS.findall(dotted)
    return tuple(part if _PLAIN_KEY.match(part) else next(iter(tomllib.loads(f"{part}=0"))) for part in parts)


def key_text(name: str) -> str:
    """Return *name* as a key is written."""
    return name if _PLAIN_KEY.match(name) else value_text(name)


def value_text(value: object) -> str:
    """Return *value* (text, number, truth, list or table of these) as TOML on one line."""
    if isinstance(value, str):
        return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
    if isinstance(value, list | tuple):
        return "[" + ", ".join(map(value_text, value)) + "]"
    if isinstance(value, Mapping):
        inside = ", ".join(f"{key_text(key)} = {value_text(one)}" for key, one in value.items())
        return f"{{ {inside} }}" if inside else "{}"
    if isinstance(value, bool):
        return "true" if value else "false"
    return repr(value)


def list_text(text: str, old: list[Any], new: list[Any]) -> str:
    """Return the *text* of the list *old* changed to *new*; what stays keeps its place and comments if it can."""
    kept = [one for one in old if one in new]
    elements = _elements(text)
    if len(elements) == len(old) and len(set(map(repr, old))) == len(old) and new[: len(kept)] == kept:
        changed = text
        if kept or not old:
            changed = _added(changed, elements, new[len(kept) :])
        for (start, end), value in reversed(list(zip(elements, old, strict=True))):
            if value not in kept:
                changed = _without(changed, start, end)
        if _read(changed) == new:
            return changed
    return value_text(new)


def _read(text: str) -> object:
    try:
        return tomllib.loads(f"x = {text}")["x"]
    except tomllib.TOMLDecodeError:
        return None


def _elements(text: str) -> list[tuple[int, int]]:
    """Return where the elements of a list of plain values stand; nothing for a list of other things."""
    found = []
    for token in _TOKEN.finditer(text, 1, len(text) - 1):
        if token.lastgroup in ("open", "close"):
            return []
        if token.lastgroup is None:
            found.append(token.span())
    return found


def _added(text: str, elements: list[tuple[int, int]], values: list[Any]) -> str:
    """Put *values* behind the last element, on lines of their own where the elements have such."""
    if not values or not elements:
        return text if not values else value_text(values)
    start, end = elements[-1]
    line = text.rfind("\n", 0, start) + 1
    words = [value_text(value) for value in values]
    if line == 0 or text[line:start].strip():
        return text[:end] + "".join(f", {word}" for word in words) + text[end:]
    following = text.find("\n", end) + 1
    if not following:
        return text[:end] + "".join(f", {word}" for word in words) + text[end:]
    comma = "" if text[end:].lstrip(" \t").startswith(",") else ","
    more = "".join(f"{text[line:start]}{word},\n" for word in words)
    return text[:end] + comma + text[end:following] + more + text[following:]


def _without(text: str, start: int, end: int) -> str:
    """Take out the element text[start:end]: its whole line where it has one, else with one comma."""
    line, following = text.rfind("\n", 0, start) + 1, text.find("\n", end) + 1
    rest = text[end : following - 1].strip() if following else ""
    if line and following and not text[line:start].strip() and re.match(r",?\s*(#.*)?\Z", rest):
        return text[:line] + text[following:]
    after = re.compile(r"\s*,[ \t]*").match(text, end)
    if after is not None:
        return text[:start] + text[after.end() :]
    before = re.search(r",\s*\Z", text[:start])
    return text[: before.start() if before else start] + text[end:]

"""``tm properties``: what is set of the cluster as a whole, and how it is set otherwise while everything runs.

What may be set, and to what, the dispatcher knows; here a value gets its type.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from tm.cli.reaching import dispatcher
from tm.errors import RefusedError

if TYPE_CHECKING:
    from tm.client.connection import Connection

Environ = Mapping[str, str]
Runner = Callable[[argparse.Namespace, Environ], list[str]]
Maker = Callable[[Any, Runner, str, str], argparse.ArgumentParser]

EXAMPLES = """\
  tm properties                                             what is set of the cluster: scheduling, licenses, mail, …
  tm properties list scheduling                             of one table, or one property and what it means
  tm properties set scheduling.half_life=14d licenses.ansys=12
  tm properties unset mail.sender licenses.old              the default holds again; a license is there no longer
"""
_TITLES = ("PROPERTY", "VALUE", "UNIT", "ORIGIN", "MEANING")


def add_command(commands: Any, command: Maker) -> None:
    """Add ``properties`` to *commands*."""
    parser = command(commands, _run, "properties", "what is set of the cluster as a whole; set it otherwise")
    parser.add_argument("what", nargs="?", choices=("list", "set", "unset"), default="list", help="(list)")
    parser.add_argument("words", nargs="*", metavar="NAME[=VALUE]", help="properties, or tables of them to list")
    parser.add_argument("--json", action="store_true", help="one JSON object a line")


def _run(arguments: argparse.Namespace, environ: Environ) -> list[str]:
    words: list[str] = arguments.words
    if arguments.what == "list":
        with dispatcher(arguments, environ) as connection:
            return _listed(connection, words, arguments.json)
    if not words:
        raise _usage(f"'tm properties {arguments.what}' of what? 'tm properties' lists what there is")
    given = {"set": _values(words)} if arguments.what == "set" else {"unset": words}
    with dispatcher(arguments, environ) as connection:
        rest = json.dumps(given, ensure_ascii=False).replace("\x7f", "\\u007f")
        reply = connection.ask("changeproperties", rest, json=arguments.json)
    return list(reply.body) if arguments.json else [reply.text]


def _values(words: Sequence[str]) -> dict[str, Any]:
    """Return what ``scheduling.half_life=14d`` and the like mean. Raises `UsageError`, `RefusedError`."""
    from tm.model.properties import find, value_of

    values = {}
    for word in words:
        name, equals, text = word.partition("=")
        if not equals or not name:
            raise _usage(f"'{word}': expected NAME=VALUE, e.g. scheduling.half_life=14d")
        one = find(name)
        if one is None:
            raise RefusedError("property.unknown", f"there is no property '{name}'; 'tm properties' lists them")
        values[name] = value_of(one, text)
    return values


def _listed(connection: Connection, words: Sequence[str], as_json: bool) -> list[str]:
    found = []
    for line in connection.ask("lsproperties", "", json=True).body:
        one = json.loads(line)
        if not words or one["name"] in words or one["name"].partition(".")[0] in words:
            found.append((line, one))
    if words and not found:
        raise RefusedError("property.unknown", f"there is no property '{words[0]}'; 'tm properties' lists them")
    if as_json:
        return [line for line, _ in found]
    if len(found) == 1 and found[0][1]["name"] in words:
        return _card(found[0][1])
    return _table([one for _, one in found])


def _table(found: Sequence[Mapping[str, Any]]) -> list[str]:
    from tm.client.rows import screen_width
    from tm.client.table import Column, render

    rows = [[one["name"], one["text"] or "-", one["unit"], one["origin"], one["meaning"]] for one in found]
    return render([Column(title) for title in _TITLES], rows, screen_width())


def _card(one: Mapping[str, Any]) -> list[str]:
    from tm.model.properties import find, text_of

    known = find(one["name"])
    standard = text_of(known, one["default"]) if known else str(one["default"])
    pending = "" if one["running"] == one["value"] else f"  (now {one['running']})"
    rows = {
        "property": one["name"], "meaning": one["meaning"], "value": (one["text"] or "none") + pending,
        "default": standard or "none", "unit": one["unit"], "origin": one["origin"],
        "values": " ".join(one["choices"]), "counts": one["when"],
    }  # fmt: skip
    return [f"{key:<10} {value}" for key, value in rows.items() if value]


def _usage(text: str) -> Exception:
    from tm.client.program import UsageError

    return UsageError(text)

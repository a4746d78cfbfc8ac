"""``tm token …`` and ``tm web …``: who is let in without a certificate of their own, and how that ends.

A token is made through one's own server, which agrees to it; all else is a line to the TaskDispatcher.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from tm.cli.reaching import dispatcher, places_of
from tm.errors import RefusedError

Environ = Mapping[str, str]
Runner = Callable[[argparse.Namespace, Environ], list[str]]
Maker = Callable[[Any, Runner, str, str], argparse.ArgumentParser]

EXAMPLES = """\
  tm token create nightly --may look --days 30              a token for a program that uses the web interface's API
  tm token list                                             my tokens, what they may, until when, when they were used
  tm token revoke t4f09c2ab                                 one of them counts no longer
  tm web sessions                                           where I am logged in, and links that nobody has used yet
  tm web end s4f09c2ab                                      log that browser out
"""
_TITLES = ("ID", "KIND", "USER", "MAY", "NAME", "UNTIL", "LAST USED", "FROM", "WITH")
_MINUTES = 16


def add_commands(commands: Any, group: Callable[[Any, str, str], Any], command: Maker) -> None:
    """Add ``token`` and ``web`` to *commands*: *group* makes a parser with commands, *command* one of these."""
    tokens = group(commands, "token", "tokens with which programs use the web interface's API")
    create = command(tokens, _create, "token create", "make a token; it is shown once")
    create.add_argument("name", metavar="NAME", help="what it is for, to know it by")
    create.add_argument(
        "--may", choices=("look", "act", "submit"), default="look", help="what can be done with it (%(default)s)"
    )
    create.add_argument("--days", type=int, default=90, help="how long it is good, 366 at most (%(default)s)")
    listing = command(tokens, _tokens, "token list", "list my tokens")
    revoke = command(tokens, _revoke, "token revoke", "let a token count no longer")
    web = group(commands, "web", "who is logged in to the web interface")
    sessions = command(web, _sessions, "web sessions", "list my sessions and links")
    end = command(web, _end, "web end", "end a session or a link")
    for parser in (listing, sessions):
        parser.add_argument("--all", action="store_true", help="everybody's; needs the right 'users'")
    for parser in (revoke, end):
        parser.add_argument("id", metavar="ID")
    for parser in (create, listing, revoke, sessions, end):
        parser.add_argument("--json", action="store_true", help="one JSON object a line")


def _create(arguments: argparse.Namespace, environ: Environ) -> list[str]:
    from tm.client import tms
    from tm.client.weblogin import MAY, ask

    given = {"name": arguments.name, "may": arguments.may, "days": arguments.days}
    with tms.open_tms(places_of(arguments, environ), start=not arguments.etc) as connection:
        made = ask(connection, "addtoken", given)
    if arguments.json:
        return [json.dumps(made, ensure_ascii=False)]
    return [
        str(made["token"]),
        f"This is shown once; it lets a program {MAY[arguments.may]} in your name until {_minute(made['until'])} UTC.",
        f"Keep it like a password. 'tm token revoke {made['id']}' ends it.",
    ]


def _tokens(arguments: argparse.Namespace, environ: Environ) -> list[str]:
    return _listed(arguments, environ, ("token",), "no tokens; 'tm token create NAME' makes one")


def _sessions(arguments: argparse.Namespace, environ: Environ) -> list[str]:
    return _listed(arguments, environ, ("session", "link"), "no sessions; 'hRunJob --web' prints a link to one")


def _listed(arguments: argparse.Namespace, environ: Environ, kinds: Sequence[str], none: str) -> list[str]:
    from tm.client.rows import screen_width
    from tm.client.table import Column, render

    with dispatcher(arguments, environ) as connection:
        user = json.loads(connection.ask("whoami", json=True).body[0])["user"]
        every = [json.loads(line) for line in connection.ask("lssessions", json=True).body]
    found = [one for one in every if one["kind"] in kinds and (arguments.all or one["user"] == user)]
    if arguments.json:
        return [json.dumps(one, ensure_ascii=False) for one in found]
    if not found:
        return [none]
    return render([Column(title) for title in _TITLES], [_row(one) for one in found], screen_width())


def _row(one: Mapping[str, Any]) -> list[str]:
    return [
        one["id"], one["kind"], one["user"], one["may"], one["name"], _minute(one["until"]),
        _minute(one["used"]) if one["used"] else "never", one["address"], one["agent"],
    ]  # fmt: skip


def _minute(time: str) -> str:
    """Return the *time* of a public view to the minute."""
    return time[:_MINUTES].replace("T", " ")


def _revoke(arguments: argparse.Namespace, environ: Environ) -> list[str]:
    if not arguments.id.startswith("t"):
        raise RefusedError("session.unknown", f"'{arguments.id}' is no token; 'tm token list' shows their IDs")
    return _end(arguments, environ)


def _end(arguments: argparse.Namespace, environ: Environ) -> list[str]:
    from tm.wire.message import quote

    with dispatcher(arguments, environ) as connection:
        text = connection.ask("endsession", quote(arguments.id)).text
    return [json.dumps({"done": text}, ensure_ascii=False)] if arguments.json else [text]

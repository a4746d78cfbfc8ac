"""``tm users …`` and ``tm groups …``: what is asked of the TaskDispatcher about people, and how it is shown.

Each command is one line of the protocol; what may be done the dispatcher decides. A private key is never sent.
"""

from __future__ import annotations

import argparse
import json
import os
from collections.abc import Callable, Mapping
from typing import Any

from tm.cli.reaching import dispatcher, places_of
from tm.errors import ConfigError, RefusedError, TaskManagerError

Command = Callable[[argparse.Namespace, Mapping[str, str]], list[str]]
Maker = Callable[[Any, Command, str, str], argparse.ArgumentParser]

EXAMPLES = """\
  tm users list                                             who may use the cluster, and until when
  tm users show bob                                         all that is known of one of them
  tm users add bob bob.crt --group physics                  register the certificate that bob handed over
  tm users change bob --add bob-2027.crt                    bob has another certificate now
  tm users change bob --drop 5f3a9c01                       one of bob's certificates counts no longer
  tm users remove bob                                       bob is cut off; [removed] in etc/users says what of his jobs
  tm groups list                                            groups, their members, rights, limits, and what they use
  tm groups add physics --member alice --limit cores=64 --shares 40
  tm groups change physics --add bob --user-limit running=10 --limit memory=256G
  tm groups change physics --give verb:canceljob --take log   one verb alone; all rights: --give all
  tm groups change physics --limit cores=                   no limit of cores any more
  tm groups remove physics                                  take the group out; its members stay users
"""


def add_commands(commands: Any, group: Callable[[Any, str, str], Any], command: Maker) -> None:
    """Add ``users`` and ``groups`` to *commands*: *group* makes a parser with commands, *command* one of these."""
    users = group(commands, "users", "who may use the cluster")
    _listing(command(users, _list_users, "users list", "list the users and their certificates"))
    _named(command(users, _show_user, "users show", "all that is known of one user"), "user")
    add = _named(
        command(users, _add_user, "users add", "register a user with the certificate they handed over"), "user"
    )
    add.add_argument("certificate", help="the file USER.crt of 'tm cert request'")
    add.add_argument("--email", default="", help="the user's address")
    add.add_argument("--group", action="append", default=[], help="a group they are to be in; may be said again")
    change = _named(command(users, _change_user, "users change", "change certificates or address of a user"), "user")
    change.add_argument("--add", metavar="FILE", help="another certificate, from a file .crt")
    change.add_argument("--drop", metavar="FINGERPRINT", help="a certificate that counts no longer, or its beginning")
    change.add_argument("--email", help="the user's address; empty for none")
    _named(command(users, _remove_user, "users remove", "let a user in no longer"), "user")
    groups = group(commands, "groups", "what people may: rights, limits, shares")
    _listing(command(groups, _list_groups, "groups list", "list the groups and what they use"))
    _named(command(groups, _show_group, "groups show", "all that is known of one group"), "group")
    fresh = _named(command(groups, _add_group, "groups add", "make a group"), "group")
    fresh.add_argument(
        "--member", action="append", default=[], help='a member, or "*" for everybody; may be said again'
    )
    fresh.add_argument("--right", action="append", default=[], help="a right, verb:VERB or all; may be said again")
    other = _named(command(groups, _change_group, "groups change", "change a group"), "group")
    other.add_argument("--add", metavar="USER", action="append", default=[], help="a new member")
    other.add_argument("--drop", metavar="USER", action="append", default=[], help="a member no longer")
    other.add_argument("--give", metavar="RIGHT", action="append", default=[], help="a right, verb:VERB or all")
    other.add_argument("--take", metavar="RIGHT", action="append", default=[], help="a right no longer")
    for parser in (fresh, other):
        limit = "WHAT=NUMBER of running, cores, memory, queued for all members together; nothing after '=': no limit"
        parser.add_argument("--limit", metavar="WHAT=NUMBER", action="append", default=[], help=limit)
        each = "the same for each member alone"
        parser.add_argument("--user-limit", metavar="WHAT=NUMBER", action="append", default=[], help=each)
        parser.add_argument("--shares", type=int, help="its part of the cluster beside other groups' (none)")
    _named(command(groups, _remove_group, "groups remove", "take a group out"), "group")


def _listing(parser: argparse.ArgumentParser) -> argparse.ArgumentParser:
    parser.add_argument("--json", action="store_true", help="one JSON object a line")
    return parser


def _named(parser: argparse.ArgumentParser, what: str) -> argparse.ArgumentParser:
    parser.add_argument("name", metavar=what.upper())
    return _listing(parser)


# -- users ------------------------------------------------------------------------------------------------------------


def _list_users(arguments: argparse.Namespace, environ: Mapping[str, str]) -> list[str]:
    return _ask(arguments, environ, "lsusers")


def _show_user(arguments: argparse.Namespace, environ: Mapping[str, str]) -> list[str]:
    return _card(arguments, environ, "lsusers", "user")


def _add_user(arguments: argparse.Namespace, environ: Mapping[str, str]) -> list[str]:
    text = _certificate(arguments.certificate)
    given = {"name": arguments.name, "certificate": text, "email": arguments.email, "groups": arguments.group}
    lines = _change(arguments, environ, "adduser", given)
    return lines if arguments.json else [*lines, *_trust(arguments, environ, text)]


def _change_user(arguments: argparse.Namespace, environ: Mapping[str, str]) -> list[str]:
    given: dict[str, Any] = {"name": arguments.name}
    if arguments.add:
        given["add"] = _certificate(arguments.add)
    given.update({key: value for key in ("drop", "email") if (value := getattr(arguments, key)) is not None})
    if len(given) == 1:
        raise _usage("nothing to change: say --add, --drop or --email")
    return _change(arguments, environ, "changeuser", given)


def _remove_user(arguments: argparse.Namespace, environ: Mapping[str, str]) -> list[str]:
    return _change(arguments, environ, "removeuser", arguments.name)


# -- groups -----------------------------------------------------------------------------------------------------------


def _list_groups(arguments: argparse.Namespace, environ: Mapping[str, str]) -> list[str]:
    return _ask(arguments, environ, "lsgroups")


def _show_group(arguments: argparse.Namespace, environ: Mapping[str, str]) -> list[str]:
    return _card(arguments, environ, "lsgroups", "group")


def _add_group(arguments: argparse.Namespace, environ: Mapping[str, str]) -> list[str]:
    given: dict[str, Any] = {"name": arguments.name, "members": arguments.member, "rights": arguments.right}
    for key, limits in (("limits", arguments.limit), ("user_limits", arguments.user_limit)):
        given[key] = {what: number for what, number in map(_limit, limits) if number is not None}
    if arguments.shares is not None:
        given["shares"] = arguments.shares
    return _change(arguments, environ, "addgroup", given)


def _change_group(arguments: argparse.Namespace, environ: Mapping[str, str]) -> list[str]:
    given: dict[str, Any] = {
        key: value for key in ("add", "drop", "give", "take") if (value := getattr(arguments, key))
    }
    fields: dict[str, Any] = {
        key: dict(map(_limit, limits))
        for key, limits in (("limits", arguments.limit), ("user_limits", arguments.user_limit)) if limits
    }  # fmt: skip
    if arguments.shares is not None:
        fields["shares"] = arguments.shares
    if fields:
        given["set"] = fields
    if not given:
        raise _usage("nothing to change: 'tm groups change --help' shows what can be")
    return _change(arguments, environ, "changegroup", {"name": arguments.name, **given})


def _remove_group(arguments: argparse.Namespace, environ: Mapping[str, str]) -> list[str]:
    return _change(arguments, environ, "removegroup", arguments.name)


def _limit(text: str) -> tuple[str, int | str | None]:
    """Return what ``cores=64`` means; ``cores=`` is no limit."""
    what, equals, number = text.partition("=")
    if not equals or not what:
        raise _usage(f"'{text}': expected WHAT=NUMBER, e.g. cores=64 or memory=256G")
    if not number:
        return what, None
    return what, int(number) if number.isascii() and number.isdigit() else number


def _usage(text: str) -> TaskManagerError:
    from tm.client.program import UsageError

    return UsageError(text)


# -- asking -----------------------------------------------------------------------------------------------------------


def _said(
    arguments: argparse.Namespace, environ: Mapping[str, str], verb: str, rest: str | None, as_json: bool
) -> tuple[str, list[str]]:
    with dispatcher(arguments, environ) as connection:
        reply = connection.ask(verb, rest, as_json)
        return reply.text, reply.body


def _ask(arguments: argparse.Namespace, environ: Mapping[str, str], verb: str) -> list[str]:
    """Return the lines of the answer to a question, as JSON where that is wanted."""
    return _said(arguments, environ, verb, None, arguments.json)[1]


def _change(arguments: argparse.Namespace, environ: Mapping[str, str], verb: str, given: object) -> list[str]:
    """Have something changed; return what the dispatcher says of it."""
    from tm.wire.message import quote

    rest = quote(given) if isinstance(given, str) else json.dumps(given).replace("\x7f", "\\u007f")
    text, _ = _said(arguments, environ, verb, rest, False)
    return [json.dumps({"done": text}, ensure_ascii=False)] if arguments.json else [text]


def _card(arguments: argparse.Namespace, environ: Mapping[str, str], verb: str, kind: str) -> list[str]:
    """Return all that is known of one user or group."""
    found = [
        one for one in map(json.loads, _said(arguments, environ, verb, None, True)[1]) if one["name"] == arguments.name
    ]
    if not found:
        raise RefusedError(f"{kind}.unknown", f"there is no {kind} '{arguments.name}'; 'tm {kind}s list' lists them")
    if arguments.json:
        return [json.dumps(found[0], ensure_ascii=False)]
    return [f"{key:<12} {line}" for key, value in found[0].items() for line in _shown(key, value)]


def _shown(key: str, value: object) -> list[str]:
    from tm.model.resources import format_memory

    if isinstance(value, dict):
        amounts = [f"{what} {format_memory(one) if what == 'memory' else one}" for what, one in value.items()]
        return [", ".join(amounts)] if amounts else []
    if key == "certificates" and isinstance(value, list):
        return [
            f"{one['fingerprint'][:16]}…  until {one['until'][:10]} ({one['days_left']} days)  {one['file']}"
            for one in value
        ]
    if isinstance(value, list):
        return [" ".join(value)] if value else []
    return [str(value)] if value not in ("", None) else []


# -- certificates -----------------------------------------------------------------------------------------------------


def _certificate(path: str) -> str:
    """Return the text of a certificate that is to be handed on; raise `ConfigError` when there is a key with it."""
    try:
        with open(path, encoding="ascii") as file:
            text = file.read(1024 * 1024)
    except OSError as error:
        raise ConfigError([f"{path}: {error.strerror}"], "config.read") from None
    except UnicodeDecodeError:
        text = ""
    if "PRIVATE KEY" in text:
        raise ConfigError(
            [f"{path}: holds a private key, which belongs to nobody but its user; ask them for their .crt alone"],
            "config.certificate",
        )
    if "BEGIN CERTIFICATE-" not in text:
        raise ConfigError(
            [f"{path}: expected a certificate in PEM form, as of 'tm cert request'"], "config.certificate"
        )
    return text


def _trust(arguments: argparse.Namespace, environ: Mapping[str, str], text: str) -> list[str]:
    """Write, beside the certificate, what the new user is to trust: the dispatcher, as we know it, and themselves."""
    here = places_of(arguments, environ)
    path = os.path.join(os.path.dirname(arguments.certificate), f"ca_certs.{arguments.name}.crt")
    hint = (
        f"{arguments.name} needs the dispatcher's certificate and their own in ~/.taskManager/{os.path.basename(path)}"
    )
    try:
        with open(here.trusted, encoding="ascii") as ours, open(here.certificate, encoding="ascii") as own:
            mine = _blocks(own.read())
            gathered = [block for block in _blocks(ours.read()) if block not in mine] + _blocks(text)
        with open(path, "x", encoding="ascii") as file:
            file.write("".join(gathered))
    except FileExistsError:
        return [f"{path}: is there already, left as it is; {hint}"]
    except OSError as error:
        return [f"{path}: not written: {error.strerror}; {hint}"]
    return [f"Give {path} to {arguments.name}, for ~/.taskManager."]


def _blocks(text: str) -> list[str]:
    """Return the certificates in *text*, each with its first and last line."""
    begin, end = "-----BEGIN CERTIFICATE-----", "-----END CERTIFICATE-----"
    return [begin + part.partition(end)[0] + end + "\n" for part in text.split(begin)[1:]]

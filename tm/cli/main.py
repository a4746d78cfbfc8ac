"""The command ``tm``: set-up and administration.

This module loads with the standard library alone; where the servers' libraries are missing it starts itself
again with the Python that has them.
"""

from __future__ import annotations

import argparse
import datetime
import importlib.util
import json
import os
import socket
import sys
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from tm import places
from tm.cli import hosts, output, people, properties, report, service, sessions, shares, simulate
from tm.cli.checks import doctor
from tm.client.program import EXIT_INTERRUPTED
from tm.errors import EXIT_CONFIG, ConfigError, TaskManagerError

Command = Callable[[argparse.Namespace, Mapping[str, str]], list[str]]

_EXAMPLES = (
    """\
  tm setup --cluster physics --host server1 --port 10101    write the first files of a new cluster
  tm cert create alice alice@example.org --register         make key and certificate for alice, register her
  tm cert request                                           make my own key, and a certificate to hand over
  tm cert accept alice.crt                                  register a certificate that was handed over
  tm cert show alice.crt                                    what a certificate says, and its fingerprint
  tm cert authorized                                        gather all users' certificates in one file
"""
    + doctor.EXAMPLES
    + hosts.EXAMPLES
    + people.EXAMPLES
    + service.EXAMPLES
    + report.EXAMPLES
    + shares.EXAMPLES
    + properties.EXAMPLES
    + sessions.EXAMPLES
    + simulate.EXAMPLES
    + output.EXAMPLES
)
_RESTARTED = "TM_RESTARTED"
_LIBRARIES = ("cryptography", "msgspec", "OpenSSL", "twisted")


def run(argv: Sequence[str] | None = None, environ: Mapping[str, str] = os.environ) -> int:
    """Do what the command line says; return the exit status."""
    words = sys.argv[1:] if argv is None else list(argv)
    arguments = _parser().parse_args(words)
    if any(importlib.util.find_spec(library) is None for library in _LIBRARIES):
        return _restart(words, environ)
    try:
        lines = arguments.command(arguments, environ)
    except TaskManagerError as error:
        if getattr(arguments, "json", False):
            print(json.dumps({"error": {"code": error.word, "message": error.text}}, ensure_ascii=False))
        print(f"tm: {_for_people(error)}", file=sys.stderr)
        return error.exit_status
    except KeyboardInterrupt:
        return EXIT_INTERRUPTED
    except OSError as error:
        print(f"tm: {error.filename or 'the system'}: {error.strerror}", file=sys.stderr)
        return EXIT_CONFIG
    if lines:
        print("\n".join(lines))
    return 0


def _for_people(error: TaskManagerError) -> str:
    """Return the text of *error* without what it adds for programs: that two have changed one thing is a sentence."""
    return error.text.partition("\n")[0] if error.word == "conflict.changed" else error.text


def _restart(words: list[str], environ: Mapping[str, str]) -> int:
    python = places.find_python(places.find_root(), environ)
    if python != sys.executable and _RESTARTED not in environ:
        try:
            os.execvpe(python, [python, os.path.abspath(sys.argv[0]), *words], {**environ, _RESTARTED: "1"})
        except OSError as error:
            print(f"tm: {python}: {error.strerror}; TM_PYTHON names a Python to use", file=sys.stderr)
            return EXIT_CONFIG
    print(
        f"tm: {python} lacks the servers' libraries; 'pip install .' installs them,"
        " TM_PYTHON names a Python that has them",
        file=sys.stderr,
    )
    return EXIT_CONFIG


class _Parser(argparse.ArgumentParser):
    """A parser whose help begins with *examples*."""

    def __init__(self, *, examples: str = "", **settings: Any) -> None:
        super().__init__(**settings)
        self._examples = examples

    def format_help(self) -> str:
        shown = f"examples:\n{self._examples}\n" if self._examples else ""
        return shown + super().format_help()


def _parser() -> _Parser:
    parser = _Parser(
        prog="tm",
        examples=_EXAMPLES,
        epilog="Exit status: 0 done, 1 refused, 2 wrong command line, 69 the dispatcher is not reached,"
        " 77 not permitted, 78 something is wrong with the configuration.",
    )
    commands = parser.add_subparsers(title="commands ('tm COMMAND --help' says more)", metavar="COMMAND", required=True)
    certificates = commands.add_parser("cert", help="keys and certificates", examples=_examples_of("cert"))
    _add_certificates(certificates)
    doctor.add_command(commands, _command)
    hosts.add_commands(commands, _group, _command)
    people.add_commands(commands, _group, _command)
    service.add_commands(commands, _group, _command)
    report.add_commands(commands, _command)
    shares.add_command(commands, _command)
    properties.add_command(commands, _command)
    sessions.add_commands(commands, _group, _command)
    simulate.add_command(commands, _command)
    output.add_commands(commands, _command)
    setup = _command(commands, _setup, "setup", "write the first files of a cluster; what is there already stays")
    setup.add_argument("--cluster", help="the cluster's name (cluster)")
    setup.add_argument("--host", help=f"the host of its dispatcher ({socket.gethostname()})")
    setup.add_argument("--port", type=int, help="the dispatcher's port (10101)")
    return parser


def _add_certificates(parser: _Parser) -> None:
    commands = parser.add_subparsers(metavar="COMMAND", required=True)
    create = _command(commands, _create, "cert create", "make a user's key and certificate in etc/certs")
    create.add_argument("user")
    create.add_argument("email")
    create.add_argument("--register", action="store_true", help="add the user to etc/users")
    request = _command(commands, _request, "cert request", "make my own key, and a certificate to hand over")
    request.add_argument("user", nargs="?", help="(the account's name)")
    request.add_argument("email", nargs="?", default="")
    accept = _command(commands, _accept, "cert accept", "register a certificate that was handed over")
    accept.add_argument("file")
    accept.add_argument("--another", action="store_true", help="the user has one already, this is really their second")
    for parser_of in (create, request, accept):
        parser_of.add_argument(
            "--days", type=int, default=825, help="how long a new certificate is valid (%(default)s)"
        )
    show = _command(commands, _show, "cert show", "what a certificate says, and its fingerprint")
    show.add_argument("file")
    _command(commands, _authorized, "cert authorized", "gather all users' certificates in one file")


def _group(commands: Any, name: str, help: str) -> Any:
    """Add a command that has commands of its own; return what these are added to."""
    parser: _Parser = commands.add_parser(name, help=help, description=help, examples=_examples_of(name))
    return parser.add_subparsers(metavar="COMMAND", required=True)


def _command(commands: Any, command: Command, name: str, help: str) -> _Parser:
    parser: _Parser = commands.add_parser(
        name.rpartition(" ")[2], help=help, description=help, examples=_examples_of(name)
    )
    parser.add_argument("--etc", help="the cluster's configuration (TM_ETC, or where TaskDispatcher.info is)")
    parser.set_defaults(command=command)
    return parser


def _examples_of(name: str) -> str:
    return "".join(line for line in _EXAMPLES.splitlines(keepends=True) if line.startswith(f"  tm {name}"))


def _etc(arguments: argparse.Namespace, environ: Mapping[str, str]) -> str:
    return os.path.abspath(arguments.etc or places.find_etc(environ))


def _info(etc: str) -> dict[str, str]:
    path = os.path.join(etc, "TaskDispatcher.info")
    return places.read_info(path) if os.path.exists(path) else {}


def _administration(arguments: argparse.Namespace, environ: Mapping[str, str]) -> Any:
    from tm.cli.certs import Administration
    from tm.edge.certificates import VALID_DAYS

    etc = _etc(arguments, environ)
    days = _days(arguments) if "days" in arguments else VALID_DAYS
    hosts = [_info(etc).get("host", ""), socket.gethostname(), "localhost", "127.0.0.1", "::1"]
    return Administration(etc, tuple(dict.fromkeys(host for host in hosts if host.isascii() and host)), _now(), days)


def _create(arguments: argparse.Namespace, environ: Mapping[str, str]) -> list[str]:
    administration = _administration(arguments, environ)
    lines: list[str] = administration.create(arguments.user, arguments.email, arguments.register)
    return lines


def _accept(arguments: argparse.Namespace, environ: Mapping[str, str]) -> list[str]:
    lines: list[str] = _administration(arguments, environ).accept(arguments.file, arguments.another)
    return lines


def _authorized(arguments: argparse.Namespace, environ: Mapping[str, str]) -> list[str]:
    lines: list[str] = _administration(arguments, environ).authorized()
    return lines


def _request(arguments: argparse.Namespace, environ: Mapping[str, str]) -> list[str]:
    from tm.cli.certs import request

    folder = places.find_user_directory(environ, _info(_etc(arguments, environ)))
    user = arguments.user or places.find_user(environ)
    return request(folder, user, arguments.email, _now(), _days(arguments))


def _show(arguments: argparse.Namespace, environ: Mapping[str, str]) -> list[str]:
    from tm.cli.certs import show

    return show(arguments.file)


def _setup(arguments: argparse.Namespace, environ: Mapping[str, str]) -> list[str]:
    from tm.cli.setup import setup

    given = {"cluster": arguments.cluster, "host": arguments.host, "port": arguments.port}
    wanted = {key: str(value) for key, value in given.items() if value is not None}
    return setup(_etc(arguments, environ), wanted, socket.gethostname())


def _now() -> datetime.datetime:
    return datetime.datetime.now(datetime.UTC)


def _days(arguments: argparse.Namespace) -> int:
    if not 1 <= arguments.days <= 36500:
        raise ConfigError([f"--days {arguments.days}: expected a number of days from 1 to 36500"])
    days: int = arguments.days
    return days

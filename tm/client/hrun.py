"""``hRun``: run a command at once on a vacant host, as if it ran here."""

from __future__ import annotations

import os
import sys

from tm import places as whereabouts
from tm.client import program
from tm.client.connection import Connection
from tm.client.ending import exit_status, sentence
from tm.client.jobspec import capture, current_umask, job_directory
from tm.client.parser import Parser, parse_cores, parse_size, split_command
from tm.client.program import Manner, UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence
    from typing import Any

HELP = """
hRun hostname                        run a command now, on any vacant host
hRun -t n2 -c 4 -- make -j 4 all     on host n2, with four cores
tar c data | hRun "gzip -9" > d.gz   input and output are the command's own

hRun [options] COMMAND        one word: shell text
hRun [options] [--] COMMAND ARGUMENT…
  -t, --host NAME             on this host
  -c, --cores N (--cpus-per-task)
  -m, --mem SIZE              500M, 4G; a bare number counts MiB
  -n, --name NAME
  -d, --chdir DIR             working directory (here)
  --env NAME=VALUE            set a variable, may be repeated
  --export ALL|NONE|NAME[=VALUE],…
  -T, --no-tty                no terminal, also where there is one
  -q, --quiet                 say nothing of how it ended
  -h, --help    --version

The command has a terminal when stdin and stdout are one. Otherwise ^C sends it INT, the second TERM, the
third KILL. Where the connection is lost, the command is ended.

exit status: the command's own, 128+n for signal n; 125 TaskManager failed, 126 not executable, 127 not found,
75 no vacant host, 69 unreachable, 77 not permitted, 78 configuration, 2 usage
"""
_ONE_VALUE = "-t --host -c --cores --cpus-per-task -m --mem -n --name -d --chdir --env --export".split()


def main(argv: Sequence[str] | None = None) -> int:
    """Run ``hRun`` and return its exit status."""
    return program.run("hRun", _run, argv)


def make_parser() -> Parser:
    """Return the parser of all options."""
    parser = Parser("hRun", HELP)
    add = parser.add_argument
    add("-t", "--host")
    add("-c", "--cores", "--cpus-per-task", type=parse_cores, default=1)
    add("-m", "--mem", type=parse_size, default=0)
    add("-n", "--name", default="")
    add("-d", "--chdir")
    add("--env", action="append", default=[])
    add("--export", default="ALL")
    add("-T", "--no-tty", action="store_true")
    add("-q", "--quiet", action="store_true")
    return parser


def _run(argv: list[str], manner: Manner) -> int:
    words, command = split_command(argv, _ONE_VALUE)
    options = make_parser().parse_args(words)
    manner.choose(False, options.quiet)
    if not command:
        raise UsageError("name a command")
    places = whereabouts.find()
    from tm.client.interactive import Interaction
    from tm.client.terminal import NoTerminal, RawTerminal, Signals

    in_front = is_foreground()
    on_terminal = in_front and not options.no_tty and os.isatty(0) and os.isatty(1)
    stdin = os.open(os.devnull, os.O_RDONLY) if os.isatty(0) and not in_front else 0
    connection = Connection.open_tms(places)
    sys.stdout.flush()
    try:
        wish = make_wish(options, command, on_terminal)
        with Signals() as signals, RawTerminal(0) if on_terminal else NoTerminal():
            ending = Interaction(connection, wish, (stdin, 1, 2)).run(signals)
    finally:
        connection.close()
    return _close(ending, manner)


def make_wish(options: argparse.Namespace, command: str | list[str], on_terminal: bool) -> dict[str, Any]:
    """Return the argument of ``run``; raise `UsageError`."""
    cwd = job_directory(options.chdir, os.environ)
    wish: dict[str, Any] = {
        "command": command, "name": options.name, "cwd": cwd, "umask": current_umask(),
        "cores": options.cores, "memory": options.mem, "host": options.host, "tty": None,
        "environment": capture(os.environ, options.export, options.env, cwd),
    }  # fmt: skip
    if on_terminal:
        from tm.client.terminal import window_size

        rows, columns = window_size(1)
        wish["tty"] = {"rows": rows, "columns": columns, "term": os.environ.get("TERM") or "xterm"}
    return wish


def is_foreground() -> bool:
    """Whether this process may use its terminal; one in the background would be stopped by reading."""
    try:
        return os.tcgetpgrp(0) == os.getpgrp()
    except OSError:
        return False


def _close(ending: dict[str, Any], manner: Manner) -> int:
    status = exit_status(ending)
    if not manner.quiet and (ending.get("reason") or ending.get("signal")):
        manner.say(sentence({**ending, "id": ending.get("run")}))
    return status

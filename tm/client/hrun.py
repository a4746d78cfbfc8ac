"""``hRun``: run a command at once on a vacant host, as if it ran here; leave it, find it again, go beside a job."""

from __future__ import annotations

import argparse
import os
import re
import sys

from tm import places as whereabouts
from tm.client import program
from tm.client.connection import Connection
from tm.client.ending import exit_status, sentence
from tm.client.jobspec import capture, current_umask, job_directory
from tm.client.parser import Parser, parse_cores, parse_size, split_command
from tm.client.program import Manner, UsageError
from tm.model.values import read_count, read_time

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import Any, TypeVar

    from tm.client.interactive import Manners

    T = TypeVar("T")

HELP = """
hRun hostname                        run a command now, on any vacant host
hRun -t n2 -c 4 -- make -j 4 all     on host n2, with four cores
tar c data | hRun "gzip -9" > d.gz   input and output are the command's own
hRun --attach 17                     look at job 17 again, which was left with ^\\
hRun --in 17                         a shell beside job 17

hRun [options] COMMAND        one word: shell text
hRun [options] [--] COMMAND ARGUMENT…
  -t, --host NAME             on this host
  -c, --cores N (--cpus-per-task)
  -m, --mem SIZE              500M, 4G; a bare number counts MiB
  --time TIME                 its wall time, 30m, 1h30m; a bare number counts minutes
  -G, --gpus N                -C, --constraint EXPRESSION   'gpu and not old'
  -n, --name NAME
  -d, --chdir DIR             working directory (here)
  --env NAME=VALUE            set a variable, may be repeated
  --export ALL|NONE|NAME[=VALUE],…
  -T, --no-tty                no terminal, also where there is one
  --detach                    begin, say its number, and leave it alone
  --detach-key KEY|none       the key that leaves it (^\\), e.g. ^]
  -q, --quiet                 say nothing of how it ended
  -h, --help    --version

hRun --attach ID [--watch]    its last output, then all that comes; who attaches last has the keyboard,
                              with --watch nobody's keys go there (q, ^C and ^\\ leave)
hRun --in ID [COMMAND]        your shell, or COMMAND, on the host of a running job of yours: in its folder, with its
                              environment, within its cores and memory; it takes no slot and ends with the job

The command has a terminal when stdin and stdout are one: ^C and ^Z are its own, and the size of the window.
Where ^Z stops the command, hRun stops, too, and fg lets both go on. ^\\ leaves it: it goes on without us.
Without a terminal ^C sends it INT, the second TERM, the third KILL. Where the connection of a command that was
not left is lost, it is ended.

exit status: the command's own, 128+n for signal n, 0 when it was left; 125 TaskManager failed, 126 not
executable, 127 not found, 75 no vacant host, 69 unreachable, 77 not permitted, 78 configuration, 2 usage
"""
_ONE_VALUE = """-t --host -c --cores --cpus-per-task -m --mem -n --name -d --chdir --env --export --attach --in
--detach-key --time -G --gpus -C --constraint""".split()
_ID = re.compile(r"\d{1,18}(?:_\d{1,10})?\Z")


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
    add("--time", type=_reader(read_time), default=0.0)
    add("-G", "--gpus", type=_reader(read_count(0, 100_000, "GPUs")), default=0)
    add("-C", "--constraint", default="")
    add("-n", "--name", default="")
    add("-d", "--chdir")
    add("--env", action="append", default=[])
    add("--export", default="ALL")
    add("-T", "--no-tty", action="store_true")
    add("--detach", action="store_true")
    add("--detach-key", type=parse_key, default=b"\x1c")
    add("--watch", action="store_true")
    add("-q", "--quiet", action="store_true")
    visits = parser.add_mutually_exclusive_group()
    visits.add_argument("--attach", type=parse_job)
    visits.add_argument("--in", type=parse_job, dest="beside")
    return parser


def _reader(read: Callable[[str], T]) -> Callable[[str], T]:
    """Return *read* with its complaints as the parser shows them."""

    def value(text: str) -> T:
        try:
            return read(text)
        except ValueError as error:
            raise argparse.ArgumentTypeError(str(error)) from None

    return value


def parse_key(text: str) -> bytes:
    """Return the byte of the key ``^]`` or ``]``; none for ``none``."""
    if text == "none":
        return b""
    if len(text) == 2 and text[0] == "^" and "@" <= text[1].upper() <= "_":
        return bytes([ord(text[1].upper()) - 64])
    if len(text) == 1 and text.isascii():
        return text.encode()
    raise argparse.ArgumentTypeError(f"'{text}' is no key; write ^] or none")


def parse_job(text: str) -> str:
    """Return *text* if it may name one job: ``17``, or ``17_4``."""
    if not _ID.match(text):
        raise argparse.ArgumentTypeError(f"'{text}' is no job; write its number, 17 or 17_4")
    return text


def _run(argv: list[str], manner: Manner) -> int:
    words, command = split_command(argv, _ONE_VALUE)
    options = make_parser().parse_args(words)
    manner.choose(False, options.quiet)
    _check(options, command)
    places = whereabouts.find()
    from tm.client.interactive import Interaction, Manners
    from tm.client.terminal import NoTerminal, RawTerminal, Signals

    in_front = is_foreground()
    on_terminal = in_front and not options.no_tty and os.isatty(0) and os.isatty(1)
    stdin = os.open(os.devnull, os.O_RDONLY) if os.isatty(0) and not in_front else 0
    verb, wish = make_wish(options, command, on_terminal)
    manners = Manners(b"" if options.beside else options.detach_key, not options.beside, options.watch, options.detach)
    connection = Connection.open_tms(places)
    sys.stdout.flush()
    try:
        with Signals() as signals, RawTerminal(0) if on_terminal else NoTerminal() as terminal:
            ending = Interaction(connection, wish, (stdin, 1, 2), verb, terminal, manners).run(signals)
    finally:
        connection.close()
    return _close(ending, manners, manner)


def _check(options: argparse.Namespace, command: str | list[str]) -> None:
    if options.attach and command:
        raise UsageError("--attach takes no command; 'hRun --in' runs one beside a job")
    if options.watch and not options.attach:
        raise UsageError("--watch belongs to --attach")
    if options.detach and (options.attach or options.beside):
        raise UsageError("--detach is for a command of its own")
    if not command and not (options.attach or options.beside):
        raise UsageError("name a command")


def make_wish(options: argparse.Namespace, command: str | list[str], on_terminal: bool) -> tuple[str, dict[str, Any]]:
    """Return what is said to the user's server: a verb and its argument; raise `UsageError`."""
    tty = _terminal() if on_terminal else None
    if options.attach:
        return "runattach", {"job": options.attach, "tty": tty, "watch": options.watch}
    if options.beside:
        return "runbeside", {"job": options.beside, "command": command or "", "tty": tty}
    cwd = job_directory(options.chdir, os.environ)
    if options.detach and not options.no_tty:
        tty = tty or {"rows": 24, "columns": 80, "term": os.environ.get("TERM") or "xterm"}
    wish: dict[str, Any] = {
        "command": command, "name": options.name, "cwd": cwd, "umask": current_umask(),
        "cores": options.cores, "memory": options.mem, "host": options.host, "tty": tty, "detach": options.detach,
        "time": options.time, "gpus": options.gpus, "constraint": options.constraint,
        "environment": capture(os.environ, options.export, options.env, cwd),
    }  # fmt: skip
    return "run", wish


def _terminal() -> dict[str, Any]:
    from tm.client.terminal import window_size

    rows, columns = window_size(1)
    return {"rows": rows, "columns": columns, "term": os.environ.get("TERM") or "xterm"}


def is_foreground() -> bool:
    """Whether this process may use its terminal; one in the background would be stopped by reading."""
    try:
        return os.tcgetpgrp(0) == os.getpgrp()
    except OSError:
        return False


def _close(ending: dict[str, Any], manners: Manners, manner: Manner) -> int:
    number, state = ending.get("run"), ending.get("state")
    if state == "started":
        if manner.quiet:
            print(number)
        else:
            print(f"job {number} runs on {ending.get('host')}; 'hRun --attach {number}' looks at it")
        return 0
    if state in ("detached", "left"):
        manner.say(f"left job {number}, which goes on; 'hRun --attach {number}' finds it again")
        return 0
    status = exit_status(ending)
    if not manner.quiet and (ending.get("reason") or ending.get("signal")):
        manner.say(sentence({**ending, "id": number}))
    return status

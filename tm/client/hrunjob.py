"""``hRunJob``: submit jobs, wait for them, follow, list and stop them."""

from __future__ import annotations

import os
import sys

from tm import places as whereabouts
from tm.client import program
from tm.client.connection import Connection
from tm.client.parser import (
    Parser,
    parse_cores,
    parse_id,
    parse_ids,
    parse_priority,
    parse_size,
    parse_umask,
    split_command,
)
from tm.client.program import Manner, UsageError
from tm.errors import TaskManagerError

TYPE_CHECKING = False
if TYPE_CHECKING:
    import argparse
    from collections.abc import Iterator, Sequence

    from tm.client.submit import Submission
    from tm.client.watch import Watch
    from tm.places import Places

HELP = """
hRunJob "sleep 10"                     submit a job; one argument is shell text
hRunJob --wait -c 4 -m 2G -- prog arg  submit a program with its arguments, wait, end with its exit code
hRunJob -f 17                          follow the output of job 17      hRunJob -k 17   stop it

submit
  -n, --name NAME         -c, --cores N (--cpus-per-task)    -m, --mem SIZE   500M, 4G; bare: MiB
  -p, --priority N        -1000 to 1000                      -w, --host NAME[,NAME] (--nodelist)
  -d, --chdir DIR         working directory (here)           --umask OCTAL    (the present one)
  -o, --output FILE       its output (tm-%j.out)             -e, --error FILE (with the output)
  --input FILE            its input (none)                   --append, --open-mode append|truncate
                          in names of files: %j job, %n name, %h host, %u user, %% a percent sign
  --env NAME=VALUE        set a variable, may be repeated    --export ALL|NONE|NAME[=VALUE],…
  --from FILE|-           a command a line; empty lines and those that begin with # are skipped
  --requeue               the job may be begun anew when others need its host, or it was restarted
  --wait                  wait for the end; ^C only stops looking

look
  -f, --follow ID         show the output as it grows, from its last lines; end with the job
  -l, --list [--all]      my waiting and running jobs; with --all the ended ones too
  -i, --info ID…          all that is known of a job
  -s, --status [ID]       TMS and TaskDispatcher, then my jobs; or one job
  -k, --kill ID…          stop jobs: 3  3,5  3-7

  --json                  one JSON object a line             -q, --quiet   ids alone
  -h, --help              --version

exit status: the job's own with --wait and -f (128+n for signal n, 124 time limit, 125 no code known);
of several jobs 0 when all succeeded; otherwise 0 done, 1 refused, 2 usage, 69 unreachable, 75 try again,
77 not permitted, 78 configuration
"""
_ONE_VALUE = """-n --name -c --cores --cpus-per-task -m --mem -p --priority -w --host --nodelist -d --chdir
--umask -o --output -e --error --input --open-mode --env --export --from -f --follow""".split()
_MANY_VALUES = ("-k", "--kill", "-i", "--info", "-s", "--status")


def main(argv: Sequence[str] | None = None) -> int:
    """Run ``hRunJob`` and return its exit status."""
    return program.run("hRunJob", _run, argv)


def make_parser() -> Parser:
    """Return the parser of all options."""
    parser = Parser("hRunJob", HELP)
    add = parser.add_argument
    add("-n", "--name")
    add("-c", "--cores", "--cpus-per-task", type=parse_cores)
    add("-m", "--mem", type=parse_size)
    add("-p", "--priority", type=parse_priority)
    add("-w", "--host", "--nodelist", dest="host")
    add("-d", "--chdir")
    add("--umask", type=parse_umask)
    add("-o", "--output")
    add("-e", "--error")
    add("--input")
    add("--append", action="store_true")
    add("--open-mode", choices=("append", "truncate"))
    add("--env", action="append", default=[])
    add("--export", default="ALL")
    add("--from", dest="source")
    add("--requeue", action="store_true")
    add("--wait", action="store_true")
    add("--all", action="store_true", dest="every")
    add("--json", action="store_true")
    add("-q", "--quiet", action="store_true")
    actions = parser.add_mutually_exclusive_group()
    actions.add_argument("-f", "--follow", type=parse_id, metavar="ID")
    actions.add_argument("-l", "--list", action="store_true")
    actions.add_argument("-i", "--info", nargs="+", metavar="ID")
    actions.add_argument("-s", "--status", nargs="?", type=parse_id, const=0, metavar="ID")
    actions.add_argument("-k", "--kill", nargs="+", metavar="ID")
    return parser


def _run(argv: list[str], manner: Manner) -> int:
    words, command = split_command(argv, _ONE_VALUE, _MANY_VALUES)
    options = make_parser().parse_args(words)
    manner.choose(options.json, options.quiet)
    options.append = options.append or options.open_mode == "append"
    looks = options.list or options.info or options.kill or (options.follow, options.status) != (None, None)
    if looks and (command or options.source or options.wait):
        raise UsageError("a command is submitted by itself, without -f, -l, -i, -s or -k")
    if options.every and not options.list:
        raise UsageError("--all belongs to --list")
    if looks:
        return _look(options, manner)
    if bool(command) == bool(options.source):
        raise UsageError(
            "name a command, or a file of commands with --from" if not command else "--from takes no command"
        )
    return _submit(options, command, manner)


def _look(options: argparse.Namespace, manner: Manner) -> int:
    ranges = parse_ids(options.kill or options.info or ["0"])
    places = whereabouts.find()
    from tm.client import tms

    if options.follow is not None:
        from tm.client.follow import follow
        from tm.client.watch import Watch

        return follow(
            Watch(lambda: tms.open_any(places), [options.follow], manner.say), options.follow, manner
        )
    from tm.client import look

    if options.status == 0:
        return look.show_status(places, manner)
    with tms.open_any(places) as connection:
        if options.list:
            return look.show_list(connection, options.every, manner)
        if options.kill:
            return look.kill(connection, ranges, manner)
        ids = [number for first, last in ranges for number in range(first, last + 1)]
        return look.show_jobs(connection, [options.status] if options.status else ids, manner)


def _submit(options: argparse.Namespace, command: str | list[str], manner: Manner) -> int:
    from tm.client.jobspec import make_common
    from tm.client.submit import Submission, make_lines

    common = make_common(options, os.environ)
    places = whereabouts.find()
    if options.source:
        commands: list[str | list[str]] = list(read_commands(options.source))
    else:
        commands = [command]
    if not commands:
        raise TaskManagerError("job.invalid", f"there is no command in {options.source}")
    submission = Submission(
        lambda: Connection.open_tms(places), make_lines(commands, common), options.wait, manner.say
    )
    try:
        return _submitted(submission, options.wait, places, manner)
    finally:
        if submission.connection is not None:
            submission.connection.close()


def _submitted(submission: Submission, wanted: bool, places: Places, manner: Manner) -> int:
    try:
        try:
            submission.run()
        finally:
            if submission.ids:
                _print_ids(submission.ids, manner)
        return _wait(submission, places, manner) if wanted else 0
    except KeyboardInterrupt:
        from tm.client.wait import hint

        if submission.ids:
            hint(submission.ids, manner)
        raise


def _wait(submission: Submission, places: Places, manner: Manner) -> int:
    from tm.client.wait import wait

    watch = _watch(submission.ids, places, manner)
    if submission.connection is not None and submission.heard_all:
        watch.adopt(submission.connection)
    return wait(watch, submission.ids, manner)


def _watch(ids: list[int], places: Places, manner: Manner) -> Watch:
    """Return a watch that at first asks whoever is there, and after a broken connection sees to a TMS."""
    from tm.client import tms
    from tm.client.watch import Watch

    first = iter([tms.open_any])
    return Watch(lambda: next(first, tms.open_waiting)(places), ids, manner.say)


def read_commands(source: str) -> Iterator[str]:
    """Yield the commands, a line each, in the file *source* (``-``: stdin); raise `TaskManagerError`."""
    try:
        with open(0 if source == "-" else source, "rb") as file:
            for number, line in enumerate(file, 1):
                try:
                    text = line.decode().strip("\r\n")
                except UnicodeDecodeError as error:
                    raise TaskManagerError(
                        "job.invalid", f"{source}:{number}: byte {error.start + 1} of the line is not UTF-8"
                    ) from None
                if text.strip() and not text.lstrip().startswith("#"):
                    yield text
    except OSError as error:
        raise TaskManagerError("job.invalid", f"{source}: cannot be read: {error.strerror}") from None


def _print_ids(ids: list[int], manner: Manner) -> None:
    if manner.json:
        sys.stdout.write("".join(f'{{"id":{number}}}\n' for number in ids))
    elif manner.quiet:
        sys.stdout.write("".join(f"{number}\n" for number in ids))
    elif len(ids) == 1:
        print(f"accepted job {ids[0]}")
    else:
        from tm.client.wait import compact

        print(f"accepted {len(ids)} jobs {compact(ids)}")
    sys.stdout.flush()

"""From the command line to a running keeper and back out."""

from __future__ import annotations

import sys

from tm.errors import EXIT_USAGE, TaskManagerError
from tm.keeper import cgroup, kernel, life
from tm.keeper.attempts import Attempts
from tm.keeper.confining import reserve_processes
from tm.keeper.journal import Log
from tm.keeper.link import Link
from tm.keeper.loop import Keeper


def main(arguments: list[str]) -> int:
    """Be the keeper that *arguments*, SPOOL and NUMBER, name; return the exit status."""
    if len(arguments) != 2 or not arguments[1].isdecimal():
        print("usage: keeper SPOOL NUMBER", file=sys.stderr)
        return EXIT_USAGE
    spool, number = arguments[0], int(arguments[1])
    life.detach()
    try:
        lock = life.claim(spool, number)
    except TaskManagerError as error:
        print(f"keeper: {error.text}", file=sys.stderr)
        return error.exit_status
    signals = life.listen_to_signals()
    kernel.become_subreaper()
    link = Link(f"keeper-{number}.sock")
    reserve_processes()
    groups = cgroup.handed_over(".")
    if groups is not None:
        groups.tidy()
    attempts = Attempts(Log(f"keeper-{number}.log"), groups)
    life.write_pidfile(number)
    Keeper(number, attempts, link, signals).run()
    link.close()
    life.tidy(number, journal_too=not attempts.book.ended, lock=lock)
    return 0

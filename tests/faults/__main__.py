"""Try whether TaskManager keeps its promises when things go wrong.

python3 -m tests.faults [ROW ...]                      the quick set: every row, or those named; some minutes
python3 -m tests.faults --hours N --seed S [DRILL ...] the long set: faults at random, for so long
python3 -m tests.faults --again SEED                   one call of a drill once more, by the seed that was shown
python3 -m tests.faults --list                         rows and drills, and what can't be tried here
"""

from __future__ import annotations

import argparse
import contextlib
import os
import random
import shutil
import signal
import sys
from collections.abc import Sequence
from pathlib import Path

from tests.faults import long, quick
from tests.faults.drills import USUAL_SECONDS, load
from tests.faults.log import Log
from tests.faults.rows import ROWS, Row

PACKAGES = {
    "ssh": "openssh-client", "sshd": "openssh-server", "ip": "iproute2", "nsenter": "util-linux", "gcc": "gcc",
    "git": "git", "ps": "procps", "chromium": "chromium",
}  # fmt: skip


def main(arguments: Sequence[str]) -> int:
    """Run what is asked for; return the exit status: 1 after a violation, 130 after ``^C``."""
    options = _options(arguments)
    if options.list:
        return _list()
    for number in (signal.SIGINT, signal.SIGTERM):  # also where a shell has started us in the background
        signal.signal(number, signal.default_int_handler)
    with contextlib.ExitStack() as stack:
        path = Path(options.json).resolve() if options.json else None
        log = Log(stack.enter_context(path.open("a", encoding="utf-8")) if path else None)
        log.say(needs())
        try:
            if options.again or options.hours is not None:
                return _long(options, log)
            log.begin("quick", rows=options.names)
            return quick.run([row for row in ROWS if row.number in options.rows], log)
        except KeyboardInterrupt:
            log.say("stopped; what was started is ended")
            return 130


def _options(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python3 -m tests.faults", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("names", nargs="*", metavar="ROW or DRILL", help="numbers of rows, or names of drills")
    add = parser.add_argument
    add("--hours", type=float, metavar="N", help="run drills for so long")
    add("--seed", default="", metavar="S", help="where all choices of drills come from; else made up and shown")
    add("--again", default="", metavar="SEED", help="repeat one call of a drill")
    add("--json", default="", metavar="FILE", help="append every result to FILE, a JSON object a line")
    add("--list", action="store_true", help="show rows and drills")
    options = parser.parse_args(arguments)
    numbers = {str(row.number): row.number for row in ROWS}
    known: Sequence[str] = list(load()) if options.hours is not None else list(numbers)
    for name in options.names:
        if name not in known:
            kind = "drill" if options.hours is not None else "row"
            parser.error(f"there is no {kind} '{name}'; --list shows all")
    if options.again and options.again.rpartition(":")[2] not in load():
        parser.error(f"'{options.again}' does not end in the name of a drill; --list shows all")
    options.rows = {numbers[name] for name in options.names if name in numbers} or set(numbers.values())
    return options


def _long(options: argparse.Namespace, log: Log) -> int:
    drills = load()
    seed = options.seed or str(random.SystemRandom().randrange(1 << 32))
    chosen = [options.again.rpartition(":")[2]] if options.again else options.names or sorted(drills)
    log.begin("long", hours=options.hours, seed=options.again or seed, drills=options.names)
    run = long.LongRun([drills[name] for name in chosen], log)
    try:
        if options.again:
            run.call(drills[chosen[0]], options.again, USUAL_SECONDS)
        else:
            log.say(f"seed {seed}")
            run.run(seed, options.hours * 3600)
    finally:
        log.end()
    log.say(f"{run.violations} violations")
    return 1 if run.violations else 0


def needs() -> str:
    """Return what this needs, and what of that is not here."""
    lines = ["Needs: the packages of quickstart.py (it makes .venv), these programs, and for the rest root:"]
    found = {program: bool(shutil.which(program, path=os.environ["PATH"] + ":/usr/sbin:/sbin")) for program in PACKAGES}
    lines.append("  " + " ".join(f"{PACKAGES[name]}{'' if here else ' (MISSING)'}" for name, here in found.items()))
    if os.geteuid() != 0:
        lines.append("  You are not root: what needs networks, accounts and mounts of its own is left out and said so.")
    return "\n".join(lines)


def _list() -> int:
    for row in ROWS:
        print(f"{row.number:2d} {row.group} {row.fault}{_shown(row)}")
    for drill in load().values():
        reason = drill.reason_not_to()
        rows = " ".join(map(str, drill.rows))
        print(f"drill {drill.name}: rows {rows}{'; not here: ' + reason if reason else ''}")
    return 0


def _shown(row: Row) -> str:
    parts = [f"{len(row.quick)} tests" * bool(row.quick), f"drills {' '.join(row.long)}" * bool(row.long)]
    parts.append(f"not possible: {row.cannot}" * bool(row.cannot))
    return "; ".join(["", *filter(None, parts)])


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

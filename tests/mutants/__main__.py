"""Try broken builds: ``python3 -m tests.mutants [NAME …] [--json FILE] [--jobs N] [--every] [--why]``.

Each is made on a copy of this checkout (git's files as they are now), and is caught when a test that passes on the
unbroken copy fails on it. One line each; the exit status is 1 when one survives or does not apply. Nothing of what the
tests start is left running, also after ^C.
"""

from __future__ import annotations

import argparse
import json
import sys
from concurrent.futures import ThreadPoolExecutor, as_completed
from fnmatch import fnmatch
from pathlib import Path

from tests.mutants import Mutant
from tests.mutants.table import MUTANTS
from tests.mutants.workshop import Trial, Workshop


def main() -> int:
    """Do as the command line says; return the exit status."""
    parser = argparse.ArgumentParser(prog="python3 -m tests.mutants", description=__doc__)
    parser.add_argument(
        "names", nargs="*", metavar="NAME", help="of a mutant or group, or a pattern (default: all)"
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="write a line of JSON for each to FILE")
    parser.add_argument("--jobs", type=int, default=1, metavar="N", help="so many at once (default: 1)")
    parser.add_argument(
        "--every", action="store_true", help="run every catcher, not only up to the first that fails"
    )
    parser.add_argument("--why", action="store_true", help="say in a line why each test failed")
    parser.add_argument("--list", action="store_true", help="only say what there is")
    given = parser.parse_args()
    chosen = [one for one in MUTANTS if not given.names or any(_is_meant(one, name) for name in given.names)]
    if not chosen:
        parser.error("there is no such mutant; --list lists them")
    if given.list:
        for one in chosen:
            print(f"{one.name:34} {one.promise:6} {one.what}")
        return 0
    return _try(chosen, given)


def _is_meant(mutant: Mutant, name: str) -> bool:
    return fnmatch(mutant.name, name) or mutant.group == name


def _try(chosen: list[Mutant], given: argparse.Namespace) -> int:
    workshop = Workshop()
    trials: list[Trial] = []
    pool = ThreadPoolExecutor(given.jobs)
    try:
        for future in as_completed([pool.submit(workshop.attempt, one, given.every) for one in chosen]):
            trials.append(future.result())
            _show(trials[-1], given.why)
    except KeyboardInterrupt:
        print("stopped", file=sys.stderr)
        return 130
    finally:
        pool.shutdown(wait=False, cancel_futures=True)
        workshop.close()
    if given.json is not None:
        order = {one.name: place for place, one in enumerate(MUTANTS)}
        trials.sort(key=lambda trial: order[trial.mutant.name])
        given.json.write_text("".join(json.dumps(trial.row()) + "\n" for trial in trials), encoding="utf-8")
    caught = sum(trial.outcome == "caught" for trial in trials)
    print(f"{caught} of {len(trials)} caught")
    return 0 if caught == len(trials) else 1


def _show(trial: Trial, why: bool) -> None:
    mutant = trial.mutant
    by = ", ".join(name.partition(".")[2] for name in trial.caught_by)
    print(f"{trial.outcome:9} {mutant.promise:6} {mutant.name:34} {trial.seconds:6.1f} s  {by}", flush=True)
    for note in trial.notes if why or trial.outcome != "caught" else ():
        print("          " + note.replace("\n", "\n          "), flush=True)


if __name__ == "__main__":
    sys.exit(main())

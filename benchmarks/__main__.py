"""Measure: ``python3 -m benchmarks [NAME …] [--json FILE] [--rounds N] [--jobs N] [--long]``.

Names, all by default: ``limits`` ``keeper`` ``throughput`` ``accepting`` ``starting`` ``memory`` ``output``
``infoserver`` ``hosts`` ``cold`` ``scheduling`` ``following`` ``replay`` ``web``. Only by name: ``peers``, which starts
other schedulers, as many as are installed, and measures them in turns with us (``--only``, ``--hyperqueue``), and
``scale``: up to 3,000 simulated hosts and 10,000 connections (some eight minutes).
"""

from __future__ import annotations

import argparse
import contextlib
import importlib.util
import os
import sys
from collections.abc import Callable
from functools import partial

from tm import places

DESCRIPTION = "Measure TaskManager beside the limits of this machine; all workloads, or those named."
NAMES = (
    "limits", "keeper", "throughput", "accepting", "starting", "memory", "output", "infoserver", "hosts", "cold",
    "scheduling", "following", "replay", "web",
)  # fmt: skip
BY_NAME = ("peers", "scale")
FEW_ROUNDS = 2
ROUNDS = 5
PATIENCE = "wait so long before each round for others to leave the machine (0)"
MANY_JOBS = {"memory": 10}
LONG_FACTOR = 5


def main(arguments: list[str]) -> None:
    """Run the chosen workloads."""
    options = _options(arguments)
    _use_servers_python()
    from benchmarks import (
        accepting,
        cold,
        following,
        hosts,
        infoserver,
        keeper_rate,
        limits,
        memory,
        output,
        replay,
        scale,
        scheduling,
        starting,
        throughput,
        web,
    )  # fmt: skip
    from benchmarks.peers import runner
    from benchmarks.record import Recorder

    wishes = runner.Wishes(tuple(filter(None, options.only.split(","))), options.long, options.hyperqueue)
    unknown = [name for name in wishes.only if name not in runner.MODULES]
    if unknown:
        raise SystemExit(f"there is no peer '{unknown[0]}'; there are {', '.join(runner.MODULES)}")

    workloads: dict[str, Callable[[Recorder, int, int], None]] = {
        "limits": limits.run, "keeper": keeper_rate.run, "throughput": throughput.run,
        "accepting": accepting.run, "starting": starting.run, "memory": memory.run, "output": output.run,
        "infoserver": infoserver.run, "hosts": hosts.run, "cold": cold.run,
        "scheduling": scheduling.run, "following": following.run, "replay": replay.run,
        "web": web.run, "peers": partial(runner.run, wishes=wishes), "scale": scale.run,
    }  # fmt: skip
    with contextlib.ExitStack() as stack:
        file = stack.enter_context(open(options.json, "a", encoding="utf-8")) if options.json else None
        recorder = Recorder(file, lambda text: print(text, flush=True), options.patience)
        recorder.machine(arguments)
        for name in options.names or NAMES:
            recorder.workload = name
            factor = MANY_JOBS.get(name, 1) * (LONG_FACTOR if options.long and name in MANY_JOBS else 1)
            rounds = options.rounds or (FEW_ROUNDS if name in BY_NAME else ROUNDS)
            workloads[name](recorder, rounds, options.jobs * factor)


def _options(arguments: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python3 -m benchmarks", description=DESCRIPTION)
    parser.add_argument("names", nargs="*", metavar="NAME", help=" ".join((*NAMES, *BY_NAME)))
    add = parser.add_argument
    add("--json", metavar="FILE", help="append every measurement to FILE, a JSON object a line")
    add("--rounds", type=int, metavar="N", help=f"of each workload ({ROUNDS}; of peers and scale {FEW_ROUNDS})")
    add("--jobs", type=int, default=2000, metavar="N", help="a round (2000; memory ten times as many)")
    add("--patience", type=float, default=0.0, metavar="SECONDS", help=PATIENCE)
    add("--long", action="store_true", help="memory, peers: also with many more jobs")
    add("--only", default="", metavar="PEER,…", help="peers: only these, such as ourselves,slurm")
    add(
        "--hyperqueue",
        default="",
        metavar="PYTHON",
        help="peers: a Python with the package hyperqueue, else one is made",
    )
    options = parser.parse_args(arguments)
    unknown = [name for name in options.names if name not in (*NAMES, *BY_NAME)]
    if unknown:
        parser.error(f"there is no workload '{unknown[0]}'; there are {', '.join((*NAMES, *BY_NAME))}")
    return options


def _use_servers_python() -> None:
    """Begin again with the Python that has the servers' libraries, where this one has not."""
    python = places.find_python(places.find_root())
    if importlib.util.find_spec("twisted") is None and python != sys.executable:
        os.execv(python, [python, "-m", "benchmarks", *sys.argv[1:]])


if __name__ == "__main__":
    try:
        main(sys.argv[1:])
    except KeyboardInterrupt:
        raise SystemExit("interrupted; what was started has been ended") from None

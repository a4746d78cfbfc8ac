#!/usr/bin/env python3
"""Count the primes below LIMIT with many jobs at once, and merge their results with a last one:

parallel_primes.py LIMIT [JOBS]

An example of driving TaskManager from a script. It uses nothing but ``hRunJob``: ``--from -`` submits a command a
line, ``--wait --json`` tells of every ending as it comes, ``--info --json`` says what the jobs have used.
"""

from __future__ import annotations

import itertools
import json
import os
import shlex
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

HERE = os.path.dirname(os.path.abspath(__file__))
PRIMES = os.path.join(HERE, "primes.py")
HRUNJOB = os.path.join(os.path.dirname(HERE), "bin", "hRunJob")

Show = Callable[[int, int], None]


class FailedError(Exception):
    """Some job did not end well."""


class Result(NamedTuple):
    """The *answer*, and what *jobs* jobs took: *wall* seconds until the last had ended, *work* CPU seconds in all."""

    answer: int
    jobs: int
    wall: float
    work: float


def calculate(limit: int, jobs: int, folder: str, show: Show) -> Result:
    """Count the primes below *limit* with *jobs* jobs, their files in *folder*; *show* is told (done, all)."""
    begun = time.monotonic()
    commands = [[sys.executable, PRIMES, "count", str(low), str(high)] for low, high in pieces(limit, jobs)]
    parts = os.path.join(folder, "part-%j.txt")
    ids: list[int] = []
    done = 0
    for news in run_all(["--name", "primes", "--output", parts, "--from", "-"], "\n".join(map(shlex.join, commands))):
        if "state" not in news:
            ids.append(news["id"])
        else:
            check(news)
            done += 1
        show(done, len(commands))
    wall = time.monotonic() - begun
    files = [parts.replace("%j", str(number)) for number in ids]
    result = os.path.join(folder, "result.txt")
    for news in run_all(["--name", "merge", "--output", result, "--", sys.executable, PRIMES, "merge", *files]):
        if "state" in news:
            check(news)
    with open(result, encoding="ascii") as file:
        answer = int(file.read())
    return Result(answer, len(ids), wall, sum(view["cpu_seconds"] for view in described(ids)))


def pieces(limit: int, count: int) -> list[tuple[int, int]]:
    """Return *count* ranges that together are ``range(limit)`` and need about the same work."""
    ends = [round(limit * (number / count) ** (2 / 3)) for number in range(count + 1)]
    return list(itertools.pairwise(ends))


def run_all(options: list[str], commands: str = "") -> Iterator[dict[str, Any]]:
    """Yield what hRunJob tells: ``{"id": 17}`` for each accepted job, then the view of each that has ended."""
    with tempfile.TemporaryFile() as complaints, tempfile.TemporaryFile() as lines:
        lines.write(commands.encode())
        lines.seek(0)
        command = [sys.executable, HRUNJOB, "--wait", "--json", *options]
        with subprocess.Popen(command, stdin=lines, stdout=subprocess.PIPE, stderr=complaints, cwd=HERE) as process:
            assert process.stdout is not None
            try:
                yield from map(json.loads, process.stdout)
            except BaseException:
                process.terminate()
                raise
        if process.returncode:
            complaints.seek(0)
            raise FailedError(complaints.read().decode(errors="replace").strip() or f"exit status {process.returncode}")


def check(view: dict[str, Any]) -> None:
    """Raise `FailedError` unless the job has completed."""
    if view.get("error"):
        raise FailedError(view["error"]["message"])
    if view["state"] != "completed":
        why = f": {view['reason']}" if view.get("reason") else ""
        raise FailedError(f"job {view['id']} {view['state']}{why}; 'bin/hRunJob -i {view['id']}' says more")


def described(ids: list[int]) -> list[dict[str, Any]]:
    """Return the public views of the jobs *ids*."""
    command = [sys.executable, HRUNJOB, "--json", "--info", ",".join(map(str, ids))]
    shown = subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout
    return [json.loads(line) for line in shown.splitlines()]


def main() -> None:
    """Do what the command line says."""
    if len(sys.argv) not in (2, 3) or not all(word.isdigit() for word in sys.argv[1:]):
        sys.exit(__doc__)
    folder = tempfile.mkdtemp(prefix="primes-", dir=os.getcwd())
    jobs = int(sys.argv[2]) if len(sys.argv) == 3 else 16
    try:
        result = calculate(int(sys.argv[1]), jobs, folder, lambda done, total: print(f"{done}/{total}", flush=True))
    except FailedError as error:
        sys.exit(f"parallel_primes: {error}")
    print(f"{result.answer} primes, {result.wall:.1f} s for {result.work:.1f} s of work")


if __name__ == "__main__":
    main()

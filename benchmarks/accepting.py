"""Jobs a second accepted durably while no host is active: one by one, pipelined, in bulk, and by ``hRunJob --from``."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from pathlib import Path

from benchmarks.installation import Installation, installation
from benchmarks.limits import durable_microseconds, process_seconds
from benchmarks.record import Recorder
from benchmarks.usage import Usage
from tm.client.submit import make_lines

BULK_FACTOR = 10


def run(recorder: Recorder, rounds: int, jobs: int) -> None:
    """Measure with *jobs* one by one and ten times as many in bulk, in a new installation each round."""
    many = BULK_FACTOR * jobs
    for _ in recorder.rounds(rounds):
        with installation(1, active=False) as installed:
            source = os.path.join(installed.folder, "commands")
            Path(source).write_text("true\n" * many)
            program = installed.client("hRunJob", "--quiet", "--from", source)
            recorder.add("durable append", durable_microseconds(installed.folder), "us")
            _one(recorder, installed, "singly", jobs, lambda: installed.submit_singly(["/bin/true"], jobs))
            _steps(recorder, installed, jobs // 4)
            _one(recorder, installed, "pipelined", jobs, lambda: installed.submit_pipelined(["/bin/true"], jobs))
            _one(recorder, installed, "bulk", many, lambda: installed.submit([["/bin/true"]] * many))
            before = Usage(installed)
            seconds = process_seconds(program, installed.environment, installed.folder)
            recorder.add("accepted", many / seconds, "1/s", way="program")
            Usage(installed).record_others(recorder, before, way="program")


def _steps(recorder: Recorder, installed: Installation, count: int) -> None:
    """Record round trips that each do a little more than the one before; the last accepts a job."""
    connection = installed.connection
    known = next(make_lines([["/bin/true"]], installed.common)).data.decode().partition(":")[2].rstrip("\n")
    steps: dict[str, Callable[[], object]] = {
        "TMS": lambda: connection.ask("version"),
        "TaskDispatcher": lambda: connection.ask("whoami"),
        "known": lambda: connection.ask("submit", known),
        "new": lambda: installed.submit_singly(["/bin/true"], 1),
    }
    before = Usage(installed)
    for step, ask in steps.items():
        ask()
        begin = time.perf_counter()
        for _ in range(count):
            ask()
        recorder.add("round trip", (time.perf_counter() - begin) / count * 1e6, "us", way="steps", step=step)
    Usage(installed).record_others(recorder, before, way="steps")


def _one(
    recorder: Recorder, installed: Installation, way: str, jobs: int, work: Callable[[], object]
) -> None:
    before = Usage(installed)
    begin = time.perf_counter()
    work()
    seconds = time.perf_counter() - begin
    after = Usage(installed)
    recorder.add("accepted", jobs / seconds, "1/s", way=way)
    after.record_others(recorder, before, way=way)
    after.record(recorder, before, jobs, way=way)

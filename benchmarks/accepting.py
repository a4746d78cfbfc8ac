"""Jobs a second accepted durably while no host is active: in bulk, one by one, by ``hRunJob --from``."""

from __future__ import annotations

import os
import time
from pathlib import Path

from benchmarks.installation import installation
from benchmarks.limits import durable_microseconds, process_seconds
from benchmarks.record import Recorder

BULK_FACTOR = 10


def run(recorder: Recorder, rounds: int, jobs: int) -> None:
    """Measure with *jobs* one by one and ten times as many in bulk, in a new installation each round."""
    many = BULK_FACTOR * jobs
    for recorder.round in range(1, rounds + 1):
        with installation(1, active=False) as installed:
            recorder.add("durable append", durable_microseconds(installed.folder), "us")
            commits = installed.commits()
            begin = time.perf_counter()
            installed.submit_singly(["/bin/true"], jobs)
            recorder.add("accepted", jobs / (time.perf_counter() - begin), "1/s", way="singly")
            recorder.add("commits", (installed.commits() - commits) / jobs, "per job", way="singly")
            begin = time.perf_counter()
            installed.submit([["/bin/true"]] * many)
            recorder.add("accepted", many / (time.perf_counter() - begin), "1/s", way="bulk")
            source = os.path.join(installed.folder, "commands")
            Path(source).write_text("true\n" * many)
            command = installed.client("hRunJob", "--quiet", "--from", source)
            seconds = process_seconds(command, installed.environment, installed.folder)
            recorder.add("accepted", many / seconds, "1/s", way="hRunJob --from")

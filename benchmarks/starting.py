"""How long a client takes as a process, beside the start of Python with the modules any such client needs."""

from __future__ import annotations

import sys

from benchmarks.installation import installation
from benchmarks.limits import PYTHON_START, process_seconds
from benchmarks.record import Recorder
from benchmarks.usage import Usage


def run(recorder: Recorder, rounds: int, jobs: int) -> None:
    """Measure the three, one after the other, on an idle cluster, ten times as often as other workloads."""
    with installation(2) as installed:
        commands = {
            "python start": [sys.executable, "-c", PYTHON_START],
            "hRunJob": installed.client("hRunJob", "true"),
            "hRunJob --wait": installed.client("hRunJob", "--wait", "true"),
        }
        for _ in recorder.rounds(10 * rounds):
            before = Usage(installed)
            for name, command in commands.items():
                seconds = process_seconds(command, installed.environment, installed.folder)
                recorder.add(name, seconds * 1e3, "ms")
                installed.rest()
            Usage(installed).record_others(recorder, before)

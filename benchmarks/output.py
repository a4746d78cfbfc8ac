"""The rate at which ``hRun`` moves a job's output, and what the daemons' memory grows by meanwhile."""

from __future__ import annotations

from benchmarks import daemons
from benchmarks.installation import installation
from benchmarks.limits import BYTES, pipe_rate, process_seconds
from benchmarks.record import Recorder
from benchmarks.usage import Usage


def run(recorder: Recorder, rounds: int, jobs: int) -> None:
    """Measure 1 GiB of zeros a round, beside the same through a pipe."""
    with installation(2) as installed:
        for _ in recorder.rounds(rounds):
            used = Usage(installed)
            recorder.add("pipe", pipe_rate(installed.folder, installed.environment) / 1e6, "MB/s")
            pids = installed.pids()
            before = {name: daemons.resident(pid) for name, pid in pids.items()}
            for pid in pids.values():
                daemons.forget_peak(pid)
            command = installed.client("hRun", "--", "head", "-c", str(BYTES), "/dev/zero")
            seconds = process_seconds(command, installed.environment, installed.folder)
            recorder.add("output", BYTES / seconds / 1e6, "MB/s")
            for name, pid in pids.items():
                recorder.add("growth", (daemons.peak(pid) - before[name]) / 1e6, "MB", daemon=name)
            Usage(installed).record_others(recorder, used)
            installed.rest()

"""What the machine itself can do: starting processes, starting Python, making bytes durable, moving bytes."""

from __future__ import annotations

import os
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from benchmarks.record import Recorder

TRUE = "/bin/true"
PYTHON_START = "import argparse, socket, ssl, json"
BYTES = 1 << 30


class BareSpawn:
    """A loop that only starts and reaps ``/bin/true``: in C where there is a compiler, else in Python."""

    def __init__(self, folder: str) -> None:
        self.how = "Python"
        self._program = os.path.join(folder, "spawn")
        compiler = shutil.which("cc")
        if compiler is not None:
            source = str(Path(__file__).with_name("spawn.c"))
            command = [compiler, "-O2", "-o", self._program, source]
            made = subprocess.run(command, capture_output=True, check=False)
            if made.returncode == 0:
                self.how = "C"

    def measure(self, recorder: Recorder, at_once: int, count: int, **marks: object) -> None:
        """Record how many processes a second it starts, *at_once* at a time, and the processor time each."""
        before = _children_seconds()
        rate = self._rate(at_once, count)
        used = (_children_seconds() - before) * 1e6 / count
        recorder.add("bare spawn", rate, "1/s", **marks, at_once=at_once, language=self.how)
        recorder.add("bare processor", used, "us", **marks, at_once=at_once, language=self.how)

    def _rate(self, slots: int, count: int) -> float:
        if self.how == "C":
            command = [self._program, str(count), str(slots), TRUE]
            return float(subprocess.run(command, capture_output=True, check=True).stdout)
        return _python_rate(slots, count)


def _children_seconds() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def _python_rate(slots: int, count: int) -> float:
    running = started = 0
    begin = time.perf_counter()
    while started < count or running:
        while started < count and running < slots:
            os.posix_spawn(TRUE, [TRUE], os.environ)
            started += 1
            running += 1
        if os.waitstatus_to_exitcode(os.waitpid(-1, 0)[1]) != 0:
            raise SystemExit(f"{TRUE} failed")
        running -= 1
    return count / (time.perf_counter() - begin)


def durable_microseconds(folder: str, count: int = 200) -> float:
    """Return the median microseconds that appending 200 bytes durably takes in *folder*."""
    taken = []
    with tempfile.TemporaryFile(dir=folder, buffering=0) as file:
        for _ in range(count):
            begin = time.perf_counter()
            file.write(b"x" * 200)
            os.fdatasync(file.fileno())
            taken.append((time.perf_counter() - begin) * 1e6)
    return statistics.median(taken)


def process_seconds(command: list[str], environment: dict[str, str], folder: str) -> float:
    """Return the seconds from the start of *command* to its end; leave when it fails."""
    null = subprocess.DEVNULL
    begin = time.perf_counter()
    process = subprocess.Popen(
        command, env=environment, cwd=folder, stdin=null, stdout=null, stderr=subprocess.PIPE
    )
    assert process.stderr is not None
    said = process.stderr.read()
    status = process.wait()
    taken = time.perf_counter() - begin
    process.stderr.close()
    if status != 0:
        raise SystemExit(f"{command[1:]} ended with {status}: {said.decode(errors='replace')}")
    return taken


def pipe_rate(folder: str, environment: dict[str, str]) -> float:
    """Return the bytes a second that `cat` takes from a pipe and puts nowhere."""
    return BYTES / process_seconds(["/bin/sh", "-c", f"head -c {BYTES} /dev/zero | cat"], environment, folder)


def run(recorder: Recorder, rounds: int, jobs: int) -> None:
    """Measure every limit alone."""
    with tempfile.TemporaryDirectory() as folder:
        spawn = BareSpawn(folder)
        environment = dict(os.environ)
        for _ in recorder.rounds(rounds):
            for at_once in (1, 2, 8):
                spawn.measure(recorder, at_once, jobs)
            start = [sys.executable, "-c", PYTHON_START]
            recorder.add("python start", process_seconds(start, environment, folder) * 1e3, "ms")
            recorder.add("durable append", durable_microseconds(folder), "us")
            recorder.add("pipe", pipe_rate(folder, environment) / 1e6, "MB/s")

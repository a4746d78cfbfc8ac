"""What an InfoServer costs its host at 1,000 processes, and what other ways to read all of them would cost."""

from __future__ import annotations

import contextlib
import os
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil

from benchmarks import daemons
from benchmarks.record import Recorder
from tests.support.cluster import Cluster
from tests.support.processes import wait_for
from tm.edge.probe_processes import Processes

PROCESSES = 1000
SECONDS = 30.0
LOOKS = 20
USER = "alice"
# How many of the processes start another one every second.
LIVELY = (0, 30)


def run(recorder: Recorder, rounds: int, jobs: int) -> None:
    """Measure *rounds* times, with processes that all sleep and with some that do not; *jobs* does not matter."""
    with Cluster(users=(USER,), hosts={"n1": {"launcher": "local", "cores": 2, "infoserver": True}}) as cluster:
        cluster.start_dispatcher()
        pidfile = Path(cluster.local(USER), "info", "n1", "infoserver.pid")
        wait_for(pidfile.exists, "the InfoServer")
        pid = int(pidfile.read_text())
        for _ in recorder.rounds(rounds):
            for lively in LIVELY:
                with crowd(lively):
                    _measure(recorder, pid, lively)
            with crowd(0):
                _compare(recorder)


@contextlib.contextmanager
def crowd(lively: int) -> Iterator[None]:
    """Have `PROCESSES` processes on this machine, of which *lively* start another one every second."""
    wanted = max(0, PROCESSES - lively - len(psutil.pids()))
    commands = [["sleep", "3600"]] * wanted + [["sh", "-c", "while sleep 1; do :; done"]] * lively
    children = [subprocess.Popen(command, start_new_session=True) for command in commands]
    try:
        yield
    finally:
        for child in children:
            os.killpg(child.pid, 9)
        for child in children:
            child.wait()


def _measure(recorder: Recorder, pid: int, lively: int) -> None:
    time.sleep(3 * 2.0)
    began, busy = time.monotonic(), daemons.busy_seconds()
    before = sum(daemons.processor_seconds(pid))
    time.sleep(SECONDS)
    seconds = time.monotonic() - began
    used = sum(daemons.processor_seconds(pid)) - before
    marks = {"processes": PROCESSES, "lively": lively}
    recorder.add("share of a core", used / seconds * 100, "%", **marks)
    recorder.add("resident", daemons.resident(pid) / 1e6, "MB", daemon="InfoServer", **marks)
    recorder.add("cores taken by others", (daemons.busy_seconds() - busy - used) / seconds, "cores", **marks)


def _compare(recorder: Recorder) -> None:
    """Measure a look at all processes: as InfoServer does it, opening each file anew, and by psutil."""
    processes = Processes()
    ways: dict[str, Callable[[], object]] = {
        "files kept open": processes.look, "files opened anew": _open_anew, "psutil": _ask_psutil,
    }  # fmt: skip
    for way, look in ways.items():
        look()
        before = time.thread_time()
        for _ in range(LOOKS):
            look()
        recorder.add("a look at all processes", (time.thread_time() - before) / LOOKS * 1e3, "ms", way=way)
    processes.close()


def _open_anew() -> None:
    for name in os.listdir("/proc"):
        if name.isdigit():
            with contextlib.suppress(OSError):
                file = os.open(f"/proc/{name}/stat", os.O_RDONLY)
                fields = os.read(file, 1024).rpartition(b")")[2].split()
                os.close(file)
                [int(fields[place]) for place in (1, 3, 11, 12, 13, 14, 19, 21)]


def _ask_psutil() -> None:
    for _ in psutil.process_iter(["ppid", "cpu_times", "memory_info", "create_time"]):
        pass

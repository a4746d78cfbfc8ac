"""From terminal to terminal: how long a line takes that a job writes, and a key that is typed to ``hRun``; beside the
same without us, ``tail -F`` on the file and a terminal of this machine.
"""

from __future__ import annotations

import contextlib
import os
import select
import statistics
import subprocess
import sys
import time

from benchmarks.installation import Installation, installation
from benchmarks.record import Recorder
from tests.support.keyboard import Keyboard
from tm.client.submit import Submission, make_lines

LINES = 40
KEYS = 100
WRITER = """import sys,time
time.sleep(2)
for n in range({lines}):
 print(n, time.time(), flush=True); time.sleep(0.05 + n % 7 * 0.013)
time.sleep(1)
"""


def run(recorder: Recorder, rounds: int, jobs: int) -> None:
    """Measure both a round, the median and the slowest of each."""
    with installation(2) as installed:
        for _ in recorder.rounds(rounds):
            _lines(installed, recorder)
            for what, command in (
                ("local key", ["cat"]),
                ("key", installed.client("hRun", "cat")),
            ):
                _record(recorder, what, _keys(installed, command))
            installed.rest()


def _lines(installed: Installation, recorder: Recorder) -> None:
    path = os.path.join(installed.folder, "followed")
    with contextlib.suppress(FileNotFoundError):
        os.unlink(path)
    program = os.path.join(installed.folder, "writer.py")
    with open(program, "w", encoding="utf-8") as file:
        file.write(WRITER.format(lines=LINES))
    lines = make_lines([[sys.executable, "-S", program]], {**installed.common, "stdout": path})
    (number,) = Submission(lambda: installed.connection, lines).run()
    followers = {
        "tail -F": ["tail", "-s", "0.1", "-n", "+1", "-F", path],
        "line": installed.client("hRunJob", "-f", str(number)),
    }
    processes = {
        what: subprocess.Popen(
            command, env=installed.environment, cwd=installed.folder, stdout=subprocess.PIPE, bufsize=0,
            stderr=subprocess.DEVNULL,
        )
        for what, command in followers.items()
    }  # fmt: skip
    delays = _read({what: process.stdout.fileno() for what, process in processes.items() if process.stdout})
    for what, process in processes.items():
        process.kill()
        process.wait()
        if process.stdout is not None:
            process.stdout.close()
        _record(recorder, what, delays[what])
    installed.wait([number])


def _read(files: dict[str, int]) -> dict[str, list[float]]:
    """Return by follower how long each line took from its job to us, in seconds."""
    delays: dict[str, list[float]] = {what: [] for what in files}
    partial = dict.fromkeys(files, b"")
    names = {file: what for what, file in files.items()}
    deadline = time.monotonic() + 60
    while any(len(found) < LINES for found in delays.values()) and time.monotonic() < deadline:
        for file in select.select(list(names), [], [], 1.0)[0]:
            what = names[file]
            data = os.read(file, 65536)
            now = time.time()
            *lines, partial[what] = (partial[what] + data).split(b"\n")
            delays[what] += [now - float(line.split()[1]) for line in lines]
            if not data:
                del names[file]
    return delays


def _keys(installed: Installation, command: list[str]) -> list[float]:
    """Return how long each key takes until it is shown, in seconds."""
    keyboard = Keyboard(command, installed.environment, installed.folder)
    try:
        keyboard.type(b"begin\n")
        keyboard.see(b"begin\r\nbegin")
        found = []
        for number in range(KEYS):
            key = b"%d" % (number % 10)
            keyboard.shown = b""
            begin = time.perf_counter()
            keyboard.type(key)
            keyboard.see(key)
            found.append(time.perf_counter() - begin)
            time.sleep(0.005)
        keyboard.type(b"\n\x04")
        keyboard.end()
        return found
    finally:
        keyboard.kill()


def _record(recorder: Recorder, what: str, seconds: list[float]) -> None:
    recorder.add(what, statistics.median(seconds) * 1e3, "ms")
    recorder.add(what + ", slowest", max(seconds) * 1e3, "ms")

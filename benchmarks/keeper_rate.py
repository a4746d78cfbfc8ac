"""The keeper alone, without any other daemon, beside a bare `subprocess.Popen` loop.

It records every ending on the disk of TMPDIR. What is missing to the rate of the whole chain is the others'
share.
"""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import tempfile
import time
from typing import BinaryIO

from benchmarks import daemons
from benchmarks.record import Recorder
from tm import places

COMMAND = ["/bin/true"]
SLOTS = (2, 8)


def run(recorder: Recorder, rounds: int, jobs: int) -> None:
    """Measure with all slots."""
    for _ in recorder.rounds(rounds):
        for slots in SLOTS:
            recorder.add("bare Popen", bare_rate(jobs, slots), "1/s", slots=slots)
            rate, processor, memory = keeper_rate(jobs, slots)
            recorder.add("jobs", rate, "1/s", slots=slots)
            recorder.add("processor", processor * 1e6, "us", slots=slots, daemon="keeper")
            recorder.add("resident", memory / 1e6, "MB", slots=slots, daemon="keeper")


def bare_rate(jobs: int, slots: int) -> float:
    """Return how many jobs a second a loop without any book-keeping starts and reaps, *slots* at a time."""
    with open(os.devnull, "r+b", buffering=0) as null:
        running = started = 0
        begin = time.perf_counter()
        while started < jobs or running:
            while started < jobs and running < slots:
                child = subprocess.Popen(
                    COMMAND, cwd="/", env=dict(os.environ), start_new_session=True, umask=0o22,
                    stdin=null, stdout=null, stderr=null, close_fds=True,
                )  # fmt: skip
                child.returncode = 0
                started += 1
                running += 1
            os.wait4(-1, 0)
            running -= 1
        return jobs / (time.perf_counter() - begin)


def keeper_rate(jobs: int, slots: int) -> tuple[float, float, int]:
    """Return the keeper's jobs a second, its own processor seconds a job, its resident bytes at the end."""
    program = os.path.join(places.find_root(), "tm", "keeper", "__main__.py")
    with tempfile.TemporaryDirectory() as spool:
        keeper = subprocess.Popen([sys.executable, "-I", "-S", program, spool, "1"], stdin=subprocess.DEVNULL)
        peer = _connect(f"{spool}/keeper-1.sock")
        with peer, peer.makefile("rb") as lines:
            lines.readline()
            begin = time.perf_counter()
            _say(peer, {"env": {"e": dict(os.environ)}, "grant": slots})
            for first in range(0, jobs, 100):
                _say(peer, {"start": [_order(job) for job in range(first, min(jobs, first + 100))]})
            _until_ended(peer, lines, jobs)
            rate = jobs / (time.perf_counter() - begin)
            processor = daemons.processor_seconds(keeper.pid)[0] / jobs
            memory = daemons.resident(keeper.pid)
            _say(peer, {"leave": True})
            keeper.wait(10)
    return rate, processor, memory


def _connect(path: str) -> socket.socket:
    deadline = time.monotonic() + 10
    while True:
        peer = socket.socket(socket.AF_UNIX)
        try:
            peer.connect(path)
            return peer
        except OSError:
            peer.close()
            if time.monotonic() > deadline:
                raise
            time.sleep(0.01)


def _order(job: int) -> dict[str, object]:
    variables = {"TM_JOB_ID": str(job), "TM_ATTEMPT": "1"}
    return {
        "job": job, "attempt": 1, "command": COMMAND, "cwd": "/", "env": "e", "vars": variables, "umask": 18,
    }  # fmt: skip


def _say(peer: socket.socket, message: dict[str, object]) -> None:
    peer.sendall(json.dumps(message).encode() + b"\n")


def _until_ended(peer: socket.socket, lines: BinaryIO, jobs: int) -> None:
    ended = 0
    for line in lines:
        done = [fact for fact in json.loads(line)["facts"] if fact["what"] == "ended"]
        if any(fact["exit_code"] != 0 for fact in done):
            raise SystemExit(f"a job failed: {done}")
        _say(peer, {"forget": [[fact["job"], 1] for fact in done]})
        ended += len(done)
        if ended == jobs:
            return

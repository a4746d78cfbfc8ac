"""Jobs per second of the keeper alone, against a bare `subprocess.Popen` loop in the same run.

``python3 benchmarks/keeper_rate.py [JOBS] [SLOTS …]`` prints one line per number of slots: both rates,
their ratio, the keeper's processor time a job and its resident memory at the end. The keeper records every
ending on the disk of TMPDIR.
"""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import tempfile
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
COMMAND = ["/bin/true"]
ARGUMENTS = [sys.executable, "-I", "-S", str(ROOT / "tm" / "keeper" / "__main__.py")]


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
    """Return the keeper's jobs a second, its processor seconds a job, its resident bytes at the end."""
    with tempfile.TemporaryDirectory() as spool:
        keeper = subprocess.Popen([*ARGUMENTS, spool, "1"], stdin=subprocess.DEVNULL)
        peer = _connect(f"{spool}/keeper-1.sock")
        with peer, peer.makefile("rb") as lines:
            lines.readline()
            begin = time.perf_counter()
            _say(peer, {"env": {"e": dict(os.environ)}, "grant": slots})
            for first in range(0, jobs, 100):
                _say(peer, {"start": [_order(job) for job in range(first, min(jobs, first + 100))]})
            _until_ended(peer, lines, jobs)
            rate = jobs / (time.perf_counter() - begin)
            stat = Path(f"/proc/{keeper.pid}/stat").read_text().rpartition(")")[2].split()
            memory = int(stat[21]) * os.sysconf("SC_PAGE_SIZE")
            processor = (int(stat[11]) + int(stat[12])) / os.sysconf("SC_CLK_TCK") / jobs
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
        "job": job,
        "attempt": 1,
        "command": COMMAND,
        "cwd": "/",
        "env": "e",
        "vars": variables,
        "umask": 18,
    }


def _say(peer: socket.socket, message: dict[str, object]) -> None:
    peer.sendall(json.dumps(message).encode() + b"\n")


def _until_ended(peer: socket.socket, lines: object, jobs: int) -> None:
    ended = 0
    for line in lines:  # type: ignore[attr-defined]
        done = [fact for fact in json.loads(line)["facts"] if fact["what"] == "ended"]
        if any(fact["exit_code"] != 0 for fact in done):
            raise SystemExit(f"a job failed: {done}")
        _say(peer, {"forget": [[fact["job"], 1] for fact in done]})
        ended += len(done)
        if ended == jobs:
            return


def main() -> None:
    """Measure and print."""
    numbers = [int(word) for word in sys.argv[1:]]
    jobs = numbers[0] if numbers else 2000
    for slots in numbers[1:] or [2, 8]:
        bare = bare_rate(jobs, slots)
        rate, processor, memory = keeper_rate(jobs, slots)
        print(
            f"{slots} slots: keeper {rate:.0f}/s, bare {bare:.0f}/s, ratio {rate / bare:.2f}, "
            f"{processor * 1e6:.0f} us a job, {memory / 1e6:.1f} MB"
        )


if __name__ == "__main__":
    main()

"""The oracle outside the product: each test job writes down that it runs, before anything else, and ends with a code
computed from its number.

``python3 -I -S ledger.py FILE [SECONDS | PATH]`` is such a job; its number is its id, ``TM_JOB_ID``. Lines of FILE,
each written by one append and synced: ``start JOB ATTEMPT PID TIME`` and, when it has slept so long, or there is a
file PATH (absolute), ``end JOB ATTEMPT PID TIME``.
"""

from __future__ import annotations

import os
import sys
import time

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


def code_of(job: int) -> int:
    """Return the exit code of job number *job*."""
    return (job * 37 + 11) % 256


def main(arguments: list[str]) -> int:
    """Be a job; return its exit code."""
    ledger = os.open(arguments[0], os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    job = int(os.environ["TM_JOB_ID"])
    _write(ledger, "start", job)
    if len(arguments) > 1 and arguments[1].startswith("/"):
        while not os.path.exists(arguments[1]):
            time.sleep(0.02)
    elif len(arguments) > 1:
        time.sleep(float(arguments[1]))
    _write(ledger, "end", job)
    return code_of(job)


def _write(ledger: int, what: str, job: int) -> None:
    line = f"{what} {job} {os.environ['TM_ATTEMPT']} {os.getpid()} {time.time():.6f}\n"
    os.write(ledger, line.encode())
    os.fsync(ledger)


class Line:
    """One line of a ledger."""

    def __init__(self, text: str) -> None:
        self.what, job, attempt, pid, at = text.split()
        self.job = int(job)
        self.attempt = int(attempt)
        self.pid = int(pid)
        self.at = float(at)

    def __repr__(self) -> str:
        return f"{self.what} of job {self.job}.{self.attempt} by {self.pid} at {self.at}"


def read(path: str) -> list[Line]:
    """Return the lines of the ledger *path*; none when no job has run."""
    try:
        with open(path, encoding="ascii") as file:
            return [Line(text) for text in file]
    except FileNotFoundError:
        return []


def complaints(lines: list[Line], accepted: list[int], jobs: dict[int, dict[str, Any]], may_be_lost: bool) -> list[str]:
    """Return what is wrong: accepted jobs that are not final, more than one start, other codes than computed.

    *jobs* are the public views by id. No single fault makes a job ``lost``; *may_be_lost* when there were more.
    """
    wrong = []
    starts: dict[int, int] = {}
    for line in lines:
        if line.what == "start":
            starts[line.job] = starts.get(line.job, 0) + 1
    wrong += [f"job {job} was started {count} times" for job, count in starts.items() if count > 1]
    wrong += [f"job {job} ran and is unknown" for job in starts if job not in jobs]
    for number in accepted:
        job = jobs.get(number)
        if job is None:
            wrong.append(f"job {number} was accepted and is unknown")
        elif may_be_lost and job["state"] == "lost":
            continue
        elif job["state"] not in ("completed", "failed"):
            wrong.append(f"job {number} is {job['state']}: {job['reason']}")
        elif job["exit_code"] != code_of(number):
            wrong.append(f"job {number} is said to have ended with {job['exit_code']}, not {code_of(number)}: {job}")
        elif number not in starts:
            wrong.append(f"job {number} is said to have ended and never ran")
    return wrong


def most_at_once(lines: list[Line], cores: dict[int, int]) -> int:
    """Return how many cores the jobs of *lines* used at once; *cores* of each, 1 where it is not named."""
    changes = []
    for line in lines:
        wide = cores.get(line.job, 1)
        changes.append((line.at, wide if line.what == "start" else -wide))
    used = most = 0
    for _, change in sorted(changes, key=lambda one: one[0]):
        used += change
        most = max(most, used)
    return most


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

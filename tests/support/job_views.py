"""Jobs as the dispatcher tells them, for tests of what shows them."""

from __future__ import annotations

from typing import Any

NOW = 1_800_000_000.0
"""What the clock of `tests.support.web.Site` shows: 2027-01-15 08:00 UTC."""


def job(number: int | str = 17, **others: Any) -> dict[str, Any]:
    """Return a job as ``lsjobs.json`` lists it."""
    return {
        "id": number, "name": "fit", "user": "alice", "state": "running", "reason": "", "host": "n1", "attempt": 1,
        "exit_code": None, "signal": None, "command": "./fit run1.dat", "cwd": "/home/alice/work",
        "stdout": f"/home/alice/work/tm-{number}.out", "stderr": f"/home/alice/work/tm-{number}.out",
        "submitted_at": "2027-01-15T07:00:00.000Z", "started_at": "2027-01-15T07:30:00.000Z", "ended_at": None,
        "cpu_seconds": None, "max_rss": None, "cores": 2, "memory": 4 << 30, "priority": 0, "cause": "",
        "cursor": f"c{number}", **others,
    }  # fmt: skip


def array(number: int = 20, **others: Any) -> dict[str, Any]:
    """Return an array as ``lsjobs.json`` lists it."""
    tasks = {"indices": "0-99", "total": 100, "cap": 10, "waiting": 47, "active": 10, "completed": 40, "failed": 3}
    return job(number, name="sweep", host=None, tasks=tasks, **others)


def story(number: int | str = 17, **others: Any) -> dict[str, Any]:
    """Return a job as ``jobinfo.json`` tells it."""
    return {
        **job(number), "cause_text": "", "cancelled_by": None, "held_by": None, "suspended_by": None, "boost": 0,
        "retried": 0, "account": "physics", "pid": 4711, "gpus": 0, "time": 7200.0, "cpus": [0, 1], "gpu_ids": [],
        "rung": "sampled", "io_read": None, "io_written": None, "dependency": "", "begin": None, "deadline": None,
        "asked": {"cores": 2, "memory": 4 << 30, "time": 7200.0, "name": "fit"}, "changed": {}, "script": False,
        "attempts": [], "expected_start": None,
        "events": [
            {"at": "2027-01-15T07:00:00.000Z", "what": "submitted", "text": "by alice"},
            {"at": "2027-01-15T07:30:00.000Z", "what": "started", "text": "attempt 1 on n1"},
        ],
        **others,
    }  # fmt: skip

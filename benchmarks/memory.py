"""Resident memory of the daemons: idle, and while very many jobs have gone through them."""

from __future__ import annotations

from benchmarks import daemons
from benchmarks.installation import Installation, installation
from benchmarks.record import Recorder

SLOTS = 8
STEPS = 20


def run(recorder: Recorder, rounds: int, jobs: int) -> None:
    """Measure before and after each twentieth of *jobs*; one round, whatever *rounds* says."""
    next(recorder.rounds(1))
    step = max(1, jobs // STEPS)
    with installation(SLOTS) as installed:
        _measure(recorder, installed, 0)
        for done in range(step, jobs + 1, step):
            installed.wait(installed.submit([["/bin/true"]] * step))
            installed.rest()
            _measure(recorder, installed, done)


def _measure(recorder: Recorder, installed: Installation, done: int) -> None:
    for name, pid in installed.pids().items():
        recorder.add("resident", daemons.resident(pid) / 1e6, "MB", daemon=name, jobs=done)

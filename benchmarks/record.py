"""Measurements as they are taken: one JSON object a line, and a line for whoever watches.

Keys of every line: ``workload``, ``round`` (from 1), ``what``, ``value``, ``unit``, ``load`` (of the machine
in the minute before), and what else tells it apart, e.g. ``slots`` or ``daemon``. A run begins with a line
whose ``workload`` is ``machine`` and that says where and when it was made.
"""

from __future__ import annotations

import json
import os
import platform
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TextIO

import tm
from benchmarks.daemons import busy_seconds

QUIET = 0.15


class Recorder:
    """Writes the measurements of one run to *file*, if any, and tells *say* of each."""

    def __init__(self, file: TextIO | None, say: Callable[[str], None], patience: float) -> None:
        self._file = file
        self._say = say
        self._patience = patience
        self.workload = ""
        self.round = 0

    def rounds(self, count: int) -> Iterator[int]:
        """Yield the numbers of *count* rounds, each begun on a quiet machine if there is one."""
        for self.round in range(1, count + 1):
            self.settle()
            yield self.round

    def settle(self) -> None:
        """Wait until for a second hardly anything runs on this machine, but not longer than is wanted."""
        deadline = time.monotonic() + self._patience
        while time.monotonic() < deadline:
            before = busy_seconds()
            time.sleep(1.0)
            if busy_seconds() - before < QUIET:
                return

    def machine(self, arguments: list[str]) -> None:
        """Record what this run is measured on, and with which *arguments*."""
        self._write({"workload": "machine", "arguments": arguments, **machine()})

    def add(self, what: str, value: float, unit: str, **marks: object) -> None:
        """Record one measurement."""
        line = {
            "workload": self.workload, "round": self.round, "what": what, **marks,
            "value": round(value, 4), "unit": unit, "load": round(os.getloadavg()[0], 2),
        }  # fmt: skip
        self._write(line)
        marked = " ".join(f"{key}={mark}" for key, mark in marks.items())
        self._say(f"{self.workload} {self.round}: {what} {marked}  {value:.4g} {unit}")

    def note(self, text: str, **marks: object) -> None:
        """Record what is to be known of the measurements, such as that something could not be measured, and why."""
        self._write({"workload": self.workload, "round": self.round, "what": "note", **marks, "text": text})
        self._say(f"{self.workload}: {text}")

    def _write(self, line: dict[str, object]) -> None:
        if self._file is not None:
            self._file.write(json.dumps(line) + "\n")
            self._file.flush()


def machine() -> dict[str, object]:
    """Return what is known of this machine."""
    return {
        "at": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "version": tm.__version__,
        "processor": _first("/proc/cpuinfo", "model name"),
        "cores": len(os.sched_getaffinity(0)),
        "memory": os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE"),
        "hypervisor": "hypervisor" in _first("/proc/cpuinfo", "flags").split(),
        "kernel": platform.release(),
        "python": platform.python_version(),
        "load": round(os.getloadavg()[0], 2),
    }


def _first(path: str, key: str) -> str:
    for line in Path(path).read_text().splitlines():
        name, _, value = line.partition(":")
        if name.strip() == key:
            return value.strip()
    return "unknown"

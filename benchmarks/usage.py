"""What a piece of work costs: processor time by process, commits and sends, all as differences."""

from __future__ import annotations

import resource
import time

from benchmarks import daemons
from benchmarks.installation import Installation
from benchmarks.record import Recorder


class Usage:
    """What the daemons of an installation and this process, the client, have used until now."""

    def __init__(self, installed: Installation) -> None:
        pids = installed.pids()
        self._values = {"processor client": _seconds(resource.RUSAGE_SELF) * 1e6}
        for name, pid in pids.items():
            itself, children = daemons.processor_seconds(pid)
            self._values[f"processor {name}"] = itself * 1e6
            if name == "keeper":
                self._values["processor job"] = children * 1e6
        ours = sum(self._values.values()) / 1e6 + _seconds(resource.RUSAGE_CHILDREN)
        self._at, self._others = time.monotonic(), daemons.busy_seconds() - ours
        self._values["commits TaskDispatcher"] = installed.commits()
        for name, count in daemons.segments_sent(pids).items():
            self._values[f"sends {name}"] = count

    def record(self, recorder: Recorder, before: Usage, jobs: int, **marks: object) -> None:
        """Record what each of *jobs* jobs has cost since *before*."""
        for key, value in self._values.items():
            what, _, daemon = key.partition(" ")
            unit = "us" if what == "processor" else "per job"
            recorder.add(what, (value - before._values.get(key, 0)) / jobs, unit, **marks, daemon=daemon)

    def record_others(self, recorder: Recorder, before: Usage, **marks: object) -> None:
        """Record how many cores all processes that are not ours have kept busy since *before*."""
        taken = (self._others - before._others) / (self._at - before._at)
        recorder.add("others", max(0.0, taken), "cores", **marks)


def _seconds(whose: int) -> float:
    used = resource.getrusage(whose)
    return used.ru_utime + used.ru_stime

"""What a piece of work costs: processor time by process, commits and sends, all as differences."""

from __future__ import annotations

import resource

from benchmarks import daemons
from benchmarks.installation import Installation
from benchmarks.record import Recorder


class Usage:
    """What the daemons of an installation and this process, the client, have used until now."""

    def __init__(self, installed: Installation) -> None:
        pids = installed.pids()
        own = resource.getrusage(resource.RUSAGE_SELF)
        self._values = {"processor client": (own.ru_utime + own.ru_stime) * 1e6}
        for name, pid in pids.items():
            itself, children = daemons.processor_seconds(pid)
            self._values[f"processor {name}"] = itself * 1e6
            if name == "keeper":
                self._values["processor job"] = children * 1e6
        self._busy = daemons.busy_seconds() - sum(self._values.values()) / 1e6
        self._values["commits TaskDispatcher"] = installed.commits()
        for name, count in daemons.segments_sent(pids).items():
            self._values[f"sends {name}"] = count

    def record(self, recorder: Recorder, before: Usage, jobs: int, **marks: object) -> None:
        """Record what each of *jobs* jobs has cost since *before*."""
        for key, value in self._values.items():
            what, _, daemon = key.partition(" ")
            unit = "us" if what == "processor" else "per job"
            recorder.add(what, (value - before._values.get(key, 0)) / jobs, unit, **marks, daemon=daemon)

    def others(self, before: Usage, seconds: float) -> float:
        """Return how many cores all other processes have kept busy during *seconds* since *before*."""
        return round((self._busy - before._busy) / seconds, 2)

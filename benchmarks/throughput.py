"""Jobs a second through the whole chain, and what one job costs by process.

Ways: ``bulk`` (all in one line of ``submit``), ``singly`` (each accepted before the next is sent, over one
connection), ``shell`` (in bulk, as ``hRunJob --from`` submits: shell text, and an output file for each job).
The time runs from the first submission until the last ending is on the dispatcher's disk.
"""

from __future__ import annotations

import resource
import time

from benchmarks import daemons
from benchmarks.installation import Installation, installation
from benchmarks.limits import BareSpawn
from benchmarks.record import Recorder

SLOTS = (2, 8)
AT_ONCE = 2
WAYS = ("bulk", "singly", "shell")


def run(recorder: Recorder, rounds: int, jobs: int) -> None:
    """Measure all ways with all slots, each beside the bare loop."""
    for recorder.round in range(1, rounds + 1):
        for slots in SLOTS:
            with installation(slots) as installed:
                spawn = BareSpawn(installed.folder)
                if spawn.how != "C" and recorder.round == 1:
                    recorder.note("there is no C compiler: the bare loop is in Python, and slower")
                for way in WAYS:
                    spawn.measure(recorder, AT_ONCE, jobs, slots=slots, way=way)
                    _one(recorder, installed, slots, way, jobs)
                    spawn.measure(recorder, AT_ONCE, jobs, slots=slots, way=way)


def _one(recorder: Recorder, installed: Installation, slots: int, way: str, jobs: int) -> None:
    before = _Used(installed)
    begin = time.perf_counter()
    ids = submit(installed, way, jobs)
    installed.wait(ids)
    seconds = time.perf_counter() - begin
    used = _Used(installed).since(before)
    installed.check(ids)
    installed.rest()
    others = used.pop("others") / seconds
    recorder.add("jobs", jobs / seconds, "1/s", slots=slots, way=way, others=round(others, 2))
    for name, value in used.items():
        what, _, daemon = name.partition(" ")
        unit = "us" if what == "processor" else "per job"
        recorder.add(what, value / jobs, unit, slots=slots, way=way, daemon=daemon)


def submit(installed: Installation, way: str, jobs: int) -> list[int]:
    """Submit *jobs* jobs that do nothing in this *way*; return their ids."""
    if way == "singly":
        return installed.submit_singly(["/bin/true"], jobs)
    installed.common["stdout"] = "tm-%j.out" if way == "shell" else None
    return installed.submit(["true" if way == "shell" else ["/bin/true"]] * jobs)


class _Used:
    """Processor microseconds, commits, sends until now; ``others`` are the seconds of all other processes."""

    def __init__(self, installed: Installation) -> None:
        pids = installed.pids()
        own = resource.getrusage(resource.RUSAGE_SELF)
        self.values = {"processor client": (own.ru_utime + own.ru_stime) * 1e6}
        for name, pid in pids.items():
            itself, children = daemons.processor_seconds(pid)
            self.values[f"processor {name}"] = itself * 1e6
            if name == "keeper":
                self.values["processor job"] = children * 1e6
        ours = sum(self.values.values()) / 1e6
        self.values["others"] = daemons.busy_seconds() - ours
        self.values["commits TaskDispatcher"] = installed.commits()
        for name, count in daemons.segments_sent(pids).items():
            self.values[f"sends {name}"] = count

    def since(self, before: _Used) -> dict[str, float]:
        """Return the differences."""
        return {name: value - before.values.get(name, 0) for name, value in self.values.items()}

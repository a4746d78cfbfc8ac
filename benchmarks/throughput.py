"""Jobs a second through the whole chain, and what one job costs by process.

Ways: ``bulk`` (all in one line of ``submit``), ``pipelined`` (a request for each job over one connection, some of them
unanswered), ``singly`` (each accepted before the next is sent), ``shell`` (in bulk, as ``hRunJob --from`` submits:
shell text, and an output file for each job).
The time runs from the first submission until the last ending is on the dispatcher's disk.
"""

from __future__ import annotations

import time

from benchmarks.installation import Installation, installation
from benchmarks.limits import BareSpawn
from benchmarks.record import Recorder
from benchmarks.usage import Usage

SLOTS = (2, 8)
AT_ONCE = 2
WAYS = ("bulk", "pipelined", "singly", "shell")


def run(recorder: Recorder, rounds: int, jobs: int) -> None:
    """Measure all ways with all slots, each beside the bare loop."""
    for _ in recorder.rounds(rounds):
        for slots in SLOTS:
            with installation(slots) as installed:
                spawn = BareSpawn(installed.folder)
                if spawn.how != "C" and recorder.round == 1:
                    recorder.note("there is no C compiler: the bare loop is in Python, and slower")
                for way in WAYS:
                    recorder.settle()
                    before = Usage(installed)
                    spawn.measure(recorder, AT_ONCE, jobs, slots=slots, way=way)
                    _one(recorder, installed, slots, way, jobs)
                    spawn.measure(recorder, AT_ONCE, jobs, slots=slots, way=way)
                    Usage(installed).record_others(recorder, before, slots=slots, way=way)


def _one(recorder: Recorder, installed: Installation, slots: int, way: str, jobs: int) -> None:
    before = Usage(installed)
    begin = time.perf_counter()
    ids = submit(installed, way, jobs)
    installed.wait(ids)
    seconds = time.perf_counter() - begin
    after = Usage(installed)
    installed.check(ids)
    installed.rest()
    recorder.add("jobs", jobs / seconds, "1/s", slots=slots, way=way)
    after.record(recorder, before, jobs, slots=slots, way=way)


def submit(installed: Installation, way: str, jobs: int) -> list[int]:
    """Submit *jobs* jobs that do nothing in this *way*; return their ids."""
    if way == "singly":
        return installed.submit_singly(["/bin/true"], jobs)
    if way == "pipelined":
        return installed.submit_pipelined(["/bin/true"], jobs)
    installed.common["stdout"] = "tm-%j.out" if way == "shell" else None
    return installed.submit(["true" if way == "shell" else ["/bin/true"]] * jobs)

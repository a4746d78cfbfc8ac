"""One decision of the scheduler, and one more submission, with few and with many jobs waiting.

A full cluster of 1,000 hosts of 8 cores; 50 users, each with 10 kinds of jobs, wait for it. A decision is what follows
the end of a job: its cores are free, and the next job is found for them. It is measured with 10,000, 100,000 and
1,000,000 waiting, the last as elements of arrays, in turn and in the same process, so that their quotients do not
depend on the machine. Submissions are made to a dispatcher's brain, with nothing and with 100,000 jobs waiting.
"""

from __future__ import annotations

import gc
import heapq
import json
import os
import random
import statistics
import subprocess
import sys
import time
from collections.abc import Callable

from benchmarks import daemons
from benchmarks.installation import Installation, installation
from benchmarks.limits import process_seconds
from benchmarks.record import Recorder

HOSTS = 1000
CORES = 8
USERS = 50
KINDS = 500
FEW, MANY, ELEMENTS = 10_000, 100_000, 1_000_000
DECISIONS = 2_000
SUBMISSIONS = 400
ONE_BY_ONE = 100


def run(recorder: Recorder, rounds: int, jobs: int) -> None:
    """Measure decisions, submissions and memory."""
    for _ in recorder.rounds(rounds):
        halls = {"few": _Busy(FEW), "many": _Busy(MANY), "array": _Busy(ELEMENTS, arrays=True)}
        took: dict[str, list[float]] = {name: [] for name in halls}
        for _ in range(10):
            for name, hall in halls.items():
                took[name] += hall.decide(DECISIONS // 10)
        for name, times in took.items():
            recorder.add("decision", 1e3 * statistics.mean(times), "ms", waiting=name)
            recorder.add("slow decision", 1e3 * sorted(times)[int(0.99 * len(times))], "ms", waiting=name)
        _compare(recorder, "decision", took, "many", "few")
        _compare(recorder, "decision", took, "array", "many")
        del halls
        gc.collect()
        _submissions(recorder)
        recorder.add("memory", _in_a_process_of_its_own("memory"), "MB", waiting="many")
        recorder.add("more memory", _in_a_process_of_its_own("array"), "MB", waiting="array")
        _with_daemons(recorder)


def _compare(recorder: Recorder, what: str, took: dict[str, list[float]], one: str, other: str) -> None:
    quotient = statistics.mean(took[one]) / statistics.mean(took[other])
    recorder.add(f"{what} beside", quotient, "", waiting=one, beside=other)


class _Busy:
    """A full cluster with so many jobs waiting for it."""

    def __init__(self, waiting: int, arrays: bool = False) -> None:
        from tm.model.demand import Demand, one_of
        from tm.model.hall import Hall
        from tm.model.host import HostConfig
        from tm.model.job import Job
        from tm.model.tasks import Tasks

        self._dice = random.Random(7)
        hosts = [HostConfig(name=f"n{number}", address="h", cores=CORES, memory=1 << 36) for number in range(HOSTS)]
        self._hall = Hall(hosts)
        kinds = [
            (f"u{kind % USERS}", one_of(Demand(cores=self._dice.randint(1, CORES), memory=kind << 20, time=3600.0)))
            for kind in range(KINDS)
        ]
        tasks = waiting // KINDS
        for number in range(KINDS if arrays else waiting):
            user, demand = kinds[number % KINDS]
            job = Job(number + 1, user, "", "", demand, 0, False, "", 0.001 * number)
            job.tasks = Tasks(f"0-{tasks - 1}") if arrays else None
            self._hall.submitted(job, 0.0)
        self._at = 1000.0
        self._ends: list[tuple[float, int]] = []
        self._begin()

    def _begin(self) -> None:
        for job in self._hall.place(self._at):
            heapq.heappush(self._ends, (self._at + self._dice.uniform(0.1, 1.0) * job.demand.time, job.id))

    def decide(self, count: int) -> list[float]:
        """Let so many jobs end; return how long what followed took, in seconds each."""
        took = []
        for _ in range(count):
            self._at, number = heapq.heappop(self._ends)
            begin = time.thread_time()
            self._hall.ended(number, self._at)
            started = self._hall.place(self._at)
            took.append(time.thread_time() - begin)
            for job in started:
                heapq.heappush(self._ends, (self._at + self._dice.uniform(0.1, 1.0) * job.demand.time, job.id))
        return took


def _submissions(recorder: Recorder) -> None:
    empty, full = _brain(0), _brain(MANY)
    took: dict[str, list[float]] = {"none": [], "many": []}
    for _ in range(SUBMISSIONS):
        took["none"].append(empty())
        took["many"].append(full())
    for name, times in took.items():
        recorder.add("submission", 1e6 * statistics.median(times), "us", waiting=name)
    quotient = statistics.median(took["many"]) / statistics.median(took["none"])
    recorder.add("submission beside", quotient, "", waiting="many", beside="none")


def _brain(waiting: int) -> Callable[[], float]:
    """Return what submits one more job to a brain with so many waiting, and says how many seconds that took."""
    from tm.model.brain import Brain
    from tm.model.cluster import HostState
    from tm.model.host import HostConfig

    hosts = [HostState(HostConfig(name=f"n{number}", address="h", cores=CORES)) for number in range(HOSTS)]
    brain = Brain(epoch=1, hosts=hosts)
    for host in hosts:
        host.active = False
    brain.user_server_attached("alice")
    at = 1000.0

    def submit(count: int) -> None:
        spec = {"user": "alice", "command": ["/bin/true"], "cwd": "/home/alice", "environment": "e" * 64}
        text = json.dumps({**spec, "name": f"job {at}", "cores": 1 + int(at) % 4})
        brain.submitted("alice", f"t{at}", [(text, "s" * 88)] * count, {}, at)
        brain.place(at)
        brain.take()

    for _ in range(waiting // 1000):
        at += 1.0
        submit(1000)

    def one_more() -> float:
        nonlocal at
        at += 1.0
        begin = time.thread_time()
        submit(1)
        return time.thread_time() - begin

    one_more()
    return one_more


def _with_daemons(recorder: Recorder) -> None:
    """Measure submissions, ``hRunJob -s`` and memory of two whole clusters by turns, one with many jobs waiting."""
    with installation(2, active=False) as empty, installation(2, active=False) as full:
        for begin in range(0, MANY, 10_000):
            full.submit([["/bin/true", str(begin + number)] for number in range(10_000)])
        took: dict[str, list[float]] = {"none": [], "many": []}
        for _ in range(ONE_BY_ONE):
            for name, installed in (("none", empty), ("many", full)):
                began = time.perf_counter()
                installed.submit_singly(["/bin/true"], 1)
                took[name].append(time.perf_counter() - began)
        for name, times in took.items():
            recorder.add("accepted", 1e3 * statistics.median(times), "ms", waiting=name)
        quotient = statistics.median(took["many"]) / statistics.median(took["none"])
        recorder.add("accepted beside", quotient, "", waiting="many", beside="none")
        for name, installed in (("none", empty), ("many", full)):
            command = installed.client("hRunJob", "-s")
            shown = min(process_seconds(command, installed.environment, installed.folder) for _ in range(5))
            recorder.add("hRunJob -s", 1e3 * shown, "ms", waiting=name)
            recorder.add("resident", _resident(installed), "MB", waiting=name)
        before = _resident(empty)
        empty.common["array"] = f"0-{ELEMENTS - 1}"
        began = time.perf_counter()
        empty.submit([["/bin/true"]])
        recorder.add("array accepted", 1e3 * (time.perf_counter() - began), "ms", waiting="none")
        recorder.add("array resident", _resident(empty) - before, "MB", waiting="none")


def _resident(installed: Installation) -> float:
    return daemons.resident(installed.pids()["TaskDispatcher"]) / 1e6


def _in_a_process_of_its_own(what: str) -> float:
    code = f"from benchmarks import scheduling; print(scheduling.measured({what!r}))"
    made = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True, text=True)
    return float(made.stdout)


def measured(what: str) -> float:
    """Return the megabytes of a process with 100,000 jobs waiting, or by how many an array makes it larger."""
    if what == "memory":
        one_more = _brain(MANY)
        one_more()
        return _megabytes()
    from tm.model.job import Job
    from tm.model.queue import WaitingQueue
    from tm.model.spec import read_spec
    from tm.model.tasks import Tasks

    queue = WaitingQueue()
    before = _megabytes()
    spec = read_spec('{"user":"a","command":"b","cwd":"/","environment":"e","array":"0-999999"}')
    queue.add(Job(1, "a", "", "", spec.demand(), 0, False, "", 1.0, tasks=Tasks(spec.array)))
    return _megabytes() - before


def _megabytes() -> float:
    with open("/proc/self/statm", encoding="ascii") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 1e6

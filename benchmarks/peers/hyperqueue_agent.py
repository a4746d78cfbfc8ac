"""HyperQueue's library, run by the Python that has it: ``server FOLDER CORES`` or ``client FOLDER``.

The client reads requests, a JSON list a line, ``[VERB, ARGUMENT …]``, and answers each with the seconds that it took,
as a line; it ends with its standard input. It is a program by itself: that Python has nothing of ours.
"""

from __future__ import annotations

import json
import logging
import os
import sys
import time
from collections.abc import Callable

import hyperqueue
from hyperqueue.cluster import LocalCluster, WorkerConfig
from hyperqueue.ffi.protocol import ResourceRequest

PATIENCE = 600.0
PAUSE = 0.0005
TRUE = ["/bin/true"]


def serve(folder: str, cores: str) -> None:
    """Be a server and its worker, in one process, until it is killed."""
    cluster = LocalCluster(folder)
    cluster.start_worker(WorkerConfig(cores=int(cores)))
    print("up", flush=True)
    while True:
        time.sleep(3600)


class Client:
    """An open connection to the server of *folder*."""

    def __init__(self, folder: str) -> None:
        self._folder = folder
        self._client = hyperqueue.Client(folder)
        self._marks = 0

    def throughput(self, way: str, jobs: int, cores: int) -> float:
        """Run *jobs* times ``true``, as one job of so many tasks or as so many jobs of one."""
        made = [self._job(TRUE, jobs)] if way == "bulk" else [self._job(TRUE, 1) for _ in range(jobs)]
        begin = time.perf_counter()
        submitted = [self._client.submit(job) for job in made]
        self._finish(cores)
        seconds = time.perf_counter() - begin
        if not self._client.wait_for_jobs(submitted):
            raise SystemExit("a job did not complete")
        return seconds

    def accept(self) -> float:
        """Submit one job."""
        job = self._job(TRUE, 1)
        begin = time.perf_counter()
        self._client.submit(job)
        return time.perf_counter() - begin

    def wait(self) -> float:
        """Submit one job and wait for what it does: the library's own wait looks once a second."""
        mark = self._mark()
        job = self._job(["/usr/bin/touch", mark], 1)
        begin = time.perf_counter()
        self._client.submit(job)
        _await(mark)
        return time.perf_counter() - begin

    def fill(self, waiting: int, cores: int) -> float:
        """Occupy all *cores*, then submit a job of so many tasks."""
        self._client.submit(self._job(["/bin/sleep", "3600"], cores))
        job = self._job(TRUE, waiting)
        begin = time.perf_counter()
        self._client.submit(job)
        return time.perf_counter() - begin

    def submit(self, command: list[str], jobs: int) -> float:
        """Submit one job of so many tasks, ``{}`` in whose command is the number of the task."""
        job = hyperqueue.Job(self._folder, max_fails=None)
        for number in range(jobs):
            job.program([word.replace("{}", str(number)) for word in command], stdout=None, stderr=None)
        begin = time.perf_counter()
        self._client.submit(job)
        return time.perf_counter() - begin

    def _job(self, command: list[str], tasks: int) -> hyperqueue.Job:
        job = hyperqueue.Job(self._folder, max_fails=None)
        for _ in range(tasks):
            job.program(command, stdout=None, stderr=None)
        return job

    def _finish(self, cores: int) -> None:
        """Wait until all has ended: a last task, less urgent than all others, needs all the cores."""
        mark = self._mark()
        job = hyperqueue.Job(self._folder, max_fails=None)
        needs = ResourceRequest(cpus=cores)
        job.program(["/usr/bin/touch", mark], stdout=None, stderr=None, priority=-5, resources=needs)
        self._client.submit(job)
        _await(mark)

    def _mark(self) -> str:
        self._marks += 1
        return os.path.join(self._folder, f"mark-{os.getpid()}-{self._marks}")


def _await(mark: str) -> None:
    deadline = time.monotonic() + PATIENCE
    while not os.path.exists(mark):
        if time.monotonic() > deadline:
            raise SystemExit(f"waited {PATIENCE:.0f} s in vain for the jobs")
        time.sleep(PAUSE)


def ask(folder: str) -> None:
    """Answer requests until there are no more."""
    client = Client(folder)
    verbs: dict[str, Callable[..., float]] = {
        "throughput": client.throughput, "accept": client.accept, "wait": client.wait, "fill": client.fill,
        "submit": client.submit,
    }  # fmt: skip
    for line in sys.stdin:
        verb, *arguments = json.loads(line)
        print(verbs[verb](*arguments), flush=True)


if __name__ == "__main__":
    logging.disable(logging.CRITICAL)
    if sys.argv[1] == "server":
        serve(*sys.argv[2:4])
    else:
        ask(sys.argv[2])

"""A cluster with many simulated hosts: one real dispatcher, a real TMS for each user, and processes that are the hosts.

Each user has a rack of hosts, which only that user's jobs ask for; so there is one TMMS on each host. The first user
has some more, ``express``, on which everything ends at once.
"""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple

from benchmarks import daemons
from benchmarks.scale_hosts import write_plan
from tests.support.cluster import ROOT, Cluster
from tm.places import find

CORES = 2
EXPRESS = 4
PROCESSES = 2
PATIENCE = 240.0
PAUSE = 0.05
SSH = "#!/bin/sh\nexit 0\n"
"""Who is asked to start a server says that it did: all are there already."""


class Simulation:
    """A process of ours that answers a line with a line."""

    def __init__(self, module: str, *arguments: object) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", module, *map(str, arguments)], cwd=ROOT, text=True, stdin=subprocess.PIPE,
            stdout=subprocess.PIPE, env={**os.environ, "PYTHONPATH": ROOT},
        )  # fmt: skip
        self.pid = self._process.pid

    def ask(self, **order: object) -> dict[str, Any]:
        """Return the answer to *order*."""
        assert self._process.stdin is not None and self._process.stdout is not None
        self._process.stdin.write(json.dumps(order) + "\n")
        self._process.stdin.flush()
        line = self._process.stdout.readline()
        if not line:
            raise SystemExit(f"a simulation has ended with status {self._process.wait()}")
        answer: dict[str, Any] = json.loads(line)
        return answer

    def end(self) -> None:
        """End it."""
        assert self._process.stdin is not None and self._process.stdout is not None
        with contextlib.suppress(BrokenPipeError):
            self._process.stdin.close()
        self._process.wait()
        self._process.stdout.close()


class Used(NamedTuple):
    """Processor seconds since some beginning, by part; *others* is what all else on the machine used."""

    at: float
    parts: dict[str, float]
    busy: float

    def since(self, before: Used) -> tuple[float, dict[str, float], float]:
        """Return the seconds, the processor seconds of each part, and of others on average, since *before*."""
        seconds = self.at - before.at
        parts = {name: value - before.parts[name] for name, value in self.parts.items()}
        return seconds, parts, (self.busy - before.busy - sum(parts.values())) / seconds


class Stage:
    """The running cluster, whose hosts are started at *began*; `tally` gathers what they say."""

    def __init__(self, cluster: Cluster, hosts: Mapping[str, str]) -> None:
        self.cluster = cluster
        self.users = cluster.users
        self.count = len(hosts)
        self.simulations: list[Simulation] = []
        self.began = time.monotonic()
        self.starts: list[tuple[int, float]] = []
        self.delays: list[float] = []
        self.joins: list[float] = []
        self.held = 0

    def tally(self, **order: object) -> None:
        """Ask all hosts, giving them *order*."""
        self.held = 0
        for simulation in self.simulations:
            answer = simulation.ask(**order)
            self.starts += map(tuple, answer["starts"])
            self.delays += answer["delays"]
            self.joins += answer["joins"]
            self.held += answer["held"]

    def forget(self) -> None:
        """Begin anew to gather."""
        self.tally()
        self.starts.clear()
        self.delays.clear()
        self.joins.clear()

    def until(self, condition: Callable[[], bool], what: str) -> None:
        """Ask the hosts until *condition* holds."""
        deadline = time.monotonic() + PATIENCE
        self.tally()
        while not condition():
            if time.monotonic() > deadline:
                raise SystemExit(f"waited {PATIENCE:.0f} s in vain for {what}\n{self.cluster.logs()}")
            time.sleep(PAUSE)
            self.tally()

    def submit(self, jobs: int) -> None:
        """Submit *jobs* jobs, as many of each user, all at once."""
        each = jobs // len(self.users)
        with ThreadPoolExecutor(len(self.users)) as pool:
            for answer in [pool.submit(self._submit, number, each) for number in range(len(self.users))]:
                answer.result()

    def _submit(self, number: int, count: int) -> None:
        for first in range(0, count, 5000):
            jobs = [["true"]] * min(5000, count - first)
            self.cluster.submit(self.users[number], *jobs, constraint=rack(number))

    def used(self) -> Used:
        """Return what has been used until now."""
        cluster = self.cluster
        parts = {"TaskDispatcher": sum(daemons.processor_seconds(cluster.pid("dispatcher")))}
        parts["TMS"] = sum(daemons.processor_seconds(cluster.pid(f"tms:{user}"))[0] for user in self.users)
        parts["hosts"] = sum(daemons.processor_seconds(one.pid)[0] for one in self.simulations)
        return Used(time.monotonic(), parts, daemons.busy_seconds())


def rack(number: int) -> str:
    """Return the feature of the hosts of the user with that number."""
    return f"rack{number}"


@contextmanager
def stage(count: int, users: int) -> Iterator[Stage]:
    """Give a cluster with *count* simulated hosts, of which each of *users* has the same share; all have joined."""
    names = [f"u{number:02}" for number in range(users)]
    racks = {f"n{number:04}": number * users // count for number in range(count)}
    express = [f"n{number:04}" for number in range(count, count + EXPRESS)]
    table = {"launcher": "openssh", "cores": CORES, "policy": "ignore"}
    configured = {
        **{name: {**table, "features": [rack(number)]} for name, number in racks.items()},
        **{name: {**table, "features": ["express"]} for name in express},
    }
    hosts = {**{name: names[number] for name, number in racks.items()}, **dict.fromkeys(express, names[0])}
    with Cluster(users=names, hosts=configured) as cluster, contextlib.ExitStack() as stack:
        _write_ssh(cluster)
        cluster.start_dispatcher()
        with ThreadPoolExecutor(4) as pool:
            list(pool.map(cluster.start_tms, names))
        made = Stage(cluster, hosts)
        for number in range(PROCESSES):
            made.simulations.append(_simulate(cluster, number, hosts, express))
            stack.callback(made.simulations[-1].end)
        made.until(lambda: len(made.joins) >= len(hosts), "the hosts to join")
        yield made


def _write_ssh(cluster: Cluster) -> None:
    folder = os.path.join(cluster.folder, "bin")
    os.mkdir(folder)
    Path(folder, "ssh").write_text(SSH)
    os.chmod(os.path.join(folder, "ssh"), 0o755)
    cluster.more["PATH"] = f"{folder}:{cluster.environment(cluster.users[0])['PATH']}"


def _simulate(cluster: Cluster, number: int, hosts: Mapping[str, str], express: list[str]) -> Simulation:
    """Start the process that is each `PROCESSES`-th host."""
    names = sorted(hosts)[number::PROCESSES]
    users = {}
    for user in cluster.users:
        certificate, key = cluster.pair(user)
        users[user] = {"certificate": certificate, "key": key, "address": find(cluster.environment(user)).address_file}
    plan = os.path.join(cluster.folder, f"plan-{number}.json")
    write_plan(plan, {name: hosts[name] for name in names}, users, CORES, express)
    return Simulation("benchmarks.scale_hosts", plan)

"""What many hosts cost the dispatcher, and how soon a host that is let in has work."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from benchmarks import daemons
from benchmarks.fleet import name_of
from benchmarks.record import Recorder
from tests.support.cluster import ROOT, Cluster
from tests.support.processes import wait_for
from tests.support.talk import Talk
from tm.edge.keys import fingerprint, load_certificate

HOSTS = 1000
SECONDS = 20.0
WARM_UP = 10.0
JOIN_SECONDS = 60.0
ACTIVATIONS = 20
USER = "alice"
NONE: Mapping[str, Mapping[str, object]] = {}
# What a host is told to start, should a simulated one be late: it says that the simulated one runs.
LATE = """\
import json, os, sys
name = sys.argv[sys.argv.index("--host") + 1]
with open({book!r}) as file:
    print(json.dumps(next(one for one in json.load(file) if one["infoserver"] == name)))
"""


def run(recorder: Recorder, rounds: int, jobs: int) -> None:
    """Measure *rounds* times; *jobs* does not matter."""
    with fleet(HOSTS) as cluster:
        time.sleep(WARM_UP)
        for _ in recorder.rounds(rounds):
            _measure(recorder, cluster.pid("dispatcher"))
    with activated() as (cluster, talk):
        for _ in recorder.rounds(rounds):
            _activate(recorder, cluster, talk)


@contextmanager
def fleet(
    count: int, made: Cluster | None = None, more: Mapping[str, Mapping[str, object]] = NONE
) -> Iterator[Cluster]:
    """Give a cluster, or the one that was *made*, whose dispatcher hears from *count* simulated hosts beside *more*.

    Where it has a store already, it goes on with that.
    """
    cluster = Cluster(users=(USER,), hosts={}) if made is None else made
    folder, root = os.path.join(cluster.folder, "fleet"), os.path.join(cluster.folder, "root")
    os.makedirs(folder)
    os.makedirs(os.path.join(root, "bin"))
    os.makedirs(cluster.state, exist_ok=True)
    book = os.path.join(folder, "infoservers.json")
    Path(root, "bin", "InfoServer").write_text(LATE.format(book=book))
    table = {"launcher": "local", "infoserver": True, "root": root, "cores": 16}
    cluster.configure({**{name_of(number): table for number in range(count)}, **more})
    trusted = fingerprint(load_certificate(os.path.join(cluster.etc, "certs", "taskdispatcher.crt")))
    command = [sys.executable, "-m", "benchmarks.fleet", str(cluster.port), str(count), folder, trusted]
    process = subprocess.Popen(
        command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        env={**cluster.environment(USER), "PYTHONPATH": ROOT},
    )  # fmt: skip
    assert process.stdin is not None and process.stdout is not None
    try:
        assert process.stdout.readline() == "ready\n"
        shutil.copy(book, cluster.state)
        cluster.start_dispatcher()
        assert process.stdout.readline() == "joined\n"
        yield cluster
    finally:
        process.stdin.close()
        process.wait()
        cluster.stop()


def _measure(recorder: Recorder, pid: int) -> None:
    began, busy = time.monotonic(), daemons.busy_seconds()
    before = sum(daemons.processor_seconds(pid))
    time.sleep(SECONDS)
    seconds = time.monotonic() - began
    used = sum(daemons.processor_seconds(pid)) - before
    recorder.add("share of a core", used / seconds * 100, "%", hosts=HOSTS)
    recorder.add("resident", daemons.resident(pid) / 1e6, "MB", daemon="TaskDispatcher", hosts=HOSTS)
    taken = (daemons.busy_seconds() - busy - used) / seconds
    recorder.add("cores taken by others", taken, "cores", hosts=HOSTS)


@contextmanager
def activated() -> Iterator[tuple[Cluster, Talk]]:
    """Give a cluster whose only host has a TMMS already, and a connection that hears of jobs."""
    host = {"launcher": "local", "cores": 2, "infoserver": False, "policy": "ignore"}
    with Cluster(users=(USER,), hosts={"n1": host}) as cluster:
        cluster.start_dispatcher()
        cluster.wait(cluster.submit(USER, "true"))
        with cluster.dispatcher(USER) as talk:
            talk.ask("subscribe", "jobs")
            yield cluster, talk


def _activate(recorder: Recorder, cluster: Cluster, talk: Talk) -> None:
    """Measure from the request to the moment the waiting job is known to run."""
    for _ in range(ACTIVATIONS):
        talk.ask("deactivatehost", "n1")
        (number,) = cluster.submit(USER, ["/bin/sleep", "0.2"])
        wait_for(lambda number=number: cluster.job(USER, number)["state"] == "pending", "the job to wait")
        began = time.perf_counter()
        talk.say("activatehost", "n1")
        talk.event(id=number, state="running")
        recorder.add("first job after activation", (time.perf_counter() - began) * 1e3, "ms")
        cluster.wait([number])
        talk.events.clear()


def show(cluster: Cluster) -> str:
    """Return how many hosts are in which state, for a look at a cluster that runs."""
    with cluster.dispatcher(USER) as talk:
        return json.dumps(talk.values("status")[0]["hosts"])

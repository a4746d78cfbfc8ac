"""How soon hosts on which nothing of ours runs have work: one over a real ``sshd``, and many at once."""

from __future__ import annotations

import os
import resource
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from benchmarks import daemons, distant
from benchmarks.record import Recorder
from tests.support.cluster import ROOT, Cluster
from tests.support.processes import wait_for
from tests.support.sshd import Sshd
from tests.support.talk import Talk
from tm.edge.launch_openssh import OpenSSHLauncher
from tm.ports import Target

USER = "alice"
HOSTS = 64
STARTS = 5
MANY_STARTS = 3
KEX: dict[str, list[str]] = {"as installed": [], "curve25519": ["-o", "KexAlgorithms=curve25519-sha256"]}
"""How ssh agrees on keys: by far the most of what it costs the machine on which it is called."""
WAITING = 60.0


class Start(NamedTuple):
    """What one start was seen to take: *seconds* until the server there had joined, *busy* of them in ``ssh`` here."""

    seconds: float
    busy: float


def run(recorder: Recorder, rounds: int, jobs: int) -> None:
    """Measure *rounds* times; *jobs* does not matter."""
    if Sshd.missing:
        recorder.note(Sshd.missing)
        return
    with Sshd() as sshd:
        for _ in recorder.rounds(rounds):
            with behind(sshd) as (cluster, talk):
                starts = [_start_one(recorder, cluster, talk, sshd) for _ in range(STARTS)]
            for kex in KEX:
                seconds = min(one[kex].seconds for one in starts)
                _start_many(recorder, kex, Start(seconds, min(one[kex].busy for one in starts)))


# -- one host over ssh ------------------------------------------------------------------------------------------------


@contextmanager
def behind(sshd: Sshd) -> Iterator[tuple[Cluster, Talk]]:
    """Give a cluster whose only host is reached by *sshd*, and a connection that hears of jobs and hosts."""
    options = {**sshd.options(), "config": sshd.config}
    host = {
        "address": "127.0.0.1", "launcher": "openssh", "cores": 2, "active": False, "infoserver": False,
        "policy": "ignore", "options": options,
    }  # fmt: skip
    with Cluster(users=(USER,), hosts={"n1": host}) as cluster:
        cluster.start_dispatcher()
        cluster.start_tms(USER)
        with cluster.dispatcher(USER) as talk:
            talk.ask("subscribe", "jobs:hosts")
            yield cluster, talk


def log_in(cluster: Cluster, sshd: Sshd, kex: str) -> Start:
    """Run ``true`` over ssh, logged in as the servers are, but for the key exchange."""
    environment = cluster.environment(USER)
    target = Target("n1", "127.0.0.1", ["true"], {**sshd.options(), "config": sshd.config})
    ssh, *words = OpenSSHLauncher(None, environment).command_line(target)
    began, used = time.perf_counter(), _used_by_children()
    subprocess.run([ssh, *KEX[kex], *words], env=environment, stdin=subprocess.DEVNULL, check=True)
    return Start(time.perf_counter() - began, _used_by_children() - used)


def _used_by_children() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def _start_one(recorder: Recorder, cluster: Cluster, talk: Talk, sshd: Sshd) -> dict[str, Start]:
    """Measure logins, and from the request that lets the host in to the moment the waiting job is known to run; return
    what a start takes by way of key exchange."""
    logins = {kex: log_in(cluster, sshd, kex) for kex in KEX}
    (number,) = cluster.submit(USER, ["/bin/sleep", "0.2"])
    wait_for(lambda: cluster.job(USER, number)["state"] == "pending", "the job to wait")
    busy, began = daemons.busy_seconds(), time.perf_counter()
    talk.say("activatehost", "n1")
    talk.event(host="n1", link="starting")
    started = time.perf_counter()
    talk.event(host="n1", link="up")
    joined = time.perf_counter()
    talk.event(id=number, state="running")
    runs = time.perf_counter()
    login = logins["as installed"].seconds
    for kex, each in logins.items():
        recorder.add("ssh login", each.seconds * 1e3, "ms", kex=kex)
        recorder.add("processor of ssh", each.busy * 1e3, "ms", kex=kex)
    recorder.add("first job from cold", (runs - began) * 1e3, "ms")
    recorder.add("beyond the login", (runs - began - login) * 1e3, "ms")
    recorder.add("machine busy", (daemons.busy_seconds() - busy) / (runs - began), "cores")
    cluster.wait([number])
    _make_cold(cluster, talk)
    return {kex: Start(joined - started - (login - each.seconds), each.busy) for kex, each in logins.items()}


def _make_cold(cluster: Cluster, talk: Talk) -> None:
    """End all that runs on the host, and remove what it has left there."""
    talk.ask("deactivatehost", "n1")
    for daemon in ("tmms", "keeper"):
        cluster.kill(f"{daemon}:{USER}:n1")
    shutil.rmtree(os.path.dirname(cluster.spool(USER)))
    _wait_until_cold(talk)


def _wait_until_cold(talk: Talk) -> None:
    def is_cold() -> bool:
        return all(server["link"] != "up" for host in talk.values("lshosts") for server in host["servers"])

    wait_for(is_cold, "the end of the servers on hosts")
    talk.events.clear()


# -- many hosts -------------------------------------------------------------------------------------------------------


@contextmanager
def far_away(start: Start) -> Iterator[tuple[Cluster, Talk]]:
    """Give a cluster with `HOSTS` hosts that are each started as *start* was seen, and a connection that hears of
    jobs."""
    table = {"launcher": "openssh", "cores": 1, "infoserver": False, "policy": "ignore"}
    with Cluster(users=(USER,), hosts={f"n{number:02}": table for number in range(HOSTS)}) as cluster:
        folder = os.path.join(cluster.folder, "distant")
        os.mkdir(folder)
        programs = distant.write_ssh(folder, start.seconds, start.busy)
        certificate, key = cluster.pair(USER)
        process = subprocess.Popen(
            [sys.executable, "-m", "benchmarks.distant", folder, key, certificate], cwd=ROOT, text=True,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, env={**cluster.environment(USER), "PYTHONPATH": ROOT},
        )  # fmt: skip
        assert process.stdin is not None and process.stdout is not None
        try:
            assert process.stdout.readline() == "ready\n"
            cluster.more["PATH"] = f"{programs}:{cluster.environment(USER)['PATH']}"
            cluster.start_dispatcher()
            cluster.start_tms(USER)
            with cluster.dispatcher(USER) as talk:
                talk.ask("subscribe", "jobs")
                yield cluster, talk
        finally:
            process.stdin.close()
            process.wait()
            process.stdout.close()


def _start_many(recorder: Recorder, kex: str, start: Start) -> None:
    recorder.add("start of each", start.seconds * 1e3, "ms", kex=kex)
    with far_away(start) as (cluster, talk):
        for _ in range(MANY_STARTS):
            for count in (1, HOSTS):
                _start_far(recorder, cluster, talk, kex, count)


def _start_far(recorder: Recorder, cluster: Cluster, talk: Talk, kex: str, count: int) -> None:
    """Measure from the submission of *count* jobs, each of which fills a host, until all of them run."""
    before = _used(cluster)
    busy, began = daemons.busy_seconds(), time.perf_counter()
    ids = cluster.submit(USER, *[["true"]] * count)
    missing = set(ids)
    while missing:
        missing.discard(talk.event(state="running")["id"])
    seconds = time.perf_counter() - began
    recorder.add("all run from cold", seconds * 1e3, "ms", hosts=count, kex=kex)
    recorder.add("machine busy", (daemons.busy_seconds() - busy) / seconds, "cores", hosts=count, kex=kex)
    for daemon, used in _used(cluster).items():
        recorder.add("processor", (used - before[daemon]) / count * 1e3, "ms", daemon=daemon, hosts=count, kex=kex)
    Path(cluster.folder, "distant", distant.PIPE).write_text("end\n")
    cluster.wait(ids, WAITING)
    _wait_until_cold(talk)


def _used(cluster: Cluster) -> dict[str, float]:
    """Return the processor seconds of our servers here, and of every ``ssh`` that has ended."""
    own, ssh = daemons.processor_seconds(cluster.pid(f"tms:{USER}"))
    return {"TaskDispatcher": sum(daemons.processor_seconds(cluster.pid("dispatcher"))), "TMS": own, "ssh": ssh}

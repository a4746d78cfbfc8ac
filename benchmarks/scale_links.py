"""What a dispatcher bears of connections: 10,000 that are idle, all of them back at once, and more than it may have."""

from __future__ import annotations

import contextlib
import os
import resource
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

from benchmarks import daemons
from benchmarks.record import Recorder
from benchmarks.scale_stage import PATIENCE, Simulation
from tests.support.cluster import ROOT, Cluster
from tests.support.talk import HungUpError, Talk
from tm.edge.keys import fingerprint, load_certificate

IDLE = 10_000
STEPS = (0, 1000, 3000, 10_000)
PROCESSES = 2
SECONDS = 8.0
LOOKS = 20
PAUSE = 0.1
DESCRIPTORS = 400
OWN = 600
"""What a process needs besides connections, at the very most."""
USER = "alice"


def run(recorder: Recorder, rounds: int) -> None:
    """Measure *rounds* restarts with as many connections as this machine lets a process have, `IDLE` at most."""
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    count = IDLE if hard == resource.RLIM_INFINITY else min(IDLE, hard - OWN)
    if count < IDLE:
        recorder.note(f"a process may have {hard} descriptors here: measured with {count:,} connections, not {IDLE:,}")
    recorder.round = 1
    with Cluster(users=(USER,)) as cluster:
        exhaust(recorder, cluster)
    with Cluster(users=(USER, "bob")) as cluster:
        cluster.start_dispatcher()
        connect(recorder, cluster, count, rounds)


def connect(recorder: Recorder, cluster: Cluster, count: int, rounds: int) -> None:
    """Open *count* connections to the dispatcher of *cluster*, let them be idle, and restart it *rounds* times."""
    recorder.round = 1
    pid = cluster.pid("dispatcher")
    daemons.forget_peak(pid)
    recorder.add("resident", daemons.resident(pid) / 1e6, "MB", daemon="TaskDispatcher", links=0)
    used, began, busy = sum(daemons.processor_seconds(pid)), time.monotonic(), daemons.busy_seconds()
    with links(cluster, count) as idle:
        for step in sorted({step for step in STEPS if 0 < step < count} | {count}):
            greeted, broken = _until(idle, step)
            if greeted < step:
                raise SystemExit(f"{greeted:,} of {count:,} links could be opened: {dict(broken)}")
            recorder.add("resident", daemons.resident(pid) / 1e6, "MB", daemon="TaskDispatcher", links=step)
        seconds = time.monotonic() - began
        spent = sum(daemons.processor_seconds(pid)) - used
        recorder.add("handshakes", count / seconds, "/s", links=count)
        recorder.add("processor of a handshake", spent / count * 1e6, "µs", daemon="TaskDispatcher", links=count)
        recorder.add("machine busy", (daemons.busy_seconds() - busy) / seconds, "cores", links=count)
        recorder.add("peak", daemons.peak(pid) / 1e6, "MB", daemon="TaskDispatcher", links=count)
        for _ in recorder.rounds(rounds):
            _rest(recorder, cluster, count)
            _storm(recorder, cluster, idle, count)


@contextmanager
def links(cluster: Cluster, count: int) -> Iterator[list[Simulation]]:
    """Give processes that begin to open *count* links to the dispatcher."""
    pinned = fingerprint(load_certificate(os.path.join(cluster.etc, "certs", "taskdispatcher.crt")))
    certificate, key = cluster.pair(USER)
    made = []
    try:
        for number in range(PROCESSES):
            each = (count + number) // PROCESSES
            given = (cluster.port, each, 2 + number, pinned, key, certificate)
            made.append(Simulation("benchmarks.scale_idle", *given))
        yield made
    finally:
        for one in made:
            one.end()


def _until(idle: list[Simulation], count: int, look: Callable[[], None] = lambda: None) -> tuple[int, Counter[str]]:
    """Wait until *count* links are greeted, not for ever, calling *look* now and then; return how many are, and what
    went wrong meanwhile."""
    deadline = time.monotonic() + PATIENCE
    broken: Counter[str] = Counter()
    greeted = -1
    while greeted < count and time.monotonic() < deadline:
        time.sleep(PAUSE)
        look()
        answers = [one.ask() for one in idle]
        greeted = sum(answer["greeted"] for answer in answers)
        for answer in answers:
            broken.update(answer["broken"])
    return greeted, broken


def _rest(recorder: Recorder, cluster: Cluster, count: int) -> None:
    """Measure while nothing happens, and how soon somebody new has an answer then."""
    pid = cluster.pid("dispatcher")
    used, began = sum(daemons.processor_seconds(pid)), time.monotonic()
    time.sleep(SECONDS)
    spent = (sum(daemons.processor_seconds(pid)) - used) / (time.monotonic() - began)
    recorder.add("share of a core", spent * 100, "%", daemon="TaskDispatcher", links=count)
    _answers(recorder, [_answer(cluster) for _ in range(LOOKS)], "idle", count)


def _answers(recorder: Recorder, values: Sequence[float], while_: str, count: int) -> None:
    ordered = sorted(values)
    recorder.add("new command", ordered[len(ordered) // 2] * 1e3, "ms", of="median", links=count, dispatcher=while_)
    recorder.add("new command", ordered[-1] * 1e3, "ms", of="slowest", links=count, dispatcher=while_)


def _answer(cluster: Cluster) -> float:
    """Return the seconds from dialling to the answer of a question, over a connection of its own."""
    began = time.perf_counter()
    with cluster.dispatcher("bob" if "bob" in cluster.users else USER) as talk:
        talk.ask("lsjobs", "state=active")
    return time.perf_counter() - began


def _storm(recorder: Recorder, cluster: Cluster, idle: list[Simulation], count: int) -> None:
    """Kill the dispatcher and start another: how soon are all back, and is somebody new served meanwhile?"""
    cluster.end_dispatcher()
    began, busy = time.monotonic(), daemons.busy_seconds()
    cluster.start_dispatcher()
    greets = time.monotonic() - began
    pid = cluster.pid("dispatcher")
    answers: list[float] = []

    def look() -> None:
        with contextlib.suppress(OSError, HungUpError):
            answers.append(_answer(cluster))

    back, broken = _until(idle, count, look)
    seconds = time.monotonic() - began
    recorder.add("dispatcher greets after kill", greets, "s", links=count)
    if back < count:
        recorder.note(f"{back:,} of {count:,} links were back after {seconds:.0f} s: {dict(broken)}")
        return
    recorder.add("all links back after kill", seconds, "s", links=count)
    recorder.add("tries in vain", sum(broken.values()) - count, "", links=count)
    recorder.add("machine busy", (daemons.busy_seconds() - busy) / seconds, "cores", links=count, dispatcher="storm")
    spent = sum(daemons.processor_seconds(pid))
    recorder.add("processor of a return", spent / count * 1e6, "µs", daemon="TaskDispatcher", links=count)
    recorder.add("peak", daemons.peak(pid) / 1e6, "MB", daemon="TaskDispatcher", links=count, dispatcher="storm")
    for reason, times in broken.most_common(3):
        recorder.note(f"{times} times: {reason}")
    if answers:
        _answers(recorder, answers, "storm", count)


def exhaust(recorder: Recorder, cluster: Cluster) -> None:
    """Dial more often than a dispatcher with `DESCRIPTORS` descriptors can bear; it must go on serving whom it has."""
    program = os.path.join(ROOT, "bin", "TaskDispatcher")
    limited = f'ulimit -n {DESCRIPTORS}; exec "$@"'
    command = ["/bin/sh", "-c", limited, "sh", sys.executable, program, "--etc", cluster.etc, "--state", cluster.state]
    cluster.launch([*command, "--init"], USER)
    cluster.wait_greeting()
    with cluster.dispatcher(USER) as talk, links(cluster, DESCRIPTORS + 200) as idle:
        greeted = before = -1
        while greeted <= 0 or greeted != before:
            time.sleep(1.0)
            before, greeted = greeted, sum(one.ask()["greeted"] for one in idle)
        recorder.add("links", greeted, "", descriptors=DESCRIPTORS)
        began = time.perf_counter()
        talk.ask("reload")
        recorder.add("reload", (time.perf_counter() - began) * 1e3, "ms", descriptors=DESCRIPTORS)
        (status,) = talk.values("status")
        for text in status["warnings"]:
            recorder.note(f"warned of: {text}")
    began = time.monotonic()
    while True:
        with contextlib.suppress(OSError, HungUpError), Talk.tls(cluster.port, cluster.pair(USER)):
            break
    recorder.add("greets again after the rush", time.monotonic() - began, "s", descriptors=DESCRIPTORS)

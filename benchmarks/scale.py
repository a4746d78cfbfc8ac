"""What a dispatcher bears: starts on up to 3,000 simulated hosts, 10,000 idle connections, and what breaks first."""

from __future__ import annotations

import resource
import statistics
import time
from collections.abc import Sequence

from benchmarks import daemons, scale_links
from benchmarks.record import Recorder
from benchmarks.scale_stage import CORES, Stage, stage

SIZES = (100, 300, 1000, 3000)
USERS = 10
ALONE = 1000
"""So many hosts are also measured with one user, whose server has them all."""
AT_ONCE = 6000
RATE = 200
"""Starts a second that jobs of a drawn length ask for, on hosts of any number."""
SECONDS = 8.0
SINGLE = 60
SINGLE_EVERY = 0.1
OWN = 600
"""Descriptors that a process needs besides those of its hosts, at the very most."""

Marks = dict[str, int]


def run(recorder: Recorder, rounds: int, jobs: int) -> None:
    """Measure *rounds* times at each size; *jobs* does not matter."""
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    for size in SIZES:
        if hard != resource.RLIM_INFINITY and size + OWN > hard:
            recorder.note(f"a process may have {hard} descriptors here: {size:,} hosts are left out")
            continue
        measure(recorder, rounds, size, USERS)
    measure_one_user(recorder, rounds, ALONE)
    scale_links.run(recorder, rounds)


def measure(recorder: Recorder, rounds: int, size: int, users: int, jobs: int = AT_ONCE, rate: int = RATE) -> None:
    """Measure with *size* hosts of *users*: all that starts of *jobs* that end at once take, then *rate* a second."""
    marks = {"hosts": size, "users": users}
    with stage(size, users) as made:
        recorder.round = 1
        recorder.add("all joined", max(made.joins) - made.began, "s", **marks)
        for _ in recorder.rounds(rounds):
            _at_once(recorder, made, jobs, marks)
        _fill(made, rate, rounds)
        for _ in recorder.rounds(rounds):
            _paced(recorder, made, marks)
        recorder.round = 1
        _restart(recorder, made, "dispatcher", marks)


def measure_one_user(recorder: Recorder, rounds: int, size: int, jobs: int = AT_ONCE) -> None:
    """Measure starts on *size* hosts that are all of one user, and the return of all to a new server of that user."""
    marks = {"hosts": size, "users": 1}
    with stage(size, 1) as made:
        for _ in recorder.rounds(rounds):
            _at_once(recorder, made, jobs, marks)
        recorder.round = 1
        _fill(made, RATE, 1)
        daemon = f"tms:{made.users[0]}"
        recorder.add("resident", daemons.resident(made.cluster.pid(daemon)) / 1e6, "MB", daemon="TMS", **marks)
        _restart(recorder, made, daemon, marks)


def _at_once(recorder: Recorder, made: Stage, jobs: int, marks: Marks) -> None:
    made.forget()
    made.tally(mean=0)
    before = made.used()
    made.submit(jobs)
    made.until(lambda: len(made.starts) >= jobs and not made.held, "the end of all jobs")
    seconds, parts, others = made.used().since(before)
    times = sorted(at for _, at in made.starts)
    first, last = len(times) // 10, len(times) * 9 // 10
    recorder.add("starts", (last - first) / (times[last] - times[first]), "/s", **marks)
    for part, value in parts.items():
        recorder.add("processor", value / jobs * 1e6, "µs", daemon=part, **marks)
        recorder.add("share of a core", value / seconds * 100, "%", daemon=part, jobs="at once", **marks)
    recorder.add("cores taken by others", others, "cores", jobs="at once", **marks)


def _fill(made: Stage, rate: int, rounds: int) -> None:
    """Fill all hosts with jobs of such a drawn length that *rate* a second end, and let enough wait behind them."""
    slots = made.count * CORES
    made.forget()
    made.tally(mean=slots / rate)
    made.submit(slots + int(rate * (SECONDS * rounds * 1.5 + 40)))
    made.until(lambda: len(made.starts) >= slots * 0.95, "all hosts to be full")


def _paced(recorder: Recorder, made: Stage, marks: Marks) -> None:
    """Measure while jobs end and start all the time, and single ones are submitted for which there is room."""
    made.forget()
    before = made.used()
    asked = _submit_singly(made)
    time.sleep(max(0.0, SECONDS - SINGLE * SINGLE_EVERY))
    made.tally()
    seconds, parts, others = made.used().since(before)
    arrived = dict(made.starts)
    waited = [arrived[job] - said for job, said in asked if job in arrived]
    _delay(recorder, "ending to start order", made.delays, marks)
    _delay(recorder, "submission to start order", waited, marks)
    recorder.add("paced starts", len(made.starts) / seconds, "/s", **marks)
    for part, value in parts.items():
        recorder.add("share of a core", value / seconds * 100, "%", daemon=part, jobs="paced", **marks)
    recorder.add("cores taken by others", others, "cores", jobs="paced", **marks)
    for daemon, name in (("TaskDispatcher", "dispatcher"), ("TMS", f"tms:{made.users[-1]}")):
        recorder.add("resident", daemons.resident(made.cluster.pid(name)) / 1e6, "MB", daemon=daemon, **marks)


def _submit_singly(made: Stage) -> list[tuple[int, float]]:
    """Submit jobs one by one to hosts that are free; return (job, when it was said)."""
    asked = []
    for _ in range(SINGLE):
        said = time.monotonic()
        (job,) = made.cluster.submit(made.users[0], ["true"], constraint="express")
        asked.append((job, said))
        time.sleep(max(0.0, said + SINGLE_EVERY - time.monotonic()))
    return asked


def _delay(recorder: Recorder, what: str, values: Sequence[float], marks: Marks) -> None:
    ordered = sorted(values)
    if not ordered:
        recorder.note(f"{what}: nothing was seen with {marks['hosts']} hosts")
        return
    recorder.add(what, statistics.median(ordered) * 1e3, "ms", of="median", **marks)
    recorder.add(what, ordered[len(ordered) * 99 // 100] * 1e3, "ms", of="99 %", **marks)


def _restart(recorder: Recorder, made: Stage, daemon: str, marks: Marks) -> None:
    """Kill *daemon* under this load, start another, and see how soon all hosts are back and starts go on."""
    kind, cluster = "dispatcher" if daemon == "dispatcher" else "TMS", made.cluster
    made.forget()
    began = time.monotonic()
    if daemon == "dispatcher":
        cluster.end_dispatcher()
        cluster.start_dispatcher()
    else:
        cluster.kill(daemon)
        cluster.forget_talk(made.users[0])
        cluster.start_tms(made.users[0])
    recorder.add("greets after kill", time.monotonic() - began, "s", killed=kind, **marks)

    def starts() -> list[float]:
        """Those that are not of before: no host has an order of the new one before it has said what it holds."""
        back = min(made.joins, default=float("inf"))
        return [at for _, at in made.starts if at > back]

    made.until(lambda: len(made.joins) >= made.count and bool(starts()), "all hosts to be back")
    recorder.add("first start after kill", min(starts()) - began, "s", killed=kind, **marks)
    recorder.add("all hosts back after kill", sorted(made.joins)[made.count - 1] - began, "s", killed=kind, **marks)

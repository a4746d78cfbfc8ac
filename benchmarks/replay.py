"""The trace of ``benchmarks/data`` replayed under each policy: how long that takes, and what it comes to.

Once as one pool of 240 processors and once as 120 hosts of two, wider jobs in pieces. Every round gives the same
outcome, so that is recorded once; ``unlearned`` is our policy without what it learns of run times.
"""

from __future__ import annotations

import time
from pathlib import Path

from benchmarks.record import Recorder

DATA = Path(__file__).parent / "data"
TRACE = DATA / "hpc2n.swf"
CLUSTERS = ("pool", "hosts")
POLICIES = ("fcfs", "easy", "ours")
UNLEARNED = "unlearned"
NUMBERS = (
    ("utilisation", "", 1.0), ("mean_wait", "min", 60.0), ("p95_wait", "min", 60.0), ("mean_bounded_slowdown", "", 1.0),
    ("worst_user", "", 1.0), ("fairness", "", 1.0), ("makespan", "d", 86400.0),
)  # fmt: skip


def run(recorder: Recorder, rounds: int, jobs: int) -> None:
    """Measure the replay of the whole trace, however many *jobs* other workloads have."""
    import msgspec

    from tm.config.document import Document
    from tm.config.hosts import read_hosts
    from tm.model.rules import OURS, RULES
    from tm.model.swf import read_trace

    with open(TRACE, encoding="utf-8") as file:
        trace = read_trace(file, TRACE.name)
    clusters = {name: read_hosts(Document(str(DATA / f"{name}.config"), (TRACE.stat().st_uid,))) for name in CLUSTERS}
    rules = {**{name: RULES[name] for name in POLICIES}, UNLEARNED: msgspec.structs.replace(OURS, learned=False)}
    for number in recorder.rounds(rounds):
        for cluster, hosts in clusters.items():
            for policy, rule in rules.items():
                _replay(recorder, trace, hosts, rule, {"cluster": cluster, "policy": policy}, number == 1)


def _replay(recorder, trace, hosts, rule, marks, first) -> None:  # type: ignore[no-untyped-def]
    """Replay once; with *first* record also what it came to."""
    from tm.model.foreseen import Foreseen
    from tm.model.outcome import outcome_of
    from tm.model.replay import Replay

    replay = Replay(trace, hosts, rule)
    began, busy = time.perf_counter(), time.process_time()
    runs = replay.run()
    recorder.add("replay", time.perf_counter() - began, "s", **marks)
    recorder.add("replay processor", time.process_time() - busy, "s", **marks)
    if not first:
        return
    outcome = outcome_of(rule.name, runs, replay.cores)
    for name, unit, part in NUMBERS:
        recorder.add(name, getattr(outcome, name) / part, unit, **marks)
    watched, foreseen = Replay(trace, hosts, rule), Foreseen()
    foreseen.watches(watched)
    watched.run()
    recorder.add("waited", foreseen.waited, "jobs", **marks)
    if foreseen.share is not None and foreseen.width is not None:
        recorder.add("ranges held", foreseen.share, "", **marks)
        recorder.add("range width", foreseen.width / 60, "min", **marks)

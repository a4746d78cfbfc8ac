"""``tm simulate``: a trace of a real cluster, replayed by the dispatcher's own scheduler under several policies."""

from __future__ import annotations

import argparse
import json
import os
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from tm.errors import ConfigError, RefusedError

if TYPE_CHECKING:
    from tm.model.foreseen import Foreseen
    from tm.model.host import HostConfig
    from tm.model.outcome import Outcome
    from tm.model.replay import Replay
    from tm.model.settings import Scheduling
    from tm.model.swf import Trace

Environ = Mapping[str, str]
Runner = Callable[[argparse.Namespace, Environ], list[str]]
Maker = Callable[[Any, Runner, str, str], argparse.ArgumentParser]

EXAMPLES = """\
  tm simulate trace.swf                                     a Standard Workload Format trace, under three policies
  tm simulate trace.swf --cluster etc/ComputerCluster.config --policy easy,ours
                                                            on these hosts, by their [scheduling]
"""
_TITLES = (
    "POLICY", "UTILISATION", "MEAN WAIT", "95% WAIT", "MEAN BOUNDED SLOWDOWN", "WORST USER", "FAIRNESS", "MAKESPAN",
    "IN RANGE", "WIDTH",
)  # fmt: skip
_NOTE = (
    "A slowdown is (wait + run) / run, of runs of 10 s at least. Fairness is Jain's index of the users' speeds, which",
    "are 1 over their mean slowdowns: 1 where all got the same, 1 over their number where one got everything.",
    "In range: of the jobs that had to wait, those that began within the range expected when they were submitted;",
    "half of these ranges were narrower than the width.",
)


def add_command(commands: Any, command: Maker) -> None:
    """Add ``simulate`` to *commands*."""
    simulate = command(commands, _simulate, "simulate", "replay a trace of jobs with the scheduler, in virtual time")
    simulate.add_argument("trace", metavar="TRACE.swf", help="in the Standard Workload Format")
    simulate.add_argument(
        "--cluster", metavar="FILE",
        help="a ComputerCluster.config; as one host with all the processors of the trace by default. Jobs wider than"
        " the widest host are split into pieces of one host each",
    )  # fmt: skip
    simulate.add_argument("--policy", metavar="WORDS", default="fcfs,easy,ours", help="some of %(default)s")
    simulate.add_argument("--json", action="store_true", help="one JSON object a line, for each policy")


def _simulate(arguments: argparse.Namespace, environ: Environ) -> list[str]:
    from tm.model.foreseen import Foreseen
    from tm.model.outcome import outcome_of
    from tm.model.replay import Replay
    from tm.model.rules import RULES

    policies = [word for word in dict.fromkeys(arguments.policy.split(",")) if word]
    for word in policies:
        if word not in RULES:
            raise RefusedError("proto.arguments", f"there is no policy '{word}'; there are {', '.join(RULES)}")
    trace = _trace(arguments.trace)
    hosts, settings = _cluster(arguments.cluster, trace)
    rows: list[tuple[Outcome, Foreseen]] = []
    replay = None
    for word in policies:
        replay = Replay(trace, hosts, RULES[word], settings)
        foreseen = Foreseen()
        foreseen.watches(replay)
        runs = replay.run()
        if not runs:
            raise RefusedError("trace.invalid", f"{arguments.trace}: every job is wider than {replay.cores} cores")
        rows.append((outcome_of(word, runs, replay.cores), foreseen))
    if replay is None:
        raise RefusedError("proto.arguments", f"name a policy; there are {', '.join(RULES)}")
    about = _about(trace, replay, len(hosts))
    if arguments.json:
        return [json.dumps(_shown(outcome, foreseen, about)) for outcome, foreseen in rows]
    return [*_head(arguments.trace, trace, about), *_table(rows), *_NOTE]


def _trace(path: str) -> Trace:
    from tm.model.swf import read_trace

    with open(path, encoding="utf-8", errors="replace") as file:
        return read_trace(file, path)


def _cluster(path: str | None, trace: Trace) -> tuple[Sequence[HostConfig], Scheduling]:
    """Return the hosts to replay on, as active as they can be, and how they are scheduled."""
    import msgspec

    from tm.config.cluster import read_scheduling
    from tm.config.document import Document
    from tm.config.hosts import read_hosts
    from tm.model.host import HostConfig
    from tm.model.settings import Scheduling

    if path is None:
        return [HostConfig(name="pool", address="pool", cores=trace.processors)], Scheduling()
    document = Document(path, (os.getuid(), 0))
    hosts = read_hosts(document)
    settings = read_scheduling(document, hosts)
    for host in hosts:
        if host.cores is None:
            document.complain("expected a number of cores: nobody can be asked in a replay", "hosts", host.name)
    if not hosts and not document.complaints:
        document.complain("expected a host, [hosts.NAME] with cores = 8")
    if document.complaints:
        raise ConfigError(document.complaints)
    change = msgspec.structs.replace
    return [change(host, active=True, users=("*",), hours=(), console_idle=0.0) for host in hosts], settings


def _about(trace: Trace, replay: Replay, hosts: int) -> dict[str, object]:
    wide = sum(replay.width < job.cores <= replay.cores for job in trace.jobs)
    return {
        "hosts": hosts, "cores": replay.cores, "widest": replay.width, "split": wide, "too_wide": replay.too_wide,
        "left_out": sum(trace.left_out.values()),
    }  # fmt: skip


def _head(path: str, trace: Trace, about: Mapping[str, object]) -> list[str]:
    users = len({job.user for job in trace.jobs})
    one = about["hosts"] == 1
    where = f"as one pool of {about['cores']} cores" if one else f"on {about['hosts']} hosts, {about['cores']} cores"
    lines = [f"{len(trace.jobs)} jobs of {users} users of {path} {where}"]
    if about["split"]:
        lines.append(f"{about['split']} wider than any host were split into pieces of {about['widest']} cores at most")
    if about["too_wide"]:
        lines.append(f"{about['too_wide']} wider than the whole cluster were left out")
    lines += [f"{count} left out: {why}" for why, count in trace.left_out.items()]
    if "Acknowledge" in trace.head:
        lines.append(f"trace: {trace.head.get('Installation', 'unknown')}; thanks to {trace.head['Acknowledge']}")
    return [*lines, ""]


def _table(found: Sequence[tuple[Outcome, Foreseen]]) -> list[str]:
    from tm.client.table import Column, render
    from tm.model.duration import format_duration

    rows = [
        [
            one.policy, f"{one.utilisation:.2%}", format_duration(one.mean_wait), format_duration(one.p95_wait),
            f"{one.mean_bounded_slowdown:.2f}", f"{one.worst_user:.2f}", f"{one.fairness:.3f}",
            format_duration(one.makespan), "-" if foreseen.share is None else f"{foreseen.share:.1%}",
            "-" if foreseen.width is None else format_duration(foreseen.width),
        ]
        for one, foreseen in found
    ]  # fmt: skip
    columns = [Column(_TITLES[0]), *(Column(title, right=True) for title in _TITLES[1:])]
    return [*render(columns, rows, None), ""]


def _shown(outcome: Outcome, foreseen: Foreseen, about: Mapping[str, object]) -> dict[str, object]:
    import msgspec

    ranges = {"waited": foreseen.waited, "ranges_held": foreseen.share, "range_width": foreseen.width}
    numbers = {**msgspec.structs.asdict(outcome), **ranges}
    rounded = {key: round(value, 4) if isinstance(value, float) else value for key, value in numbers.items()}
    return {**rounded, **about}

"""Make the tables of ``docs/performance.md`` of measurements: ``python3 -m benchmarks.report FILE …``.

A table stands between ``<!-- NAME -->`` and ``<!-- /NAME -->``; nothing else of the page is touched.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

from benchmarks.aims import Aim, table
from benchmarks.cold import HOSTS as COLD_HOSTS
from benchmarks.cold import KEX
from benchmarks.hosts import HOSTS
from benchmarks.infoserver import LIVELY, PROCESSES
from benchmarks.measurements import (
    ByRound,
    Measurements,
    differences,
    greatest,
    number,
    quotients,
    summary,
    sums,
)
from benchmarks.page import fill
from benchmarks.peers import plots as peers_plots
from benchmarks.peers import tables as peers
from benchmarks.replay import CLUSTERS, POLICIES, UNLEARNED
from benchmarks.web import JOBS, LOOKS, MACHINES, PAGES, QUESTIONS, READERS, WITH_PLOTS

PAGE = Path(__file__).parent.parent / "docs" / "performance.md"
SLOTS = (2, 8)
OTHERS = "cores taken by others"
SINGLY = {"pipelined": "one by one", "singly": "one by one, waiting"}
WAYS = {"bulk": "in bulk", **SINGLY, "shell": "as `hRunJob --from`"}
ACCEPTED = {"bulk": "in bulk", **SINGLY, "program": "`hRunJob --from` as a process"}
DAEMONS = ("TaskDispatcher", "TMS", "TMMS", "keeper")
ROOM = {"TaskDispatcher": 70.0, "TMS": 55.0, "TMMS": 55.0, "keeper": 15.0}


def aims(found: Measurements) -> str:
    """Return the aims and whether they are met."""
    wanted = []
    for way, least in (("bulk", 0.25), ("pipelined", 0.2), ("singly", 0.2)):
        for slots in SLOTS:
            text = f"jobs through the chain {WAYS[way]}, {slots} slots, as a share of the bare loop"
            wanted.append(Aim(text, least, False, "", share(found, slots, way)))
    for way, rate in (("bulk", 10000), ("pipelined", 1000), ("singly", 1000)):
        text = f"jobs accepted durably {ACCEPTED[way]}"
        wanted.append(Aim(text, rate, False, "/s", found.rounds("accepting", "accepted", way=way)))
    once = found.rounds("starting", "hRunJob")
    start = found.rounds("starting", "python start")
    waited = found.rounds("starting", "hRunJob --wait")
    wanted.append(Aim("`hRunJob true`, as a multiple of the start of Python", 2, True, "", quotients(once, start)))
    wanted.append(Aim("`hRunJob --wait true` more than that", 25, True, "ms", differences(waited, once)))
    for daemon, most in ROOM.items():
        idle = found.rounds("memory", "resident", daemon=daemon, jobs=0)
        wanted.append(Aim(f"resident memory of an idle {daemon}", most, True, "MB", idle))
    wanted.append(Aim("`hRun` moves output", 100, False, "MB/s", found.rounds("output", "output")))
    for daemon in DAEMONS:
        grown = found.rounds("output", "growth", daemon=daemon)
        wanted.append(Aim(f"growth of the {daemon} meanwhile", 16, True, "MB", grown))
    for lively in LIVELY:
        marks = {"processes": PROCESSES, "lively": lively}
        text = f"InfoServer at {PROCESSES:,} processes, {lively} of which start another every second"
        used = found.rounds("infoserver", "share of a core", **marks)
        wanted.append(Aim(text, 1, True, "% of a core", used))
        wanted.append(Aim("its resident memory", 60, True, "MB", found.rounds("infoserver", "resident", **marks)))
    used = found.rounds("hosts", "share of a core", hosts=HOSTS)
    wanted.append(Aim(f"TaskDispatcher with {HOSTS:,} hosts that report every 5 s", 20, True, "% of a core", used))
    first = found.rounds("hosts", "first job after activation")
    wanted.append(Aim("from `activatehost` to the first waiting job running, TMMS up", 50, True, "ms", first))
    beyond = found.rounds("cold", "beyond the login")
    wanted.append(Aim("the same from cold over ssh, longer than the login alone", 1000, True, "ms", beyond))
    for kex in KEX:
        one, all_of_them = (found.rounds("cold", "all run from cold", hosts=n, kex=kex) for n in (1, COLD_HOSTS))
        text = f"{COLD_HOSTS} hosts from cold, as a multiple of one; key exchange of ssh: {kex}"
        wanted.append(Aim(text, 3, True, "", quotients(all_of_them, one)))
    wanted += _of_scheduling(found)
    wanted += _of_web(found)
    wanted += peers.aims(found)
    for cluster in CLUSTERS:
        marks = {"cluster": cluster, "policy": "ours"}
        whole = "as one pool" if cluster == "pool" else "on 120 hosts"
        text = f"the trace of 3,170 jobs replayed {whole} by our policy"
        wanted.append(Aim(text, 10, True, "s", found.rounds("replay", "replay processor", **marks)))
        for what, shown, at_most in (
            ("mean_bounded_slowdown", "mean bounded slowdown", True),
            ("utilisation", "utilisation", False),
        ):
            ours, easy = (found.rounds("replay", what, cluster=cluster, policy=policy) for policy in ("ours", "easy"))
            wanted.append(Aim(f"its {shown}, as a multiple of EASY's", 1, at_most, "", quotients(ours, easy)))
        wanted.append(
            Aim("expected starts that came true", 0.8, False, "", found.rounds("replay", "ranges held", **marks))
        )
    return table(["what", "aim", "measured", "met"], [aim.row() for aim in wanted])


def _of_scheduling(found: Measurements) -> list[Aim]:
    """Return what is wanted of decisions and submissions while many wait."""
    decided, beside = found.rounds("scheduling", "decision", waiting="many"), "decision beside"
    text = "a decision of the scheduler, 1,000 hosts, 500 classes, 100,000 jobs waiting"
    elements = "the same with 1,000,000 elements of arrays, as a multiple"
    submitted = "one more job accepted with 100,000 waiting, as a multiple of an empty queue"
    array = "an array of 1,000,000 accepted"
    return [
        Aim(text, 1, True, "ms", decided),
        Aim(elements, 1.2, True, "", found.rounds("scheduling", beside, waiting="array")),
        Aim(submitted, 1.2, True, "", found.rounds("scheduling", "accepted beside")),
        Aim("`hRunJob -s` then", 150, True, "ms", found.rounds("scheduling", "hRunJob -s", waiting="many")),
        Aim("memory of the TaskDispatcher", 400, True, "MB", found.rounds("scheduling", "resident", waiting="many")),
        Aim(array, 1000, True, "ms", found.rounds("scheduling", "array accepted")),
        Aim("the TaskDispatcher's growth by it", 20, True, "MB", found.rounds("scheduling", "array resident")),
    ]


def _of_web(found: Measurements) -> list[Aim]:
    """Return what is wanted of the web interface with 1,000 hosts and 100,000 jobs."""
    shown = [page for page in PAGES if not page.startswith(MACHINES)]
    usual = [name for name in QUESTIONS if name.endswith((" by id", "the last first"))]
    lists = [name for name, (_, line) in QUESTIONS.items() if line.startswith("lsjobs") and "limit=51" in line]
    plain = [page for page in shown if page not in WITH_PLOTS]
    weights = {page: found.rounds("web", "page with all it needs", page=page) for page in shown}
    heard = found.rounds("web", "from a job's end to its event", readers=READERS)
    room = found.rounds("web", "resident", readers=READERS)
    return [
        Aim("a page of jobs by id, or the last that ended first, in the store", 20, True, "ms", _asked(found, usual)),
        Aim("a page of jobs in any order, with any filter, in the store", 40, True, "ms", _asked(found, lists)),
        Aim("all hosts, of the dispatcher's thread", 30, True, "ms", _asked(found, ["the hosts"], "reactor")),
        Aim("the first byte of the slowest page", 50, True, "ms", greatest(
            found.rounds("web", "first byte", page=page) for page in shown
        )),
        Aim("a page without a plot, with all it needs", 60, True, "kB", greatest(weights[page] for page in plain)),
        Aim("a page with plots", 130, True, "kB", greatest(weights[page] for page in WITH_PLOTS)),
        Aim("from a job's end to the event in an open page", 1000, True, "ms", heard),
        Aim(f"memory of the web server with {READERS} open pages", 150, True, "MB", room),
    ]  # fmt: skip


def _asked(found: Measurements, names: list[str], thread: str = "reader") -> ByRound:
    """Return the time of that *thread* for the question of *names* that takes longest."""
    return greatest(found.rounds("web", "question", question=name, thread=thread) for name in names)


def web_questions(found: Measurements) -> str:
    """Return what the questions of pages cost the dispatcher's two threads, and how long the answers are."""
    rows = []
    for name in dict.fromkeys(str(line["question"]) for line in found.pick("web", "question")):
        times = [found.rounds("web", "question", question=name, thread=thread) for thread in ("reactor", "reader")]
        sizes = [line["bytes"] for line in found.pick("web", "question", question=name)]
        rows.append([name, *map(summary, times), number(max(sizes) / 1000)])
    return table(["what is asked", "ms of the reactor's thread", "ms of the reader's", "kB"], rows)


def web_pages(found: Measurements) -> str:
    """Return how soon pages come and what they weigh."""
    rows = []
    for page in PAGES:
        cells = [found.rounds("web", kind, page=page) for kind in ("first byte", "slowest first byte")]
        for daemon in ("web server", "TaskDispatcher"):
            cells.append(found.rounds("web", "processor", page=page, daemon=daemon))
        cells += [found.rounds("web", kind, page=page) for kind in ("page", "page with all it needs")]
        rows.append([f"`{page}`", *map(summary, cells)])
    heads = ["page", "first byte ms", f"slowest of {LOOKS} ms", "processor of the web server ms"]
    return table([*heads, "of the TaskDispatcher ms", "kB", "kB with all it needs"], rows)


def web_readers(found: Measurements) -> str:
    """Return what readers of events cost the web server, and how soon they hear."""
    marks = {"readers": READERS}
    rows = [
        ["MB resident without readers", summary(found.rounds("web", "resident", readers=0))],
        [f"MB resident with {READERS}", summary(found.rounds("web", "resident", **marks))],
        ["% of a core then, with 1,000 hosts that report", summary(found.rounds("web", "share of a core", **marks))],
        ["ms from a job's end to its event", summary(found.rounds("web", "from a job's end to its event", **marks))],
        [f"the slowest of {JOBS} jobs", summary(found.rounds("web", "from a job's end to its last event", **marks))],
    ]
    return table(["the web server", "measured"], rows)


def scheduling(found: Measurements) -> str:
    """Return what a decision and a submission cost by what waits."""
    shown = {"few": "10,000 jobs", "many": "100,000 jobs", "array": "1,000,000 elements of 500 arrays"}
    rows = []
    for waiting, text in shown.items():
        times = (found.rounds("scheduling", what, waiting=waiting) for what in ("decision", "slow decision"))
        rows.append([text, *map(summary, times)])
    return table(["waiting", "ms a decision, mean", "ms, 99 % are faster"], rows)


def replay(found: Measurements) -> str:
    """Return what the trace came to under each policy."""
    rows = []
    for cluster in CLUSTERS:
        for policy in (*POLICIES, UNLEARNED):
            marks = {"cluster": cluster, "policy": policy}
            name = "ours, by the wall times asked" if policy == UNLEARNED else policy
            cells = [summary(found.rounds("replay", what, **marks)) for what in REPLAYED]
            rows.append([f"{'one pool' if cluster == 'pool' else '120 hosts'}, {name}", *cells])
    heads = ["", "utilisation", "mean wait min", "95 % wait min", "mean bounded slowdown", "worst user", "fairness"]
    return table([*heads, "makespan d", "in range", "width min", "replay s"], rows)


def looks(found: Measurements) -> str:
    """Return what a look at all processes costs in each way."""
    rows = [
        [way, summary(found.rounds("infoserver", "a look at all processes", way=way))]
        for way in ("files kept open", "files opened anew", "psutil")
    ]
    return table(["way", "ms a look"], rows)


def cold(found: Measurements) -> str:
    """Return what many hosts from cold take, beside one, and what each costs the machine that starts them."""
    rows = []
    for kex in KEX:
        one, every = (found.rounds("cold", "all run from cold", hosts=n, kex=kex) for n in (1, COLD_HOSTS))
        parts = ("ssh", "TMS", "TaskDispatcher")
        costs = [found.rounds("cold", "processor", daemon=part, hosts=COLD_HOSTS, kex=kex) for part in parts]
        rows.append([
            kex, summary(found.rounds("cold", "ssh login", kex=kex)), summary(one), summary(every),
            summary(quotients(every, one)), *map(summary, costs),
            summary(found.rounds("cold", "machine busy", hosts=COLD_HOSTS, kex=kex)),
        ])  # fmt: skip
    heads = ["key exchange", "ssh login ms", "one host ms", f"{COLD_HOSTS} hosts ms", "multiple"]
    heads += ["processor of an ssh ms", "of TMS a host ms", "of TaskDispatcher a host ms", "cores busy"]
    return table(heads, rows)


def share(found: Measurements, slots: int, way: str) -> ByRound:
    """Return the rate of the chain as a share of the bare loop's in the same round."""
    bare = found.rounds("throughput", "bare spawn", slots=slots, way=way)
    return quotients(found.rounds("throughput", "jobs", slots=slots, way=way), bare)


def throughput(found: Measurements) -> str:
    """Return rates, shares, and how busy others kept the machine."""
    rows = []
    for way, shown in WAYS.items():
        for slots in SLOTS:
            marks = {"slots": slots, "way": way}
            bare = found.rounds("throughput", "bare processor", **marks)
            rows.append([
                f"{shown}, {slots} slots",
                summary(found.rounds("throughput", "jobs", **marks)),
                summary(found.rounds("throughput", "bare spawn", **marks)),
                summary(share(found, slots, way)),
                summary(quotients(bare, _cost(found, **marks))),
                summary(found.rounds("throughput", "others", **marks)),
                found.counted("throughput", **marks),
            ])  # fmt: skip
    heads = ["way", "jobs/s", "bare loop/s", "share", "share of processor time", OTHERS, "rounds"]
    return table(heads, rows)


def _cost(found: Measurements, **marks: object) -> ByRound:
    parts = {line["daemon"] for line in found.pick("throughput", "processor", **marks)}
    return sums(found.rounds("throughput", "processor", daemon=part, **marks) for part in sorted(parts))


def cost(found: Measurements) -> str:
    """Return the processor time of a job by process."""
    columns = [(way, slots) for way in WAYS for slots in SLOTS]
    rows = []
    for part in ("client", *DAEMONS, "job"):
        cells = [found.rounds("throughput", "processor", daemon=part, slots=s, way=w) for w, s in columns]
        rows.append([part if part != "job" else "the job itself", *map(summary, cells)])
    rows.append(["all", *(summary(_cost(found, slots=slots, way=way)) for way, slots in columns)])
    bare = [found.rounds("throughput", "bare processor", slots=slots, way=way) for way, slots in columns]
    rows.append(["bare loop, for comparison", *map(summary, bare)])
    return table(["µs a job", *_heads(columns)], rows)


def messages(found: Measurements) -> str:
    """Return the commits and sends of a job."""
    columns = [(way, slots) for way in WAYS for slots in SLOTS]
    rows = []
    for what, daemon, shown in (
        ("commits", "TaskDispatcher", "commits of the TaskDispatcher"),
        ("sends", "TaskDispatcher", "sends of the TaskDispatcher"),
        ("sends", "TMS", "sends of the TMS"),
        ("sends", "TMMS", "sends of the TMMS"),
    ):
        cells = [found.rounds("throughput", what, daemon=daemon, slots=s, way=w) for w, s in columns]
        rows.append([shown, *map(summary, cells)])
    return table(["a job", *_heads(columns)], rows)


def _heads(columns: list[tuple[str, int]]) -> list[str]:
    return [f"{WAYS[way]}, {slots}" for way, slots in columns]


def accepting(found: Measurements) -> str:
    """Return rates of acceptance, and what one costs."""
    rows = []
    for way, shown in ACCEPTED.items():
        parts = [found.rounds("accepting", "processor", daemon=d, way=way) for d in ("client", *DAEMONS[:2])]
        rows.append([
            shown,
            summary(found.rounds("accepting", "accepted", way=way)),
            *map(summary, parts),
            summary(found.rounds("accepting", "commits", way=way)),
            summary(found.rounds("accepting", "others", way=way)),
            found.counted("accepting", way=way),
        ])  # fmt: skip
    costs = [f"{daemon} µs" for daemon in ("client", *DAEMONS[:2])]
    return table(["way", "jobs/s", *costs, "commits a job", OTHERS, "rounds"], rows)


def steps(found: Measurements) -> str:
    """Return where the time of one acceptance goes."""
    shown = {
        "TMS": "a question that the TMS answers itself, over its Unix socket (`version`)",
        "TaskDispatcher": "a question that it passes on, over TLS, and its answer back (`whoami`)",
        "known": "a job submitted again with the same token: read, signed, passed on, looked up",
        "new": "a new job: recorded, committed",
    }
    rows = []
    last: ByRound = {}
    for step, text in shown.items():
        taken = found.rounds("accepting", "round trip", step=step)
        rows.append([text, summary(taken), summary(differences(taken, last) if last else taken)])
        last = taken
    rows.append(
        [
            "200 bytes appended durably, for comparison",
            summary(found.rounds("accepting", "durable append")),
            "",
        ]
    )
    return table(["round trip", "µs", "more than the one above"], rows)


def starting(found: Measurements) -> str:
    """Return the times of the clients."""
    names = ("python start", "hRunJob", "hRunJob --wait")
    shown = ('`python3 -c "import argparse, socket, ssl, json"`', "`hRunJob true`", "`hRunJob --wait true`")
    start = found.rounds("starting", "python start")
    rows = []
    for name, text in zip(names, shown, strict=True):
        taken = found.rounds("starting", name)
        rows.append([text, summary(taken), number(min(taken.values(), default=0)), summary(quotients(taken, start))])
    return table(["command", "ms", "best ms", "as a multiple of the first"], rows)


def memory(found: Measurements) -> str:
    """Return the memory of the daemons after so many jobs."""
    steps = sorted({line["jobs"] for line in found.pick("memory", "resident")})
    chosen = [step for at, step in enumerate(steps) if at in (0, 1, len(steps) // 4, len(steps) // 2, len(steps) - 1)]
    rows = [
        [daemon, *(summary(found.rounds("memory", "resident", daemon=daemon, jobs=step)) for step in chosen)]
        for daemon in DAEMONS
    ]
    return table(["MB resident after", *(f"{step:,} jobs" for step in chosen)], rows)


def output(found: Measurements) -> str:
    """Return the rate of hRun and the growth of the daemons."""
    heads = ["through a pipe MB/s", "by `hRun` MB/s", *(f"growth of {daemon} MB" for daemon in DAEMONS)]
    cells = [found.rounds("output", "pipe"), found.rounds("output", "output")]
    cells += [found.rounds("output", "growth", daemon=daemon) for daemon in DAEMONS]
    return table(heads, [list(map(summary, cells))])


def limits(found: Measurements) -> str:
    """Return what the machine can do."""
    rows = []
    for at_once in (1, 2, 8):
        rows.append([
            f"bare loop, {at_once} at a time, processes/s",
            summary(found.rounds("limits", "bare spawn", at_once=at_once)),
        ])  # fmt: skip
    for what, shown in (
        ("bare processor", "bare loop, processor µs of one process"),
        ("python start", "start of Python, ms"),
        ("durable append", "200 bytes appended durably (`fdatasync`), µs"),
        ("pipe", "1 GiB of zeros through a pipe, MB/s"),
    ):
        rows.append([shown, summary(found.rounds("limits", what))])
    return table(["limit", "measured"], rows)


def keeper(found: Measurements) -> str:
    """Return the rate of the keeper alone."""
    rows = []
    for slots in SLOTS:
        jobs, bare = (found.rounds("keeper", what, slots=slots) for what in ("jobs", "bare Popen"))
        own = found.rounds("keeper", "processor", slots=slots)
        rows.append([str(slots), summary(jobs), summary(bare), summary(quotients(jobs, bare)), summary(own)])
    return table(["slots", "keeper jobs/s", "`Popen` loop/s", "share", "keeper µs a job"], rows)


def machine(found: Measurements) -> str:
    """Return where, when and how the measurements were made."""
    lines = []
    for run in found.machines:
        kind = "a virtual machine" if run["hypervisor"] else "a machine"
        room = f"{run['memory'] / 2**30:.0f} GiB"
        system = f"Linux {run['kernel'].split('-')[0]}, Python {run['python']}"
        command = " ".join(["python3 -m benchmarks", *run["arguments"]])
        lines.append(
            f"- {run['at'][:10]}: {kind}, {run['cores']} cores ({run['processor']}), {room}, {system}; "
            f"load at the beginning {run['load']:.1f}; `{command}`"
        )
    return "\n".join(lines)


REPLAYED = (
    "utilisation", "mean_wait", "p95_wait", "mean_bounded_slowdown", "worst_user", "fairness", "makespan",
    "ranges held", "range width", "replay processor",
)  # fmt: skip
PARTS: dict[str, Callable[[Measurements], str]] = {
    part.__name__: part
    for part in (
        machine, aims, throughput, cost, messages, accepting, steps, starting, memory, output, limits, keeper, looks,
        cold, replay, scheduling, web_questions, web_pages, web_readers,
        peers.peers_shown, peers.peers_limits, peers.peers_throughput, peers.peers_ways, peers.peers_clients,
        peers.peers_waiting, peers.peers_crash,
    )
}  # fmt: skip


if __name__ == "__main__":
    if len(sys.argv) < 2:
        raise SystemExit("usage: python3 -m benchmarks.report FILE …")
    measured = Measurements(sys.argv[1:])
    PAGE.write_text(fill(PAGE.read_text(encoding="utf-8"), measured, PARTS), encoding="utf-8")
    for name, drawn in peers_plots.draw(measured).items():
        (PAGE.parent / "images" / name).write_text(drawn, encoding="utf-8")

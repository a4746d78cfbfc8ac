"""The tables and aims of ``docs/performance.md`` that hold us beside the other schedulers.

The best of each column is bold, whoever's it is. What a peer has not, or was not asked, is ``-``.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from benchmarks.aims import Aim, table
from benchmarks.measurements import ByRound, Line, Measurements, greatest, median, quotients, summary
from benchmarks.peers.runner import MANY_WAITING, MODULES, SLOTS, WAITING

OURS = "ourselves"
WAYS = {"bulk": "in bulk", "array": "as an array", "singly": "one by one"}
AT_LEAST = {
    "hyperqueue": (1.5, "HyperQueue's"), "slurm": (12.0, "Slurm's"), "parallel": (2.0, "GNU parallel's"),
    "parallel_ssh": (50.0, "GNU parallel's over ssh"),
}  # fmt: skip
OF_THE_LOOP = 0.4
UNSEEN = 2.0
"""Megabytes by which the memory of servers may differ between two looks anyhow."""

NOTHING = "Not measured yet."
THROUGHPUT, LATENCY = "performance-throughput.svg", "performance-latency.svg"

Column = dict[str, ByRound]


def shown(found: Measurements) -> dict[str, str]:
    """Return the names of the peers that were measured, by their keys."""
    names = {line["peer"]: line["name"] for line in _notes(found, "name")}
    return {key: names[key] for key in MODULES if key in names}


def _notes(found: Measurements, mark: str) -> list[Line]:
    return [line for line in found.pick("peers", "note") if mark in line]


def asked(found: Measurements) -> list[int]:
    """Return how many jobs the peers were asked for at once, the least first."""
    return sorted({line["asked"] for line in found.pick("peers", "jobs")})


def rates(found: Measurements, key: str, slots: int, jobs: int) -> ByRound:
    """Return the jobs a second of that peer, by the better of its ways in each round."""
    return greatest(found.rounds("peers", "jobs", peer=key, slots=slots, way=way, asked=jobs) for way in WAYS)


def shares(found: Measurements, key: str, slots: int, jobs: int) -> ByRound:
    """Return the same as a share of the bare loop that ran just before, as many at a time."""
    return greatest(
        quotients(*(
            found.rounds("peers", what, peer=key, slots=slots, way=way, asked=jobs) for what in ("jobs", "bare spawn")
        ))
        for way in WAYS
    )  # fmt: skip


def _of_peer(
    values: Callable[[Measurements, str, int, int], ByRound], found: Measurements, slots: int, jobs: int, key: str
) -> ByRound:
    return values(found, key, slots, jobs)


def _marked(rows: list[list[str]], columns: list[Column], keys: list[str], least: set[int]) -> list[list[str]]:
    """Return *rows* with their cells of *columns*, the best bold: the least in the columns *least*, else the most."""
    cells = [[summary(column.get(key, {})) for column in columns] for key in keys]
    for at, column in enumerate(columns):
        middles = {key: middle for key in keys if (middle := median(column.get(key, {}))) is not None}
        if len(middles) > 1:
            wanted = (min if at in least else max)(middles.values())
            for row, key in zip(cells, keys, strict=True):
                if middles.get(key) == wanted:
                    row[at] = f"**{row[at]}**"
    return [[*row, *more] for row, more in zip(rows, cells, strict=True)]


def _by_peer(found: Measurements, columns: dict[str, Callable[[str], ByRound]], least: bool) -> str:
    names = shown(found)
    made = [{key: values(key) for key in names} for values in columns.values()]
    kept = [at for at, column in enumerate(made) if any(column.values())]
    used = [key for key in names if any(made[at][key] for at in kept)]
    rows = _marked(
        [[names[key]] for key in used], [made[at] for at in kept], used, set(range(len(kept))) if least else set()
    )
    return table(["", *(list(columns)[at] for at in kept)], rows) if rows else NOTHING


def peers_shown(found: Measurements) -> str:
    """Return what was measured, how it was set up, what was left out, and what failed."""
    texts = {line["peer"]: line["text"] for line in _notes(found, "name")}
    lines = [texts[key] for key in shown(found)]
    failed: dict[str, int] = {}
    for line in _notes(found, "failed"):
        text = " ".join(line["text"].split())[:200]
        failed[text] = failed.get(text, 0) + 1
    out = [line["text"] for line in _notes(found, "missing") if line["peer"] not in shown(found)]
    lines += [text + (f" ({times} times)" if times > 1 else "") for text, times in failed.items()]
    unique = dict.fromkeys([*lines, *out])
    return "\n".join(f"- {text}" for text in unique) or NOTHING


def peers_limits(found: Measurements) -> str:
    """Return what the machine could do in the same run."""
    rows = [
        [f"bare loop in C, {at_once} at a time, processes/s",
         summary(found.rounds("peers", "bare spawn", alone=True, at_once=at_once))]
        for at_once in (1, *SLOTS)
    ]  # fmt: skip
    for what, text in (
        ("python start", 'a Python with what any client needs (`python3 -c "import argparse, socket, ssl, json"`), ms'),
        ("durable append", "200 bytes appended durably (`fdatasync`), µs"),
        ("handshakes", "TLS 1.3 handshakes with certificates on both sides, one after the other, /s"),
    ):
        alone = {} if what != "python start" else {"alone": True}
        rows.append([text, summary(found.medians("peers", what, **alone))])
    return table(["limit", "measured"], rows) if found.pick("peers", "handshakes") else NOTHING


def peers_throughput(found: Measurements) -> str:
    """Return jobs a second by each peer's better way, and as a share of the bare loop."""
    columns: dict[str, Callable[[str], ByRound]] = {}
    for jobs in asked(found):
        for slots in SLOTS:
            columns[f"{jobs:,} jobs, {slots} slots, /s"] = partial(_of_peer, rates, found, slots, jobs)
            columns[f"share of the loop, {slots} of {jobs:,}"] = partial(_of_peer, shares, found, slots, jobs)
    plot = f"![Jobs a second by scheduler, beside the bare loop](images/{THROUGHPUT})\n\n" if columns else ""
    return plot + _by_peer(found, columns, least=False)


def peers_ways(found: Measurements) -> str:
    """Return jobs a second by peer and way."""
    names = shown(found)
    pairs = [(key, way) for key in names for way in WAYS if found.pick("peers", "jobs", peer=key, way=way)]
    keys = [f"{key} {way}" for key, way in pairs]
    sizes = [(jobs, slots) for jobs in asked(found) for slots in SLOTS]
    columns: list[Column] = [
        {
            f"{key} {way}": found.rounds("peers", "jobs", peer=key, way=way, slots=slots, asked=jobs)
            for key, way in pairs
        }
        for jobs, slots in sizes
    ]
    rows = [[f"{names[key]}, {WAYS[way]}", _counts(found, key, way)] for key, way in pairs]
    heads = [f"{jobs:,} jobs, {slots} slots, /s" for jobs, slots in sizes]
    return table(["", "jobs", *heads], _marked(rows, columns, keys, set())) if rows else NOTHING


def _counts(found: Measurements, key: str, way: str) -> str:
    counts = sorted({line["count"] for line in found.pick("peers", "jobs", peer=key, way=way)})
    return ", ".join(f"{count:,}" for count in counts)


def peers_clients(found: Measurements) -> str:
    """Return the latencies of clients, and the memory of idle servers."""

    def beside(key: str) -> ByRound:
        return quotients(*(found.medians("peers", what, peer=key) for what in ("submit", "python start")))

    columns: dict[str, Callable[[str], ByRound]] = {
        "one submission by the command line ms": lambda key: found.medians("peers", "submit", peer=key),
        "as a multiple of Python's start": beside,
        "over an open connection ms": lambda key: found.medians("peers", "accept", peer=key),
        "a waited-for job ms": lambda key: found.medians("peers", "wait", peer=key),
        "servers idle MB": lambda key: found.medians("peers", "idle", peer=key),
    }
    made = _by_peer(found, columns, least=True)
    plot = f"![Time of a submission and of a waited-for job, by scheduler](images/{LATENCY})\n\n"
    return made if made == NOTHING else plot + made


def _depths(found: Measurements) -> list[tuple[int, bool]]:
    return sorted({(line["waiting"], line["array"]) for line in found.pick("peers", "growth")}, key=lambda x: x[::-1])


def one_more(found: Measurements, what: str, **marks: object) -> ByRound:
    """Return how much longer one more submission takes behind the jobs that wait, as a multiple."""
    return quotients(*(found.medians("peers", what, queue=queue, **marks) for queue in ("full", "empty")))


def peers_waiting(found: Measurements) -> str:
    """Return what many waiting jobs cost, by how many they are."""
    rows = []
    for waiting, array in _depths(found):
        keys = [key for key in shown(found) if found.pick("peers", "growth", peer=key, waiting=waiting, array=array)]
        columns: list[Column] = [
            {key: values(peer=key, waiting=waiting, array=array) for key in keys}
            for values in (
                partial(found.medians, "peers", "fill"),
                partial(found.medians, "peers", "one more", queue="full"),
                partial(one_more, found, "one more"),
                partial(one_more, found, "one more accepted"),
                partial(found.medians, "peers", "list"),
                partial(found.medians, "peers", "growth"),
            )
        ]
        what = f"an array of {waiting:,}" if array else f"{waiting:,} jobs"
        rows += _marked([[what, shown(found)[key]] for key in keys], columns, keys, set(range(len(columns))))
    heads = ["filled in s", "one more submission by the command line ms", "as a multiple of that to an empty queue"]
    heads += ["the same over an open connection", "list ms", "growth of the servers MB"]
    return table(["waiting", "", *heads], rows) if rows else NOTHING


def peers_crash(found: Measurements) -> str:
    """Return what was lost, doubled and disturbed by each crash."""
    rows = []
    for key, name in shown(found).items():
        lines = found.pick("peers", "lost", peer=key)
        if not lines:
            continue
        cells = [
            ", ".join(f"{line['value']:.0f}" for line in found.pick("peers", what, peer=key))
            for what in ("lost", "doubled", "disturbed")
        ]
        starts = found.rounds("peers", "next start", peer=key)
        cells.append((summary(starts) if starts else "") + (", " * bool(starts) + "never") * (len(starts) < len(lines)))
        notes = "; ".join(dict.fromkeys(line["note"] for line in lines if line["note"]))
        rows.append([name, f"{lines[0]['jobs']:,}", *cells, notes])
    return (
        table(["killed in the middle", "jobs", "lost", "doubled", "disturbed", "next start s", "remarks"], rows)
        if rows
        else NOTHING
    )


def aims(found: Measurements) -> list[Aim]:
    """Return what is wanted beside the other schedulers."""
    return [*_of_throughput(found), *_of_clients(found), *_of_waiting(found), *_of_crash(found)]


def _of_throughput(found: Measurements) -> list[Aim]:
    wanted = []
    sizes = asked(found)
    for jobs in sizes or [2000]:
        for slots in SLOTS:
            ours, size = rates(found, OURS, slots, jobs), f"{jobs:,} jobs, {slots} slots"
            for key, (least, whose) in AT_LEAST.items():
                theirs = rates(found, key, slots, jobs) or (rates(found, key, slots, sizes[0]) if sizes else {})
                text = f"{size}: jobs a second as a multiple of {whose}"
                wanted.append(Aim(text, least, False, "", quotients(ours, theirs)))
            share = shares(found, OURS, slots, jobs)
            wanted.append(Aim(f"{size}: as a share of the bare loop in C", OF_THE_LOOP, False, "", share))
    return wanted


def _of_clients(found: Measurements) -> list[Aim]:
    ours, slurm = (found.medians("peers", "wait", peer=key) for key in (OURS, "slurm"))
    submit, start = (found.medians("peers", what, peer=OURS) for what in ("submit", "python start"))
    return [
        Aim("a waited-for job, as a multiple of `srun true`", 1.2, True, "", quotients(ours, slurm)),
        Aim("`hRunJob true`, as a multiple of a Python with `ssl`", 1.41, True, "", quotients(submit, start)),
    ]


def _of_waiting(found: Measurements) -> list[Aim]:
    def ours(what: str, array: bool, waiting: int) -> ByRound:
        return found.medians("peers", what, peer=OURS, array=array, waiting=waiting)

    def theirs(key: str, what: str, array: bool, waiting: int) -> ByRound:
        return found.medians("peers", what, peer=key, array=array, waiting=waiting)

    wanted = []
    for waiting in (WAITING, MANY_WAITING):
        single, tasks = (theirs("slurm", "list", array, waiting) for array in (False, True))
        listed = quotients(ours("list", False, waiting), single or tasks)
        whose = "`squeue`" if single or not tasks else "`squeue --array` of an array's tasks"
        text = f"{waiting:,} jobs waiting: `hRunJob -l` as a multiple of {whose}"
        wanted.append(Aim(text, 1, True, "", listed))
    marks = {"peer": OURS, "waiting": MANY_WAITING, "array": False}
    text = f"{MANY_WAITING:,} jobs waiting: one more"
    for what, way in (("one more", "by `hRunJob`"), ("one more accepted", "over an open connection")):
        multiple = one_more(found, what, **marks)
        wanted.append(Aim(f"{text} {way}, as a multiple of an empty queue", 1.2, True, "", multiple))
    grown = quotients(ours("growth", False, MANY_WAITING), theirs("hyperqueue", "growth", False, MANY_WAITING))
    text = f"{MANY_WAITING:,} jobs waiting: growth of the servers as a multiple of HyperQueue's"
    wanted.append(Aim(text, 1, True, "", grown))
    text = f"an array of {MANY_WAITING:,}: growth of the servers"
    wanted.append(Aim(text, UNSEEN, True, "MB", ours("growth", True, MANY_WAITING)))
    return wanted


def _of_crash(found: Measurements) -> list[Aim]:
    wanted = []
    for what, text in (
        ("lost", "lost"), ("doubled", "run twice"), ("disturbed", "that ran then and were disturbed"),
    ):  # fmt: skip
        values = found.rounds("peers", what, peer=OURS)
        wanted.append(
            Aim(f"`kill -9` of the TaskDispatcher in the middle of 1,000 jobs: jobs {text}", 0, True, "", values)
        )
    start = found.rounds("peers", "next start", peer=OURS)
    wanted.append(Aim("from its start again until the next job starts", 3, True, "s", start))
    return wanted

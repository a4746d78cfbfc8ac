"""What Prometheus is told: the board, the meter and the web server itself as families of numbers. Pure values.

The law: the labels are states, hosts and the few words below; nothing has a label of jobs or users.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from tm.model.selection import STATES
from tm.web.board import Board
from tm.web.meter import Histogram, Meter
from tm.web.render import seconds_of

GAUGE, COUNTER, HISTOGRAM = "gauge", "counter", "histogram"
ACTIVE = STATES[: STATES.index("unreachable") + 1]
ENDED = STATES[STATES.index("unreachable") + 1 :]
HOST_STATES = ("unknown", "starting", "up", "busy", "draining", "drained", "unreachable", "down", "refused")
MOST_HOSTS = 5000
"""Of more hosts only the sums are told."""

Samples = Sequence[tuple[tuple[str, ...], float]]


class Family(NamedTuple):
    """One metric: its *name* (of a counter with ``_total``), its *meaning*, its *samples* by the values of *labels*,
    of a histogram its *value* instead."""

    name: str
    kind: str
    meaning: str
    labels: tuple[str, ...] = ()
    samples: Samples = ()
    value: Histogram | None = None


class Server(NamedTuple):
    """How the web server is: whether the dispatcher is reached, its event *streams*, its *memory* (bytes)."""

    reached: bool
    streams: int
    memory: int
    since: float = 0.0


def families(board: Board, meter: Meter, server: Server, now: float) -> Iterator[Family]:
    """Yield all there is to tell at *now*."""
    yield from _jobs(board, meter)
    yield from _hosts(board)
    yield from _dispatcher(board, server, now)
    yield from _web(meter, server)


def _jobs(board: Board, meter: Meter) -> Iterator[Family]:
    counts = [((state,), float(board.jobs.get(state, 0))) for state in ACTIVE]
    yield Family("tm_jobs", GAUGE, "Jobs that have not ended, by state", ("state",), counts)
    ended = [((state,), float(meter.ended[state])) for state in ENDED]
    yield Family("tm_jobs_ended_total", COUNTER, "Jobs seen to end, by state", ("state",), ended)
    yield Family(
        "tm_queue_wait_seconds", HISTOGRAM, "How long jobs that were seen to start have waited", value=meter.wait
    )
    yield Family("tm_job_run_seconds", HISTOGRAM, "How long jobs that were seen to end have run", value=meter.run)


def _hosts(board: Board) -> Iterator[Family]:
    hosts = board.hosts
    states = Counter(str(host.get("state")) for host in hosts.values())
    known = [((state,), float(states[state])) for state in HOST_STATES]
    yield Family("tm_hosts", GAUGE, "Hosts by state", ("state",), known)
    shown = hosts if len(hosts) <= MOST_HOSTS else {}
    loads = [((name,), float(host["load"][0])) for name, host in shown.items() if host.get("load")]
    yield Family("tm_host_load1", GAUGE, "Load of a host over one minute", ("host",), loads)
    for name, meaning, kinds in _OF_HOSTS:
        yield Family(name, GAUGE, meaning, ("host", "kind"), _by_kind(shown, kinds))


_OF_HOSTS: tuple[tuple[str, str, Mapping[str, str]], ...] = (
    (
        "tm_host_cores", "Cores of a host: all for jobs, those that others leave now, those that jobs have",
        {"whole": "cores", "offered": "offered_cores", "used": "used_cores"},
    ),
    (
        "tm_host_busy_cores", "Cores that are kept busy: by jobs and servers of TaskManager, by others",
        {"ours": "cpu_ours", "others": "cpu_others"},
    ),
    (
        "tm_host_memory_bytes", "Memory of a host: of the machine, available there, offered to jobs, asked for by jobs",
        {"total": "memory_total", "available": "memory_available", "offered": "offered_memory", "used": "used_memory"},
    ),
    (
        "tm_host_gpus", "Graphics processors of a host: all, and those that nobody has",
        {"whole": "gpu_count", "free": "free_gpus"},
    ),
)  # fmt: skip


def _by_kind(hosts: Mapping[str, Mapping[str, Any]], kinds: Mapping[str, str]) -> Samples:
    """Return those fields of *hosts*, named by *kinds*, that are known."""
    return [
        ((name, kind), float(host[field]))
        for name, host in hosts.items() for kind, field in kinds.items() if host.get(field) is not None
    ]  # fmt: skip


def _dispatcher(board: Board, server: Server, now: float) -> Iterator[Family]:
    status = board.status
    yield _one("tm_dispatcher_up", "Whether the web server reaches the TaskDispatcher", float(server.reached))
    age = [((), max(0.0, now - board.at))] if board.at else []
    yield Family("tm_dispatcher_answer_age_seconds", GAUGE, "How old what is told of jobs and hosts is", (), age)
    info = [((str(status["version"]), str(status["cluster"])), 1.0)] if status else []
    yield Family("tm_dispatcher_info", GAUGE, "Version and cluster", ("version", "cluster"), info)
    yield _known("tm_dispatcher_epoch", "How often the store has been opened", status.get("epoch"))
    yield _known("tm_dispatcher_start_time_seconds", "Since when it runs", seconds_of(status.get("since")))
    yield _known("tm_dispatcher_users", "Users whose servers are attached", status.get("users"))
    store = status.get("store") or {}
    parts = {"database": "bytes", "wal": "wal", "archive": "archive_bytes"}
    sizes: Samples = [((part,), float(store[key])) for part, key in parts.items() if store.get(key) is not None]
    yield Family("tm_store_bytes", GAUGE, "Size of the store: database, log ahead of it, archive", ("part",), sizes)
    yield _known("tm_store_jobs", "Jobs in the store", store.get("jobs"))


def _web(meter: Meter, server: Server) -> Iterator[Family]:
    yield _one("tm_web_readers", "Event streams to browsers and programs", float(server.streams))
    answered: Samples = [((str(status),), float(count)) for status, count in sorted(meter.requests.items())]
    yield Family("tm_web_requests_total", COUNTER, "Requests answered, by status", ("status",), answered)
    heard: Samples = [((topic,), float(meter.events[topic])) for topic in ("jobs", "hosts", "log")]
    yield Family("tm_web_events_total", COUNTER, "Events heard from the TaskDispatcher", ("topic",), heard)
    yield _one("tm_web_memory_bytes", "Resident memory of the web server", float(server.memory))
    yield _one("tm_web_start_time_seconds", "Since when the web server runs", server.since)


def _one(name: str, meaning: str, value: float) -> Family:
    return Family(name, GAUGE, meaning, (), [((), value)])


def _known(name: str, meaning: str, value: float | None) -> Family:
    """Return a metric without a sample where nothing is known."""
    return Family(name, GAUGE, meaning, (), [] if value is None else [((), float(value))])


def names(found: Iterable[Family]) -> set[str]:
    """Return the names under which *found* can be asked for, with those of the parts of histograms."""
    parts = ("_bucket", "_sum", "_count")
    return {name for one in found for name in ([one.name + part for part in parts] if one.value else [one.name])}

"""What the brain wants done, in order of durability: first everything recorded, then everything told."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import NamedTuple

from tm.model.audit import Change
from tm.model.cluster import Spool
from tm.model.decided import HostMemo
from tm.model.job import Job
from tm.model.sessions import Session


class Attempt(NamedTuple):
    """An attempt that is over while its job goes on: one more follows, or waits to."""

    job: int
    attempt: int
    host: str | None
    started_at: float | None
    ended_at: float
    exit_code: int | None
    signal: int | None
    cause: str
    reason: str
    cpu_seconds: float | None
    max_rss: int | None


class JobEvent(NamedTuple):
    """A line in the story of a job: *what* happened in one word, and in a sentence."""

    job: int
    at: float
    what: str
    text: str


class Message(NamedTuple):
    """Something to be told to the *target* of a job's owner; *body* is JSON. It stays until it is sent or given up."""

    id: int
    at: float
    user: str
    target: str
    body: str


@dataclass(slots=True)
class Records:
    """What one commit holds. Jobs are written as they are when the commit begins.

    *known* is the configuration after the *changes* in it, as JSON, None where it is what it was. *attempts* and
    *events* belong to the stories of jobs; *shares* are (usage, when) of users, *families* what was learned of jobs by
    the name of their kind, as JSON, empty for what is to be forgotten; *messages* are to be sent, *sent* the numbers of
    those that were. *sessions* of the web interface are new or have changed, those of *ended* are no more.
    """

    new: dict[int, Job] = field(default_factory=dict)
    changed: dict[int, Job] = field(default_factory=dict)
    spools: dict[str, Spool] = field(default_factory=dict)
    submissions: list[tuple[str, str, int, int]] = field(default_factory=list)
    environments: dict[str, str] = field(default_factory=dict)
    changes: list[Change] = field(default_factory=list)
    known: str | None = None
    memos: dict[str, HostMemo] = field(default_factory=dict)
    attempts: list[Attempt] = field(default_factory=list)
    events: list[JobEvent] = field(default_factory=list)
    shares: dict[str, tuple[float, float]] = field(default_factory=dict)
    families: dict[str, str] = field(default_factory=dict)
    messages: list[Message] = field(default_factory=list)
    sent: list[int] = field(default_factory=list)
    sessions: dict[str, Session] = field(default_factory=dict)
    ended: list[str] = field(default_factory=list)

    def __bool__(self) -> bool:
        jobs = self.new or self.changed or self.spools or self.submissions or self.environments
        stories = self.attempts or self.events or self.shares or self.families or self.messages or self.sent
        web = self.sessions or self.ended
        return bool(jobs or stories or web or self.changes or self.memos or self.known is not None)

    def absorb(self, later: Records) -> None:
        """Take in what came after this."""
        self.new.update(later.new)
        self.changed.update(later.changed)
        self.spools.update(later.spools)
        self.submissions += later.submissions
        self.environments.update(later.environments)
        self.changes += later.changes
        self.known = self.known if later.known is None else later.known
        self.memos.update(later.memos)
        self.attempts += later.attempts
        self.events += later.events
        self.shares.update(later.shares)
        self.families.update(later.families)
        self.messages += later.messages
        self.sent += later.sent
        self.sessions.update(later.sessions)
        self.ended += later.ended


class Start(NamedTuple):
    """One attempt to start, as it was ordered: what becomes of the job later does not change an order.

    *memory* (bytes) and *time* (seconds) are its limits now, *cpus* and *gpus* those of its host that it is given.
    """

    number: int
    job: int
    attempt: int
    cores: int
    spec: str
    signature: str
    environment: str
    memory: int = 0
    time: float = 0.0
    cpus: tuple[int, ...] = ()
    gpus: tuple[int, ...] = ()


def void_start(number: int) -> Start:
    """Return what takes the place of command *number*, whose job has been given up: it starts nothing."""
    return Start(number, 0, number, 0, "", "", "")


def start_of(job: Job) -> Start:
    """Return the order that starts the current attempt of *job*."""
    return Start(
        job.command_number, job.id, job.attempt, job.cores, job.spec, job.signature, job.environment, job.memory,
        job.demand.time, job.cpus, job.gpu_ids,
    )  # fmt: skip


@dataclass(slots=True)
class Orders:
    """What to tell one user's server on one host, for the spool it has; *anew* when it has just said hello.

    *signal* names one for a running attempt, *limit* gives it another wall time (seconds from its start, 0: none).
    """

    user: str
    host: str
    spool: str = ""
    anew: bool = False
    start: list[Start] = field(default_factory=list)
    cancel: list[tuple[int, int]] = field(default_factory=list)
    recall: list[tuple[int, int]] = field(default_factory=list)
    forget: list[tuple[int, int]] = field(default_factory=list)
    suspend: list[tuple[int, int]] = field(default_factory=list)
    resume: list[tuple[int, int]] = field(default_factory=list)
    nice: list[tuple[int, int, int]] = field(default_factory=list)
    give_way: list[tuple[int, int]] = field(default_factory=list)
    signal: list[tuple[int, int, str]] = field(default_factory=list)
    limit: list[tuple[int, int, float]] = field(default_factory=list)
    grant: int | None = None

    def absorb(self, later: Orders) -> None:
        """Take in what came after this; a hello in between has repeated all that is still to start."""
        self.spool = later.spool
        self.anew = self.anew or later.anew
        self.start = later.start if later.anew else self.start + later.start
        self.cancel += later.cancel
        self.recall += later.recall
        self.forget += later.forget
        self.pause(later.suspend, later.resume)
        self.nice += later.nice
        self.give_way += later.give_way
        self.signal += later.signal
        self.limit += later.limit
        self.grant = later.grant

    def pause(self, suspend: list[tuple[int, int]] = [], resume: list[tuple[int, int]] = []) -> None:  # noqa: B006
        """Let these be suspended and those go on; of an earlier word about the same attempt nothing is left."""
        said = {*suspend, *resume}
        self.suspend = [key for key in self.suspend if key not in said] + suspend
        self.resume = [key for key in self.resume if key not in said] + resume


@dataclass(slots=True, frozen=True)
class Want:
    """Ask a user's server (TMS) to start its server on a host."""

    user: str
    host: str


@dataclass(slots=True, frozen=True)
class Notice:
    """Something watchers may hear of; *fields* are those of the event line, *user* who may hear it (None: all).

    *at*, when it happened, becomes a field once somebody listens; None where *fields* say it themselves.
    """

    topic: str
    user: str | None
    fields: dict[str, object]
    at: float | None = None


@dataclass(slots=True)
class Effects:
    """Records, and what may be told once they are durable."""

    records: Records = field(default_factory=Records)
    orders: dict[tuple[str, str], Orders] = field(default_factory=dict)
    wants: list[Want] = field(default_factory=list)
    notices: list[Notice] = field(default_factory=list)

    def __bool__(self) -> bool:
        return bool(self.records or self.orders or self.wants or self.notices)

    def absorb(self, later: Effects) -> None:
        """Take in what came after this."""
        self.records.absorb(later.records)
        self.wants += later.wants
        self.notices += later.notices
        for key, orders in later.orders.items():
            mine = self.orders.get(key)
            if mine is None:
                self.orders[key] = orders
            else:
                mine.absorb(orders)

"""What a user's server on a host knows of its attempts, and the journal lines that let the next one know it too.

Pure: lines in, lines out. An order is claimed by its line being on disk before anybody acts on it; the mark (the
highest command number seen) outlives the attempts, so a repeated order never starts twice.

Journal lines: ``o`` an order line as it came; ``l`` other wall times of attempts; ``f`` a final fact that no keeper
keeps; ``d`` attempts that are done with; ``s`` a snapshot of everything but the attempts, ``c`` an order line of a
claim that a snapshot found.
"""

from __future__ import annotations

import signal
from collections.abc import Iterable, Iterator

import msgspec

from tm.daemon.job_variables import Layer, layers, own
from tm.daemon.orders import Order, OrderLine
from tm.errors import RefusedError
from tm.model.lifecycle import ENDINGS, PASSING, Fact
from tm.model.spec import JobSpec, filled, read_spec

Key = tuple[int, int]

_encode = msgspec.json.Encoder().encode
_decode_line = msgspec.json.Decoder(OrderLine).decode
_decode_fact = msgspec.json.Decoder(Fact).decode
_decode_keys = msgspec.json.Decoder(list[Key]).decode
_decode_limits = msgspec.json.Decoder(list[tuple[int, int, float]]).decode


class Snapshot(msgspec.Struct):
    """What outlives the attempts: the spool's name, boot of the host, and the counters."""

    spool: str
    boot: str
    mark: int = 0
    acked: int = 0
    epoch: int = 0
    run: str = ""


class Claim:
    """One attempt that this spool has claimed.

    *keeper* is the number of the keeper it was given to, *doomed* the grace in seconds once it is to be ended, *pause*
    the last fact that said that it is suspended or goes on, *time* the wall time it was given after its order, if any.
    """

    __slots__ = ("_spec", "doomed", "fact", "keeper", "order", "pause", "started", "time")

    def __init__(self, order: Order) -> None:
        self.order = order
        self._spec: JobSpec | None = None
        self.keeper: int | None = None
        self.doomed: float | None = None
        self.started: Fact | None = None
        self.pause: Fact | None = None
        self.fact: Fact | None = None
        self.time: float | None = None

    @property
    def key(self) -> Key:
        """Job and attempt."""
        return (self.order.job, self.order.attempt)

    @property
    def spec(self) -> JobSpec:
        """What the order asks for, read once. Raises `RefusedError` ``job.invalid``."""
        if self._spec is None:
            self._spec = read_spec(self.order.spec)
        return self._spec

    @property
    def state(self) -> str:
        """The word of the hello: claimed, running or final."""
        return "final" if self.fact else "running" if self.started else "claimed"


class Book:
    """All claims of one spool that are not done with."""

    def __init__(self, snapshot: Snapshot) -> None:
        self.about = snapshot
        self.claims: dict[Key, Claim] = {}
        self.grant = 0

    @classmethod
    def replay(cls, lines: Iterable[bytes], fresh: Snapshot) -> Book:
        """Return the book that wrote *lines* (what is cut or spoilt does not count), or a *fresh* one."""
        book = cls(fresh)
        for number, line in enumerate(lines):
            try:
                book._take(line[:1], line[1:], number == 0)
            except (msgspec.MsgspecError, UnicodeDecodeError):
                continue
        return book

    def _take(self, kind: bytes, rest: bytes, first: bool) -> None:
        if kind in (b"o", b"c"):
            line = _decode_line(rest)
            self._see(line)
            for order in line.orders:
                if kind == b"c" or order.c > self.about.mark:
                    self._claim(order)
        elif kind == b"f":
            fact = _decode_fact(rest)
            claim = self.claims.get((fact.job, fact.attempt))
            if claim is not None and fact.what in ENDINGS:
                claim.fact = fact
        elif kind == b"l":
            self.limit(_decode_limits(rest))
        elif kind == b"d":
            for key in _decode_keys(rest):
                self.claims.pop(key, None)
        elif kind == b"s":
            mark = self.about.mark
            self.about = msgspec.json.decode(rest, type=Snapshot)
            if not first:
                self.about.mark = mark  # claims are what is on disk; the mark in between may be of lines that are not

    def snapshot(self) -> Iterator[bytes]:
        """Yield the lines of a journal that says what this book says now."""
        yield b"s" + _encode(self.about)
        for claim in self.claims.values():
            yield b"c" + _encode(OrderLine("", self.about.epoch, self.about.run, self.grant, orders=[claim.order]))
            if claim.time is not None:
                yield limit_line([(*claim.key, claim.time)])
            if claim.fact is not None and claim.keeper is None:
                yield b"f" + _encode(claim.fact)

    def admit(self, line: OrderLine) -> list[Order]:
        """Return the orders of *line* that are new here; they are to be claimed once the line is on disk.

        Raises `RefusedError`: ``store.stale`` for a dispatcher older than one seen before, or for orders meant for an
        earlier spool of this host, ``proto.gap`` when commands are missing in between.
        """
        if line.spool and line.spool != self.about.spool:
            raise RefusedError("store.stale", f"an order for spool {line.spool}; this one is {self.about.spool}")
        if line.epoch < self.about.epoch:
            raise RefusedError("store.stale", f"an order of epoch {line.epoch}; this host has seen {self.about.epoch}")
        fresh = [order for order in line.orders if order.c > self.about.mark]
        if fresh and [order.c for order in fresh] != list(range(self.about.mark + 1, self.about.mark + 1 + len(fresh))):
            raise RefusedError("proto.gap", f"command {fresh[0].c} came, {self.about.mark + 1} is missing")
        self._see(line)
        if fresh:
            self.about.mark = fresh[-1].c
        return fresh

    def claim(self, orders: Iterable[Order]) -> list[Claim]:
        """Return the claims of *orders*, whose line is on disk now."""
        return [self._claim(order) for order in orders]

    def _see(self, line: OrderLine) -> None:
        self.about.epoch, self.about.run = max(line.epoch, self.about.epoch), line.run
        if line.grant is not None:
            self.grant = line.grant

    def _claim(self, order: Order) -> Claim:
        claim = Claim(order)
        self.claims[claim.key] = claim
        self.about.mark = max(self.about.mark, order.c)
        return claim

    def limit(self, limits: Iterable[tuple[int, int, float]]) -> list[tuple[int, int, float]]:
        """Give attempts another wall time (seconds from their start, 0: without end); return those of whom it is."""
        given = [limit for limit in limits if limit[:2] in self.claims]
        for limit in given:
            self.claims[limit[:2]].time = limit[2]
        return given

    def learn(self, fact: Fact) -> Claim | None:
        """Take a fact; return its claim when it is news, None when it is known or not ours."""
        claim = self.claims.get((fact.job, fact.attempt))
        if claim is None or claim.fact is not None:
            return None
        if fact.what == "started":
            if claim.started is not None:
                return None
            claim.started = fact
        elif fact.what in PASSING:
            if claim.pause is not None and fact.turn < claim.pause.turn:
                return None
            claim.pause = fact
        else:
            claim.fact = fact
        return claim

    def done(self, number: int, facts: Iterable[Fact]) -> list[Claim]:
        """The dispatcher has report *number* with *facts*: return the claims that are done with, and forget them."""
        self.about.acked = max(self.about.acked, number)
        over = []
        for fact in facts:
            if fact.what not in PASSING:
                claim = self.claims.pop((fact.job, fact.attempt), None)
                if claim is not None:
                    over.append(claim)
        return over

    def untold(self) -> list[Fact]:
        """Return all facts the dispatcher may not know."""
        facts = []
        for claim in self.claims.values():
            if claim.fact is not None:
                facts.append(claim.fact)
            else:
                facts += [fact for fact in (claim.started, claim.pause) if fact is not None]
        return facts

    def hello(
        self, host: str, version: str, cores: int | None, memory: int | None, survives: str = ""
    ) -> dict[str, object]:
        """Return what is said of this spool, and of its server, at each connection."""
        about = self.about
        return {
            "host": host, "spool": about.spool, "boot": about.boot, "epoch": about.epoch, "run": about.run,
            "mark": about.mark, "acked": about.acked, "version": version, "cores": cores, "memory": memory,
            "survives": survives,
            "holds": [(*claim.key, claim.state) for claim in self.claims.values()],
        }  # fmt: skip


def fact_line(fact: Fact) -> bytes:
    """Return the journal line of a final fact."""
    return b"f" + _encode(fact)


def done_line(claims: Iterable[Claim]) -> bytes:
    """Return the journal line of claims that are done with."""
    return b"d" + _encode([claim.key for claim in claims])


def limit_line(limits: Iterable[tuple[int, int, float]]) -> bytes:
    """Return the journal line of other wall times."""
    return b"l" + _encode(list(limits))


def start_entry(
    claim: Claim, host: str, cluster: str, outputs: str = ""
) -> tuple[dict[str, object], tuple[Layer, Layer]]:
    """Return what a keeper is told to start for *claim*, and the layers of variables that it names.

    An output that is bundled with others' goes to a file in *outputs* first. Raises `RefusedError` ``job.invalid``.
    """
    order, spec = claim.order, claim.spec
    name = spec.shown_name

    def path(pattern: str | None) -> str | None:
        return None if pattern is None else filled(pattern, order.job, name, host, spec.user)

    stdout, stderr = path(spec.stdout), path(spec.stderr)
    if spec.bundle:
        stdout, stderr = output_path(outputs, claim.key), None
    below, above = layers(order, spec, host, cluster)
    entry: dict[str, object] = {
        "job": order.job, "attempt": order.attempt, "command": spec.command, "cwd": spec.cwd,
        "env": [below[0], spec.environment, above[0]], "vars": own(order, spec), "umask": spec.umask,
        "stdin": path(spec.stdin), "stdout": stdout, "stderr": stderr, "append": spec.append,
        "cores": order.cores, **limits_of(claim),
    }  # fmt: skip
    if order.cpus:
        entry["cpus"] = order.cpus
    if spec.script:
        entry["script"] = spec.script
    return entry, (below, above)


def output_path(outputs: str, key: Key) -> str:
    """Return where in the folder *outputs* the attempt *key* writes what is to be bundled."""
    return f"{outputs}/{key[0]}.{key[1]}"


def limits_of(claim: Claim) -> dict[str, object]:
    """Return the limits of *claim* as a keeper is told them."""
    order, spec = claim.order, claim.spec
    limits: dict[str, object] = {"processes": spec.processes or order.processes}
    if spec.processes:
        limits["own_processes"] = True
    time = order.time if claim.time is None else claim.time
    if time:
        limits["time"] = time
    if order.memory:
        limits["memory"] = order.memory
    if spec.output_limit:
        limits["output"] = spec.output_limit
    number = getattr(signal, "SIG" + spec.warn_signal.removeprefix("B:"), 0) if spec.warn_signal else 0
    if number:
        limits["warn"] = [int(number), spec.warn_seconds, spec.warn_signal.startswith("B:")]
    return limits

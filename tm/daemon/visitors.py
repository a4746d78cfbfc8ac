"""Who visits jobs on this host: the first look at a command that runs now, later ones, a shell beside a job, a reader
of its output.

Each visit has a connection of its own to the user's server, made here, so that who reads slowly holds up nobody else.
What runs is the keeper's: a visit can end without it, and it without a visit.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Set
from typing import Any, Protocol

import msgspec

from tm.daemon.host_book import Book, Claim, Key, output_path
from tm.model.lifecycle import PASSING, Fact

FIRST = 0
"""The number of the visit with which a command that runs now begins."""
KINDS = ("attach", "beside", "follow")


class Visit(msgspec.Struct, tag_field="topic"):
    """What the user's server asks for: visit *number* of *job*."""

    job: int
    number: int


class Attach(Visit, tag="attach"):
    """Look at a command that runs now, and type unless one only wants to *watch*."""

    rows: int = 0
    columns: int = 0
    watch: bool = False


class Beside(Visit, tag="beside"):
    """Run *command* beside a job: a terminal of *rows* where there are any, of the kind *term*."""

    command: list[str] = []
    rows: int = 0
    columns: int = 0
    term: str = ""


class Follow(Visit, tag="follow"):
    """Read the *files* of a job by channel, from the place given or, where that is below 0, from the last *lines*."""

    files: list[tuple[int, str, int]] = []
    lines: int | None = None


_decode = msgspec.json.Decoder(Attach | Beside | Follow).decode


class Streams(Protocol):
    """Connections of visits, as this room asks for them."""

    def look(self, key: Key, number: int, socket: str, words: str) -> None:
        """Join visit *number* with the holder that listens at *socket*, to which *words* are said first."""

    def follow(self, key: Key, number: int, files: list[tuple[int, str, int]], lines: int | None, over: bool) -> None:
        """Send what *files* have and get, until the attempt is *over* and all of it has been sent."""

    def refuse(self, key: Key, number: int, word: str, reason: str) -> None:
        """Say to visit *number* that it cannot be."""

    def over(self, fact: Fact) -> None:
        """An attempt has ended as *fact* says."""


class Keeping(Protocol):
    """The keepers, as this room asks for them."""

    def beside(self, claim: Claim, make: Callable[[dict[str, Any]], dict[str, Any]]) -> bool:
        """Have what *make* makes of its entry run beside *claim*; return whether that has a keeper."""


class Holding:
    """How commands are held: *program* is the command line of a holder, in whose folder *spool* the sockets are."""

    def __init__(self, program: list[str], spool: str) -> None:
        self._program = program
        self._spool = spool

    def socket(self, key: Key, number: int = FIRST) -> str:
        """Return the path of the holder's socket of *key*, or of what runs beside it for visit *number*."""
        return os.path.join(self._spool, _name(key, number))

    def tidy(self, kept: Set[Key]) -> None:
        """Remove the sockets of holders that were killed: all but those of *kept*."""
        for name in os.listdir(self._spool):
            words = name.removesuffix(".sock").split("-")
            if name.endswith(".sock") and words[0] == "run" and (int(words[1]), int(words[2])) not in kept:
                os.unlink(os.path.join(self._spool, name))

    def first(self, claim: Claim, entry: dict[str, Any]) -> dict[str, Any]:
        """Return the keeper's *entry* of a command that runs now: the holder in the place of the command."""
        spec = claim.spec
        rows, columns = spec.terminal or (0, 0)
        mode = "detached" if spec.detach else "first"
        return self._held(_name(claim.key, FIRST), mode, bool(spec.terminal), rows, columns, entry)

    def beside(self, key: Key, visit: Beside, entry: dict[str, Any]) -> dict[str, Any]:
        """Return the *entry* of a job as one of a command beside it."""
        entry = {**entry, "command": visit.command or _shell(visit), "script": ""}
        if visit.term:
            entry["vars"] = {**entry["vars"], "TERM": visit.term}
        return self._held(_name(key, visit.number), "beside", visit.rows > 0, visit.rows, visit.columns, entry)

    def _held(
        self, name: str, mode: str, terminal: bool, rows: int, columns: int, entry: dict[str, Any]
    ) -> dict[str, Any]:
        command = entry["command"]
        argv = ["/bin/sh", "-c", command] if isinstance(command, str) else command
        kind = "terminal" if terminal else "pipes"
        held = [*self._program, self._spool, name, mode, kind, str(rows), str(columns), *argv]
        return {**entry, "command": held, "stdin": None, "stdout": None, "stderr": None}


class Visitors:
    """All visits of one spool."""

    def __init__(
        self, book: Book, keeping: Keeping, holding: Holding, streams: Streams, host: str, outputs: str = ""
    ) -> None:
        self._book = book
        self._keeping = keeping
        self._holding = holding
        self._streams = streams
        self._host = host
        self._outputs = outputs

    def start(self, claim: Claim) -> None:
        """A command that runs now is about to begin: join it with the client that waits for it."""
        rows, columns = claim.spec.terminal or (0, 0)
        words = f"attach {'watches' if claim.spec.detach else 'types'} {rows} {columns}"
        self._streams.look(claim.key, FIRST, self._holding.socket(claim.key), words)

    def find(self) -> None:
        """Look after the commands that run now and were found at our start: somebody may wait for one."""
        self._holding.tidy({claim.key for claim in self._book.claims.values() if claim.fact is None})
        for claim in self._book.claims.values():
            if claim.fact is None and not claim.order.refused and claim.spec.interactive:
                self.start(claim)

    def event(self, json: bytes) -> None:
        """The user's server asks for a visit."""
        visit = _decode(json)
        claim = self._claim(visit.job)
        if isinstance(visit, Follow):
            self._follow(claim, visit)
        elif claim is None or claim.fact is not None or claim.started is None:
            self._refuse(visit, f"it does not run on {self._host}")
        elif isinstance(visit, Beside) and claim.pause is not None and claim.pause.what == "suspended":
            self._refuse(visit, "it is suspended; what goes beside it would not be")
        elif isinstance(visit, Beside):
            self._go_beside(claim, visit)
        elif not claim.spec.interactive:
            self._refuse(visit, "it has no terminal; 'hRunJob -f' follows its output, 'hRun --in' goes beside it")
        else:
            words = f"attach {'watches' if visit.watch else 'types'} {visit.rows} {visit.columns}"
            self._streams.look(claim.key, visit.number, self._holding.socket(claim.key), words)

    def _follow(self, claim: Claim | None, visit: Follow) -> None:
        """Have files read: those that were asked for, or the one in which the attempt's output waits to be bundled."""
        key, files, over = (visit.job, 0), visit.files, True
        if claim is not None:
            key, over = claim.key, claim.fact is not None
            if claim.spec.bundle and not over:
                files = [(1, output_path(self._outputs, key), -1 if visit.lines is not None else 0)]
        self._streams.follow(key, visit.number, files, visit.lines, over)

    def _claim(self, job: int) -> Claim | None:
        """Return the last attempt of *job* that is known here."""
        found = [claim for key, claim in self._book.claims.items() if key[0] == job]
        return max(found, key=lambda claim: claim.key[1], default=None)

    def _go_beside(self, claim: Claim, visit: Beside) -> None:
        if self._keeping.beside(claim, lambda entry: self._holding.beside(claim.key, visit, entry)):
            words = f"attach types {visit.rows} {visit.columns}"
            self._streams.look(claim.key, visit.number, self._holding.socket(claim.key, visit.number), words)
        else:
            self._refuse(visit, "its keeper is gone, so that nobody can run anything within its limits")

    def _refuse(self, visit: Visit, reason: str) -> None:
        self._streams.refuse((visit.job, 0), visit.number, "job.move", f"job {visit.job}: {reason}")

    def facts(self, facts: Iterable[Fact]) -> None:
        """Facts of attempts here have come."""
        for fact in facts:
            if fact.what not in PASSING:
                self._streams.over(fact)


def _name(key: Key, number: int) -> str:
    return f"run-{key[0]}-{key[1]}-{number}.sock"


def _shell(visit: Beside) -> list[str]:
    """Return the shell of who wants no other command: theirs, as the job's own environment says."""
    return ["/bin/sh", "-c", 'exec "${SHELL:-/bin/sh}" -i' if visit.rows else 'exec "${SHELL:-/bin/sh}"']

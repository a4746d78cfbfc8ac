"""The book of starts: what a user's server has let go to which host, so that nothing signed once runs twice. Pure.

Each signed request carries a mark of its own (`mark`); with a task's index it names one thing that is to run once.
The law: such a thing belongs to one job number, each attempt of it to one command of one spool, and a later attempt
needs a reason that did not come from the dispatcher: our own server on a host said that the one before never began or
was restarted with it, it was asked to give way, or the signed text allows another try. What the book does not know it
does not refuse: to lose it makes replays possible, and never stops a job.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from functools import lru_cache

import msgspec

from tm.model.ids import index_of
from tm.model.spec import accepted_spec

MARK = 24
"""Letters of a mark: 16 of the submission, 8 of the place in it; then a dot, then the code."""
MOST_OPEN = 100_000
MOST_CLOSED = 200_000
"""So many submissions and arrays are remembered, a hundred bytes of a bitmap counting as one more."""
_AGAIN = ('"retries"', '"requeue"', '"scavenge"')
"""One of these stands in the text of a request that consents to another attempt."""
_SUBMISSION = 16
_SMALL = 62

OPEN, NEVER, OVER, WELL, REBOOTED, UNKNOWN = "open", "never", "over", "well", "rebooted", "unknown"
"""What is known of an attempt: nothing but its start; that it never began; that it is over, and well; that its host was
restarted; and that something else was in charge when it may have ended."""
_OUTCOMES = (OPEN, NEVER, OVER, WELL, REBOOTED, UNKNOWN)
_OF_FACT = {"returned": NEVER, "refused": NEVER, "ended": OVER, "lost": OVER, "rebooted": REBOOTED}


class Said(msgspec.Struct):
    """As much of a fact as the book wants to know."""

    job: int
    attempt: int
    what: str
    exit_code: int | None = None
    cause: str = ""


class Report(msgspec.Struct):
    """As much of a report as the book wants to know."""

    spool: str = ""
    facts: list[Said] = []


class Hello(msgspec.Struct):
    """As much of a hello as the book wants to know."""

    spool: str = ""
    mark: int = 0
    holds: list[tuple[int, int, str]] = []


def mark(kind: str, token: str) -> str:
    """Return the first part of the marks of a submission; eight hex digits of the place in it come behind it."""
    return hashlib.sha256(f"{kind}\n{token}".encode()).hexdigest()[:_SUBMISSION]


def mark_of(signature: str) -> str:
    """Return the mark of a signature that was found good; empty for one made before there were marks."""
    return signature[:MARK] if signature[MARK : MARK + 1] == "." else ""


class _Entry:
    """A job that may still be started again: its last attempt, where that went, and what is known of it."""

    __slots__ = ("attempt", "command", "job", "key", "left", "outcome", "requeue", "retries", "spool", "used", "void")

    def __init__(self, key: str, job: int, retries: int, requeue: bool) -> None:
        self.key, self.job, self.retries, self.requeue = key, job, retries, requeue
        self.attempt = self.command = self.used = 0
        self.spool = ""
        self.outcome, self.left, self.void = UNKNOWN, False, False

    def goes(self, attempt: int, command: int, spool: str, used: int) -> str:
        """Let *attempt* go; return the line that says so."""
        self.attempt, self.command, self.spool, self.used = attempt, command, spool, used
        self.outcome, self.left, self.void = OPEN, False, False
        return f"s {self.key} {self.job} {attempt} {command} {spool or '-'} {used} {self.retries} {int(self.requeue)}\n"

    def state(self) -> str:
        """Return the line that says what is known of its attempt."""
        return f"o {self.job} {self.attempt} {self.outcome} {int(self.left)} {int(self.void)}\n"


class StartBook:
    """The starts of one user, as *lines* of an earlier book say; what is new to be written is in `fresh`."""

    def __init__(self, lines: Iterable[str] = ()) -> None:
        self.fresh: list[str] = []
        self._open: dict[str, _Entry] = {}
        self._jobs: dict[int, _Entry] = {}
        self._closed: dict[str, int | bytearray] = {}
        self._weight = 0
        self._here: set[str] = set()
        for line in lines:
            try:
                self._read(line.split())
            except (ValueError, IndexError, KeyError):
                continue  # a line that was cut, or a disk that is wrong: less is known
        self.fresh.clear()

    # -- starts ---------------------------------------------------------------------------------------------------

    def unfit(self, job: int, attempt: int, command: int, signature: str, text: str, spool: str) -> str:
        """Return why *attempt* of *job*, whose *signature* is good, must not go to *spool*, or an empty text: it goes.

        *command* is its number there. The same may be said again, as after a lost connection.
        """
        key = _key(job, signature)
        entry = self._open.get(key)
        if entry is None:
            if self._is_closed(key):
                return _told(job, attempt, "it has run, and its request allows no further attempt")
            entry = self._opened(key, job, text)
            self.fresh.append(entry.goes(attempt, command, spool, 0))
            return ""
        if entry.job != job:
            return _told(job, attempt, f"what you signed for it was started as job {entry.job}")
        if attempt == entry.attempt:
            if (command, spool) == (entry.command, entry.spool):
                return ""
            return _told(job, attempt, "this attempt went to a host before")
        used = self._used_by(entry) if attempt > entry.attempt else None
        if used is None:
            return _told(job, attempt, f"nothing allows it after attempt {entry.attempt}")
        self.fresh.append(entry.goes(attempt, command, spool, used))
        return ""

    def _used_by(self, entry: _Entry) -> int | None:
        """Return how many retries are used up when another attempt of *entry* goes, None where none may."""
        outcome, here = entry.outcome, entry.spool in self._here
        free = outcome in (NEVER, UNKNOWN) or (outcome == REBOOTED and (entry.requeue or entry.left))
        if outcome in (OVER, WELL):
            free = entry.left
        elif outcome == OPEN and not here:
            free = entry.requeue
        if free:
            return entry.used
        return entry.used + 1 if entry.used < entry.retries and outcome != WELL else None

    def _opened(self, key: str, job: int, text: str) -> _Entry:
        retries, requeue = _consents(text) if any(word in text for word in _AGAIN) else (0, False)
        entry = _Entry(key, job, retries, requeue)
        self._add(entry)
        return entry

    def _add(self, entry: _Entry) -> None:
        if len(self._open) >= MOST_OPEN:
            self._drop(next(iter(self._open.values())))
        self._open[entry.key] = self._jobs[entry.job] = entry

    def _drop(self, entry: _Entry) -> None:
        self._open.pop(entry.key, None)
        if self._jobs.get(entry.job) is entry:
            del self._jobs[entry.job]

    # -- what became of them --------------------------------------------------------------------------------------

    def gives_way(self, job: int, attempt: int, spool: str) -> None:
        """*attempt* of *job* is asked to leave *spool*, and may be followed by another one, unless it is known to be
        over."""
        entry = self._at(job, attempt, spool)
        if entry is not None and not entry.left:
            entry.left = True
            self.fresh.append(entry.state())

    def voided(self, job: int, attempt: int, spool: str) -> None:
        """An order that starts nothing goes to *spool* by the name of *attempt* of *job*: that it was refused there
        says nothing of the one that went before."""
        entry = self._at(job, attempt, spool)
        if entry is not None and not entry.void:
            entry.void = True
            self.fresh.append(entry.state())

    def forgotten(self, job: int, attempt: int, spool: str) -> None:
        """*spool* is told to forget *attempt* of *job*, and will not say how it ended."""
        entry = self._at(job, attempt, spool)
        if entry is not None and entry.outcome in (OPEN, UNKNOWN):
            entry.outcome = OVER
            self.fresh.append(entry.state())

    def said(self, report: Report) -> None:
        """A server on a host reports facts; whether the dispatcher has them is not known yet."""
        for fact in report.facts:
            outcome = _OF_FACT.get(fact.what)
            entry = self._at(fact.job, fact.attempt, report.spool) if outcome is not None else None
            if entry is None or outcome is None:
                continue
            if outcome == NEVER and entry.void:
                outcome = OVER
            well = fact.what == "ended" and fact.exit_code == 0 and not fact.cause
            entry.outcome = WELL if well else outcome

    def _at(self, job: int, attempt: int, spool: str) -> _Entry | None:
        entry = self._jobs.get(job)
        return entry if entry is not None and entry.attempt == attempt and entry.spool == spool else None

    def acknowledged(self, report: Report) -> None:
        """The dispatcher has the facts of *report*: an attempt that is over can be asked to give way no more."""
        for fact in report.facts:
            entry = self._at(fact.job, fact.attempt, report.spool) if fact.what in _OF_FACT else None
            if entry is None:
                continue
            if self._is_last(entry):
                self._drop(entry)
                self._close(entry.key)
                self.fresh.append(f"c {entry.key}\n")
            else:
                self.fresh.append(entry.state())

    def _is_last(self, entry: _Entry) -> bool:
        if entry.left or entry.outcome not in (OVER, WELL):
            return False
        return entry.outcome == WELL or entry.used >= entry.retries

    # -- hosts ----------------------------------------------------------------------------------------------------

    def joined(self, hello: Hello) -> None:
        """A server on a host says what it holds: what it has had and holds no more has ended unseen."""
        self._here.add(hello.spool)
        holds = {(job, attempt) for job, attempt, _ in hello.holds}
        for entry in list(self._open.values()):
            if entry.spool == hello.spool and entry.outcome == OPEN and entry.command <= hello.mark:
                if (entry.job, entry.attempt) not in holds:
                    entry.outcome = UNKNOWN
                    self.fresh.append(entry.state())

    def left(self, spool: str) -> None:
        """The server with this *spool* is not reached."""
        self._here.discard(spool)

    def doubt(self) -> None:
        """Another server of the user may have been in charge: how what was open has ended is not known any more."""
        for entry in self._open.values():
            if entry.outcome == OPEN:
                entry.outcome = UNKNOWN
                self.fresh.append(entry.state())

    # -- what is closed -------------------------------------------------------------------------------------------

    def _is_closed(self, key: str) -> bool:
        name, bit = _place(key)
        bits = self._closed.get(name, 0)
        if isinstance(bits, int):
            return bool(bits >> bit & 1)
        return bit >> 3 < len(bits) and bool(bits[bit >> 3] >> (bit & 7) & 1)

    def _close(self, key: str) -> None:
        name, bit = _place(key)
        bits = self._closed.get(name)
        if bits is None:
            self._weight += 1
            bits = self._closed[name] = 0
        if isinstance(bits, int) and bit <= _SMALL:
            self._closed[name] = bits | 1 << bit
        else:
            large = bits if isinstance(bits, bytearray) else bytearray(bits.to_bytes(8, "little"))
            if bit >> 3 >= len(large):
                before = len(large)
                large.extend(bytes(max(before, (bit >> 3) + 1 - before)))
                self._weight += len(large) // 100 - before // 100
            large[bit >> 3] |= 1 << (bit & 7)
            self._closed[name] = large
        while self._weight > MOST_CLOSED and len(self._closed) > 1:
            oldest = self._closed.pop(next(iter(self._closed)))
            self._weight -= 1 + (len(oldest) // 100 if isinstance(oldest, bytearray) else 0)

    # -- lines ----------------------------------------------------------------------------------------------------

    def snapshot(self) -> Iterator[str]:
        """Yield the lines of a book that knows what this one does."""
        for name, bits in self._closed.items():
            large = bits if isinstance(bits, bytearray) else bits.to_bytes(8, "little").rstrip(b"\0")
            yield f"b {name} {large.hex()}\n"
        for entry in self._open.values():
            outcome, left, void = entry.outcome, entry.left, entry.void
            yield entry.goes(entry.attempt, entry.command, entry.spool, entry.used)
            entry.outcome, entry.left, entry.void = outcome, left, void
            if left or void or outcome != OPEN:
                yield entry.state()

    def _read(self, words: list[str]) -> None:
        kind = words[0]
        if kind == "s":
            key, job, attempt, command, spool, used, retries, requeue = words[1:]
            entry = self._open.get(key)
            if entry is None:
                entry = _Entry(key, int(job), int(retries), requeue == "1")
                self._add(entry)
            entry.goes(int(attempt), int(command), "" if spool == "-" else spool, int(used))
        elif kind == "o":
            known = self._jobs.get(int(words[1]))
            if known is not None and known.attempt == int(words[2]) and words[3] in _OUTCOMES:
                known.outcome, known.left, known.void = words[3], words[4] == "1", words[5] == "1"
        elif kind == "c":
            known = self._open.get(words[1])
            if known is not None:
                self._drop(known)
            self._close(words[1])
        elif kind == "b":
            large = bytearray.fromhex(words[2])
            self._weight += 1 + len(large) // 100
            short = len(large) <= 7
            self._closed[words[1]] = int.from_bytes(large, "little") if short else large


@lru_cache(maxsize=16)
def _consents(text: str) -> tuple[int, bool]:
    """Return how many retries the request *text* allows, and whether it may be begun anew when its host is needed."""
    spec = accepted_spec(text)
    return spec.retries, spec.requeue or spec.scavenge


def _key(job: int, signature: str) -> str:
    """Return what *job* is by its *signature*: the mark, with the index of a task; its number, where there is none."""
    name = mark_of(signature)
    if not name:
        return f"job:{job}"
    index = index_of(job)
    return name if index is None else f"{name}:{index}"


def _place(key: str) -> tuple[str, int]:
    """Return under which name, and as which bit, *key* is remembered: those of one submission, or array, together."""
    name, colon, index = key.partition(":")
    if colon:
        return (key, 0) if name == "job" else (name, int(index))
    return key[:_SUBMISSION], int(key[_SUBMISSION:], 16)


def _told(job: int, attempt: int, why: str) -> str:
    return f"auth.replay: attempt {attempt} of job {job} is not started: {why}"

"""Checks of hosts through the web interface: those of ``tm hosts check`` and ``tm hosts add``, as the user whose server
this is.

The command itself is run, so that a page finds what a person finds in a terminal: it asks the host by the user's own
ssh and says what mends what. A check that nobody polls is ended.
"""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Annotated, Any, Protocol

import msgspec
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.interfaces import IDelayedCall, IReactorTime
from twisted.python.failure import Failure

from tm.daemon.answers import decoded
from tm.errors import RefusedError
from tm.places import valid_name

MOST_CHECKS = 8
POLL_SECONDS = 1.0
UNPOLLED_SECONDS = 20.0
MOST_LETTERS = 4096
_BETWEEN = {"hours": ";"}


class Ending(Protocol):
    """How a command ended, as this room asks for it: its *output*, and in a line the *reason* where that was none."""

    @property
    def output(self) -> str:
        """The last it said on stdout."""

    @property
    def reason(self) -> str:
        """The last lines of what it complained about."""


Run = Callable[[Sequence[str]], Awaitable[Ending]]


class CheckWish(msgspec.Struct, forbid_unknown_fields=True):
    """The argument of ``checkhost``: the random name of a *check* of the host *name*, as it is configured; with *table*
    as it would be with these values, or, where it is *new*, with no others."""

    check: Annotated[str, msgspec.Meta(min_length=8, max_length=64)]
    name: str
    table: dict[str, object] = {}
    new: bool = False

    def words(self) -> list[str]:
        """Return the command line; raise `RefusedError` ``proto.arguments``."""
        if not valid_name(self.name):
            raise RefusedError("proto.arguments", f"'{self.name:.64}' cannot name a host")
        table = dict(self.table)
        address = table.pop("address", None) if self.new else None
        command = ["add", "--dry-run"] if self.new else ["check"]
        words = ["hosts", *command, "--json", *(f"--set={word}" for word in _words(table))]
        words.append(f"{self.name}={address}" if address else self.name)
        if sum(map(len, words)) > MOST_LETTERS or not all(word.isprintable() for word in words):
            raise RefusedError(
                "proto.arguments", f"what is said of a host may have {MOST_LETTERS} printable letters here"
            )
        return words


def _words(table: Mapping[str, object], front: str = "") -> list[str]:
    """Return *table* as people write it: ``cores=8``, ``features=a,b``, ``options.port=22``, ``memory=`` for none."""
    words = []
    for key, value in table.items():
        if isinstance(value, Mapping):
            words += _words(value, f"{front}{key}.")
        elif isinstance(value, list):
            words.append(f"{front}{key}={_BETWEEN.get(key, ',').join(map(str, value))}")
        else:
            shown = "" if value is None else str(value).lower() if isinstance(value, bool) else value
            words.append(f"{front}{key}={shown}")
    return words


class Check:
    """One check: *found* once the command has ended."""

    def __init__(self, running: Deferred[Ending]) -> None:
        self.running = running
        self.found: dict[str, Any] | None = None
        self._waiting: list[Deferred[None]] = []
        running.addCallbacks(self._ended, self._failed)

    def wait(self, clock: IReactorTime) -> Deferred[None]:
        """Return when it has ended, or after a while."""
        waiting: Deferred[None] = Deferred()
        if self.found is not None:
            waiting.callback(None)
            return waiting
        self._waiting.append(waiting)
        return waiting.addTimeout(POLL_SECONDS, clock, lambda value, seconds: None)

    def _ended(self, ended: Ending) -> None:
        try:
            said = json.loads(ended.output.strip().rpartition("\n")[2])
            self.found = {"good": bool(said["good"]), "findings": list(said["findings"]), "error": None}
        except (ValueError, TypeError, KeyError):
            self._says(ended.reason or "the check said nothing")
        self._wake()

    def _failed(self, failure: Failure) -> None:
        failure.trap(OSError, CancelledError)
        self._says(failure.getErrorMessage())
        self._wake()

    def _says(self, error: str) -> None:
        self.found = {"good": False, "findings": [], "error": error}

    def _wake(self) -> None:
        waiting, self._waiting = self._waiting, []
        for one in waiting:
            if not one.called:
                one.callback(None)


class HostChecks:
    """All checks of one user's server; *run* runs ``tm`` with the words of a command line."""

    def __init__(self, clock: IReactorTime, run: Run) -> None:
        self._clock = clock
        self._run = run
        self._checks: dict[tuple[str, str], tuple[Check, IDelayedCall]] = {}

    async def check(self, argument: str) -> dict[str, Any]:
        """Begin a check, or answer a poll of one that is under way."""
        wish = decoded(CheckWish, argument)
        words = wish.words()
        key = (wish.check, " ".join(words))
        if key not in self._checks:
            if len(self._checks) >= MOST_CHECKS:
                raise RefusedError("limit.checks", f"{MOST_CHECKS} checks of yours are under way; wait for one")
            check = Check(Deferred.fromCoroutine(_awaited(self._run(words))))
            self._checks[key] = (check, self._clock.callLater(UNPOLLED_SECONDS, self._end, key))
        check, timer = self._checks[key]
        timer.reset(UNPOLLED_SECONDS)
        await check.wait(self._clock)
        shown = check.found or {"good": None, "findings": [], "error": None}
        return {"host": wish.name, "over": check.found is not None, **shown}

    def _end(self, key: tuple[str, str]) -> None:
        check, _ = self._checks.pop(key)
        check.running.cancel()


async def _awaited(ending: Awaitable[Ending]) -> Ending:
    return await ending

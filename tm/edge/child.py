"""Run one child process to its end, bounded in time and in what is kept of its output.

The law: a child that was started is reaped, whatever happens: end, bound, or cancellation of the wait.
"""

from __future__ import annotations

import os
import re
import shutil
from dataclasses import dataclass
from typing import TYPE_CHECKING

from twisted.internet.defer import Deferred
from twisted.internet.error import ProcessExitedAlready
from twisted.internet.protocol import ProcessProtocol
from typing_extensions import override

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Any

    from twisted.python.failure import Failure


KEPT = 8 * 1024
_LATE_OUTPUT = 1.0
_PIPE_READS = 9  # more than a pipe holds
_GRACE = 1.0
_NOISE = re.compile(r"(debug\d: |\*\* |Warning: Permanently added |@@@|Traceback |\s*\^+\s*$|Please look at log file )")
_OF_TWISTD = re.compile(r"An error has occurred: b(['\"])(?:\w+: )?(.*)\1\Z")


@dataclass(frozen=True)
class Ended:
    """How a child ended: *status* or *signal*, the last 8 KiB it said, and whether the bound ended it."""

    status: int | None
    signal: int | None
    output: str
    errors: str
    expired: bool

    @property
    def how(self) -> str:
        """The end in words, e.g. ``ended with status 3``."""
        return (
            f"was ended by signal {self.signal}"
            if self.status is None
            else f"ended with status {self.status}"
        )

    @property
    def reason(self) -> str:
        """The last meaningful lines of stderr, or of stdout where stderr has none, as one line."""
        return last_lines(self.errors) or last_lines(self.output)


def last_lines(text: str, count: int = 3, limit: int = 400) -> str:
    """Return the last *count* meaningful lines of *text* as one line of *limit* characters at most."""
    lines = [line.strip() for line in text.splitlines() if line.strip() and not _NOISE.match(line)]
    lines = [_OF_TWISTD.sub(r"\2", line) for line in lines]
    joined = "; ".join(line.rstrip(".") for line in lines[-count:])
    shown = "".join(c if c.isprintable() else " " for c in joined)
    return shown if len(shown) <= limit else "…" + shown[1 - limit :]


async def run_child(reactor: Any, argv: Sequence[str], environment: Mapping[str, str], bound: float) -> Ended:
    """Run *argv* with *environment*, its input empty, and return how it ended; kill it after *bound* seconds.

    A process that it leaves behind may go on, but what that one still writes to the inherited output is lost.
    Raises `OSError` when the program cannot be started.
    """
    program = shutil.which(argv[0], path=environment.get("PATH", os.defpath))
    if program is None:
        raise FileNotFoundError(2, "no such program", argv[0])
    child = _Child(reactor, bound)
    nothing = os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC)
    try:
        reactor.spawnProcess(
            child,
            os.fsencode(program),
            [os.fsencode(word) for word in argv],
            {os.fsencode(name): os.fsencode(value) for name, value in environment.items()},
            childFDs={0: nothing, 1: "r", 2: "r"},
        )
    finally:
        os.close(nothing)
    return await child.ended


def drain(transport: Any) -> None:
    """Have a child's protocol hear what the child said last: its end may be seen before that."""
    for pipe in [pipe for fd, pipe in transport.pipes.items() if fd in (1, 2)]:
        for _ in range(_PIPE_READS):
            if pipe.doRead() is not None:
                break


class _Child(ProcessProtocol):
    transport: Any

    def __init__(self, reactor: Any, bound: float) -> None:
        self._reactor = reactor
        self._bound = bound
        self._tails = {1: b"", 2: b""}
        self._expired = False
        self._timer: Any | None = None
        self._cancelled = False
        self.ended: Deferred[Ended] = Deferred(self._cancel)

    @override
    def connectionMade(self) -> None:
        self._timer = self._reactor.callLater(self._bound, self._expire)

    @override
    def childDataReceived(self, childFD: int, data: bytes) -> None:
        self._tails[childFD] = (self._tails[childFD] + data)[-KEPT:]

    @override
    def processExited(self, reason: Failure) -> None:
        self._stop_timer()
        value: Any = reason.value
        if self._cancelled or value.exitCode == 0:
            drain(self.transport)
            self._close_pipes()
        else:
            self._timer = self._reactor.callLater(_LATE_OUTPUT, self._close_pipes)

    @override
    def processEnded(self, reason: Failure) -> None:
        self._stop_timer()
        if not self._cancelled:
            output, errors = (self._tails[fd].decode(errors="replace") for fd in (1, 2))
            value: Any = reason.value
            self.ended.callback(Ended(value.exitCode, value.signal, output, errors, self._expired))

    def _expire(self) -> None:
        self._expired = True
        self._timer = self._reactor.callLater(_GRACE, self._signal, "KILL")
        self._signal("TERM")

    def _cancel(self, _waiting: Deferred[Ended]) -> None:
        self._cancelled = True
        self._stop_timer()
        self._signal("KILL")

    def _signal(self, name: str) -> None:
        try:
            self.transport.signalProcess(name)
        except ProcessExitedAlready:
            self._close_pipes()

    def _close_pipes(self) -> None:
        self.transport.loseConnection()

    def _stop_timer(self) -> None:
        if self._timer is not None and self._timer.active():
            self._timer.cancel()
        self._timer = None

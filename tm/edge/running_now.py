"""Commands that run now on this host (``hRun``): a process whose input and output are on a connection of their own.

The connection is the command's life: when it is lost the command is ended. Who does not read holds up the command,
nobody else.
"""

from __future__ import annotations

import fcntl
import os
import signal
import struct
import termios
from collections.abc import Callable, Mapping
from typing import Any

import msgspec
from twisted.internet.defer import Deferred
from twisted.internet.error import ProcessDone, ProcessExitedAlready, ProcessTerminated
from twisted.internet.interfaces import IPushProducer, IReactorProcess, IReactorTime
from twisted.internet.protocol import ProcessProtocol
from twisted.logger import Logger
from twisted.python.failure import Failure
from typing_extensions import override
from zope.interface import implementer

from tm.edge.link import ClientLink, Dialler
from tm.errors import TaskManagerError
from tm.keeper import procfs
from tm.keeper.book import Running
from tm.keeper.felling import LOOK_EVERY, Felling
from tm.keeper.pausing import Pausing
from tm.keeper.tree import Stem
from tm.model.lifecycle import Fact
from tm.model.spec import JobSpec
from tm.wire.frames import BULK_LIMIT, Bulk
from tm.wire.verbs import SIGNALS

_log = Logger()

WRAPPER = """import os,sys
mask,cwd,argv=int(sys.argv[1]),sys.argv[2],sys.argv[3:]
try: os.setsid()
except OSError: pass
os.umask(mask)
try: os.chdir(cwd)
except OSError as e: sys.exit(print(f"cannot work in {cwd}: {e.strerror}",file=sys.stderr) or 125)
try: os.execvp(argv[0],argv)
except OSError as e:
 print(f"cannot start {argv[0]}: {e.strerror}",file=sys.stderr); sys.exit(127 if e.errno==2 else 126)
"""
LATE_OUTPUT_SECONDS = 1.0


class Reactor(IReactorProcess, IReactorTime):  # type: ignore[misc]  # two interfaces of one reactor
    """What running commands needs of the reactor."""


@implementer(IPushProducer)
class Command(ProcessProtocol):
    """One command, its process and its connection."""

    def __init__(self, now: CommandsNow, key: tuple[int, int], spec: JobSpec, variables: dict[str, str]) -> None:
        self._now = now
        self.key = key
        self._spec = spec
        self._variables = variables
        self._link: ClientLink | None = None
        self._dialler: Dialler | None = None
        self._started_at: float | None = None
        self._ended: Fact | None = None
        self._closed = False
        self._early: list[Bulk] = []
        self._felling: Felling | None = None
        self._pausing: Pausing | None = None
        self._first: Running | None = None

    # -- the connection -------------------------------------------------------------------------------------------

    def dial(self, dialler: Dialler) -> None:
        """Connect to the user's server, once."""
        self._dialler = dialler
        dialler.start()

    def link_up(self, link: ClientLink, greeting: str) -> None:
        """Connected: say whose output this is, then start."""
        self._link = link
        link.ask("stream", str(self.key[0])).addCallbacks(lambda reply: self._streaming(reply.ok), self._not_streaming)

    def _not_streaming(self, failure: Failure) -> None:
        failure.trap(TaskManagerError)
        self.link_down(failure.getErrorMessage())

    def _streaming(self, good: bool) -> None:
        if self._ended is not None:
            return
        if not good or self._link is None or self._link.transport is None:
            self.link_down("nobody waits for its output")
            return
        try:
            self._spawn()
        except OSError as error:
            self._end(Fact(*self.key, "refused", self._now.time(), exit_code=125, reason=str(error)))
            return
        self._link.transport.registerProducer(self, True)

    def link_down(self, reason: str) -> None:
        """The connection is lost, or could not be made: the command ends with it."""
        self._link = None
        if self._dialler is not None:
            dialler, self._dialler = self._dialler, None
            dialler.stop()
        if self._started_at is None and self._ended is None:
            self._ended = Fact(*self.key, "refused", self._now.time(), exit_code=125, reason=f"no connection: {reason}")
            self._now.over(self, self._ended)
        elif self._ended is None:
            self.end(2.0)

    def event(self, link: ClientLink, json: bytes) -> None:
        """The client has a wish: a signal, or another size of the terminal."""
        wish = msgspec.json.decode(json)
        name = wish.get("signal")
        if name in SIGNALS:
            self.signal(getattr(signal, "SIG" + name))
        elif "rows" in wish and self._spec.terminal:
            self._resize(wish["rows"], wish["columns"])

    def bulk(self, link: ClientLink | None, data: Bulk) -> None:
        """The client's input; what comes before the process is there waits for it."""
        if self.transport is None:
            self._early.append(data)
        elif self._ended is not None:
            return
        elif data.data:
            self.transport.write(data.data)
        elif self._spec.terminal:
            self.transport.write(b"\x04")
        else:
            self._end_of_input()

    # -- the process ----------------------------------------------------------------------------------------------

    def _spawn(self) -> None:
        spec = self._spec
        command = ["/bin/sh", "-c", spec.command] if isinstance(spec.command, str) else spec.command
        argv = [self._now.python, "-I", "-S", "-c", WRAPPER, str(spec.umask), spec.cwd, *command]
        environment = {**self._now.environment(spec.environment), **self._variables}
        terminal = bool(spec.terminal)
        self._started_at = self._now.time()
        self._now.reactor.spawnProcess(self, argv[0], argv, env=environment, usePTY=terminal)
        if terminal:
            self._resize(*spec.terminal[:2])
        assert self.transport is not None
        pid = self.transport.pid or 0
        self._now.told(Fact(*self.key, "started", self._started_at, pid=pid))
        self._say({"state": "started", "host": self._now.host})
        early, self._early = self._early, []
        for data in early:
            self.bulk(self._link, data)

    @override
    def connectionMade(self) -> None:
        writer = getattr(self.transport, "pipes", {}).get(0)
        if writer is not None and self._link is not None and self._link.transport is not None:
            writer.registerProducer(_Reading(self._link.transport), True)

    def _end_of_input(self) -> None:
        """Close the command's input; a writer with a producer would never get to it."""
        process: Any = self.transport
        writer = process.pipes.get(0)
        if writer is not None:
            writer.unregisterProducer()
            process.closeStdin()
        if self._link is not None and self._link.transport is not None:
            self._link.transport.resumeProducing()

    @override
    def childDataReceived(self, childFD: int, data: bytes) -> None:
        if self._link is not None:
            for at in range(0, len(data), BULK_LIMIT):
                self._link.send_bulk(childFD, data[at : at + BULK_LIMIT])

    @override
    def processExited(self, reason: Failure) -> None:
        ended = reason.value
        code = 0 if reason.check(ProcessDone) else None
        number = None
        if isinstance(ended, ProcessTerminated):
            code, number = ended.exitCode, ended.signal
        self._ended = Fact(
            *self.key, "ended", self._now.time(), started_at=self._started_at, exit_code=code, signal=number
        )
        self._now.reactor.callLater(LATE_OUTPUT_SECONDS, self._finish)

    @override
    def processEnded(self, reason: Failure) -> None:
        self._finish()

    def _finish(self) -> None:
        if self._closed or self._ended is None or self._felling is not None:
            return
        self._closed = True
        self._end(self._ended)

    def _end(self, fact: Fact) -> None:
        self._ended = fact
        failed = fact.exit_code != 0
        self._say({
            "state": "failed" if failed else "completed", "exit_code": fact.exit_code, "signal": fact.signal,
            "reason": fact.reason,
        })  # fmt: skip
        self._now.over(self, fact)
        if self._link is not None and self._link.transport is not None:
            self._link.transport.unregisterProducer()
        self._now.reactor.callLater(LATE_OUTPUT_SECONDS, self._hang_up)

    def _hang_up(self) -> None:
        if self._dialler is not None:
            dialler, self._dialler = self._dialler, None
            dialler.stop()

    def _say(self, shown: dict[str, object]) -> None:
        if self._link is not None:
            line = msgspec.json.encode(shown).decode().replace("\x7f", "\\u007f")
            said: Deferred[Any] = self._link.ask("runstate", line)
            said.addErrback(lambda failure: failure.trap(TaskManagerError) and None)

    def signal(self, number: int) -> None:
        """Send *number* to the command's session."""
        pid = getattr(self.transport, "pid", None)
        if pid and self._ended is None:
            try:
                os.killpg(pid, number)
            except ProcessLookupError:
                try:
                    os.kill(pid, number)
                except ProcessLookupError:
                    return
            except PermissionError:
                return

    def end(self, grace: float) -> None:
        """End the command: TERM (and HUP) now, KILL after *grace* seconds; one that has not begun never will."""
        if self._started_at is None and self._ended is None:
            self._ended = Fact(*self.key, "returned", self._now.time())
            self._hang_up()
            self._now.over(self, self._ended)
            return
        self.signal(signal.SIGHUP)
        first = self._tree()
        if first is not None and self._ended is None and self._felling is None:
            if self._pausing is not None:
                self._pausing.over(self.key)
            self._felling = Felling(self._stem(first), lambda: _without_impostor(first))
            self._felling.begin([(first, grace)], self._now.time())
            self._fell(first)

    def _tree(self) -> Running | None:
        """Return its first process as a keeper knows one; None before it has begun and when it is gone."""
        process = procfs.read(getattr(self.transport, "pid", None) or 0)
        if self._first is None and process is not None:
            self._first = Running(self.key, 0, process.pid, process.ticks, self._started_at or 0.0)
        return self._first if process is not None else None

    def _stem(self, first: Running) -> Stem:
        return Stem(os.getpid(), {first.pid: self.key}, procfs.claim, only_jobs=False)

    def pause(self, word: str, level: int) -> None:
        """Suspend or resume its whole tree, or give it a niceness, as a keeper does on this word."""
        first = self._tree()
        if first is None or self._ended is not None or self._felling is not None:
            return
        if self._pausing is None:
            self._pausing = Pausing(self._stem(first), lambda: _without_impostor(first))
        if word == "nice":
            self._pausing.nice(first, level)
        elif word == "suspend":
            first.turn += not first.suspended
            self._pausing.begin(first, self._now.time())
            self._stop(first)
        else:
            if first.suspended:
                self._pausing.resume(first)
                first.turn += 1
            self._now.told(msgspec.convert(first.pause_fact(self._now.time()), Fact))

    def _stop(self, first: Running) -> None:
        """Stop what of its tree still runs; say so when nothing does."""
        if self._pausing is None or self._ended is not None or not self._pausing.holds(self.key):
            return
        if self._pausing.tend(self._now.time(), {self.key: first}):
            self._now.told(msgspec.convert(first.pause_fact(self._now.time()), Fact))
        else:
            self._now.reactor.callLater(LOOK_EVERY, self._stop, first)

    def _fell(self, first: Running) -> None:
        """Look after the tree of the command until nothing of it is left; its ending waits for that."""
        if self._felling is None:
            return
        self._felling.tend(self._now.time(), {self.key: first}, lambda pid: self._ended is not None)
        if self._felling.holds(self.key):
            self._now.reactor.callLater(LOOK_EVERY, self._fell, first)
        else:
            self._felling = None
            self._finish()

    def _resize(self, rows: int, columns: int) -> None:
        descriptor = getattr(self.transport, "fd", None)
        if descriptor is not None:
            fcntl.ioctl(descriptor, termios.TIOCSWINSZ, struct.pack("4H", rows, columns, 0, 0))

    # -- the client does not read ---------------------------------------------------------------------------------

    def pauseProducing(self) -> None:  # noqa: N802  IPushProducer
        """Let the command wait."""
        self._readers("pauseProducing")

    def resumeProducing(self) -> None:  # noqa: N802  IPushProducer
        """Let the command go on."""
        self._readers("resumeProducing")

    def stopProducing(self) -> None:  # noqa: N802  IPushProducer
        """The connection is going."""

    def _readers(self, word: str) -> None:
        pipes = getattr(self.transport, "pipes", None)
        readers = [pipes[fd] for fd in (1, 2) if fd in pipes] if pipes is not None else [self.transport]
        for reader in readers:
            try:
                getattr(reader, word)()
            except (ProcessExitedAlready, AttributeError):
                continue


def _without_impostor(first: Running) -> dict[int, procfs.Process]:
    """Return all processes, but none that was given the pid of *first* when that had ended."""
    seen = procfs.snapshot()
    if first.pid in seen and seen[first.pid].ticks != first.ticks:
        del seen[first.pid]
    return seen


@implementer(IPushProducer)
class _Reading:
    """Pauses reading from the client while the command does not take its input."""

    def __init__(self, transport: Any) -> None:
        self._transport = transport

    def pauseProducing(self) -> None:  # noqa: N802  IPushProducer
        """Read no more."""
        self._transport.pauseProducing()

    def resumeProducing(self) -> None:  # noqa: N802  IPushProducer
        """Read on."""
        self._transport.resumeProducing()

    def stopProducing(self) -> None:  # noqa: N802  IPushProducer
        """The command takes no more input."""
        self._transport.resumeProducing()


class CommandsNow:
    """All commands that run now on this host."""

    def __init__(
        self, reactor: Reactor, *, host: str, python: str, dialler: Callable[[Command], Dialler],
        environment: Callable[[str], Mapping[str, str]], told: Callable[[Fact], None],
    ) -> None:  # fmt: skip
        self.reactor = reactor
        self.host = host
        self.python = python
        self.environment = environment
        self.told = told
        self._dialler = dialler
        self._commands: dict[tuple[int, int], Command] = {}

    def time(self) -> float:
        """Seconds since the epoch."""
        return self.reactor.seconds()

    def begin(self, key: tuple[int, int], spec: JobSpec, variables: dict[str, str]) -> None:
        """Start the command of *key* once its connection is there."""
        command = Command(self, key, spec, variables)
        self._commands[key] = command
        command.dial(self._dialler(command))

    def cancel(self, key: tuple[int, int], grace: float) -> bool:
        """End the command of *key* if it is one of these; return whether it is."""
        command = self._commands.get(key)
        if command is not None:
            command.end(grace)
        return command is not None

    def pause(self, word: str, key: tuple[int, int], level: int) -> bool:
        """Suspend, resume or nice the command of *key* if it is one of these; return whether it is."""
        command = self._commands.get(key)
        if command is not None:
            command.pause(word, level)
        return command is not None

    def over(self, command: Command, fact: Fact) -> None:
        """The command has ended as *fact* says."""
        self._commands.pop(command.key, None)
        self.told(fact)

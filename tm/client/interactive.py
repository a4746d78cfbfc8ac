"""One command that runs now, seen from its terminal: stdin, stdout, stderr, keys and signals over one connection.

Nothing here waits for one side while another could go on: what the server does not take yet stays in a
bounded buffer, and while that is full our stdin is not read. Only writing to our own stdout and stderr
blocks, which is the back-pressure that belongs to a pipe.
"""

from __future__ import annotations

import os
import select
import signal

from tm.client.connection import decode_event, refusal, would_block
from tm.client.ending import has_ended
from tm.client.follow import write_all
from tm.client.stream import Piece, Splitter
from tm.client.submit import encode_json
from tm.client.terminal import NoTerminal, window_size
from tm.errors import RefusedError, TaskManagerError
from tm.wire.message import Event, Reply, Request

TYPE_CHECKING = False
if TYPE_CHECKING:
    import socket
    from typing import Any

    from tm.client.connection import Connection
    from tm.client.terminal import RawTerminal, Signals

RECEIVE_BYTES = 1024 * 1024
STDIN_BYTES = 64 * 1024
MOST_UNSENT = 256 * 1024
DETACH_KEY = b"\x1c"
_ROUNDS = 16
_LADDER = ("INT", "TERM", "KILL")
_READ = select.POLLIN | select.POLLHUP | select.POLLERR


class Manners:
    """How somebody is with a command: the keys that *leave* it, whether it *goes_on* then, whether one only *watches*,
    and whether one is *content* to know that it has begun."""

    __slots__ = ("content", "goes_on", "leave", "watches")

    def __init__(
        self, leave: bytes = DETACH_KEY, goes_on: bool = True, watches: bool = False, content: bool = False
    ) -> None:
        self.leave = leave
        self.goes_on = goes_on
        self.watches = watches
        self.content = content


class Interaction:
    """Says *verb* with *wish* over *connection*, which it takes over; *fds* are our stdin, stdout and stderr.

    *terminal* is ours; it is raw as long as the command has one of its own.
    """

    def __init__(
        self,
        connection: Connection,
        wish: dict[str, Any],
        fds: tuple[int, int, int] = (0, 1, 2),
        verb: str = "run",
        terminal: RawTerminal | NoTerminal | None = None,
        manners: Manners | None = None,
    ) -> None:
        self.job: int | str = 0
        self._socket: socket.socket = connection.socket
        self._peer = connection.peer
        self._socket.setblocking(False)
        self._splitter = Splitter()
        self._buffer = bytearray(RECEIVE_BYTES)
        self._view = memoryview(self._buffer)
        self._unsent = bytearray(Request(verb, encode_json(wish).decode()).encode())
        self._stdin, stdout, stderr = fds
        self._out = {1: stdout, 2: stderr}
        self._has_terminal = bool(wish.get("tty"))
        self._terminal = terminal or NoTerminal()
        self._manners = manners or Manners()
        self._input_open = False
        self._interrupts = 0
        self._stopped = False
        self._ending: dict[str, Any] | None = None

    def run(self, signals: Signals) -> dict[str, Any]:
        """Return how the command ended, or that it was left: ``{"run": 17, "state": …}``; raise `TaskManagerError`."""
        poll = select.poll()
        poll.register(signals.fd, _READ)
        registered: dict[int, int] = {}
        more = False
        while self._ending is None:
            self._register(poll, registered)
            ready = dict(poll.poll(0 if more else None))
            if signals.fd in ready or (self.job and signals.caught):
                self._signalled(signals.take())
            if self._stdin in ready and self._input_open:
                self._read_input()
            self._flush()
            more = self._receive()
            if self._stopped:
                self._stop(signals)
        return self._ending

    # -- inside ---------------------------------------------------------------------------------------------

    def _register(self, poll: select.poll, registered: dict[int, int]) -> None:
        wanted = {self._socket.fileno(): _READ | (select.POLLOUT if self._unsent else 0)}
        if self._input_open and len(self._unsent) < MOST_UNSENT:
            wanted[self._stdin] = _READ
        for fd in [fd for fd in registered if fd not in wanted]:
            poll.unregister(fd)
            del registered[fd]
        for fd, mask in wanted.items():
            if registered.get(fd) != mask:
                poll.register(fd, mask)
                registered[fd] = mask

    def _receive(self) -> bool:
        """Take what has come; return whether there may be more that poll cannot see."""
        for _ in range(_ROUNDS):
            try:
                size = self._socket.recv_into(self._view)
            except OSError as error:
                if would_block(error):
                    return False
                raise self._lost(error.strerror or str(error)) from None
            if not size:
                raise self._lost("the other side closed it")
            for message in self._splitter.receive(self._buffer, size):
                if isinstance(message, Piece):
                    self._output(message)
                elif isinstance(message, Event):
                    self._event(decode_event(message, self._peer))
                else:
                    self._answered(message)
            if self._ending is not None:
                return False
        return True

    def _output(self, piece: Piece) -> None:
        fd = self._out.get(piece.channel)
        if fd is not None and piece.data and not self._manners.content:
            write_all(fd, piece.data)

    def _event(self, event: dict[str, Any]) -> None:
        state = event.get("state")
        if "run" not in event:
            return
        if state == "started":
            if event.get("terminal"):
                self._terminal.begin()
            if self._manners.content:
                self._ending = event
        elif state == "stopped":
            self._stopped = True
        elif state == "refused":
            raise RefusedError(str(event.get("word")), str(event.get("reason")))
        elif has_ended(event) or state == "detached":
            self._ending = event

    def _stop(self, signals: Signals) -> None:
        """The command was stopped by a key: so are we, until we are told to go on, and the command with us."""
        self._stopped = False
        was_raw = self._terminal.is_raw
        self._terminal.end()
        signals.stop()
        if was_raw:
            self._terminal.begin()
        self._say("runsignal", "CONT")
        self._resize()
        self._flush()

    def _answered(self, reply: Reply) -> None:
        if self.job:
            return
        if not reply.ok:
            raise refusal(reply)
        number = reply.text.rpartition(" ")[2]
        self.job = int(number) if number.isdigit() else number
        self._input_open = not self._manners.content

    def _read_input(self) -> None:
        try:
            data = os.read(self._stdin, STDIN_BYTES)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if self._terminal.is_raw and self._leaves(data):
            return
        if not self._manners.watches:
            self._unsent += b"= 0 %d\n%b" % (len(data), data)
        self._input_open = bool(data)

    def _leaves(self, keys: bytes) -> bool:
        """Whether one of *keys* is to leave the command; what was typed before goes to it."""
        leaving = b"\x03q" + self._manners.leave if self._manners.watches else self._manners.leave
        at = min((keys.find(key) for key in leaving if key in keys), default=-1)
        if at < 0:
            return False
        if at and not self._manners.watches:
            self._unsent += b"= 0 %d\n%b" % (at, keys[:at])
        self._leave()
        return True

    def _leave(self) -> None:
        self._input_open = False
        if self._manners.watches:
            self._ending = {"run": self.job, "state": "left"}
        else:
            self._unsent += Request("rundetach").encode()

    def _flush(self) -> None:
        while self._unsent:
            try:
                sent = self._socket.send(self._unsent)
            except OSError as error:
                if would_block(error):
                    return
                raise self._lost(error.strerror or str(error)) from None
            del self._unsent[:sent]

    def _signalled(self, caught: list[int]) -> None:
        for number in caught:
            if number == signal.SIGWINCH:
                self._resize()
            elif number == signal.SIGQUIT and self._manners.leave and self.job:
                self._leave()
            elif number == signal.SIGINT and self._manners.watches:
                self._leave()
            elif number == signal.SIGINT:
                if self._interrupts == len(_LADDER) or not self.job:
                    raise KeyboardInterrupt
                self._say("runsignal", _LADDER[self._interrupts])
                self._interrupts += 1
            else:
                self._say("runsignal", signal.Signals(number).name[3:])

    def _resize(self) -> None:
        if self._has_terminal and not self._manners.watches:
            rows, columns = window_size(self._out[1])
            self._say("runsize", f"{rows}:{columns}")

    def _say(self, verb: str, rest: str) -> None:
        self._unsent += Request(verb, rest).encode()

    def _lost(self, why: str) -> TaskManagerError:
        command = f"job {self.job}" if self.job else "the command"
        left = "'hRun --attach' finds it if it was detached" if self._manners.goes_on else "it has ended with it"
        return TaskManagerError(
            "internal.lost", f"the connection to {self._peer} broke ({why}); {command} is ended with it, or {left}"
        )

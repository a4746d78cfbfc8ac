"""The holder of a command that runs now: its terminal or pipes, its last output, and whoever looks and types.

``python3 -I -S ROOT/tm/keeper/holder.py SPOOL NAME MODE KIND ROWS COLUMNS ARGUMENT…`` is what the keeper starts in the
place of the command, so that the command's limits, suspension, cancelling and ending are those of any job, and outlive
the host server. It listens as NAME in the folder SPOOL, has the command as its child, and ends as that ends: with its
exit code, or by the same signal. KIND is ``terminal`` or ``pipes``, MODE says when it begins and ends:

| MODE | it begins | when nobody is connected any more |
|---|---|---|
| ``first`` | once somebody is connected, within a minute | it is told to end, unless it was detached |
| ``detached`` | at once | it goes on |
| ``beside`` | as ``first`` | it is told to end, and it cannot be detached |

**Who connects says** lines: first ``attach types|watches ROWS COLUMNS``, then ``size ROWS COLUMNS``, ``signal NUMBER``,
``detach``, ``leave`` (nobody will come, it need not begin), and input as ``= 0 COUNT`` with so many raw bytes (none:
the end of input). **The holder says** output as ``= CHANNEL COUNT`` with raw bytes (channel 2: stderr, where there are
pipes), first the last 64 KiB of it, and lines ``* {"state": …}``: ``started`` with ``terminal``, ``stopped`` (by ^Z),
``detached``, and ``ended`` with ``exit_code`` and ``signal``.

Many may watch, one types: who came last of those that want to. With the next that comes, or when that one leaves, the
keyboard changes hands, and the terminal takes the size of whose it is. Who types holds up the command by not reading:
for ever where it ends with that one anyway, else for ten seconds; who watches is cut when a megabyte waits for it.
"""

from __future__ import annotations

import os
import select
import signal
import sys
import time

sys.path.append(os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))))

from tm.keeper.held import Held, end_like, listen_to_signals  # only now can it be found
from tm.keeper.viewer import MOST_UNSENT, Kept, Viewer, accept, listen

FIRST_SECONDS = 60.0
STALL_SECONDS = 10.0
LATE_OUTPUT_SECONDS = 1.0
FAREWELL_SECONDS = 5.0
HANG_UP_SECONDS = 2.0
MOST_INPUT = 256 * 1024


class Holder:
    """Holds *held* for whoever connects to *listener*. *signals* is where the numbers of signals are read."""

    def __init__(self, held: Held, listener: object, signals: int, mode: str, size: tuple[int, int]) -> None:
        self._held = held
        self._listener = listener
        self._signals = signals
        self._mode = mode
        self._detached = mode == "detached"
        self._size = size
        self._viewers: list[Viewer] = []
        self._kept = Kept()
        self._input = bytearray()
        self._input_over = False
        self._now = time.monotonic()
        self._begun = False
        self._deadline: float | None = None if self._detached else self._now + FIRST_SECONDS
        self._kill_at: float | None = None

    def run(self) -> int | None:
        """Hold the command until it has ended and all is told; return its wait status, None where it never began."""
        if self._detached:
            self._begin()
        while not self._is_over():
            self._turn(self._wait())
        self._leave()
        return self._held.status

    def _is_over(self) -> bool:
        if self._held.status is None:
            return not self._begun and self._deadline is not None and self._now >= self._deadline
        late = self._deadline is not None and self._now >= self._deadline and not self._held_up
        return late or not self._held.outputs

    @property
    def _held_up(self) -> bool:
        """Whether who types does not take the output that there is."""
        return any(viewer.types and viewer.crowded for viewer in self._viewers)

    def _begin(self) -> None:
        self._begun = True
        self._deadline = None
        self._held.start(*self._size)
        self._tell(self._started())

    def _started(self) -> bytes:
        return b'{"state":"started","terminal":%b}' % (b"true" if self._held.terminal else b"false")

    # -- a turn ---------------------------------------------------------------------------------------------

    def _wait(self) -> dict[int, int]:
        poll = select.poll()
        poll.register(self._signals, select.POLLIN)
        poll.register(self._listener, select.POLLIN)  # type: ignore[arg-type]  # a socket
        for viewer in self._viewers:
            wanted = select.POLLOUT if viewer.unsent else 0
            if len(self._input) < MOST_INPUT:
                wanted |= select.POLLIN
            poll.register(viewer.fd, wanted)
        held = self._held
        if not self._held_up:
            for fd in set(held.outputs.values()):
                poll.register(fd, select.POLLIN | (select.POLLOUT if self._input and fd == held.inputs else 0))
        if self._input and held.inputs >= 0 and not held.terminal:
            poll.register(held.inputs, select.POLLOUT)
        ready = dict(poll.poll(self._patience()))
        self._now = time.monotonic()
        return ready

    def _patience(self) -> int | None:
        """Return how many milliseconds to wait at most, None for ever."""
        deadline = None if self._begun and self._held_up else self._deadline
        times = [at for at in (deadline, self._kill_at) if at is not None]
        if self._detached:
            times += [viewer.moved_at + STALL_SECONDS for viewer in self._viewers if viewer.unsent]
        if not times:
            return None
        return max(0, int((min(times) - self._now) * 1000) + 1)

    def _turn(self, ready: dict[int, int]) -> None:
        held = self._held
        if self._signals in ready:
            self._signalled(os.read(self._signals, 4096))
        for channel, fd in list(held.outputs.items()):
            if fd in ready:
                self._read(channel)
        if self._input and (held.inputs in ready or held.inputs < 0):
            self._feed()
        if self._listener.fileno() in ready:  # type: ignore[attr-defined]  # a socket
            newcomer = accept(self._listener, self._now)  # type: ignore[arg-type]  # a socket
            if newcomer is not None:
                self._viewers.append(newcomer)
        for viewer in list(self._viewers):
            events = ready.get(viewer.fd, 0)
            if events & ~select.POLLOUT:
                self._hear(viewer)
        self._send()
        if self._kill_at is not None and self._now >= self._kill_at:
            self._kill_at = None
            held.signal(signal.SIGKILL)

    def _signalled(self, numbers: bytes) -> None:
        if self._held.terminal and (signal.SIGTERM in numbers or signal.SIGHUP in numbers):
            self._held.hang_up()  # the keeper tells all of us to end, but a shell on a terminal hears HUP alone
        if self._begun and self._held.see():
            self._tell_typist(b'{"state":"stopped"}')
        if self._held.status is not None and self._deadline is None:
            self._deadline = self._now + LATE_OUTPUT_SECONDS

    def _read(self, channel: int) -> None:
        data = self._held.read(channel)
        if data is None:
            return
        self._kept.add(channel, data)
        head = b"= %d %d\n" % (channel, len(data))
        for viewer in self._viewers:
            if viewer.attached:
                viewer.send(head)
                viewer.send(data)

    def _feed(self) -> None:
        with memoryview(self._input) as view:
            taken = self._held.write(view)
        del self._input[:taken]
        if not self._input and self._input_over:
            self._held.end_input()

    def _send(self) -> None:
        for viewer in self._viewers:
            viewer.flush(self._now)
            stalls = viewer.unsent and self._now - viewer.moved_at > STALL_SECONDS
            if not viewer.unsent:
                viewer.moved_at = self._now
            if (viewer.unsent > MOST_UNSENT and not viewer.types) or (stalls and self._detached):
                viewer.close()
        left = [viewer for viewer in self._viewers if not viewer.gone]
        if len(left) != len(self._viewers):
            self._left(left)

    # -- who looks and types --------------------------------------------------------------------------------

    def _hear(self, viewer: Viewer) -> None:
        for said in viewer.receive():
            if isinstance(said, bytes):
                if viewer.types and not self._input_over:
                    self._take(said)
            else:
                try:
                    self._obey(viewer, said[0], said[1:])
                except (ValueError, IndexError, OSError):
                    viewer.close()
                    return

    def _take(self, data: bytes) -> None:
        self._input += data
        if not data and not self._held.terminal:
            self._input_over = True
        elif not data:
            self._input += b"\x04"
        if self._begun:
            self._feed()

    def _obey(self, viewer: Viewer, word: str, rest: list[str]) -> None:
        if word == "attach":
            self._attach(viewer, rest[0] == "types", int(rest[1]), int(rest[2]))
        elif word == "size":
            viewer.rows, viewer.columns = int(rest[0]), int(rest[1])
            if viewer.types:
                self._held.resize(viewer.rows, viewer.columns)
        elif word == "signal":
            number = int(rest[0])
            if viewer.types:
                self._held.signal(number)
        elif word == "detach":
            self._detached = self._detached or self._mode != "beside"
            viewer.send(b'* {"state":"detached"}\n')
            viewer.flush(self._now)
            viewer.close()
        elif word == "leave":
            if not self._begun:
                self._deadline = self._now  # nobody will come
        else:
            raise ValueError(word)

    def _attach(self, viewer: Viewer, types: bool, rows: int, columns: int) -> None:
        if any(other.attached for other in self._viewers) and self._mode != "beside":
            self._detached = True  # it is not this connection's alone any more
        viewer.attached = True
        viewer.rows, viewer.columns = rows, columns
        if not self._begun:
            self._size = (rows, columns) if rows else self._size
            self._begin()
            self._feed()
        else:
            viewer.send(b"* %b\n" % self._started())
            viewer.send(self._kept.frames())
        if types:
            self._hand_over(viewer)

    def _hand_over(self, viewer: Viewer) -> None:
        """Let *viewer* type from now on: it is the last of the list."""
        for other in self._viewers:
            other.types = other is viewer
        self._viewers.remove(viewer)
        self._viewers.append(viewer)
        viewer.wants = True
        if viewer.rows:
            self._held.resize(viewer.rows, viewer.columns)

    def _left(self, left: list[Viewer]) -> None:
        """Somebody has left: the keyboard goes to who had it before, or the command ends with the last."""
        self._viewers = left
        wanting = [viewer for viewer in left if viewer.wants]
        if wanting and not any(viewer.types for viewer in left):
            self._hand_over(wanting[-1])
        if self._begun and not self._detached and not any(viewer.attached for viewer in left):
            if self._held.status is None and self._kill_at is None:
                self._held.hang_up()
                self._kill_at = self._now + HANG_UP_SECONDS

    def _tell(self, json: bytes) -> None:
        for viewer in self._viewers:
            if viewer.attached:
                viewer.send(b"* %b\n" % json)

    def _tell_typist(self, json: bytes) -> None:
        for viewer in self._viewers:
            if viewer.types:
                viewer.send(b"* %b\n" % json)

    # -- the end --------------------------------------------------------------------------------------------

    def _leave(self) -> None:
        """Tell how it ended, and wait until that is taken: of who types as long as it takes, of others a moment."""
        status = self._held.status
        if status is not None:
            code = str(os.WEXITSTATUS(status)) if os.WIFEXITED(status) else "null"
            number = str(os.WTERMSIG(status)) if os.WIFSIGNALED(status) else "null"
            self._tell(f'{{"state":"ended","exit_code":{code},"signal":{number}}}'.encode())
        until = self._now + FAREWELL_SECONDS
        while any(viewer.unsent for viewer in self._viewers):
            faithful = not self._detached and any(viewer.types and viewer.unsent for viewer in self._viewers)
            if not faithful and self._now >= until:
                return
            poll = select.poll()
            for viewer in self._viewers:
                poll.register(viewer.fd, select.POLLOUT if viewer.unsent else 0)
            poll.poll(500)
            self._now = time.monotonic()
            for viewer in self._viewers:
                viewer.flush(self._now)
            self._viewers = [viewer for viewer in self._viewers if not viewer.gone]


def main(arguments: list[str]) -> int:
    """Hold the command that *arguments* name; return the exit status."""
    spool, name, mode, kind, rows, columns, *argv = arguments
    signals = listen_to_signals()
    if os.getsid(0) != os.getpid():
        os.setsid()
    try:
        listener = listen(spool, name)
    except OSError as error:
        print(f"cannot listen as {name} in {spool}: {error.strerror}", file=sys.stderr)
        return 125
    holder = Holder(Held(argv, kind == "terminal"), listener, signals, mode, (int(rows), int(columns)))
    try:
        status = holder.run()
    finally:
        listener.close()
        try:
            os.unlink(os.path.join(spool, name))
        except OSError:
            pass
    return end_like(status)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))

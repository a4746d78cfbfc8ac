"""Following a job's output: the server on its host reads it where it is written and sends it, whatever a network
file system does. Where that one is not reached the files themselves are read, as far as they are seen from here."""

from __future__ import annotations

import os
import stat
import time

from tm.client.ending import exit_status, has_ended, sentence
from tm.client.live import Live
from tm.client.program import EXIT_INTERRUPTED
from tm.client.timing import parse_time
from tm.client.wait import hint
from tm.errors import TaskManagerError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from tm.client.connection import Connection
    from tm.client.program import Manner
    from tm.client.watch import Watch

    View = dict[str, Any]

TAIL_LINES = 10
JUST_STARTED_SECONDS = 10.0
UNSEEN_SECONDS = 5.0
_BLOCK = 256 * 1024
_FASTEST, _SLOWEST = 0.05, 0.25
_TURN = 0.5
_DOUBT = 2.0
_WAITING = ("held", "pending", "starting")


class Tail:
    """Copies what is appended to *path* to the descriptor *out*, from its last lines or its beginning."""

    def __init__(self, path: str, out: int, last_lines: int | None = None) -> None:
        self.path = path
        self.channel = out
        self.last_lines = last_lines
        self.seen = False
        self._out = out
        self._fd = -1
        self._at = 0
        self._begun = False

    def show(self, data: memoryview) -> None:
        """Copy what somebody else has read of the file."""
        self.seen = True
        write_all(self._out, data)

    def go_on(self, at: int) -> None:
        """Go on at the place *at* of the file; below 0 as at the beginning."""
        self.seen = False
        if at >= 0:
            self._begun = True
            self._at = at

    def pump(self) -> bool:
        """Copy what is new; return whether there was anything."""
        if self._fd < 0 and not self._open():
            return False
        if os.fstat(self._fd).st_size < self._at:
            self._at = 0
        moved = False
        while True:
            block = os.pread(self._fd, _BLOCK, self._at)
            if not block:
                return moved
            write_all(self._out, block)
            self._at += len(block)
            moved = True

    def finish(self) -> None:
        """Copy the rest; the file is opened anew, for only then a network file system tells its true end."""
        self.close()
        self.pump()
        self.close()

    def close(self) -> None:
        """Close the file; the place in it is kept."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1

    def _open(self) -> bool:
        try:
            self._fd = os.open(self.path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
        except OSError:
            return False
        found = os.fstat(self._fd)
        if not stat.S_ISREG(found.st_mode):
            self.seen = True
            self.close()
            return False
        if not self._begun and self.last_lines is not None:
            self._at = _start_of_last_lines(self._fd, found.st_size, self.last_lines)
        self.seen = self._begun = True
        return True


def _start_of_last_lines(fd: int, size: int, lines: int) -> int:
    start = max(0, size - _BLOCK)
    block = os.pread(fd, size - start, start)
    at = len(block) - 1 if block.endswith(b"\n") else len(block)
    for _ in range(lines):
        at = block.rfind(b"\n", 0, at)
        if at < 0:
            return start
    return start + at + 1


def write_all(fd: int, data: bytes | memoryview) -> None:
    """Write all of *data*, also to a descriptor that somebody has made non-blocking."""
    view = memoryview(data)
    while view:
        try:
            view = view[os.write(fd, view) :]
        except BlockingIOError:
            import select

            select.select([], [fd], [])


def follow(watch: Watch, number: int, manner: Manner, connect: Callable[[], Connection | None] = lambda: None) -> int:
    """Show the output of a job until it ends; return the job's exit status.

    *connect* gives a connection to the user's server, None where none runs.
    """
    try:
        while number in watch.left:
            view = _started(watch, number, manner)
            _refuse_array(view)
            if not view.get("stdout") and not view.get("stderr") and not has_ended(view):
                manner.say(f"job {view['id']} writes its output nowhere; waiting for its end")
            tails = make_tails(view, time.time())
            if view.get("bundle") and has_ended(view):
                manner.say(f"its output is in the bundle of its array; 'tm output {view['id']}' shows it")
                tails = []
            if has_ended(view) or not tails or not _live(watch, view, tails, manner, connect):
                _copy(watch, view, tails, manner)
    except KeyboardInterrupt:
        hint([number], manner)
        return EXIT_INTERRUPTED
    ended = watch.views[number]
    status = exit_status(ended)
    if status and not manner.quiet:
        manner.say(sentence(ended))
    return status


def _live(
    watch: Watch, view: View, tails: list[Tail], manner: Manner, connect: Callable[[], Connection | None]
) -> bool:
    """Show the output of an attempt as its host sends it; return whether that went well.

    Where it did not, *tails* go on where it stopped.
    """
    by_channel = {tail.channel: tail for tail in tails}
    live = None
    try:
        connection = connect()
        if connection is None:
            raise TaskManagerError("net.tms", "your server (TMS) is not running")
        live = Live(
            connection, view["id"], tails[0].last_lines, {}, lambda channel, data: by_channel[channel].show(data)
        )
        quiet_until = float("inf")
        while not live.over:
            if live.look(_TURN) or watch.left:
                quiet_until = time.monotonic() + UNSEEN_SECONDS
            if watch.left:
                watch.look(0.0)
            elif time.monotonic() > quiet_until:
                raise TaskManagerError("net.host", "its host says nothing more")
    except (TaskManagerError, OSError) as error:
        for tail in tails:
            tail.go_on(live.places.get(tail.channel, -1) if live is not None else -1)
        if not manner.quiet:
            paths = " and ".join(tail.path for tail in tails)
            manner.say(f"{getattr(error, 'text', error)}; reading {paths} from here")
        return False
    finally:
        if live is not None:
            live.close()
    _await_next(watch, view)
    return True


def _await_next(watch: Watch, view: View) -> None:
    """Wait until the job, one of whose attempts is over, has ended, or waits for the next."""
    number = next(iter(watch.left), 0)
    while watch.left and watch.views.get(number, view).get("state") not in _WAITING:
        watch.look(_DOUBT)
        if watch.left:
            watch.views[number] = {**watch.views.get(number, {}), **watch.describe(number)}
            if watch.views[number].get("attempt") != view.get("attempt"):
                return


def make_tails(view: dict[str, Any], now: float) -> list[Tail]:
    """Return the tails of the output files of *view*: from the beginning for a job that has just started."""
    if not view.get("started_at"):
        return []
    lines = None if now - parse_time(view["started_at"]) < JUST_STARTED_SECONDS else TAIL_LINES
    stdout, stderr = view.get("stdout"), view.get("stderr")
    tails = [Tail(stdout, 1, lines)] if stdout else []
    if stderr and stderr != stdout:
        tails.append(Tail(stderr, 2, lines))
    return tails


def _refuse_array(view: View) -> None:
    """Raise `TaskManagerError` for an array, which has no output of its own."""
    if view.get("tasks"):
        indices = str((view.get("asked") or {}).get("array") or 0)
        first = indices.partition(",")[0].partition("-")[0]
        raise TaskManagerError(
            "job.state",
            f"{view['id']} is an array, and each of its tasks writes for itself; follow one of them, such as"
            f" hRunJob -f {view['id']}_{first}",
        )


def _started(watch: Watch, number: int, manner: Manner) -> dict[str, Any]:
    told = ""
    while True:
        view = watch.describe(number)
        if view.get("state") not in _WAITING:
            return view
        _refuse_array(view)
        reason = str(view.get("reason") or "")
        if reason != told and not manner.quiet:
            manner.say(f"job {view['id']} is {view['state']}" + (f": {reason}" if reason else ""))
            told = reason
        watch.look(10.0)


def _copy(watch: Watch, view: dict[str, Any], tails: list[Tail], manner: Manner) -> None:
    pause = _FASTEST
    patient_until = time.monotonic() + UNSEEN_SECONDS
    while watch.left:
        moved = [tail.pump() for tail in tails]
        pause = _FASTEST if any(moved) else min(2 * pause, _SLOWEST)
        if time.monotonic() > patient_until:
            patient_until = float("inf")
            _complain(view, tails, manner)
        watch.look(pause if tails else 60.0)
    for tail in tails:
        tail.finish()
    if patient_until != float("inf"):
        _complain(view, tails, manner)


def _complain(view: dict[str, Any], tails: list[Tail], manner: Manner) -> None:
    for tail in tails:
        if not tail.seen:
            manner.say(
                f"the output of job {view['id']} is in {tail.path} on {view.get('host')}; it cannot be seen from here: "
                "it is on that host's own disk, or was removed"
            )

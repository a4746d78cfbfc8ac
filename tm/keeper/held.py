"""The command that a holder holds: on a terminal of its own, or on three pipes; how it is told things and how it ends.

On a terminal the holder is the leader of the session and the command a process group of it, in front. So what ^Z stops
can be seen to stop, and goes on when it is told to, as below a shell.
"""

from __future__ import annotations

import fcntl
import os
import resource
import signal
import struct
import sys
import termios

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import NoReturn

NOT_FOUND = 127
NOT_EXECUTABLE = 126
BLOCK = 256 * 1024
_SET_PIPE_SIZE = getattr(fcntl, "F_SETPIPE_SZ", 1031)
_QUIET = {signal.SIGKILL, signal.SIGSTOP, signal.SIGCHLD, signal.SIGSEGV, signal.SIGBUS, signal.SIGILL, signal.SIGFPE}
STOPPED_BY_KEYS = (signal.SIGTSTP, signal.SIGTTIN, signal.SIGTTOU)


class Held:
    """The command *argv*. *inputs* is the descriptor that takes its input, *outputs* are its outputs by channel."""

    def __init__(self, argv: list[str], terminal: bool) -> None:
        self._argv = argv
        self.terminal = terminal
        self.pid = 0
        self.status: int | None = None
        self.inputs = -1
        self.outputs: dict[int, int] = {}

    def start(self, rows: int, columns: int) -> None:
        """Start it; what cannot be started ends like a shell's command, with 127 or 126 and a line that says so."""
        if self.terminal:
            self._on_terminal(rows, columns)
        else:
            self._on_pipes()

    def _on_terminal(self, rows: int, columns: int) -> None:
        master, slave = os.openpty()
        self.inputs, self.outputs = master, {1: master}
        self.resize(rows, columns)
        fcntl.ioctl(slave, termios.TIOCSCTTY, 0)
        self.pid = _fork()
        if self.pid == 0:
            _become(self._argv, (slave, slave, slave), slave)
        os.close(slave)
        self._settle(master)

    def _on_pipes(self) -> None:
        (stdin, feed), (out, stdout), (err, stderr) = (os.pipe() for _ in range(3))
        try:
            fcntl.fcntl(out, _SET_PIPE_SIZE, BLOCK)
        except OSError:
            pass  # more turns for much output
        self.inputs, self.outputs = feed, {1: out, 2: err}
        self.pid = _fork()
        if self.pid == 0:
            _become(self._argv, (stdin, stdout, stderr), -1)
        for fd in (stdin, stdout, stderr):
            os.close(fd)
        self._settle(feed, out, err)

    def _settle(self, *fds: int) -> None:
        """Have the command in a group of its own, whoever of us comes first, and never wait for it."""
        try:
            os.setpgid(self.pid, self.pid)
        except OSError:
            pass  # it has become its program already, and did this itself
        for fd in fds:
            os.set_blocking(fd, False)

    def resize(self, rows: int, columns: int) -> None:
        """Give its terminal another size, and have what draws on it know, also where the size is the same."""
        if not self.terminal or self.inputs < 0:
            return
        fcntl.ioctl(self.inputs, termios.TIOCSWINSZ, struct.pack("4H", rows, columns, 0, 0))
        self._tell_group(self._in_front(), signal.SIGWINCH)

    def signal(self, number: int) -> None:
        """Send signal *number* to its process group."""
        if self.pid and self.status is None:
            self._tell_group(self.pid, number)
            if number == signal.SIGCONT and self.terminal:
                self._tell_group(self._in_front(), number)

    def hang_up(self) -> None:
        """Tell it to end: nobody is there any more."""
        groups = {self.pid, self._in_front()} - {0}
        if self.pid and self.status is None:
            for number in (signal.SIGHUP, signal.SIGCONT, signal.SIGTERM):
                for group in groups:
                    self._tell_group(group, number)

    def _in_front(self) -> int:
        """Return the process group that its terminal belongs to now, 0 for none."""
        if not self.terminal or self.inputs < 0:
            return 0
        try:
            return max(0, os.tcgetpgrp(self.inputs))
        except OSError:
            return 0

    @staticmethod
    def _tell_group(group: int, number: int) -> None:
        if group > 1:
            try:
                os.killpg(group, number)
            except (ProcessLookupError, PermissionError):
                return

    def see(self) -> bool:
        """See whether it has ended (`status`, as `os.waitpid` has it); return whether keys have stopped it just now."""
        while self.pid and self.status is None:
            pid, status = os.waitpid(self.pid, os.WNOHANG | os.WUNTRACED)
            if pid == 0:
                return False
            if os.WIFSTOPPED(status):
                return os.WSTOPSIG(status) in STOPPED_BY_KEYS
            self.status = status
        return False

    def read(self, channel: int) -> bytes | None:
        """Return output there is on *channel*, None for none now; the channel is gone at its end."""
        try:
            data = os.read(self.outputs[channel], BLOCK)
        except BlockingIOError:
            return None
        except OSError:
            data = b""  # a terminal that nobody has open any more
        if not data:
            self.close(channel)
            return None
        return data

    def write(self, data: bytes | memoryview) -> int:
        """Return how much of *data* it took as input; what it does not want is taken, too."""
        if self.inputs < 0:
            return len(data)
        try:
            return os.write(self.inputs, data)
        except BlockingIOError:
            return 0
        except OSError:
            self.end_input()
            return len(data)

    def end_input(self) -> None:
        """There is no more input. On a terminal that is a key."""
        if self.inputs < 0:
            return
        if not self.terminal:
            os.close(self.inputs)
            self.inputs = -1
        elif self.status is None:
            self.write(b"\x04")

    def close(self, channel: int) -> None:
        """Read no more of *channel*."""
        fd = self.outputs.pop(channel, -1)
        if fd >= 0:
            os.close(fd)
            if fd == self.inputs:
                self.inputs = -1


def _fork() -> int:
    """Fork; signals to the child wait until it is the command: our handlers, which it has at first, would lose them."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
    pid = -1
    try:
        pid = os.fork()
    finally:
        if pid:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)
    return pid


def _become(argv: list[str], files: tuple[int, int, int], terminal: int) -> NoReturn:
    """In the child: be the command."""
    try:
        os.setpgid(0, 0)
        if terminal >= 0:
            signal.signal(signal.SIGTTOU, signal.SIG_IGN)
            os.tcsetpgrp(terminal, os.getpid())
        for number, file in enumerate(files):
            os.dup2(file, number)
        for number in signal.valid_signals() - {signal.SIGKILL, signal.SIGSTOP}:
            if signal.getsignal(number) is not signal.SIG_DFL:
                signal.signal(number, signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_SETMASK, ())
        os.execvp(argv[0], argv)
    except OSError as error:
        os.write(2, f"cannot start {argv[0]}: {error.strerror}\r\n".encode(errors="replace"))
        os._exit(NOT_FOUND if isinstance(error, FileNotFoundError) else NOT_EXECUTABLE)
    finally:
        os._exit(NOT_EXECUTABLE)


def listen_to_signals() -> int:
    """Let no signal end us but KILL; return the descriptor that their numbers are read from."""
    reading, writing = os.pipe()
    for end in (reading, writing):
        os.set_blocking(end, False)
    signal.set_wakeup_fd(writing, warn_on_full_buffer=False)
    for number in signal.valid_signals() - _QUIET | {signal.SIGCHLD}:
        try:
            signal.signal(number, lambda *_: None)
        except (OSError, ValueError):
            continue  # a number that the system's library keeps for itself
    signal.signal(signal.SIGTTOU, signal.SIG_IGN)
    return reading


def end_like(status: int | None) -> int:
    """Return the exit status of a process that ended with the wait status *status*, or die by the same signal."""
    if status is None:
        print("nobody came to see it", file=sys.stderr)
        return 125
    if os.WIFEXITED(status):
        return os.WEXITSTATUS(status)
    number = os.WTERMSIG(status)
    resource.setrlimit(resource.RLIMIT_CORE, (0, resource.getrlimit(resource.RLIMIT_CORE)[1]))
    if number not in (signal.SIGKILL, signal.SIGSTOP):
        signal.signal(number, signal.SIG_DFL)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, (number,))
    os.kill(os.getpid(), number)
    return 128 + number

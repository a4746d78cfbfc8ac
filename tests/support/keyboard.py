"""A terminal with somebody at it: a program on a pseudo-terminal, below a parent that sees it stop, like a shell."""

from __future__ import annotations

import fcntl
import os
import select
import signal
import struct
import termios
import time
from collections.abc import Mapping


class Keyboard:
    """Runs *argv* on a terminal of *rows* and *columns*; what it shows is kept in `shown`."""

    def __init__(
        self, argv: list[str], environment: Mapping[str, str], cwd: str, rows: int = 24, columns: int = 80
    ) -> None:
        self.master, slave = os.openpty()
        self.resize(rows, columns)
        self.shown = b""
        self.status: int | None = None
        leader = os.fork()
        if leader == 0:
            _lead(slave, argv, environment, cwd)
        os.close(slave)
        self._leader = leader

    def resize(self, rows: int, columns: int) -> None:
        """Give the terminal another size."""
        fcntl.ioctl(self.master, termios.TIOCSWINSZ, struct.pack("4H", rows, columns, 0, 0))

    def type(self, keys: bytes) -> None:
        """Type *keys*."""
        os.write(self.master, keys)

    def see(self, text: bytes, seconds: float = 20.0) -> bytes:
        """Wait until *text* is shown; return what was shown up to its end, which counts as seen."""
        deadline = time.monotonic() + seconds
        while text not in self.shown:
            left = deadline - time.monotonic()
            if left <= 0 or not self._read(left):
                raise AssertionError(f"{text!r} was not shown, but {self.shown!r}")
        at = self.shown.index(text) + len(text)
        seen, self.shown = self.shown[:at], self.shown[at:]
        return seen

    def _read(self, seconds: float) -> bool:
        if not select.select([self.master], [], [], seconds)[0]:
            return True
        try:
            data = os.read(self.master, 65536)
        except OSError:
            data = b""
        self.shown += data
        return bool(data)

    def end(self, seconds: float = 20.0) -> int:
        """Wait until the program has ended; return its exit status, -n for signal n."""
        self.see(b"[ended ", seconds)
        return int(self.see(b"]").rstrip(b"]"))

    def kill(self) -> None:
        """Kill the program and leave the terminal."""
        for pid in (self._leader,):
            try:
                for child in _children(pid):
                    os.kill(child, signal.SIGKILL)
                os.kill(pid, signal.SIGKILL)
                os.waitpid(pid, 0)
            except (ProcessLookupError, ChildProcessError):
                pass
        if self.master >= 0:
            os.close(self.master)
            self.master = -1


def _children(pid: int) -> list[int]:
    try:
        with open(f"/proc/{pid}/task/{pid}/children", encoding="ascii") as file:
            return [int(word) for word in file.read().split()]
    except OSError:
        return []


def _lead(slave: int, argv: list[str], environment: Mapping[str, str], cwd: str) -> None:
    """Be the session's leader: run the program in front, say on the terminal when it stops, go on when told ``fg``."""
    try:
        os.setsid()
        fcntl.ioctl(slave, termios.TIOCSCTTY, 0)
        for number in range(3):
            os.dup2(slave, number)
        own = (signal.SIGTTOU, signal.SIGINT, signal.SIGQUIT, signal.SIGTSTP)
        for number in own:
            signal.signal(number, signal.SIG_IGN)
        child = os.fork()
        if child == 0:
            os.setpgid(0, 0)
            os.tcsetpgrp(0, os.getpid())
            for number in own:
                signal.signal(number, signal.SIG_DFL)
            os.chdir(cwd)
            os.execvpe(argv[0], argv, dict(environment))
        while True:
            _, status = os.waitpid(child, os.WUNTRACED)
            os.tcsetpgrp(0, os.getpgrp())
            if not os.WIFSTOPPED(status):
                break
            os.write(1, b"[stopped]")
            while b"fg" not in os.read(0, 1024):
                continue
            os.write(1, b"[goes on]")
            os.tcsetpgrp(0, child)
            os.killpg(child, signal.SIGCONT)
        code = os.WEXITSTATUS(status) if os.WIFEXITED(status) else -os.WTERMSIG(status)
        os.write(1, b"[ended %d]" % code)
        os.read(0, 1)
    finally:
        os._exit(0)

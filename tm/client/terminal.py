"""The terminal of an interactive run: raw while it lasts, and put back whatever happens."""

from __future__ import annotations

import os
import signal

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import FrameType
    from typing import Any

_WATCHED = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGWINCH, signal.SIGTSTP, signal.SIGQUIT)


class RawTerminal:
    """The terminal behind *fd*: from `begin` to `end` it passes every key on. As a context it is put back."""

    def __init__(self, fd: int) -> None:
        self._fd = fd
        self._saved: list[Any] = []

    @property
    def is_raw(self) -> bool:
        """Whether it passes every key on."""
        return bool(self._saved)

    def begin(self) -> None:
        """Pass every key on."""
        import termios
        import tty

        if not self._saved:
            self._saved = termios.tcgetattr(self._fd)
            tty.setraw(self._fd, termios.TCSADRAIN)  # what was typed before counts

    def end(self) -> None:
        """Be as before."""
        import termios

        if self._saved:
            termios.tcsetattr(self._fd, termios.TCSADRAIN, self._saved)
            self._saved = []

    def __enter__(self) -> RawTerminal:
        return self

    def __exit__(self, *failure: object) -> None:
        self.end()


class NoTerminal:
    """What stands in for a `RawTerminal` where there is none."""

    is_raw = False

    def begin(self) -> None:
        """There is nothing to pass on."""

    def end(self) -> None:
        """There is nothing to put back."""

    def __enter__(self) -> NoTerminal:
        return self

    def __exit__(self, *failure: object) -> None:
        pass


class Signals:
    """While entered, signals to this process are gathered; *fd* becomes readable when there are some."""

    def __init__(self) -> None:
        self.fd, self._write = os.pipe()
        os.set_blocking(self.fd, False)
        os.set_blocking(self._write, False)
        self._old: dict[int, Any] = {}
        self._caught: list[int] = []
        self._old_fd = -1

    def __enter__(self) -> Signals:
        self._old_fd = signal.set_wakeup_fd(self._write, warn_on_full_buffer=False)
        for number in _WATCHED:
            self._old[number] = signal.signal(number, self._catch)
        return self

    def __exit__(self, *failure: object) -> None:
        signal.set_wakeup_fd(self._old_fd)
        for number, old in self._old.items():
            signal.signal(number, old)
        os.close(self.fd)
        os.close(self._write)

    @property
    def caught(self) -> bool:
        """Whether any has come: one that comes with a key comes before it, though *fd* may not say so yet."""
        return bool(self._caught)

    def take(self) -> list[int]:
        """Return the signals that have come since the last call."""
        try:
            os.read(self.fd, 512)
        except BlockingIOError:
            pass
        caught, self._caught = self._caught, []
        return caught

    def stop(self) -> None:
        """Stop this process, as ^Z does, with all that its shell started with it; return when it goes on."""
        mine = signal.signal(signal.SIGTSTP, signal.SIG_DFL)
        os.kill(0, signal.SIGTSTP)
        signal.signal(signal.SIGTSTP, mine)

    def _catch(self, number: int, frame: FrameType | None) -> None:
        self._caught.append(number)


def window_size(fd: int) -> tuple[int, int]:
    """Return rows and columns of the terminal behind *fd*, 24 by 80 where it does not say."""
    try:
        size = os.get_terminal_size(fd)
    except OSError:
        return 24, 80
    return size.lines or 24, size.columns or 80

"""A progress line on stderr: redrawn at a terminal, a line now and then elsewhere."""

from __future__ import annotations

import time

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import TextIO

_WIDTH = 24
_REDRAW_SECONDS = 0.2
_LINE_SECONDS = 30.0


class Progress:
    """How many of *total* are done; nothing is shown of what takes less than a second."""

    def __init__(
        self, total: int, what: str, out: TextIO, clock: Callable[[], float] = time.monotonic
    ) -> None:
        self._total = total
        self._what = what
        self._out = out
        self._clock = clock
        self._tty = out.isatty()
        self._begun = clock()
        self._next = self._begun + 1.0
        self._tenth = 0
        self._drawn = False

    def show(self, done: int, failed: int = 0) -> None:
        """Show that *done* are done, *failed* of them badly."""
        now = self._clock()
        tenth = 10 * done // self._total
        if now < self._next and (self._tty or tenth == self._tenth or now - self._begun < 1.0):
            return
        self._next = now + (_REDRAW_SECONDS if self._tty else _LINE_SECONDS)
        self._tenth = tenth
        text = self._text(done, failed, now - self._begun)
        self._out.write(f"\r\x1b[K{text}" if self._tty else text + "\n")
        self._out.flush()
        self._drawn = True

    def end(self) -> None:
        """Remove the line."""
        if self._drawn and self._tty:
            self._out.write("\r\x1b[K")
            self._out.flush()

    def _text(self, done: int, failed: int, seconds: float) -> str:
        filled = _WIDTH * done // self._total
        bar = "#" * filled + "-" * (_WIDTH - filled)
        rate = done / seconds if seconds else 0.0
        left = f"  eta {(self._total - done) / rate:.0f} s" if rate and done < self._total else ""
        bad = f"  {failed} failed" if failed else ""
        share = 100 * done // self._total
        return f"{bar}  {done}/{self._total} {self._what}  {share} %  {rate:.3g}/s{left}{bad}"

"""Numbered lines that say what is being done, what came of it and how long it took."""

from __future__ import annotations

import shutil
import time
from typing import TextIO

from tm.errors import TaskManagerError

NAME_WIDTH = 13
BAR_WIDTH = 16
REDRAW_SECONDS = 0.2


class QuickError(TaskManagerError):
    """Something that the person at the keyboard has to put right; the text says how."""

    def __init__(self, text: str) -> None:
        super().__init__("config.quickstart", text)


class Steps:
    """The lines of *total* steps on *out*: redrawn in place on a terminal, a finished line each elsewhere."""

    def __init__(self, total: int, out: TextIO) -> None:
        self._total = total
        self._out = out
        self._terminal = out.isatty()
        self._number = 0
        self._name = ""
        self._begun = 0.0
        self._drawn = 0.0

    def begin(self, name: str, text: str = "") -> None:
        """Begin the step *name*."""
        self._number += 1
        self._name = name
        self._begun = time.monotonic()
        self._drawn = 0.0
        self.show(text)

    def show(self, text: str) -> None:
        """Show *text* in the line of this step, where it can be replaced."""
        now = time.monotonic()
        if self._terminal and now - self._drawn > REDRAW_SECONDS:
            self._drawn = now
            width = shutil.get_terminal_size().columns - 1
            self._out.write(f"\r\x1b[K{(self._head() + text)[:width]}")
            self._out.flush()

    def end(self, text: str) -> None:
        """Finish the step; its line says *text* and the time it took."""
        line = f"{self._head()}{text:<58}{time.monotonic() - self._begun:6.1f} s"
        self._out.write(f"\r\x1b[K{line}\n" if self._terminal else line + "\n")
        self._out.flush()

    def leave(self) -> None:
        """Leave the line of a step that has failed as it is."""
        if self._terminal and self._name:
            self._out.write("\n")
            self._out.flush()

    def _head(self) -> str:
        return f"[{self._number}/{self._total}] {self._name:<{NAME_WIDTH}} "


def bar(done: int, total: int) -> str:
    """Return a bar that shows *done* of *total*."""
    filled = BAR_WIDTH * done // total
    return f"{'#' * filled}{'-' * (BAR_WIDTH - filled)}  {done}/{total}  {100 * done // total} %"

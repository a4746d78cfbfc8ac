"""What a run writes: one JSON object a line, and lines for whoever watches.

``what`` is ``run`` (the first line: machine, commit, mode), ``test`` (one test for one row), ``drill`` (one call of a
drill), ``absent`` (a drill that can't be run here) or ``end`` (how long all took).
"""

from __future__ import annotations

import json
import subprocess
import time
from pathlib import Path
from typing import TextIO

from benchmarks.record import machine
from tm.places import find_root


class Log:
    """Writes the lines of a run to *file*, if any, and says what is worth it."""

    def __init__(self, file: TextIO | None) -> None:
        self._file = file
        self._began = time.monotonic()

    def begin(self, mode: str, **more: object) -> None:
        """Write where, when and on what the run is made."""
        self.write("run", mode=mode, commit=commit(Path(find_root())), **machine(), **more)

    def write(self, what: str, **more: object) -> None:
        """Write one line."""
        if self._file is not None:
            self._file.write(json.dumps({"what": what, **more}) + "\n")
            self._file.flush()

    def end(self) -> None:
        """Write how long the run took."""
        self.write("end", seconds=round(time.monotonic() - self._began, 1))

    @staticmethod
    def say(text: str) -> None:
        """Show *text* to whoever watches."""
        print(text, flush=True)


def commit(root: Path) -> str:
    """Return the commit of the checkout *root*, with ``+`` when its files were changed; nothing outside one."""
    ask = ["git", "-c", f"safe.directory={root}", "-C", str(root)]
    try:
        found = subprocess.run([*ask, "rev-parse", "--short", "HEAD"], capture_output=True, text=True, check=False)
        changed = subprocess.run([*ask, "status", "--short", "-uno"], capture_output=True, text=True, check=False)
    except FileNotFoundError:
        return ""
    return found.stdout.strip() + ("+" if changed.stdout.strip() else "")

"""What a power cut would leave: a program runs with `power.c` preloaded, which keeps each file as it was last synced.

Names and sizes of folders' entries are taken to survive; what was written and not synced is not.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from unittest import SkipTest

SOURCE = Path(__file__).with_name("power.c")
ROOT = SOURCE.parents[2]
_made: dict[str, str] = {}


def library() -> str:
    """Return the path of the library to preload, made once in each process; skip the test where it cannot be."""
    if "path" not in _made:
        compiler = shutil.which("cc") or shutil.which("gcc")
        if compiler is None:
            raise SkipTest("no C compiler: what was synced cannot be seen")
        folder = tempfile.TemporaryDirectory(prefix="tm-power-")
        path = os.path.join(folder.name, "power.so")
        done = subprocess.run(
            [compiler, "-shared", "-fPIC", "-O1", "-o", path, str(SOURCE), "-ldl"],
            capture_output=True, text=True, check=False,
        )  # fmt: skip
        if done.returncode:
            folder.cleanup()
            raise SkipTest(f"the compiler makes no library to preload: {done.stderr.strip()[-200:]}")
        _made["path"] = path
        _folders.append(folder)
    return _made["path"]


_folders: list[tempfile.TemporaryDirectory[str]] = []


class Power:
    """A folder *kept*, in which is what programs that are run with `variables` have synced."""

    def __init__(self, kept: str) -> None:
        self.kept = kept
        self._history = kept + "-history"
        for folder in (kept, self._history):
            os.makedirs(folder, exist_ok=True)
        self.variables = {
            "LD_PRELOAD": library(), "TM_POWER_FOLDER": kept, "TM_POWER_HISTORY": self._history,
        }  # fmt: skip

    def run(self, code: str, words: Sequence[str] = ()) -> str:
        """Run the Python program *code* with the arguments *words*, killed when it ends; return what it said."""
        program = (
            f"import os\n{code}\nos._exit(0)  # as if the power were cut: nothing is closed or flushed\n"
        )
        done = subprocess.run(
            [sys.executable, "-c", program, *words], cwd=ROOT, env={**os.environ, **self.variables},
            capture_output=True, text=True, check=False, timeout=60,
        )  # fmt: skip
        if done.returncode:
            raise AssertionError(f"the program failed: {done.stderr[-2000:]}")
        return done.stdout

    def moments(self, folder: str) -> Iterator[str]:
        """Yield a folder below *folder* for each moment at which the power may have been cut, with what was left."""
        left = os.path.join(folder, "left")
        os.makedirs(left)
        for entry in sorted(os.listdir(self._history)):
            name = entry.partition("-")[2]
            if name.endswith(".gone"):
                Path(left, name.removesuffix(".gone")).unlink(missing_ok=True)
            else:
                shutil.copy(os.path.join(self._history, entry), os.path.join(left, name))
            moment = os.path.join(folder, entry)
            shutil.copytree(left, moment)
            yield moment

    def read(self, name: str) -> bytes:
        """Return what is left of the file *name*; nothing where it was never synced."""
        try:
            return Path(self.kept, name).read_bytes()
        except FileNotFoundError:
            return b""

"""Where mutants are made and tried: a copy of the checkout for each, its catchers run by trial, nothing left running.

A failure counts only where the broken build still imports, names only what there is, and the same test passes on the
unbroken copy.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterable
from importlib.util import cache_from_source
from itertools import groupby
from pathlib import Path
from typing import NamedTuple

from tests.mutants import Mutant, patched
from tests.mutants.guard import TIME_OVER

ROOT = Path(__file__).resolve().parents[2]
MOST_SECONDS = 150.0
"""So long may one catcher take."""
_SUCCESSES = re.compile(r"^PASSED \(.*?successes=[1-9]", re.MULTILINE)
_REASON = re.compile(r"^(?:[a-z_]\w*\.)+(\w*(?:Error|FailTest|Exception|Failure)\b.*)$", re.MULTILINE)
_NO_BUILD = re.compile(
    r"builtins\.(NameError|UnboundLocalError|ImportError|ModuleNotFoundError|SyntaxError)\b"
)


class Verdict(NamedTuple):
    """How one test ended: passed, failed, skipped, broken (the build is no program) or too late; *told* is the end of
    what it said."""

    outcome: str
    told: str


class Trial(NamedTuple):
    """What came of a mutant: caught (by whom), survived, or does not apply; *notes* say why, test by test."""

    mutant: Mutant
    outcome: str
    caught_by: tuple[str, ...]
    seconds: float
    notes: tuple[str, ...]

    def row(self) -> dict[str, object]:
        """Return it as one line of JSON has it."""
        mutant = self.mutant
        return {
            "mutant": mutant.name, "group": mutant.group, "what": mutant.what, "promise": mutant.promise,
            "caught_by": list(self.caught_by), "outcome": self.outcome, "seconds": round(self.seconds, 1),
        }  # fmt: skip


class Workshop:
    """Copies of the checkout at *root*, in a temporary folder that goes when this is closed."""

    def __init__(self, root: Path = ROOT) -> None:
        self._folder = Path(tempfile.mkdtemp(prefix="tm-mutants-"))
        self._sound = self._folder / "sound"
        self._verdicts: dict[str, Verdict] = {}
        self._locks: dict[str, threading.Lock] = {}
        self._lock = threading.Lock()
        self._running: set[subprocess.Popen[str]] = set()
        self._closed = False
        copy(root, self._sound)

    def close(self) -> None:
        """End what runs, and remove all copies."""
        with self._lock:
            self._closed = True
            running = list(self._running)
        for one in running:
            one.terminate()
        for one in running:
            one.wait()
        shutil.rmtree(self._folder, ignore_errors=True)

    def attempt(self, mutant: Mutant, every: bool = False) -> Trial:
        """Make *mutant* and run its catchers until one fails, or *every* one."""
        begin = time.monotonic()
        folder = Path(tempfile.mkdtemp(prefix=mutant.name + "-", dir=self._folder)) / "broken"
        shutil.copytree(self._sound, folder, symlinks=True, copy_function=os.link)
        try:
            complaint = self._break(mutant, folder)
            if complaint:
                return Trial(mutant, "does not apply", (), time.monotonic() - begin, (complaint,))
            caught, notes = self._hunt(mutant, folder, every)
        finally:
            shutil.rmtree(folder.parent, ignore_errors=True)
        return Trial(mutant, "caught" if caught else "survived", caught, time.monotonic() - begin, notes)

    def _break(self, mutant: Mutant, folder: Path) -> str:
        try:
            for name, text in broken_files(mutant, folder).items():
                (folder / name).unlink()  # it is the same file as the sound one
                (folder / name).write_text(text, encoding="utf-8")
        except (OSError, ValueError) as error:
            return str(error)
        modules = [
            name.removesuffix(".py").replace("/", ".") for name in {edit.file for edit in mutant.edits}
        ]
        code = "import sys, importlib\nfor name in sys.argv[1:]: importlib.import_module(name)"
        done = self._run([sys.executable, "-c", code, *modules], folder, 60)
        return "" if done[0] == 0 else f"it does not import: {done[1][-300:]}"

    def _hunt(self, mutant: Mutant, folder: Path, every: bool) -> tuple[tuple[str, ...], tuple[str, ...]]:
        caught: list[str] = []
        notes: list[str] = []
        for name in mutant.catchers:
            sound = self._on_sound(name)
            if sound.outcome != "passed":
                notes.append(f"{name}: {sound.outcome} on the unbroken copy: {sound.told[-600:]}")
                continue
            verdict = self.trial(name, folder)
            if verdict.outcome == "failed":
                caught.append(name)
                notes.append(f"{name}: {_reason(verdict.told)}")
                if not every:
                    break
            else:
                notes.append(
                    f"{name}: {verdict.outcome}" + (f": {verdict.told[-900:]}" if verdict.told else "")
                )
        return tuple(caught), tuple(notes)

    def _on_sound(self, name: str) -> Verdict:
        with self._lock:
            lock = self._locks.setdefault(name, threading.Lock())
        with lock:
            if name not in self._verdicts:
                self._verdicts[name] = self.trial(name, self._sound)
            return self._verdicts[name]

    def trial(self, name: str, folder: Path) -> Verdict:
        """Run the test *name* in the copy at *folder*."""
        with tempfile.TemporaryDirectory(prefix="trial-", dir=self._folder) as temporary:
            words = [sys.executable, "-m", "twisted.trial", "--temp-directory", f"{temporary}/t", name]
            status, told = self._run(words, folder, MOST_SECONDS)
        if status == 0:
            return Verdict("passed", "") if _SUCCESSES.search(told) else Verdict("skipped", told)
        if status == TIME_OVER:
            return Verdict("too late", told)
        if status != 1 or _NO_BUILD.search(told):
            return Verdict("broken", told)
        return Verdict("failed", told)

    def _run(self, words: list[str], folder: Path, seconds: float) -> tuple[int, str]:
        """Run *words* in *folder* with nothing of it left behind; return its exit status and what it said."""
        guard = [sys.executable, "-m", "tests.mutants.guard", str(seconds), *words]
        leading = ("PYTHON", "TM_", "COVERAGE")
        told = {key: value for key, value in os.environ.items() if not key.startswith(leading)}
        told["PYTHONPATH"] = str(folder)
        with tempfile.TemporaryFile("w+", errors="replace", dir=self._folder) as output:
            with self._lock:
                if self._closed:
                    return 1, "closed"
                running = subprocess.Popen(
                    guard,
                    cwd=folder,
                    env=told,
                    stdin=subprocess.DEVNULL,
                    stdout=output,
                    stderr=output,
                    text=True,
                )
                self._running.add(running)
            try:
                status = running.wait()
            finally:
                with self._lock:
                    self._running.discard(running)
            output.seek(0)
            return status, output.read()


def _reason(told: str) -> str:
    """Return in a line why a test failed, of all that trial *told* of it."""
    found = _REASON.findall(told)
    return str(found[0])[:300] if found else "it failed"


def broken_files(mutant: Mutant, folder: Path) -> dict[str, str]:
    """Return the texts of the files of *mutant*, broken, by path; raise `ValueError` where it does not apply."""
    by_file = groupby(sorted(mutant.edits, key=lambda edit: edit.file), key=lambda edit: edit.file)
    return {
        name: patched((folder / name).read_text(encoding="utf-8"), tuple(edits)) for name, edits in by_file
    }


def copy(root: Path, target: Path) -> None:
    """Copy the checkout at *root* as it is now, but for what git ignores; raise `OSError` without git."""
    listed = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=root,
        capture_output=True,
        text=True,
        check=False,
    )
    if listed.returncode:
        raise OSError(f"{root} is no git checkout: {listed.stderr.strip()}")
    _copy_files(root, target, sorted(set(filter(None, listed.stdout.split("\0")))))


def _copy_files(root: Path, target: Path, names: Iterable[str]) -> None:
    for name in names:
        source = root / name
        if source.is_symlink() or source.is_file():
            (target / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(source, target / name, follow_symlinks=False)
        compiled = cache_from_source(str(source)) if source.suffix == ".py" else ""
        if compiled and os.path.exists(compiled):  # good as long as times and sizes are the same
            place = Path(cache_from_source(str(target / name)))
            place.parent.mkdir(exist_ok=True)
            shutil.copy2(compiled, place)

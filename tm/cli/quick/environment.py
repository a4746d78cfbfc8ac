"""The virtual environment ``.venv``: made once, made again when what it should hold has changed."""

from __future__ import annotations

import glob
import hashlib
import importlib.util
import os
import subprocess
import sys
from collections.abc import Iterable, Sequence

from tm.cli.quick.steps import QuickError, Steps

STAMP = "taskmanager.stamp"
SHOWN_LINES = 6


class Environment:
    """The environment of the checkout *root*."""

    def __init__(self, root: str) -> None:
        self._root = root
        self.folder = os.path.join(root, ".venv")
        self.python = os.path.join(self.folder, "bin", "python")
        self._stamp = os.path.join(self.folder, STAMP)

    def ensure(self, steps: Steps, extra: str = "") -> None:
        """Have the libraries here, those of *extra* too. Raises `QuickError`."""
        has = self._read_stamp()
        if has[:1] == [self._wanted()] and (not extra or extra in has[1:]):
            steps.end(f".venv, {self._count()} packages")
            return
        if not has or not os.path.exists(self.python):
            self._create(steps)
        steps.show("installing the libraries")
        what = self._root + (f"[{extra}]" if extra else "")
        self._run([*self._pip(), "install", "--quiet", "--editable", what], "the libraries cannot be installed")
        self.mark({extra, *has[1:]} - {""})
        steps.end(f".venv, {self._count()} packages")

    def mark(self, extras: Iterable[str] = ()) -> None:
        """Remember that all libraries are here, those of *extras* too."""
        with open(self._stamp, "w", encoding="utf-8") as file:
            file.write("\n".join([self._wanted(), *extras]) + "\n")

    def _create(self, steps: Steps) -> None:
        steps.show("making .venv")
        options = ["--clear"] if os.path.exists(self.folder) else []
        if importlib.util.find_spec("ensurepip") is None:
            if importlib.util.find_spec("pip") is None:
                version = f"{sys.version_info.major}.{sys.version_info.minor}"
                raise QuickError(
                    f"this Python ({sys.executable}) can make no virtual environments with pip in them; on Debian and "
                    f"Ubuntu 'apt install python{version}-venv' puts that right"
                )
            options.append("--without-pip")
        self._run([sys.executable, "-m", "venv", *options, self.folder], "no virtual environment can be made")

    def _pip(self) -> list[str]:
        """Return the command of this environment's pip, or of our own when it has none."""
        if glob.glob(os.path.join(self.folder, "lib", "python3*", "site-packages", "pip")):
            return [self.python, "-m", "pip", "--disable-pip-version-check", "--no-input"]
        return [sys.executable, "-m", "pip", "--disable-pip-version-check", "--no-input", "--python", self.python]

    def _run(self, command: Sequence[str], failure: str) -> None:
        done = subprocess.run(
            command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
            errors="replace",
        )  # fmt: skip
        if done.returncode:
            lines = [line.strip() for line in done.stdout.splitlines() if line.strip()]
            errors = [line for line in lines if line.startswith("ERROR")] or lines
            said = "\n".join("    " + line for line in errors[-SHOWN_LINES:])
            raise QuickError(
                f"{failure}; this was said:\n{said}\n'{' '.join(command)}' shows it again. "
                "pip is led by PIP_INDEX_URL, PIP_FIND_LINKS and the like."
            )

    def _wanted(self) -> str:
        """Return what tells this environment from one of another checkout, Python or list of libraries."""
        with open(os.path.join(self._root, "pyproject.toml"), "rb") as file:
            content = file.read()
        return hashlib.sha256(f"{self._root}\n{sys.version}\n".encode() + content).hexdigest()

    def _read_stamp(self) -> list[str]:
        try:
            with open(self._stamp, encoding="utf-8") as file:
                return file.read().split("\n")[:-1]
        except OSError:
            return []

    def _count(self) -> int:
        return len(glob.glob(os.path.join(self.folder, "lib", "python3*", "site-packages", "*.dist-info")))

"""Copies of this checkout, and virtual environments that need no network: they see the libraries of the tests' own."""

from __future__ import annotations

import os
import shutil
import site
import subprocess
import sys
import sysconfig
import venv
from collections.abc import Mapping
from types import MappingProxyType

from tm.places import find_root

_OWN = ("taskmanager", "__editable__")
_LEFT_OUT = shutil.ignore_patterns(
    ".git", ".venv", "var", "certs", "build", "dist", "__pycache__", "*.egg-info", "_trial_temp*", ".*_cache",
    ".hypothesis", "TaskDispatcher.info", "users", "groups", "ComputerCluster.config", "*.out",
)  # fmt: skip


def copy_checkout(target: str) -> str:
    """Copy this checkout, without what is made in it, to *target*; return it."""
    shutil.copytree(find_root(), target, symlinks=True, ignore=_LEFT_OUT)
    return target


def make_environment(folder: str) -> str:
    """Make a virtual environment in *folder*: Twisted in it, the other libraries seen from it; return its Python."""
    venv.create(folder, symlinks=True, with_pip=False)
    python = os.path.join(folder, "bin", "python")
    own = sysconfig.get_path("purelib", vars={"base": folder, "platbase": folder})
    libraries = os.path.join(folder, "libraries")
    os.mkdir(libraries)
    for path in sorted({sysconfig.get_path("purelib"), sysconfig.get_path("platlib"), *site.getsitepackages()}):
        for name in os.listdir(path) if os.path.isdir(path) else ():
            source, lowered = os.path.join(path, name), name.lower()
            if lowered.startswith(_OWN) or name.endswith(".pth"):
                continue
            if lowered == "twisted" or (lowered.startswith("twisted-") and lowered.endswith("-info")):
                shutil.copytree(source, os.path.join(own, name), dirs_exist_ok=True, ignore=_of_ours)
            elif not os.path.lexists(os.path.join(libraries, name)):
                os.symlink(source, os.path.join(libraries, name))
    with open(os.path.join(own, "libraries.pth"), "w", encoding="utf-8") as file:
        file.write(libraries + "\n")
    return python


def run(
    command: list[str], cwd: str, told: Mapping[str, str] = MappingProxyType({})
) -> subprocess.CompletedProcess[str]:
    """Run *command* without input, and without what would lead Python or us elsewhere, but as it is *told*."""
    leading = ("PYTHON", "TM_", "PIP_")
    environment = {key: value for key, value in os.environ.items() if not key.startswith(leading)} | told
    return subprocess.run(
        command, cwd=cwd, env=environment, stdin=subprocess.DEVNULL, capture_output=True, text=True, errors="replace",
        timeout=300,
    )  # fmt: skip


def pip(python: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run our pip on the environment of *python*; no network."""
    quiet = ["--disable-pip-version-check", "--no-input", "--no-cache-dir"]
    return run([sys.executable, "-m", "pip", *quiet, "--python", python, *arguments], "/")


def _of_ours(folder: str, names: list[str]) -> list[str]:
    return [name for name in names if name in ("tm_plugins.py", "__pycache__", "dropin.cache")]

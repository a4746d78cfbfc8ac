"""The one-file programs, made once for all tests of a run, and a Python that has none of the libraries they hold."""

from __future__ import annotations

import atexit
import os
import shutil
import subprocess
import sys
import tempfile
from functools import cache

from tm.places import find_root


@cache
def made() -> str:
    """Make the one-file programs; return their folder."""
    folder = tempfile.mkdtemp(prefix="tm-dist-", dir="/tmp")
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    build = os.path.join(find_root(), "scripts", "mkDist.sh")
    environment = {**os.environ, "TM_PYTHON": sys.executable}
    done = subprocess.run([build, "--into", folder], env=environment, capture_output=True, text=True, timeout=300)
    if done.returncode != 0:
        raise AssertionError(done.stdout + done.stderr)
    return folder


def servers() -> str:
    """Return the path of the file that holds everything."""
    (name,) = (name for name in os.listdir(made()) if name != "tm-clients.pyz")
    return os.path.join(made(), name)


def clients() -> str:
    """Return the path of the file that holds the clients."""
    return os.path.join(made(), "tm-clients.pyz")


@cache
def bare_python() -> str:
    """Return the Python that our environment is made of; it has neither Twisted nor us."""
    python: str = os.path.realpath(getattr(sys, "_base_executable", sys.executable))
    done = subprocess.run([python, "-c", "import twisted"], capture_output=True, check=False, cwd="/")
    return python if done.returncode != 0 else ""

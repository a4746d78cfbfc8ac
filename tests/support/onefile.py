"""The one-file programs, made once for all tests of a run, and a Python that has none of the libraries they hold."""

from __future__ import annotations

import atexit
import os
import shutil
import subprocess
import sys
import tempfile
import venv
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
    """Return a Python that has neither Twisted nor us: that of an environment in which nothing is installed."""
    folder = tempfile.mkdtemp(prefix="tm-bare-", dir="/tmp")
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    venv.create(folder, with_pip=False, symlinks=True)
    python = os.path.join(folder, "bin", "python3")
    done = subprocess.run([python, "-I", "-c", "import twisted.internet"], capture_output=True, check=False)
    assert done.returncode != 0, "an empty environment has Twisted"
    return python

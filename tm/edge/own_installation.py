"""The installation that this process runs from, as it starts programs of ours elsewhere."""

from __future__ import annotations

import os
import pwd
import sys
from collections.abc import Mapping

from tm.model.installed import Own
from tm.places import find_program

ONE_FILE = "TM_ONE_FILE"
HANDED_DOWN = (
    "TM_ETC", "TM_USER", "TM_USER_DIRECTORY", "TM_LOCAL_DIRECTORY", "TM_PYTHON", "TM_PROGRAMS", "TM_IDLE_SECONDS",
)  # fmt: skip
"""The variables that a server on a host gets from who starts it."""


def own_installation(name: str, root: str, python: str, environ: Mapping[str, str] = os.environ) -> Own:
    """Return how *python* starts the program *name* of the installation in *root*, and whose that is."""
    return Own(
        python=python,
        script=find_program(name, root, python),
        owner=_owner(root),
        version=f"{sys.version_info.major}.{sys.version_info.minor}",
        one_file=environ.get(ONE_FILE, ""),
    )


def _owner(root: str) -> str:
    """Return the account whose installation it is; whoever runs it obeys them already."""
    try:
        return pwd.getpwuid(os.stat(root).st_uid).pw_name
    except (OSError, KeyError):
        return ""

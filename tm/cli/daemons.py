"""``bin/TaskDispatcher``, ``bin/TMS`` and ``bin/TMMS``: twistd with everything explicit that it would else take from where it stands."""

from __future__ import annotations

import os
import sys

from tm.places import find_python, find_root

PLUGINS = {
    "TaskDispatcher": "taskdispatcher",
    "TMS": "taskmanagerserver",
    "TMMS": "taskmanagerhost",
}


def run(name: str, arguments: list[str]) -> None:
    """Become the daemon *name*; ``-n`` as the first argument keeps it in the foreground."""
    root = find_root()
    try:
        from twisted.scripts import twistd
    except ImportError:
        python = find_python(root)
        if os.path.abspath(python) == os.path.abspath(sys.executable):
            sys.exit(f"{name}: this Python ({sys.executable}) has no Twisted; run 'python3 quickstart.py' or set TM_PYTHON")
        os.execv(python, [python, sys.argv[0], *arguments])
    foreground = ["--nodaemon"] if arguments[:1] == ["-n"] else []
    sys.argv = [
        name, *foreground, "--pidfile=", "--logger=tm.edge.log.quiet", "--umask=077", "--rundir=/",
        PLUGINS[name], *arguments[len(foreground) :],
    ]  # fmt: skip
    twistd.run()

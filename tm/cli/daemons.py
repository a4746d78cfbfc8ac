"""The servers' programs, e.g. ``TaskDispatcher``: twistd, told what it would else take from its surroundings."""

from __future__ import annotations

import os
import sys

from tm.edge import survival
from tm.keeper import cgroup
from tm.lineage import become_daemon, leave_job
from tm.places import find_python, find_root

PLUGINS = {
    "TaskDispatcher": "taskdispatcher",
    "TMS": "taskmanagerserver",
    "TMMS": "taskmanagerhost",
    "InfoServer": "infoserver",
    "TaskWeb": "taskweb",
}


def task_dispatcher() -> None:
    """Be the TaskDispatcher."""
    run("TaskDispatcher", sys.argv[1:])


def tms() -> None:
    """Be the server of the calling user, a TMS."""
    run("TMS", sys.argv[1:])


def tmms() -> None:
    """Be the server of the calling user on this host, a TMMS."""
    run("TMMS", sys.argv[1:])


def info_server() -> None:
    """Be the InfoServer of this host."""
    run("InfoServer", sys.argv[1:])


def task_web() -> None:
    """Be the web interface."""
    run("TaskWeb", sys.argv[1:])


def run(name: str, arguments: list[str]) -> None:
    """Become the daemon *name*; ``-n`` as the first argument keeps it in the foreground, and in its job, if any."""
    program = os.path.abspath(sys.argv[0])
    leave_job(os.environ)
    if arguments[:1] != ["-n"]:
        survival.enter_scope(survival.own_command())
        cgroup.leave_job()
        become_daemon()
    survival.entered(os.environ)
    try:
        from twisted.scripts import twistd
    except ImportError:
        python = find_python(find_root())
        if os.path.abspath(python) == os.path.abspath(sys.executable):
            sys.exit(
                f"{name}: this Python ({sys.executable}) has no Twisted; run 'python3 quickstart.py' or set TM_PYTHON"
            )
        os.execv(python, [python, program, *arguments])
    foreground = ["--nodaemon"] if arguments[:1] == ["-n"] else []
    sys.argv = [
        program, *foreground, "--pidfile=", "--logger=tm.edge.log.quiet", "--umask=077", "--rundir=/",
        PLUGINS[name], *arguments[len(foreground) :],
    ]  # fmt: skip
    twistd.run()

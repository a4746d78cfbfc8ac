"""Whose a process is: a job's, by the variables that its processes inherit, or a daemon of ours, by its name.

A daemon may be started from within a job, by any client there, and then lives on without it. So it drops the job's
variables and names itself in the kernel's table (``comm``). That name comes with ``fork``, so it outlasts the forks
of a daemon that detaches, but never with ``exec``: no program that is started anywhere has it for nothing.
"""

from __future__ import annotations

import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import MutableMapping

DAEMON = "TM:daemon"
LEFT = "TM_LEFT_JOB"
JOB_VARIABLES = frozenset({"TM_JOB_ID", "TM_ATTEMPT", "TM_JOB_NAME", "TM_HOST", "TM_CLUSTER", "TM_CORES"})


def leave_job(environment: MutableMapping[str, str]) -> None:
    """Take out of *environment* what tells a process which job it belongs to; note there that it was one's."""
    if "TM_JOB_ID" in environment:
        environment[LEFT] = "1"
    for name in JOB_VARIABLES:
        environment.pop(name, None)


def become_daemon() -> None:
    """Name this process a daemon of ours, as long as it runs this program; where that cannot be, it is none.

    One that was started from within a job lays off the limits that it has from there.
    """
    if os.environ.pop(LEFT, ""):
        _lay_off_limits()
    try:
        with open("/proc/self/comm", "w", encoding="ascii") as file:
            file.write(DAEMON)
    except OSError:
        return


def _lay_off_limits() -> None:
    try:
        import resource

        os.sched_setaffinity(0, range(os.cpu_count() or 1))
        hard = resource.getrlimit(resource.RLIMIT_DATA)[1]
        resource.setrlimit(resource.RLIMIT_DATA, (hard, hard))
    except (ImportError, AttributeError, OSError, ValueError):
        return

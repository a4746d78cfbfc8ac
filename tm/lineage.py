"""Whose a process is: a job's, by the variables that its processes inherit, or a daemon of ours, by its name.

A daemon may be started from within a job, by any client there, and then lives on without it. So it drops the job's
variables and names itself in the kernel's table (``comm``). That name comes with ``fork``, so it outlasts the forks
of a daemon that detaches, but never with ``exec``: no program that is started anywhere has it for nothing.
"""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import MutableMapping

DAEMON = "TM:daemon"
JOB_VARIABLES = frozenset({"TM_JOB_ID", "TM_ATTEMPT", "TM_JOB_NAME", "TM_HOST", "TM_CLUSTER", "TM_CORES"})


def leave_job(environment: MutableMapping[str, str]) -> None:
    """Take out of *environment* what tells a process which job it belongs to."""
    for name in JOB_VARIABLES:
        environment.pop(name, None)


def become_daemon() -> None:
    """Name this process a daemon of ours, as long as it runs this program; where that cannot be, it is none."""
    try:
        with open("/proc/self/comm", "w", encoding="ascii") as file:
            file.write(DAEMON)
    except OSError:
        return

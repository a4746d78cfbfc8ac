"""How a daemon outlives the login that started it: what there is, what is best, and how it is called.

Pure. A login's processes are in a *session*, which logind may end with the login (``KillUserProcesses``); an account's
*user manager* keeps units of its own, until the last logout, or for ever where the account is *lingering*.
"""

from __future__ import annotations

import re
from typing import NamedTuple

OWN_SESSION = "own session"
ENDS = "ends at logout"

_IN_SESSION = re.compile(r"/session-[^/]+\.scope(/|\Z)")
_MANAGER = re.compile(r"/user@(\d+)\.service(?=/|\Z)")


class Surroundings(NamedTuple):
    """Where a process of account number *uid* is: its control group, whether the account's user manager *answers* and
    is *lingering*, and whether logins are ended with all their processes (None: nobody can say)."""

    cgroup: str
    uid: int
    answers: bool
    lingering: bool
    kills: bool | None


def in_session(cgroup: str) -> bool:
    """Whether a process with this control group belongs to a login."""
    return _IN_SESSION.search(cgroup) is not None


def in_manager(cgroup: str, uid: int) -> bool:
    """Whether it belongs to the account's user manager."""
    found = _MANAGER.search(cgroup)
    return found is not None and int(found[1]) == uid


def wants_scope(here: Surroundings) -> bool:
    """Whether a daemon should be started in a scope of its own of the user manager.

    From a login: where that outlives the login, or the login would end it. From a unit, which would end it with itself.
    """
    if not here.answers:
        return False
    if in_session(here.cgroup):
        return here.lingering or here.kills is True
    return in_manager(here.cgroup, here.uid) and here.cgroup.rstrip("/").endswith(".service")


def words(here: Surroundings) -> str:
    """Return what is in force for a process: ``user scope, lingering``, ``own session``, …"""
    if in_manager(here.cgroup, here.uid):
        kind = "unit" if here.cgroup.rstrip("/").endswith(".service") else "scope"
        return f"user {kind}, {'lingering' if here.lingering else ENDS}"
    if in_session(here.cgroup) and here.kills:
        return f"{OWN_SESSION}, {ENDS}"
    return OWN_SESSION


def own_cgroup(text: str) -> str:
    """Return the control group that systemd knows, from the *text* of ``/proc/PID/cgroup``; empty if there is none."""
    found = ""
    for line in text.splitlines():
        _, controllers, path = [*line.split(":", 2), "", ""][:3]
        if controllers == "name=systemd" or (not controllers and not found):
            found = path
    return found

"""Where this process is in the eyes of systemd, and the step into a scope that outlives a logout.

Standard library only: it is taken before anything else of a daemon is loaded. Where there is no systemd nothing is run.
"""

from __future__ import annotations

import os
import pwd
import subprocess
import sys
from collections.abc import Mapping, MutableMapping

from tm.keeper import cgroup
from tm.model import survival
from tm.model.survival import Surroundings

PATIENCE_SECONDS = 5.0
SCOPED = "TM_SCOPED"
DELEGATED = "delegated"
_SCOPE = ["systemd-run", "--user", "--scope", "--quiet", "--collect", "--description=TaskManager"]
_WAYS = (([*_SCOPE, "--property=Delegate=yes", "--"], DELEGATED), ([*_SCOPE, "--"], "1"))
"""How to get a scope: one that is handed over, for groups of our own in it, or another; what each is called."""

_LOGIND = ("org.freedesktop.login1", "/org/freedesktop/login1", "org.freedesktop.login1.Manager")


def look(environ: Mapping[str, str] = os.environ, root: str = "/") -> Surroundings:
    """Return the surroundings of this process; *root* is where ``proc``, ``run`` and ``var`` are."""
    uid = os.getuid()
    cgroup = survival.own_cgroup(_read(os.path.join(root, "proc/self/cgroup")))
    answers = os.path.exists(os.path.join(root, f"run/user/{uid}/systemd/private"))
    lingering = os.path.exists(os.path.join(root, "var/lib/systemd/linger", account()))
    asks = survival.in_session(cgroup) and not (answers and lingering)
    return Surroundings(cgroup, uid, answers, lingering, _kills(environ) if asks else None)


def in_force() -> str:
    """Return in words how this daemon outlives a logout."""
    return survival.words(look())


def enter_scope(command: list[str], environ: Mapping[str, str] = os.environ, root: str = "/") -> None:
    """Become *command* again in a scope of the account's user manager, where that is better than to stay here."""
    if SCOPED in environ or not survival.wants_scope(look(environ, root)):
        return
    for scope, kind in _WAYS:
        variables = {**with_manager(environ), SCOPED: kind}
        if run([*scope, "true"], variables) is None:
            continue
        try:
            os.execvpe(scope[0], [*scope, *command], variables)
        except OSError:
            return


def entered(environ: MutableMapping[str, str]) -> None:
    """Note in *environ* what came of entering a scope, for all that is started from here on."""
    if environ.pop(SCOPED, "") == DELEGATED:
        environ[cgroup.DELEGATED] = "1"


def with_manager(environ: Mapping[str, str]) -> dict[str, str]:
    """Return *environ* with what leads to the account's user manager, also where no login has set it."""
    runtime = environ.get("XDG_RUNTIME_DIR") or f"/run/user/{os.getuid()}"
    return {**environ, "XDG_RUNTIME_DIR": runtime}


def run(command: list[str], environ: Mapping[str, str], given: str | None = None) -> str | None:
    """Return what a short *command* says, None where it fails, hangs or is not there."""
    try:
        done = subprocess.run(
            command, env=dict(environ), input=given or "", capture_output=True, text=True, errors="replace",
            timeout=PATIENCE_SECONDS, check=False,
        )  # fmt: skip
    except (OSError, subprocess.TimeoutExpired):
        return None
    return done.stdout if done.returncode == 0 else None


def own_command() -> list[str]:
    """Return the command line that started this process."""
    return [sys.executable, *sys.orig_argv[1:]]


def account() -> str:
    """Return the name of the account."""
    try:
        return pwd.getpwuid(os.getuid()).pw_name
    except KeyError:
        return str(os.getuid())


def _kills(environ: Mapping[str, str]) -> bool | None:
    said = run(["busctl", "get-property", *_LOGIND, "KillUserProcesses"], environ)
    return None if said is None else said.split() == ["b", "true"]


def _read(path: str) -> str:
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            return file.read()
    except OSError:
        return ""

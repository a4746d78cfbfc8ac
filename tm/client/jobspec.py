"""What the command line and the shell around it say about a job, as the values of ``submit``."""

from __future__ import annotations

import os

from tm.client.program import UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    import argparse
    from collections.abc import Mapping
    from typing import Any

DEFAULT_OUTPUT = "tm-%j.out"
_KEPT = {"TM_ETC", "TM_USER", "TM_USER_DIRECTORY", "TM_LOCAL_DIRECTORY", "TM_PYTHON"}
_OF_SESSION = {"_", "OLDPWD", "SHLVL", "PWD", "STY", "TMUX", "TMUX_PANE", "WINDOWID", "COLUMNS", "LINES"}
_SESSION_FAMILIES = ("SSH_", "XDG_SESSION_", "TM_")
_MINIMUM = ("HOME", "LOGNAME", "PATH", "SHELL", "USER")


def make_common(options: argparse.Namespace, environ: Mapping[str, str]) -> dict[str, Any]:
    """Return what all jobs of a submission share; raise `UsageError`."""
    cwd = job_directory(options.chdir, environ)
    common: dict[str, Any] = {
        "cwd": cwd,
        "environment": capture(environ, options.export, options.env, cwd),
        "umask": current_umask() if options.umask is None else options.umask,
        "stdout": options.output or DEFAULT_OUTPUT,
    }
    wanted = {
        "name": options.name,
        "stdin": options.input and os.path.abspath(options.input),
        "stderr": options.error,
        "append": options.append or None,
        "cores": options.cores,
        "memory": options.mem,
        "priority": options.priority,
        "hosts": host_list(options.host),
        "requeue": options.requeue or None,
    }
    common.update((key, value) for key, value in wanted.items() if value is not None)
    return common


def job_directory(chdir: str | None, environ: Mapping[str, str]) -> str:
    """Return the job's working directory: *chdir*, else ours, by the name the shell has for it."""
    try:
        here = os.getcwd()
        named = environ.get("PWD", "")
        if os.path.isabs(named) and named != here and os.path.samefile(named, here):
            here = named
    except OSError:
        if chdir is None or not os.path.isabs(chdir):
            raise UsageError("the folder you are in does not exist any more; name one with --chdir") from None
        here = "/"
    return os.path.normpath(os.path.join(here, chdir)) if chdir else here


def capture(environ: Mapping[str, str], export: str, additions: list[str], cwd: str) -> dict[str, str]:
    """Return the environment of a job.

    *export* is ``ALL``, ``NONE`` (only HOME, LOGNAME, PATH, SHELL, USER) or a list of names and
    ``NAME=VALUE``, in which ``ALL`` may stand too; *additions* are ``NAME=VALUE``. What belongs to this login
    session, or to TaskManager's inside, and what is not UTF-8, stays behind.
    """
    words = [word for word in export.split(",") if word]
    if "ALL" in words:
        found = {key: value for key, value in environ.items() if _travels(key)}
    else:
        found = {key: environ[key] for key in _MINIMUM if key in environ}
    for word in words:
        key, equals, value = word.partition("=")
        if equals:
            found[_checked(key, word)] = value
        elif word in environ:
            found[word] = environ[word]
    for word in additions:
        key, equals, value = word.partition("=")
        found[_checked(key if equals else "", word)] = value
    found["PWD"] = cwd
    return {key: value for key, value in found.items() if _is_text(key) and _is_text(value)}


def _travels(key: str) -> bool:
    return key in _KEPT or not (key in _OF_SESSION or key.startswith(_SESSION_FAMILIES))


def _checked(key: str, word: str) -> str:
    if not key:
        raise UsageError(f"'{word}': a variable is written NAME=VALUE")
    return key


def _is_text(value: str) -> bool:
    try:
        value.encode()
    except UnicodeEncodeError:
        return False
    return True


def current_umask() -> int:
    """Return this process's umask."""
    mask = os.umask(0o077)
    os.umask(mask)
    return mask


def host_list(text: str | None) -> list[str] | None:
    """Return the names in ``a,b``; None for None."""
    return None if text is None else [name for name in text.split(",") if name]

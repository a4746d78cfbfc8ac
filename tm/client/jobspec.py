"""What the command line and the shell around it say about a job, as the values of ``submit``."""

from __future__ import annotations

import os

from tm.client.program import UsageError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from tm.client.options import Options

DEFAULT_OUTPUT = "tm-%j.out"
DEFAULT_BUNDLE = "tm-%j.bundle"
_KEPT = {"TM_ETC", "TM_USER", "TM_USER_DIRECTORY", "TM_LOCAL_DIRECTORY", "TM_PYTHON"}
_OF_SESSION = {"_", "OLDPWD", "SHLVL", "PWD", "STY", "TMUX", "TMUX_PANE", "WINDOWID", "COLUMNS", "LINES"}
_SESSION_FAMILIES = ("SSH_", "XDG_SESSION_", "TM_")
_MINIMUM = ("HOME", "LOGNAME", "PATH", "SHELL", "USER")


def make_common(options: Options, environ: Mapping[str, str]) -> dict[str, Any]:
    """Return what all jobs of a submission share; raise `UsageError` for what does not go together."""
    _check(options)
    cwd = job_directory(options.chdir, environ)
    common: dict[str, Any] = {
        "cwd": cwd,
        "environment": capture(environ, "ALL" if options.export is None else options.export, options.env, cwd),
        "umask": current_umask() if options.umask is None else options.umask,
        "stdout": options.output or (DEFAULT_BUNDLE if options.bundle else DEFAULT_OUTPUT),
    }
    common.update((key, value) for key, value in _wanted(options).items() if value is not None)
    return common


def _wanted(options: Options) -> dict[str, Any]:
    """Return the fields of a job that the options speak of, None for those they do not."""
    gpus, consumables = _resources(options)
    events = _events(options)
    indices, cap = options.array or (None, None)
    warn_signal, warn_seconds = options.signal or (None, None)
    memory = options.mem
    if options.mem_per_cpu is not None:
        memory = options.mem_per_cpu * (options.cores or 1)
    return {
        "name": options.name, "stdin": options.input and os.path.abspath(options.input), "stderr": options.error,
        "append": options.append or options.open_mode == "append" or None, "cores": options.cores, "memory": memory,
        "gpus": gpus, "consumables": consumables, "time": options.time, "warn_signal": warn_signal,
        "warn_seconds": warn_seconds, "processes": options.processes, "output_limit": options.output_limit,
        "priority": _priority(options), "hosts": options.host, "exclude": options.exclude,
        "constraint": options.constraint, "prefer": options.prefer, "exclusive": options.exclusive or None,
        "layout": options.layout or None, "scavenge": options.scavenge or None, "account": options.account,
        "array": indices, "array_cap": cap or None, "bundle": options.bundle or None,
        "dependency": options.dependency, "begin": options.begin, "deadline": options.deadline,
        "hold": options.hold or None, "requeue": options.requeue or None, "retries": options.retries,
        "retry_on": options.retry_on, "retry_delay": options.retry_delay, "retry_memory": options.retry_memory,
        "notify": options.mail_user if events else None, "notify_on": events, "notify_after": options.notify_after,
        "comment": options.comment,
    }  # fmt: skip


def _check(options: Options) -> None:
    """Raise `UsageError` for options of which one makes no sense beside another, or without it."""
    given = options.given
    if options.bundle and options.array is None and options.map is None and options.map_file is None:
        raise UsageError(f"{given['bundle']} gathers the outputs of the tasks of an array; it needs --array or --map")
    for dest, needed, why in (
        ("retry_on", "retries", "says which endings are tried again, how often says --retries N"),
        ("retry_delay", "retries", "is the pause before another try, how often says --retries N"),
        ("retry_memory", "retries", "is for another try, how often says --retries N"),
    ):
        if dest in given and getattr(options, needed) in (None, 0, []):
            raise UsageError(f"{given[dest]} {why}")
    if options.mem is not None and options.mem_per_cpu is not None:
        raise UsageError("--mem and --mem-per-cpu exclude each other")
    if options.deadline is not None:
        import time

        begin = max(options.begin or 0.0, time.time())
        if begin + (options.time or 0.0) > options.deadline:
            raise UsageError("--deadline: by then it cannot be done" + (" in the time it asks" if options.time else ""))


def _resources(options: Options) -> tuple[int | None, dict[str, int] | None]:
    """Return the gpus and the other things that can be counted."""
    counts = dict(options.licenses or {})
    gpus = options.gpus
    for name, count in (options.gres or {}).items():
        if name == "gpu":
            if gpus is not None and gpus != count:
                raise UsageError(f"--gpus says {gpus}, --gres says {count}")
            gpus = count
        elif count:
            counts[name] = counts.get(name, 0) + count
    return gpus, counts or None


def _priority(options: Options) -> int | None:
    if options.nice is None:
        return None if options.priority is None else int(options.priority)
    return max(-1000, min(1000, (options.priority or 0) - int(options.nice)))


def _events(options: Options) -> list[str] | None:
    """Return of what is told; who names an address alone wants to hear of the end."""
    events = options.mail_type
    if events is None and options.mail_user:
        events = [] if options.notify_after else ["end"]
    if options.notify_after and "waiting" not in (events or []):
        events = [*(events or []), "waiting"]
    return list(events) if events else None


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
    session, or to TaskManager's inside, and what is not UTF-8, stays behind unless it is named.
    """
    words = [word for word in export.split(",") if word]
    if "ALL" in words:
        found = {key: value for key, value in environ.items() if _travels(key)}
    else:
        found = {key: environ[key] for key in _MINIMUM if key in environ}
    found = {key: value for key, value in found.items() if _is_text(key) and _is_text(value)}
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
    return found


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

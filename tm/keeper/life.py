"""Being a daemon of one number: lock, pidfile, session, signals, and leaving nothing behind."""

from __future__ import annotations

import contextlib
import fcntl
import os
import signal

from tm.errors import TaskManagerError
from tm.lineage import become_daemon

WOKEN_BY = (signal.SIGCHLD, signal.SIGTERM)
UNMOVED_BY = (signal.SIGHUP, signal.SIGINT, signal.SIGQUIT, signal.SIGALRM, signal.SIGUSR1, signal.SIGUSR2)


def claim(spool: str, number: int) -> int:
    """Make *spool* the working directory and *number* ours; return the lock, to be held open until the end.

    Raises `TaskManagerError` (``busy.keeper``, ``config.spool``) with a sentence.
    """
    try:
        os.chdir(spool)
        _hold()
        while True:
            lock = os.open(f"keeper-{number}.lock", os.O_RDWR | os.O_CREAT, 0o600)
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if _is_still_there(lock, f"keeper-{number}.lock"):
                break
            os.close(lock)
    except BlockingIOError:
        raise TaskManagerError(
            "busy.keeper",
            f"keeper {number} of {spool} is already running; connect to {spool}/keeper-{number}.sock",
        ) from None
    except OSError as error:
        raise TaskManagerError("config.spool", f"cannot work in {spool}: {error.strerror}") from None
    with contextlib.suppress(FileNotFoundError):
        if os.stat(f"keeper-{number}.log").st_size:
            raise TaskManagerError(
                "busy.keeper",
                f"{spool}/keeper-{number}.log is the journal of an earlier keeper; "
                "read and remove it, or take another number",
            )
    return lock


def _hold() -> None:
    """Lock the working directory as long as we live: what tidies ``/var/tmp`` up then leaves our files alone."""
    folder = os.open(".", os.O_RDONLY | os.O_DIRECTORY)
    with contextlib.suppress(OSError):
        fcntl.flock(folder, fcntl.LOCK_SH | fcntl.LOCK_NB)


def _is_still_there(lock: int, path: str) -> bool:
    try:
        return os.path.samestat(os.fstat(lock), os.stat(path))
    except FileNotFoundError:
        return False


def detach() -> None:
    """Be a daemon, in a session of our own; hand no descriptor but the first three to any job."""
    become_daemon()
    if os.getsid(0) != os.getpid():
        with contextlib.suppress(PermissionError):
            os.setsid()
    while (null := os.open(os.devnull, os.O_RDWR)) <= 2:
        os.set_inheritable(null, True)
    os.close(null)
    for name in os.listdir("/proc/self/fd"):
        if int(name) > 2:
            with contextlib.suppress(OSError):
                os.set_inheritable(int(name), False)


def listen_to_signals() -> int:
    """Let signals wake us and none end us; return the descriptor that their numbers are read from.

    They get handlers instead of being ignored, because what is ignored stays ignored in every job.
    """
    reading, writing = os.pipe()
    for end in (reading, writing):
        os.set_blocking(end, False)
    for number in WOKEN_BY + UNMOVED_BY:
        signal.signal(number, lambda *_: None)
    for number in (signal.SIGTSTP, signal.SIGTTIN, signal.SIGTTOU):
        signal.signal(number, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_SETMASK, ())
    signal.set_wakeup_fd(writing, warn_on_full_buffer=False)
    return reading


def write_pidfile(number: int) -> None:
    """Say in the working directory who we are; whoever reads it may connect."""
    path = f"keeper-{number}.pid"
    with open(path + ".new", "w", encoding="ascii", opener=_private) as file:
        file.write(f"{os.getpid()}\n")
    os.rename(path + ".new", path)


def tidy(number: int, journal_too: bool, lock: int) -> None:
    """Remove our files, the journal only if nobody need read it; give the number back."""
    for ending in ("sock", "pid", *(["log"] if journal_too else []), "lock"):
        with contextlib.suppress(OSError):
            os.unlink(f"keeper-{number}.{ending}")
    os.close(lock)


def _private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)

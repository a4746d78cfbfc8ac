"""The way to the user's own server (TMS): find it, or start one. However many clients want one at once, one
is started."""

from __future__ import annotations

import errno
import fcntl
import json
import os
import socket
import stat
import struct
import time

from tm.client.connection import SILENCE, Connection, LostError, plain_failure
from tm.errors import TaskManagerError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from tm.places import Places

START_SECONDS = 20.0
_BOOT_ID = "/proc/sys/kernel/random/boot_id"
_PAUSE = 0.05


def open_tms(places: Places, start: bool = True) -> Connection:
    """Return a greeted connection to the user's TMS; start one when there is none and *start* is true.

    Raises `TaskManagerError`: ``net.tms`` (none, and not to be started), ``internal.tms`` (it does not
    start), ``auth.…``, ``net.timeout`` (it hangs).
    """
    connection = find_tms(places)
    if connection is not None:
        return connection
    if not start:
        raise TaskManagerError("net.tms", "your server (TMS) is not running; any hRunJob COMMAND starts it")
    return _start(places)


def open_any(places: Places) -> Connection:
    """Return a connection for questions: to the TMS where one runs, else to the TaskDispatcher."""
    try:
        connection = find_tms(places)
    except LostError:
        connection = None
    return connection or Connection.open_dispatcher(places)


def open_waiting(places: Places) -> Connection:
    """Return a connection for who waits for endings: they come through the TMS, so a dead one is replaced."""
    try:
        return open_tms(places)
    except TaskManagerError:
        return Connection.open_dispatcher(places)


def find_tms(places: Places) -> Connection | None:
    """Return a connection to the TMS, None when none runs; raise `TaskManagerError` when it hangs."""
    address = read_address(places)
    if address is None:
        return None
    if address.get("machine") == boot_id():
        return open_socket(str(address.get("socket", "")), f"your TMS (pid {address.get('pid')})")
    from tm.client import tls

    try:
        return tls.open_tls(places, str(address["host"]), int(address["port"]), tls.OWN, "your TMS")
    except LostError:
        return None
    except TaskManagerError as error:
        if error.word.startswith("net.") or error.word == "auth.server":
            return None
        raise


def open_socket(path: str, peer: str) -> Connection | None:
    """Return a connection to the TMS behind the Unix socket *path*; None when nobody listens there."""
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    sock.settimeout(5.0)
    try:
        sock.connect(path)
        uid = struct.unpack("3i", sock.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12))[1]
    except OSError as error:
        sock.close()
        if isinstance(error, SILENCE) or error.errno == errno.EAGAIN:
            raise LostError(
                "net.timeout", f"{peer} does not take connections: it hangs; end it and try again"
            ) from None
        return None
    if uid != os.getuid():
        sock.close()
        raise TaskManagerError("auth.server", f"{path}: the server behind it belongs to user number {uid}, not to you")
    try:
        return Connection(sock, peer, plain_failure)
    except LostError as error:
        if error.word == "net.lost":
            return None
        raise


def read_address(places: Places) -> dict[str, Any] | None:
    """Return the content of the TMS's address file; None when there is none that can be used."""
    try:
        with open(places.address_file, encoding="utf-8") as file:
            value = json.load(file)
    except (OSError, ValueError):
        return None
    good = isinstance(value, dict) and isinstance(value.get("port"), int) and isinstance(value.get("host"), str)
    return value if good else None


def boot_id() -> str:
    """Return what tells this machine, since it was last started, from all others."""
    try:
        with open(_BOOT_ID, encoding="utf-8") as file:
            return file.read().strip()
    except OSError:
        return "unknown"


def make_directory(path: str) -> None:
    """Make the folder *path*, mode 0700; raise `TaskManagerError` when it cannot be trusted."""
    missing = []
    parent = path
    while not os.path.lexists(parent):
        missing.append(parent)
        parent = os.path.dirname(parent)
    try:
        for one in reversed(missing):
            try:
                os.mkdir(one, 0o700)
            except FileExistsError:
                continue
        found = os.lstat(path)
    except OSError as error:
        raise TaskManagerError(
            "config.directory",
            f"{path}: cannot be made ({error.strerror}); TM_LOCAL_DIRECTORY names another folder",
        ) from None
    if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.getuid() or found.st_mode & 0o077:
        raise TaskManagerError(
            "config.directory",
            f"{path}: must be a folder of yours with mode 0700; remove it, or set TM_LOCAL_DIRECTORY",
        )
    _check_above(path)


def _check_above(path: str) -> None:
    while path != os.path.dirname(path):
        path = os.path.dirname(path)
        found = os.stat(path)
        open_to_all = found.st_mode & stat.S_IWOTH and not found.st_mode & stat.S_ISVTX
        if found.st_uid not in (0, os.getuid()) or open_to_all:
            raise TaskManagerError(
                "config.directory",
                f"{path}: others could replace what is in it; set TM_LOCAL_DIRECTORY to a safe folder",
            )


def _start(places: Places) -> Connection:
    make_directory(places.tms_directory)
    end = time.monotonic() + START_SECONDS
    path = os.path.join(places.tms_directory, "start.lock")
    lock = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    try:
        _take(lock, end)
        connection = find_tms(places)
        if connection is not None:
            return connection
        _launch(places, end)
        while time.monotonic() < end:
            connection = find_tms(places)
            if connection is not None:
                return connection
            time.sleep(_PAUSE)
    finally:
        os.close(lock)
    raise _not_started(places, f"it does not answer after {START_SECONDS:.0f} s")


def _take(lock: int, end: float) -> None:
    while True:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return
        except BlockingIOError:
            if time.monotonic() > end:
                raise LostError(
                    "net.timeout", "another client has been starting your TMS for too long; try again"
                ) from None
            time.sleep(_PAUSE)


def _launch(places: Places, end: float) -> None:
    import subprocess
    import tempfile

    from tm.lineage import leave_job

    environment = dict(os.environ)
    leave_job(environment)
    script = places.program("TMS")
    if not os.path.exists(script):
        raise _not_started(places, f"there is no {script}")
    with tempfile.TemporaryFile() as complaints:
        try:
            process = subprocess.Popen(
                [places.python, script],
                env=environment,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=complaints,
                start_new_session=True,
            )
            status = process.wait(max(1.0, end - time.monotonic()))
        except OSError as error:
            raise _not_started(places, f"{places.python}: {error.strerror}; TM_PYTHON names another Python") from None
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            raise _not_started(places, f"it is not ready after {START_SECONDS:.0f} s") from None
        complaints.seek(0)
        said = complaints.read(65536).decode(errors="replace").strip().splitlines()
    if status != 0:
        own = [line.strip() for line in said if not line.startswith("Please look at log file ")]
        if own and own[-1].startswith("An error has occurred"):  # which says the beginning only
            _check_certificate(places)
        raise _not_started(places, own[-1] if own else f"exit status {status}")


def _check_certificate(places: Places) -> None:
    """Raise `TaskManagerError` ``auth.…`` when key and certificate are why no server starts."""
    from tm.client import tls

    tls.make_context(places)


def _not_started(places: Places, why: str) -> TaskManagerError:
    log = os.path.join(places.tms_directory, "tms.log")
    seen = f"; its log is {log}" if os.path.exists(log) else ""
    return TaskManagerError("internal.tms", f"your server (TMS) could not be started: {why}{seen}")

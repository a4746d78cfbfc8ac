"""Start the command of an order: its files, its environment, its session.

The way is `subprocess.Popen` without ``preexec_fn``, which in a small process is as quick as ``vfork`` and
``exec`` get. What cannot be started says so with the status a shell would give: 127 not found, 126 not
executable, 125 our own side of it (files, working directory).
"""

from __future__ import annotations

import os
import subprocess

from tm.errors import TaskManagerError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

    from tm.keeper.order import Order

NOT_FOUND = 127
NOT_EXECUTABLE = 126
NOT_PREPARED = 125


class StartError(TaskManagerError):
    """An order could not be started; nothing runs. *exit_code* is the status to report, *text* the reason."""

    def __init__(self, exit_code: int, text: str) -> None:
        super().__init__("job.start", text)
        self.exit_code = exit_code


def start(order: Order, environment: Mapping[bytes, bytes], null: int) -> int:
    """Start *order* in its own session; return its pid. *null*: ``/dev/null``, open. Raises `StartError`."""
    opened: list[int] = []
    try:
        cwd = to_bytes(order.cwd)
        stdin, stdout, stderr = _streams(order, cwd, null, opened)
        return _execute(order, environment, cwd, (stdin, stdout, stderr))
    except (ValueError, subprocess.SubprocessError) as error:
        raise StartError(NOT_PREPARED, f"cannot start {_shown(order)}: {error}") from None
    finally:
        for file in opened:
            os.close(file)


def to_bytes(text: str) -> bytes:
    """Return the bytes *text* stands for; raise `ValueError` where it stands for none."""
    return text.encode("utf-8", "surrogateescape")


def encode_environment(variables: Mapping[str, str]) -> dict[bytes, bytes]:
    """Return *variables* as bytes; raise `ValueError` where a name or value cannot be one."""
    return {to_bytes(name): to_bytes(value) for name, value in variables.items()}


def _streams(order: Order, cwd: bytes, null: int, opened: list[int]) -> tuple[int, int, int]:
    stdin = stdout = null
    if order.stdin is not None:
        stdin = _open(order.stdin, cwd, os.O_RDONLY, opened)
    if order.stdout is None and order.stderr is None:
        return stdin, stdout, null
    flags = os.O_WRONLY | os.O_CREAT | (os.O_APPEND if order.append else os.O_TRUNC)
    before = os.umask(order.umask) if order.umask >= 0 else None
    try:
        if order.stdout is not None:
            stdout = _open(order.stdout, cwd, flags, opened)
        if order.stderr is None or order.stderr == order.stdout:
            return stdin, stdout, stdout
        return stdin, stdout, _open(order.stderr, cwd, flags, opened)
    finally:
        if before is not None:
            os.umask(before)


def _open(path: str, cwd: bytes, flags: int, opened: list[int]) -> int:
    """Open *path* without ever waiting for it: a pipe that has no other end is an error."""
    place = os.path.join(cwd, to_bytes(path))
    try:
        file = os.open(place, flags | os.O_NONBLOCK | os.O_NOCTTY, 0o666)
    except OSError as error:
        if not os.path.isdir(cwd):
            raise _no_directory(cwd, error) from None
        raise StartError(NOT_PREPARED, f"cannot open {_text(place)}: {error.strerror}") from None
    opened.append(file)
    os.set_blocking(file, True)
    return file


def _execute(
    order: Order, environment: Mapping[bytes, bytes], cwd: bytes, files: tuple[int, int, int]
) -> int:
    if isinstance(order.command, str):
        arguments = [b"/bin/sh", b"-c", to_bytes(order.command)]
    else:
        arguments = [to_bytes(word) for word in order.command]
    try:
        child = subprocess.Popen(
            arguments,
            cwd=cwd,
            env=environment,
            start_new_session=True,
            umask=order.umask,
            stdin=files[0],
            stdout=files[1],
            stderr=files[2],
            close_fds=True,
        )
    except OSError as error:
        if error.filename is cwd:
            raise _no_directory(cwd, error) from None
        code = NOT_FOUND if isinstance(error, FileNotFoundError) else NOT_EXECUTABLE
        raise StartError(code, f"cannot start {_text(arguments[0])}: {error.strerror}") from None
    child.returncode = 0  # or the module itself would reap the child, some starts later
    return child.pid


def _no_directory(cwd: bytes, error: OSError) -> StartError:
    return StartError(NOT_PREPARED, f"cannot enter {_text(cwd)}: {error.strerror}")


def _shown(order: Order) -> str:
    return "/bin/sh" if isinstance(order.command, str) else _text(order.command[0].encode("utf-8", "replace"))


def _text(path: bytes) -> str:
    return path.decode("utf-8", "replace")

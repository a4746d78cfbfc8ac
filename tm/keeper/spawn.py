"""Start the command of an order: its folder, its files, its environment, its session.

The way is `os.posix_spawn`, the quickest there is: no shell, no copy of this process. It knows neither
working directory nor umask nor processors, so this process, which has one thread, takes the job's for that moment and
then its own again (`tm.keeper.confining`); all its descriptors are closed on ``exec``. What cannot be started says so
with the status a shell would give: 127 not found, 126 not executable, 125 our own side of it (files, working
directory).
"""

from __future__ import annotations

import errno
import os
import signal

from tm.errors import TaskManagerError
from tm.keeper import scripts
from tm.keeper.confining import Confining

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

    from tm.keeper.order import Key, Order

    Files = tuple[int, int, int]

NOT_FOUND = 127
NOT_EXECUTABLE = 126
NOT_PREPARED = 125

_IGNORED_BY_PYTHON = (signal.SIGPIPE, signal.SIGXFSZ)


class StartError(TaskManagerError):
    """An order could not be started; nothing runs. *exit_code* is the status to report, *text* the reason."""

    def __init__(self, exit_code: int, text: str) -> None:
        super().__init__("job.start", text)
        self.exit_code = exit_code


class Starter:
    """Starts orders, and is back in the working directory of its making after each of them."""

    def __init__(self) -> None:
        self._home = os.open(".", os.O_RDONLY | os.O_DIRECTORY)
        self._null = os.open(os.devnull, os.O_RDWR)
        self._spawn = posix_spawn
        self._spool = os.getcwd()
        self._confining = Confining()
        self.confined = (False, False)
        self._scripts: set[Key] = set()

    def start(
        self, order: Order, environment: Mapping[bytes, bytes], cpus: tuple[int, ...] = (), memory: int = 0
    ) -> int:
        """Start *order* in a session of its own and return its pid. Raises `StartError`.

        It runs on *cpus* (none: on all), no process of it with much more than *memory* bytes (0: without bounds);
        `confined` says whether each of them holds.
        """
        opened: list[int] = []
        arguments = self._arguments(order, environment.get(scripts.SHARED, b""))
        if scripts.SHARED in environment:
            environment = {name: value for name, value in environment.items() if name != scripts.SHARED}
        umask = os.umask(order.umask) if order.umask >= 0 else None
        try:
            _enter(order.cwd)
            files = self._files(order, opened)
            self.confined = self._confining.take_on(cpus, memory) if cpus or memory else (False, False)
            return self._execute(arguments, environment, files)
        except ValueError as error:
            raise StartError(NOT_PREPARED, f"cannot start: {error}") from None
        finally:
            if cpus or memory:
                self._confining.lay_off()
            os.fchdir(self._home)
            if umask is not None:
                os.umask(umask)
            for file in opened:
                os.close(file)

    def _arguments(self, order: Order, shared: bytes) -> list[bytes]:
        """Return what is started; *shared* is the script that stands in the environment."""
        try:
            if isinstance(order.command, str):
                return [b"/bin/sh", b"-c", to_bytes(order.command)]
            words = [to_bytes(word) for word in order.command]
            if not order.script:
                return words
            self._scripts.add(order.key)
            text = shared if order.script == scripts.SHARED.decode() else to_bytes(order.script)
            path = scripts.keep(self._spool, order.key, text)
            return [*scripts.interpreter(text), path, *words[1:]]
        except ValueError as error:
            raise StartError(NOT_PREPARED, f"cannot start: {error}") from None
        except OSError as error:
            raise StartError(NOT_PREPARED, f"cannot keep its script: {error.strerror}") from None

    def over(self, key: Key) -> None:
        """The attempt *key* is over, or has not begun: its script goes."""
        if key in self._scripts:
            self._scripts.discard(key)
            scripts.drop(self._spool, key)

    def _files(self, order: Order, opened: list[int]) -> Files:
        stdin = stdout = self._null
        if order.stdin is not None:
            stdin = _open(order.stdin, os.O_RDONLY, opened)
        flags = os.O_WRONLY | os.O_CREAT | (os.O_APPEND if order.append else os.O_TRUNC)
        if order.stdout is not None:
            stdout = _open(order.stdout, flags, opened)
        if order.stderr is None or order.stderr == order.stdout:
            return stdin, stdout, stdout
        return stdin, stdout, _open(order.stderr, flags, opened)

    def _execute(self, arguments: list[bytes], environment: Mapping[bytes, bytes], files: Files) -> int:
        try:
            program = _find(arguments[0], environment)
            try:
                return self._spawn(program, arguments, environment, files)
            except NotImplementedError:
                self._spawn = popen
                return self._spawn(program, arguments, environment, files)
        except OSError as error:
            code = NOT_FOUND if isinstance(error, FileNotFoundError) else NOT_EXECUTABLE
            raise StartError(code, f"cannot start {_shown(arguments[0])}: {error.strerror}") from None


def posix_spawn(
    program: bytes, arguments: list[bytes], environment: Mapping[bytes, bytes], files: Files
) -> int:
    """Start *program* and return its pid; raise `NotImplementedError` where no session can be asked for."""
    return os.posix_spawn(
        program,
        arguments,
        environment,
        file_actions=[(os.POSIX_SPAWN_DUP2, file, number) for number, file in enumerate(files)],
        setsid=True,
        setsigdef=_IGNORED_BY_PYTHON,
    )


def popen(program: bytes, arguments: list[bytes], environment: Mapping[bytes, bytes], files: Files) -> int:
    """Do the same with what every Python can, at some more expense of time and memory."""
    import subprocess

    child = subprocess.Popen(
        arguments,
        executable=program,
        env=environment,
        start_new_session=True,
        stdin=files[0],
        stdout=files[1],
        stderr=files[2],
        close_fds=True,
    )
    child.returncode = 0  # or that module itself would reap the child, some starts later
    return child.pid


def to_bytes(text: str) -> bytes:
    """Return the bytes *text* stands for; raise `ValueError` where it stands for none."""
    if "\0" in text:
        raise ValueError(f"a null character stands in {text!r}")
    return text.encode("utf-8", "surrogateescape")


def encode_environment(variables: Mapping[str, str]) -> dict[bytes, bytes]:
    """Return *variables* as bytes; raise `ValueError` where a name or value cannot be one."""
    return {to_bytes(name): to_bytes(value) for name, value in variables.items()}


def _enter(cwd: str) -> None:
    try:
        os.chdir(to_bytes(cwd))
    except OSError as error:
        raise StartError(NOT_PREPARED, f"cannot enter {_shown(to_bytes(cwd))}: {error.strerror}") from None


def _open(path: str, flags: int, opened: list[int]) -> int:
    """Open *path* without ever waiting for it: a pipe that has no other end is an error."""
    try:
        file = os.open(to_bytes(path), flags | os.O_NONBLOCK | os.O_NOCTTY, 0o666)
    except OSError as error:
        raise StartError(NOT_PREPARED, f"cannot open {_shown(to_bytes(path))}: {error.strerror}") from None
    opened.append(file)
    os.set_blocking(file, True)
    return file


def _find(name: bytes, environment: Mapping[bytes, bytes]) -> bytes:
    """Return the program that *name* means under *environment*, as ``execvp`` does; raise `OSError`."""
    if b"/" in name:
        return name
    reason = errno.ENOENT
    for folder in environment.get(b"PATH", os.fsencode(os.defpath)).split(b":"):
        path = os.path.join(folder or b".", name)
        if os.access(path, os.X_OK) and os.path.isfile(path):
            return path
        if name and os.path.isfile(path):
            reason = errno.EACCES
    raise OSError(reason, os.strerror(reason))


def _shown(path: bytes) -> str:
    return path.decode("utf-8", "replace")

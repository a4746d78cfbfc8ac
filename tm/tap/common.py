"""What all servers share: refusing with a sentence, starting after twistd has detached, logs, pidfiles, listening."""

from __future__ import annotations

import errno
import os
import resource
import socket
import sys
from collections.abc import Callable
from typing import Any

from twisted.application.service import MultiService, Service
from twisted.internet.defer import Deferred, gatherResults, maybeDeferred
from twisted.internet.interfaces import IListeningPort
from twisted.logger import Logger
from twisted.python.usage import Options
from typing_extensions import override

from tm.errors import EXIT_CONFIG, TaskManagerError
from tm.lineage import become_daemon, leave_job

_log = Logger()


def refuse(error: TaskManagerError) -> SystemExit:
    """Return the exit of a server that cannot start: its sentence on stderr, its exit status."""
    print(f"{error.word}: {error.text}", file=sys.stderr)
    return SystemExit(error.exit_status)


class ServerOptions(Options):  # type: ignore[misc]  # Twisted's Options is untyped
    """Options whose complaints are sentences, paths made absolute before twistd changes the folder."""

    paths: tuple[str, ...] = ()

    @override
    def postOptions(self) -> None:
        for name in self.paths:
            if self.get(name):
                self[name] = os.path.abspath(self[name])


class Late(MultiService):
    """Builds its parts only when started: twistd has forked by then, and locks, threads and sockets may be made."""

    def __init__(self, build: Callable[[Late], None]) -> None:
        super().__init__()
        self._build = build
        self._pid = os.getpid()
        self._ports: list[IListeningPort] = []
        self._endings: list[Callable[[], Any]] = []

    @override
    def startService(self) -> None:
        bound_resources()
        leave_job(os.environ)
        if os.getpid() != self._pid:
            become_daemon()
        try:
            self._build_parts()
        except TaskManagerError as error:
            _log.error("not started: {text}", event="refused", word=error.word, text=error.text)
            if os.getpid() == self._pid:
                raise refuse(error) from None
            raise  # twistd's first process waits for word of this one, and gets it of an Exception only
        super().startService()

    def _build_parts(self) -> None:
        try:
            self._build(self)
        except OSError as error:
            full = error.errno in (errno.ENOSPC, errno.EDQUOT)
            where = f"{error.filename}: " if error.filename else ""
            raise TaskManagerError(
                "store.full" if full else "config.directory",
                f"{where}{error.strerror}; {'free some space there' if full else 'see whether it can be used'}",
            ) from error

    def add(self, part: Service) -> None:
        """Make *part* start and stop with this."""
        part.setServiceParent(self)

    def listens(self, port: IListeningPort) -> None:
        """Close *port* at the end, before the parts stop."""
        self._ports.append(port)

    def at_end(self, ending: Callable[[], Any]) -> None:
        """Call *ending* after the parts have stopped; the last one first."""
        self._endings.append(ending)

    @override
    def stopService(self) -> Deferred[Any]:
        ports = [maybeDeferred(port.stopListening) for port in self._ports]
        closed: Deferred[Any] = gatherResults(ports, consumeErrors=True)
        closed.addCallback(lambda _: maybeDeferred(super(Late, self).stopService))
        for ending in reversed(self._endings):
            closed.addBoth(_then, ending)
        return closed


def _then(_: object, ending: Callable[[], Any]) -> Any:
    return ending()


def bound_resources() -> None:
    """As many descriptors as are allowed, and no core files: they would hold keys."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = hard if hard != resource.RLIM_INFINITY else 65536
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, min(wanted, 65536)), hard))
    resource.setrlimit(resource.RLIMIT_CORE, (0, resource.getrlimit(resource.RLIMIT_CORE)[1]))
    sys.setswitchinterval(0.0005)


def pidfile(path: str) -> Callable[[], None]:
    """Write our pid to *path*; return what removes it."""
    with open(path + ".new", "w", encoding="ascii") as file:
        file.write(f"{os.getpid()}\n")
    os.rename(path + ".new", path)

    def remove() -> None:
        try:
            with open(path, encoding="ascii") as file:
                if file.read().strip() == str(os.getpid()):
                    os.unlink(path)
        except FileNotFoundError:
            return

    return remove


def check_port(interface: str, port: int) -> None:
    """Raise the error of a port that cannot be had, while it can still be said where it is read."""
    family = socket.AF_INET6 if ":" in interface else socket.AF_INET
    try:
        socket.create_server((interface, port), family=family).close()
    except OSError as error:
        raise port_in_use(interface, port, error.strerror) from None


def port_in_use(interface: str, port: int, error: object) -> TaskManagerError:
    """Return the error of a port that cannot be had."""
    return TaskManagerError(
        "net.port", f"cannot listen on {interface or 'all addresses'}:{port} ({error}); stop what uses it or choose "
        "another with -p"
    )  # fmt: skip


def number(options: Options, name: str, least: int, most: int) -> int:
    """Return the option *name* as a number from *least* to *most*; leave with a sentence when it is none."""
    text = str(options[name])
    if not (text.isascii() and text.isdigit() and least <= int(text) <= most):
        print(f"--{name}: expected a number from {least} to {most}, not '{text}'", file=sys.stderr)
        raise SystemExit(EXIT_CONFIG)
    return int(text)

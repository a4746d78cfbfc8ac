"""``twistd infoserver``: options and composition of the InfoServer, and the one line that says it is there.

The command ends when the server listens, having printed one line of JSON. Said again it prints the line of the
server that runs, unless that one is of another version, boot, host or dispatcher: then it is replaced.
"""

from __future__ import annotations

import datetime
import fcntl
import json
import os
import re
import signal
import sys
import time
from functools import partial
from typing import Any

from twisted.application.service import IService
from twisted.internet.error import CannotListenError
from typing_extensions import override

import tm
from tm.daemon.info_reporter import Reporter
from tm.daemon.info_server import METRICS, InfoServer, InfoSurroundings
from tm.daemon.info_verbs import InfoVerbs
from tm.edge import survival
from tm.edge.admission import ServerFactory
from tm.edge.clock import steady
from tm.edge.committer import Committer
from tm.edge.identity import Identity, own_identity
from tm.edge.keys import load_certificate
from tm.edge.link import Dialler
from tm.edge.log import JsonLog
from tm.edge.probe import Probe
from tm.edge.spool import boot_id, hold, private_directory
from tm.edge.tls import SecureFactory, check_peer, client_context_factory, peer_identity, server_context_factory
from tm.edge.way import WayWatch, read_way, tell_way
from tm.errors import ConfigError, RefusedError, TaskManagerError
from tm.model.history import History
from tm.places import find_etc, read_info, valid_name
from tm.tap.common import Late, ServerOptions, check_port, number, pidfile, port_in_use, refuse

LEAVE_SECONDS = 8.0
START_SECONDS = 15.0
_FINGERPRINT = re.compile(r"[0-9a-f]{64}\Z")


class InfoServerOptions(ServerOptions):
    """What ``twistd infoserver`` takes."""

    synopsis = "--host NAME --dispatcher ADDRESS:PORT --trust FINGERPRINT [--tunnel] [--port N] [--state DIR]"
    paths = ("state",)
    optParameters = [  # noqa: RUF012  Twisted's name and form
        ["host", "H", "", "name of this host in etc/ComputerCluster.config"],
        ["dispatcher", None, "", "where the TaskDispatcher is, ADDRESS:PORT"],
        ["trust", None, "", "SHA-256 of the dispatcher's certificate in hex; several: FINGERPRINT,FINGERPRINT"],
        ["port", "p", "0", "port to listen on (default: any)"],
        ["state", None, "", "folder for key, log, history (default: LOCAL/info/NAME on a local disk)"],
    ]
    optFlags = [["tunnel", None, "--dispatcher is the end of a tunnel on this host; said again it may be another one"]]  # noqa: RUF012  Twisted's name and form

    @override
    def opt_version(self) -> None:
        """Show the version and leave."""
        print(f"InfoServer {tm.__version__}")
        raise SystemExit(0)


class Calling:
    """What the command line asks for, checked."""

    def __init__(self, options: InfoServerOptions) -> None:
        self.host: str = options["host"]
        address, _, port = str(options["dispatcher"]).rpartition(":")
        self.trust = sorted(set(str(options["trust"]).lower().split(",")))
        complaints = []
        if not valid_name(self.host):
            complaints.append("--host: the name of this host in etc/ComputerCluster.config is needed")
        if not address or not port.isdigit() or not 0 < int(port) < 65536:
            complaints.append("--dispatcher: expected ADDRESS:PORT of the TaskDispatcher")
        if not all(map(_FINGERPRINT.match, self.trust)):
            complaints.append("--trust: expected the SHA-256 of the dispatcher's certificate, 64 hex digits")
        if complaints:
            raise ConfigError(complaints)
        self.dispatcher = (address.strip("[]"), int(port))
        self.port = number(options, "port", 0, 65535)
        self.tunnel = bool(options["tunnel"])
        self.interface = "127.0.0.1" if address in ("localhost", "127.0.0.1") and not self.tunnel else ""
        self.state: str = options["state"] or os.path.join(_local_directory(), "info", self.host)

    @property
    def told(self) -> dict[str, object]:
        """What a server that runs must have been told to count as the one that is asked for."""
        return {
            "infoserver": self.host, "trust": self.trust,
            "dispatcher": "tunnel" if self.tunnel else list(self.dispatcher),
            "version": tm.__version__, "boot": boot_id(),
        }  # fmt: skip

    def path(self, name: str) -> str:
        """A file of the state folder."""
        return os.path.join(self.state, name)


def _local_directory() -> str:
    """Return the local folder of this account's daemons; the host may have no configuration of ours."""
    own = f"/var/tmp/taskmanager-{os.getuid()}"
    if os.environ.get("TM_LOCAL_DIRECTORY"):
        return os.environ["TM_LOCAL_DIRECTORY"]
    try:
        return read_info(os.path.join(find_etc(), "TaskDispatcher.info")).get("local_directory") or own
    except ConfigError:
        return own


def make_service(options: InfoServerOptions) -> IService:
    """Return the service of this host's InfoServer; print the line and leave when the right one runs already."""
    try:
        calling = Calling(options)
        private_directory(calling.state)
        tell_way(calling.state, calling.dispatcher if calling.tunnel else None)
        lock = _lock(calling)
        if lock is None:
            raise SystemExit(0)
        check_port(calling.interface, calling.port)
        identity = own_identity(calling.state, f"infoserver {calling.host}", datetime.datetime.now(datetime.UTC))
    except TaskManagerError as error:
        raise refuse(error) from None
    except OSError as error:
        raise refuse(_unusable(calling, error)) from None
    said = os.dup(sys.stdout.fileno())
    os.set_inheritable(said, False)
    return Late(lambda late: _begin(late, calling, identity, lock, said))


def _begin(late: Late, calling: Calling, identity: Identity, lock: Any, said: int) -> None:
    try:
        _build(late, calling, identity, lock, said)
    except OSError as error:
        raise _unusable(calling, error) from None


def _unusable(calling: Calling, error: OSError) -> TaskManagerError:
    return TaskManagerError(
        "config.spool", f"{calling.state}: cannot be used: {error.strerror}; make room there, or choose another --state"
    )


def _build(late: Late, calling: Calling, identity: Identity, lock: Any, said: int) -> None:
    from twisted.internet import reactor

    clock = steady(reactor)
    late.at_end(lock.close)
    late.at_end(partial(os.close, hold(calling.state)))
    log_path = calling.path("infoserver.log")
    JsonLog(log_path).start()
    probe = Probe(survives=survival.in_force())
    machine = probe.machine()
    late.at_end(probe.close)
    worker = Committer(clock, "probe")
    late.at_end(worker.stop)
    history = History(METRICS)
    history.restore(_saved(calling.path("history")))
    server: InfoServer

    def identify(transport: Any) -> str:
        if not server.heard_of_users:
            raise RefusedError(
                "net.dispatcher", "this InfoServer has not heard from the dispatcher yet who its users are; try again"
            )
        return check_peer(peer_identity(transport), server.users, clock.seconds())

    factory: ServerFactory
    port: int
    around = InfoSurroundings(
        host=calling.host, fingerprint=identity.fingerprint, port=lambda: port, clock=clock, worker=worker, probe=probe,
        save=lambda content: _save(calling.path("history"), content), cut=lambda users: factory.cut(users),
        stop=clock.stop, log_path=log_path,
        not_after=load_certificate(identity.certificate).not_valid_after_utc.timestamp(),
    )  # fmt: skip
    server = InfoServer(around, machine, history)
    factory = ServerFactory(InfoVerbs(server, identify), clock.timers)
    secure = SecureFactory(server_context_factory(identity.key, identity.certificate), False, factory, clock.timers)
    try:
        listening = clock.listenTCP(calling.port, secure, backlog=128, interface=calling.interface)
    except CannotListenError as error:
        raise port_in_use(calling.interface, calling.port, error.socketError) from None
    port = listening.getHost().port
    late.listens(listening)
    reporter = Reporter(server)
    dialler = Dialler(
        clock.timers, reporter, lambda: read_way(calling.state) or calling.dispatcher,
        lambda: client_context_factory(identity.key, identity.certificate, frozenset(calling.trust)),
    )  # fmt: skip
    late.add(server)
    late.at_end(reporter.stop)
    late.at_end(pidfile(calling.path("infoserver.pid")))
    late.at_end(dialler.stop)
    dialler.start()
    watch = WayWatch(clock, calling.state, dialler)
    watch.start()
    late.at_end(watch.stop)
    reporter.start()
    line = json.dumps({
        "infoserver": calling.host, "fingerprint": identity.fingerprint, "port": port, "pid": os.getpid(),
        "boot": boot_id(), "version": tm.__version__,
    })  # fmt: skip
    record = {**calling.told, "started": _started(os.getpid()), "line": line}
    _write(calling.path("running"), json.dumps(record).encode())
    os.write(said, line.encode() + b"\n")
    os.close(said)


# -- the one that runs ----------------------------------------------------------------------------------------------


def _lock(calling: Calling) -> Any:
    """Return the lock of the state folder, or None once the line of the right server that holds it is printed.

    A wrong one is asked to leave, and killed if it does not. Raises `TaskManagerError` ``busy.running``.
    """
    file = open(calling.path("lock"), "ab")  # noqa: SIM115  held as long as the server runs
    end = time.monotonic() + START_SECONDS
    told = 0
    while time.monotonic() < end:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return file
        except OSError:
            running = _running(calling)
        if running is not None and calling.told.items() <= running.items():
            print(running["line"], flush=True)
            return None
        if running is not None:
            late = time.monotonic() > end - START_SECONDS + LEAVE_SECONDS
            told = _tell_to_leave(running, signal.SIGKILL if late else signal.SIGTERM, told)
        time.sleep(0.05)
    file.close()
    raise TaskManagerError("busy.running", f"another InfoServer holds {calling.state} and does not leave; end it")


def _running(calling: Calling) -> dict[str, Any] | None:
    """Return what the server that works in the state folder wrote of itself, None where it is not (yet) there."""
    try:
        with open(calling.path("running"), "rb") as file:
            record: dict[str, Any] = json.load(file)
        pid = json.loads(record["line"])["pid"]
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return {**record, "pid": pid} if record.get("boot") != boot_id() or record.get("started") == _started(pid) else None


def _tell_to_leave(running: dict[str, Any], number: signal.Signals, told: int) -> int:
    """Send it *number* once, if it is still that process; return the last signal that was sent."""
    if number != told and running.get("started") == _started(running["pid"]):
        try:
            os.kill(running["pid"], number)
        except OSError:
            return told
    return number


def _started(pid: int) -> int:
    """Return when a process started, in ticks since boot; 0 where there is none."""
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            said = file.read()
        return int(said[said.rindex(b")") + 2 :].split()[19])
    except (OSError, ValueError):
        return 0


# -- files ----------------------------------------------------------------------------------------------------------


def _saved(path: str) -> bytes:
    try:
        with open(path, "rb") as file:
            return file.read(16 * 1024 * 1024)
    except OSError:
        return b""


def _save(path: str, content: bytes) -> None:
    try:
        _write(path, content)
    except OSError as error:
        raise TaskManagerError("store.io", f"{path}: cannot be written: {error.strerror}") from None


def _write(path: str, content: bytes) -> None:
    with open(path + ".new", "wb", opener=lambda name, flags: os.open(name, flags, 0o600)) as file:
        file.write(content)
    os.rename(path + ".new", path)


Options = InfoServerOptions
makeService = make_service

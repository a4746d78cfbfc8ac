"""``twistd taskmanagerserver``: options and composition of a user's server (TMS)."""

from __future__ import annotations

import fcntl
import json
import os
import shlex
import socket
import subprocess
import time
from collections.abc import Callable, Mapping
from typing import Any

from twisted.application.service import IService
from twisted.internet.threads import deferToThread
from twisted.internet.unix import Server as UnixServer
from typing_extensions import override

import tm
from tm import bundle
from tm.client.tms import find_tms
from tm.daemon import telling_desk
from tm.daemon.start_desk import StartDesk
from tm.daemon.user_server import UserServer, UserSurroundings
from tm.daemon.user_verbs import UserVerbs
from tm.edge.admission import ServerFactory
from tm.edge.child import run_child
from tm.edge.clock import steady
from tm.edge.connection import peer_uid
from tm.edge.keys import fingerprint, load_certificate, load_pins
from tm.edge.launchers import launcher
from tm.edge.link import ClientLink, Dialler
from tm.edge.log import JsonLog
from tm.edge.own_installation import HANDED_DOWN, own_installation
from tm.edge.reading import Lookout
from tm.edge.reading_here import HereFiles
from tm.edge.signing import GRANT, OrderSigner
from tm.edge.spool import boot_id, private_directory
from tm.edge.start_file import StartFile
from tm.edge.tls import SecureFactory, check_peer, client_context_factory, peer_identity, server_context_factory
from tm.edge.tunnel import Tunnels
from tm.errors import RefusedError, TaskManagerError
from tm.model.installed import Paths, start_command
from tm.model.rights import User, Users
from tm.model.starts import StartBook
from tm.places import Places, find, read_info
from tm.tap.common import Late, ServerOptions, pidfile, refuse

RETIRE_SECONDS = 10.0
CHECK_SECONDS = 90.0
LOOPBACK = "127.0.0.1"
PROGRAM = "TMMS"


class UserServerOptions(ServerOptions):
    """What ``twistd taskmanagerserver`` takes."""

    synopsis = "[options]  e.g. twistd taskmanagerserver"
    optParameters = [["host", None, "", "address under which servers on hosts reach this one (default: found out)"]]  # noqa: RUF012  Twisted's name and form

    @override
    def opt_version(self) -> None:
        """Show the version and leave."""
        print(f"TMS {tm.__version__}")
        raise SystemExit(0)


def make_service(options: UserServerOptions) -> IService:
    """Return the service of the calling user's server; an older one on this machine is asked to leave first."""
    try:
        where = find()
        OrderSigner.from_key(where.key)
        load_certificate(where.certificate)
        load_pins(where.trusted)
        private_directory(where.tms_directory)
        _retire_older(where)
    except TaskManagerError as error:
        raise refuse(error) from None
    return Late(lambda late: _build(late, where, options["host"]))


def _retire_older(where: Places) -> None:
    """Take over from an older server of this user on this machine."""
    try:
        older = find_tms(where)
        if older is not None:
            older.ask("retire")
    except (TaskManagerError, OSError):
        return


def _own_address(where: Places) -> str:
    """Return the address of this machine as the dispatcher's side of the network sees it; empty while nobody knows."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        try:
            probe.connect((where.host, where.port))
            return str(probe.getsockname()[0])
        except OSError:
            return ""


class _Learning:
    """Hears the dispatcher for *server*, and learns on the way which address of ours is on its side of the network.

    After a boot the network may come later than we do.
    """

    def __init__(self, server: UserServer, learnt: Callable[[str], None]) -> None:
        self._server = server
        self._learnt = learnt
        self.link_down, self.event, self.bulk = server.link_down, server.event, server.bulk

    def link_up(self, link: ClientLink, greeting: str) -> None:
        """The dispatcher has greeted us."""
        self._learnt(str(link.transport.getHost().host))
        self._server.link_up(link, greeting)


def _lock(where: Places) -> Any:
    file = open(os.path.join(where.tms_directory, "lock"), "ab")  # noqa: SIM115  held as long as the server runs
    for _ in range(int(RETIRE_SECONDS / 0.05)):
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return file
        except OSError:
            time.sleep(0.05)
    file.close()
    raise TaskManagerError(
        "busy.running", f"another server of {where.user} holds {where.tms_directory} and does not leave; end it"
    )


def _build(late: Late, where: Places, told: str) -> None:
    from twisted.internet import reactor

    clock = steady(reactor)
    lock = _lock(where)
    log_path = os.path.join(where.tms_directory, "tms.log")
    JsonLog(log_path).start()
    own = fingerprint(load_certificate(where.certificate))
    address = told or _own_address(where)
    port: int

    def learnt(found: str) -> None:
        nonlocal address
        if not told and found != address:
            address = found
            _write_address(where, address, port)

    def host_command(host: str, paths: Paths, way: tuple[str, int] | None) -> list[str]:
        there, back = way or (address or LOOPBACK, port)
        return _host_command(where, host, paths, ["--tms", f"{there}:{back}", *(["--tunnel"] if way else [])])

    tunnels = Tunnels(clock, dict(os.environ), where.tms_directory, lambda: (LOOPBACK, port))
    starts_file = StartFile(os.path.join(where.tms_directory, "starts"))
    book = _starts_here(where, starts_file)
    starts = StartDesk(book, starts_file, lambda: _in_charge(where).get("pid") == os.getpid())
    server = UserServer(_surroundings(where, clock, log_path, host_command, tunnels, starts))
    users = Users.of(User(where.user, (own,)))

    def identify(transport: Any) -> str:
        if isinstance(transport, UnixServer):
            if peer_uid(transport.socket) not in (os.getuid(), 0):
                raise RefusedError("perm.denied", f"this is the server of {where.user}")
            return where.user
        return check_peer(peer_identity(transport), users, clock.seconds())

    factory = ServerFactory(UserVerbs(server, identify), clock.timers)
    secure = SecureFactory(server_context_factory(where.key, where.certificate), False, factory, clock.timers)
    interface = LOOPBACK if address.startswith("127.") else ""
    tcp = factory.steer(clock.listenTCP(0, secure, backlog=512, interface=interface))
    port = tcp.getHost().port
    late.listens(tcp)
    if os.path.exists(where.tms_socket):
        os.unlink(where.tms_socket)
    late.listens(clock.listenUNIX(where.tms_socket, factory, mode=0o600, backlog=128))
    pins = load_pins(where.trusted) - {own}
    dialler = Dialler(
        clock.timers, _Learning(server, learnt), lambda: _dispatcher_address(where),
        lambda: client_context_factory(where.key, where.certificate, pins),
    )  # fmt: skip
    _write_address(where, address or LOOPBACK, port)
    server.redial = dialler.soon
    late.add(server)
    dialler.start()
    late.at_end(lock.close)
    late.at_end(pidfile(os.path.join(where.tms_directory, "tms.pid")))
    late.at_end(dialler.stop)
    late.at_end(tunnels.close_all)
    late.at_end(starts_file.close)


def _surroundings(
    where: Places, clock: Any, log_path: str, host_command: Any, tunnels: Tunnels, starts: StartDesk
) -> UserSurroundings:
    environment = dict(os.environ)
    launchers: dict[str, Any] = {}

    def launcher_of(name: str) -> Any:
        if name not in launchers:
            launchers[name] = launcher(name, clock, environment)
        return launchers[name]

    here = HereFiles(Lookout(clock, deferToThread), deferToThread)
    return UserSurroundings(
        user=where.user, machine=socket.gethostname(), clock=clock, signer=OrderSigner.from_key(where.key),
        environment=environment, home=os.path.expanduser("~"), launcher=launcher_of, host_command=host_command,
        tunnels=tunnels, stop=clock.stop, log_path=log_path,
        bell=lambda: _bell(clock, environment), merge=_merge, grant_signer=OrderSigner.from_key(where.key, GRANT),
        tm_command=lambda words: run_child(
            clock, [where.python, where.program("tm"), *words], environment, CHECK_SECONDS
        ),
        here=here, starts=starts,
    )  # fmt: skip


async def _merge(path: str) -> None:
    try:
        await deferToThread(bundle.merge, path)
    except (OSError, bundle.BundleError) as error:
        raise RefusedError("bundle.damaged", f"the outputs of {path} are not put together: {error}") from None


def _bell(clock: Any, environment: Mapping[str, str]) -> telling_desk.Bell:
    from tm.edge.bell import Bell  # few jobs ring it, and what it needs is large

    return Bell(clock, environment)


def _dispatcher_address(where: Places) -> tuple[str, int]:
    info = read_info(os.path.join(where.etc, "TaskDispatcher.info"))
    return info["host"], int(info["port"])


def _host_command(where: Places, host: str, paths: Paths, way: list[str]) -> list[str]:
    """Return what starts this user's server on *host*, told what it cannot know there."""
    own = own_installation(PROGRAM, where.root, where.python)
    handed = {name: os.environ[name] for name in HANDED_DOWN if name in os.environ}
    return start_command(paths, own, PROGRAM, ["--host", host, *way], handed)


def _starts_here(where: Places, file: StartFile) -> StartBook:
    """Return the book of starts, with doubts where the last server of this user was not one of this machine."""
    book = file.read()
    if not _in_charge(where):
        book.doubt()
        file.keep(book)
    return book


def _in_charge(where: Places) -> dict[str, Any]:
    """Return what the address file says, nothing where the server that wrote it is not of this machine and boot."""
    try:
        with open(where.address_file, encoding="utf-8") as file:
            said = json.load(file)
    except (OSError, ValueError):
        return {}
    return said if isinstance(said, dict) and said.get("machine") == boot_id() else {}


def _write_address(where: Places, address: str, port: int) -> None:
    shown = {
        "host": address, "machine": boot_id(), "port": port, "socket": where.tms_socket, "pid": os.getpid(),
        "version": tm.__version__,
    }  # fmt: skip
    new = where.address_file + ".new"
    with open(new, "w", encoding="utf-8", opener=lambda path, flags: os.open(path, flags, 0o600)) as file:
        json.dump(shown, file)
    os.rename(new, where.address_file)


def start_detached(where: Places) -> None:
    """Start the user's server from one of its servers on hosts, and do not wait for it."""
    command = f"exec {shlex.quote(where.python)} {shlex.quote(where.program('TMS'))}"
    null = subprocess.DEVNULL
    subprocess.Popen(["/bin/sh", "-c", command], stdin=null, stdout=null, stderr=null, start_new_session=True)


Options = UserServerOptions
makeService = make_service

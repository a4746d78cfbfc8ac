"""``twistd taskdispatcher``: options and composition of the TaskDispatcher."""

from __future__ import annotations

import getpass
import os
import signal
import socket
from typing import Any

from twisted.application.service import IService
from twisted.internet.error import CannotListenError
from twisted.logger import Logger, LogLevel
from typing_extensions import override

from tm import config, places
from tm.config.files import HostsFile
from tm.config.info_file import InfoFile
from tm.config.people_files import PeopleFiles
from tm.daemon.dispatcher import Dispatcher, Surroundings, Tables
from tm.daemon.dispatcher_verbs import DispatcherVerbs
from tm.daemon.info_names import PREFIX
from tm.daemon.post_office import Mailer
from tm.daemon.web_desk import PREFIX as WEB_PREFIX
from tm.edge.admission import ServerFactory
from tm.edge.clock import steady
from tm.edge.committer import Committer
from tm.edge.identity import web_fingerprint
from tm.edge.keys import fingerprint, load_certificate
from tm.edge.log import JsonLog
from tm.edge.tls import SecureFactory, check_peer, peer_identity, server_context_factory
from tm.errors import ConfigError, TaskManagerError
from tm.model.rights import User, Users
from tm.model.settings import Mail
from tm.store import schema
from tm.store.sqlite import SqliteStore
from tm.tap.common import Late, ServerOptions, check_port, number, pidfile, port_in_use, refuse
from tm.tap.info_care import info_care

_log = Logger()


class DispatcherOptions(ServerOptions):
    """What ``twistd taskdispatcher`` takes."""

    synopsis = "[options]  e.g. twistd taskdispatcher -p 10101 -e var/TaskDispatcherError.log"
    paths = ("error", "etc", "state")
    optParameters = [  # noqa: RUF012  Twisted's name and form
        ["port", "p", "", "port to listen on (default: as etc/TaskDispatcher.info says)"],
        ["interface", "i", "", "address to listen on (default: loopback if the dispatcher is at localhost, else all)"],
        ["error", "e", "", "file for warnings and errors, JSON lines (default: STATE/TaskDispatcherError.log)"],
        ["etc", None, "", "folder with users, groups, ComputerCluster.config (default: the installation's etc)"],
        ["state", None, "", "folder on a local disk for store, logs, pidfile (default: the installation's var)"],
    ]
    optFlags = [["init", None, "create an empty store; without it a missing store is an error"]]  # noqa: RUF012  Twisted's name and form

    @override
    def opt_version(self) -> None:
        """Show the version and leave."""
        import tm

        print(f"TaskDispatcher {tm.__version__}")
        raise SystemExit(0)


def make_service(options: DispatcherOptions) -> IService:
    """Return the dispatcher's service; leave with a sentence when something is wrong that can be seen now."""
    root = places.find_root()
    try:
        if not options["state"] and places.is_one_file():
            raise ConfigError(["--state: expected a folder on a local disk; a one-file program has none of its own"])
        etc = options["etc"] or places.find_etc()
        info = places.read_info(os.path.join(etc, "TaskDispatcher.info"))
        port = number(options, "port", 1, 65535) if options["port"] else int(info["port"])
        state = options["state"] or os.path.join(root, "var")
        store = os.path.join(state, "TaskDispatcher.sqlite")
        config.load(etc)
        server_context_factory(*_pair(etc))
        if options["init"] and not os.path.exists(store):
            schema.create(store)
        SqliteStore(store).close()
        interface = options["interface"] or ("127.0.0.1" if info["host"] in ("localhost", "127.0.0.1") else "")
        check_port(interface, port)
    except TaskManagerError as error:
        raise refuse(error) from None
    error_log = options["error"] or os.path.join(state, "TaskDispatcherError.log")
    return Late(lambda late: _build(late, etc, state, store, info["cluster"], interface, port, error_log))


def _pair(etc: str) -> tuple[str, str]:
    return (os.path.join(etc, "certs", "taskdispatcher.key"), os.path.join(etc, "certs", "taskdispatcher.crt"))


def _tables(etc: str) -> Tables:
    loaded = config.load(etc)
    raw = {**loaded.tables, "dispatcher": {"info": InfoFile(etc).table()}}
    return Tables(loaded.users, loaded.groups, loaded.hosts, raw, loaded.scheduling, loaded.mail)


def _build(
    late: Late, etc: str, state: str, store_path: str, cluster: str, interface: str, port: int, error_log: str
) -> None:
    from twisted.internet import reactor

    clock = steady(reactor)
    log, errors = JsonLog(os.path.join(state, "TaskDispatcher.log")), JsonLog(error_log, LogLevel.warn)
    log.start()
    errors.start()
    store = SqliteStore(store_path)
    writer, reader = Committer(clock, "store"), Committer(clock, "reader")
    certificate = load_certificate(_pair(etc)[1])
    own = fingerprint(certificate)

    def mailer(mail: Mail) -> Mailer:
        from tm.edge.mail import SmtpMailer  # what it needs is large, and many clusters send none

        return SmtpMailer(clock, mail.host, mail.port, mail.sender or f"{getpass.getuser()}@{socket.getfqdn()}")

    surroundings = Surroundings(
        cluster=cluster, clock=clock, store=store, writer=writer, reader=reader, read_tables=lambda: _tables(etc),
        host_tables=HostsFile(etc), info=InfoFile(etc),
        read_log=lambda wish: (errors if wish.errors else log).read_back(wish), stop=clock.stop, fingerprint=own,
        not_after=certificate.not_valid_after_utc.timestamp(),
        infoservers=info_care(clock, etc, state, interface, port, own), people=PeopleFiles(etc), mailer=mailer,
    )  # fmt: skip
    dispatcher = Dispatcher(surroundings, store.load())
    log.told = dispatcher.logged

    def identify(transport: Any) -> str:
        peer = peer_identity(transport)
        users = dispatcher.tables.users
        if peer is not None and users.user_of(peer.fingerprint) is None:
            host = dispatcher.infoservers.host_of(peer.fingerprint)
            if host is not None:
                return PREFIX + host
            if peer.fingerprint == web_fingerprint(etc):
                users = Users.of(User(WEB_PREFIX + cluster, (peer.fingerprint,)))
        return check_peer(peer, users, clock.seconds())

    factory = ServerFactory(DispatcherVerbs(dispatcher, identify), clock.timers)
    dispatcher.cut = factory.cut_peers
    secure = SecureFactory(server_context_factory(*_pair(etc)), False, factory, clock.timers)
    try:
        late.listens(factory.steer(clock.listenTCP(port, secure, backlog=512, interface=interface)))
    except CannotListenError as error:
        raise port_in_use(interface, port, error.socketError) from None
    late.add(dispatcher)
    for ending in (store.close, writer.stop, reader.stop, pidfile(os.path.join(state, "TaskDispatcher.pid"))):
        late.at_end(ending)
    _reload_on_hangup(clock, dispatcher)


def _reload_on_hangup(reactor: Any, dispatcher: Dispatcher) -> None:
    def reload() -> None:
        try:
            dispatcher.reload()
        except ConfigError as error:
            _log.error("etc/ not read again, the old tables stay: {text}", event="reload", text=error.text)

    signal.signal(signal.SIGHUP, lambda *_: reactor.callFromThread(reload))


Options = DispatcherOptions
makeService = make_service

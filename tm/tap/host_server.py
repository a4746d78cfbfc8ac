"""``twistd taskmanagerhost``: options and composition of a user's server on a host (TMMS)."""

from __future__ import annotations

import json
import os
from typing import Any

from twisted.application.service import IService
from twisted.internet.threads import deferToThreadPool
from typing_extensions import override

import tm
from tm.daemon import background
from tm.daemon.bundling import Bundling
from tm.daemon.host_book import Book, Snapshot
from tm.daemon.host_server import HostServer, HostSurroundings
from tm.daemon.keeping import Keeping, machine
from tm.daemon.visitors import Holding, Visitors
from tm.edge import survival
from tm.edge.bundles import Bundles
from tm.edge.clock import steady
from tm.edge.committer import Committer
from tm.edge.keeper_link import Keepers
from tm.edge.keys import fingerprint, load_certificate
from tm.edge.link import Dialler
from tm.edge.log import JsonLog
from tm.edge.reading import Lookout
from tm.edge.spool import Spool, boot_id, private_directory
from tm.edge.streams import StreamsNow
from tm.edge.tls import client_context_factory
from tm.edge.way import WayWatch, read_way, tell_way
from tm.errors import ConfigError, StoreError, TaskManagerError
from tm.keeper import cgroup, kernel
from tm.places import Places, find, valid_name
from tm.tap.common import Late, ServerOptions, pidfile, refuse
from tm.tap.user_server import start_detached

IDLE_SECONDS = 600.0


class HostServerOptions(ServerOptions):
    """What ``twistd taskmanagerhost`` takes."""

    synopsis = "--host NAME [--tms ADDRESS:PORT [--tunnel]]"
    optParameters = [  # noqa: RUF012  Twisted's name and form
        ["host", None, "", "name of this host in etc/ComputerCluster.config"],
        ["tms", None, "", "where the user's server is, ADDRESS:PORT (default: as its address file says)"],
    ]
    optFlags = [["tunnel", None, "--tms is the end of a tunnel on this host, and holds whatever the file says"]]  # noqa: RUF012  Twisted's name and form

    @override
    def opt_version(self) -> None:
        """Show the version and leave."""
        print(f"TMMS {tm.__version__}")
        raise SystemExit(0)


def make_service(options: HostServerOptions) -> IService:
    """Return the service of the calling user's server on this host; leave quietly when one is running already."""
    try:
        where = find()
        host = options["host"]
        if not valid_name(host):
            raise ConfigError(["--host: the name of this host in etc/ComputerCluster.config is needed"])
        private_directory(where.spool(host))
        tell_way(where.spool(host), _told_address(options["tms"]) if options["tunnel"] else None)
        Spool(where.spool(host)).close()
    except StoreError as error:
        print(f"TMMS: {error.text}")
        raise SystemExit(0) from None
    except TaskManagerError as error:
        raise refuse(error) from None
    return Late(lambda late: _build(late, where, host, options["tms"]))


def _build(late: Late, where: Places, host: str, tms: str) -> None:
    from twisted.internet import reactor

    clock = steady(reactor)
    kernel.become_subreaper()
    spool = Spool(where.spool(host))
    JsonLog(os.path.join(spool.path, "tmms.log")).start()
    book = Book.replay(spool.lines(), Snapshot(spool.name, boot_id()))
    rebooted = book.about.boot != boot_id()
    book.about.boot = boot_id()
    spool.rewrite(book.snapshot())
    writer = Committer(clock, "spool")
    cores, memory = machine()
    server = HostServer(
        HostSurroundings(
            host=host, cores=cores, memory=memory, clock=clock, spool=spool, writer=writer,
            revive=lambda: _revive(where, spool), stop=clock.stop,
            survives=survival.in_force(),
            idle_seconds=float(os.environ.get("TM_IDLE_SECONDS") or IDLE_SECONDS),
        ),
        book,
    )  # fmt: skip
    program = os.path.join(where.root, "tm", "keeper", "__main__.py")
    holding = Holding([where.python, "-I", "-S", os.path.join(where.root, "tm", "keeper", "holder.py")], spool.path)
    groups = cgroup.handed_over(spool.path)
    keepers = Keepers(clock, where.python, program, spool.path)
    bundles = Bundles(spool.path, host, spool.name)
    bundler = Committer(clock, "bundles")
    server.bundling = Bundling(bundles, bundler, server.report)
    server.keeping = Keeping(
        keepers, spool, book, server, clock, host, where.cluster,
        lambda lines: writer.run(lambda: spool.append(lines, durable=True)), holding, groups, bundles.folder,
    )  # fmt: skip
    own = frozenset({fingerprint(load_certificate(where.certificate))})

    def dialler(listener: Any) -> Dialler:
        return Dialler(
            clock.timers, listener, lambda: read_way(spool.path) or _address(where, tms),
            lambda: client_context_factory(where.key, where.certificate, own),
        )  # fmt: skip

    lookout = Lookout(clock, lambda work: deferToThreadPool(clock, clock.getThreadPool(), work))
    streams = StreamsNow(clock, host, dialler, lookout)
    server.visitors = Visitors(book, server.keeping, holding, streams, host, bundles.folder)
    late.add(server)
    main = dialler(server)
    watch = WayWatch(clock, spool.path, main)
    watch.start()
    background.start(_begin(server, rebooted, main), "finding what runs here")
    running = pidfile(os.path.join(spool.path, "tmms.pid"))
    for ending in (spool.close, writer.stop, bundler.stop, running, main.stop, watch.stop):
        late.at_end(ending)


async def _begin(server: HostServer, rebooted: bool, dialler: Dialler) -> None:
    assert server.keeping is not None and server.visitors is not None
    await server.keeping.find(rebooted)
    server.keeping.settled()
    server.visitors.find()
    dialler.start()


def _address(where: Places, tms: str) -> tuple[str, int]:
    """Return where the user's server is: as its address file says, else as we were told at our start."""
    try:
        with open(where.address_file, encoding="utf-8") as file:
            shown = json.load(file)
        return str(shown["host"]), int(shown["port"])
    except (OSError, ValueError, KeyError):
        told = _told_address(tms)
        if told is None:
            raise TaskManagerError("net.tms", f"no address of the user's server in {where.address_file}") from None
        return told


def _told_address(tms: str) -> tuple[str, int] | None:
    host, _, port = tms.rpartition(":")
    return (host, int(port)) if host and port.isdigit() else None


def _revive(where: Places, spool: Spool) -> None:
    """Start the user's server here, unless this is a host from which it could not be reached, nor reach anybody."""
    if read_way(spool.path) is None:
        start_detached(where)


Options = HostServerOptions
makeService = make_service

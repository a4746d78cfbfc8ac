"""``twistd taskweb``: options and composition of the web interface."""

from __future__ import annotations

import datetime
import hashlib
import json
import os
import time
from typing import Any, NamedTuple

from twisted.application.service import IService
from twisted.internet.error import CannotListenError
from twisted.internet.threads import deferToThread
from twisted.logger import LogLevel
from typing_extensions import override

import tm
from tm import places
from tm.edge.clock import steady
from tm.edge.identity import Identity, web_identity
from tm.edge.keys import fingerprint, load_certificate
from tm.edge.link import Dialler
from tm.edge.log import JsonLog
from tm.edge.tls import SecureFactory, client_context_factory, peer_identity, server_context_factory
from tm.errors import ConfigError, RefusedError, TaskManagerError
from tm.tap.common import Late, ServerOptions, check_port, number, pidfile, port_in_use, refuse
from tm.tap.web_board import keep_board
from tm.web.connections import WebFactory
from tm.web.desk import Desk
from tm.web.guard import Front
from tm.web.hub import Hub
from tm.web.pages.all import all_routes
from tm.web.service import WebServer
from tm.web.site import Server

LOOPBACK = ("127.0.0.1", "::1")


class Place(NamedTuple):
    """Where it listens; *pair* are the files of key and certificate where it speaks TLS."""

    interface: str
    port: int
    pair: tuple[str, str] | None
    options: list[str]


class WebOptions(ServerOptions):
    """What ``twistd taskweb`` takes."""

    synopsis = "[options]  e.g. twistd taskweb -p 10102"
    paths = ("error", "etc", "state", "certificate", "key")
    optParameters = [  # noqa: RUF012  Twisted's name and form
        ["port", "p", "", "port to listen on (default: the dispatcher's and one)"],
        ["interface", "i", "127.0.0.1", "address to listen on; only loopback goes without TLS"],
        ["url", "u", "", "where people reach it, e.g. https://cluster.example/tm/ behind a proxy (default: here)"],
        ["certificate", None, "", "TLS certificate in PEM for --interface (default: one of its own, self-signed)"],
        ["key", None, "", "the private key of --certificate"],
        ["error", "e", "", "file for warnings and errors, JSON lines (default: STATE/TaskWebError.log)"],
        ["etc", None, "", "folder with TaskDispatcher.info and certs (default: the installation's etc)"],
        ["state", None, "", "folder for logs, pidfile, history (default: the installation's var)"],
    ]

    @override
    def opt_version(self) -> None:
        """Show the version and leave."""
        print(f"TaskWeb {tm.__version__}")
        raise SystemExit(0)


def make_service(options: WebOptions) -> IService:
    """Return the service of the web interface; leave with a sentence when something is wrong that can be seen now."""
    try:
        etc = options["etc"] or places.find_etc()
        info = places.read_info(os.path.join(etc, "TaskDispatcher.info"))
        port = number(options, "port", 1, 65535) if options["port"] else int(info["port"]) + 1
        state = options["state"] or os.path.join(places.find_root(), "var")
        identity = web_identity(etc, datetime.datetime.now(datetime.UTC))
        if bool(options["key"]) != bool(options["certificate"]):
            raise ConfigError(["--certificate and --key: one is of no use without the other"])
        secure = bool(options["key"]) or options["interface"] not in LOOPBACK
        pair = (options["key"] or identity.key, options["certificate"] or identity.certificate)
        shown = f"[{options['interface']}]" if ":" in options["interface"] else options["interface"] or info["host"]
        front = Front.of(options["url"] or f"{'https' if secure else 'http'}://{shown}:{port}/", [f"{shown}:{port}"])
        _check_url(front.url)
        server_context_factory(*pair)
        check_port(options["interface"], port)
    except TaskManagerError as error:
        raise refuse(error) from None
    logs = (os.path.join(state, "TaskWeb.log"), options["error"] or os.path.join(state, "TaskWebError.log"))
    given = ("port", "interface", "url", "certificate", "key", "error")
    again = [word for name in given if options[name] for word in (f"--{name}", str(options[name]))]
    place = Place(options["interface"], port, pair if secure else None, again)
    return Late(lambda late: _build(late, info, etc, state, identity, front, place, logs))


def _check_url(url: str) -> None:
    if not url.startswith(("http://", "https://")) or any(char in url for char in "?# \\\"'"):
        raise ConfigError([f"--url: expected an address such as https://cluster.example/tm/, not '{url:.100}'"])


def _build(
    late: Late, info: dict[str, str], etc: str, state: str, identity: Identity, front: Front, place: Place,
    logs: tuple[str, str],
) -> None:
    from twisted.internet import reactor

    clock = steady(reactor)
    JsonLog(logs[0]).start()
    JsonLog(logs[1], LogLevel.warn).start()
    desk = Desk(time.time, info["cluster"])
    desk.timer = clock
    desk.aside = deferToThread
    desk.events = hub = Hub(clock, desk.sessions)
    web = WebServer(desk, clock, front.url)
    web.heard += [hub.heard, desk.meter.heard]
    web.up.append(hub.up)
    web.down.append(hub.down)
    keep_board(late, desk, web, clock, os.path.join(state, "TaskWeb.history"))
    trusted = {fingerprint(load_certificate(os.path.join(etc, "certs", "taskdispatcher.crt")))}
    dialler = Dialler(
        clock.timers, web, lambda: (info["host"], int(info["port"])),
        lambda: client_context_factory(identity.key, identity.certificate, trusted),
    )  # fmt: skip
    server = Server(desk, all_routes(), front, _cookie(front.url), _certificate if place.pair else lambda transport: "")
    factory: Any = WebFactory(server, clock)
    if place.pair is not None:
        factory = SecureFactory(server_context_factory(*place.pair), False, factory, clock.timers)
    try:
        late.listens(clock.listenTCP(place.port, factory, backlog=512, interface=place.interface))
    except CannotListenError as error:
        raise port_in_use(place.interface, place.port, error.socketError) from None
    late.add(web)
    dialler.start()
    _say_where(os.path.join(state, "TaskWeb.address"), front.url, place)
    for ending in (dialler.stop, hub.stop, pidfile(os.path.join(state, "TaskWeb.pid"))):
        late.at_end(ending)


def _say_where(path: str, url: str, place: Place) -> None:
    """Write where we are and what starts us again so, for those who look after this installation."""
    with open(path + ".new", "w", encoding="utf-8") as file:
        json.dump({"pid": os.getpid(), "url": url, "port": place.port, "options": place.options}, file)
    os.rename(path + ".new", path)


def _cookie(url: str) -> str:
    """Return the cookie's name: cookies ignore ports, so that two instances on a host need different ones."""
    return f"tm-{hashlib.sha256(url.encode()).hexdigest()[:8]}"


def _certificate(transport: Any) -> str:
    """Return the fingerprint of the certificate that a browser presented; empty for none that can be read."""
    try:
        peer = peer_identity(transport)
    except RefusedError:
        return ""
    return peer.fingerprint if peer is not None else ""


Options = WebOptions
makeService = make_service

"""How the dispatcher starts InfoServers: with its own account, by each host's launcher."""

from __future__ import annotations

import os
from collections.abc import Mapping
from functools import partial
from typing import Any

from tm import places
from tm.daemon.info_links import MOST_STARTING
from tm.daemon.info_names import InfoCare
from tm.edge import info_book
from tm.edge.launchers import launcher
from tm.edge.own_installation import own_installation
from tm.edge.tunnel import Tunnels
from tm.model.host import HostConfig
from tm.model.installed import Paths, start_command
from tm.ports import Target

PROGRAM = "InfoServer"
BOOK = "infoservers.json"


def info_care(reactor: Any, etc: str, state: str, interface: str, port: int, trusted: str) -> InfoCare:
    """Return what cares for the InfoServers of the dispatcher on *interface* (empty: all) and *port*, whose certificate
    is *trusted*."""
    environment = dict(os.environ)
    book = os.path.join(state, BOOK)
    launchers: dict[str, Any] = {}
    tunnels = Tunnels(reactor, environment, state, lambda: (interface or "127.0.0.1", port))

    async def start(config: HostConfig) -> str:
        info = places.read_info(os.path.join(etc, "TaskDispatcher.info"))
        if config.launcher not in launchers:
            launchers[config.launcher] = launcher(config.launcher, reactor, environment, at_once=MOST_STARTING)
        way = [f"{info['host']}:{port}"]
        if config.tunnel and config.launcher != "local":
            there = Target(config.name, config.address, ["true"], config.options)
            way = ["{}:{}".format(*await tunnels.open(there, config.launcher)), "--tunnel"]
        else:
            tunnels.close(config.name)
        argv = command(config, way, trusted, local_directory(environment, info))
        output: str = await launchers[config.launcher].launch(Target(config.name, config.address, argv, config.options))
        return output

    return InfoCare(
        start=start, load=partial(info_book.load, book), save=partial(info_book.save, book), let_go=tunnels.close
    )  # fmt: skip


def command(config: HostConfig, way: list[str], trusted: str, local: str) -> list[str]:
    """Return what starts the InfoServer of the host *config* there, with its files below *local*.

    *way* is where the dispatcher is as seen from there, and what else is to be said of that.
    """
    root = places.find_root()
    own = own_installation(PROGRAM, root, places.find_python(root))
    arguments = [
        "--host", config.name, "--dispatcher", *way, "--trust", trusted,
        "--port", str(config.info_port), "--state", os.path.join(local, "info", config.name),
    ]  # fmt: skip
    return start_command(Paths(config.python, config.root, config.program), own, PROGRAM, arguments, {})


def local_directory(environment: Mapping[str, str], info: Mapping[str, str]) -> str:
    """Return the folder of the daemons of this account on each host's local disk."""
    named = environment.get("TM_LOCAL_DIRECTORY") or info.get("local_directory")
    return named or f"/var/tmp/taskmanager-{os.getuid()}/{info['cluster']}"

"""``tm service …``: have this machine start a server of yours again after its boot, without an administrator."""

from __future__ import annotations

import argparse
import json
import os
import socket
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple

from tm import places
from tm.cli.checks.judging import GOOD, NOTE, Finding
from tm.errors import ConfigError, TaskManagerError
from tm.model import revival
from tm.model.revival import Means, Service

if TYPE_CHECKING:
    from tm.edge.revival import Machine

Environ = Mapping[str, str]
Runner = Callable[[argparse.Namespace, Environ], list[str]]
Maker = Callable[[Any, Runner, str, str], argparse.ArgumentParser]

EXAMPLES = """\
  tm service install                                        your server (TMS) comes back after a boot of this machine
  tm service install dispatcher --state /srv/tm             the TaskDispatcher of this account does
  tm service status                                         what comes back here, and by which means
  tm service remove                                         your server comes back no more; the one that runs stays
"""
SERVERS = {"tms": "TMS", "dispatcher": "TaskDispatcher", "infoserver": "InfoServer", "web": "TaskWeb"}


class Standing(NamedTuple):
    """How a server of ours stands on this machine: by which *means* it is *installed* to come back, if it is so, and
    *sound*: as it would be installed now; which means there *would* be; the *pid* of the one that runs, or 0."""

    server: str
    installed: Means
    sound: bool
    would: Means
    pid: int


def add_commands(commands: Any, group: Callable[[Any, str, str], Any], command: Maker) -> None:
    """Add ``service`` and its commands to *commands*."""
    inner = group(commands, "service", "servers that come back after a boot")
    for name, runner, text in (
        ("install", _install, "have a server come back after a boot of this machine"),
        ("remove", _remove, "let it come back no more; one that runs stays"),
        ("status", _status, "what comes back, and by which means"),
    ):
        parser = command(inner, runner, f"service {name}", text)
        default, shown = (None, "all") if name == "status" else ("tms", "tms")
        parser.add_argument(
            "server", nargs="?", choices=list(SERVERS), default=default, metavar="|".join(SERVERS), help=f"({shown})"
        )
        parser.add_argument("--state", help="the dispatcher's folder, as TaskDispatcher --state")
        parser.add_argument("--host", help="of an InfoServer: the host's name in ComputerCluster.config")


def _install(arguments: argparse.Namespace, environ: Environ) -> list[str]:
    from tm.edge import survival
    from tm.edge.revival import Machine

    machine, service, found_pid = Machine(environ), *_service(arguments.server, arguments, environ)
    found = machine.find()
    if found.answers and not found.lingering and machine.linger():
        found = found._replace(lingering=True)
    means = revival.choose(found)
    before = _standing(machine, service, arguments.server, means, found_pid)
    if means is Means.NONE:
        raise ConfigError([revival.refusal(found, survival.account())], "config.service")
    if before.installed is means and before.sound:
        return [f"{service.title} comes back by {_by(means, machine, service)} already"]
    if means is Means.UNIT:
        machine.install_unit(service, start=not found_pid)
        machine.remove_line(service)
    else:
        machine.install_line(service)
        machine.remove_unit(service)
    lines = [f"{service.title} comes back by {_by(means, machine, service)}"]
    if means is Means.CRONTAB and not machine.cron_runs():
        lines.append("no cron is seen running on this machine: ask its administrator whether one does after a boot")
    if means is Means.UNIT and found_pid:
        lines.append(f"the one that runs (pid {found_pid}) stays; the unit's takes its place at the next start")
    return lines


def _remove(arguments: argparse.Namespace, environ: Environ) -> list[str]:
    from tm.edge.revival import Machine

    machine, service, _ = Machine(environ), *_service(arguments.server, arguments, environ)
    gone = [machine.remove_unit(service), machine.remove_line(service)]
    if not any(gone):
        return [f"{service.title} was not made to come back after a boot: nothing to remove"]
    return [f"{service.title} comes back after a boot no more; one that runs goes on"]


def _status(arguments: argparse.Namespace, environ: Environ) -> list[str]:
    lines = []
    for server in [arguments.server] if arguments.server else SERVERS:
        try:
            one = standing(server, environ, arguments)
        except TaskManagerError:
            if arguments.server or server == "tms":
                raise
            continue
        if arguments.server or server == "tms" or one.pid or one.installed is not Means.NONE:
            lines.append(f"{server:<11} {text_of(one)}")
    return lines


def standing(server: str, environ: Environ, arguments: argparse.Namespace | None = None) -> Standing:
    """Return how *server*, a key of `SERVERS`, stands here. Raises `TaskManagerError`."""
    from tm.edge.revival import Machine

    machine = Machine(environ)
    service, pid = _service(server, arguments or argparse.Namespace(etc=None, state=None, host=None), environ)
    return _standing(machine, service, server, revival.choose(machine.find()), pid)


def text_of(one: Standing) -> str:
    """Return how a server stands, in words."""
    runs = f"; running (pid {one.pid})" if one.pid else "; not running now"
    if one.installed is Means.NONE:
        how = f"'tm service install {one.server}' makes it" if one.would is not Means.NONE else "no means is there"
        return f"does not come back after a boot ({how}){runs}"
    stale = "" if one.sound else f", but not as it is now: 'tm service install {one.server}' renews it"
    return f"comes back by {one.installed}{stale}{runs}"


def judge(environ: Environ) -> Finding:
    """Return what ``tm doctor`` finds of the calling user's server here. Raises `TaskManagerError`."""
    one = standing("tms", environ)
    if one.installed is Means.NONE:
        text = "your server (TMS) starts with your next job after a boot; 'tm service install' has it start by itself"
        return Finding("service", GOOD, "by hand", text)
    text = f"your server (TMS) {text_of(one)}"
    return Finding("service", GOOD if one.sound else NOTE, str(one.installed), text, "tm service install")


def _standing(machine: Machine, service: Service, server: str, would: Means, pid: int) -> Standing:
    unit, line = machine.unit(service), machine.cron_line(service)
    if unit:
        return Standing(server, Means.UNIT, unit == revival.unit_text(service) and machine.lingering, would, pid)
    if line:
        return Standing(server, Means.CRONTAB, line == revival.cron_line(service), would, pid)
    return Standing(server, Means.NONE, False, would, pid)


def _by(means: Means, machine: Machine, service: Service) -> str:
    return f"the user unit {service.unit}, lingering" if means is Means.UNIT else "a line of your crontab"


# -- servers --------------------------------------------------------------------------------------------------------


def _service(server: str, arguments: argparse.Namespace, environ: Environ) -> tuple[Service, int]:
    """Return the *server* of the calling account here, and the pid of the one that runs, or 0."""
    here = places.find({**environ, "TM_ETC": arguments.etc} if arguments.etc else environ)
    make = {"tms": _tms, "dispatcher": _dispatcher, "infoserver": _infoserver, "web": _web}[server]
    return make(here, arguments, environ)


def _tms(here: places.Places, arguments: argparse.Namespace, environ: Environ) -> tuple[Service, int]:
    from tm.edge.own_installation import HANDED_DOWN

    variables = {name: environ[name] for name in HANDED_DOWN if environ.get(name)}
    if arguments.etc:
        variables["TM_ETC"] = here.etc
    service = _of("tms", here, f"the server (TMS) of {here.user}", [], variables)
    return service, _pid(os.path.join(here.tms_directory, "tms.pid"))


def _dispatcher(here: places.Places, arguments: argparse.Namespace, environ: Environ) -> tuple[Service, int]:
    state = os.path.abspath(arguments.state or os.path.join(here.root, "var"))
    store = os.path.join(state, "TaskDispatcher.sqlite")
    if not os.path.exists(store):
        raise ConfigError([f"{store}: there is no store; --state names the dispatcher's folder"], "config.service")
    title = f"the TaskDispatcher of {here.cluster}"
    service = _of("dispatcher", here, title, ["--etc", here.etc, "--state", state], {})
    return service, _pid(os.path.join(state, "TaskDispatcher.pid"))


def _web(here: places.Places, arguments: argparse.Namespace, environ: Environ) -> tuple[Service, int]:
    """The web interface that runs here, or ran last, as it was started."""
    state = os.path.abspath(arguments.state or os.path.join(here.root, "var"))
    try:
        with open(os.path.join(state, "TaskWeb.address"), encoding="utf-8") as file:
            told = [str(word) for word in json.load(file)["options"]]
    except (OSError, ValueError, KeyError, TypeError):
        raise ConfigError(
            [f"{state}: no web interface has run there yet; start TaskWeb once, as it is to be, or say --state"],
            "config.service",
        ) from None
    service = _of("web", here, f"the web interface of {here.cluster}", ["--etc", here.etc, "--state", state, *told], {})
    return service, _pid(os.path.join(state, "TaskWeb.pid"))


def _infoserver(here: places.Places, arguments: argparse.Namespace, environ: Environ) -> tuple[Service, int]:
    """The InfoServer that runs here, or ran last, as the dispatcher started it."""
    above = os.path.join(here.local_directory, "info")
    names = [arguments.host] if arguments.host else sorted(os.listdir(above)) if os.path.isdir(above) else []
    if len(names) != 1:
        said = f"there are several: {', '.join(names)}" if names else "none has run here yet"
        raise ConfigError([f"{above}: {said}; --host names the InfoServer's host"], "config.service")
    state = os.path.join(above, names[0])
    try:
        with open(os.path.join(state, "running"), encoding="utf-8") as file:
            told = json.load(file)
        dispatcher, trust, line = told["dispatcher"], ",".join(told["trust"]), json.loads(told["line"])
    except (OSError, ValueError, KeyError, TypeError):
        raise ConfigError([f"{state}: no InfoServer has run there yet"], "config.service") from None
    if dispatcher == "tunnel":
        raise ConfigError(
            [f"{names[0]}: its InfoServer needs a tunnel of the dispatcher, which starts it after a boot"],
            "config.service",
        )
    arguments_of = [
        "--host", names[0], "--dispatcher", f"{dispatcher[0]}:{dispatcher[1]}", "--trust", trust,
        "--port", str(line["port"]), "--state", state,
    ]  # fmt: skip
    service = _of(f"infoserver-{names[0]}", here, f"the InfoServer of {names[0]}", arguments_of, {})
    return service, _pid(os.path.join(state, "infoserver.pid"))


def _of(
    name: str, here: places.Places, title: str, arguments: list[str], variables: Mapping[str, str]
) -> Service:
    from tm.edge.own_installation import own_installation

    program = SERVERS[name.partition("-")[0]]
    own = own_installation(program, here.root, here.python)
    script = [own.one_file, program] if own.one_file else [own.script]
    return Service(
        f"{name}-{here.cluster}", title, [own.python, *script], arguments, variables, socket.gethostname()
    )  # fmt: skip


def _pid(path: str) -> int:
    """Return the pid that stands in a pidfile, 0 where nothing of this account has it."""
    try:
        with open(path, encoding="ascii") as file:
            pid = int(file.read())
        return pid if os.stat(f"/proc/{pid}").st_uid == os.getuid() else 0
    except (OSError, ValueError):
        return 0

"""``tm hosts check`` and ``tm hosts add``: look at hosts, take them in, wait until they compute.

Nothing is changed anywhere before every host has been looked at, and only hosts that are well are taken in.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import secrets
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import tm
from tm import places as whereabouts
from tm.cli.checks import showing
from tm.cli.checks.judging import BAD, BIN, Finding, Place, is_bad
from tm.errors import RefusedError, TaskManagerError
from tm.places import Places, valid_name

if TYPE_CHECKING:
    from tm.client.connection import Connection

READY_SECONDS = 90.0
INFO_SECONDS = 20.0
LOOK_EVERY = 0.2
FINAL = {"completed", "failed", "cancelled", "timeout", "out_of_memory", "lost"}
ONE_FILE = re.compile(r"tm[A-Za-z0-9_.+-]{0,120}\.pyz\Z")
_NAMED = re.compile(r"([A-Za-z0-9_.-]+)(?:=(.+))?\Z")

Environ = Mapping[str, str]


def take_add(parser: argparse.ArgumentParser) -> None:
    """Say what ``tm hosts add`` takes."""
    parser.add_argument("hosts", metavar="HOST[=ADDRESS]", nargs="+", help="a name, and its address where that differs")
    parser.add_argument(
        "--set", dest="values", metavar="KEY=VALUE", action="append", default=[],
        help="a line of its configuration, as of 'tm hosts change'; may be said again",
    )  # fmt: skip
    parser.add_argument("--program", metavar="FILE", help=f"copy this one-file program to {BIN} there, and use it")
    parser.add_argument("--dry-run", action="store_true", help="look only; copy nothing, change nothing")


def take_check(parser: argparse.ArgumentParser) -> None:
    """Say what ``tm hosts check`` takes."""
    parser.add_argument("hosts", metavar="HOST", nargs="*", help="these hosts; without any, all that are active")
    parser.add_argument(
        "--set", dest="values", metavar="KEY=VALUE", action="append", default=[],
        help="as if this were configured, as of 'tm hosts change'; may be said again",
    )  # fmt: skip


def run_check(arguments: argparse.Namespace, environ: Environ) -> list[str]:
    """Check hosts of the cluster; leave with 1 when something must be mended."""
    where = _places(arguments, environ)
    with _dispatcher(where) as connection:
        hosts = configured(connection, arguments.hosts, where, arguments.values)
    found = look(where, environ, hosts, arguments.json)
    print("\n".join(_summary(found, arguments.json)))
    raise SystemExit(any(is_bad(findings) for findings in found.values()))


def run_add(arguments: argparse.Namespace, environ: Environ) -> list[str]:
    """Take hosts in; leave with 1 when one is not ready at the end."""
    from tm.client.connection import Connection

    where = _places(arguments, environ)
    with _dispatcher(where) as connection:
        _check_rights(connection, arguments.dry_run)
        hosts = _wanted(arguments, connection, where)
    bad: dict[str, list[Finding]] = {}
    if arguments.program and not arguments.dry_run:
        bad = _copied([one.place for one in hosts], arguments.program, environ)
    if not arguments.dry_run:
        Connection.open_tms(where).close()
    looked = look(where, environ, [one.place for one in hosts if one.place.name not in bad], arguments.json)
    found = {one.place.name: bad.get(one.place.name) or looked[one.place.name] for one in hosts}
    print("\n".join(_summary(found, arguments.json)))
    good = [one for one in hosts if not is_bad(found[one.place.name])]
    if arguments.dry_run:
        if not arguments.json:
            print("\n".join(f"{one.place.name}: would be added: {one.json}" for one in good if not one.place.added))
        raise SystemExit(len(good) < len(hosts))
    ready = [_take_in(where, one, arguments.json) for one in good]
    raise SystemExit(len(ready) < len(hosts) or not all(ready))


# -- which hosts ------------------------------------------------------------------------------------------------------


@dataclass
class Newcomer:
    """A host that is to be there: its *place*, and the *table* of its configuration."""

    place: Place
    table: dict[str, Any] = field(default_factory=dict)

    @property
    def json(self) -> str:
        """The argument of ``addhost``."""
        return json.dumps({"name": self.place.name, **self.table}, ensure_ascii=False).replace("\x7f", "\\u007f")


def place_of(name: str, config: Mapping[str, Any], where: Places, added: bool = True) -> Place:
    """Return the host *name* whose configuration is *config*."""
    return Place(
        name, str(config.get("address") or name), str(config.get("launcher") or "openssh"),
        dict(config.get("options") or {}), str(config.get("python") or ""), str(config.get("root") or ""),
        str(config.get("program") or ""), config.get("cores"), bool(config.get("tunnel")), added,
        tm.__version__, where.user,
    )  # fmt: skip


def configured(
    connection: Connection, names: Sequence[str], where: Places, values: Sequence[str] = ()
) -> list[Place]:
    """Return the hosts called *names*, or all that are active, as if *values* (``KEY=VALUE``) were configured."""
    from tm.wire.message import quote

    if not names:
        shown = [json.loads(line) for line in connection.ask("lshosts", json=True).body]
        names = [one["name"] for one in shown if one["state"] not in ("drained",)]
    hosts = [json.loads(connection.ask("hostinfo", quote(name), json=True).body[0]) for name in names]
    return [place_of(host["name"], _with_values(host, values), where) for host in hosts]


def _with_values(host: Mapping[str, Any], values: Sequence[str]) -> dict[str, Any]:
    """Return the configuration of *host* as it would be with *values*."""
    from tm.cli.host_values import edit_of

    config = dict(host.get("config") or host)
    edit = edit_of(values, config, host.get("own") or {})
    return {**{key: value for key, value in config.items() if key not in edit.unset}, **edit.set}


def _wanted(arguments: argparse.Namespace, connection: Connection, where: Places) -> list[Newcomer]:
    from tm.cli.host_values import edit_of
    from tm.client.program import UsageError

    base = dict(edit_of(arguments.values, {}, {}).set)
    for key, value in base.items():
        _check_value(key, value)
    if arguments.program:
        file = os.path.basename(arguments.program)
        if not ONE_FILE.match(file) or not os.path.isfile(arguments.program):
            raise UsageError(f"--program {arguments.program}: expected a file of scripts/mkDist.sh, dist/tm-….pyz")
        base["program"] = f"{BIN}/{file}"
    known = {one["name"] for one in (json.loads(line) for line in connection.ask("lshosts", json=True).body)}
    found = []
    for word in arguments.hosts:
        named = _NAMED.match(word)
        if named is None or not valid_name(named[1]):
            raise UsageError(f"'{word}': expected a name for the host, or NAME=ADDRESS")
        table = {**base, **({"address": named[2]} if named[2] else {})}
        found.append(_newcomer(named[1], table, named[1] in known, connection, where))
    return found


def _check_value(key: str, value: object) -> None:
    from tm.client.program import UsageError
    from tm.config.host_keys import KEYS

    if key not in {*KEYS, "address", "group"}:
        raise UsageError(f"--set {key}: expected one of {', '.join(KEYS)}, address, group")
    try:
        if key in KEYS:
            KEYS[key](value)
    except ValueError as error:
        raise UsageError(f"--set {key}: {error}") from None


def _newcomer(name: str, table: dict[str, Any], known: bool, connection: Connection, where: Places) -> Newcomer:
    if known:
        _check_unchanged(name, table)
        (place,) = configured(connection, [name], where)
        return Newcomer(place)
    return Newcomer(place_of(name, {**_usual(where), **table}, where, added=False), table)


def _check_unchanged(name: str, table: Mapping[str, object]) -> None:
    """Refuse other values for a host that is there; its program may still be brought to this account."""
    from tm.client.program import UsageError

    asked = " ".join(f"{key}=…" for key in table if key != "program")
    if asked:
        raise UsageError(f"{name} is a host already; give it other values with: tm hosts change {name} {asked}")


def _usual(where: Places) -> dict[str, Any]:
    """Return what holds for every host, as far as our ``etc`` says it."""
    from tm.config import hosts
    from tm.config.document import Document

    path = os.path.join(where.etc, hosts.NAME)
    try:
        data = Document(path, (os.getuid(), os.stat(path).st_uid, 0)).data
    except OSError:
        return {}
    usual = data.get(hosts.DEFAULTS, {})
    return dict(usual) if isinstance(usual, dict) else {}


def _copied(hosts: Sequence[Place], program: str, environ: Environ) -> dict[str, list[Finding]]:
    from tm.cli.checks.asking import copy_all

    failed = copy_all(hosts, program, environ)
    remedy = f"see that this works: {{}} true; or copy {program} to {BIN} there yourself"
    return {
        one.name: [Finding("program", BAD, "not copied", failed[one.name], remedy.format(one.ssh()))]
        for one in hosts if one.name in failed
    }  # fmt: skip


# -- looking ----------------------------------------------------------------------------------------------------------


def ways_back(where: Places) -> dict[str, tuple[str, int]]:
    """Return the servers that a host must reach: the dispatcher, and the user's server if it runs."""
    from tm.client.tms import read_address

    ways = {"the TaskDispatcher": (where.host, where.port)}
    address = read_address(where)
    if address is not None:
        ways["your server (TMS)"] = (str(address["host"]), int(address["port"]))
    return ways


def look(where: Places, environ: Environ, hosts: Sequence[Place], quiet: bool) -> dict[str, list[Finding]]:
    """Ask all of *hosts* and show it as they answer, unless *quiet*."""
    from tm.cli.checks.asking import Asking

    board = showing.board([host.name for host in hosts], quiet or not hosts)
    asking = Asking(where, environ, ways_back(where))
    return asking.ask(hosts, board.hear if board is not None else lambda *heard: None) if hosts else {}


def _summary(found: Mapping[str, list[Finding]], as_json: bool) -> list[str]:
    if as_json:
        return [showing.as_json(name, findings) for name, findings in found.items()]
    lines = [line for name, findings in found.items() for line in showing.remedies(name, findings)]
    bad = [name for name, findings in found.items() if is_bad(findings)]
    count = f"{len(found)} hosts" if len(found) != 1 else "1 host"
    return [*lines, f"{count}, {len(bad)} with something to mend" if bad else f"{count}, all is well"]


# -- taking in --------------------------------------------------------------------------------------------------------


def _check_rights(connection: Connection, dry: bool) -> None:
    if dry:
        return
    rights = json.loads(connection.ask("whoami", json=True).body[0]).get("rights", [])
    if not {"hosts", "all", "verb:addhost"} & set(rights):
        raise RefusedError(
            "perm.denied", "adding hosts needs the right 'hosts' in etc/groups; 'tm hosts add --dry-run' only looks"
        )


def _take_in(where: Places, host: Newcomer, as_json: bool) -> bool:
    """Add *host*, have it run a command, and say how that went; return whether it is ready."""
    name = host.place.name
    try:
        with _dispatcher(where) as connection:
            if not host.place.added:
                connection.ask("addhost", host.json)
        _try(where, name)
        with _dispatcher(where) as connection:
            text = _ready(connection, name)
    except TaskManagerError as error:
        _say(name, False, f"{name} is not ready: {error.text}", as_json)
        return False
    _say(name, True, text, as_json)
    return True


def _try(where: Places, name: str) -> None:
    """Run ``true`` there: the way of every job, by our own servers. Raises `TaskManagerError` with why it does not."""
    from tm.client.connection import Connection

    common = {"cwd": "/", "environment": {"PATH": "/usr/bin:/bin"}, "hosts": [name], "name": "tm-hosts-add"}
    wish = {"token": secrets.token_hex(16), "jobs": [{"command": ["true"]}], "common": common}
    with Connection.open_tms(where) as connection:
        (number,) = connection.ask("submit", json.dumps(wish)).body
        end = time.monotonic() + READY_SECONDS
        while True:
            job = json.loads(connection.ask("jobinfo", number, json=True).body[0])
            if job["state"] == "completed":
                return
            if job["state"] in FINAL or time.monotonic() > end:
                break
            time.sleep(LOOK_EVERY)
        if job["state"] not in FINAL:
            connection.ask("canceljob", f"{number}:the host was not ready in time", check=False)
    why = job["reason"] or "no reason is known"
    raise TaskManagerError("net.timeout", f"a first job there is {job['state']}: {why}")


def _ready(connection: Connection, name: str) -> str:
    """Return the line that says the host is ready, with what its InfoServer is."""
    end = time.monotonic() + INFO_SECONDS
    while True:
        host = json.loads(connection.ask("hostinfo", name, json=True).body[0])
        info = host["info"]
        if info["state"] not in ("starting", "off") or time.monotonic() > end:
            break
        if info["state"] == "off" and not (host.get("config") or {}).get("infoserver", True):
            break
        time.sleep(LOOK_EVERY)
    text = f"{name} ready, {host['cores']} core{'s' * (host['cores'] != 1)}"
    return text if info["state"] in ("up", "off") else f"{text}; but no InfoServer: {info['reason']}"


def _say(name: str, ready: bool, text: str, as_json: bool) -> None:
    shown = json.dumps({"host": name, "ready": ready, "text": text}, ensure_ascii=False) if as_json else text
    print(shown, flush=True)


def _places(arguments: argparse.Namespace, environ: Environ) -> Places:
    return whereabouts.find({**environ, "TM_ETC": arguments.etc} if arguments.etc else environ)


def _dispatcher(where: Places) -> Connection:
    from tm.client.connection import Connection

    return Connection.open_dispatcher(where)

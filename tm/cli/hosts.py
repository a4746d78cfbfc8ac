"""``tm hosts …``: a group runs its hosts from the command line.

Each command is a few lines of the protocol over one connection; what may be done the dispatcher decides. The table
`COMMANDS` is all there is: a command more is a row more.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from tm.cli import host_tables
from tm.cli.checks import hosts as checks
from tm.cli.host_values import check_duration, edit_of
from tm.cli.reaching import dispatcher
from tm.errors import RefusedError, TaskManagerError

if TYPE_CHECKING:
    from tm.client.connection import Connection

Environ = Mapping[str, str]
Runner = Callable[[argparse.Namespace, Environ], list[str]]
Maker = Callable[[Any, Runner, str, str], argparse.ArgumentParser]

EXAMPLES = """\
  tm hosts list                                             what needs somebody first, then the busiest
  tm hosts info n2                                          all that is known of one host, and its configuration
  tm hosts check                                            ssh, Python, disk, clock, ports of all hosts; what mends it
  tm hosts add n2 n3 --dry-run                              the same of hosts that are not there yet
  tm hosts add n2 n3 --set cores=8 --set features=gpu       take them in, and wait until they compute
  tm hosts change n2 cores=8 policy=suspend features+=gpu   other values; shows them before and after
  tm hosts change n2 memory= hours="mon-fri 20:00-07:00"    no line 'memory' of its own any more; jobs by night
  tm hosts change n2 options.port=2222 consumables.matlab=4
  tm hosts activate n2 n3                                   let jobs start there
  tm hosts deactivate n2 --reason "a new fan"               start nothing more there; what runs goes on
  tm hosts drain n2 --by 2h --reason "a new disk"           and what may be repeated leaves within two hours
  tm hosts leave n2 --for 4h                                my machine: leave it to me now
  tm hosts return n2                                        jobs may use my machine again
  tm hosts lost n2                                          it will not come back: its running jobs are lost
  tm hosts remove n2                                        take it out, when nothing runs there
  tm hosts audit -n 20                                      who changed what
  tm hosts undo 17                                          take that change back
"""
_DURATIONS = ("by", "duration")


class HostCommand(NamedTuple):
    """A command: its *name*, a line of *help*, what it takes, and what it does."""

    name: str
    help: str
    takes: Callable[[argparse.ArgumentParser], None]
    run: Runner


def add_commands(commands: Any, group: Callable[[Any, str, str], Any], command: Maker) -> None:
    """Add ``hosts`` to *commands*: *group* makes a parser with commands, *command* one of these."""
    hosts = group(commands, "hosts", "the hosts that calculate")
    for one in COMMANDS:
        parser = command(hosts, one.run, f"hosts {one.name}", one.help)
        one.takes(parser)
        parser.add_argument("--json", action="store_true", help="one JSON object a line")


# -- looking ----------------------------------------------------------------------------------------------------------


def _list(arguments: argparse.Namespace, environ: Environ) -> list[str]:
    wanted = _states(arguments.state)
    with dispatcher(arguments, environ) as connection:
        hosts = _objects(connection.ask("lshosts", json=True).body)
    shown = [host for host in hosts if not wanted or host.get("state") in wanted]
    if arguments.json:
        return _json_lines(host_tables.by_trouble_and_load(shown))
    if hosts and not shown:
        return [f"none of {len(hosts)} hosts is {' or '.join(wanted)}"]
    return host_tables.host_lines(shown, _width())


def _states(text: str | None) -> list[str]:
    from tm.client.program import UsageError

    wanted = [word.strip() for word in (text or "").split(",") if word.strip()]
    for word in wanted:
        if word not in host_tables.TROUBLE:
            raise UsageError(f"'{word}' is no state of a host; expected {', '.join(host_tables.TROUBLE)}")
    return wanted


def _info(arguments: argparse.Namespace, environ: Environ) -> list[str]:
    lines: list[str] = []
    with dispatcher(arguments, environ) as connection:
        for name in arguments.hosts:
            host = _host(connection, name)
            if arguments.json:
                lines += _json_lines([host])
            else:
                lines += ([""] if lines else []) + host_tables.host_card(host)
    return lines


def _audit(arguments: argparse.Namespace, environ: Environ) -> list[str]:
    from tm.wire.message import quote

    with dispatcher(arguments, environ) as connection:
        found = _objects(connection.ask("audit", quote(str(arguments.lines)), json=True).body)
    changes = [one for one in found if not arguments.hosts or one["name"] in arguments.hosts]
    if arguments.json:
        return _json_lines(changes)
    if found and not changes:
        return [
            f"none of the last {len(found)} changes is of {' or '.join(arguments.hosts)}; -n 1000 looks further back"
        ]
    return host_tables.change_lines(changes, _width())


# -- changing ---------------------------------------------------------------------------------------------------------


def _change(arguments: argparse.Namespace, environ: Environ) -> list[str]:
    with dispatcher(arguments, environ) as connection:
        before = _configured(connection, arguments.host)
        edit = edit_of(arguments.changes, before["config"], before["own"] or {})
        reply = connection.ask("changehost", edit.json(arguments.host), json=True)
        if not reply.body:
            return _json_lines([{"done": reply.text}]) if arguments.json else [reply.text]
        (change,) = _objects(reply.body)
        if arguments.json:
            return _json_lines([change])
        after = _configured(connection, arguments.host)
    lines = host_tables.difference_lines(arguments.host, before["config"], after["config"], _width())
    return [*lines, "", f"recorded as {change['id']}; 'tm hosts undo {change['id']}' takes it back"]


def _configured(connection: Connection, name: str) -> dict[str, Any]:
    host = _host(connection, name)
    if host.get("config") is None:
        raise TaskManagerError("config.invalid", str(host.get("config_error") or "the configuration cannot be read"))
    return host


def _order(verb: str, *options: str) -> Runner:
    """Return what says *verb* of each host, with the values of *options* as its further arguments."""

    def run(arguments: argparse.Namespace, environ: Environ) -> list[str]:
        from tm.wire.message import quote

        given = [getattr(arguments, option) or "" for option in options]
        for option, text in zip(options, given, strict=True):
            if option in _DURATIONS and text:
                check_duration(text)
        while given and not given[-1]:
            given.pop()
        lines: list[str] = []
        names = list(dict.fromkeys(arguments.hosts))
        with dispatcher(arguments, environ) as connection:
            if len(names) > 1:
                _check_names(connection, names)
            for name in names:
                reply = connection.ask(verb, ":".join(map(quote, [name, *given])), json=arguments.json)
                lines += reply.body if arguments.json else [reply.text]
        return lines

    return run


def _check_names(connection: Connection, names: Sequence[str]) -> None:
    """Raise `RefusedError` when one of *names* is no host, before anything is done to the others."""
    known = {host.get("name") for host in _objects(connection.ask("lshosts", json=True).body)}
    unknown = [f"'{name}'" for name in names if name not in known]
    if unknown:
        raise RefusedError(
            "host.unknown", f"there is no host {' and no '.join(unknown)}; 'tm hosts list' lists them; nothing was done"
        )


def _undo(arguments: argparse.Namespace, environ: Environ) -> list[str]:
    from tm.wire.message import quote

    with dispatcher(arguments, environ) as connection:
        reply = connection.ask("undo", quote(arguments.id))
    return _json_lines([{"done": reply.text}]) if arguments.json else [reply.text]


# -- what commands take -----------------------------------------------------------------------------------------------


def _takes_state(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--state", metavar="STATE,…", help="only hosts that are so: " + " ".join(host_tables.TROUBLE))


def _takes_hosts(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("hosts", metavar="HOST", nargs="+")


def _takes_changes(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("host", metavar="HOST")
    parser.add_argument(
        "changes", metavar="KEY=VALUE", nargs="+",
        help="KEY=VALUE, KEY= (no line of its own), KEY+=VALUE and KEY-=VALUE for lists (with commas; hours with ';'),"
        " options.NAME=VALUE, consumables.NAME=NUMBER; etc/ComputerCluster.config.sample explains every key",
    )  # fmt: skip


def _takes_reason(parser: argparse.ArgumentParser) -> None:
    _takes_hosts(parser)
    parser.add_argument("--reason", metavar="TEXT", help="why; everybody sees it")


def _takes_deadline(parser: argparse.ArgumentParser) -> None:
    _takes_reason(parser)
    parser.add_argument("--by", metavar="DURATION", help="when what may be repeated leaves: 45m, 2h, 1d; else never")


def _takes_duration(parser: argparse.ArgumentParser) -> None:
    _takes_hosts(parser)
    parser.add_argument("--for", dest="duration", metavar="DURATION", help="how long: 45m, 2h, 1d; (8h)")


def _takes_lines(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "hosts", metavar="HOST", nargs="*", help="only changes of these; also names of users and groups"
    )
    parser.add_argument("-n", "--lines", type=_count, default=50, help="how many of the last changes (%(default)s)")


def _count(text: str) -> int:
    if not (text.isascii() and text.isdigit() and 0 < int(text[:10])):
        raise argparse.ArgumentTypeError(f"'{text}': expected a number from 1 on")
    return int(text)


def _takes_id(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("id", metavar="ID", help="the number of a change, as 'tm hosts audit' lists them")


COMMANDS: Sequence[HostCommand] = (
    HostCommand("list", "the hosts and how they are", _takes_state, _list),
    HostCommand("info", "all that is known of a host, and its configuration", _takes_hosts, _info),
    HostCommand("add", "look at hosts, take them in, and wait until they compute", checks.take_add, checks.run_add),
    HostCommand("check", "look at hosts: what is not well, and what mends it", checks.take_check, checks.run_check),
    HostCommand("change", "give a host other values", _takes_changes, _change),
    HostCommand("remove", "take out a host on which nothing runs", _takes_hosts, _order("removehost")),
    HostCommand("activate", "let jobs start on a host", _takes_hosts, _order("activatehost")),
    HostCommand("deactivate", "start nothing more on a host", _takes_reason, _order("deactivatehost", "reason")),
    HostCommand("drain", "let a host run empty", _takes_deadline, _order("drainhost", "by", "reason")),
    HostCommand("lost", "a host will not come back: its running jobs are lost", _takes_hosts, _order("declarelost")),
    HostCommand("leave", "have TaskManager leave my machine now", _takes_duration, _order("leavehost", "duration")),
    HostCommand("return", "let jobs use my machine again", _takes_hosts, _order("returnhost")),
    HostCommand("audit", "who changed what, when, from what to what", _takes_lines, _audit),
    HostCommand("undo", "take a change back", _takes_id, _undo),
)


# -- asking -----------------------------------------------------------------------------------------------------------


def _host(connection: Connection, name: str) -> dict[str, Any]:
    from tm.wire.message import quote

    return _objects(connection.ask("hostinfo", quote(name), json=True).body)[0]


def _objects(body: Sequence[str]) -> list[dict[str, Any]]:
    try:
        found = [json.loads(line) for line in body]
    except ValueError:
        found = [None]
    if not all(isinstance(one, dict) for one in found):
        raise TaskManagerError("proto.malformed", "the dispatcher answered what is no JSON object")
    return found


def _json_lines(values: Sequence[Mapping[str, Any]]) -> list[str]:
    return [json.dumps(value, ensure_ascii=False) for value in values]


def _width() -> int | None:
    from tm.client.rows import screen_width

    return screen_width()

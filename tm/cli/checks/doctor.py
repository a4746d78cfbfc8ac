"""``tm doctor``: everything that must be well before a job can run, and for what is not the command that mends it."""

from __future__ import annotations

import argparse
import json
import os
import time
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

from tm import places as whereabouts
from tm.cli.checks import showing
from tm.cli.checks.judging import BAD, GOOD, NOTE, Finding, is_bad
from tm.client.table import plain
from tm.errors import TaskManagerError
from tm.model.survival import ENDS
from tm.places import Places

if TYPE_CHECKING:
    from tm.client.connection import Connection

Environ = Mapping[str, str]
Report = dict[str, list[Finding]]
Maker = Callable[[Any, Callable[[argparse.Namespace, Environ], list[str]], str, str], argparse.ArgumentParser]

EXAMPLES = """\
  tm doctor                                                 what is not well, here and on all hosts, and what mends it
  tm doctor --here                                          the same without asking hosts
"""
HERE = "here"
_MARKS = {GOOD: "ok  ", NOTE: "note", BAD: "BAD "}


def add_command(commands: Any, command: Maker) -> None:
    """Add ``doctor`` to *commands*; *command* makes its parser."""
    parser = command(commands, run, "doctor", "look at everything that a job needs; name what mends what is not well")
    parser.add_argument("--here", action="store_true", help="this machine and the servers only; no host is asked")
    parser.add_argument("--json", action="store_true", help="one JSON object a line: here, then each host")


def run(arguments: argparse.Namespace, environ: Environ) -> list[str]:
    """Look at everything; leave with 0 when all is well, else with 1."""
    if arguments.etc:
        environ = {**environ, "TM_ETC": arguments.etc}
    report = examine(environ, arguments.here, arguments.json)
    if arguments.json:
        print("\n".join(showing.as_json(name, findings) for name, findings in report.items()))
    else:
        print("\n".join(lines_of(report)))
    raise SystemExit(any(is_bad(findings) for findings in report.values()))


def lines_of(report: Report) -> list[str]:
    """Return what was found, for people: all of this machine, of hosts what needs somebody."""
    lines = []
    for name, findings in report.items():
        for one in findings:
            if name == HERE or one.level != GOOD:
                where = "" if name == HERE else f"{name}: "
                lines.append(f"{_MARKS[one.level]}  {where}{one.topic:<11} {one.text or one.short}")
                lines += [f"      → {one.remedy}"] if one.remedy and one.level != GOOD else []
    wrong = sum(one.level == BAD for findings in report.values() for one in findings)
    hints = sum(one.level == NOTE for findings in report.values() for one in findings)
    hosts = len(report) - 1
    count = f"{hosts} hosts asked; " if hosts else ""
    result = f"{wrong} to mend, {hints} to know" if wrong + hints else "all is well"
    return [*map(plain, lines), "", count + result]


def examine(environ: Environ, here_only: bool, quiet: bool) -> Report:
    """Return what is found, under `HERE` and by host."""
    from tm.cli import service
    from tm.cli.checks import here

    found = here.judge_configuration(os.path.abspath(whereabouts.find_etc(environ)))
    report: Report = {HERE: found}
    if is_bad(found[:1]):
        return report
    where, now = whereabouts.find(environ), time.time()
    found += here.judge_identity(where, now)
    told, connection = here.judge_dispatcher(where, now)
    found += told + here.judge_tms(where) + [service.judge(environ)] + here.judge_disks(_folders(where))
    shown: list[dict[str, Any]] = []
    if connection is not None:
        with connection:
            try:
                shown = [json.loads(line) for line in connection.ask("lshosts", json=True).body]
                if not here_only:
                    report.update(_hosts(where, environ, connection, shown, quiet))
            except TaskManagerError as error:
                found.append(Finding("hosts", BAD, error.word, error.text, "say it again"))
        found += here.leftovers(where, [host["name"] for host in shown])
    return report


def _folders(where: Places) -> list[str]:
    """Return the folders of our daemons here; the dispatcher's too where it is this account's."""
    state = os.path.join(where.root, "var")
    return [where.local_directory, *([state] if os.path.exists(os.path.join(state, "TaskDispatcher.sqlite")) else [])]


def _hosts(
    where: Places, environ: Environ, connection: Connection, shown: list[dict[str, Any]], quiet: bool
) -> Report:
    from tm.cli.checks.hosts import configured, look

    asked = [host for host in shown if host["state"] != "drained"]
    places = configured(connection, [host["name"] for host in asked], where) if asked else []
    report = look(where, environ, places, quiet)
    for host in asked:
        report[host["name"]] = [*report.get(host["name"], []), *judge_state(host, where.user)]
    return report


def judge_state(host: Mapping[str, Any], user: str) -> list[Finding]:
    """Return what is found of a host as the dispatcher, and the servers there of it and of *user*, see it."""
    found = []
    state, info = str(host["state"]), host.get("info") or {}
    if state in ("refused", "down", "unreachable"):
        remedy = str(host.get("remedy") or f"tm hosts info {host['name']}")
        found.append(Finding("state", BAD, state, f"the dispatcher says: {state}; {host['reason']}", remedy))
    if info.get("state") in ("failed", "bad"):
        text = f"no InfoServer: {info.get('reason')}; the host is used as it is configured"
        found.append(Finding("infoserver", NOTE, str(info["state"]), text, f"tm hosts info {host['name']}"))
    own: Mapping[str, Any] = next((one for one in host.get("servers", ()) if one["user"] == user), {})
    remedy = f"on {host['name']}: loginctl enable-linger"
    if ENDS in str(own.get("survives", "")):
        text = f"your server and your jobs there end when you log out: {own['survives']}"
        found.append(Finding("logout", BAD, "ends", text, remedy))
    elif own.get("survives"):
        found.append(Finding("logout", GOOD, "survives", f"your server there survives a logout: {own['survives']}"))
    if ENDS in str(info.get("survives", "")):
        text = f"its InfoServer ends when the dispatcher's account logs out: {info['survives']}"
        found.append(Finding("logout", NOTE, "ends", text, remedy + ", as the dispatcher's account"))
    return found

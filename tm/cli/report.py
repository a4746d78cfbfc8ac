"""``tm report``: what was used, by whom, in which month; ``tm joblog``: how the tasks of an array went."""

from __future__ import annotations

import argparse
import csv
import io
import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from tm.cli.reaching import dispatcher

Environ = Mapping[str, str]
Runner = Callable[[argparse.Namespace, Environ], list[str]]
Maker = Callable[[Any, Runner, str, str], argparse.ArgumentParser]

EXAMPLES = """\
  tm report                                                 what everybody has used, by user and group
  tm report --by group,month --from 2026-01 --to 2026-06    half a year of the groups, month by month
  tm report --by month --user alice --csv                   for a spreadsheet
  tm joblog 17                                              the tasks of array 17 as GNU parallel's --joblog has them
"""
_NUMBERS = ("jobs", "completed", "failed", "core_hours", "cpu_hours", "gpu_hours", "mean_wait", "max_rss")
_TITLES = {
    "core_hours": "CORE HOURS", "cpu_hours": "CPU HOURS", "gpu_hours": "GPU HOURS", "mean_wait": "MEAN WAIT",
    "max_rss": "LARGEST",
}  # fmt: skip
_LOG_TITLE = "Seq\tHost\tStarttime\tJobRuntime\tSend\tReceive\tExitval\tSignal\tCommand"
_LOG_PAGE = 10_000


def add_commands(commands: Any, command: Maker) -> None:
    """Add ``report`` and ``joblog`` to *commands*."""
    report = command(commands, _report, "report", "what was used, by user, group and month")
    report.add_argument("--by", metavar="WORDS", default="user,group", help="some of user,group,month (%(default)s)")
    report.add_argument("--from", dest="since", metavar="DAY", help="2026, 2026-11 or 2026-11-23 (UTC); the first job")
    report.add_argument("--to", dest="until", metavar="DAY", help="the last day, month or year that counts; until now")
    report.add_argument("--user", metavar="NAME", help="only of this user")
    report.add_argument("--group", metavar="NAME", help="only what counts for this group")
    form = report.add_mutually_exclusive_group()
    form.add_argument("--json", action="store_true", help="one JSON object a line")
    form.add_argument("--csv", action="store_true", help="comma-separated values with a line of titles")
    joblog = command(commands, _joblog, "joblog", "how the tasks of an array went, as GNU parallel's --joblog")
    joblog.add_argument("id", metavar="ID", help="an array")


def _report(arguments: argparse.Namespace, environ: Environ) -> list[str]:
    from tm.wire.message import quote

    given = {
        "by": arguments.by, "from": arguments.since, "to": arguments.until, "user": arguments.user,
        "group": arguments.group,
    }  # fmt: skip
    words = ":".join(quote(f"{key}={value}") for key, value in given.items() if value)
    with dispatcher(arguments, environ) as connection:
        body = connection.ask("usage", words, json=True).body
    if arguments.json:
        return list(body)
    uses = [json.loads(line) for line in body]
    keys = [word for word in dict.fromkeys(arguments.by.split(",")) if word]
    if arguments.csv:
        return _csv([*keys, *_NUMBERS], uses)
    return _table(keys, uses) if uses else ["nothing ended in that time"]


def _csv(names: Sequence[str], uses: Sequence[Mapping[str, Any]]) -> list[str]:
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(names)
    writer.writerows(["" if use.get(name) is None else use[name] for name in names] for use in uses)
    return text.getvalue().splitlines()


def _table(keys: Sequence[str], uses: Sequence[Mapping[str, Any]]) -> list[str]:
    from tm.client.rows import screen_width
    from tm.client.table import Column, render

    names = [*keys, *(name for name in _NUMBERS if name != "gpu_hours" or any(use.get(name) for use in uses))]
    columns = [Column(_TITLES.get(name, name.upper()), right=name in _NUMBERS) for name in names]
    return render(columns, [[_cell(name, use.get(name)) for name in names] for use in uses], screen_width())


def _cell(name: str, value: Any) -> str:
    from tm.client.timing import duration, size

    if value in (None, ""):
        return "-"
    if name == "max_rss":
        return size(value)
    if name == "mean_wait":
        return duration(value)
    return f"{value:,.2f}" if isinstance(value, float) else str(value)


def _joblog(arguments: argparse.Namespace, environ: Environ) -> list[str]:
    from tm.wire.message import quote

    lines: list[str] = [_LOG_TITLE]
    words = quote(arguments.id)
    with dispatcher(arguments, environ) as connection:
        while True:
            body = connection.ask("joblog", words).body
            lines += body
            if len(body) < _LOG_PAGE:
                return lines
            words = f"{quote(arguments.id)}:{body[-1].split(chr(9), 1)[0]}"

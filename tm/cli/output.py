"""``tm output``: what the tasks of an array wrote, where it was bundled in one file."""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Callable, Mapping
from typing import Any

from tm import bundle
from tm.cli.reaching import dispatcher
from tm.errors import RefusedError, TaskManagerError
from tm.model.ids import read_job

Environ = Mapping[str, str]
Runner = Callable[[argparse.Namespace, Environ], list[str]]
Maker = Callable[[Any, Runner, str, str], argparse.ArgumentParser]

EXAMPLES = """\
  tm output 17                                              what all tasks of array 17 wrote, in their order
  tm output 17_[3-5,9]                                      that of some of them
  tm output --list 17                                       which tasks are in it, and how much each wrote
  tm output --file tm-17.bundle --task 4                    of a file, without asking anybody
"""


def add_commands(commands: Any, command: Maker) -> None:
    """Add ``output`` to *commands*."""
    parser = command(commands, _output, "output", "the outputs of an array that were bundled in one file")
    parser.add_argument("id", metavar="ID", nargs="?", help="an array, 17, or tasks of it, 17_4 or 17_[0-9]")
    parser.add_argument("--file", metavar="FILE", help="the bundle itself, instead of an array's")
    parser.add_argument("--task", metavar="N", help="with --file: only these tasks, such as 4 or 0-9")
    parser.add_argument("--list", action="store_true", help="the tasks and their sizes, not their outputs")
    parser.add_argument("--json", action="store_true", help="with --list: one JSON object a line")


def _output(arguments: argparse.Namespace, environ: Environ) -> list[str]:
    from tm.client.program import UsageError

    if (arguments.id is None) == (arguments.file is None):
        raise UsageError("name an array, or a file with --file")
    try:
        number, ranges = read_job(arguments.id) if arguments.id else read_job(f"0_[{arguments.task}]")
    except ValueError as error:
        if arguments.file and arguments.task is None:
            number, ranges = 0, None
        else:
            raise UsageError(str(error)) from None
    path = arguments.file or _path(arguments, environ, number)
    try:
        records = bundle.records_of(path)
    except bundle.BundleError as error:
        raise TaskManagerError("bundle.damaged", str(error)) from None
    if ranges is not None:
        records = [record for record in records if any(record.task in one for one in ranges)]
    if not records:
        raise RefusedError("bundle.empty", _nothing_in(path, arguments.id or arguments.task))
    if arguments.list:
        return [_line(record, arguments.json) for record in records]
    for record in records:
        for data in bundle.content(record):
            sys.stdout.buffer.write(data)
    sys.stdout.buffer.flush()
    return []


def _nothing_in(path: str, wanted: str | None) -> str:
    """Return why nothing of *wanted* was found in the bundle *path*."""
    if not os.path.exists(path) and not os.path.exists(bundle.folder_of(path)):
        return f"{path} is not there: none of its tasks has ended yet, or it cannot be seen from here"
    if wanted is None:
        return f"{path} has no output of any task yet"
    return f"{path} has no output of {wanted}; 'tm output --list --file {path}' says of which it has"


def _line(record: bundle.Record, as_json: bool) -> str:
    if as_json:
        return json.dumps({"task": record.task, "attempt": record.attempt, "bytes": record.size})
    return f"{record.task:>8}  attempt {record.attempt}  {record.size:>12,} bytes"


def _path(arguments: argparse.Namespace, environ: Environ, number: int) -> str:
    """Return where the dispatcher says the bundle of array *number* is."""
    with dispatcher(arguments, environ) as connection:
        body = connection.ask("jobinfo", str(number), json=True).body
    shown = json.loads(body[0]) if body else {}
    if not shown.get("bundle"):
        raise RefusedError(
            "bundle.none",
            f"the outputs of {number} are not bundled; each task has a file of its own: {shown.get('stdout')}",
        )
    return str(shown["bundle"])

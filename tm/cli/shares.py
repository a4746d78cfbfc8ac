"""``tm shares``: whose part of the cluster is what, what they used of it lately, and what that makes of their jobs."""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Mapping
from typing import Any

from tm.cli.reaching import dispatcher

Environ = Mapping[str, str]
Runner = Callable[[argparse.Namespace, Environ], list[str]]
Maker = Callable[[Any, Runner, str, str], argparse.ArgumentParser]

EXAMPLES = """\
  tm shares                                                 whose turn it is: shares, what was used, and the factor
"""
_TITLES = ("USER", "FACTOR", "SHARE", "USED", "CORE HOURS", "CORES", "GROUPS")


def add_command(commands: Any, command: Maker) -> None:
    """Add ``shares`` to *commands*."""
    parser = command(commands, _shares, "shares", "shares of users, what they used of them, what that makes of jobs")
    parser.add_argument("--json", action="store_true", help="one JSON object a line")


def _shares(arguments: argparse.Namespace, environ: Environ) -> list[str]:
    from tm.client.rows import screen_width
    from tm.client.table import Column, render

    with dispatcher(arguments, environ) as connection:
        body = connection.ask("lsshares", "", json=True).body
    if arguments.json:
        return list(body)
    if not body:
        return ["nobody has jobs, or has used anything lately"]
    rows = [json.loads(line) for line in body]
    columns = [Column(title, right=title not in ("USER", "GROUPS")) for title in _TITLES]
    return render(columns, [_row(row) for row in rows], screen_width())


def _row(row: Mapping[str, Any]) -> list[str]:
    return [
        row["user"], f"{row['factor']:.2f}", f"{row['share']:.0%}", f"{row['part']:.0%}", f"{row['used'] / 3600:.1f}",
        str(row["cores"]), " ".join(row["groups"]),
    ]  # fmt: skip

"""Trying a submission out: which hosts would fit, now, later or never, and why not. Nothing is submitted."""

from __future__ import annotations

from tm.client.connection import Connection, read_object
from tm.client.submit import encode_json
from tm.client.table import Column, plain, render
from tm.errors import EXIT_REFUSED

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from tm.client.program import Manner
    from tm.client.request import Request

ASKED = (
    "cores", "memory", "gpus", "time", "hosts", "exclude", "constraint", "prefer", "exclusive", "layout", "consumables",
    "scavenge", "account",
)  # fmt: skip
_COLUMNS = (Column("HOST", least=6), Column("FITS"), Column("WHY", least=20))
_SHOWN_COMMANDS = 3


def show_fits(connection: Connection, request: Request, manner: Manner, width: int | None) -> int:
    """Print which hosts would fit the jobs of *request*; return 0 when some would, now or later.

    Raises `TaskManagerError` where the dispatcher would refuse them.
    """
    asked = {key: request.common[key] for key in ASKED if key in request.common}
    body = connection.ask("fits", encode_json(asked).decode(), json=True).body
    hosts = [read_object(line, "the dispatcher described a host by something") for line in body]
    good = [host for host in hosts if host.get("fits") in ("now", "later")]
    if manner.json:
        print("\n".join(body))
    elif manner.quiet:
        print("\n".join(str(host.get("host")) for host in good))
    else:
        print("\n".join(lines(request, hosts, width)))
    return 0 if good else EXIT_REFUSED


def lines(request: Request, hosts: list[dict[str, Any]], width: int | None = None) -> list[str]:
    """Return what would be submitted and a table of *hosts*."""
    count = len(request.commands) * (request.tasks or 1)
    what = (
        f"{count:,} task{'s' * (count > 1)} in an array"
        if request.tasks
        else f"{count:,} job{'s' * (count > 1)}"
    )
    told = [f"would submit {what}; nothing was submitted"]
    shown = request.shown(_SHOWN_COMMANDS)
    told += [f"  {plain(text)}" for text in shown]
    if (len(request.commands) if request.texts is None else count) > len(shown):
        told.append("  …")
    rows = [
        [str(host.get("host")), str(host.get("fits") or ""), str(host.get("reason") or "")] for host in hosts
    ]
    now = sum(host.get("fits") == "now" for host in hosts)
    later = sum(host.get("fits") == "later" for host in hosts)
    told.append(f"fits {now} host{'s' * (now != 1)} now, {later} later, of {len(hosts)}")
    return told + (render(_COLUMNS, rows, width) if rows else [])

"""Looking at jobs and servers: lists, cards, the status of TMS and TaskDispatcher, and stopping jobs."""

from __future__ import annotations

import json
import os
import sys
import time

from tm.client.connection import Connection, refusal
from tm.client.ending import signal_number
from tm.client.table import Column, plain, render
from tm.client.timing import duration, local_time, parse_time, size
from tm.client.watch import list_jobs, views_of
from tm.errors import EXIT_REFUSED, TaskManagerError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable
    from typing import Any

    from tm.client.program import Manner
    from tm.places import Places

    View = dict[str, Any]

_COLUMNS = (
    Column("ID", right=True),
    Column("NAME", least=6),
    Column("STATE"),
    Column("HOST", least=6),
    Column("CORES", right=True),
    Column("MEMORY", right=True),
    Column("TIME", right=True),
    Column("WHAT", least=10),
)
_TIMES = ("submitted_at", "started_at", "ended_at")
_SIZES = ("memory", "max_rss")


# -- jobs --------------------------------------------------------------------------------------------------


def show_list(connection: Connection, every: bool, manner: Manner) -> int:
    """Print my waiting and running jobs, with *every* also those that have ended."""
    jobs = list_jobs(connection) if every else list_jobs(connection, state="active")
    if manner.json:
        for job in jobs:
            print(json.dumps(job, ensure_ascii=False))
    elif manner.quiet:
        for job in jobs:
            print(job["id"])
    else:
        print_table(list(jobs), "no jobs" if every else "no waiting or running jobs")
    return 0


def print_table(jobs: list[View], otherwise: str) -> None:
    """Print a table of *jobs*, or *otherwise* when there are none."""
    if not jobs:
        print(otherwise)
        return
    now = time.time()
    for line in render(_COLUMNS, [_row(job, now) for job in jobs], screen_width()):
        print(line)


def screen_width() -> int | None:
    """Return the width to fit tables to: the terminal's, None when stdout is none."""
    if not sys.stdout.isatty():
        return None
    try:
        return int(os.environ.get("COLUMNS") or 0) or os.get_terminal_size(1).columns or 80
    except (ValueError, OSError):
        return 80


def _row(job: View, now: float) -> list[str]:
    started, ended = job.get("started_at"), job.get("ended_at")
    spent = "-"
    if started:
        spent = duration((parse_time(ended) if ended else now) - parse_time(started))
    return [
        str(job["id"]), str(job.get("name") or ""), str(job.get("state")), str(job.get("host") or "-"),
        str(job.get("cores", "")), size(job.get("memory")), spent, what(job),
    ]  # fmt: skip


def what(job: View) -> str:
    """Return what is most worth knowing of *job*: why it waits, how it ended, or what it does."""
    command = str(job.get("command") or "")
    reason = str(job.get("reason") or "")
    signal = signal_number(job.get("signal"))
    if signal:
        return f"signal {signal}" + (f": {reason}" if reason else "")
    if job.get("exit_code"):
        return f"exit {job['exit_code']}: {reason or command}"
    return reason or command


def show_jobs(connection: Connection, ids: list[int], manner: Manner) -> int:
    """Print all that is known of the jobs *ids*; raise `RefusedError` for one that is unknown."""
    for number in ids:
        for at, view in enumerate(views_of(connection, [number])):
            if manner.json:
                print(json.dumps(view, ensure_ascii=False))
            else:
                print("\n".join(([""] if at or number != ids[0] else []) + card(view)))
    return 0


def card(view: View) -> list[str]:
    """Return the lines that describe one job."""
    width = max(len(key) for key in view)
    lines = []
    for key, value in view.items():
        if value in (None, "", []) or (key in _SIZES and not value):
            continue
        if key in _TIMES:
            value = local_time(str(value))
        elif key in _SIZES:
            value = size(value)
        elif isinstance(value, (dict, list)):
            value = json.dumps(value, ensure_ascii=False)
        lines.append(f"{key:<{width}}  {plain(str(value))}")
    return lines


def kill(connection: Connection, ranges: list[tuple[int, int]], manner: Manner) -> int:
    """Have the jobs in *ranges* ended; return 0 when all of them could be."""
    texts = [str(first) if first == last else f"{first}-{last}" for first, last in _pieces(ranges)]
    requests = [("canceljob", ",".join(texts[at : at + 1000])) for at in range(0, len(texts), 1000)]
    status = 0
    for reply in connection.ask_all(requests):
        notes = reply.body
        if not reply.ok:
            error = refusal(reply)
            if len(requests) == 1:
                raise error
            notes = [error.text]
        elif not manner.quiet and not manner.json:
            print(reply.text)
        for note in notes:
            manner.say(note)
            status = EXIT_REFUSED
    return status


def _pieces(ranges: Iterable[tuple[int, int]]) -> Iterable[tuple[int, int]]:
    """Yield *ranges* in pieces that a server takes."""
    for first, last in ranges:
        for start in range(first, last + 1, 50000):
            yield start, min(last, start + 49999)


# -- servers -----------------------------------------------------------------------------------------------


def show_status(places: Places, manner: Manner) -> int:
    """Print how TMS and TaskDispatcher are, each in a line, then my jobs; start nothing."""
    tms = _status_of(lambda: Connection.open_tms(places, start=False))
    dispatcher: dict[str, Any]
    jobs: list[View] = []
    failure: TaskManagerError | None = None
    try:
        with Connection.open_dispatcher(places) as connection:
            dispatcher = _object(connection.ask("status", json=True).body)
            jobs = list(list_jobs(connection, state="active"))
    except TaskManagerError as error:
        failure = error
        dispatcher = {"state": error.word, "reason": error.text}
    if manner.json:
        print(json.dumps({"tms": tms, "dispatcher": dispatcher, "jobs": jobs}, ensure_ascii=False))
    else:
        print("TMS             " + tms_line(tms))
        print("TaskDispatcher  " + dispatcher_line(dispatcher, places))
        for warning in dispatcher.get("warnings", []):
            print("Warning         " + plain(str(warning)))
        if failure is None:
            print_table(jobs, "no waiting or running jobs")
    return failure.exit_status if failure is not None else 0


def tms_line(status: View) -> str:
    """Return how the TMS is, in words."""
    if "state" in status:
        return f"{status['state']}: {status['reason']}" if status.get("reason") else str(status["state"])
    hosts = ", ".join(f"{name} {state}" for name, state in sorted(status.get("hosts", {}).items()))
    return (
        f"running, pid {status.get('pid')}, version {status.get('version')}, "
        f"dispatcher {status.get('dispatcher')}, hosts: {hosts or 'none in use'}"
    )


def dispatcher_line(status: View, places: Places) -> str:
    """Return how the TaskDispatcher is, in words."""
    if "state" in status:
        return f"{status['state']}: {status['reason']}"
    jobs = ", ".join(f"{count} {state}" for state, count in sorted(status.get("jobs", {}).items()) if count)
    hosts = ", ".join(f"{count} {state}" for state, count in sorted(status.get("hosts", {}).items()) if count)
    return (
        f"running at {places.host}:{places.port}, pid {status.get('pid')}, version {status.get('version')}, "
        f"cluster {status.get('cluster')}, jobs: {jobs or 'none'}, hosts: {hosts or 'none'}"
    )


def _status_of(connect: Any) -> View:
    try:
        with connect() as connection:
            return _object(connection.ask("status", json=True).body)
    except TaskManagerError as error:
        if error.word == "net.tms":
            return {"state": "not running"}
        return {"state": error.word, "reason": error.text}


def _object(body: list[str]) -> View:
    try:
        value = json.loads(body[0])
    except (ValueError, IndexError):
        value = None
    if not isinstance(value, dict):
        raise TaskManagerError("proto.malformed", "the server described itself by what is no JSON object")
    return value

"""Looking at jobs and servers: lists, cards, the status of TMS and TaskDispatcher."""

from __future__ import annotations

import json

from tm.client.connection import Connection, read_object, refusal
from tm.client.rows import NEEDED, print_table
from tm.client.table import plain
from tm.client.watch import list_jobs, list_rows, views_of
from tm.errors import TaskManagerError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from typing import Any

    from tm.client.program import Manner
    from tm.places import Places

    View = dict[str, Any]

SHOWN = 40
"""How many jobs the status shows; there may be a hundred thousand."""

# -- jobs --------------------------------------------------------------------------------------------------


def show_list(connection: Connection, every: bool, expand: bool, manner: Manner) -> int:
    """Print my waiting and running jobs, with *every* also those that have ended; *expand* arrays to their tasks."""
    chosen = {} if every else {"state": "active"}
    needed = ("id", "tasks") if manner.quiet else NEEDED
    jobs = list_jobs(connection, **chosen) if manner.json else list_rows(connection, needed, **chosen)
    if expand:
        jobs = _expanded(connection, jobs, chosen)
    if manner.json:
        for job in jobs:
            print(json.dumps(job, ensure_ascii=False))
    elif manner.quiet:
        for job in jobs:
            print(job["id"])
    else:
        print_table(list(jobs), "no jobs" if every else "no waiting or running jobs")
    return 0


def _expanded(connection: Connection, jobs: Iterable[View], chosen: dict[str, str]) -> Iterator[View]:
    """Yield *jobs*, behind each array its tasks; those that wait alike are one."""
    for job in list(jobs):
        yield job
        if job.get("tasks"):
            yield from list_jobs(connection, array=str(job["id"]), **chosen)


def show_jobs(connection: Connection, numbers: list[int], manner: Manner) -> int:
    """Print the stories of the jobs *numbers*; raise `RefusedError` for one that is unknown."""
    from tm.client.story import story

    for at, number in enumerate(numbers):
        for view in views_of(connection, [number], ":environment"):
            if manner.json:
                print(json.dumps(view, ensure_ascii=False))
            else:
                print("\n".join(([""] if at else []) + story(view)))
    return 0


# -- servers -----------------------------------------------------------------------------------------------


def show_status(places: Places, manner: Manner) -> int:
    """Print how TMS and TaskDispatcher are, each in a line, then my first jobs; start nothing."""
    tms = _status_of(lambda: Connection.open_tms(places, start=False))
    dispatcher: dict[str, Any]
    me: dict[str, Any] = {}
    jobs: list[View] = []
    failure: TaskManagerError | None = None
    try:
        with Connection.open_dispatcher(places) as connection:
            asked: list[tuple[str, str | None]] = [
                ("status", None),
                ("whoami", None),
                ("lsjobs", f"state=active:limit={SHOWN}"),
            ]
            first, second, third = connection.ask_all(asked, json=True)
            for reply in (first, third):
                if not reply.ok:
                    raise refusal(reply)
            dispatcher = _status(first.body)
            me = _status(second.body) if second.ok else {}
            jobs = [read_object(line, "the dispatcher described a job by something") for line in third.body]
    except TaskManagerError as error:
        failure = error
        dispatcher = {"state": error.word, "reason": error.text}
    if manner.json:
        print(
            json.dumps(
                {"tms": tms, "dispatcher": dispatcher, "used": me.get("used"), "jobs": jobs},
                ensure_ascii=False,
            )
        )
    else:
        print("TMS             " + tms_line(tms))
        print("TaskDispatcher  " + dispatcher_line(dispatcher, places))
        for warning in dispatcher.get("warnings", []):
            print("Warning         " + plain(str(warning)))
        if failure is None:
            print_table(jobs, "no waiting or running jobs")
            if len(jobs) == SHOWN:
                print(_others(me.get("used") or {}))
    return failure.exit_status if failure is not None else 0


def _others(used: dict[str, Any]) -> str:
    """Return that there are more jobs than shown, and how many of mine wait and run."""
    counts = f": {used.get('running', 0):,} running, {used.get('queued', 0):,} waiting" if used else ""
    return f"these are the first {SHOWN} of yours{counts}; hRunJob -l lists all"


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
            return _status(connection.ask("status", json=True).body)
    except TaskManagerError as error:
        if error.word == "net.tms":
            return {"state": "not running"}
        return {"state": error.word, "reason": error.text}


def _status(body: list[str]) -> View:
    return read_object(body[0] if body else "", "the server described itself by something")

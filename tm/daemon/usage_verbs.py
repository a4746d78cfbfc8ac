"""What people ask the TaskDispatcher of the past: what was used, and how the tasks of an array went."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

from twisted.internet.defer import Deferred

from tm.daemon.answers import Answer, Spoken, as_reply
from tm.daemon.dispatcher import Dispatcher
from tm.daemon.listing import whole_number
from tm.errors import RefusedError
from tm.model.accounting import Use, UseRequest, show_use, summed, use_request
from tm.model.ids import read_job, task_id, tasks_of
from tm.model.job import Job
from tm.model.rights import DISPATCHER as RULES
from tm.model.rights import permitted
from tm.model.spec import accepted_spec
from tm.ports import JobQuery, Peer
from tm.wire.message import Reply, Request

MOST_LOGGED = 10_000
_PAGE = 1000
_COLUMNS = ("jobs", "completed", "failed", "core_hours", "cpu_hours", "gpu_hours", "mean_wait")


class UsageVerbs:
    """The verbs about what has ended."""

    def __init__(self, dispatcher: Dispatcher) -> None:
        self._dispatcher = dispatcher
        self.methods: dict[str, Spoken] = {"usage": self._usage, "joblog": self._joblog}

    def _usage(self, peer: Peer, request: Request, arguments: list[str]) -> Answer:
        asked = use_request(arguments)
        around = self._dispatcher.around
        found: Deferred[list[Use]] = around.reader.run(lambda: around.store.uses(asked.query))
        return found.addCallback(lambda uses: _told(request, asked, uses))

    def _joblog(self, peer: Peer, request: Request, arguments: list[str]) -> Answer:
        number = _array(arguments[0])
        after = -1
        if len(arguments) > 1:
            after = whole_number(arguments[1], f"'{arguments[1]:.40}': expected the index of a task")
        return Deferred.fromCoroutine(self._logged(peer, request, number, after))

    async def _logged(self, peer: Peer, request: Request, number: int, after: int) -> Reply:
        around, rights = self._dispatcher.around, self._dispatcher.rights_of(peer.user)
        array: Job | None = self._dispatcher.brain.jobs.get(number)
        if array is None:
            array = await around.reader.run(lambda: around.store.job(number))
        own = array is not None and array.user == peer.user
        if array is None or array.tasks is None or not permitted(RULES, "joblog", rights, own=own):
            text = f"there is no array {number} of yours, and only arrays have a joblog; hRunJob -l --all lists them"
            raise RefusedError("job.unknown", text)
        ended: list[Job] = []
        query = JobQuery(array=number, after=task_id(number, 0) + after, limit=_PAGE)
        while len(ended) < MOST_LOGGED:
            page: list[Job] = await around.reader.run(partial(around.store.jobs, query))
            ended += [task for task in page if task.ended_at is not None]
            if len(page) < _PAGE:
                break
            query = replace(query, after=page[-1].id)
        shown = [joblog_fields(task) for task in ended[:MOST_LOGGED]]
        return as_reply(request, shown, [joblog_line(one) for one in shown])


def _array(text: str) -> int:
    try:
        number, tasks = read_job(text)
    except ValueError as error:
        raise RefusedError("proto.arguments", str(error)) from None
    if tasks is not None:
        raise RefusedError("proto.arguments", f"joblog takes an array, such as {number}, not some of its tasks")
    return number


def _told(request: Request, asked: UseRequest, uses: list[Use]) -> Reply:
    shown = [show_use(use) for use in summed(uses, asked.by)]
    return as_reply(request, shown, _table(asked.by, shown), "nothing ended in that time")


def _table(by: tuple[str, ...], shown: list[dict[str, object]]) -> list[str]:
    if not shown:
        return []
    rows = [(*by, *_COLUMNS)] + [tuple(_cell(one.get(name)) for name in (*by, *_COLUMNS)) for one in shown]
    widths = [max(len(row[place]) for row in rows) for place in range(len(rows[0]))]
    return ["  ".join(map(str.ljust, row, widths)).rstrip() for row in rows]


def _cell(value: object) -> str:
    if value in (None, ""):
        return "-"
    return f"{value:.2f}" if isinstance(value, float) else str(value)


def joblog_fields(task: Job) -> dict[str, object]:
    """Return a task that is over as GNU parallel's ``--joblog`` knows it; its bytes sent and received are 0."""
    began = task.started_at or 0.0
    lasted = (task.ended_at or 0.0) - began if task.started_at is not None else 0.0
    code = task.exit_code if task.exit_code is not None else 0 if task.signal is not None else 255
    return {
        "seq": task.id - tasks_of(task.array or 0)[0], "host": task.host or "", "starttime": round(began, 3),
        "jobruntime": round(lasted, 3), "send": 0, "receive": 0, "exitval": code, "signal": task.signal or 0,
        "command": accepted_spec(task.spec).shown_command,
    }  # fmt: skip


def joblog_line(fields: dict[str, object]) -> str:
    """Return *fields* as a line of that file: separated by tabs, the command last and on one line."""
    times = [f"{fields[name]:.3f}" for name in ("starttime", "jobruntime")]
    command = " ".join(str(fields["command"]).split())
    first, last = [str(fields[name]) for name in ("seq", "host")], [str(fields[n]) for n in ("exitval", "signal")]
    return "\t".join([*first, *times, "0", "0", *last, command])

"""How a job goes: one object while it is active. What its user asked for is in `tm.model.spec`."""

from __future__ import annotations

from sys import intern

import msgspec

from tm.model.demand import Demand
from tm.model.ids import array_of, index_of, is_task
from tm.model.phase import Phase
from tm.model.spec import JobSpec, read_spec
from tm.model.tasks import Tasks


class Job(msgspec.Struct):
    """One job and its current attempt; an array, or one task of it. Only the brain changes it.

    Times are seconds since the epoch. *demand* and *priority* are what holds now, the signed *spec* what was asked.
    *tasks* are those of an array. *gives_way* says to whom the current attempt has been asked to, *turn* how often it
    was suspended and resumed, *suspended_by* which person wants it so. *cause* says in one word of what it ended
    (`tm.model.lifecycle.CAUSES`). *dependency* is what is still to be met, *not_before* when it may be looked at again,
    *held_by* who holds it, *boost* what an operator added to its priority, *retried* how many attempts were retries,
    *changed* whether demand or priority are other than asked.
    *cpus* and *gpu_ids* are those of its host that it was given, *rung* how its limits are enforced there. *family*
    is the kind of job it is (`tm.model.shape`), from which its run time is estimated. *notify* says whether its owner
    hears of it, *told* of what (`tm.model.telling`).
    """

    id: int
    user: str
    spec: str
    signature: str
    demand: Demand
    priority: int
    interactive: bool
    environment: str
    submitted_at: float
    phase: Phase = Phase.PENDING
    reason: str = ""
    attempt: int = 0
    host: str | None = None
    spool: str | None = None
    command_number: int = 0
    cancelled_by: str | None = None
    pid: int | None = None
    started_at: float | None = None
    ended_at: float | None = None
    exit_code: int | None = None
    signal: int | None = None
    cpu_seconds: float | None = None
    max_rss: int | None = None
    gives_way: str | None = None
    requeue: bool = False
    turn: int = 0
    name: str = ""
    account: str = ""
    cause: str = ""
    io_read: int | None = None
    io_written: int | None = None
    tasks: Tasks | None = None
    dependency: str = ""
    not_before: float = 0.0
    deadline: float = 0.0
    held_by: str | None = None
    suspended_by: str | None = None
    boost: int = 0
    retried: int = 0
    changed: bool = False
    cpus: tuple[int, ...] = ()
    gpu_ids: tuple[int, ...] = ()
    rung: str = ""
    family: str = ""
    notify: bool = False
    told: int = 0

    @property
    def cores(self) -> int:
        """Cores it occupies while it runs."""
        return self.demand.cores

    @property
    def memory(self) -> int:
        """Bytes of memory it occupies while it runs."""
        return self.demand.memory

    @property
    def hosts(self) -> tuple[str, ...]:
        """The hosts it may use; none: any."""
        return self.demand.hosts

    @property
    def array(self) -> int | None:
        """The array whose task it is, or None."""
        return array_of(self.id) if is_task(self.id) else None

    @property
    def index(self) -> int | None:
        """Its index in its array, or None."""
        return index_of(self.id)

    @property
    def waiting(self) -> int:
        """How many starts it waits for: the tasks of an array that have not begun, else one."""
        return 1 if self.tasks is None else self.tasks.waiting


def new_job(number: int, text: str, signature: str, at: float) -> tuple[Job, JobSpec]:
    """Return the job number *number* for the signed request *text*, waiting since *at*, and the request.

    What many jobs have in common is one object for all of them: so many may wait.
    """
    spec = read_spec(text)
    job = Job(
        number, intern(spec.user), text, signature, spec.demand(), spec.priority, spec.interactive,
        intern(spec.environment), at,
        requeue=spec.requeue or spec.scavenge, name=intern(spec.shown_name), account=intern(spec.account),
        tasks=Tasks(spec.array, spec.array_cap) if spec.array else None, dependency=spec.dependency,
        not_before=spec.begin, deadline=spec.deadline, held_by=spec.user if spec.hold else None,
        family=intern(spec.family), notify=bool(spec.notify),
    )  # fmt: skip
    job.phase = Phase.HELD if spec.hold else Phase.PENDING
    job.reason = f"held by {spec.user}" if spec.hold else ""
    return job, spec


def new_task(number: int, array: Job) -> Job:
    """Return the job of the task whose id is *number*, as waiting as its *array* was."""
    return msgspec.structs.replace(
        array, id=number, phase=Phase.PENDING, reason="", cause="", tasks=None, dependency="", not_before=0.0,
        held_by=None, started_at=None, notify=False,
    )  # fmt: skip

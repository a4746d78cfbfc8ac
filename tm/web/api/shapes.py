"""What answers look like: each field of what is said of jobs, with its meaning and unit. Times are ISO 8601 in UTC.

These types are never made: answers go from the dispatcher to the program as they are. They are what
``docs/openapi.json`` is written from, and a test holds real answers against them.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from msgspec import Struct, field

from tm.web.api.meaning import Time, of

State = Literal[
    "held", "pending", "starting", "running", "suspended", "unreachable", "completed", "failed", "cancelled", "timeout",
    "out_of_memory", "output_limit", "lost",
]  # fmt: skip
JobId = Annotated[int | str, of('the number of a job; of a task of an array a text such as "17_4" or "17_[5-99]"')]


class Tasks(Struct):
    """How the tasks of an array are; a count that is not there is 0."""

    indices: Annotated[str, of("their indices, e.g. 0-99:2")]
    total: Annotated[int, of("how many there are")]
    cap: Annotated[int, of("how many may run at once; 0: any number")]
    waiting: Annotated[int, of("tasks that have not started")] = 0
    active: Annotated[int, of("tasks on a host")] = 0
    completed: Annotated[int, of("tasks that succeeded")] = 0
    failed: Annotated[int, of("tasks with another exit status than 0, or ended by a signal")] = 0
    cancelled: Annotated[int, of("tasks that were cancelled")] = 0
    timeout: Annotated[int, of("tasks that ran out of time")] = 0
    out_of_memory: Annotated[int, of("tasks that ran out of memory")] = 0
    output_limit: Annotated[int, of("tasks that wrote more than they may")] = 0
    lost: Annotated[int, of("tasks of whose end nothing is known")] = 0


class Place(Struct, kw_only=True):
    """Where a job stands among arrays."""

    array: Annotated[int, of("of a task: the id of its array")] = 0
    task: Annotated[int | str, of("of a task: its index; of tasks listed together: their indices")] = 0
    tasks: Annotated[Tasks | None, of("of an array: its tasks; not there for anything else")] = None


class Job(Place, kw_only=True):
    """A job, an array, a task of one, or tasks that are alike."""

    id: JobId
    name: Annotated[str, of("its name; of one without, the beginning of its command")]
    user: Annotated[str, of("whose it is")]
    state: Annotated[State, of("how it is")]
    reason: Annotated[str, of("why it waits, is suspended, or ended as it did, in a sentence; empty where all is said")]
    host: Annotated[str | None, of("the host it runs on or ran on last")]
    attempt: Annotated[int, of("which attempt this is, counted from 1; 0 before the first")]
    exit_code: Annotated[int | None, of("its exit status")]
    signal: Annotated[int | None, of("the number of the signal that ended it")]
    command: Annotated[str, of("its command as a shell would have it; in lists the first 1000 characters")]
    cwd: Annotated[str, of("its working directory")]
    stdout: Annotated[str | None, of("the file of its output; placeholders are filled in once its host is known")]
    stderr: Annotated[str | None, of("the file of its error output")]
    submitted_at: Annotated[str, of("when it was submitted", Time)]
    started_at: Annotated[str | None, of("when this attempt began", Time)]
    ended_at: Annotated[str | None, of("when it ended", Time)]
    cpu_seconds: Annotated[float | None, of("processor time used, in seconds")]
    max_rss: Annotated[int | None, of("the most memory its processes had at once, in bytes")]
    cores: Annotated[int, of("processor cores it has")]
    memory: Annotated[int, of("memory asked for, in bytes; 0: not asked")]
    priority: Annotated[int, of("its priority, -1000 to 1000")]
    cause: Annotated[str, of("in a word why it ended as it did, e.g. dependency, deadline; empty for none")]
    count: Annotated[int, of("of tasks listed together: how many they are")] = 1
    bundle: Annotated[str, of("the file in which the outputs of all tasks are kept, where that is one")] = ""
    expected_start: Annotated[
        list[str] | None, of("from when to when it will start, in a list in the order of starts; null: nobody can say")
    ] = None
    cursor: Annotated[str, of("in lists: from= with it goes on after this job")] = ""


class Attempt(Struct):
    """An attempt of a job that another one followed."""

    attempt: Annotated[int, of("which it was, counted from 1")]
    host: Annotated[str, of("where it ran")]
    started_at: Annotated[str | None, of("when it began", Time)]
    ended_at: Annotated[str, of("when it ended", Time)]
    exit_code: Annotated[int | None, of("its exit status")]
    signal: Annotated[int | None, of("the signal that ended it")]
    cause: Annotated[str, of("in a word why it ended")]
    reason: Annotated[str, of("the same in a sentence")]
    cpu_seconds: Annotated[float | None, of("processor time used, in seconds")]
    max_rss: Annotated[int | None, of("the most memory it had at once, in bytes")]


class JobEvent(Struct):
    """Something that happened to a job."""

    at: Annotated[str, of("when", Time)]
    what: Annotated[str, of("what, in a word: submitted, started, over, held, …, or the state in which it ended")]
    text: Annotated[str, of("more of it, in a sentence")]


class JobDetail(Job, kw_only=True):
    """All that is known of one job."""

    cause_text: Annotated[str, of("what its cause means")]
    cancelled_by: Annotated[str | None, of("who cancelled it")]
    held_by: Annotated[str | None, of("who holds it")]
    suspended_by: Annotated[str | None, of("who wants it suspended, names with commas between")]
    boost: Annotated[int, of("what an operator has added to its priority")]
    retried: Annotated[int, of("how often it was tried again after a failure")]
    account: Annotated[str, of("the group it counts for")]
    pid: Annotated[int | None, of("the number of its first process on its host")]
    gpus: Annotated[int, of("graphics processors it has")]
    time: Annotated[float | None, of("its wall time, in seconds; null: no limit")]
    cpus: Annotated[list[int], of("the cores of its host that are its own")]
    gpu_ids: Annotated[list[int], of("the graphics processors of its host that are its own")]
    rung: Annotated[str, of("by what its limits are enforced: cgroup, rlimit, sampled")]
    io_read: Annotated[int | None, of("bytes read from disks")]
    io_written: Annotated[int | None, of("bytes written to disks")]
    dependency: Annotated[str, of("what it depends on, e.g. afterok:17")]
    begin: Annotated[str | None, of("not before this time", Time)]
    deadline: Annotated[str | None, of("in vain after this time", Time)]
    asked: Annotated[dict[str, Any], of("what the request says beyond the usual, by the names of NewJob")]
    changed: Annotated[dict[str, Any], of("what holds now that is other than asked, by the same names")]
    script: Annotated[bool, of("whether a script runs")]
    attempts: Annotated[list[Attempt], of("attempts that another one followed, the first first")]
    events: Annotated[list[JobEvent], of("what happened to it, the first first")]
    expected_start: Annotated[
        list[str] | None, of("from when to when it will start in about eight cases of ten; null: nobody can say")
    ]
    indices: Annotated[dict[str, str], of("of an array: which tasks are how, e.g. completed: 0-2")] = {}


class Counts(Struct):
    """How many jobs are how."""

    total: Annotated[int, of("how many there are in all")]
    by_state: Annotated[dict[State, int], of("how many are in which state; those that are not there are 0")]


class Verdict(Struct):
    """What is in the way of a job on one host."""

    host: Annotated[str, of("the host")]
    verdict: Annotated[str, of("in a word: free, cores, reserved, away, …; docs/protocol.md has all, at whyjob")]
    reason: Annotated[str, of("the same in a sentence")]


class Why(Struct):
    """Why a job waits."""

    id: JobId
    state: Annotated[str, of("how it is")]
    sentence: Annotated[str, of("why it waits, in a sentence")]
    hosts: Annotated[list[Verdict], of("what is in the way on each host; none for a job that does not wait")]
    counts: Annotated[dict[str, int], of("how many hosts have which verdict")]
    change: Annotated[str | None, of("the one change that would start it now, in words")]
    change_set: Annotated[dict[str, Any] | None, of('the same as "set" of the action change; empty: nothing to set')]
    classes_before: Annotated[int | None, of("how many classes of alike jobs have their turn before it")]
    share: Annotated[float, of("what fair share makes of its owner's jobs; 1: the best")]
    expected_start: Annotated[list[str] | None, of("from when to when it will probably start")]


class OutputFile(Struct):
    """A piece of one of a job's two output files."""

    path: Annotated[str | None, of("the file; null: there is none, or not yet")]
    from_: Annotated[int | None, of("the place of the first byte of text in the file")] = field(name="from")
    at: Annotated[int | None, of("the place after its last one")]
    text: Annotated[str, of("what stands between, bytes that are no UTF-8 replaced")]


class Output(Struct):
    """What a job has written since the look before. A look that is not followed for 20 seconds ends."""

    state: Annotated[State, of("how the job is")]
    host: Annotated[str | None, of("where it runs")]
    stdout: Annotated[OutputFile, of("its output")]
    stderr: Annotated[OutputFile, of("its error output, where that is another file")]
    more: Annotated[bool, of("whether more is there already")]
    over: Annotated[bool, of("whether this was all: the job has ended, and everything was read")]
    next: Annotated[str | None, of("the address that answers what comes then, waiting up to a second; null when over")]


class Logged(Struct):
    """A task that is over, as GNU parallel's --joblog has it."""

    seq: Annotated[int, of("its index")]
    host: Annotated[str, of("where it ran; empty: nowhere")]
    starttime: Annotated[float, of("when it began, in seconds since the epoch; 0: never")]
    jobruntime: Annotated[float, of("how long it ran, in seconds")]
    send: Annotated[int, of("always 0")]
    receive: Annotated[int, of("always 0")]
    exitval: Annotated[int, of("its exit status; 255: none is known")]
    signal: Annotated[int, of("the signal that ended it; 0: none")]
    command: Annotated[str, of("its command")]


class Done(Struct):
    """To which jobs something was done, and to which not and why."""

    ids: Annotated[str, of("the jobs, as orders take them: 17,20-22 or 17_[5-99]")]
    jobs: Annotated[int, of("how many they are")]
    done: Annotated[bool, of("whether it was done to them, or would be")]
    why: Annotated[str, of("why not, in a sentence")]


class Fit(Struct):
    """Whether a job would run on a host."""

    host: Annotated[str, of("the host")]
    fits: Annotated[Literal["now", "later", "never"], of("whether it would")]
    why: Annotated[str, of("why not now, in a word; empty where it fits")]
    reason: Annotated[str, of("the same in a sentence")]
    preference: Annotated[float, of("how much its own wish (prefer) prefers this host")]


class Submitted(Struct):
    """What was accepted."""

    ids: Annotated[list[int], of("the ids of the new jobs")]
    advice: Annotated[list[str], of("what would do, too: a sentence each")]

"""What programs send: the bodies of requests that do something, checked before anything is asked of anybody.

What is wrong in itself is refused here with its place in the message; what cannot be done the dispatcher refuses.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any, Literal

import msgspec
from msgspec import UNSET, Meta, Struct, UnsetType

from tm.model.changing import Wanted
from tm.model.spec import JobSpec
from tm.web.api.meaning import of

MOST_TOKEN = 56
ORDERS = ("cancel", "hold", "release", "suspend", "resume", "signal", "requeue", "change", "rerun")
HOST_ORDERS = ("activate", "deactivate", "drain", "declarelost", "leave", "return")
Reason = Annotated[str, Meta(max_length=500, description="why; it is shown with what was done")]
Values = dict[str, Any]
Was = Annotated[Values, of("values as you saw them: where one is another by now, nothing is done (409)")]

MEANINGS = {
    "command": "what runs: a text for the shell, or a list of arguments",
    "cwd": "the working directory; below your home folder, which it is where nothing is said",
    "name": "its name",
    "umask": "which rights new files do not get, as a number",
    "stdin": "the file of its input; null: empty",
    "stdout": "the file of its output, relative to cwd; %j %n %h %u filled in; usually tm-%j.out; null: thrown away",
    "stderr": "the file of its error output; null: that of its output",
    "append": "go on at the end of these files, where they are there already",
    "cores": "processor cores",
    "memory": "memory, in bytes; 0: not asked",
    "priority": "-1000 to 1000",
    "hosts": "hosts it may run on; none: any",
    "requeue": "it may be ended and begun anew elsewhere",
    "gpus": "graphics processors",
    "time": "wall time, in seconds; 0: no limit",
    "exclude": "hosts it may not run on",
    "constraint": "what its host must be, e.g. gpu and not old",
    "prefer": "what its host had better be",
    "exclusive": "have the host for itself",
    "layout": "spread or pack",
    "consumables": 'how many it needs of what is counted, e.g. {"matlab": 1}',
    "scavenge": "use only what is idle",
    "array": "indices of tasks, e.g. 0-99:2",
    "array_cap": "so many tasks at once; 0: any number",
    "dependency": "what it depends on, e.g. afterok:17:18_4,afterany:19",
    "begin": "not before this time, in seconds since the epoch; 0: at any",
    "deadline": "in vain after this time, in seconds since the epoch; 0: never",
    "hold": "let it wait until it is released",
    "warn_signal": "the signal that is sent before its time is over; B:USR1: to the first process alone",
    "warn_seconds": "so many seconds before",
    "processes": "the most processes it may have; 0: as the host says",
    "output_limit": "the most bytes that each output file may get; 0: as the host says",
    "script": "the text of a script, beginning with #!; command is then the list of its name and arguments",
    "bundle": "keep the outputs of all tasks of an array in one file",
    "retries": "how often it is tried again when it fails",
    "retry_on": "of which endings: any fail exit exit:75 exit:64-78 signal signal:KILL oom time output host",
    "retry_delay": "after so many seconds",
    "retry_memory": "with so many times the memory, after one that had too little",
    "notify": "addresses that are told",
    "notify_on": "of what: begin end fail requeue time_limit waiting first_fail all",
    "notify_after": "seconds of waiting that are told",
    "comment": "a note",
    "account": "the group it counts for",
}
"""What can be asked of a job, by the names of `JobSpec`."""
NOT_ASKED = frozenset({"user", "environment", "interactive", "terminal", "detach", "beside"})
"""What of a `JobSpec` no program says."""


def _asked() -> list[tuple[str, Any, Any]]:
    fields = {one.name: one for one in msgspec.structs.fields(JobSpec)}
    annotated: Any = Annotated
    found: list[tuple[str, Any, Any]] = []
    for name, meaning in MEANINGS.items():
        noted = annotated[fields[name].type, of(meaning)]
        if name == "command":
            found.append((name, noted, msgspec.field()))
        elif name == "stdout":
            found.append((name, annotated[str | None | UnsetType, of(meaning)], UNSET))
        elif name == "cwd":
            found.append((name, annotated[str | None, of(meaning)], None))
        else:
            default = fields[name].default_factory() if fields[name].default is msgspec.NODEFAULT else None
            found.append((name, noted, fields[name].default if default is None else default))
    return found


if TYPE_CHECKING:
    NewJob = Any
else:
    NewJob = msgspec.defstruct(
        "NewJob", _asked(), forbid_unknown_fields=True, omit_defaults=True, kw_only=True, module=__name__
    )
    NewJob.__doc__ = "A job that is to run: what is left out is as usual."


class Submission(Struct, forbid_unknown_fields=True, kw_only=True):
    """A job to submit. Who says the same token again gets the same job again."""

    job: Annotated[NewJob, of("what is to run")]
    token: Annotated[str, Meta(max_length=MOST_TOKEN, description="1 to 56 characters of your choice; none: anew")] = ""
    environment: Annotated[dict[str, str], of("variables beside those of your own server")] = {}


class Order(Struct, forbid_unknown_fields=True, kw_only=True):
    """Something to be done to jobs."""

    verb: Annotated[
        Literal["cancel", "hold", "release", "suspend", "resume", "signal", "requeue", "change", "rerun"],
        of("what; rerun needs a token that may submit"),
    ]
    ids: Annotated[str, of("which: ids and filters with spaces between, e.g. 17,20-22 or state=pending name=sim*")]
    dry_run: Annotated[bool, of("only say what it would be done to")] = False
    reason: Reason = ""
    signal: Annotated[str, Meta(max_length=16, description="of signal: its name or number")] = ""
    set: Annotated[Wanted | None, of("of change: the values that are to hold")] = None
    failed: Annotated[bool, of("of rerun: only what has failed")] = False
    token: Annotated[str, Meta(max_length=MOST_TOKEN, description="of rerun: as with a submission")] = ""


class Demand(Struct, forbid_unknown_fields=True, omit_defaults=True, kw_only=True):
    """What a job would ask of hosts; nothing is submitted."""

    cores: Annotated[int, of(MEANINGS["cores"])] = 1
    memory: Annotated[int, of(MEANINGS["memory"])] = 0
    gpus: Annotated[int, of(MEANINGS["gpus"])] = 0
    time: Annotated[float, of(MEANINGS["time"])] = 0.0
    hosts: Annotated[list[str], of(MEANINGS["hosts"])] = []
    exclude: Annotated[list[str], of(MEANINGS["exclude"])] = []
    constraint: Annotated[str, of(MEANINGS["constraint"])] = ""
    prefer: Annotated[str, of(MEANINGS["prefer"])] = ""
    exclusive: Annotated[bool, of(MEANINGS["exclusive"])] = False
    layout: Annotated[str, of(MEANINGS["layout"])] = ""
    consumables: Annotated[dict[str, int], of(MEANINGS["consumables"])] = {}
    scavenge: Annotated[bool, of(MEANINGS["scavenge"])] = False
    account: Annotated[str, of(MEANINGS["account"])] = ""


class HostOrder(Struct, forbid_unknown_fields=True, kw_only=True):
    """Something to be done to a host."""

    verb: Annotated[Literal["activate", "deactivate", "drain", "declarelost", "leave", "return"], of("what")]
    reason: Reason = ""
    within: Annotated[
        str, Meta(max_length=40, description="of drain: what may be repeated leaves after it; of leave: so long; 2h")
    ] = ""


class NewHost(Struct, forbid_unknown_fields=True, kw_only=True):
    """A computer to take in."""

    name: Annotated[str, of("its name")]
    values: Annotated[Values, of("its keys as in ComputerCluster.config: address, cores, memory, …")] = {}


class CheckedHost(Struct, forbid_unknown_fields=True, kw_only=True):
    """A computer to look at, as it is configured, or as it would be; nothing is changed."""

    name: Annotated[str, of("its name")]
    values: Annotated[Values, of("as it would be with these values")] = {}
    new: Annotated[bool, of("it is none of ours yet")] = False
    check: Annotated[str, Meta(max_length=64, description="the name of the check, once it has begun")] = ""


class Change(Struct, forbid_unknown_fields=True, omit_defaults=True, kw_only=True):
    """Values that are to be others."""

    set: Annotated[Values, of("these get these values")] = {}
    unset: Annotated[list[str], of("of these nothing is said any more")] = []
    was: Was = {}


class NewUser(Struct, forbid_unknown_fields=True, omit_defaults=True, kw_only=True):
    """A user to register."""

    name: Annotated[str, of("the name")]
    certificate: Annotated[str, of("the certificate, PEM")]
    email: Annotated[str, of("the address of mail")] = ""
    groups: Annotated[list[str], of("groups to be in")] = []


class UserChange(Struct, forbid_unknown_fields=True, omit_defaults=True, kw_only=True):
    """What is to be other of a user."""

    add: Annotated[str, of("a certificate to add, PEM")] = ""
    drop: Annotated[str, of("the fingerprint of one to drop, or its first 8 digits")] = ""
    email: Annotated[str | None, of("another address of mail")] = None


class NewGroup(Struct, forbid_unknown_fields=True, omit_defaults=True, kw_only=True):
    """A group to make."""

    name: Annotated[str, of("its name")]
    members: Annotated[list[str], of("its members; * is everybody")] = []
    rights: Annotated[list[str], of("the rights it gives")] = []
    limits: Annotated[Values, of("what all may have together: running, cores, memory, queued")] = {}
    user_limits: Annotated[Values, of("what each may have")] = {}
    shares: Annotated[int | None, of("its shares of the cluster")] = None


class GroupChange(Struct, forbid_unknown_fields=True, omit_defaults=True, kw_only=True):
    """What is to be other of a group."""

    add: Annotated[list[str], of("members to add")] = []
    drop: Annotated[list[str], of("members to drop")] = []
    give: Annotated[list[str], of("rights to give")] = []
    take: Annotated[list[str], of("rights to take")] = []
    set: Annotated[Values, of("rights, limits, user_limits, shares that are to hold; a limit that is null goes")] = {}
    unset: Annotated[list[str], of("of these nothing is said any more")] = []
    was: Was = {}

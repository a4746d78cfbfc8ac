"""What clients ask of visits, as it is said."""

from __future__ import annotations

import secrets
from typing import Annotated

import msgspec

from tm.daemon.signing_desk import Wish
from tm.errors import RefusedError
from tm.model.ids import read_job, task_id


class Terminal(msgspec.Struct):
    """The size of the client's terminal and its kind."""

    rows: Annotated[int, msgspec.Meta(ge=0, lt=65536)]
    columns: Annotated[int, msgspec.Meta(ge=0, lt=65536)]
    term: str = "xterm"


class RunWish(msgspec.Struct):
    """The argument of ``run``."""

    command: str | list[str]
    cwd: str
    environment: dict[str, str] = {}
    name: str = ""
    umask: int = 0o022
    cores: int = 1
    memory: int = 0
    host: str | None = None
    tty: Terminal | None = None
    detach: bool = False
    time: float = 0.0
    gpus: int = 0
    constraint: str = ""


class AttachWish(msgspec.Struct):
    """The argument of ``runattach``."""

    job: int | str
    tty: Terminal | None = None
    watch: bool = False


class BesideWish(msgspec.Struct):
    """The argument of ``runbeside``; without a *command* it is the user's shell."""

    job: int | str
    command: str | list[str] = ""
    tty: Terminal | None = None


class FollowWish(msgspec.Struct):
    """The argument of ``follow``: the last *lines* (null: all), or what comes after the place *at* in each file."""

    job: int | str
    lines: int | None = None
    at: dict[int, int] = {}


class Ending(msgspec.Struct):
    """How a job is, as the dispatcher shows it."""

    state: str
    exit_code: int | None = None
    signal: int | None = None
    reason: str = ""


class View(msgspec.Struct):
    """Where a job is, as the dispatcher shows it."""

    id: int | str
    user: str
    state: str
    host: str | None = None
    stdout: str | None = None
    stderr: str | None = None
    tasks: dict[str, object] | None = None
    bundle: str | None = None


def number_of(shown: int | str) -> int:
    """Return the number of one job as it is *shown*. Raises `RefusedError` ``proto.arguments``."""
    try:
        job, tasks = read_job(str(shown))
    except ValueError as error:
        raise RefusedError("proto.arguments", str(error)) from None
    if tasks is None:
        return job
    if len(tasks) != 1 or len(tasks[0]) != 1:
        raise RefusedError("proto.arguments", f"'{shown}' is more than one job; name one, e.g. {job}_{tasks[0][0]}")
    return task_id(job, tasks[0][0])


def as_wish(wish: RunWish) -> Wish:
    environment = dict(wish.environment)
    job: dict[str, object] = {
        "command": wish.command, "cwd": wish.cwd, "name": wish.name, "umask": wish.umask, "cores": wish.cores,
        "memory": wish.memory, "interactive": True, "hosts": [wish.host] if wish.host else [], "detach": wish.detach,
        "time": wish.time, "gpus": wish.gpus, "constraint": wish.constraint,
    }  # fmt: skip
    if wish.tty is not None:
        job["terminal"] = [wish.tty.rows, wish.tty.columns]
        environment["TERM"] = wish.tty.term
    return Wish(secrets.token_hex(16), [job], {"environment": environment})

"""The form of a job: its fields, what is made of what was typed, and the line of ``hRunJob`` that asks the same."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import msgspec

from tm.model import command_line
from tm.model.spec import JobSpec
from tm.web.views import entered
from tm.web.views.job import change_typed

MOST_HOSTS = 30
OUTPUT = "tm-%j.out"
"""Where output goes if nothing else is said, as ``hRunJob`` has it."""


@dataclass(frozen=True, slots=True)
class Group:
    """Fields that belong together, under a *title*; those that few need are folded away (*often* is False)."""

    title: str
    names: tuple[str, ...]
    often: bool = True


GROUPS = (
    Group("What", ("command", "name", "cwd")),
    Group("What it needs", ("cores", "memory", "time", "gpus")),
    Group("Where", ("hosts", "exclude", "constraint", "prefer", "consumables", "layout", "exclusive", "account")),
    Group("Many at once", ("array", "array_cap"), False),
    Group("When", ("dependency", "begin", "deadline", "priority", "hold"), False),
    Group("Files and environment", ("stdin", "stdout", "stderr", "environment"), False),
    Group("When something goes wrong, or is over", ("retries", "retry_on", "requeue", "notify", "notify_on", "comment"),
          False),
)  # fmt: skip
NAMES = tuple(name for group in GROUPS for name in group.names)
_READ = tuple(name for name in NAMES if name != "environment")
_FIT = (
    "cores", "memory", "gpus", "time", "hosts", "exclude", "constraint", "prefer", "exclusive", "layout", "consumables",
    "account",
)  # fmt: skip
_AS_TYPED = {"stdout": "--output", "stderr": "--error", "begin": "--begin", "deadline": "--deadline"}
_NEEDS = (
    ("array_cap", "array", "only an array has tasks that run at once: fill in its indices, too"),
    ("retry_on", "retries", "how often it is tried again says 'Retries'"),
    ("notify_on", "notify", "whom to tell says 'Tell'"),
)


@dataclass(frozen=True, slots=True)
class Entry:
    """What was typed, read: the *job* by the names of requests, the *environment*, and the *faults* beside fields."""

    typed: Mapping[str, str]
    job: Mapping[str, Any]
    environment: Mapping[str, str]
    faults: Mapping[str, str]

    def wish(self, token: str) -> dict[str, Any]:
        """Return what the visitor's own server is asked to submit."""
        return {"token": token, "job": {"stdout": OUTPUT, **self.job}, "environment": dict(self.environment)}

    def demand(self) -> str:
        """Return what ``fits`` is asked."""
        return demand_of(self.job)


def read(typed: Mapping[str, str], now: float, user: str) -> Entry:
    """Return what *user* typed into the form, read at *now*."""
    job, faults = entered.read(typed, _READ, now)
    variables: dict[str, str] = {}
    try:
        variables = entered.environment(typed.get("environment", ""))
    except ValueError as error:
        faults["environment"] = str(error)
    if not job.get("command"):
        faults["command"] = "say what is to be run"
    for name, needed, why in _NEEDS:
        if job.get(name) and not job.get(needed) and needed not in faults:
            faults.setdefault(name, why)
    if job.get("notify") and not job.get("notify_on"):
        job["notify_on"] = ["end"]
    if not faults:
        complaint = _complaint(job, user)
        if complaint:
            faults[entered.field_of("job.invalid", complaint, NAMES)] = complaint
    return Entry(typed, job, variables, faults)


def _complaint(job: Mapping[str, Any], user: str) -> str:
    """Return what is wrong with the request as a whole; the home folder is not known here."""
    cwd = str(job.get("cwd") or "~/")
    given = {**job, "user": user, "environment": "", "cwd": "/" if cwd == "~" or cwd.startswith("~/") else cwd}
    return JobSpec(**given).complaint()


def refused(entry: Entry, word: str, text: str) -> dict[str, str]:
    """Return the faults of *entry* when servers refused it: class *word* and *text*."""
    return {**entry.faults, entered.field_of(word, text, NAMES): text}


def line(entry: Entry) -> str:
    """Return the line for a shell that submits the same; empty while there is no command."""
    job = dict(entry.job)
    command = job.pop("command", "")
    if not command:
        return ""
    cwd = str(job.pop("cwd", ""))
    words = command_line.options(job)
    for name, option in _AS_TYPED.items():
        if job.get(name):
            words.append(f"{option}={shlex.quote(entry.typed.get(name, ''))}")
    words += [f"--env={shlex.quote(f'{name}={value}')}" for name, value in entry.environment.items()]
    home = cwd in ("", "~") or cwd.startswith("~/")
    rest = shlex.quote(cwd[2:]) if cwd[2:] else ""
    folder = f"cd ~/{rest} && " if home and rest else "cd && " if home else ""
    return folder + command_line.whole(words, "" if home else cwd, command)


def like(job: Mapping[str, Any]) -> dict[str, str]:
    """Return what to type for one more job like *job*, as ``jobinfo`` tells it; nothing of one that runs a script."""
    if job.get("script"):
        return {}
    asked = {name: value for name, value in (job.get("asked") or {}).items() if name in NAMES}
    for name in ("begin", "deadline"):
        asked.pop(name, None)
    flags = {name: "1" for name, value in asked.items() if value is True}
    typed = change_typed({name: value for name, value in asked.items() if value and value is not True})
    return {**typed, **flags, "command": str(job.get("command") or ""), "cwd": str(job.get("cwd") or "")}


@dataclass(frozen=True, slots=True)
class Fits:
    """Which hosts would fit: so many *now*, *later* and in all, and the first of them with the reasons why not."""

    now: int
    later: int
    all: int
    hosts: list[Mapping[str, Any]]


def demand_of(asked: Mapping[str, Any]) -> str:
    """Return what ``fits`` is asked for a request that says *asked*."""
    return msgspec.json.encode({name: asked[name] for name in _FIT if name in asked}).decode()


def fits(hosts: list[Mapping[str, Any]]) -> Fits:
    """Return what the answer to ``fits`` says, of at most `MOST_HOSTS` of them."""
    words = [host.get("fits") for host in hosts]
    return Fits(words.count("now"), words.count("later"), len(hosts), hosts[:MOST_HOSTS])

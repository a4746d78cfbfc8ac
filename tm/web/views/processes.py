"""The processes of a host: by user, ours marked by job, as a list in some order or as the tree they are."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

from tm.errors import RefusedError
from tm.model.ids import shown_id
from tm.web.asked import Visitor
from tm.web.render import plain

SORTS = ("cpu", "memory", "time", "user", "pid", "job")
VIEWS = ("list", "tree")
ON_PAGE = 80
DEEPEST = 16
LETTERS = 300
_FALLING = ("cpu", "memory", "time", "job")

View = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Wanted:
    """How the processes are asked for."""

    sort: str = "cpu"
    view: str = "list"
    user: str = ""
    page: int = 1

    def query(self, **other: object) -> dict[str, object]:
        """Return the arguments of the address that asks for this, with some of them *other*."""
        mine: dict[str, object] = {
            "sort": self.sort if self.sort != SORTS[0] else "", "view": self.view if self.view != VIEWS[0] else "",
            "user": self.user, "page": self.page if self.page > 1 else "",
        }  # fmt: skip
        return mine | other


@dataclass(frozen=True, slots=True)
class Process:
    """One process; *job* is its job's id as it is shown, *linked* whether the visitor may look at that job."""

    pid: int
    user: str
    ours: bool
    job: str
    linked: bool
    cpu: float
    seconds: float
    memory: int
    depth: int
    command: str


@dataclass(frozen=True, slots=True)
class Person:
    """What the processes of one user come to."""

    user: str
    count: int
    ours: int
    cpu: float
    memory: int


@dataclass(frozen=True, slots=True)
class Shown:
    """A page of the processes, what each user has, how many there are, and how many pages."""

    rows: list[Process]
    people: list[Person]
    count: int
    page: int
    pages: int


def read(args: Mapping[str, str]) -> Wanted:
    """Return what an address asks for; raise `RefusedError` ``proto.arguments`` for what cannot be understood."""
    sort, view, page = args.get("sort") or SORTS[0], args.get("view") or VIEWS[0], args.get("page") or "1"
    if sort not in SORTS or view not in VIEWS or not (page.isascii() and page.isdigit() and len(page) < 4):
        raise RefusedError(
            "proto.arguments", f"processes are sorted by {', '.join(SORTS)}, shown as {' or '.join(VIEWS)}, a page of"
            f" {ON_PAGE} at a time"
        )  # fmt: skip
    return Wanted(sort, view, args.get("user", ""), max(1, int(page)))


def shown(told: Iterable[View], wanted: Wanted, visitor: Visitor) -> Shown:
    """Return what of the processes that an InfoServer has *told* is *wanted*."""
    everything = [_process(one, visitor) for one in told]
    found = [one for one in everything if not wanted.user or one.user == wanted.user]
    if wanted.view == "list":
        found.sort(key=lambda one: _key(one, wanted.sort), reverse=wanted.sort in _FALLING)
    pages = max(1, -(-len(found) // ON_PAGE))
    page = min(wanted.page, pages)
    rows = [replace(one, command=plain(one.command)) for one in found[(page - 1) * ON_PAGE : page * ON_PAGE]]
    return Shown(rows, _people(everything), len(found), page, pages)


def _process(one: View, visitor: Visitor) -> Process:
    number, user = one.get("job"), str(one.get("user") or "")
    job = str(shown_id(number)) if isinstance(number, int) and number > 0 else ""
    linked = bool(job) and (user == visitor.user or "jobs" in visitor.rights)
    return Process(
        pid=_whole(one.get("pid")), user=user, ours=bool(one.get("ours")), job=job, linked=linked,
        cpu=_number(one.get("cpu")), seconds=_number(one.get("cpu_seconds")), memory=_whole(one.get("memory")),
        depth=max(0, min(_whole(one.get("depth")), DEEPEST)),
        command=str(one.get("command") or one.get("name") or "")[:LETTERS],
    )  # fmt: skip


def _key(one: Process, sort: str) -> tuple[Any, ...]:
    keys: dict[str, tuple[Any, ...]] = {
        "cpu": (one.cpu, one.memory), "memory": (one.memory,), "time": (one.seconds,), "user": (one.user, -one.cpu),
        "pid": (one.pid,), "job": (one.job, one.cpu),
    }  # fmt: skip
    return keys[sort]


def _people(processes: Iterable[Process]) -> list[Person]:
    by_user: dict[str, list[Process]] = {}
    for one in processes:
        by_user.setdefault(one.user, []).append(one)
    people = [_person(user, some) for user, some in by_user.items()]
    return sorted(people, key=lambda person: (-person.cpu, -person.memory, person.user))


def _person(user: str, processes: list[Process]) -> Person:
    cpu, memory = sum(one.cpu for one in processes), sum(one.memory for one in processes)
    return Person(user, len(processes), sum(one.ours for one in processes), cpu, memory)


def _whole(value: object) -> int:
    return int(value) if isinstance(value, int | float) and value == value and abs(value) < 1e18 else 0


def _number(value: object) -> float:
    return float(value) if isinstance(value, int | float) and value == value else 0.0

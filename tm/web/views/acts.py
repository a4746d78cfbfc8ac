"""What can be done to jobs: the acts, to which jobs they are done, and the sentences that ask before and tell after."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import msgspec

from tm.model import values
from tm.web.asked import Visitor
from tm.web.views import entered
from tm.wire.message import quote

MOST_TOLD = 3
CHANGES = (
    "time", "priority", "cores", "memory", "gpus", "hosts", "exclude", "constraint", "prefer", "begin", "deadline",
    "dependency", "cap",
)  # fmt: skip
FILTERS = ("user", "state", "name", "host", "array", "account")
"""By what a selection can pick jobs; what a list shows by other filters is named by its ids."""
_ID = re.compile(r"\d{1,18}(?:_(?:\d{1,18}|\[[0-9,:-]{1,1000}\]))?\Z", re.ASCII)


@dataclass(frozen=True, slots=True)
class Act:
    """Something to be done: *verb* of the dispatcher (empty: the visitor's own server does it), which *fields* belong
    to it, whether it needs to be confirmed of a single job, and the end of the sentence *done* ("held")."""

    name: str
    title: str
    verb: str
    done: str
    fields: tuple[str, ...] = ()
    asks: bool = True


ACTS: Mapping[str, Act] = {
    act.name: act
    for act in (
        Act("cancel", "Cancel", "canceljob", "cancelled", ("reason",)),
        Act("hold", "Hold", "holdjob", "held", ("reason",), False),
        Act("release", "Release", "releasejob", "released", (), False),
        Act("suspend", "Suspend", "suspendjob", "suspended", ("reason",), False),
        Act("resume", "Resume", "resumejob", "resumed", (), False),
        Act("signal", "Send a signal", "signaljob", "sent a signal", ("signal",)),
        Act("requeue", "Put back", "requeuejob", "put back", ("reason",)),
        Act("change", "Change", "changejob", "changed", (*CHANGES, "boost", "reason")),
        Act("rerun", "Run again", "", "run again"),
        Act("rerun-failed", "Run again what failed", "", "run again"),
    )
}


def offered(visitor: Visitor) -> list[Act]:
    """Return the acts that *visitor* may try; the dispatcher decides of each job."""
    return list(ACTS.values()) if visitor.may_act else []


def fields_of(act: Act, visitor: Visitor) -> tuple[str, ...]:
    """Return the fields of *act*; others' jobs are boosted by those with the right alone."""
    return tuple(name for name in act.fields if name != "boost" or visitor.has("jobs"))


# -- to which jobs ------------------------------------------------------------------------------------------------


def named(ids: Iterable[str]) -> str:
    """Return the selection of the jobs *ids*; raise `ValueError` for what is none."""
    found = list(dict.fromkeys(ids))
    for one in found:
        if not _ID.match(one):
            raise ValueError(f"'{one:.40}' cannot be chosen by itself; use the page of its array")
    return ",".join(found)


def picked(filters: Mapping[str, str]) -> str | None:
    """Return the selection of what passes *filters*; None where it cannot be said but by naming jobs."""
    given = {name: value for name, value in filters.items() if value}
    if any(name not in FILTERS for name in given) or any(value.split() != [value] for value in given.values()):
        return None
    if given.get("state") in (None, "all"):
        given["state"] = "active"
    return " ".join(f"{name}={value}" for name, value in given.items())


def is_filter(ids: str) -> bool:
    """Whether the selection *ids* says by filters which jobs it means, so that others may come to it."""
    return "=" in ids


# -- what is said -------------------------------------------------------------------------------------------------


def request(act: Act, ids: str, typed: Mapping[str, str], given: Mapping[str, Any]) -> str:
    """Return what stands behind the verb of *act*: *given* are the values of its fields, *typed* as they were."""
    reason = typed.get("reason", "")
    if act.verb == "changejob":
        said = {name: value for name, value in given.items() if name != "reason"}
        return msgspec.json.encode({"ids": ids, "set": said, "reason": reason}).decode()
    words = [ids, str(given["signal"])] if "signal" in act.fields else [ids]
    return ":".join(map(quote, [*words, reason] if reason and "reason" in act.fields else words))


def read(act: Act, typed: Mapping[str, str], names: Iterable[str], now: float) -> tuple[dict[str, Any], dict[str, str]]:
    """Return the values of the fields *names* of *act* as typed, and the faults beside them."""
    wanted = [name for name in names if name in entered.FIELDS]
    found, faults = entered.read(typed, wanted, now, none=True)
    if "signal" in act.fields:
        try:
            found["signal"] = values.signal_name(typed.get("signal", ""))
        except ValueError as error:
            faults["signal"] = str(error)
    if act.verb == "changejob" and not found and not faults:
        faults[""] = "fill in what is to change"
    return found, faults


# -- what was answered --------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Tried:
    """What an act would be done to, or was: so many *jobs*, in lines of ids; and *others* with the reasons why not."""

    jobs: int
    lines: list[tuple[str, int]]
    others: list[tuple[str, str]]


def tried(body: Iterable[Mapping[str, Any]]) -> Tried:
    """Return what the lines of an answer say."""
    seen = list(body)
    done = [(str(line["ids"]), int(line["jobs"])) for line in seen if line["done"]]
    others = [(str(line["ids"]), str(line["why"])) for line in seen if not line["done"]]
    return Tried(sum(jobs for _, jobs in done), done, others)


def told(act: Act, found: Tried) -> str:
    """Return in a sentence what was done."""
    count = f"{found.jobs:,} {'job' if found.jobs == 1 else 'jobs'}"
    rest = [f"{ids:.60} ({why:.80})" for ids, why in found.others[:MOST_TOLD]]
    more = f" and {len(found.others) - MOST_TOLD} more" if len(found.others) > MOST_TOLD else ""
    left = f" Not {', '.join(rest)}{more}." if rest else ""
    return f"{act.title}: {count}.{left}"

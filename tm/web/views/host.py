"""One host: what it is, how it is, what runs there, what happened to it, and what the visitor may do to it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from markupsafe import Markup

from tm.model.audit import difference
from tm.web.asked import Visitor
from tm.web.board import HostChange
from tm.web.render import NOT_KNOWN, many, plain, size, when

View = Mapping[str, Any]
Facts = list[tuple[str, str | Markup]]

MOST_EVENTS = 30
MOST_JOBS = 40
RECORDS = 200
"""So many records of the audit log are looked through for those about the host."""
RESTING = ("draining", "drained")


@dataclass(frozen=True, slots=True)
class Act:
    """Something that can be done to a host: *verb* is what the dispatcher is told, *means* what becomes of its jobs.

    *owner*: the people of the host may do it without the right; *fields* are what can be said along, in their order.
    """

    name: str
    verb: str
    title: str
    means: str
    owner: bool = False
    danger: bool = False
    fields: tuple[str, ...] = ()


ACTS = {
    act.name: act
    for act in (
        Act("activate", "activatehost", "Let jobs start", "Jobs may start there again."),
        Act(
            "deactivate", "deactivatehost", "Start nothing more", "What runs there goes on; nothing new starts.",
            fields=("reason",),
        ),
        Act(
            "drain", "drainhost", "Run it empty", "Nothing new starts. What runs there goes on; where a deadline is"
            " said, what may be repeated leaves by then and begins anew elsewhere.", fields=("deadline", "reason"),
        ),
        Act(
            "leave", "leavehost", "Leave my machine", "Jobs that may be repeated leave now and begin anew elsewhere;"
            " the others stop, and go on later.", owner=True, fields=("duration",),
        ),
        Act("return", "returnhost", "Take it back", "Jobs may use the machine again.", owner=True),
        Act(
            "lost", "declarelost", "Declare it lost", "Its jobs are given up: they are said to be lost, and those that"
            " may be repeated begin anew elsewhere. Do this where the host will not come back.", danger=True,
        ),
        Act(
            "remove", "removehost", "Remove it", "It is taken out of the configuration. It is refused while jobs are"
            " there; 'undo' in the audit log takes it back.", danger=True,
        ),
    )
}  # fmt: skip
FIELDS = {
    "reason": ("Why", "everybody who looks at the hosts sees it", "a new fan"),
    "deadline": ("What may be repeated leaves within", "such as 45m, 4h, 2d; empty: all runs to its end", "2h"),
    "duration": ("For how long", "such as 45m, 4h, 2d; empty: 8h", "4h"),
}
"""Of each field: its label, its help, an example."""
TIMES = ("deadline", "duration")


@dataclass(frozen=True, slots=True)
class Happened:
    """Something that happened to a host: *state* where it changed, *who* did it where somebody did."""

    at: str
    state: str
    who: str
    text: str


def owned(host: View, visitor: Visitor) -> bool:
    """Whether *visitor* is one of the people of *host*."""
    owners = (host.get("config") or {}).get("owners") or []
    return not {visitor.user, "*", *(f"@{group}" for group in visitor.groups)}.isdisjoint(owners)


def permitted(act: Act, host: View, visitor: Visitor) -> bool:
    """Whether *visitor* may do *act* to *host*."""
    return visitor.has("hosts") or (act.owner and visitor.may_act and owned(host, visitor))


def offered(host: View, visitor: Visitor) -> list[Act]:
    """Return what *visitor* may do to *host* as it is now, what matters most first."""
    resting = host.get("state") in RESTING or "hosts activate" in str(host.get("remedy") or "")
    left = "hosts return" in str(host.get("remedy") or "")
    names = ["activate"] if resting else ["deactivate", "drain"]
    if owned(host, visitor) or left:
        names += ["return"] if left else ["leave"]
    names += ["lost", "remove"]
    return [ACTS[name] for name in names if permitted(ACTS[name], host, visitor)]


def faulty(act: Act, word: str) -> str:
    """Return the field that an error of class *word* is about, empty where it is about none."""
    return next((field for field in act.fields if field in TIMES and word == "proto.arguments"), "")


def order(act: Act, host: str, filled: Mapping[str, str]) -> list[str]:
    """Return the arguments of the order that does *act*."""
    given = [filled.get(field, "") for field in act.fields]
    while given and not given[-1]:
        given.pop()
    return [host, *given]


# -- what it is ---------------------------------------------------------------------------------------------------


def sections(host: View, about: View) -> list[tuple[str, Facts]]:
    """Return what is known of *host*, with what its InfoServer says *about* the machine, as facts below headings."""
    found = (
        ("Now", _now(host)), ("Hardware", _hardware(host, about)), ("What it offers", _limits(host)),
        ("Policy", _policy(host)), ("Versions", _versions(host, about)),
    )  # fmt: skip
    return [(title, [fact for fact in facts if fact[1] not in ("", NOT_KNOWN)]) for title, facts in found]


def _now(host: View) -> Facts:
    load, free = host.get("load"), host.get("memory_available")
    return [
        ("Since", when(host.get("since"))), ("Why", str(host.get("reason") or "")),
        ("What helps", str(host.get("remedy") or "")),
        ("Load", " ".join(f"{one:.2f}" for one in load) if load else ""),
        ("Cores busy", _busy(host)),
        ("Memory", "" if free is None else f"{size(free)} available"),
        ("People", ", ".join(host.get("logged_in") or ())), ("Console", _console(host.get("console_idle"))),
        ("GPUs", "; ".join(map(_gpu, host.get("gpus") or ()))),
    ]  # fmt: skip


def _busy(host: View) -> str:
    ours, others = host.get("cpu_ours"), host.get("cpu_others")
    return "" if ours is None or others is None else f"{ours:.1f} ours, {others:.1f} others"


def _console(idle: object) -> str:
    if not isinstance(idle, int | float):
        return ""
    return "in use" if idle < 60 else f"touched {idle / 60:.0f} min ago"


def _gpu(gpu: View) -> str:
    users = f", {' '.join(gpu.get('users') or ())}" if gpu.get("users") else ""
    used = f"{size(gpu.get('memory_used'))} of {size(gpu.get('memory'))}"
    return f"{gpu.get('index')} {gpu.get('model')}: {gpu.get('use') or 0:.0%} busy, {used}{users}"


def _hardware(host: View, about: View) -> Facts:
    cores = about.get("cores")
    inside = f"{many(about.get('sockets') or 1, 'socket')}, {many(about.get('threads') or 1, 'thread')} a core"
    return [
        ("Address", str(host.get("address") or "")), ("System", str(about.get("system") or "")),
        ("Kernel", str(about.get("kernel") or "")), ("Processor", str(about.get("cpu_model") or "")),
        ("Cores", f"{cores} ({inside})" if cores else ""),
        ("Memory", size(about.get("memory") or host.get("memory_total"))), ("Swap", size(about.get("swap") or None)),
        ("GPUs", "; ".join(f"{gpu.get('index')} {gpu.get('model')}" for gpu in about.get("gpus") or ())),
        ("Disks", "; ".join(
            f"{disk.get('path')} {disk.get('kind')}, {size(disk.get('free'))} of {size(disk.get('size'))} free"
            for disk in about.get("disks") or ()
        )),
        ("Up since", when(about.get("booted_at"))),
    ]  # fmt: skip


def _limits(host: View) -> Facts:
    cores, offered_cores = host.get("cores"), host.get("offered_cores")
    gpus = host.get("gpu_count")
    counted = (host.get("consumables") or {}).items()
    return [
        ("Cores", f"{host.get('used_cores')} in use of {offered_cores} offered, of {cores}"),
        ("Memory", f"{size(host.get('used_memory'))} asked for of {size(host.get('offered_memory'))} offered"
         if host.get("offered_memory") else "not limited"),
        ("GPUs", f"{host.get('free_gpus')} free of {gpus}" if gpus else ""),
        *((str(name), f"{one.get('used')} in use of {one.get('whole')}") for name, one in counted),
        ("Features", ", ".join(host.get("features") or ())), ("Group", str(host.get("group") or "")),
        ("Exclusive", "one job has it for itself" if host.get("exclusive") else ""),
        ("Jobs", str(host.get("jobs") or 0)),
    ]  # fmt: skip


def _policy(host: View) -> Facts:
    config: View = host.get("config") or {}
    return [
        ("When others need it", str(host.get("policy") or "")),
        ("Jobs may start", "; ".join(map(str, config.get("hours") or ())) or "at any time"),
        ("Who may use it", ", ".join(map(str, config.get("users") or ())) or "everybody"),
        ("Its people", ", ".join(map(str, config.get("owners") or ()))),
        ("Configuration", str(host.get("config_error") or "")),
    ]  # fmt: skip


def _versions(host: View, about: View) -> Facts:
    info: View = host.get("info") or {}
    state = f"{info.get('state')}" + (f": {info.get('reason')}" if info.get("reason") else "")
    return [
        ("InfoServer", " ".join(filter(None, (state, str(info.get("version") or ""))))),
        ("Its port", str(info.get("port") or "")), ("It outlives a logout", str(info.get("survives") or "")),
        ("Its certificate is valid until", when(about.get("certificate_until"))),
        ("Started by", str(host.get("launcher") or "")),
        *((f"Server of {one.get('user')}", _server(one)) for one in host.get("servers") or ()),
    ]  # fmt: skip


def _server(one: View) -> str:
    return "; ".join(str(one.get(key)) for key in ("link", "reason", "survives") if one.get(key))


# -- what happened ------------------------------------------------------------------------------------------------


def events(
    name: str, changes: Iterable[HostChange], records: Iterable[View], lines: Iterable[View]
) -> list[Happened]:
    """Return what happened to the host *name*, the newest first: what the board noted, *records* of the audit log and
    *lines* of the dispatcher's log."""
    found = [_recorded(one) for one in records if one.get("kind") == "host" and one.get("name") == name]
    recorded = {one.text.partition(":")[0] for one in found}
    for change in changes:
        told = change.text.partition(" said ")[2].partition(":")[0]
        if change.state or told not in recorded:
            found.append(Happened(change.at, change.state, "", change.text))
    found += [
        Happened(str(line.get("time") or ""), "", "log", plain(line.get("text"))) for line in lines if line.get("text")
    ]
    return sorted(found, key=lambda one: one.at, reverse=True)[:MOST_EVENTS]


def _recorded(one: View) -> Happened:
    told = "; ".join(difference(one.get("before"), one.get("after")))
    reason = f" ({one['reason']})" if one.get("reason") and told else str(one.get("reason") or "")
    undoes = f", undoing {one['undoes']}" if one.get("undoes") else ""
    return Happened(str(one.get("at") or ""), "", str(one.get("user")), f"{one.get('verb')}{undoes}: {told}{reason}")

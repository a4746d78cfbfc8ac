"""Hosts and changes as tables and cards for people: what needs somebody comes first, then what is busiest."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from tm.client.table import Column, plain, render
from tm.client.timing import local_time, size

View = Mapping[str, Any]

TROUBLE = ("refused", "down", "unreachable", "draining", "starting", "busy", "up", "unknown", "drained")
"""The states of hosts, from what needs somebody most to what needs nobody."""

_HOSTS = (
    Column("HOST", least=6),
    Column("STATE"),
    Column("FREE", right=True),
    Column("CORES", right=True),
    Column("OURS", right=True),
    Column("OTHERS", right=True),
    Column("MEMORY", right=True),
    Column("JOBS", right=True),
    Column("FEATURES", least=4),
    Column("WHY, AND WHAT HELPS", least=12),
)
_CHANGES = (
    Column("ID", right=True), Column("WHEN"), Column("WHO", least=6), Column("WHAT"), Column("NAME", least=6),
    Column("CHANGE", least=20),
)  # fmt: skip
_DIFFERENCE = (Column("", least=6), Column("BEFORE", least=8), Column("AFTER", least=8))
_SIZES = ("memory", "used_memory", "offered_memory", "memory_available", "memory_total")
_INSIDE = ("servers", "gpus", "consumables", "info", "config", "own")
_DETAILS = {"changehost": "change", "addhost": "add", "removehost": "remove", "activatehost": "activate",
            "deactivatehost": "deactivate", "drainhost": "drain", "declarelost": "lost", "leavehost": "leave",
            "returnhost": "return"}  # fmt: skip


def by_trouble_and_load(hosts: Sequence[View]) -> list[View]:
    """Return *hosts*, those in trouble first, then the more loaded ones first, then by name."""
    return sorted(hosts, key=lambda host: (_trouble(host), -_load(host), str(host["name"])))


def _trouble(host: View) -> int:
    state = str(host.get("state"))
    info = (host.get("info") or {}).get("state")
    rank = TROUBLE.index(state) if state in TROUBLE else 0
    return min(rank, TROUBLE.index("unreachable")) if info == "bad" else rank


def _load(host: View) -> float:
    cores = host.get("cores") or 1
    load = host.get("load")
    return max(float(load[0]) if load else 0.0, float(host.get("used_cores") or 0)) / cores


def host_lines(hosts: Sequence[View], width: int | None) -> list[str]:
    """Return the table of *hosts*, and a line that sums them up."""
    if not hosts:
        return ["no hosts yet; 'tm hosts add HOST' adds one"]
    rows = [_host_row(host) for host in by_trouble_and_load(hosts)]
    return [*render(_HOSTS, rows, width), "", _summary(hosts)]


def _host_row(host: View) -> list[str]:
    cores, offered = host.get("cores") or 0, host.get("offered_cores") or 0
    reason, remedy = str(host.get("reason") or ""), str(host.get("remedy") or "").removeprefix("nothing: ")
    return [
        str(host["name"]), str(host.get("state")), str(_free(host)),
        f"{offered}/{cores}" if offered != cores else str(cores), _busy(host.get("cpu_ours")),
        _busy(host.get("cpu_others")), size(host.get("memory_available")), str(host.get("jobs", "")),
        ",".join(host.get("features") or ()), "; ".join(part for part in (reason, remedy) if part),
    ]  # fmt: skip


def _free(host: View) -> int:
    """Return the cores on which a job could start now: none where no new jobs are let in."""
    return int(host.get("free_cores") or 0) if host.get("vacant") else 0


def _busy(cores: float | None) -> str:
    return "-" if cores is None else f"{cores:.1f}"


def _summary(hosts: Sequence[View]) -> str:
    counts: dict[str, int] = {}
    for host in hosts:
        counts[str(host.get("state"))] = counts.get(str(host.get("state")), 0) + 1
    states = ", ".join(f"{counts[state]} {state}" for state in sorted(counts, key=_rank))
    free = sum(map(_free, hosts))
    cores = sum(int(host.get("cores") or 0) for host in hosts)
    return f"{len(hosts)} host{'s' * (len(hosts) != 1)}: {states}; {free} of {cores} cores are free"


def _rank(state: str) -> int:
    return TROUBLE.index(state) if state in TROUBLE else -1


def host_card(host: View) -> list[str]:
    """Return all that is known of one host."""
    lines = [(key, value) for key, value in host.items() if key not in _INSIDE and value not in (None, "", [], {})]
    shown = [(key, _card_value(key, value)) for key, value in lines]
    shown += [("user's server", _joined(server)) for server in host.get("servers") or ()]
    shown += [("gpu", _joined(gpu)) for gpu in host.get("gpus") or ()]
    counted = (host.get("consumables") or {}).items()
    shown += [(name, f"{one.get('used')} of {one.get('whole')} in use") for name, one in counted]
    info = {key: value for key, value in (host.get("info") or {}).items() if value}
    shown += [("InfoServer", _joined(info))] if info else []
    own = host.get("own") or {}
    for key, value in (host.get("config") or {}).items():
        shown.append((f"config {key}", value_text(value) + ("" if key in own else "   (not its own)")))
    width = max(len(key) for key, _ in shown)
    return [plain(f"{key:<{width}}  {text}") for key, text in shown]


def _card_value(key: str, value: object) -> str:
    if key == "since":
        return local_time(str(value))
    if key in _SIZES and isinstance(value, int):
        return size(value)
    if key == "load" and isinstance(value, list):
        return " ".join(f"{one:.2f}" for one in value)
    return f"{value:.2f}" if isinstance(value, float) else value_text(value)


def _joined(entry: View) -> str:
    return ", ".join(f"{key} {value_text(value)}" for key, value in entry.items() if value not in (None, "", []))


def value_text(value: object) -> str:
    """Return a value of the configuration as it is typed."""
    if value is None:
        return "-"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, list):
        return ", ".join(map(value_text, value)) or "(none)"
    if isinstance(value, Mapping):
        return ", ".join(f"{key}={value_text(one)}" for key, one in value.items()) or "(none)"
    return str(value)


def difference_lines(host: str, before: View, after: View, width: int | None) -> list[str]:
    """Return what holds for *host* before and after, a row for each key that differs."""
    keys = [*before, *(key for key in after if key not in before)]
    rows = [
        [key, value_text(before.get(key)), value_text(after.get(key))]
        for key in keys
        if json.dumps(before.get(key)) != json.dumps(after.get(key))
    ]
    if not rows:
        return [f"{host}: what holds for it is what held before"]
    return render((Column(host, least=6), *_DIFFERENCE[1:]), rows, width)


def change_lines(changes: Sequence[View], width: int | None) -> list[str]:
    """Return the table of recorded *changes*."""
    if not changes:
        return ["nothing has been changed yet"]
    return render(_CHANGES, [_change_row(change) for change in changes], width)


def _change_row(change: View) -> list[str]:
    verb = str(change["verb"])
    undone = f" (undo of {change['undoes']})" if change.get("undoes") else ""
    kind = str(change["kind"])
    what = _DETAILS.get(verb, verb) if kind == "host" else f"{verb.removesuffix(kind)} {kind}"
    return [
        str(change["id"]), local_time(change["at"]), str(change["user"]), what + undone, str(change["name"]),
        _change_text(change),
    ]  # fmt: skip


def _change_text(change: View) -> str:
    before, after = change.get("before"), change.get("after")
    if before == after:
        return str(change.get("reason") or "")
    if before is None or after is None:
        table = after if before is None else before
        text = ("added: " if before is None else "removed: ") + (_joined(table or {}) or "(nothing said)")
    else:
        keys = [*before, *(key for key in after if key not in before)]
        text = "; ".join(
            f"{key} {value_text(before.get(key))} → {value_text(after.get(key))}"
            for key in keys
            if before.get(key) != after.get(key)
        )
    return f"{text} ({change['reason']})" if change.get("reason") else text

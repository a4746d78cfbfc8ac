"""The web server's own picture of the cluster: one for all browsers, made of what everybody may see.

The law: it holds nothing of a user, and it is bounded whatever the cluster does: a ring for each host that there is,
the last changes of each, and the rings of `tm.model.history` of the whole.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Mapping
from typing import Any

import msgspec

from tm.model.history import History, Ring, SavedRing

METRICS = (
    "pending", "held", "running", "cores_used", "cores", "memory_used", "memory", "gpus_used", "gpus",
    "hosts_in_trouble",
)  # fmt: skip
SPARK_STEP = 180
SPARK_LENGTH = 20
MOST_CHANGES = 20
MOST_LETTERS = 300
VERSION = 1
TROUBLE = frozenset({"refused", "down", "unreachable"})
_RUNNING = ("starting", "running", "suspended", "unreachable")

Host = dict[str, Any]
"""A host as ``lshosts.json`` shows it."""


class HostChange(msgspec.Struct, frozen=True, array_like=True):
    """Something happened to a host *at* a time (ISO 8601): it is *state* now, or somebody did *text* with it."""

    at: str
    state: str
    text: str = ""


class _Saved(msgspec.Struct, array_like=True):
    version: int
    history: bytes
    loads: SavedRing
    changes: dict[str, list[HostChange]]


class Board:
    """How the cluster is; *hosts* by name, *at* when they were asked for last (seconds since the epoch, 0: never)."""

    def __init__(self) -> None:
        self.hosts: dict[str, Host] = {}
        self.jobs: dict[str, int] = {}
        self.status: dict[str, Any] = {}
        self.at = 0.0
        self.history = History(METRICS)
        self._loads = Ring((), SPARK_STEP, SPARK_LENGTH)
        self._changes: dict[str, deque[HostChange]] = {}
        self._about: dict[str, tuple[float, dict[str, Any]]] = {}

    # -- what comes in --------------------------------------------------------------------------------------------

    def take(self, hosts: Iterable[Host], status: Mapping[str, Any], now: float, at: str) -> None:
        """Take what the dispatcher answers to ``lshosts`` and ``status`` at *now*, *at* in ISO 8601."""
        before, self.hosts = self.hosts, {str(host["name"]): host for host in hosts}
        self.status = dict(status)
        self.jobs = {str(state): int(count) for state, count in (status.get("jobs") or {}).items()}
        self.at = now
        for name, host in self.hosts.items():
            if name in before and before[name].get("state") != host.get("state"):
                self._note(name, HostChange(at, str(host.get("state")), why(host)))
        for kept in (self._changes, self._about):
            for gone in kept.keys() - self.hosts.keys():
                del kept[gone]
        self._loads.keep(self.hosts)
        self._loads.add(now, {name: load for name, host in self.hosts.items() if (load := load_of(host)) is not None})
        self.history.add(now, totals(self.hosts.values(), self.jobs))

    def heard(self, event: Mapping[str, Any]) -> bool:
        """Take an event of the dispatcher; return whether the hosts should be asked for anew."""
        if event.get("topic") != "hosts":
            return False
        host = self.hosts.get(str(event.get("host")))
        if host is None:
            return True
        at = str(event.get("at") or "")
        if "verb" in event:
            self._note(host["name"], HostChange(at, "", _told(event)))
            return True
        if "state" not in event:
            return False
        fresh = {**host, "state": event["state"], "reason": event.get("reason", ""), "remedy": event.get("remedy", "")}
        fresh["info"] = {**(host.get("info") or {}), "state": event.get("info", "")}
        if host.get("state") != event["state"]:
            fresh["since"] = at
            self._note(host["name"], HostChange(at, str(event["state"]), why(fresh)))
        self.hosts[host["name"]] = fresh
        return False

    def _note(self, name: str, change: HostChange) -> None:
        cut = HostChange(change.at, change.state, change.text[:MOST_LETTERS])
        self._changes.setdefault(name, deque(maxlen=MOST_CHANGES)).appendleft(cut)

    def learn(self, name: str, now: float, about: dict[str, Any]) -> None:
        """Keep what the InfoServer of a host says *about* the machine, which is the same for everybody."""
        if name in self.hosts:
            self._about[name] = (now, about)

    # -- what is asked of it --------------------------------------------------------------------------------------

    def changes(self, name: str) -> list[HostChange]:
        """Return the last changes of the host *name*, the newest first."""
        return list(self._changes.get(name, ()))

    def about(self, name: str, since: float) -> dict[str, Any] | None:
        """Return what was learnt of a machine after *since*, None where nothing was."""
        at, about = self._about.get(name, (0.0, {}))
        return about if at > since else None

    def load(self, name: str) -> list[float | None]:
        """Return the load of a host for each of its cores over the last hour, oldest first."""
        if name not in self.hosts or self._loads.slot < 0:
            return []
        return [value for _, value in self._loads.points(name)]

    # -- over restarts --------------------------------------------------------------------------------------------

    def saved(self) -> bytes:
        """Return what `restore` takes."""
        changes = {name: list(found) for name, found in self._changes.items()}
        return msgspec.msgpack.encode(_Saved(VERSION, self.history.saved(), self._loads.saved(), changes))

    def restore(self, content: bytes) -> bool:
        """Go on from what was saved; return whether it could be read. Nothing changes where it could not."""
        try:
            found = msgspec.msgpack.decode(content, type=_Saved)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            return False
        if found.version != VERSION or not self.history.restore(found.history):
            return False
        self._loads.keep(found.loads.values)
        self._loads.restore(found.loads)
        self._changes = {name: deque(some, MOST_CHANGES) for name, some in found.changes.items()}
        return True


def load_of(host: Mapping[str, Any]) -> float | None:
    """Return how busy each core of *host* is on average; None where nobody says it."""
    load, cores = host.get("load"), host.get("cores")
    return float(load[0]) / cores if load and cores else None


def why(host: Mapping[str, Any]) -> str:
    """Return why *host* is as it is, and what brings it back."""
    parts = (str(host.get("reason") or ""), str(host.get("remedy") or "").removeprefix("nothing: "))
    return "; ".join(part for part in parts if part)


def troubled(host: Mapping[str, Any]) -> bool:
    """Whether *host* needs somebody."""
    return host.get("state") in TROUBLE or (host.get("info") or {}).get("state") in ("bad", "failed")


def totals(hosts: Iterable[Mapping[str, Any]], jobs: Mapping[str, int]) -> dict[str, float]:
    """Return the sums over all hosts, and of the *jobs* that are not over, by `METRICS`."""
    found = dict.fromkeys(METRICS, 0.0)
    found["pending"], found["held"] = float(jobs.get("pending", 0)), float(jobs.get("held", 0))
    found["running"] = float(sum(jobs.get(state, 0) for state in _RUNNING))
    for host in hosts:
        found["cores_used"] += host.get("used_cores") or 0
        found["cores"] += host.get("offered_cores") or 0
        found["memory_used"] += host.get("used_memory") or 0
        found["memory"] += host.get("offered_memory") or host.get("memory_total") or 0
        gpus = host.get("gpu_count") or 0
        found["gpus_used"] += max(0, gpus - (host.get("free_gpus") or 0)) if gpus else 0
        found["gpus"] += gpus
        found["hosts_in_trouble"] += troubled(host)
    return found


def _told(event: Mapping[str, Any]) -> str:
    changed = event.get("changed")
    what = "; ".join(map(str, changed)) if isinstance(changed, list) else ""
    return f"{event.get('by', '')} said {event['verb']}" + (f": {what}" if what else "")

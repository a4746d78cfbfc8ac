"""The conditions of all hosts, as they go on: told to those who watch when they change."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable
from typing import TYPE_CHECKING

from tm.model.condition import Condition, advance, standing, worth_telling
from tm.model.effects import Notice
from tm.model.views import Shown, show_host, shown_time

if TYPE_CHECKING:
    from tm.daemon.dispatcher import Dispatcher


MANY = 64
FRESH_SECONDS = 1.5
"""What was looked at so lately is shown without another look, where many hosts are."""


class Conditions:
    """What each host of one dispatcher is like."""

    def __init__(self, dispatcher: Dispatcher) -> None:
        self._dispatcher = dispatcher
        self._of: dict[str, Condition] = {}
        self._told_info: dict[str, str] = {}
        self._changed: set[str] = set()
        self._seen_at = -FRESH_SECONDS

    def changed(self, name: str) -> None:
        """Something about a host has changed: look at it at the end of this turn."""
        if not self._changed:
            self._dispatcher.clock.callLater(0, self._look)
        self._changed.add(name)

    def tick(self) -> None:
        """Look at all hosts; called about once a second."""
        hosts = self._dispatcher.brain.hosts
        for name in self._of.keys() - hosts.keys():
            del self._of[name]
            self._told_info.pop(name, None)
        self._refresh(hosts)
        self._seen_at = self._dispatcher.now

    def states(self) -> Counter[str]:
        """Return how many hosts are how."""
        hosts = self._dispatcher.brain.hosts
        self._see(hosts)
        return Counter(str(self._of[name].state) for name in hosts)

    def shown(self, names: Collection[str]) -> list[Shown]:
        """Return the public views of hosts that are there."""
        dispatcher = self._dispatcher
        hosts = [dispatcher.brain.hosts[name] for name in names]
        self._see(names)
        return [
            show_host(host, list(host.sessions.values()), self._of[host.name], dispatcher.infoservers.info(host.name))
            for host in hosts
        ]

    def _see(self, names: Collection[str]) -> None:
        """Bring the conditions of *names* up to date; many that were just looked at are not looked at again."""
        if len(names) > MANY and 0 <= self._dispatcher.now - self._seen_at < FRESH_SECONDS:
            names = [name for name in names if name in self._changed or name not in self._of]
        self._refresh(names)

    def _look(self) -> None:
        names, self._changed = self._changed, set()
        self._refresh(names & self._dispatcher.brain.hosts.keys())

    def _refresh(self, names: Iterable[str]) -> None:
        """Bring the conditions of *names* up to date, and tell what has changed."""
        dispatcher = self._dispatcher
        now = dispatcher.now
        for name in names:
            info = dispatcher.infoservers.info(name)
            host = dispatcher.brain.hosts[name]
            known = standing(host, host.sessions.values(), info)
            before = self._of.get(name)
            condition = self._of[name] = advance(before, known, now)
            news = worth_telling(before, condition) or self._told_info.get(name) != info.state
            if news and before is not None:
                self._tell(name, condition, info.state, now)
            self._told_info[name] = info.state

    def _tell(self, name: str, condition: Condition, info: str, at: float) -> None:
        fields: dict[str, object] = {
            "host": name, "state": str(condition.state), "reason": condition.reason, "remedy": condition.remedy,
            "info": info, "at": shown_time(at),
        }  # fmt: skip
        self._dispatcher.announce(Notice("hosts", None, fields))

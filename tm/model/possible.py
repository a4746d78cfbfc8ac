"""What can never run is refused when it is submitted, with what would be possible; and where a job would fit.

The law: whoever is refused reads what no host has, and the nearest thing that one has. What nobody knows yet refuses
nothing.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

import msgspec

from tm.errors import RefusedError
from tm.model.books import Books
from tm.model.cluster import UNLIMITED_MEMORY, HostState
from tm.model.constraint import ConstraintError, Expression, read_constraint, read_preferences, words
from tm.model.demand import Demand, one_of
from tm.model.job import Job
from tm.model.matching import Matcher, count_of, features_of, sentence_of, shown_size, word_of
from tm.model.resources import format_memory
from tm.model.room import Room, free_licenses
from tm.model.views import shown_time

NOW, LATER, NEVER = "now", "later", "never"
MOST_NAMED = 3
_CAUSES = {
    "host": "{} not among those asked for",
    "exclude": "{} excluded",
    "users": "{} not open to {user}",
    "cores": "{} with fewer than {cores}",
    "memory": "{} with less than {memory} of memory",
    "gpus": "{} with fewer than {gpus}",
    "consumables": "{} without the consumables",
    "licenses": "{} since the cluster has fewer licenses",
    "constraint": "{} for which '{constraint}' does not hold",
}


class Fit(NamedTuple):
    """Whether a job fits *host*: ``now``, ``later`` or ``never``; then why not now, in a word and a sentence."""

    host: str
    fits: str
    word: str = ""
    reason: str = ""
    preference: int = 0


class Possible(Books):
    """What the cluster can do for a job."""

    def account_of(self, user: str, asked: str) -> str:
        """Return the group for which a job of *user* counts: *asked*, or the first in which not everybody is.

        Raises `RefusedError` ``account.unknown`` for one that *user* is not in.
        """
        mine = self.limits.groups.having(user)
        if not asked:
            return next((group.name for group in mine if "*" not in group.members), "")
        if all(group.name != asked for group in mine):
            known = ", ".join(group.name for group in mine)
            raise RefusedError(
                "account.unknown",
                f"'{asked:.60}' is no group of {user}"
                + (f"; these are: {known}" if known else ", who is in none: submit without an account"),
            )
        return asked

    def give_usual_time(self, job: Job) -> None:
        """Let a new *job* that asks for no wall time have the cluster's, if it has one."""
        usual = self.settings.default_time
        if usual and not job.demand.time:
            job.demand, job.changed = one_of(msgspec.structs.replace(job.demand, time=usual)), True

    def _check_possible(self, job: Job) -> None:
        """Raise `RefusedError` for what can never run; for a command that runs now also when it cannot at once."""
        self.check_demand(job.user, job.demand)
        held = self.limits.may_start(job.user, job.cores, job.memory) if job.interactive and self._limited else ""
        if held:
            raise RefusedError("limit.jobs", f"{held}; hRunJob lets the command wait")
        if job.interactive:
            at = job.submitted_at
            free = self._free_licenses()
            fits = (self._fit(job.demand, job.user, host, at, free) for host in self.hosts.values())
            if not any(one.fits == NOW and self.reach_at(job.user, one.host, at) for one in fits):
                raise RefusedError("busy.hosts", "no vacant host for this command now; hRunJob lets it wait for one")

    def check_demand(self, user: str, demand: Demand) -> None:
        """Raise `RefusedError` when no job of *user* that asks for *demand* could ever run.

        ``job.impossible``; ``host.unknown``, ``feature.unknown``, ``consumable.unknown`` for names that are none;
        ``job.invalid`` for a constraint that cannot be read.
        """
        never = self.limits.never(user, demand.cores, demand.memory) if self._limited else ""
        if never:
            raise RefusedError("job.impossible", never)
        self.check_names(demand)
        if self.hosts and not self.matcher.somewhere(demand, user, self.hosts):
            raise RefusedError("job.impossible", str(_Nowhere(self.matcher, demand, user, self.hosts.values())))

    def check_names(self, demand: Demand) -> None:
        """Raise `RefusedError` when *demand* names what there is not."""
        for name in (*demand.hosts, *demand.exclude):
            if name not in self.hosts:
                raise RefusedError("host.unknown", f"there is no host '{name:.60}'; 'tm hosts list' lists them")
        for name, _ in demand.consumables:
            if name not in self.matcher.licenses and not any(
                name in host.config.consumables for host in self.hosts.values()
            ):
                found = {one for host in self.hosts.values() for one in host.config.consumables}
                raise RefusedError(
                    "consumable.unknown",
                    f"there is nothing called '{name}' to be counted; {_listed(found | set(self.matcher.licenses))}",
                )
        if demand.constraint or demand.prefer:
            self._check_expressions(demand)

    def _check_expressions(self, demand: Demand) -> None:
        parts: list[Expression] = []
        try:
            parts += [read_constraint(demand.constraint)] if demand.constraint else []
            parts += read_preferences(demand.prefer) if demand.prefer else ()
        except ConstraintError as error:
            raise RefusedError("job.invalid", str(error)) from None
        for name in sorted(set().union(*(words(part)[0] for part in parts))):
            if not self.matcher.has_feature(name, self.hosts):
                known = _listed(features_of(self.hosts.values()))
                raise RefusedError("feature.unknown", f"no host has the feature '{name}'; {known}")

    # -- where it fits --------------------------------------------------------------------------------------------

    def fits(self, user: str, demand: Demand, at: float) -> list[Fit]:
        """Return for every host whether a job of *user* that asks for *demand* fits, the best hosts first."""
        limit = self.limits.may_start(user, demand.cores, demand.memory) if self._limited else ""
        licenses = self._free_licenses()
        found = [self._fit(demand, user, host, at, licenses) for host in self.hosts.values()]
        if limit:
            found = [one._replace(fits=LATER, word="limit", reason=limit) if one.fits == NOW else one for one in found]
        order = (NOW, LATER, NEVER)
        return sorted(found, key=lambda one: (order.index(one.fits), -one.preference))

    def _fit(self, demand: Demand, user: str, host: HostState, at: float, licenses: dict[str, int]) -> Fit:
        never = self.matcher.may_ever(demand, user, host)
        if never:
            return Fit(host.name, NEVER, word_of(never), sentence_of(never))
        liked = self.matcher.preference(demand, host)
        if not host.active:
            return Fit(host.name, LATER, "inactive", host.reason or "it is not active", liked)
        if not host.trouble.room(at) or host.trouble.keeps_away(user, at):
            until = f" until {shown_time(host.trouble.out_until)}" if host.trouble.out_until else ""
            return Fit(host.name, LATER, "trouble", f"it is taken out{until}: {host.trouble.reason}", liked)
        room = Room(host, licenses)
        if self.matcher.room_for(demand, room):
            return Fit(host.name, NOW, preference=liked)
        full = self.matcher.why_full(demand, room)
        return Fit(host.name, LATER, word_of(full), sentence_of(full), liked)

    def _free_licenses(self) -> dict[str, int]:
        """Return how many of each license of the cluster no job has."""
        used: dict[str, int] = {}
        for host in self.hosts.values():
            for name, count in host.used_consumables.items():
                used[name] = used.get(name, 0) + count
        return free_licenses(self.matcher.licenses, used)


class _Nowhere:
    """One job that no host can ever run: why, and what would be possible instead."""

    def __init__(self, matcher: Matcher, demand: Demand, user: str, hosts: Iterable[HostState]) -> None:
        self._matcher = matcher
        self._demand = demand
        self._user = user
        self._hosts = list(hosts)

    def __str__(self) -> str:
        return f"no host can ever run this ({self._causes()}); {self._instead()}"

    def _never(self, host: HostState) -> str:
        return self._matcher.may_ever(self._demand, self._user, host)

    def _causes(self) -> str:
        if len(self._hosts) == 1:
            return f"{self._hosts[0].name}: {sentence_of(self._never(self._hosts[0]))}"
        found: dict[str, int] = {}
        for host in self._hosts:
            word = word_of(self._never(host))
            found[word] = found.get(word, 0) + 1
        asked = self._demand
        values = {
            "user": self._user, "cores": count_of(asked.cores, "core"), "memory": format_memory(asked.memory),
            "gpus": count_of(asked.gpus, "GPU"), "constraint": asked.constraint,
        }  # fmt: skip
        most = sorted(found.items(), key=lambda item: -item[1])
        return ", ".join(_CAUSES[word].format(f"{count} of {len(self._hosts)}", **values) for word, count in most)

    def _instead(self) -> str:
        """Return the changes of one thing that would let it run, or else what the largest host has."""
        changes = (self._cores, self._memory, self._gpus, self._counted, self._constraint, self._elsewhere)
        found = [text for text in (change() for change in changes) if text]
        if found:
            return f"possible would be {' or '.join(found)}"
        mine = [host for host in self._hosts if not self._matcher.may_ever(Demand(), self._user, host)]
        if not mine:
            return f"no host is open to {self._user}; an administrator can change that (tm hosts change NAME users=…)"
        most = max(mine, key=lambda host: (host.whole_cores, host.whole_memory))
        has = [count_of(most.whole_cores, "core")]
        has += [f"{shown_size(most.whole_memory)} of memory"] if most.whole_memory < UNLIMITED_MEMORY else []
        has += [count_of(most.gpu_count, "GPU")] if most.gpu_count else []
        return f"the largest host, {most.name}, has {', '.join(has)}"

    def _fit(self, **less: object) -> list[HostState]:
        """Return the hosts that could run it if it asked for *less*; none if it does not ask for more."""
        other = msgspec.structs.replace(self._demand, **less)
        if other == self._demand:
            return []
        return [host for host in self._hosts if not self._matcher.may_ever(other, self._user, host)]

    def _cores(self) -> str:
        most = max(self._fit(cores=1), key=lambda host: host.whole_cores, default=None)
        return f"at most {count_of(most.whole_cores, 'core')} ({most.name})" if most else ""

    def _memory(self) -> str:
        most = max(self._fit(memory=0), key=lambda host: host.whole_memory, default=None)
        return f"at most {shown_size(most.whole_memory)} of memory ({most.name})" if most else ""

    def _gpus(self) -> str:
        most = max(self._fit(gpus=0), key=lambda host: host.gpu_count or 0, default=None)
        if most is None:
            return ""
        return f"at most {count_of(most.gpu_count, 'GPU')} ({most.name})" if most.gpu_count else "no GPU"

    def _counted(self) -> str:
        some = self._fit(consumables=())
        licenses = self._matcher.licenses
        most = {
            name: licenses.get(name, max((host.config.consumables.get(name, 0) for host in some), default=0))
            for name, _ in self._demand.consumables
        }
        fewer = ", ".join(f"{count} {name}" for name, count in most.items() if count)
        return "" if not some else f"at most {fewer}" if fewer else f"no {', '.join(most)}"

    def _constraint(self) -> str:
        some = self._fit(constraint="")
        return f"another constraint (with none {_named(some)} could)" if some else ""

    def _elsewhere(self) -> str:
        some = self._fit(hosts=(), exclude=())
        return f"another host ({_named(some)})" if some else ""


def _named(hosts: list[HostState]) -> str:
    rest = f" and {len(hosts) - MOST_NAMED} more" if len(hosts) > MOST_NAMED else ""
    return ", ".join(host.name for host in hosts[:MOST_NAMED]) + rest


def _listed(names: Iterable[str]) -> str:
    listed = sorted(names)
    if not listed:
        return "there are none"
    return f"there are {', '.join(listed[:20])}" + (" and more" if len(listed) > 20 else "")

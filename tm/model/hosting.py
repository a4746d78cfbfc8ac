"""Hosts: what the configuration, their people and their InfoServers say of them, and what becomes of the jobs there."""

from __future__ import annotations

from collections.abc import Iterable

from tm.errors import RefusedError
from tm.model.cluster import HostState
from tm.model.guest import Level, left_by
from tm.model.host import HostConfig
from tm.model.lifecycle import Fact
from tm.model.manners import Manners
from tm.model.report import About, HostReport

GONE = "no longer in etc/ComputerCluster.config"


class Hosting(Manners):
    """What happens to hosts."""

    def hosts_configured(self, hosts: Iterable[HostConfig], at: float) -> None:
        """Take a new table of hosts; what runs on a host that has gone stays known."""
        fresh = {config.name: HostState(config) for config in hosts}
        for name in fresh.keys() - self.hosts.keys():
            self._remember(fresh[name])  # what was decided of an earlier one of that name is no concern of this one
        for name, old in self.hosts.items():
            new = fresh.get(name)
            if new is None:
                if any(session.jobs for session in old.sessions.values()):
                    old.active, old.reason = False, GONE
                    fresh[name] = old
                continue
            self._reconfigured(old, new)
            fresh[name] = old
        for name in self.hosts.keys() | fresh.keys():
            self.scheduler.host_changed(name)
        self.matcher.forget()
        self.hosts = fresh
        for key in [key for key in self.sessions if key[1] not in fresh]:
            del self.sessions[key]
            self._effects.orders.pop(key, None)
        self._notice_host(at, None, reason="configuration read")
        for host in fresh.values():
            self._review(host, at)

    def _reconfigured(self, host: HostState, new: HostState) -> None:
        before = host.config
        host.configured(new.config)
        if (before.policy, before.cores, before.memory) != (new.config.policy, new.config.cores, new.config.memory):
            host.level = Level()
        if not host.declared and not (host.drain_reason and not new.active):
            changed = host.active != new.active or host.reason == GONE
            if changed:
                host.active, host.reason = new.active, new.reason
            if changed or host.drain_reason:
                host.drain_deadline, host.drain_reason = None, ""
                self._remember(host)

    def host_activated(self, name: str, active: bool, reason: str, at: float) -> None:
        """Let jobs start on a host, or no more of them. Raises `RefusedError` ``host.unknown``."""
        host = self._host(name)
        host.active, host.reason = active, "" if active else reason
        host.declared, host.drain_deadline, host.drain_reason = "", None, ""
        host.trouble.cleared()
        self.scheduler.host_changed(name)
        self._remember(host)
        for session in host.sessions.values():
            session.retry_at = 0.0
            if not active:
                self._recall(session)
        self._notice_host(at, None, host=name, active=active, reason=reason)

    def host_drained(self, name: str, deadline: float | None, reason: str, at: float) -> None:
        """Let nothing more start there; at *deadline* (seconds since the epoch) what may be repeated leaves.

        Raises `RefusedError` ``host.unknown``.
        """
        host = self._host(name)
        self.host_activated(name, False, reason, at)
        host.drain_deadline, host.drain_reason = deadline, reason
        self._remember(host)
        self._review(host, at)

    def host_declared_lost(self, name: str, by: str, at: float) -> int:
        """The host will not come back: return how many jobs are lost with it. Raises as `host_drained`.

        Should it come back, what it still runs of them is ended there and changes nothing here.
        """
        host = self._host(name)
        declared = f"declared lost by {by}"
        self.host_activated(name, False, declared, at)
        host.declared = declared
        self._remember(host)
        lost = [job for session in host.sessions.values() for job in session.jobs]
        for job in lost:
            self._orders_for(job).cancel.append((job.id, job.attempt))
            self._apply(job, Fact(job.id, job.attempt, "lost", at, reason=f"{name} was {declared}"))
        return len(lost)

    def machine_left(self, name: str, until: float, by: str, at: float) -> None:
        """The people of the host want it to themselves *until* then. Raises `RefusedError` ``host.unknown``."""
        host = self._host(name)
        host.left_until, host.left_by, host.unheard = until, by, False
        self._remember(host)
        self._review(host, at)

    def machine_returned(self, name: str, by: str, at: float) -> None:
        """Jobs may use the machine again. Raises `RefusedError` ``host.unknown``."""
        self.machine_left(name, 0.0, "", at)

    def host_reported(self, name: str, about: About | None, report: HostReport | None, at: float) -> None:
        """Take what the InfoServer of a host says, without faults; None where nothing trustworthy is known."""
        host = self.hosts.get(name)
        if host is None:
            return
        host.described(about)
        host.report, host.reported_at = report, at
        self.scheduler.host_changed(name)
        if about is not None:
            host.saw(about.cores, about.memory)
        if report is None:
            host.level.forget()
        else:
            left = left_by(host.config, host.whole_cores, host.whole_memory, about, report, at)
            host.level.heard(left._replace(at_once=left.at_once or host.unheard))
            host.unheard = False
        self._review(host, at)

    def running_pids(self, name: str) -> list[tuple[int, str, int]]:
        """Return (job, user, pid) of the jobs that are known to run on a host."""
        host = self.hosts.get(name)
        there = [job for session in host.sessions.values() for job in session.jobs] if host else []
        return [(job.id, job.user, job.pid) for job in there if job.pid is not None]

    def _look_at_hosts(self, at: float) -> None:
        """What time alone changes: hours, calm, deadlines, probes that never came."""
        for host in self.hosts.values():
            probe = self.jobs.get(host.trouble.probe or 0)
            if host.trouble.probe is not None and (probe is None or probe.host != host.name):
                host.trouble.gone(host.trouble.probe)
            if host.left_until and at >= host.left_until:
                self.machine_left(host.name, 0.0, "", at)
            elif host.level.known or host.config.hours or host.left_until or host.offer.reason or host.unheard:
                self._review(host, at)
            elif host.drain_deadline is not None:
                self._settle(host, at)

    def _host(self, name: str) -> HostState:
        host = self.hosts.get(name)
        if host is None:
            raise RefusedError("host.unknown", f"there is no host '{name}'; 'tm hosts list' lists them")
        return host

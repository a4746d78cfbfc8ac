"""Hosts: what the configuration, their people and their InfoServers say of them, and what becomes of the jobs there."""

from __future__ import annotations

from collections.abc import Iterable

from tm.errors import RefusedError
from tm.model.cluster import HostState
from tm.model.host import HostConfig
from tm.model.report import About, HostReport
from tm.model.servers import Servers


class Hosting(Servers):
    """What happens to hosts."""

    def hosts_configured(self, hosts: Iterable[HostConfig], at: float) -> None:
        """Take a new table of hosts; what runs on a host that has gone stays known."""
        fresh = {config.name: HostState(config) for config in hosts}
        for name, old in self.hosts.items():
            new = fresh.get(name)
            if new is None:
                if any(session.host is old and session.jobs for session in self.sessions.values()):
                    old.active, old.reason = False, "no longer in etc/ComputerCluster.config"
                    fresh[name] = old
                continue
            old.config, old.active, old.reason = new.config, new.active, new.reason
            fresh[name] = old
        self.hosts = fresh
        for key in [key for key in self.sessions if key[1] not in fresh]:
            del self.sessions[key]
            self._effects.orders.pop(key, None)
        self._notice_host(at, None, reason="configuration read")

    def host_activated(self, name: str, active: bool, reason: str, at: float) -> None:
        """Let jobs start on a host, or no more of them. Raises `RefusedError` ``host.unknown``."""
        host = self.hosts.get(name)
        if host is None:
            raise RefusedError("host.unknown", f"there is no host '{name}'; 'lshosts' lists them")
        host.active, host.reason = active, "" if active else reason
        for session in self.sessions.values():
            if session.host is host:
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
        host.drain_deadline = deadline

    def host_declared_lost(self, name: str, by: str, at: float) -> int:
        """The host will not come back: return how many jobs are lost with it. Raises as `host_drained`."""
        self._host(name)
        return 0

    def machine_left(self, name: str, until: float, by: str, at: float) -> None:
        """The people of the host want it to themselves *until* then. Raises `RefusedError` ``host.unknown``."""
        host = self._host(name)
        host.left_until, host.left_by = until, by

    def machine_returned(self, name: str, by: str, at: float) -> None:
        """Jobs may use the machine again. Raises `RefusedError` ``host.unknown``."""
        host = self._host(name)
        host.left_until, host.left_by = 0.0, ""

    def host_reported(self, name: str, about: About | None, report: HostReport | None, at: float) -> None:
        """Take what the InfoServer of a host says, without faults; None where nothing trustworthy is known."""
        host = self.hosts.get(name)
        if host is None:
            return
        host.about, host.report, host.reported_at = about, report, at

    def running_pids(self, name: str) -> list[tuple[int, str, int]]:
        """Return (job, user, pid) of the jobs that are known to run on a host."""
        return [
            (job.id, job.user, job.pid)
            for (_, host), session in self.sessions.items()
            if host == name
            for job in session.jobs
            if job.pid is not None
        ]

    def _host(self, name: str) -> HostState:
        host = self.hosts.get(name)
        if host is None:
            raise RefusedError("host.unknown", f"there is no host '{name}'; 'lshosts' lists them")
        return host

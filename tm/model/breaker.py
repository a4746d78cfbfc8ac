"""A broken host does not eat the queue: what fails at start takes it out for a time, and a probe brings it back.

Pure. A failure at start is one that the host is to blame for: a server that cannot be started there, a folder that
cannot be entered, a file that cannot be opened, a program that cannot be executed; never what a program ended with.
One user's failures may be that user's own fault: it takes two of them, or five different jobs where there is only one
user. A job that starts takes back what its user's earlier ones had against the host. Each time a host is taken out it
is for twice as long; then one job is let in, and its start brings the host back. Its failure keeps the host from its
user for as long again, and from everybody once two users have failed so: nobody keeps others away alone.
"""

from __future__ import annotations

from typing import NamedTuple

WINDOW_SECONDS = 600.0
USERS_NEEDED = 2
JOBS_NEEDED = 5
FIRST_PAUSE = 60.0
LONGEST_PAUSE = 3600.0
FORGIVEN_AFTER = 3600.0
UNLIMITED = 1 << 30
_NOT_FOUND = 127


class Failure(NamedTuple):
    """A failure at start: *job* is None where it was a server that could not be started."""

    at: float
    user: str
    job: int | None
    text: str


class Breaker:
    """What is known of failures at start on one host. Times are seconds since the epoch."""

    def __init__(self) -> None:
        self.out_until: float | None = None
        self.reason = ""
        self.probe: int | None = None
        self._refused: dict[str, float] = {}
        self._failures: list[Failure] = []
        self._times = 0
        self._back_at = 0.0

    def room(self, at: float) -> int:
        """Return how many jobs may be sent there now: any number, none, or the one probe."""
        if self.out_until is None:
            return UNLIMITED
        return 1 if at >= self.out_until and self.probe is None else 0

    def keeps_away(self, user: str, at: float) -> bool:
        """Whether *user*'s probe failed, and somebody else's is to decide before they may try again."""
        return self.out_until is not None and at < self._refused.get(user, 0.0)

    def clock_set_back(self, by: float) -> None:
        """Let pauses last no longer for it."""
        self.out_until = None if self.out_until is None else self.out_until - by
        self._refused = {user: until - by for user, until in self._refused.items()}
        self._failures = [one._replace(at=one.at - by) for one in self._failures]
        self._back_at -= by

    def sent(self, job: int) -> None:
        """*job* goes there; where the host was out it is the probe."""
        if self.out_until is not None:
            self.probe = job

    def failed(self, user: str, job: int | None, text: str, at: float, alone: bool) -> bool:
        """Count a failure at start, *alone* where the cluster has one user; return whether that takes the host out."""
        if self.out_until is not None:
            if at < self.out_until or (job is not None and job != self.probe):
                return False
            return self._refuse(user, text, at, alone)
        self._failures = [one for one in self._failures if one.at > at - WINDOW_SECONDS]
        self._failures.append(Failure(at, user, job, text))
        users = {one.user for one in self._failures}
        jobs = {one.job for one in self._failures if one.job is not None}
        if len(users) >= USERS_NEEDED:
            self._out(f"starts failed for {', '.join(sorted(users))}, the last one: {text}", at)
        elif alone and len(jobs) >= JOBS_NEEDED:
            self._out(f"{len(jobs)} jobs failed at their start, the last one: {text}", at)
        return self.out_until is not None

    def _refuse(self, user: str, text: str, at: float, alone: bool) -> bool:
        """The probe of *user* failed, or the server for it."""
        others = [other for other, until in self._refused.items() if other != user and at < until]
        self.probe = None
        if alone or others:
            self._out(f"the probe failed, too: {text}", at)
            return True
        self._refused[user] = at + self._pause
        return False

    @property
    def _pause(self) -> float:
        return min(LONGEST_PAUSE, FIRST_PAUSE * 2.0**self._times)

    def _out(self, reason: str, at: float) -> None:
        if self.out_until is None and at - self._back_at > FORGIVEN_AFTER:
            self._times = 0
        self.out_until = at + self._pause
        self._times += 1
        self.reason = reason
        self.probe = None
        self._refused.clear()
        self._failures.clear()

    def started(self, user: str, job: int, at: float) -> bool:
        """*job* has started there: return whether that brings the host back."""
        if self._failures:
            self._failures = [one for one in self._failures if one.user != user]
        if self.out_until is None or job != self.probe:
            return False
        self.cleared()
        self._back_at = at
        return True

    def gone(self, job: int) -> None:
        """*job* is there no longer and never began: if it was the probe, another may be it."""
        if job == self.probe:
            self.probe = None

    def cleared(self) -> None:
        """Somebody has mended the host, or a probe shows that it is whole."""
        self.out_until, self.reason, self.probe = None, "", None
        self._refused.clear()
        self._failures.clear()


def blames_host(exit_code: int | None, reason: str, command: str | list[str]) -> bool:
    """Whether an attempt that was *refused* with *exit_code* and *reason* speaks against its host.

    A program that is not found does where it was named by its path; a signature that is wrong does not.
    """
    if reason.startswith("auth."):
        return False
    if exit_code == _NOT_FOUND:
        return isinstance(command, list) and command[0].startswith("/")
    return True

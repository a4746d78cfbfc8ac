"""What jobs leave behind: their processes that have become the keeper's children.

An orphan of a running job is left alone until it dies, and is then reaped. One of an ended job is told to
end, and killed if it is still there after the grace. Nobody's orphans stay while any job runs, because they
may be its own. Daemons of ours are nobody's affair here: they are reaped when they are dead.
"""

from __future__ import annotations

import os
import signal

from tm.keeper import procfs
from tm.keeper.tree import Stem

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping

    from tm.keeper.book import Running
    from tm.keeper.order import Key
    from tm.keeper.procfs import Process

GRACE = 2.0
LOOK_EVERY = 0.2
MOST_NAMED = 3


class Orphans:
    """The keeper's children that are no first process of a job. Times are seconds of a monotonic clock."""

    def __init__(self, stem: Stem) -> None:
        self._stem = stem
        self._owners: dict[int, Key] = {}
        self._kill_at: dict[Key | None, float] = {}
        self._told: set[int] = set()
        self._sessions: dict[int, Key] = {}
        self._listed: list[int] | None = None
        self._guests: set[int] = set()
        self.next_at: float | None = None

    def left_by(self, main: int, key: Key) -> None:
        """Note that *main*, first process of *key* and leader of its session, has been reaped."""
        self._sessions[main] = key

    def welcome(self, pid: int) -> None:
        """Note that *pid* was started beside a job, which does not leave it behind."""
        self._guests.add(pid)

    def left_behind(self, running: Running, seen: Mapping[int, int]) -> str:
        """*running* has ended, and is not reaped: return in a sentence which processes it leaves, if it does any.

        *seen* were in its tree before, pid → ticks of its start: nothing else may tell any more whose they are.
        """
        left = []
        if self._listed is None:
            self._listed = procfs.children()
        for pid in self._listed:
            if pid not in self._stem.mains:
                one = procfs.read(pid)
                if one is not None and seen.get(pid) == one.ticks:
                    self._owners.setdefault(pid, running.key)
                if one is None or one.dead or one.daemon or pid in self._guests:
                    continue
                if self._owner(one) == running.key:
                    left.append(f"{one.name.decode('utf-8', 'replace')} (pid {pid})")
        if not left:
            return ""
        more = f" and {len(left) - MOST_NAMED} more" if len(left) > MOST_NAMED else ""
        return f"it left {', '.join(left[:MOST_NAMED])}{more} running, ended with it"

    def sweep(self, now: float) -> None:
        """Reap what is dead, end what ended jobs have left."""
        self.next_at = None
        listed = procfs.children() if self._listed is None else self._listed
        self._listed = None
        orphans = [pid for pid in listed if pid not in self._stem.mains and pid not in self._sessions]
        living = [pid for pid in orphans if not _reap(pid)]
        self._guests.intersection_update(living)
        if living or self._sessions or self._told:
            seen = {pid: procfs.read(pid) for pid in living}
            owners = {pid: self._owner(one) for pid, one in seen.items() if one is not None and not one.daemon}
            self._settle(owners, now)

    def _settle(self, owners: dict[int, Key | None], now: float) -> None:
        running = set(self._stem.mains.values())
        ended = set(self._sessions.values())
        ending: set[Key | None] = set()
        for pid, owner in owners.items():
            if owner in ended or not running:
                ending.add(owner)
                self._end(pid, owner, now)
        kept = set(owners.values())
        self._owners = {pid: key for pid, key in owners.items() if key is not None}
        self._sessions = {session: key for session, key in self._sessions.items() if key in kept}
        self._kill_at = {key: at for key, at in self._kill_at.items() if key in ending}
        self._told &= set(owners)

    def _owner(self, orphan: Process) -> Key | None:
        known = self._owners.get(orphan.pid)
        return known or self._stem.owner(orphan) or self._sessions.get(orphan.session)

    def _end(self, pid: int, owner: Key | None, now: float) -> None:
        kill_at = self._kill_at.setdefault(owner, now + GRACE)
        if now >= kill_at:
            _kill(pid, signal.SIGKILL)
        elif pid not in self._told:
            self._told.add(pid)
            _kill(pid, signal.SIGTERM)
            _kill(pid, signal.SIGCONT)
        self.next_at = now + LOOK_EVERY


def _reap(pid: int) -> bool:
    try:
        return os.waitpid(pid, os.WNOHANG)[0] == pid
    except ChildProcessError:
        return True


def _kill(pid: int, number: int) -> None:
    """Signal a child, whose pid stays its own until it is reaped; it may have become another user's."""
    try:
        os.kill(pid, number)
    except (ProcessLookupError, PermissionError):
        return

"""Whose process is it? Which processes make up the tree of a job, also those that have left its session."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from tm.keeper.order import Key
    from tm.keeper.procfs import Process


class Stem:
    """What is fixed when looking for trees.

    *keeper* is its pid; *mains* has the first process of each job that is not reaped yet: pid → (job,
    attempt); *claim* reads the (job, attempt) in the environment of a pid, or None. *only_jobs*: the keeper's children
    are all of jobs, so when there is one job nobody's are its own.
    """

    __slots__ = ("claim", "keeper", "mains", "only_jobs")

    def __init__(
        self, keeper: int, mains: Mapping[int, Key], claim: Callable[[int], Key | None], only_jobs: bool = True
    ) -> None:
        self.keeper = keeper
        self.mains = mains
        self.claim = claim
        self.only_jobs = only_jobs

    def owner(self, orphan: Process) -> Key | None:
        """Return whose *orphan*, a child of the keeper, is: by its session, else by its environment."""
        return self.mains.get(orphan.session) or self.claim(orphan.pid)

    def holder(self, orphan: Process) -> Key | None:
        """Return to whose tree *orphan* is counted: to its `owner`'s; nobody's to the only job's when there is one."""
        owner = self.owner(orphan)
        if self.only_jobs and len(self.mains) == 1 and owner not in self.mains.values():
            return next(iter(self.mains.values()))
        return owner


def members(
    stem: Stem, processes: Mapping[int, Process], main: int, seen: Mapping[int, int] | None = None
) -> list[Process]:
    """Return the living processes of the job whose first one is *main*, that one included.

    These are all that descend from it, are in its session or were *seen* in its tree before (pid → ticks of its start:
    when its parent has died, nothing else may tell any more whose a process is), its orphans, and what descends
    from any of them; when no other job runs, also the orphans that are nobody's. Daemons of
    ours, which a client in a job may have started, are no job's, nor is what they have started.
    """
    key = stem.mains[main]
    seen = seen or {}
    offspring: dict[int, list[Process]] = {}
    reached: dict[int, Process] = {}
    for process in processes.values():
        offspring.setdefault(process.ppid, []).append(process)
        if process.daemon and process.pid != main:
            continue
        if process.pid == main or process.session == main or seen.get(process.pid) == process.ticks:
            reached[process.pid] = process
        elif process.ppid == stem.keeper and process.pid not in stem.mains and not process.dead:
            if stem.holder(process) == key:
                reached[process.pid] = process
    waiting = list(reached.values())
    while waiting:
        for process in offspring.get(waiting.pop().pid, ()):
            if process.pid not in reached and not process.daemon:
                reached[process.pid] = process
                waiting.append(process)
    return [process for process in reached.values() if not process.dead]


def trees(
    stem: Stem, processes: Mapping[int, Process], seen: Mapping[int, tuple[int, Key]] | None = None
) -> dict[Key, list[Process]]:
    """Return the living processes of every job of which *processes* has any, as `members` finds them, at one go.

    *seen* says of processes that were in a tree before in whose, by pid: ticks of its start, and the job.
    """
    seen = seen or {}
    offspring: dict[int, list[Process]] = {}
    reached: dict[int, Key] = {}
    for process in processes.values():
        offspring.setdefault(process.ppid, []).append(process)
        key = stem.mains.get(process.pid) or (None if process.daemon else _whose(stem, process, seen))
        if key is not None:
            reached[process.pid] = key
    waiting = list(reached)
    while waiting:
        pid = waiting.pop()
        for process in offspring.get(pid, ()):
            if process.pid not in reached and not process.daemon:
                reached[process.pid] = reached[pid]
                waiting.append(process.pid)
    found: dict[Key, list[Process]] = {}
    for pid, key in reached.items():
        if not processes[pid].dead:
            found.setdefault(key, []).append(processes[pid])
    return found


def _whose(stem: Stem, process: Process, seen: Mapping[int, tuple[int, Key]]) -> Key | None:
    """Return whose *process* is for itself, not for its parent's sake."""
    key = stem.mains.get(process.session)
    if key is None and process.pid in seen and seen[process.pid][0] == process.ticks:
        key = seen[process.pid][1]
    if key is None and process.ppid == stem.keeper and not process.dead:
        key = stem.holder(process)
    return key

"""Drills: faults at random for as long as somebody wants; each module of this package is one subject.

A drill is a function ``(bench, chance) -> Outcome``, made known by `drill`. It lasts 10 s to 2 minutes, takes every
choice from *chance*, so that the seed tells what was done, and returns how many independent trials it made and what
did not hold. What it raises counts as a violation, too.
"""

from __future__ import annotations

import os
import pkgutil
import random
import shutil
import tempfile
import time
from collections.abc import Callable, Iterable, Mapping
from importlib import import_module
from pathlib import Path
from typing import NamedTuple

from tests.support import ledger, processes
from tests.support.cluster import Cluster
from tests.support.installation import HOSTS

USUAL_SECONDS = 60.0


class Outcome(NamedTuple):
    """What came of a drill: *trials* made, *violations* in words, and *more* to be shown, e.g. ``{"kills": 12}``."""

    trials: int
    violations: tuple[str, ...] = ()
    more: Mapping[str, object] = {}


class DrillCluster(Cluster):
    """A cluster whose folder outlives `stop`, as evidence; `Bench.clear` removes it."""

    def stop(self) -> None:
        """End everything that was started here, jobs too; fail if anything is left."""
        for user in list(self._talks):
            self.forget_talk(user)
        left = processes.end_marked(self.folder)
        if left:
            raise AssertionError(f"left behind: {left}")


class Bench:
    """What a drill works with: clusters, the oracle, and a clock; `folder` is for its own files."""

    def __init__(self, seconds: float = USUAL_SECONDS) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="tm-drill-", dir="/tmp"))
        self._until = time.monotonic() + seconds
        self._clusters: list[DrillCluster] = []

    def left(self) -> float:
        """Return for how many seconds the drill should still go on; 0 when it should come to its end."""
        return max(0.0, self._until - time.monotonic())

    def cluster(
        self, users: Iterable[str] = ("alice",), hosts: Mapping[str, Mapping[str, object]] = HOSTS
    ) -> DrillCluster:
        """Return a new cluster, nothing of which runs yet; a context manager, at whose end nothing runs any more."""
        cluster = DrillCluster(users, hosts)
        self._clusters.append(cluster)
        return cluster

    def judge(self, cluster: Cluster, accepted: Iterable[int], may_be_lost: bool = False) -> tuple[str, ...]:
        """Return what the ledger of *cluster* holds against it: accepted = final, at most one start, codes as computed.

        All jobs *accepted* must have ended (see `Cluster.wait`); *may_be_lost* where two faults could have met.
        """
        jobs = cluster.jobs(cluster.users[0], "user=all")
        return tuple(ledger.complaints(cluster.ledger(), list(accepted), jobs, may_be_lost))

    def clear(self, evidence: Path | None = None) -> None:
        """End what is left of the drill; move what it wrote into the folder *evidence*, or remove it."""
        for cluster in self._clusters:
            cluster.stop()
        for folder in [self.folder, *(Path(cluster.folder) for cluster in self._clusters)]:
            if evidence is not None and folder.exists():
                evidence.mkdir(parents=True, exist_ok=True)
                shutil.move(str(folder), evidence / folder.name)
            shutil.rmtree(folder, ignore_errors=True)
        self._clusters = []


class Drill(NamedTuple):
    """A drill by its *name*: the *rows* it tries, whether it needs *root*, and what is *lacking* here otherwise."""

    name: str
    rows: tuple[int, ...]
    root: bool
    lacking: Callable[[], str]
    run: Callable[[Bench, random.Random], Outcome]

    def reason_not_to(self) -> str:
        """Return why it can't be run here; nothing when it can."""
        if self.root and os.geteuid() != 0:
            return "only root can do that"
        return self.lacking()


DRILLS: dict[str, Drill] = {}


def drill(
    name: str, rows: tuple[int, ...], root: bool = False, lacking: Callable[[], str] = str
) -> Callable[[Callable[[Bench, random.Random], Outcome]], Callable[[Bench, random.Random], Outcome]]:
    """Make a function a drill; *lacking* returns what this machine lacks for it, or nothing."""

    def register(run: Callable[[Bench, random.Random], Outcome]) -> Callable[[Bench, random.Random], Outcome]:
        assert name not in DRILLS, name
        DRILLS[name] = Drill(name, rows, root, lacking, run)
        return run

    return register


def load() -> dict[str, Drill]:
    """Return all drills by name."""
    for module in pkgutil.iter_modules(__path__):
        import_module(f"{__name__}.{module.name}")
    return DRILLS

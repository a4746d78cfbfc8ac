"""A private installation for measuring: one user, one host, real daemons, and the clients' own connection."""

from __future__ import annotations

import json
import os
import sqlite3
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from typing import Any

from benchmarks import daemons
from tests.support.cluster import ROOT, Cluster
from tm import places
from tm.client.connection import Connection
from tm.client.submit import Submission, make_lines

USER = "alice"
UNDER_WAY = 32
PATIENCE = 600.0
PAUSE = 0.02
_ACTIVE = "SELECT id FROM jobs WHERE phase IN ('held', 'pending', 'starting', 'running', 'suspended')"
# As large as that of a login shell: it travels with each submission.
ENVIRONMENT = {
    "PATH": "/usr/local/bin:/usr/bin:/bin", "HOME": "/home/alice", "LANG": "C.UTF-8", "SHELL": "/bin/bash",
    **{f"MODULE_{number}_PATH": "/usr/local/modules/" + "x" * 20 for number in range(20)},
}  # fmt: skip


class Installation:
    """The running daemons and one open connection to the user's server; all of it lies in *folder*."""

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster
        self.folder = cluster.folder
        self.environment = cluster.environment(USER)
        self._store = os.path.join(cluster.state, "TaskDispatcher.sqlite")
        self.connection = Connection.open_tms(places.find(self.environment), start=False)
        self.common: dict[str, Any] = {"cwd": cluster.work, "environment": ENVIRONMENT}

    def pids(self) -> dict[str, int]:
        """Return the pid of each daemon that runs."""
        found = {shown: self._cluster.pid(name) for shown, name in daemons.NAMES.items()}
        return {shown: pid for shown, pid in found.items() if pid}

    def commits(self) -> int:
        """Return the number of commits of the dispatcher's store, from an arbitrary beginning."""
        return daemons.commits(self._store)

    def client(self, *arguments: str) -> list[str]:
        """Return the command that runs the client ``arguments[0]`` with the other arguments."""
        return [sys.executable, os.path.join(ROOT, "bin", arguments[0]), *arguments[1:]]

    def submit(self, commands: list[str | list[str]]) -> list[int]:
        """Submit *commands* at once, as the clients do; return their ids."""
        return Submission(lambda: self.connection, make_lines(commands, self.common)).run()

    def submit_singly(self, command: str | list[str], count: int) -> list[int]:
        """Submit *command* *count* times, the next when the last one is accepted; return the ids."""
        ids = []
        for _ in range(count):
            for line in make_lines([command], self.common):
                self.connection.send(line.data)
            ids.append(int(self.connection.reply().body[0]))
        return ids

    def submit_pipelined(self, command: str | list[str], count: int) -> list[int]:
        """Submit *command* as a job *count* times, each by a request of its own, `UNDER_WAY` of them unanswered."""
        ids: list[int] = []
        for number in range(count):
            for line in make_lines([command], self.common):
                self.connection.send(line.data)
            if number >= UNDER_WAY:
                ids.append(int(self.connection.reply().body[0]))
        ids += [int(self.connection.reply().body[0]) for _ in range(count - len(ids))]
        return ids

    def wait(self, ids: list[int]) -> None:
        """Wait until all of *ids*, one after the other, have ended and the dispatcher has that on its disk.

        It is read there: answers of the dispatcher would cost it as much as some jobs do.
        """
        with closing(sqlite3.connect(f"file:{self._store}?mode=ro", uri=True)) as store:
            bounds = ids[0], ids[-1]
            self._until(lambda: store.execute(_ACTIVE + " AND id BETWEEN ? AND ?", bounds).fetchone() is None)

    def unfinished(self, ids: list[int]) -> list[int]:
        """Return which of *ids*, one after the other, have not ended by what is on the dispatcher's disk."""
        with closing(sqlite3.connect(f"file:{self._store}?mode=ro", uri=True)) as store:
            found = store.execute(_ACTIVE + " AND id BETWEEN ? AND ?", (ids[0], ids[-1]))
            return [number for (number,) in found]

    def check(self, ids: list[int]) -> None:
        """Leave unless all of *ids* have completed with exit code 0."""
        after = ids[0] - 1
        seen = 0
        while page := self._ask("lsjobs", f"limit=1000:after={after}"):
            wrong = [view for view in page if (view["state"], view["exit_code"]) != ("completed", 0)]
            if wrong:
                raise SystemExit(f"a job did not complete: {wrong[0]}")
            seen += len(page)
            after = page[-1]["id"]
        if seen != len(ids):
            raise SystemExit(f"{len(ids)} jobs were accepted, {seen} are there")

    def view(self, number: int) -> dict[str, Any]:
        """Return what the dispatcher knows of one job, or of an array as a whole."""
        return self._ask("jobinfo", str(number))[0]

    def kill_dispatcher(self) -> None:
        """Kill the dispatcher with SIGKILL."""
        self._cluster.end_dispatcher()

    def start_dispatcher(self) -> None:
        """Start the dispatcher again and wait until it greets."""
        self._cluster.start_dispatcher()

    def rest(self) -> None:
        """Wait until no job is left and the last words of the daemons have been said."""
        self._until(lambda: not self._ask("lsjobs", "state=active:limit=1"))
        time.sleep(0.1)

    def _ask(self, verb: str, rest: str) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.connection.ask(verb, rest, json=True).body]

    def _until(self, condition: Callable[[], bool]) -> None:
        deadline = time.monotonic() + PATIENCE
        while not condition():
            if time.monotonic() > deadline:
                raise SystemExit(f"waited {PATIENCE:.0f} s in vain\n{self._cluster.logs()}")
            time.sleep(PAUSE)


@contextmanager
def installation(cores: int, active: bool = True) -> Iterator[Installation]:
    """Give an installation with a host of *cores* cores; if it is *active* a job has run on it already."""
    host = {"launcher": "local", "cores": cores, "active": active, "infoserver": False, "policy": "ignore"}
    with Cluster(users=(USER,), hosts={"n1": host}) as cluster:
        cluster.start_dispatcher()
        cluster.start_tms(USER)
        made = Installation(cluster)
        with made.connection:
            if active:
                made.wait(made.submit([["/bin/true"]]))
                made.rest()
            yield made

"""A large cluster for measuring: a store with 100,000 jobs, and a dispatcher around it with 1,000 hosts that report.

Everything follows from a seed, so that two runs ask the same. Jobs have commands, names and requests as large as
those of people, end in the order in which they began, nearly, and are spread over users unevenly.
"""

from __future__ import annotations

import json
import os
import random
import time
from collections.abc import Callable
from typing import Any

USERS = 50
HOSTS = 1000
CORES = 36
JOBS = 100_000
WAITING = 12_000
RUNNING = 8_000
BATCH = 2000
EVERY = 3.0


def user(number: int) -> str:
    """Return the name of that user."""
    return f"u{number:02}"


def host(number: int) -> str:
    """Return the name of that host."""
    return f"n{number:04}"


def fill(path: str, now: float, jobs: int = JOBS, hosts: Callable[[int], str] = host, names: Any = user) -> None:
    """Make a store at *path* with so many jobs, the last of them submitted *now*: most have ended, some run or wait."""
    from tm.model.effects import Records
    from tm.store import schema
    from tm.store.sqlite import SqliteStore

    schema.create(path)
    store = SqliteStore(path)
    maker = _Maker(now, jobs, hosts, names)
    for first in range(1, jobs + 1, BATCH):
        made = [maker.job(number) for number in range(first, min(first + BATCH, jobs + 1))]
        store.commit(store.prepare(Records(new={one.id: one for one in made}, environments={"e" * 64: "{}"})))
    store.close()


class _Maker:
    def __init__(self, now: float, jobs: int, hosts: Callable[[int], str], names: Callable[[int], str]) -> None:
        self._dice = random.Random(7)
        self._now, self._jobs, self._hosts, self._names = now, jobs, hosts, names

    def job(self, number: int) -> Any:
        """Return the job with that number."""
        from tm.model.job import new_job
        from tm.model.phase import Phase

        dice = self._dice
        name = self._names(int(USERS * dice.random() ** 2))
        spec = {
            "user": name, "command": f"python3 run.py --seed {number} -i data/{number % 1000}.csv -o {number}.json",
            "cwd": f"/home/{name}/project", "environment": "e" * 64, "cores": 1 + number % 8, "umask": 18,
            "name": f"sim-{number % 997}" if number % 3 else f"train_{number % 31}", "memory": (number % 16) << 28,
            "time": 3600.0, "stdout": "out/%j.txt",
        }  # fmt: skip
        at = self._now - (self._jobs - number) * EVERY
        made, _ = new_job(number, json.dumps(spec), "s" * 88, at)
        if number > self._jobs - WAITING:
            return made
        made.host, made.attempt, made.spool, made.pid = self._hosts(number % HOSTS), 1, "s" * 16, number
        made.started_at = at + 1000 * dice.random()
        if number > self._jobs - WAITING - RUNNING:
            made.phase = Phase.RUNNING
            return made
        made.phase = Phase.FAILED if dice.random() < 0.03 else Phase.COMPLETED
        made.ended_at = made.started_at + 5000 * dice.random()
        made.exit_code, made.cpu_seconds, made.max_rss = int(made.phase is Phase.FAILED), 5000 * dice.random(), number
        return made


class Stage:
    """A dispatcher in this process, around the store at *path*, and what people ask it."""

    def __init__(self, path: str, folder: str) -> None:
        from twisted.internet.task import Clock

        from tests.support.daemons import NotedPeer
        from tm.config.files import HostsFile
        from tm.daemon.dispatcher import Dispatcher, Surroundings, Tables
        from tm.daemon.dispatcher_verbs import DispatcherVerbs
        from tm.model.host import HostConfig
        from tm.model.rights import RIGHTS, Group, Groups, User, Users
        from tm.store.sqlite import SqliteStore

        os.makedirs(os.path.join(folder, "etc"), exist_ok=True)
        with open(os.path.join(folder, "etc", "ComputerCluster.config"), "w", encoding="utf-8") as file:
            file.write("".join(f"[hosts.{host(number)}]\ncores = {CORES}\n" for number in range(HOSTS)))
        names = [user(number) for number in range(USERS)]
        users = Users.of(*(User(name, (f"fingerprint of {name}",)) for name in (*names, "root")))
        groups = Groups((Group("admins", frozenset({"root"}), frozenset(RIGHTS)), Group("all", frozenset({"*"}))))
        hosts = tuple(
            HostConfig(name=host(number), address=host(number), cores=CORES, memory=1 << 38) for number in range(HOSTS)
        )
        clock = Clock()
        clock.advance(time.time())
        self.store = SqliteStore(path)
        self.worker = _Watched()
        surroundings = Surroundings(
            cluster="physics", clock=clock, store=self.store, writer=self.worker, reader=self.worker,
            read_tables=lambda: Tables(users, groups, hosts), host_tables=HostsFile(os.path.join(folder, "etc")),
            read_log=lambda wish: [], stop=lambda: None,
        )  # fmt: skip
        self.dispatcher = Dispatcher(surroundings, self.store.load())
        self._verbs = DispatcherVerbs(self.dispatcher, lambda transport: "")
        self._peers = {name: NotedPeer(name) for name in (*names, "root")}
        self._reach(names)

    def _reach(self, names: list[str]) -> None:
        """Let every server be reached, and every host report."""
        from tm.model.cluster import Link, Spool
        from tm.model.report import About

        brain, now = self.dispatcher.brain, self.dispatcher.now
        for name in names:
            brain.user_server_attached(name)
        for session in brain.sessions.values():
            session.link, session.spool = Link.UP, Spool("s" * 16, session.user, session.host.name)
        for one in brain.hosts.values():
            one.described(About(
                host=one.name, boot="b", version="1", pid=1, port=1, fingerprint="f", booted_at=1.0, cores=CORES,
                memory=1 << 38,
            ))  # fmt: skip
        self.report(1.0)
        brain.place(now)
        brain.take()

    def report(self, share: float) -> None:
        """Let a *share* of the hosts, drawn by lot, report anew."""
        from tm.model.report import HostReport

        dice = random.Random(self.dispatcher.now)
        for one in self.dispatcher.brain.hosts.values():
            if dice.random() < share:
                one.report = HostReport(
                    host=one.name, at=self.dispatcher.now, load=(dice.random(), 1.0, 2.0), cpu_ours=9 * dice.random(),
                    cpu_others=0.2, memory_available=dice.randrange(1 << 37), logged_in=["carol", "dave"],
                )  # fmt: skip
                one.reported_at = self.dispatcher.now

    def ask(self, name: str, line: str) -> tuple[list[str], float, float]:
        """Return what *name* is answered, the processor's seconds that took the reactor's thread, and the reader's."""
        from tm.wire.message import parse_request

        found: list[Any] = []
        self.worker.seconds = 0.0
        began = time.thread_time()
        answer: Any = self._verbs.answer(self._peers[name], parse_request(line.encode()))
        if hasattr(answer, "addCallbacks"):
            answer.addCallbacks(found.append, lambda failure: failure.raiseException())
        else:
            found.append(answer)
        taken = time.thread_time() - began
        return found[0].body, taken - self.worker.seconds, self.worker.seconds

    def later(self, seconds: float) -> None:
        """Let so much time pass, as the dispatcher sees it."""
        self.dispatcher.clock.advance(seconds)  # type: ignore[attr-defined]
        self.dispatcher.conditions.tick()

    def close(self) -> None:
        """Let go of the store."""
        self.store.close()


class _Watched:
    """A worker that does its work at once and says how long that took."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def run(self, work: Callable[[], Any], brief: bool = False) -> Any:
        from twisted.internet.defer import execute

        began = time.thread_time()
        done = execute(work)
        self.seconds += time.thread_time() - began
        return done

"""A brain under test: an honest simulated world of users' servers and hosts around it, and the laws it must keep."""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from typing import Any

from tests.support.devices import CONSUMABLES, GPUS, LICENSES, devices_broken, shared_wrongly
from tm.daemon.dependencies import look_up, targets
from tm.model.altering import By
from tm.model.brain import Brain
from tm.model.cluster import Hello, HostState
from tm.model.dependency import Condition, Dependency, read_dependency
from tm.model.effects import Effects, Orders, Start
from tm.model.host import Courtesy, HostConfig
from tm.model.ids import array_of, index_of, task_id
from tm.model.job import Job
from tm.model.lifecycle import PASSING, PUT_BACK, Fact
from tm.model.phase import FINAL, ON_HOST, Phase
from tm.model.report import About, HostReport
from tm.model.settings import Scheduling
from tm.model.spec import accepted_spec
from tm.model.tasks import ACTIVE, BLOCKED, PHASE_OF, READY
from tm.model.waiting import why_waiting
from tm.ports import JobQuery
from tm.store.memory import MemoryStore

Key = tuple[int, int]


def host_state(
    name: str, cores: int | None = 4, memory: int | None = None, active: bool = True, **more: Any
) -> HostState:
    """Return a host of the configuration."""
    return HostState(host_config(name, cores, memory, active, **more))


def host_config(
    name: str, cores: int | None = 4, memory: int | None = None, active: bool = True, **more: Any
) -> HostConfig:
    """Return what the configuration says of a host."""
    return HostConfig(name=name, address=name, launcher="local", cores=cores, memory=memory, active=active, **more)


def about(name: str = "n1", cores: int = 4, memory: int = 64 << 30) -> About:
    """Return what an InfoServer says of its host at first."""
    return About(
        host=name, boot="b", version="1", pid=1, port=1, fingerprint="f", booted_at=1.0, cores=cores, memory=memory
    )  # fmt: skip


def report(name: str = "n1", others: float = 0.0, memory: int = 64 << 30, **more: Any) -> HostReport:
    """Return what an InfoServer says of its host again and again: *others* use so many cores."""
    return HostReport(host=name, at=1.0, cpu_others=others, memory_available=memory, **more)


def order(user: str = "alice", **more: object) -> tuple[str, str]:
    """Return a signed request of *user* for one job, and its signature."""
    spec = {"user": user, "command": "true", "cwd": "/", "environment": "e", **more}
    return json.dumps(spec), "signed"


def laws_broken(brain: Brain) -> list[str]:
    """Return what is wrong inside *brain*; an empty list when all its books agree."""
    wrong = []
    for host in brain.hosts.values():
        sessions = [session for session in brain.sessions.values() if session.host is host]
        cores = sum(job.cores for session in sessions for job in session.occupying.values())
        memory = sum(job.memory for session in sessions for job in session.occupying.values())
        if (host.used_cores, host.used_memory) != (cores, memory):
            wrong.append(f"{host.name} counts {host.used_cores} cores in use, its jobs occupy {cores}")
    for (user, name), session in brain.sessions.items():
        if brain.hosts.get(name) is not session.host:
            wrong.append(f"the session of {user} on {name} has a host of its own")
    arrays = [job for job in brain.jobs.values() if job.tasks is not None]
    if arrays != [brain.arrays[number] for number in brain.jobs if number in brain.arrays]:
        wrong.append(f"the arrays {sorted(brain.arrays)} are not those among all jobs")
    for job in brain.jobs.values():
        if job.tasks is not None:
            wrong += _tasks_broken(brain, job)
            continue
        session = brain.sessions.get((job.user, job.host or ""))
        places = [
            job.id in brain.queue or job.id in brain.gate,
            session is not None and job.id in session.occupying,
            session is not None and job.id in session.ahead,
        ]
        if places.count(True) != 1:
            wrong.append(f"job {job.id}, {job.phase}, is in {places.count(True)} places")
        if (job.phase in ON_HOST) == places[0]:
            wrong.append(f"job {job.id} is {job.phase} and {'in' if places[0] else 'not in'} the queue")
        if job.phase is Phase.RUNNING and places[2]:
            wrong.append(f"job {job.id} runs and stands in line")
        if job.phase is Phase.SUSPENDED and not job.reason:
            wrong.append(f"job {job.id} is suspended without a reason")
        consents = job.requeue or (job.gives_way or "").startswith(PUT_BACK)
        if job.gives_way is not None and (not consents or job.phase not in ON_HOST):
            wrong.append(f"job {job.id}, {job.phase}, is to give way")
    held = sum(len(session.jobs) for session in brain.sessions.values())
    waiting_tasks = sum(job.waiting for job in arrays)
    if held + len(brain.queue) + len(brain.gate) != len(brain.jobs) - len(arrays) + waiting_tasks:
        waiting = f"{len(brain.queue)} + {len(brain.gate)}"
        wrong.append(f"{len(brain.jobs)} jobs, but {waiting} wait and {held} are on hosts")
    for session in brain.sessions.values():
        if not session.pauses.keys() <= session.occupying.keys():
            wrong.append(f"{session.user} has pauses of jobs that are not on {session.host.name}")
        if session.host.sessions.get(session.user) is not session:
            wrong.append(f"{session.host.name} does not know its session of {session.user}")
    wrong += _gate_broken(brain) + devices_broken(brain, brain.matcher.licenses)
    for number in [*(number for _, number, _ in brain.queue.heads()), *brain.gate]:
        if not why_waiting(brain, brain.jobs[array_of(number)], 0.0):
            wrong.append(f"job {number} waits without a reason")
    for user in sorted({job.user for job in brain.jobs.values()}):
        on_hosts = [job for job in brain.jobs.values() if job.user == user and job.phase in ON_HOST]
        used = {
            "running": len(on_hosts), "cores": sum(job.cores for job in on_hosts),
            "memory": sum(job.memory for job in on_hosts),
            "queued": sum(job.waiting for job in brain.jobs.values() if job.user == user and _waits(brain, job)),
        }  # fmt: skip
        if brain.limits.of_user(user) != used:
            wrong.append(f"{user} is said to use {brain.limits.of_user(user)}, not {used}")
    waiting = [number for _, _, kind in brain.queue.heads() for number in brain.queue.ids(kind)]
    queued = [job for job in brain.jobs.values() if job.id in brain.queue]
    startable = sum(1 if job.tasks is None else job.tasks.startable for job in queued)
    if len(waiting) != len(set(waiting)) or len(waiting) != startable:
        wrong.append(f"the queue shows {len(waiting)} ids for {len(brain.queue)} jobs")
    return wrong


def _waits(brain: Brain, job: Job) -> bool:
    return job.id in brain.queue or job.id in brain.gate


def _gate_broken(brain: Brain) -> list[str]:
    """Return what is wrong about who waits at the gate."""
    wrong = []
    held = sum(brain.jobs[number].waiting for number in brain.gate if brain.jobs[number].phase is Phase.HELD)
    if held != brain.gate.held:
        wrong.append(f"{held} are held, the gate counts {brain.gate.held}")
    for job in brain.jobs.values():
        if job.id in brain.queue and job.id in brain.gate:
            wrong.append(f"job {job.id} waits in the queue and at the gate")
        if job.id in brain.queue and brain.gate.keeps(job):
            wrong.append(f"job {job.id} is in the queue and has to wait: {job.dependency} {job.not_before}")
        if job.id in brain.gate and not brain.gate.keeps(job):
            wrong.append(f"job {job.id} waits at the gate for nothing")
        if (job.phase is Phase.HELD) != (job.held_by is not None):
            wrong.append(f"job {job.id} is {job.phase}, held by {job.held_by}")
        for target in read_dependency(job.dependency).targets:
            array = brain.jobs.get(array_of(target))
            state = array.tasks.state(index_of(target) or 0) if array is not None and array.tasks is not None else 0
            if target not in brain.jobs and (array is None or state in PHASE_OF):
                wrong.append(f"job {job.id} waits for {target}, which is over")
    return wrong


def _follows_wrongly(brain: Brain, array: Job) -> list[str]:
    """Return which tasks of *array* wait for tasks that are over, or do not for tasks that are not."""
    assert array.tasks is not None
    wrong = []
    followed = [brain.jobs[number].tasks for number in read_dependency(array.dependency).arrays]
    for index in [index for one in array.tasks.everything for index in one]:
        state = array.tasks.state(index)
        theirs = [PHASE_OF.get(tasks.state(index)) for tasks in followed if tasks is not None]
        good = all(phase is Phase.COMPLETED for phase in theirs)
        if state == BLOCKED and (good or any(phase not in (None, Phase.COMPLETED) for phase in theirs)):
            wrong.append(f"task {index} of {array.id} waits for one that is over")
        if state in (READY, ACTIVE) and not good:
            wrong.append(f"task {index} of {array.id} does not wait")
    return wrong


def _tasks_broken(brain: Brain, array: Job) -> list[str]:
    """Return what is wrong about the tasks of *array*."""
    assert array.tasks is not None
    wrong = []
    if not _waits(brain, array):
        wrong.append(f"array {array.id} does not wait")
    active = sorted(index for one in array.tasks.ranges(ACTIVE) for index in one)
    if active != sorted(job.index or 0 for job in brain.jobs.values() if job.array == array.id):
        wrong.append(f"array {array.id} has other active tasks than jobs")
    wrong += _follows_wrongly(brain, array)
    if array.tasks.over or (array.tasks.cap and not array.changed and len(active) > array.tasks.cap):
        wrong.append(f"array {array.id} is over, or beyond its cap")
    return wrong


@dataclass
class Box:
    """An honest user's server on one host: claims in order, starts within its grant, keeps what is not acknowledged."""

    user: str
    host: str
    spool: str
    cores: int
    mark: int = 0
    acked: int = 0
    reports: int = 0
    epoch: int = 0
    grant: int = 0
    line: list[Start] = field(default_factory=list)
    running: dict[Key, Start] = field(default_factory=dict)
    untold: list[Fact] = field(default_factory=list)
    started: dict[Key, int] = field(default_factory=lambda: defaultdict(int))
    connected: bool = False
    turns: dict[Key, int] = field(default_factory=dict)
    refusing: int = 0

    def hello(self) -> Hello:
        """Return what this server says at each connection."""
        holds = [(start.job, start.attempt, "claimed") for start in self.line]
        holds += [(job, attempt, "running") for job, attempt in self.running]
        holds += [(fact.job, fact.attempt, "final") for fact in self.untold if fact.what not in PASSING]
        return Hello(
            host=self.host, spool=self.spool, boot="b", epoch=self.epoch, run="r", mark=self.mark, acked=self.acked,
            holds=holds, cores=self.cores,
        )  # fmt: skip

    def take(self, orders: Orders, epoch: int, at: float) -> None:
        """Act on a line of the dispatcher."""
        if not self.connected or orders.spool != self.spool:
            return
        self.epoch = max(self.epoch, epoch)
        fresh = [start for start in sorted(set(orders.start)) if start.number > self.mark]
        if [start.number for start in fresh] != list(range(self.mark + 1, self.mark + 1 + len(fresh))):
            return  # told before our hello was answered: it all comes again
        if fresh:
            self.mark = fresh[-1].number
        self.line += [start for start in fresh if start.spec]
        self.untold += [Fact(start.job, start.attempt, "refused", at) for start in fresh if not start.spec]
        if orders.grant is not None:
            self.grant = orders.grant
        for key in [*orders.cancel, *orders.give_way]:
            self._cancel(key, at)
        for keys, stopped in ((orders.suspend, True), (orders.resume, False)):
            for key in keys:
                self._pause(key, stopped, at)
        for key in orders.recall:
            self._give_back(key, at)
        for key in orders.forget:
            self.untold = [fact for fact in self.untold if (fact.job, fact.attempt) != key]
        self.run(at)

    def _give_back(self, key: Key, at: float) -> None:
        for start in self.line:
            if (start.job, start.attempt) == key:
                self.line.remove(start)
                self.untold.append(Fact(*key, "returned", at))
                return

    def is_stopped(self, key: Key) -> bool:
        """Whether the running attempt *key* is suspended."""
        return self.turns.get(key, 0) % 2 == 1

    def _pause(self, key: Key, stopped: bool, at: float) -> None:
        if key in self.running:
            self.turns[key] = self.turns.get(key, 0) + (self.is_stopped(key) is not stopped)
            self.untold.append(self.pause_fact(key, at))

    def pause_fact(self, key: Key, at: float) -> Fact:
        """Return how *key* is."""
        what = "suspended" if self.is_stopped(key) else "resumed"
        return Fact(*key, what, at, pid=1, started_at=at, turn=self.turns.get(key, 0))

    def _cancel(self, key: Key, at: float) -> None:
        if key in self.running:
            self.end(key, at, signal=15)
        else:
            self._give_back(key, at)

    def acknowledged(self, number: int, facts: list[Fact]) -> None:
        """The dispatcher has report *number* with *facts* for good."""
        self.acked = max(self.acked, number)
        self.untold = [fact for fact in self.untold if fact not in facts]

    def run(self, at: float) -> None:
        """Start what the grant permits, in order."""
        while self.line and sum(s.cores for s in self.running.values()) + self.line[0].cores <= self.grant:
            start = self.line.pop(0)
            key = (start.job, start.attempt)
            if self.refusing:
                self.refusing -= 1
                self.untold.append(Fact(*key, "refused", at, exit_code=125, reason="no home"))
                continue
            self.running[key] = start
            self.started[key] += 1
            self.untold.append(Fact(*key, "started", at, pid=1))

    def end(self, key: Key, at: float, exit_code: int | None = 0, signal: int | None = None) -> None:
        """Let the running attempt *key* end."""
        del self.running[key]
        code = None if signal else exit_code
        self.untold.append(Fact(*key, "ended", at, exit_code=code, signal=signal, started_at=at))
        self.run(at)


class World:
    """A dispatcher (brain and store), its users' servers, and their servers on hosts."""

    def __init__(
        self, users: list[str], hosts: dict[str, int], known: bool = True, policies: dict[str, Courtesy] | None = None
    ) -> None:
        self.users = users
        self.policies = policies or {}
        self.declared: set[int] = set()
        self.put_back: set[int] = set()
        self.placed: set[Key] = set()
        self.cores = hosts
        self.known = known
        self.at = 1000.0
        self.store = MemoryStore()
        self.boxes = {
            (user, host): Box(user, host, f"{user}-{host}", cores) for user in users for host, cores in hosts.items()
        }
        self.recorded: dict[int, Phase] = {}
        self.final: dict[int, tuple[object, ...]] = {}
        self.ordered: dict[tuple[str, int], Key] = {}
        self.number_of: dict[tuple[str, Key], int] = {}
        self.tokens = 0
        self.thought: Effects | None = None
        self.said: list[tuple[Box, int, list[Fact]]] = []
        self.owed: list[tuple[Box, int, list[Fact]]] = []
        self.durable: list[Effects] = []
        self.told_facts: list[tuple[str, str, str, list[Fact]]] = []
        self.born()

    def born(self) -> None:
        """Begin a dispatcher with what the store holds."""
        loaded = self.store.load()
        hosts = [HostState(config) for config in self.configured()]
        self.brain = Brain(
            epoch=loaded.epoch, next_id=loaded.next_id, jobs=loaded.jobs, spools=loaded.spools, hosts=hosts,
            memos=loaded.memos, next_message=max((one.id for one in loaded.messages), default=0) + 1,
        )  # fmt: skip
        self.brain.cluster_configured(Scheduling(licenses=LICENSES), self.at)
        self.thought = None
        self.said, self.owed = [], []
        self.durable.clear()
        for box in self.boxes.values():
            box.connected = False

    def configured(self, without: int = -1) -> list[HostConfig]:
        """Return the hosts of the configuration, all but the one at place *without*."""
        return [
            host_config(
                name, cores if self.known else None, policy=self.policies.get(name, Courtesy.NO_NEW_JOBS), gpus=GPUS,
                consumables=CONSUMABLES, features=("odd",) if place % 2 else (),
            )
            for place, (name, cores) in enumerate(self.cores.items()) if place != without
        ]  # fmt: skip

    @property
    def submitted(self) -> int:
        """How many jobs are durably accepted."""
        return sum(1 for _ in self.store.jobs(JobQuery(limit=100_000)))

    # -- what happens ---------------------------------------------------------------------------------------------

    def submit(self, user: str, count: int = 1, **more: object) -> None:
        self.tokens += 1
        ended = self.ended(str(more.get("dependency", "")))
        token, orders = f"t{self.tokens}", [order(user, **more)] * count
        self.brain.submitted(user, token, orders, {"e": "{}"}, self.at, ended)

    def ended(self, dependency: str) -> dict[int, Job]:
        """Return what the dispatcher finds of the targets of *dependency* that are over."""
        missing = targets([dependency]) - self.brain.jobs.keys()
        found = look_up(self.store, missing)
        if any(job.phase not in FINAL for job in found.values()):
            self.turn()
            found = look_up(self.store, missing)
        return found

    def connect(self, user: str, host: str) -> None:
        """The server of *user* on *host* says hello; without a user's server nobody hears it."""
        if user in self.brain.attached:
            box = self.boxes[user, host]
            box.connected = True
            box.reports = box.acked
            box.untold += [box.pause_fact(key, self.at) for key in box.turns if key in box.running]
            self.brain.host_joined(user, box.hello(), self.at)

    def disconnect(self, user: str, host: str) -> None:
        self.boxes[user, host].connected = False
        self.brain.host_left(user, host, self.at, "its connection is lost")

    def detach(self, user: str) -> None:
        for (owner, _), box in self.boxes.items():
            if owner == user:
                box.connected = False
        self.brain.user_server_detached(user, self.at)

    def declare_lost(self, host: str) -> None:
        """Somebody says that *host* will not come back."""
        before = {number for number, job in self.brain.jobs.items() if job.host == host}
        self.declared |= before | {array_of(number) for number in before}
        assert self.brain.host_declared_lost(host, "carol", self.at) == len(before)

    def hear(self, host: str, others: float, **more: Any) -> None:
        """The InfoServer of *host* says how much *others* use."""
        self.brain.host_reported(host, about(host, self.cores[host]), report(host, others, **more), self.at)

    def refuse(self, user: str, host: str) -> None:
        """The next two orders cannot be started there, and that is the host's fault."""
        self.boxes[user, host].refusing = 2

    def report(self, user: str, host: str, repeat: bool = False) -> None:
        """The server reports all it has; it forgets it unless the acknowledgement is lost (*repeat*)."""
        box = self.boxes[user, host]
        session = self.brain.sessions.get((user, host))
        if not box.connected or session is None or session.spool is None:
            return
        facts = list(box.untold)
        self.told_facts.append((user, host, box.spool, facts))
        box.reports += 1
        self.brain.facts_reported(user, host, box.spool, box.reports, facts, self.at)
        if not repeat:
            self.said.append((box, box.reports, facts))

    def repeat_facts(self, which: int) -> None:
        """An old report comes again, its facts the other way round."""
        if self.told_facts:
            user, host, spool, facts = self.told_facts[which % len(self.told_facts)]
            session = self.brain.sessions.get((user, host))
            if session is not None and session.spool is not None:
                self.brain.facts_reported(user, host, spool, 1, facts[::-1], self.at)

    def think(self) -> None:
        """A turn of the brain while a commit runs: its effects join those that wait."""
        self.brain.place(self.at)
        effects = self.brain.take()
        self._check_placed(effects)
        self.owed, self.said = self.owed + self.said, []
        if self.thought is None:
            self.thought = effects
        else:
            self.thought.absorb(effects)

    def commit(self) -> None:
        """What was thought becomes durable; it is not told yet."""
        if self.thought is not None:
            effects, self.thought = self.thought, None
            for job in {**effects.records.new, **effects.records.changed}.values():
                self._check_recorded(job)
            self.store.commit(self.store.prepare(effects.records))
            self.durable.append(effects)
            owed, self.owed = self.owed, []
            for box, number, facts in owed:
                if box.connected:
                    box.acknowledged(number, facts)

    def tell_all(self) -> None:
        """What is durable is told, in order."""
        durable, self.durable = self.durable, []
        for effects in durable:
            self.tell(effects)

    def turn(self) -> None:
        """A whole turn: think, make durable, tell."""
        self.think()
        self.commit()
        self.tell_all()

    def tell(self, effects: Effects) -> None:
        for (user, host), orders in effects.orders.items():
            for start in orders.start:
                self._check_start(orders, start)
            self.boxes[user, host].take(orders, self.brain.epoch, self.at)

    # -- what must hold -------------------------------------------------------------------------------------------

    def _check_placed(self, effects: Effects) -> None:
        """What is new on a host fits into what it offers."""
        for (_, name), orders in effects.orders.items():
            fresh = {(start.job, start.attempt) for start in orders.start if start.spec} - self.placed
            self.placed |= fresh
            host = self.brain.hosts[name]
            if (
                not orders.anew
                and fresh
                and not any(number in s.ahead for s in host.sessions.values() for number, _ in fresh)
                and host.used_cores > host.cores
            ):
                raise AssertionError(f"{fresh} are new on {name}: {host.used_cores} of {host.cores} cores in use")

    def _check_recorded(self, job: object) -> None:
        shown = (job.phase, job.exit_code, job.signal, job.ended_at, job.attempt, job.reason)  # type: ignore[attr-defined]
        known = self.final.get(job.id)  # type: ignore[attr-defined]
        if known is not None and known != shown:
            raise AssertionError(f"job {job.id} has ended as {known} and became {shown}")  # type: ignore[attr-defined]
        if job.phase in FINAL:  # type: ignore[attr-defined]
            self.final[job.id] = shown  # type: ignore[attr-defined]

    def _check_start(self, orders: Orders, start: Start) -> None:
        """An attempt has one command number of one spool, and the store has it before it is told."""
        key = (start.job, start.attempt)
        if not start.spec:
            given_up = self.ordered.get((orders.spool, start.number))
            if given_up is not None and given_up[0] not in self.declared:
                raise AssertionError(f"command {start.number} of {orders.spool} is given up and was {given_up}")
            return
        if self.ordered.setdefault((orders.spool, start.number), key) != key:
            raise AssertionError(f"command {start.number} of {orders.spool} is two attempts")
        if self.number_of.setdefault((orders.spool, key), start.number) != start.number:
            raise AssertionError(f"attempt {key} has two commands of {orders.spool}")
        stored = self.store.job(start.job)
        if stored is None or stored.attempt < start.attempt:
            raise AssertionError(f"attempt {key} is told and not recorded")
        spec = accepted_spec(start.spec)
        if self.at < spec.begin and not stored.changed:
            raise AssertionError(f"attempt {key} starts {spec.begin - self.at} s before its time")
        self._check_free(start.job, read_dependency(spec.dependency))

    def _check_free(self, number: int, dependency: Dependency) -> None:
        """What the store says of all that *number*, which starts, was to wait for permits that."""
        fits = [self._is_met(number, condition) for condition in dependency.conditions]
        if fits and not (any(fits) if dependency.one else all(fits)):
            raise AssertionError(f"job {number} starts in spite of {dependency}")

    def _is_met(self, number: int, condition: Condition) -> bool:
        if condition.kind == "singleton":
            mine = self.store.job(array_of(number))
            assert mine is not None
            jobs = self.store.jobs(JobQuery(user=mine.user, limit=mine.id))
            return all(job.phase in FINAL for job in jobs if job.name == mine.name and job.id < mine.id)
        target, index = condition.target, index_of(number)
        if condition.kind == "aftercorr" and index is not None and self._is_array(target):
            target = task_id(target, index)
        job = self.store.job(target)
        if job is None:  # a task that never started
            return condition.kind in ("after", "afterany", "afternotok")
        if condition.kind == "after":
            return job.phase in FINAL or job.attempt > 0 or job.tasks is not None
        if condition.kind == "afterany":
            return job.phase in FINAL
        if condition.kind == "afternotok":
            return job.phase in FINAL - {Phase.COMPLETED}
        return job.phase is Phase.COMPLETED

    def _is_array(self, number: int) -> bool:
        job = self.store.job(number)
        return job is not None and job.tasks is not None

    def check(self) -> None:
        """Raise `AssertionError` when a law is broken anywhere."""
        wrong = laws_broken(self.brain)
        starts: dict[int, list[Key]] = defaultdict(list)
        alive: dict[int, list[Key]] = defaultdict(list)
        for box in self.boxes.values():
            for key, count in box.started.items():
                starts[key[0]].append(key)
                if key in box.running:
                    alive[key[0]].append(key)
                if count > 1:
                    wrong.append(f"attempt {key} was started {count} times")
        wrong += [f"job {number} is alive as {keys}" for number, keys in alive.items() if len(keys) > 1]
        wrong += [
            f"job {number} was started as {keys}"
            for number, keys in starts.items()
            if len(keys) > 1 and not self._consents(number)
        ]
        wrong += shared_wrongly({
            name: [
                start for box in self.boxes.values() if box.host == name for start in box.running.values()
                if start.job not in self.declared
            ]
            for name in self.cores
        })  # fmt: skip
        for name, cores in self.cores.items():
            running = sum(
                s.cores
                for box in self.boxes.values()
                if box.host == name
                for s in box.running.values()
                if s.job not in self.declared
            )
            if running > cores:
                wrong.append(f"{running} cores are in use on {name}, which has {cores}")
        lost = [n for n, shown in self.final.items() if shown[0] is Phase.LOST and n not in self.declared]
        wrong += [f"job {number} was lost, and nothing here loses one" for number in lost]
        if wrong:
            raise AssertionError("; ".join(wrong))

    def _consents(self, number: int) -> bool:
        job: Job | None = self.store.job(number)
        return job is not None and (job.requeue or job.retried > 0 or number in self.put_back)

    def check_ends(self) -> None:
        """Raise `AssertionError` unless all that was submitted has ended once, arrays as their tasks did."""
        jobs = self.store.jobs(JobQuery(limit=100_000))
        wrong = [f"job {job.id} is {job.phase}" for job in jobs if job.phase not in FINAL or job.id not in self.final]
        for array in jobs:
            if array.tasks is not None:
                rows = [phase for _, phase in self.store.begun(array.id)]
                dropped = array.tasks.total - len(rows)
                counts = Counter(rows) + Counter({Phase.CANCELLED: dropped})
                if counts != Counter(array.tasks.ended()):
                    wrong.append(f"array {array.id} counts {array.tasks.ended()}, its tasks {counts}")
        if wrong:
            raise AssertionError("; ".join(wrong))

    def settle(self) -> None:
        """Let everybody connect and everything run to its end; raise `AssertionError` if that never comes."""
        for user in self.users:
            self.brain.user_server_attached(user)
        self.brain.hosts_configured(self.configured(), self.at)
        for host in self.cores:
            self.brain.host_reported(host, None, None, self.at)
            self.brain.host_activated(host, True, "", self.at)
            self.brain.machine_returned(host, "carol", self.at)
        self.brain.released(list(self.brain.jobs), "carol", self.at)
        for job in [job for job in self.brain.jobs.values() if job.suspended_by is not None]:
            self.brain.resumed(job, By("carol", rules=True), self.at)
        for user, host in self.boxes:
            self.connect(user, host)
        for _ in range(400):
            self.at += 2.0
            for user, host in self.boxes:
                self.report(user, host)
            self.brain.tick(self.at)
            self.turn()
            self.check()
            for box in self.boxes.values():
                for key in list(box.running):
                    if not box.is_stopped(key):
                        box.end(key, self.at)
            if not self.brain.jobs:
                return
        raise AssertionError(f"jobs {sorted(self.brain.jobs)} never end")

"""InfoServer: says what its computer is and how it is, to the dispatcher by itself, to users when they ask.

The law: nothing here blocks. All reading is done by `Probing` in a worker; a sample is taken only when the one before
is done, so a computer that hangs makes a server that is silent, never one that piles up work.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from typing import Any, Protocol

import msgspec
from twisted.application.service import Service
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTime
from twisted.internet.task import LoopingCall
from typing_extensions import override

import tm
from tm.daemon import background
from tm.daemon.answers import json_line
from tm.model.history import History
from tm.model.report import About, HostReport
from tm.model.rights import User, Users
from tm.model.sample import Machine, Sample, about, report
from tm.model.usage import KnownJob
from tm.ports import Link, Peer, Worker

SAMPLE_SECONDS = 2.0
SAVE_SECONDS = 300.0

METRICS = (
    "load", "cpu_ours", "cpu_others", "memory_used", "swap_used", "network_in", "network_out", "disk_read",
    "disk_write", "gpu", "processes", "logged_in",
)  # fmt: skip


class Probing(Protocol):
    """What reads the computer; called in the worker alone."""

    def machine(self) -> Machine:
        """Return what this computer is."""

    def sample(self) -> Sample:
        """Return how it is."""

    def jobs(self, told: list[KnownJob]) -> None:
        """These jobs run here."""

    def processes(self, user: str | None, job: int | None, asker: str) -> list[dict[str, object]]:
        """Return its processes as a tree."""


class InfoSurroundings(msgspec.Struct, frozen=True):
    """What the server is given: where it is, and how it reads, keeps and logs. *save* runs in the worker; *not_after*
    is the last second that its certificate is valid."""

    host: str
    fingerprint: str
    port: Callable[[], int]
    clock: IReactorTime
    worker: Worker
    probe: Probing
    save: Callable[[bytes], None]
    cut: Callable[[Callable[[str], bool]], None]
    stop: Callable[[], object]
    log_path: str
    not_after: float = 0.0


class InfoServer(Service):
    """The state of the server; *sampled* is called whenever there is a newer sample, *asked* with what the
    dispatcher asks on its link."""

    def __init__(self, around: InfoSurroundings, machine: Machine, history: History) -> None:
        self.around = around
        self.machine = machine
        self.history = history
        self.sample: Sample | None = None
        self.report: HostReport | None = None
        self.dispatcher_state = "not reached yet"
        self.since = around.clock.seconds()
        self.users = Users.of()
        self._watchers: set[Peer] = set()
        self.sampled: Callable[[], None] = lambda: None
        self.asked: Callable[[Link, bytes], None] = lambda link, json: None
        self._reading = False
        self._loops = [
            (LoopingCall(self._take_sample), SAMPLE_SECONDS, True),
            (LoopingCall(self._save), SAVE_SECONDS, False),
        ]

    @override
    def startService(self) -> None:
        super().startService()
        for loop, seconds, now in self._loops:
            loop.clock = self.around.clock
            loop.start(seconds, now)

    @override
    def stopService(self) -> Deferred[object]:
        super().stopService()
        for loop, _, _ in self._loops:
            if loop.running:
                loop.stop()
        return self._save()

    @property
    def about(self) -> About:
        """What is said of this computer when joining."""
        around = self.around
        return about(self.machine, around.host, tm.__version__, os.getpid(), around.port(), around.fingerprint)

    @property
    def heard_of_users(self) -> bool:
        """Whether the dispatcher has said who its users are."""
        return bool(self.users.by_fingerprint)

    # -- reading --------------------------------------------------------------------------------------------------

    def _take_sample(self) -> None:
        if self._reading:
            return
        self._reading = True
        background.start(self._sampled(), "reading this computer")

    async def _sampled(self) -> None:
        try:
            sample: Sample = await self.around.worker.run(self.around.probe.sample)
        finally:
            self._reading = False
        self.sample = sample
        self.report = report(sample, self.around.host)
        self.history.add(sample.at, _values(sample))
        event = json_line({"topic": "load", **msgspec.to_builtins(self.report)}).encode()
        for peer in list(self._watchers):
            peer.send_event(event)
        self.sampled()

    def _save(self) -> Deferred[object]:
        content = self.history.saved()
        saved: Deferred[object] = self.around.worker.run(lambda: self.around.save(content))
        background.start(saved, "saving the history")
        return saved

    # -- users ----------------------------------------------------------------------------------------------------

    def admit(self, people: dict[str, str]) -> None:
        """Take over who the users are; those who are none any more are cut off."""
        fingerprints: dict[str, list[str]] = {}
        for fingerprint, user in people.items():
            fingerprints.setdefault(user, []).append(fingerprint)
        before = self.users
        self.users = Users.of(*(User(name, tuple(found)) for name, found in fingerprints.items()))
        left = {
            user for user in before.by_name if set(before.fingerprints_of(user)) - set(self.users.fingerprints_of(user))
        }
        if left:
            self.around.cut(lambda user: user in left)

    def watch(self, peer: Peer) -> None:
        """Send *peer* every sample from now on."""
        if peer not in self._watchers:
            self._watchers.add(peer)
            peer.wait_for_ever()
            peer.on_close(lambda: self._watchers.discard(peer))

    def unwatch(self, peer: Peer) -> None:
        """Send it no more."""
        self._watchers.discard(peer)

    def read(self, work: Callable[[], Any]) -> Deferred[Any]:
        """Return what *work* finds out in the worker."""
        found: Deferred[Any] = self.around.worker.run(work)
        return found


def _values(sample: Sample) -> dict[str, float]:
    """Return what the history keeps of *sample*, by metric."""
    rates, memory = sample.rates, sample.memory
    return {
        "load": sample.load[0], "cpu_ours": sample.use.ours, "cpu_others": sample.use.others,
        "memory_used": memory.total - memory.available, "swap_used": memory.swap_used,
        "network_in": rates.network_in, "network_out": rates.network_out, "disk_read": rates.disk_read,
        "disk_write": rates.disk_write, "gpu": sum(gpu.use for gpu in sample.gpus),
        "processes": sample.processes, "logged_in": len({session.user for session in sample.sessions}),
    }  # fmt: skip

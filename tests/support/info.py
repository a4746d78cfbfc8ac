"""An InfoServer under test: a made-up computer that is read by hand, and a link that notes what is said."""

from __future__ import annotations

import json
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.task import Clock

from tests.support.daemons import HandWorker
from tm.daemon.info_server import METRICS, InfoServer, InfoSurroundings
from tm.errors import TaskManagerError
from tm.model.history import History
from tm.model.report import Gpu
from tm.model.sample import Disk, Machine, Memory, Rates, Sample, Session
from tm.model.usage import KnownJob, Use
from tm.wire.message import Reply

GPU = Gpu(0, "Fast 3000", 8 << 30, 1 << 30, 0.5, ["alice"])
MACHINE = Machine(
    boot="b00t", booted_at=1_600_000_000.0, system="Debian", kernel="6.1", cpu_model="fast", cores=4, sockets=1,
    threads=2, memory=8 << 30, swap=1 << 30, gpus=[GPU], survives="own session",
    disks=[Disk("/", "ext4", 100 << 30, 40 << 30)],
)  # fmt: skip


class FakeProbe:
    """A computer that is as the test says; notes what it is asked."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock
        self.use = Use()
        self.sessions: list[Session] = []
        self.told: list[KnownJob] = []
        self.asked: list[tuple[str | None, int | None, str]] = []
        self.shown: list[dict[str, object]] = []

    def machine(self) -> Machine:
        return MACHINE

    def sample(self) -> Sample:
        return Sample(
            at=1_700_000_000.0 + self._clock.seconds(), load=(1.5, 1.0, 0.5), use=self.use,
            memory=Memory(8 << 30, 6 << 30, 1 << 30, 0), rates=Rates(1024.0, 0.0, 0.0, 2048.0),
            sessions=self.sessions, processes=120, gpus=[GPU],
        )  # fmt: skip

    def jobs(self, told: list[KnownJob]) -> None:
        self.told = told

    def processes(self, user: str | None, job: int | None, asker: str) -> list[dict[str, object]]:
        self.asked.append((user, job, asker))
        return self.shown


class FakeLink:
    """A link to a dispatcher that answers when the test says so."""

    def __init__(self) -> None:
        self.said: list[tuple[str, dict[str, Any]]] = []
        self.waiting: list[Deferred[Reply]] = []

    def ask(self, verb: str, rest: str | None = None, json_wanted: bool = False) -> Deferred[Reply]:
        self.said.append((verb, json.loads(rest or "null")))
        answer: Deferred[Reply] = Deferred()
        self.waiting.append(answer)
        return answer

    def answer(self, reply: Reply) -> None:
        """Answer what was asked first."""
        self.waiting.pop(0).callback(reply)

    def lose(self) -> None:
        """The connection is gone."""
        for answer in self.waiting:
            answer.errback(TaskManagerError("net.lost", "the connection broke"))

    def verbs(self) -> list[str]:
        """Return what was said since, and forget it."""
        said, self.said = self.said, []
        return [verb for verb, _ in said]

    def send_bulk(self, channel: int, data: bytes) -> None:
        raise AssertionError("an InfoServer sends no bulk")


class InfoHouse:
    """A server with all that it is given; *worker* works when told, *saved* is what it kept."""

    def __init__(self) -> None:
        self.clock = Clock()
        self.worker = HandWorker()
        self.probe = FakeProbe(self.clock)
        self.saved: list[bytes] = []
        self.cut: list[str] = []
        self.stopped = 0
        self.connected = ["alice", "bob"]
        around = InfoSurroundings(
            host="n1", fingerprint="f" * 64, port=lambda: 4711, clock=self.clock, worker=self.worker, probe=self.probe,
            save=self.saved.append, cut=lambda chosen: self.cut.extend(filter(chosen, self.connected)),
            stop=self._stop, log_path="/log",
        )  # fmt: skip
        self.server = InfoServer(around, MACHINE, History(METRICS))

    def _stop(self) -> None:
        self.stopped += 1

    def run(self, seconds: float) -> None:
        """Let time pass in steps of a second, the worker doing what it is asked."""
        for _ in range(int(seconds)):
            self.clock.advance(1.0)
            self.worker.work()

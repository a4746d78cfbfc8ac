"""Simulated InfoServers: ``python3 -m benchmarks.fleet PORT COUNT FOLDER FINGERPRINT``, a process of its own.

Each has a key and a certificate and one TLS connection to the dispatcher on *PORT* of loopback, joins, and reports
every 5 s at its own moment, as a host that is in use does. *FOLDER* gets ``infoservers.json``, which the dispatcher is
to find in its folder, then a line ``ready`` comes; a line ``joined`` once all have joined. The end of stdin ends it.
"""

from __future__ import annotations

import datetime
import json
import os
import random
import resource
import sys
import time
from typing import Any

from twisted.internet import reactor as installed  # noqa: TID251  a process of its own
from twisted.internet.task import LoopingCall

import tm
from tests.support.identities import Identity
from tm.edge.link import ClientLink, Dialler
from tm.edge.tls import client_context_factory
from tm.errors import TaskManagerError
from tm.wire.frames import Bulk

EVERY = 5.0
CORES = 16
MEMORY = 64 << 30

PROCESS = {
    "user": "carol", "cpu": 0.5, "cpu_seconds": 9.0, "memory": 1 << 28, "ours": False, "job": None, "name": "python3",
    "command": "python3",
}  # fmt: skip
ANSWERS: dict[str, list[dict[str, Any]]] = {
    "processes": [{"pid": 100 + number, "ppid": 1, "depth": 1, **PROCESS} for number in range(300)],
    "history": [{"at": f"2026-11-23T14:{n // 6:02}:{n % 6}0.000Z", "value": n % 16} for n in range(360)],
}

reactor: Any = installed


class Host:
    """One simulated InfoServer; a `Listener` of its link."""

    def __init__(self, name: str, identity: Identity, joined: Any) -> None:
        self.name = name
        self.identity = identity
        self._joined = joined
        self._chance = random.Random(name)
        self._report = LoopingCall(self._say)
        self._link: ClientLink | None = None

    def link_up(self, link: ClientLink, greeting: str) -> None:
        """Join."""
        self._link = link
        about = {
            "host": self.name, "boot": "b", "version": tm.__version__, "pid": 1, "port": 7, "booted_at": 1.0,
            "cores": CORES, "memory": MEMORY, "fingerprint": self.identity.fingerprint, "system": "Linux",
            "kernel": "6.1.0", "cpu_model": "a processor", "survives": "own session",
        }  # fmt: skip
        link.ask("infojoin", json.dumps(about)).addCallbacks(self._has_joined, _gone)

    def _has_joined(self, reply: Any) -> None:
        if not reply.ok:
            raise SystemExit(f"{self.name}: {reply.word} {reply.text}")
        self._joined(self.name)
        reactor.callLater(self._chance.random() * EVERY, self._begin)

    def _begin(self) -> None:
        if not self._report.running:
            self._report.start(EVERY)

    def _say(self) -> None:
        chance = self._chance
        others = [round(chance.uniform(0, 1.5), 3) for _ in range(3)]
        report = {
            "host": self.name, "at": time.time(), "load": [round(chance.uniform(0, 16), 2) for _ in range(3)],
            "cpu_ours": round(chance.uniform(4, 8), 3), "cpu_others": round(sum(others), 3),
            "cpu_by_user": dict(zip(("root", "carol", "dave"), others, strict=True)),
            "memory_available": MEMORY // 2 + chance.randrange(1 << 30), "memory_ours": chance.randrange(1 << 33),
            "logged_in": ["carol", "dave"], "console_idle": None, "processes": 300 + chance.randrange(50),
            "jobs": [[number, 1.0, 1 << 28, 3] for number in range(8)],
        }  # fmt: skip
        if self._link is not None:
            self._link.ask("info", json.dumps(report)).addErrback(_gone)

    def link_down(self, reason: str) -> None:
        """The link is gone."""
        self._link = None

    def event(self, link: ClientLink, line: bytes) -> None:
        """Answer what is asked as a host with many processes does; who the users are does not matter here."""
        asked = json.loads(line)
        if asked.get("topic") == "asked":
            body = [json.dumps(one) for one in ANSWERS.get(asked["question"], [{}])]
            answer = {"number": asked["number"], "word": None, "text": "", "body": body}
            link.ask("infoanswer", json.dumps(answer)).addErrback(_gone)

    def bulk(self, link: ClientLink, data: Bulk) -> None:
        """Nobody sends any."""


def _gone(failure: Any) -> None:
    failure.trap(TaskManagerError)


def name_of(number: int) -> str:
    """Return the name of the host with that number."""
    return f"m{number:04}"


def main(port: int, count: int, folder: str, trusted: str) -> None:
    """Simulate *count* hosts."""
    hard = resource.getrlimit(resource.RLIMIT_NOFILE)[1]
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    missing = {name_of(number) for number in range(count)}

    def joined(name: str) -> None:
        if name in missing:
            missing.discard(name)
            if not missing:
                print("joined", flush=True)

    now = datetime.datetime.now(datetime.UTC)
    hosts = [Host(name, Identity(folder, name, f"infoserver {name}", now), joined) for name in sorted(missing)]
    book = [{"infoserver": host.name, "fingerprint": host.identity.fingerprint, "port": 7} for host in hosts]
    with open(os.path.join(folder, "infoservers.json"), "w", encoding="utf-8") as file:
        json.dump(book, file)
    print("ready", flush=True)
    for host in hosts:
        own = host.identity
        connections = client_context_factory(own.key, own.certificate, {trusted})
        dialler = Dialler(reactor, host, lambda: ("127.0.0.1", port), lambda made=connections: made)
        reactor.callWhenRunning(dialler.start)
    reactor.addReader(_Stdin())
    reactor.run()


class _Stdin:
    """Ends the process when stdin, a pipe, does: that is told as a lost connection."""

    def fileno(self) -> int:
        return 0

    def doRead(self) -> None:  # noqa: N802  Twisted's name
        """Nothing is said to us."""
        os.read(0, 100)

    def logPrefix(self) -> str:  # noqa: N802  Twisted's name
        return "stdin"

    def connectionLost(self, reason: object) -> None:  # noqa: N802  Twisted's name
        reactor.stop()


if __name__ == "__main__":
    main(int(sys.argv[1]), int(sys.argv[2]), sys.argv[3], sys.argv[4])

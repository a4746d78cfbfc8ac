"""Hosts that cost this machine little: a program ``ssh`` that only waits, and one process that is all servers there.

``python3 -m benchmarks.distant FOLDER KEY CERTIFICATE`` speaks for the users' servers of all hosts: one TLS connection
each to the user's server (TMS), its join, and reports of jobs, which it pretends to run. It reads ``FOLDER/started``, a
pipe into which each ``ssh`` writes its host and where to dial when the time of a start is over; a line ``end`` there
ends all jobs, and then all connections. The end of stdin ends it.
"""

from __future__ import annotations

import json
import os
import sys
import time
import uuid
from pathlib import Path
from typing import Any

from twisted.internet import reactor as installed  # noqa: TID251  a process of its own
from twisted.internet.abstract import FileDescriptor

import tm
from tm.edge.keys import fingerprint, load_certificate
from tm.edge.link import ClientLink, Dialler
from tm.edge.tls import client_context_factory
from tm.errors import TaskManagerError
from tm.wire.frames import Bulk

reactor: Any = installed
PIPE = "started"
LASTED = 60.0
"""What jobs are said to have run for longer than they did: short ones would be sent ahead, several to a host."""

SSH = """\
#!{python} -IS
import os, sys, time
began = time.monotonic()
words = sys.argv[-1].split()
while time.process_time() < {busy}:
    pass
time.sleep(max(0.0, {seconds} - (time.monotonic() - began)))
line = words[words.index("--host") + 1] + " " + words[words.index("--tms") + 1]
os.write(os.open({pipe!r}, os.O_WRONLY), line.encode() + b"\\n")
"""


def write_ssh(folder: str, seconds: float, busy: float) -> str:
    """Write an ``ssh`` to *folder* that starts a server in *seconds*, *busy* of them of a processor here; return the
    folder that PATH is to begin with."""
    programs = os.path.join(folder, "bin")
    os.mkdir(programs)
    os.mkfifo(os.path.join(folder, PIPE))
    ssh = Path(programs, "ssh")
    pipe = os.path.join(folder, PIPE)
    ssh.write_text(SSH.format(python=sys.executable, seconds=seconds, busy=busy, pipe=pipe))
    ssh.chmod(0o755)
    return programs


class Server:
    """One user's server on one host, as its TMS sees it; a `Listener` of its link."""

    def __init__(self, host: str, address: str, connections: Any) -> None:
        self._host = host
        self._spool = uuid.uuid4().hex
        self._reports = 0
        self._running: list[tuple[int, int]] = []
        self._link: ClientLink | None = None
        there, _, port = address.rpartition(":")
        self._dialler = Dialler(reactor, self, lambda: (there, int(port)), lambda: connections)
        self._dialler.start()

    def link_up(self, link: ClientLink, greeting: str) -> None:
        """Join."""
        self._link = link
        hello = {
            "host": self._host, "spool": self._spool, "boot": "b", "epoch": 0, "run": "", "mark": 0, "acked": 0,
            "holds": [], "version": tm.__version__, "cores": 1, "memory": 1 << 30,
        }  # fmt: skip
        link.ask("join", json.dumps(hello)).addCallbacks(self._has_joined, _gone)

    def _has_joined(self, reply: Any) -> None:
        if not reply.ok:
            raise SystemExit(f"{self._host}: {reply.word} {reply.text}")

    def event(self, link: ClientLink, json_line: bytes) -> None:
        """Say of each order that it runs."""
        orders = json.loads(json_line).get("orders", [])
        started = [(order["job"], order["attempt"]) for order in orders]
        self._running += started
        if started:
            self._report([
                {"job": job, "attempt": attempt, "what": "started", "at": time.time(), "pid": 1}
                for job, attempt in started
            ])  # fmt: skip

    def end(self) -> None:
        """End all jobs, and leave."""
        ended, self._running = self._running, []
        said = self._report([
            {"job": job, "attempt": attempt, "what": "ended", "at": time.time() + LASTED, "exit_code": 0}
            for job, attempt in ended
        ])  # fmt: skip
        said.addCallback(lambda _: self._dialler.stop())

    def _report(self, facts: list[dict[str, object]]) -> Any:
        assert self._link is not None
        self._reports += 1
        report = {"host": self._host, "spool": self._spool, "k": self._reports, "facts": facts}
        return self._link.ask("report", json.dumps(report)).addErrback(_gone)

    def link_down(self, reason: str) -> None:
        """The link is gone."""
        self._link = None

    def bulk(self, link: ClientLink, data: Bulk) -> None:
        """Nobody sends any."""


def _gone(failure: Any) -> None:
    failure.trap(TaskManagerError)


class Lines(FileDescriptor):
    """Calls *take* with each line that comes in by *descriptor*; its end is the end of the process."""

    def __init__(self, descriptor: int, take: Any) -> None:
        super().__init__(reactor)
        self._descriptor = descriptor
        self._take = take
        self._partial = ""
        self.startReading()

    def fileno(self) -> int:
        return self._descriptor

    def doRead(self) -> None:  # noqa: N802  Twisted's name
        data = os.read(self._descriptor, 64 * 1024).decode()
        *lines, self._partial = (self._partial + data).split("\n")
        for line in lines:
            self._take(line)

    def connectionLost(self, reason: Any) -> None:  # noqa: N802  Twisted's name
        super().connectionLost(reason)
        if reactor.running:
            reactor.stop()


def main(folder: str, key: str, certificate: str) -> None:
    """Speak for all hosts whose start is over."""
    connections = client_context_factory(key, certificate, {fingerprint(load_certificate(certificate))})
    servers: list[Server] = []

    def take(line: str) -> None:
        if line == "end":
            for server in servers:
                server.end()
            servers.clear()
        else:
            host, address = line.split()
            servers.append(Server(host, address, connections))

    Lines(os.open(os.path.join(folder, PIPE), os.O_RDWR), take)
    Lines(0, lambda line: None)
    reactor.callWhenRunning(lambda: print("ready", flush=True))
    reactor.run()


if __name__ == "__main__":
    main(*sys.argv[1:])

"""Commands that run now (``hRun``): the user's server joins the client's connection and the host's, byte for byte.

Each run has a connection of its own from the host, so that a slow reader holds up its own run and nothing else.
"""

from __future__ import annotations

import secrets
from typing import Annotated

import msgspec
from twisted.internet.defer import Deferred

from tm.daemon import background
from tm.daemon.answers import decoded, json_line
from tm.daemon.signing_desk import Wish
from tm.daemon.user_server import UserServer
from tm.errors import RefusedError, TaskManagerError
from tm.model.phase import FINAL
from tm.ports import Peer
from tm.wire.frames import Bulk
from tm.wire.message import Reply

STDIN, STDOUT, STDERR = 0, 1, 2
LOOK_SECONDS = 2.0
MOST_EARLY = 1 << 20


class Terminal(msgspec.Struct):
    """The size of the client's terminal and its kind."""

    rows: Annotated[int, msgspec.Meta(ge=0, lt=65536)]
    columns: Annotated[int, msgspec.Meta(ge=0, lt=65536)]
    term: str = "xterm"


class RunWish(msgspec.Struct):
    """The argument of ``run``."""

    command: str | list[str]
    cwd: str
    environment: dict[str, str] = {}
    name: str = ""
    umask: int = 0o022
    cores: int = 1
    memory: int = 0
    host: str | None = None
    tty: Terminal | None = None


class _Ending(msgspec.Struct):
    """How a job is, as the dispatcher shows it."""

    state: str
    exit_code: int | None = None
    signal: int | None = None
    reason: str = ""


class Run:
    """One command that runs now: the client who asked, and the host's connection once it has come."""

    def __init__(self, job: int, client: Peer) -> None:
        self.job = job
        self.client = client
        self.host: Peer | None = None
        self.early: list[tuple[bytes, Bulk | None]] = []
        self.early_bytes = 0
        self.over = False


class Runs:
    """All commands that run now, by job and by either connection."""

    def __init__(self, server: UserServer) -> None:
        self._server = server
        self._by_job: dict[int, Run] = {}
        self._by_peer: dict[Peer, Run] = {}

    async def run(self, peer: Peer, argument: str) -> Reply:
        """Order the command; the host connects for it. Raises `RefusedError` ``busy.hosts`` when none is vacant."""
        if peer in self._by_peer:
            raise RefusedError("proto.verb", "this connection runs a command already; open another for the next")
        wish = decoded(RunWish, argument)
        ids = await self._server.submit(_as_wish(wish))
        run = Run(ids[0], peer)
        self._by_job[run.job] = run
        self._by_peer[peer] = run
        peer.wait_for_ever()
        peer.on_close(lambda: self._client_gone(run))
        background.start(self._look_after(run), f"looking after job {run.job}")
        return Reply(f"running {run.job}")

    async def _look_after(self, run: Run) -> None:
        """Until its host has connected, see how the job is: it can end without ever having begun."""
        while True:
            pause: Deferred[None] = Deferred()
            self._server.clock.callLater(LOOK_SECONDS, pause.callback, None)
            await pause
            if run.host is not None or self._by_job.get(run.job) is not run:
                return
            try:
                reply = await self._server.relay("jobinfo", str(run.job), True)
            except TaskManagerError:
                continue
            ending = decoded(_Ending, reply.body[0]) if reply.ok and reply.body else None
            if ending is not None and ending.state in FINAL and run.host is None:
                self._forget(run)
                run.over = True
                run.client.send_event(json_line({"run": run.job, **msgspec.structs.asdict(ending)}).encode())
                return

    def stream(self, peer: Peer, job: int) -> Reply:
        """A host has connected for the run of *job*. Raises `RefusedError` ``job.unknown`` when nobody waits for it."""
        run = self._by_job.get(job)
        if run is None or run.host is not None:
            raise RefusedError("job.unknown", f"nobody waits here for the output of job {job}")
        run.host = peer
        self._by_peer[peer] = run
        peer.wait_for_ever()
        peer.on_close(lambda: self._host_gone(run))
        early, run.early = run.early, []
        for json, data in early:
            if data is None:
                peer.send_event(json)
            else:
                peer.send_bulk(data.channel, data.data)
        peer.on_congestion(run.client.hold)
        run.client.on_congestion(peer.hold)
        return Reply()

    def state(self, peer: Peer, argument: str) -> Reply:
        """The host says how the run is; the client hears it."""
        run = self._run(peer)
        shown = decoded(dict[str, object], argument)  # type: ignore[arg-type]  # a generic alias is a type to msgspec
        run.over = run.over or shown.get("state") != "started"
        run.client.send_event(json_line({"run": run.job, **shown}).encode())
        return Reply()

    def tell(self, peer: Peer, shown: dict[str, object]) -> Reply:
        """The client's wish concerning its run (a signal, a size) goes to the host."""
        run = self._run(peer)
        json = json_line(shown).encode()
        if run.host is None:
            run.early.append((json, None))
        else:
            run.host.send_event(json)
        return Reply()

    def bulk(self, peer: Peer, data: Bulk) -> None:
        """Raw bytes of one side go to the other; who has no run has no business sending any."""
        run = self._by_peer.get(peer)
        if run is None:
            peer.abort()
        elif peer is run.host:
            run.client.send_bulk(data.channel, data.data)
        elif run.host is not None:
            run.host.send_bulk(STDIN, data.data)
        else:
            run.early.append((b"", data))
            run.early_bytes += len(data.data)
            if run.early_bytes > MOST_EARLY:
                peer.hold(True)

    def _run(self, peer: Peer) -> Run:
        run = self._by_peer.get(peer)
        if run is None:
            raise RefusedError("proto.verb", "no command runs on this connection; say run first")
        return run

    def _client_gone(self, run: Run) -> None:
        self._forget(run)
        if run.host is not None:
            run.host.abort()
        elif not run.over:
            background.start(self._server.relay("canceljob", f"{run.job}:the terminal is gone"), "ending a run")

    def _host_gone(self, run: Run) -> None:
        self._forget(run)
        if not run.over:
            reason = "the connection to its host is lost; 'hRunJob -i' shows how it ended"
            shown = {"run": run.job, "state": "lost", "exit_code": None, "signal": None, "reason": reason}
            run.client.send_event(json_line(shown).encode())

    def _forget(self, run: Run) -> None:
        self._by_job.pop(run.job, None)
        self._by_peer.pop(run.client, None)
        if run.host is not None:
            self._by_peer.pop(run.host, None)


def _as_wish(wish: RunWish) -> Wish:
    environment = dict(wish.environment)
    job: dict[str, object] = {
        "command": wish.command, "cwd": wish.cwd, "name": wish.name, "umask": wish.umask, "cores": wish.cores,
        "memory": wish.memory, "interactive": True, "hosts": [wish.host] if wish.host else [],
    }  # fmt: skip
    if wish.tty is not None:
        job["terminal"] = [wish.tty.rows, wish.tty.columns]
        environment["TERM"] = wish.tty.term
    return Wish(secrets.token_hex(16), [job], {"environment": environment})

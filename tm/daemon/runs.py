"""Visits of jobs on hosts: commands that run now (``hRun``), later looks at them, a shell beside a job, following
output. The user's server joins the client's connection and the host's, byte for byte.

Each visit has a connection of its own from the host, so that a slow reader holds up its own visit and nothing else.
"""

from __future__ import annotations

from typing import Any

import msgspec
from twisted.internet.defer import Deferred

from tm.daemon import background
from tm.daemon.answers import decoded, json_line
from tm.daemon.run_wishes import AttachWish, BesideWish, Ending, FollowWish, RunWish, View, as_wish, number_of
from tm.daemon.user_server import UserServer
from tm.errors import RefusedError, TaskManagerError
from tm.model.ids import shown_id
from tm.model.phase import FINAL
from tm.ports import Peer
from tm.wire.frames import Bulk
from tm.wire.message import Reply

STDIN, STDOUT, STDERR = 0, 1, 2
FIRST = 0
LOOK_SECONDS = 2.0
VISIT_SECONDS = 15.0
MOST_EARLY = 1 << 20
_GOES_ON = ("started", "stopped", "reading")
_WAITS = ("held", "pending", "starting")


class Run:
    """One visit: *number* (`FIRST` for the one with which a command begins) of *job*, the client who asked, and the
    host's connection once it has come."""

    def __init__(self, job: int, number: int, client: Peer) -> None:
        self.job = job
        self.number = number
        self.client = client
        self.host: Peer | None = None
        self.early: list[tuple[bytes, Bulk | None]] = []
        self.early_bytes = 0
        self.over = False
        self.detached = False

    @property
    def shown(self) -> int | str:
        """The job as people say it."""
        return shown_id(self.job)

    def tell(self, /, **shown: object) -> None:
        """Tell the client how it is."""
        self.client.send_event(json_line({"run": self.shown} | shown | {"run": self.shown}).encode())


class Runs:
    """All visits, by job and number and by either connection."""

    def __init__(self, server: UserServer) -> None:
        self._server = server
        self._by_key: dict[tuple[int, int], Run] = {}
        self._by_peer: dict[Peer, Run] = {}
        self._last = FIRST

    async def run(self, peer: Peer, argument: str) -> Reply:
        """Order the command; the host connects for it. Raises `RefusedError` ``busy.hosts`` when none is vacant."""
        self._check_free(peer)
        wish = decoded(RunWish, argument)
        ids = await self._server.submit(as_wish(wish))
        run = self._begin(Run(ids[0], FIRST, peer))
        run.detached = wish.detach
        background.start(self._look_after(run), f"looking after job {run.job}")
        return Reply(f"running {run.job}")

    async def attach(self, peer: Peer, argument: str) -> Reply:
        """Look at a command that runs now once more. Raises `RefusedError` where it does not, or its host is away."""
        wish = decoded(AttachWish, argument)
        rows, columns = (wish.tty.rows, wish.tty.columns) if wish.tty is not None else (0, 0)
        asked = {"topic": "attach", "rows": rows, "columns": columns, "watch": wish.watch}
        return await self._visit(peer, wish.job, asked, "attached")

    async def beside(self, peer: Peer, argument: str) -> Reply:
        """Run a command beside a job, on its host. Raises `RefusedError` as `attach`."""
        wish = decoded(BesideWish, argument)
        command = ["/bin/sh", "-c", wish.command] if isinstance(wish.command, str) and wish.command else wish.command
        asked: dict[str, object] = {"topic": "beside", "command": command or []}
        if wish.tty is not None:
            asked |= {"rows": max(1, wish.tty.rows), "columns": wish.tty.columns, "term": wish.tty.term}
        return await self._visit(peer, wish.job, asked, "beside")

    async def follow(self, peer: Peer, argument: str) -> Reply:
        """Send the output of a job as it is written. Raises `RefusedError` as `attach`, but of ended jobs, too."""
        wish = decoded(FollowWish, argument)
        return await self.read(peer, wish, await self.view(wish.job))

    async def read(self, peer: Peer, wish: FollowWish, view: View) -> Reply:
        """Do as `follow`: what is where *view* says."""
        asked = {"topic": "follow", "files": files_of(wish, view), "lines": wish.lines}
        return await self._visit(peer, wish.job, asked, "following", view)

    def detach(self, peer: Peer) -> Reply:
        """The client wants to leave its command alone."""
        run = self._run(peer)
        run.detached = True
        return self.tell(peer, {"detach": True})

    async def view(self, job: int | str) -> View:
        """Return how *job* is, as the dispatcher says; raise `RefusedError` where it is not one of this user's."""
        number = str(shown_id(number_of(job)))
        reply = await self._server.relay("jobinfo", number, True)
        if reply.word is not None:
            raise RefusedError(reply.word, reply.text)
        view = decoded(View, "".join(reply.body[:1]))
        if view.user != self._server.around.user:
            raise RefusedError("perm.denied", f"job {number} is of {view.user}, and so is the server on its host")
        if str(view.id) != number:
            raise RefusedError("auth.signature", f"asked for job {number}, the dispatcher answers with {view.id!s:.40}")
        return view

    async def _visit(
        self, peer: Peer, job: int | str, asked: dict[str, Any], done: str, view: View | None = None
    ) -> Reply:
        self._check_free(peer)
        view = view or await self.view(job)
        ended = view.state in FINAL and asked["topic"] != "follow"
        if view.state in _WAITS or ended or view.host is None:
            raise RefusedError("job.move", f"job {view.id} is {view.state}; this takes one that runs")
        host = self._server.hosts.get(view.host)
        if host is None or host.peer is None:
            raise RefusedError("net.host", f"your server does not reach {view.host}, where job {view.id} is")
        self._last += 1
        run = self._begin(Run(number_of(view.id), self._last, peer))
        host.peer.send_event(json_line({**asked, "job": run.job, "number": run.number}).encode())
        self._server.clock.callLater(VISIT_SECONDS, self._not_come, run, view.host)
        return Reply(f"{done} {view.id}")

    def _not_come(self, run: Run, host: str) -> None:
        if run.host is None and not run.over and self._by_key.get((run.job, run.number)) is run:
            self._forget(run)
            run.tell(state="lost", exit_code=None, signal=None, reason=f"the server on {host} does not answer")

    def _check_free(self, peer: Peer) -> None:
        if peer in self._by_peer:
            raise RefusedError("proto.verb", "this connection runs a command already; open another for the next")

    def _begin(self, run: Run) -> Run:
        self._by_key[run.job, run.number] = run
        self._by_peer[run.client] = run
        run.client.wait_for_ever()
        run.client.on_close(lambda: self._client_gone(run))
        return run

    async def _look_after(self, run: Run) -> None:
        """Until its host has connected, see how the job is: it can end without ever having begun."""
        while True:
            pause: Deferred[None] = Deferred()
            self._server.clock.callLater(LOOK_SECONDS, pause.callback, None)
            await pause
            if run.host is not None or self._by_key.get((run.job, FIRST)) is not run:
                return
            try:
                reply = await self._server.relay("jobinfo", str(run.job), True)
            except TaskManagerError:
                continue
            ending = decoded(Ending, reply.body[0]) if reply.ok and reply.body else None
            if ending is not None and ending.state in FINAL and run.host is None:
                self._forget(run)
                run.over = True
                run.tell(**msgspec.structs.asdict(ending))
                return

    def stream(self, peer: Peer, job: int, number: int) -> Reply:
        """A host has connected for a visit. Raises `RefusedError` ``job.unknown`` when nobody waits for it."""
        run = self._by_key.get((job, number))
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
        run.over = run.over or shown.get("state") not in _GOES_ON
        run.tell(**shown)
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
        elif not (run.over or run.detached or run.number):
            background.start(self._server.relay("canceljob", f"{run.job}:the terminal is gone"), "ending a run")

    def _host_gone(self, run: Run) -> None:
        self._forget(run)
        if not run.over:
            reason = "the connection to its host is lost; 'hRunJob -i' shows how it ended"
            run.tell(state="lost", exit_code=None, signal=None, reason=reason)

    def _forget(self, run: Run) -> None:
        self._by_key.pop((run.job, run.number), None)
        self._by_peer.pop(run.client, None)
        if run.host is not None:
            self._by_peer.pop(run.host, None)


def files_of(wish: FollowWish, view: View) -> list[tuple[int, str, int]]:
    """Return the files of a job by channel, each once, with the place from which *wish* wants it (-1: not said)."""
    paths = {STDOUT: view.stdout, STDERR: view.stderr if view.stderr != view.stdout else None}
    return [(channel, path, wish.at.get(channel, -1)) for channel, path in paths.items() if path]

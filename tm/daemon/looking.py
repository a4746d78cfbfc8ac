"""Looks at the output of jobs through the web interface: a poll brings what has come since the one before.

The output is followed as any client follows it (`tm.daemon.runs`); a `Look` takes the client's place and keeps what
has come until it was fetched, up to a bound; then its host is held up, as by any slow reader. A look that nobody polls
ends.

The law: where a job's output is follows from the request that this user has signed, never from what the dispatcher
says.
"""

from __future__ import annotations

import codecs
from collections.abc import Callable
from typing import Annotated, Any

import msgspec
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IDelayedCall, IReactorTime

from tm.daemon.answers import decoded
from tm.daemon.job_texts import JobText
from tm.daemon.run_wishes import FollowWish, View, number_of
from tm.daemon.runs import STDERR, STDOUT, Runs, files_of
from tm.daemon.signing_desk import is_of
from tm.daemon.user_server import UserServer
from tm.errors import RefusedError
from tm.model.ids import index_of
from tm.model.phase import FINAL
from tm.model.spec import accepted_spec, output_paths
from tm.places import valid_name

MOST_LOOKS = 32
MOST_KEPT = 1 << 20
"""Bytes of a look that were not fetched yet; about, for what is on its way comes still."""
PIECE = 64 * 1024
"""Bytes of a file in one answer."""
POLL_SECONDS = 1.0
FIRST_SECONDS = 0.03
"""So long after reading has begun a file is taken to be empty so far."""
UNPOLLED_SECONDS = 20.0
WAITING = ("held", "pending", "starting")
NAMES = {STDOUT: "stdout", STDERR: "stderr"}


class OutputWish(msgspec.Struct, forbid_unknown_fields=True):
    """The argument of ``output``: the random name of a *look* at a *job*; what comes after the places *at* by channel
    (none is known yet where it is null), or of a look that begins the last *lines* (null: all)."""

    job: int | str
    look: Annotated[str, msgspec.Meta(min_length=8, max_length=64)]
    at: dict[int, Annotated[int, msgspec.Meta(ge=0)] | None] | None = None
    lines: Annotated[int, msgspec.Meta(ge=0, le=10_000)] | None = 100

    @property
    def places(self) -> dict[int, int]:
        """Up to which place the files are known."""
        return {channel: at for channel, at in (self.at or {}).items() if at is not None}


class Kept:
    """What has come of one file and was not fetched yet: *data*, the first byte of which is at the place *begin*."""

    def __init__(self, path: str | None) -> None:
        self.path = path
        self.begin = 0
        self.data = bytearray()

    @property
    def end(self) -> int:
        """The place after what has come."""
        return self.begin + len(self.data)

    def fetched(self, at: int) -> bool:
        """Forget what is before the place *at*; return whether that can be: it is in what is kept, or at its end."""
        if not self.begin <= at <= self.end:
            return False
        del self.data[: at - self.begin]
        self.begin = at
        return True

    def shown(self, whole: bool) -> dict[str, Any]:
        """Return the next piece as text; its last character may be cut off where that is the *whole* of it."""
        piece = bytes(self.data[:PIECE])
        decoder = codecs.getincrementaldecoder("utf-8")("replace")
        text = decoder.decode(piece, final=whole and len(piece) == len(self.data))
        at = self.begin + len(piece) - len(decoder.getstate()[0])
        return {"path": self.path, "from": self.begin, "at": at, "text": text}


class Look:
    """One look: the `Peer` that follows, and what it has heard. *view* is how its job was when last asked."""

    fingerprint = ""

    def __init__(self, user: str, view: View, clock: IReactorTime) -> None:
        self.user = user
        self._clock = clock
        self.view = view
        self.kept = {STDOUT: Kept(view.stdout)}
        self.kept[STDERR] = Kept(view.stderr if view.stderr != view.stdout else None)
        self.begun = False
        self.read = False
        self.failed = ""
        self._closers: list[Callable[[], object]] = []
        self._congestion: Callable[[bool], None] = lambda choked: None
        self._choked = False
        self._waiting: list[Deferred[None]] = []

    # -- Peer -----------------------------------------------------------------------------------------------------

    def send_event(self, json: bytes) -> None:
        """The host says how the visit is."""
        said = msgspec.json.decode(json)
        state = said.get("state")
        if state == "reading":
            for channel, at in said["places"]:
                self.kept[channel].begin = at
            self.begun = True
            self._clock.callLater(FIRST_SECONDS, self._wake)
            return
        if state == "read":
            self.read = True
        else:
            self.failed = str(said.get("reason") or f"the visit is {state}")
        self._wake()

    def send_bulk(self, channel: int, data: bytes) -> None:
        """Output has come."""
        if channel not in self.kept or not self.begun:
            self.abort()
            return
        self.kept[channel].data += data
        self._throttle()
        self._wake()

    def on_close(self, callback: Callable[[], object]) -> None:
        """Have *callback* called when nobody looks any more."""
        self._closers.append(callback)

    def abort(self) -> None:
        """Look no more."""
        self.failed = self.failed or "the connection to its host is lost"
        closers, self._closers = self._closers, []
        for callback in closers:
            callback()
        self._wake()

    def keep(self) -> None:
        """Polls keep it."""

    def wait_for_ever(self) -> None:
        """Polls keep it."""

    def hold(self, held: bool) -> None:
        """It says nothing itself."""

    def on_congestion(self, callback: Callable[[bool], None]) -> None:
        """Have *callback* called, now and whenever it changes, with whether too much was not fetched."""
        self._congestion = callback
        callback(self._choked)

    # -- polls ----------------------------------------------------------------------------------------------------

    def fetched(self, at: dict[int, int]) -> bool:
        """Forget what is before *at*; return False when that is not where this look is."""
        good = all([self.kept[channel].fetched(place) for channel, place in at.items() if channel in self.kept])
        self._throttle()
        return good

    @property
    def news_kept(self) -> bool:
        """Whether there is output that was not fetched yet."""
        return any(kept.data for kept in self.kept.values())

    @property
    def news(self) -> bool:
        """Whether there is anything to be said."""
        return self.read or bool(self.failed) or self.news_kept

    def wait(self) -> Deferred[None]:
        """Return when there are news, or after a while."""
        waiting: Deferred[None] = Deferred()
        if self.news:
            waiting.callback(None)
            return waiting
        self._waiting.append(waiting)
        return waiting.addTimeout(POLL_SECONDS, self._clock, lambda value, seconds: None)

    def shown(self, wish: OutputWish) -> dict[str, Any]:
        """Return what a poll answers."""
        if not self.begun:
            files = {name: _empty(self.kept[channel].path, wish.places.get(channel)) for channel, name in NAMES.items()}
            return {"state": self.view.state, "host": self.view.host, **files, "more": False, "over": False}
        files = {name: self.kept[channel].shown(self.read) for channel, name in NAMES.items()}
        more = any(self.kept[channel].end - files[name]["from"] > PIECE for channel, name in NAMES.items())
        over = self.read and not more and self.view.state in FINAL
        return {"state": self.view.state, "host": self.view.host, **files, "more": more, "over": over}

    def _wake(self) -> None:
        waiting, self._waiting = self._waiting, []
        for one in waiting:
            if not one.called:
                one.callback(None)

    def _throttle(self) -> None:
        choked = sum(len(kept.data) for kept in self.kept.values()) >= MOST_KEPT
        if choked != self._choked:
            self._choked = choked
            self._congestion(choked)


def _nothing(view: View, wish: OutputWish, over: bool) -> dict[str, Any]:
    """Return what is answered of a job that has written nothing, as it has not started."""
    files = {name: _empty(None, wish.places.get(channel)) for channel, name in NAMES.items()}
    return {"state": view.state, "host": view.host, **files, "more": False, "over": over}


def _empty(path: str | None, at: int | None) -> dict[str, Any]:
    """Return what is shown of a file of which nothing is known yet."""
    return {"path": path, "from": at, "at": at, "text": ""}


class Looking:
    """All looks of one user's server."""

    def __init__(self, server: UserServer, runs: Runs) -> None:
        self._server = server
        self._runs = runs
        self._looks: dict[tuple[str, int], Look] = {}
        self._timers: dict[Look, IDelayedCall] = {}

    async def output(self, argument: str) -> dict[str, Any]:
        """Answer a poll. Raises `RefusedError` as `Runs.follow`, and ``auth.signature``."""
        wish = decoded(OutputWish, argument)
        key = (wish.look, number_of(wish.job))
        look = self._looks.get(key)
        if look is None or not look.fetched(wish.places):
            if look is not None:
                self._end(key, look)
            view = await self._signed_view(wish.job)
            if view.state in WAITING:
                return await self._not_yet(view, wish)
            if view.host is None:
                return _nothing(view, wish, over=view.state in FINAL)
            look = self._looks.get(key) or await self._begin(key, view, wish)
        if look in self._timers:
            self._timers[look].reset(UNPOLLED_SECONDS)
        await look.wait()
        if look.failed and not look.news_kept:
            self._end(key, look)
            raise RefusedError("net.host", f"the output of job {wish.job} is not followed any more: {look.failed}")
        if look.read and look.view.state not in FINAL:
            look.view = msgspec.structs.replace(look.view, state=(await self._runs.view(wish.job)).state)
        shown = look.shown(wish)
        if look.read and not shown["more"] and not shown["over"]:
            self._end(key, look)  # that attempt is over, another one may follow: look anew
        return shown

    async def _begin(self, key: tuple[str, int], view: View, wish: OutputWish) -> Look:
        if len(self._looks) >= MOST_LOOKS:
            raise RefusedError("limit.looks", f"{MOST_LOOKS} outputs of yours are looked at already; close some")
        look = Look(self._server.around.user, view, self._server.clock)
        self._looks[key] = look
        self._timers[look] = self._server.clock.callLater(UNPOLLED_SECONDS, self._end, key, look)
        try:
            await self._read(look, wish)
        except RefusedError:
            self._end(key, look)
            raise
        return look

    async def _read(self, look: Look, wish: OutputWish) -> None:
        """Have the output read, by the job's host; here what is in a bundle, or what has ended on one out of reach."""
        view, ended = look.view, look.view.state in FINAL
        task = index_of(number_of(view.id))
        if ended and view.bundle is not None and task is not None:
            at = wish.places.get(STDOUT, -1)
            if not await self._server.around.here.read_task(look, view.bundle, task, at, wish.lines):
                raise RefusedError("job.state", f"seen from here, {view.bundle} has no output of job {view.id}")
            return
        follow = FollowWish(wish.job, wish.lines, wish.places)
        try:
            await self._runs.read(look, follow, view)
        except RefusedError as error:
            if error.word != "net.host" or not ended:
                raise
            if not await self._server.around.here.read(look, files_of(follow, view), wish.lines):
                text = f"{error.text}; and {view.stdout or view.stderr} is not seen from here"
                raise RefusedError(error.word, text) from None

    def _end(self, key: tuple[str, int], look: Look) -> None:
        if self._looks.get(key) is look:
            del self._looks[key]
        timer = self._timers.pop(look, None)
        if timer is not None and timer.active():
            timer.cancel()
        look.abort()

    async def _not_yet(self, view: View, wish: OutputWish) -> dict[str, Any]:
        """Answer a poll of a job that has not started: nothing is there yet."""
        pause: Deferred[None] = Deferred()
        self._server.clock.callLater(POLL_SECONDS, pause.callback, None)
        await pause
        return _nothing(view, wish, over=False)

    async def _signed_view(self, job: int | str) -> View:
        """Return how *job* is, as the dispatcher says, and where its output is, as this user has signed."""
        view = await self._runs.view(job)
        if view.tasks is not None:
            raise RefusedError(
                "job.state", f"{view.id} is an array, and each of its tasks writes for itself; look at one of them"
            )
        if view.state in WAITING or view.host is None:
            return view
        number = number_of(view.id)
        reply = await self._server.relay("jobtexts", f"{view.id}:read")
        if reply.word is not None:
            raise RefusedError(reply.word, reply.text)
        around = self._server.around
        given = decoded(JobText, reply.body[0]) if reply.body else JobText("", "", "")
        if not around.signer.check(given.text, given.sig) or not is_of(number, given.text):
            raise RefusedError("auth.signature", f"job {view.id} is not signed by this user, or was changed on its way")
        spec = accepted_spec(given.text)
        if spec.interactive:
            raise RefusedError("job.state", f"job {view.id} runs with its input and output on a connection of its own")
        if spec.user != around.user or not valid_name(view.host):
            raise RefusedError("auth.signature", f"job {view.id} is not one that this user could have signed")
        stdout, stderr = output_paths(spec, number, view.host)
        return msgspec.structs.replace(view, stdout=stdout, stderr=stderr, bundle=stdout if spec.bundle else None)

"""What an InfoServer says to the dispatcher, when, and what it hears from it.

It reports every few seconds, and at once when what others do there has changed so much that somebody may have to make
room. A report is only sent when the one before has been answered, and never twice: silence means that nothing is known.
"""

from __future__ import annotations

import msgspec
from twisted.internet.task import LoopingCall
from twisted.logger import Logger

from tm.daemon import background
from tm.daemon.answers import json_line
from tm.daemon.info_server import InfoServer
from tm.errors import TaskManagerError
from tm.model.report import HostReport
from tm.model.sample import sudden
from tm.model.usage import KnownJob
from tm.ports import Link
from tm.wire.frames import Bulk
from tm.wire.message import Reply

REPORT_SECONDS = 5.0
LEAST_SECONDS = 1.0
REJOIN_SECONDS = 10.0
UNWANTED_SECONDS = 3600.0

_log = Logger()


class _Answer(msgspec.Struct):
    """What the dispatcher answers or says: who its users are, which jobs run here. None: as before."""

    topic: str = ""
    people: dict[str, str] | None = None
    jobs: list[KnownJob] | None = None


class Reporter:
    """The dispatcher's side of *server*; a `Listener` of the link."""

    def __init__(self, server: InfoServer) -> None:
        self._server = server
        self._clock = server.around.clock
        self._link: Link | None = None
        self._joined = False
        self._asking = False
        self._reported: HostReport | None = None
        self._reported_at = float("-inf")
        self._unsettled = False
        self._refused_since: float | None = None
        self._loop = LoopingCall(self.tell)
        self._loop.clock = self._clock
        server.sampled = self.tell

    def start(self) -> None:
        """Begin to look whether it is time to report."""
        self._loop.start(LEAST_SECONDS, now=False)

    def stop(self) -> None:
        """Report no more."""
        if self._loop.running:
            self._loop.stop()

    def link_up(self, link: Link, greeting: str) -> None:
        """The dispatcher has greeted us."""
        self._link = link
        self._refused_since = None
        self._begin_to_join(link)

    def _begin_to_join(self, link: Link) -> None:
        if link is self._link:
            background.start(self._join(link), "joining the dispatcher")

    async def _join(self, link: Link) -> None:
        reply = await link.ask("infojoin", json_line(self._server.about))
        if link is not self._link:
            return
        self._joined = reply.ok
        self._server.dispatcher_state = "connected" if reply.ok else f"{reply.word}: {reply.text}"
        if reply.ok:
            _log.info("connected", event="connected")
            self._hear(reply)
            self._reported = None
            self.tell()
        else:
            _log.error("the dispatcher refuses: {word} {text}", event="refused", word=reply.word, text=reply.text)
            self._clock.callLater(REJOIN_SECONDS, self._begin_to_join, link)

    def link_down(self, reason: str) -> None:
        """The dispatcher is out of reach: go on reading; who was a user stays one.

        If it is there, and has not let us in for an hour, nobody wants this server: it stops.
        """
        if self._link is not None:
            _log.warn("the link to the dispatcher is gone: {reason}", event="disconnected", reason=reason)
        self._link = None
        self._joined = self._asking = False
        self._server.dispatcher_state = reason
        now = self._clock.seconds()
        if not reason.startswith("auth."):
            self._refused_since = None
        elif self._refused_since is None:
            self._refused_since = now
        elif now - self._refused_since > UNWANTED_SECONDS:
            _log.error("not let in for an hour, so not wanted: {reason}", event="retired", reason=reason)
            self._server.around.stop()

    def event(self, link: Link, json: bytes) -> None:
        """The dispatcher asks something, says who its users are now, or that nobody wants this server any more."""
        said = _decode(json)
        if said.topic == "retire":
            _log.info("the dispatcher wants no InfoServer here any more", event="retired")
            self._server.around.stop()
        elif said.topic == "asked":
            self._server.asked(link, json)
        self._take(said)

    def bulk(self, link: Link, data: Bulk) -> None:
        """Nobody sends us any."""

    def tell(self) -> None:
        """Report if it is time to, or sooner when something has changed a great deal, and whether it stays so."""
        now, current = self._clock.seconds(), self._server.report
        if not self._joined or self._asking or current is None or current is self._reported:
            return
        age = now - self._reported_at
        before = self._reported
        due = before is None or not 0 <= age < REPORT_SECONDS - 0.1
        jumped = before is not None and sudden(before, current)
        if due or (age >= LEAST_SECONDS and (jumped or self._unsettled)):
            self._unsettled = jumped
            self._reported, self._reported_at = current, now
            self._asking = True
            background.start(self._ask(current), "reporting")

    async def _ask(self, current: HostReport) -> None:
        link = self._link
        assert link is not None
        try:
            reply = await link.ask("info", json_line(current))
        except TaskManagerError:
            return
        finally:
            if link is self._link:
                self._asking = False
        if reply.ok:
            self._hear(reply)
        else:
            _log.warn("a report was refused: {word} {text}", event="refused", word=reply.word, text=reply.text)

    def _hear(self, reply: Reply) -> None:
        said = reply.text or next(iter(reply.body), "")
        if said.startswith("{"):
            self._take(_decode(said.encode()))

    def _take(self, said: _Answer) -> None:
        if said.people is not None:
            self._server.admit(said.people)
        if said.jobs is not None:
            jobs = said.jobs
            background.start(
                self._server.around.worker.run(lambda: self._server.around.probe.jobs(jobs)), "hearing of jobs"
            )


def _decode(json: bytes) -> _Answer:
    try:
        return msgspec.json.decode(json, type=_Answer)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
        _log.warn("the dispatcher says what is not understood: {text}", event="malformed", text=str(error))
        return _Answer()

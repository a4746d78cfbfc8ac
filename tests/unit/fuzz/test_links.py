"""What a dispatcher or a user's server that was broken into says on a daemon's link: taken, or the link is cut."""

from __future__ import annotations

import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from twisted.internet.task import Clock
from twisted.trial.unittest import SynchronousTestCase

from tests.fuzz.houses import UserHouse
from tests.fuzz.shapes import TEXTS, json_of
from tests.support.daemons import ReadyWorker
from tests.support.properties import examples
from tests.support.wire import Wire
from tests.unit.daemon.test_host_server import Journal
from tests.unit.daemon.test_info_server import ReporterCase
from tests.unit.daemon.test_visitors import Keeping, Streams
from tm.daemon.asked import Question
from tm.daemon.host_book import Book, Snapshot
from tm.daemon.host_server import HostServer, HostSurroundings
from tm.daemon.info_questions import Asked
from tm.daemon.info_reporter import _Answer as Answered
from tm.daemon.orders import OrderLine
from tm.daemon.telling_desk import Tell
from tm.daemon.user_server import _Want as Want
from tm.daemon.visitors import Attach, Beside, Follow, Holding, Visitors
from tm.edge.link import ClientLink

TOPICS = (
    "orders", "want", "tell", "asked", "replaced", "rejoin", "attach", "beside", "follow", "jobs", "hosts", "log",
    "retire", "changed",
)  # fmt: skip


class AnyKeepers:
    """Take every order and do nothing."""

    def __getattr__(self, name: str) -> Any:
        return lambda *orders, **more: None


class ManyStreams(Streams):
    """Streams that may be told anything."""


def events(*kinds: Any) -> st.SearchStrategy[bytes]:
    """Return a strategy of event lines: a topic, and what fits one of *kinds*, or does not."""

    def line(topic: str, text: str) -> bytes:
        try:
            value = json.loads(text)
        except (ValueError, RecursionError):
            value = None
        if isinstance(value, dict):
            text = json.dumps({**value, "topic": value.get("topic", topic)})
        return b"* " + text.replace("\n", " ").encode(errors="replace") + b"\n"

    return st.builds(line, st.one_of(st.sampled_from(TOPICS), TEXTS), st.one_of(*map(json_of, kinds)))


class LinkTests(SynchronousTestCase):
    def hears(self, listener: Any, clock: Clock, said: list[bytes]) -> None:
        """Let *listener* hear what is *said* on a link, in pieces; nothing may come out of it but a cut link."""
        link = ClientLink(listener, clock)
        wire = Wire(link)
        link.makeConnection(wire)
        for line in said:
            if not wire.aborted:
                link.dataReceived(line[:7])
                link.dataReceived(line[7:])
            clock.advance(0.1)
        self.assertTrue(link.reason or not wire.aborted)
        wire.lost()
        clock.advance(60.0)

    @examples(250, shrink=False)
    @given(st.lists(events(OrderLine, Want, Tell, Question), min_size=1, max_size=5))
    def test_a_users_server_survives_whatever_the_dispatcher_says(self, said: list[bytes]) -> None:
        house = UserHouse()
        self.hears(house.server, house.clock, [b"OK TaskDispatcher\n.\n", *said])

    @examples(250, shrink=False)
    @given(st.lists(events(OrderLine, Attach, Beside, Follow), min_size=1, max_size=5))
    def test_a_server_on_a_host_survives_whatever_the_users_server_says(self, said: list[bytes]) -> None:
        clock = Clock()
        around: Any = HostSurroundings(
            host="n1", cores=2, memory=None, clock=clock, spool=AnySpool(), writer=ReadyWorker(),
            revive=lambda: None, stop=lambda: None, idle_seconds=60.0,
        )  # type: ignore[arg-type]  # what is used of them  # fmt: skip
        book = Book(Snapshot("sp", "boot"))
        server = HostServer(around, book)
        server.keeping = AnyKeepers()  # type: ignore[assignment]  # what is used of it
        held = Holding(["holder"], "/nowhere")
        server.visitors = Visitors(book, Keeping(), held, ManyStreams(), "n1", "/outputs")  # type: ignore[arg-type]  # as above
        self.hears(server, clock, [b'OK TMS\n.\nOK {"epoch":1,"run":"r"}\n.\n', *said])


class AnySpool(Journal):
    """A spool that keeps everything in lists."""

    def __init__(self) -> None:
        super().__init__()
        self.environments: dict[str, str] = {}

    def keep_environment(self, digest: str, text: str) -> None:
        self.environments[digest] = text

    def rewrite(self, lines: list[bytes]) -> None:
        self.written = list(lines)

    def drop_environments(self) -> None:
        self.environments.clear()


class ReporterTests(ReporterCase):
    @examples(150, shrink=False)
    @given(st.lists(events(Asked, Answered), min_size=1, max_size=3))
    def test_an_infoserver_survives_whatever_the_dispatcher_says(self, said: list[bytes]) -> None:
        for line in said:
            self.reporter.event(self.link, line[2:-1])
        self.house.worker.work()

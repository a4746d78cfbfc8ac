"""Servers of every kind in memory, to whose connections anything may be said, byte by byte.

The law that `Talk.check` states: each request is answered, in words of ``docs/protocol.md``, and none of these says
that a server of ours has failed.
"""

from __future__ import annotations

import functools
import hashlib
import json
import os
import re
import shutil
import tempfile
from collections.abc import Callable, Iterable
from typing import Any

from twisted.internet.defer import Deferred, succeed
from twisted.internet.task import Clock

from tests.support.brain import order
from tests.support.daemons import HandWorker, ReadyWorker
from tests.support.identities import Identity
from tests.support.info import InfoHouse
from tests.support.sessions import DOCUMENT
from tests.support.wire import Wire
from tests.unit.daemon.test_user_server import HandLink, UserServerCase
from tm import config
from tm.config.files import HostsFile
from tm.config.info_file import InfoFile
from tm.config.people_files import PeopleFiles
from tm.daemon.dispatcher import Dispatcher, Surroundings, Tables
from tm.daemon.dispatcher_verbs import DispatcherVerbs
from tm.daemon.info_verbs import InfoVerbs
from tm.edge.connection import Answer, Door, ServerConnection
from tm.ports import Peer
from tm.store.memory import MemoryStore
from tm.wire.frames import Bulk
from tm.wire.message import Reply, Request

CLASSES = frozenset(re.findall(r"^\| `([a-z]+\.[a-z]+)` \|", DOCUMENT.read_text(encoding="utf-8"), re.MULTILINE))
USERS = ("alice", "bob", "root")
FILES = {
    "users": "".join(f'[users.{name}]\ncertificates = ["certs/{name}.crt"]\n' for name in USERS),
    "groups": '[groups.admins]\nmembers = ["root"]\nrights = ["all"]\n'
    '[groups.physics]\nmembers = ["alice"]\nshares = 3\n',
    "ComputerCluster.config": '[hosts.n1]\ncores = 2\nowners = ["alice"]\n[hosts.n2]\n[licenses]\nansys = 3\n',
    "TaskDispatcher.info": "cluster = physics\nhost = here\nport = 10101\n",
}
ENVIRONMENT = "{}"
DIGEST = hashlib.sha256(ENVIRONMENT.encode()).hexdigest()
PATIENCE = 70
"""Seconds after which whatever was said has been answered."""


@functools.cache
def certificates() -> str:
    """Return a folder with a certificate of each of `USERS`; it goes with the process."""
    folder = tempfile.TemporaryDirectory(prefix="tm-fuzz-")
    for name in USERS:
        Identity(folder.name, name, name)
    _kept.append(folder)
    return folder.name


_kept: list[tempfile.TemporaryDirectory[str]] = []


class _Known:
    """The conversation of a server with somebody who has shown who they are."""

    def __init__(self, verbs: Any, user: str) -> None:
        self._verbs = verbs
        self._user = user

    def identify(self, transport: object) -> str:
        return self._user

    def greeting(self, user: str) -> str:
        return str(self._verbs.greeting(user))

    def answer(self, peer: Peer, request: Request) -> Answer:
        answer: Answer = self._verbs.answer(peer, request)
        return answer

    def bulk(self, peer: Peer, data: Bulk) -> None:
        self._verbs.bulk(peer, data)


class House:
    """A server with *verbs*, whose time and work go on by *settle*."""

    def __init__(self, verbs: Any, clock: Clock, work: Callable[[], object] = lambda: None) -> None:
        self.verbs = verbs
        self.clock = clock
        self._work = work

    def settle(self) -> None:
        """Let everything happen that waits for nothing but its turn."""
        self.clock.advance(0.01)
        while self._work():
            self.clock.advance(0.01)

    def pass_time(self, seconds: int = PATIENCE) -> None:
        """Let time go by, second by second."""
        for _ in range(seconds):
            self.clock.advance(1.0)
            while self._work():
                self.clock.advance(0)

    def talk(self, user: str = "alice") -> Talk:
        """Return a new connection of *user*."""
        return Talk(self, user)

    def close(self) -> None:
        """End what would go on."""


class Talk:
    """One connection: what is said on it, and all that came back."""

    def __init__(self, house: House, user: str) -> None:
        self._house = house
        self.connection = ServerConnection(_Known(house.verbs, user), house.clock, Door())
        self.wire = Wire(self.connection)
        self.connection.makeConnection(self.wire)
        self.heard: list[Any] = self.wire.messages()[1:]
        self._asked = 0

    @property
    def over(self) -> bool:
        """Whether the server has ended it."""
        return self.wire.aborted or self.wire.disconnecting

    def say(self, *lines: str) -> list[Reply]:
        """Say whole requests, let the server work; return what was answered to them."""
        before = len(self.replies)
        self._asked += len(lines)
        self.send("".join(line + "\n" for line in lines).encode())
        return self.replies[before:]

    def send(self, *pieces: bytes) -> None:
        """Send raw bytes, piece by piece."""
        for piece in pieces:
            if not self.over:
                self.connection.dataReceived(piece)
        self._house.settle()
        self.heard += self.wire.messages()

    @property
    def replies(self) -> list[Reply]:
        """All replies that came."""
        return [one for one in self.heard if isinstance(one, Reply)]

    def check(self) -> None:
        """Raise `AssertionError` where something is not as the law of this module says."""
        self.heard += self.wire.messages()
        for reply in self.replies:
            assert reply.word is None or reply.word in CLASSES, f"a class of no document: {reply}"
            assert reply.word != "internal.error", f"the server failed: {reply}"
        if not self.over and len(self.replies) < self._asked:
            self._house.pass_time()
            self.heard += self.wire.messages()
            assert self.over or len(self.replies) >= self._asked, f"{len(self.replies)} of {self._asked} answered"


class DispatcherHouse(House):
    """A dispatcher with the files of an ``etc``, a TMS of alice's with a job that runs, and a web server."""

    def __init__(self) -> None:
        self.etc = tempfile.mkdtemp(prefix="tm-fuzz-")
        shutil.copytree(certificates(), os.path.join(self.etc, "certs"))
        for name, text in FILES.items():
            with open(os.path.join(self.etc, name), "w", encoding="utf-8") as file:
                file.write(text)
        clock, writer = Clock(), HandWorker()
        clock.advance(1_790_000_000.0)
        store = MemoryStore()
        around = Surroundings(
            cluster="physics", clock=clock, store=store, writer=writer, reader=ReadyWorker(), read_tables=self._tables,
            host_tables=HostsFile(self.etc), read_log=lambda wish: [], stop=lambda: None, people=PeopleFiles(self.etc),
            info=InfoFile(self.etc),
        )  # fmt: skip
        self.dispatcher = Dispatcher(around, store.load())
        self.dispatcher.startService()
        super().__init__(DispatcherVerbs(self.dispatcher, lambda transport: ""), clock, writer.work)

    def _tables(self) -> Tables:
        found = config.load(self.etc)
        raw = {**found.tables, "dispatcher": {"info": InfoFile(self.etc).table()}}
        return Tables(found.users, found.groups, found.hosts, raw)

    def furnish(self) -> dict[str, Talk]:
        """Let something be there: a job that runs, one that waits, an array; return the connections, by user."""
        talks = {user: self.talk(user) for user in (*USERS, "infoserver@n1", "web@physics")}
        server = talks["alice"]
        hello = {
            "host": "n1",
            "spool": "sp",
            "boot": "b",
            "epoch": 1,
            "run": "r",
            "mark": 0,
            "acked": 0,
            "holds": [],
        }
        orders = {"orders": [order("alice", environment=DIGEST)] * 2, "environments": {DIGEST: ENVIRONMENT}}
        array = {
            "orders": [order("alice", environment=DIGEST, array="0-2")],
            "environments": {DIGEST: ENVIRONMENT},
        }
        server.say('attach:{"version":"1","host":"here"}', "hello:" + json.dumps(hello))
        server.say(*("submit:" + json.dumps({"token": f"t{n}", **one}) for n, one in enumerate((orders, array))))
        talks["web@physics"].say('webjoin:{"url":"http://127.0.0.1:1/","version":"1"}')
        assert all(reply.ok for talk in talks.values() for reply in talk.replies), talks
        return talks

    def close(self) -> None:
        pulse = self.dispatcher._pulse
        if pulse.running:
            pulse.stop()
        shutil.rmtree(self.etc)


class AnsweringLink(HandLink):
    """A link to a dispatcher that answers everything with what comes next of *said*, over and over."""

    def __init__(self, said: Iterable[Reply] = ()) -> None:
        super().__init__()
        self._replies = list(said) or [Reply()]
        self._next = 0

    def ask(self, verb: str, rest: str | None = None, json: bool = False) -> Deferred[Reply]:
        if verb in ("attach", "hostnews"):
            return succeed(Reply())
        self._next += 1
        told = self._replies[self._next % len(self._replies)]
        return succeed(Reply(told.text, told.body, told.word))


class _UserServer(UserServerCase):
    def runTest(self) -> None:  # noqa: N802  a case is made without a method to run
        """Nothing is run."""


class UserHouse(House):
    """Alice's own server, whose dispatcher answers whatever *said* has."""

    def __init__(self, said: Iterable[Reply] = ()) -> None:
        case = _UserServer()
        case.setUp()
        case.link = AnsweringLink(said)
        case.up()
        self.server, self.link = case.server, case.link
        super().__init__(case.verbs, case.clock)


class InfoServerHouse(House):
    """An InfoServer of a made-up computer."""

    def __init__(self) -> None:
        info = InfoHouse()
        info.server.startService()
        self._server = info.server
        super().__init__(InfoVerbs(info.server, lambda transport: "alice"), info.clock, info.worker.work)
        self.settle()

    def close(self) -> None:
        self._server.stopService()
        self.settle()

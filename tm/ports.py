"""What the services ask of their adapters, and the values that pass between them.

A port promises behaviour and knows no library: whoever keeps the promise may stand behind it. One contract
suite per port is run by every adapter.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from tm.errors import LaunchError

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence

    from tm.model.accounting import Use, UseQuery
    from tm.model.audit import Change
    from tm.model.cluster import Spool
    from tm.model.decided import HostMemo
    from tm.model.effects import Attempt, JobEvent, Message, Records
    from tm.model.host import HostConfig
    from tm.model.job import Job
    from tm.model.paging import Position
    from tm.model.phase import Phase
    from tm.model.rights import Certificate, Groups, Users
    from tm.model.sessions import Session
    from tm.model.settings import Mail, Scheduling
    from tm.wire.message import Reply

_ADDRESS = re.compile(r"[A-Za-z0-9_.:@][A-Za-z0-9_.:@-]{0,254}\Z")
_USER = re.compile(r"[A-Za-z0-9_.][A-Za-z0-9_.-]{0,63}\Z")
_PATH = re.compile(r"(?:/|~/)[^\x00-\x1f\x7f\"\\$%]*\Z")
_PATH_OPTIONS = ("identity", "known_hosts", "config")
_OPTIONS = ("port", "user", *_PATH_OPTIONS)


@dataclass(frozen=True)
class Target:
    """A *host* by name, the *address* it is reached at, and the command *argv* to run there.

    *options* may hold ``port`` (1-65535), ``user``, and the paths ``identity``, ``known_hosts``,
    ``config`` (absolute or below ``~/``). Raises `LaunchError` (``config.host``) when one cannot be meant.
    """

    host: str
    address: str
    argv: Sequence[str]
    options: Mapping[str, object] = field(default_factory=dict)

    def __post_init__(self) -> None:
        if not _ADDRESS.match(self.address) or not self.hostname or self.hostname.startswith("-"):
            self._refuse(f"address {self.address!r} is not a host name, an IP address or USER@HOST")
        if not self.argv or not all(isinstance(word, str) and "\0" not in word for word in self.argv):
            self._refuse("the command must be a list of words without NUL")
        for name, value in self.options.items():
            self._check_option(name, value)
        if self.user is not None and not _USER.match(self.user):
            self._refuse(f"user {self.user!r} is not a user name")

    def _check_option(self, name: str, value: object) -> None:
        if name not in _OPTIONS:
            self._refuse(f"unknown option {name!r}; known are {', '.join(_OPTIONS)}")
        if name == "port":
            if isinstance(value, bool) or not isinstance(value, int) or not 0 < value < 65536:
                self._refuse(f"port must be a number from 1 to 65535, not {value!r}")
        elif not isinstance(value, str):
            self._refuse(f"option {name} must be a text, not {value!r}")
        elif name in _PATH_OPTIONS and not _PATH.match(value):
            self._refuse(f"option {name} must be a path that begins with '/' or '~/', without \" \\ $ %, not {value!r}")

    def _refuse(self, complaint: str) -> None:
        raise LaunchError("config.host", f"host {self.host}: {complaint}; correct etc/ComputerCluster.config")

    @property
    def hostname(self) -> str:
        """The address without ``USER@``."""
        return self.address.rpartition("@")[2]

    @property
    def user(self) -> str | None:
        """The account there: the option, else what stands before ``@`` in the address, else None."""
        value = self.options.get("user")
        if value is not None:
            return str(value)
        user, at, _ = self.address.rpartition("@")
        return user if at else None

    @property
    def port(self) -> int | None:
        """The port to reach, or None where nothing was said."""
        value = self.options.get("port")
        return value if isinstance(value, int) else None

    def path(self, name: str, home: str) -> str | None:
        """Return the path of option *name* with ``~/`` replaced by *home*, or None where nothing was said."""
        value = self.options.get(name)
        if value is None:
            return None
        text = str(value)
        return home.rstrip("/") + text[1:] if text.startswith("~/") else text


class Launcher(Protocol):
    """Starts a daemon on a host. It carries nothing afterwards: the daemon detaches and dials back."""

    async def launch(self, target: Target) -> str:
        """Run ``target.argv`` on the host; when it has ended there with status 0, return the last 8 KiB of its output.

        Raises `LaunchError` with the reason in one sentence: ``launch.command`` (here), ``ssh.hostkey``
        ``ssh.auth`` ``ssh.unreachable`` ``ssh.command`` ``ssh.config`` (there).
        """


class Tunnels(Protocol):
    """Ways back from hosts that cannot dial us; they end with the server that opened them."""

    async def open(self, target: Target, launcher: str) -> tuple[str, int]:
        """Return where on the host of *target* this server is reached, an address and a port there.

        Raises `LaunchError` as a launch does, ``ssh.tunnel`` where the host forwards nothing, ``config.launcher``
        where *launcher* cannot do it.
        """

    def close(self, host: str) -> None:
        """End the way back from *host*, if there is one."""


@dataclass(frozen=True, slots=True)
class JobQuery:
    """Which jobs to list: a user's (None: all), in these phases (empty: all), named like a glob, ids above *after*.

    Of an *array* its tasks that started; without one, no task of any: an array stands for them; with *each* every task
    that started, and the arrays that are not over. *also* are active jobs, by their ids, that are meant though their
    phase is none of those. *since* and *until* (seconds since the epoch) are when they ended, *account* the group they
    count for, *host* where they run or ran; *overlap* is a time in some of which they ran; *text* is somewhere in their
    id, their name or their command.

    *order* is one of `tm.model.paging.ORDERS`, *descending* turns it around; the page begins after *start*.
    """

    user: str | None = None
    phases: frozenset[Phase] = frozenset()
    name: str | None = None
    after: int = 0
    limit: int = 1000
    array: int | None = None
    since: float | None = None
    until: float | None = None
    account: str | None = None
    host: str | None = None
    text: str | None = None
    overlap: tuple[float, float] | None = None
    each: bool = False
    also: frozenset[int] = frozenset()
    order: str = "id"
    descending: bool = False
    start: Position | None = None

    @property
    def plain(self) -> bool:
        """Whether it is about all jobs of a user, or of everybody, in these phases."""
        some = (self.name, self.array, self.since, self.until, self.account, self.host, self.text, self.overlap)
        return some == (None,) * len(some) and not self.after


@dataclass(frozen=True, slots=True)
class StoreSize:
    """How large a store is: its file, the log of what is not in it yet, the files of its archive, its jobs."""

    bytes: int = 0
    wal: int = 0
    archive_bytes: int = 0
    jobs: int = 0


@dataclass(frozen=True, slots=True)
class Loaded:
    """What a store held when a new epoch began."""

    epoch: int
    next_id: int
    jobs: Sequence[Job]
    spools: Sequence[Spool]
    next_change: int = 1
    memos: Sequence[HostMemo] = ()
    known: str | None = None
    shares: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    families: Mapping[str, str] = field(default_factory=dict)
    messages: Sequence[Message] = ()
    sessions: Sequence[Session] = ()


class JobStore(Protocol):
    """What outlives the dispatcher. Every failure is a `StoreError`."""

    def load(self) -> Loaded:
        """Begin a new epoch, durably, and return all that is active."""

    def prepare(self, records: Records) -> object:
        """Return *records* as they are now, ready for `commit` in another thread."""

    def commit(self, batch: Any) -> None:
        """Make a prepared batch durable, wholly or not at all."""

    def submission(self, user: str, token: str) -> range | None:
        """Return the ids that were given to this token, or None."""

    def environment(self, digest: str) -> str | None:
        """Return the text of an environment, or None."""

    def job(self, number: int) -> Job | None:
        """Return a job as it was last committed, or None."""

    def jobs(self, query: JobQuery) -> list[Job]:
        """Return the first jobs of *query*, at most its limit, in its order."""

    def counted(self, query: JobQuery) -> dict[Phase, int]:
        """Return how many jobs there are of *query* in each phase, whatever its order, start and limit are."""

    def begun(self, array: int) -> Iterable[tuple[int, Phase]]:
        """Return (index, phase) of the tasks of *array* that have started."""

    def attempts(self, number: int) -> list[Attempt]:
        """Return the attempts of a job that another one followed, the first first."""

    def events(self, number: int) -> list[JobEvent]:
        """Return the story of a job, the first event first."""

    def uses(self, query: UseQuery) -> list[Use]:
        """Return what jobs used by user, account and month, some of these more than once."""

    def archive(self, before: float) -> int:
        """Move some jobs that ended before then (seconds since the epoch) out of the way of the others; return how
        many. Nothing that is asked by its id, its array or its time is missed afterwards."""

    def change(self, number: int) -> Change | None:
        """Return a record of the audit log, or None."""

    def changes(self, limit: int) -> list[Change]:
        """Return the last *limit* records of the audit log, ascending by number."""

    def size(self) -> StoreSize:
        """Return how large it is; jobs in the archive are not counted."""

    def close(self) -> None:
        """Let go of everything."""


@dataclass(frozen=True, slots=True)
class Edited:
    """A file of hosts after an edit: the *hosts* it describes now, and what takes the edit back (`ConfigError`).

    *scheduling* and *mail* are what it says of the cluster.
    """

    hosts: Sequence[HostConfig]
    take_back: Callable[[], None]
    scheduling: Scheduling
    mail: Mail


class HostTables(Protocol):
    """The configuration of hosts as one who changes it sees it. Every failure is a `ConfigError`.

    A *kind* is ``host``, ``host group``, ``defaults`` (one, named ``hosts``), ``scheduling``, ``licenses`` or ``mail``
    (one each, named ``cluster``).
    """

    def table(self, kind: str, name: str) -> dict[str, Any] | None:
        """Return the keys that stand there for *name* now, None when it is not there."""

    def merged(self, host: str) -> dict[str, Any]:
        """Return the keys that hold for *host*: its own, its group's, the defaults'; none when it is not there."""

    def edit(self, kind: str, name: str, wanted: Mapping[str, Any] | None) -> Edited:
        """Give *name* the table *wanted* (None: take it out), durably; all else stays as somebody wrote it."""

    def edit_all(self, changes: Sequence[tuple[str, str, Mapping[str, Any] | None]]) -> Edited:
        """Do several edits (kind, name, table) in one step, or none."""


class DispatcherInfo(Protocol):
    """The file that says where the dispatcher is. Every failure is a `ConfigError`."""

    def table(self) -> dict[str, Any]:
        """Return what stands there now."""

    def edit(self, wanted: Mapping[str, Any]) -> Callable[[], None]:
        """Give the keys of *wanted* other values, durably; return what takes this back. Comments stay."""


class Edition(Protocol):
    """Users and groups as their files say, or would after a change."""

    users: Users
    groups: Groups

    def table(self, kind: str, name: str) -> dict[str, Any] | None:
        """Return what stands about the ``user`` or ``group`` *name* in its file, None when there is nothing."""

    def changed(self, changes: Sequence[tuple[str, str, Mapping[str, Any] | None]]) -> Edition:
        """Return the edition after *changes* (kind, name, table or None); nothing is written. Raises `ConfigError`."""

    def write(self) -> Callable[[], None]:
        """Write what this edition changes; return what puts it back. Raises `ConfigError`."""


class PeopleFiles(Protocol):
    """The files that say who people are and what they may."""

    def read(self) -> Edition:
        """Return what they say now; raise `ConfigError` with every complaint."""

    def check_certificate(self, text: str, now: float) -> tuple[Certificate, str]:
        """Return what a certificate is that is handed over, and its PEM; raise `RefusedError` ``user.certificate``."""

    def keep_certificate(self, user: str, one: Certificate, text: str) -> tuple[str, Callable[[], None]]:
        """Keep *text* as a file; return its name, as it stands in a user's table, and what takes it back."""


class Peer(Protocol):
    """A connection whose other side is known; *user* is who it is."""

    user: str

    @property
    def fingerprint(self) -> str:
        """The SHA-256 of the certificate that was presented, in lower-case hex; empty on a Unix socket."""

    def send_event(self, json: bytes) -> None:
        """Send an event line."""

    def send_bulk(self, channel: int, data: bytes) -> None:
        """Send raw bytes of a channel."""

    def on_close(self, callback: Callable[[], object]) -> None:
        """Have *callback* called when the connection is gone: at once where it is."""

    def abort(self) -> None:
        """Cut the connection."""

    def keep(self) -> None:
        """Treat this as a daemon's link: silence of 90 s cuts it."""

    def wait_for_ever(self) -> None:
        """Let the peer be silent: it listens to events."""

    def hold(self, held: bool) -> None:
        """Stop reading from this peer for somebody else's sake, or go on."""

    def on_congestion(self, callback: Callable[[bool], None]) -> None:
        """Have *callback* called, now and whenever it changes, with whether this peer does not keep up reading."""


class Link(Protocol):
    """A connection that we dialled: requests are answered in their order."""

    def ask(self, verb: str, rest: str | None = None, json: bool = False) -> Awaitable[Reply]:
        """Send a request; its reply comes, or `TaskManagerError` ``net.lost`` when the connection is gone."""

    def send_bulk(self, channel: int, data: bytes) -> None:
        """Send raw bytes of a channel."""


class Output(NamedTuple):
    """The output of an attempt *key*, which goes into the file *bundle*; *about* is what is said of it there."""

    key: tuple[int, int]
    bundle: str
    about: dict[str, Any]


class Here(Protocol):
    """Reads outputs of jobs that have ended on this machine, off the reactor's thread, for a `Peer`: events
    ``{"state":"reading"|"read","places":[[CHANNEL,PLACE],…]}``, between them the bytes, no more than it takes."""

    async def read(self, peer: Peer, files: list[tuple[int, str, int]], lines: int | None) -> bool:
        """Read *files* (channel, path, place; below 0: the last *lines*, or all); return whether any is here."""

    async def read_task(self, peer: Peer, path: str, task: int, at: int, lines: int | None) -> bool:
        """Read what *task* wrote out of the bundle at *path*; return whether it is here. Raises `RefusedError`."""


class Worker(Protocol):
    """Does blocking work, one piece after the other, without making the reactor wait."""

    def run(self, work: Callable[[], Any], brief: bool = False) -> Any:
        """Return a Deferred of what *work* returns or raises; if it is *brief* it may be done already."""

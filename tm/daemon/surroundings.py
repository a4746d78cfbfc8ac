"""What a dispatcher is given when it is made: what the files of ``etc/`` say, and the ways to reach the world."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field

from twisted.internet.interfaces import IReactorTime

from tm.daemon.info_names import InfoCare
from tm.daemon.post_office import Mailer, no_mailer
from tm.model.audit import RawTables
from tm.model.host import HostConfig
from tm.model.log_wish import LogWish
from tm.model.rights import Groups, Users
from tm.model.settings import Mail, Scheduling
from tm.ports import DispatcherInfo, HostTables, JobStore, PeopleFiles, Worker


@dataclass(frozen=True, slots=True)
class Tables:
    """What the files of ``etc/`` say; *raw* are the tables as they stand there."""

    users: Users
    groups: Groups
    hosts: tuple[HostConfig, ...]
    raw: RawTables = field(default_factory=dict)
    scheduling: Scheduling = field(default_factory=Scheduling)
    mail: Mail = field(default_factory=Mail)


@dataclass(frozen=True, slots=True)
class Surroundings:
    """What a dispatcher is given: its name, its certificate (and until when that is valid), and the ways to the world.

    Without *infoservers* it starts none; without *people* it changes neither users nor groups. *mailer* gives what
    sends mail by these settings; *info* says where the dispatcher is.
    """

    cluster: str
    clock: IReactorTime
    store: JobStore
    writer: Worker
    reader: Worker
    read_tables: Callable[[], Tables]
    host_tables: HostTables
    read_log: Callable[[LogWish], list[str]]
    stop: Callable[[], None]
    fingerprint: str = ""
    not_after: float = math.inf
    infoservers: InfoCare | None = None
    people: PeopleFiles | None = None
    mailer: Callable[[Mail], Mailer] = no_mailer
    info: DispatcherInfo | None = None

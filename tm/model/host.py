"""What the configuration says about a host. How it is at the moment is not configuration."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum

import msgspec

LAUNCHERS = ("openssh", "local", "conch")


class Courtesy(StrEnum):
    """What TaskManager does when people outside it need a host: its load policy."""

    IGNORE = "ignore"
    NO_NEW_JOBS = "no-new-jobs"
    NICE = "nice"
    SUSPEND = "suspend"
    GIVE_WAY = "give-way"


class HostConfig(msgspec.Struct, frozen=True, kw_only=True):
    """One ``[hosts.NAME]`` of ``ComputerCluster.config``, with what ``[host_groups.…]`` and ``[defaults]`` add.

    *address* is what the launcher dials; *cores* is None when the machine is to be asked, *memory* (bytes) is
    None when it is not limited, *gpus* None when InfoServer is to be asked; nothing starts on a host that is not
    *active*. *consumables* are named things that are counted there, e.g. licences.

    *policy* is what happens when others need the host, *console_idle* (seconds; 0: the console does not matter) how
    long after a touch of its keyboard somebody is still at it, *hours* when jobs may start (``mon-fri 20:00-07:00``;
    none: always). *users* may use it (names, ``@GROUP``, ``*``), *owners* are the people of the host, who may send
    TaskManager away.

    *python*, *root* and *program* say where the installation is on that host where that differs: its Python, its
    folder, or the one-file program in place of both. *infoserver* says whether an InfoServer is kept there, on port
    *info_port* (0: any); *tunnel* whether its servers reach ours through ssh.
    """

    name: str
    address: str
    group: str = ""
    launcher: str = "openssh"
    options: Mapping[str, str | int | bool] = {}
    cores: int | None = None
    memory: int | None = None
    gpus: int | None = None
    features: tuple[str, ...] = ()
    consumables: Mapping[str, int] = {}
    active: bool = True
    policy: Courtesy = Courtesy.NO_NEW_JOBS
    console_idle: float = 300.0
    hours: tuple[str, ...] = ()
    users: tuple[str, ...] = ("*",)
    owners: tuple[str, ...] = ()
    python: str = ""
    root: str = ""
    program: str = ""
    infoserver: bool = True
    info_port: int = 0
    tunnel: bool = False

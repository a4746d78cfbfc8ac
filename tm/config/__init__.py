"""The files of ``etc`` → frozen values. All or nothing: a faulty file gives every complaint at once.

``users`` says who people are, ``groups`` what they may, ``ComputerCluster.config`` which hosts there are;
all three are TOML.
"""

from __future__ import annotations

import os
import stat
from typing import Any

import msgspec

from tm.config import cluster, hosts, people
from tm.config.document import Document
from tm.config.editing import add_certificate
from tm.errors import ConfigError
from tm.model.host import HostConfig
from tm.model.rights import Groups, Users
from tm.model.settings import Mail, Scheduling

__all__ = ["Configuration", "add_certificate", "load"]


_TABLES = {"users": "user", "groups": "group", "hosts": "host", "host_groups": "host group"}
_SINGLE = {"defaults": "hosts", "removed": "users", **dict.fromkeys(cluster.TABLES, "cluster")}


class Configuration(msgspec.Struct, frozen=True):
    """All that ``etc`` says; *tables* are the tables as they stand there, by kind and name: ``["host"]["n1"]``."""

    users: Users
    groups: Groups
    hosts: tuple[HostConfig, ...]
    tables: dict[str, dict[str, dict[str, Any]]] = {}
    scheduling: Scheduling = Scheduling()
    mail: Mail = Mail()


def load(etc: str, uid: int | None = None) -> Configuration:
    """Return what the folder *etc* says; raise `ConfigError` with every complaint.

    The files must belong to the user number *uid* (the caller's by default) or to root, and not be writable
    by everybody.
    """
    owners = (os.getuid() if uid is None else uid, 0)
    documents = [Document(os.path.join(etc, name), owners) for name in (people.USERS, people.GROUPS, hosts.NAME)]
    users = people.read_users(documents[0])
    groups = people.read_groups(documents[1], users) if not documents[0].complaints else Groups()
    found = hosts.read_hosts(documents[2])
    scheduling, mail = cluster.read_scheduling(documents[2], found), cluster.read_mail(documents[2])
    complaints = _folder(etc) + [complaint for document in documents for complaint in document.complaints]
    if complaints:
        raise ConfigError(complaints)
    return Configuration(users, groups, found, _tables([document.data for document in documents]), scheduling, mail)


def _tables(files: list[dict[str, Any]]) -> dict[str, dict[str, dict[str, Any]]]:
    tables: dict[str, dict[str, dict[str, Any]]] = {}
    for data in files:
        for key, value in data.items():
            tables[_TABLES.get(key, key)] = {_SINGLE[key]: value} if key in _SINGLE else value
    return tables


def _folder(etc: str) -> list[str]:
    try:
        mode = os.stat(etc).st_mode
    except OSError as error:
        return [f"{etc}: {error.strerror}; 'tm setup' makes it"]
    return [f"{etc}: everybody may write in it; say 'chmod o-w {etc}'"] if mode & stat.S_IWOTH else []

"""What ``tm setup`` does: the first files of a cluster's ``etc``. What is there already stays as it is."""

from __future__ import annotations

import os
import re
from collections.abc import Mapping

from tm.edge.certificates import write_new
from tm.errors import ConfigError
from tm.places import read_info, valid_name

_ADDRESS = re.compile(r"[A-Za-z0-9_.:][A-Za-z0-9_.:-]{0,252}\Z")
_USERS = """\
# Who may use this cluster: users and their certificates, relative to this folder. 'tm users' changes this file while
# the dispatcher runs, 'tm cert create USER EMAIL --register' and 'tm cert accept FILE' without it; 'reload' reads it.
"""
_GROUPS = """\
# Who may do what beyond their own jobs, and how much; 'tm groups' changes this file, 'reload' reads it.
# groups.sample describes every line. The member "*" is everybody.

[groups.admins]
members = []
rights = ["all"]
"""
_INFO = """\
# Where the TaskDispatcher is; every client and every server reads this file.
cluster = {cluster}
host = {host}
port = {port}
"""
_HOSTS = """\
# The hosts that calculate. ComputerCluster.config.sample describes every line; 'reload' makes changes count.

# This machine, started without ssh; for other machines leave the line 'launcher' out.
[hosts.{name}]
launcher = "local"
"""


def setup(etc: str, wanted: Mapping[str, str], this_host: str) -> list[str]:
    """Write what is absent of the files in *etc*; return a line for each.

    *wanted* may hold ``cluster``, ``host`` (*this_host* by default) and ``port``. Raises `ConfigError`.
    """
    os.makedirs(etc, exist_ok=True)
    path = os.path.join(etc, "TaskDispatcher.info")
    if os.path.exists(path):
        info = _agreed(path, wanted)
    else:
        info = {"cluster": "cluster", "host": this_host, "port": "10101", **wanted}
        _check(info)
    lines = [_write(path, _INFO.format(**info))]
    host = info["host"].partition(".")[0]
    texts = {
        "users": _USERS,
        "groups": _GROUPS,
        "ComputerCluster.config": _HOSTS.format(name=_host_name(host)),
    }
    lines += [_write(os.path.join(etc, file), text) for file, text in texts.items()]
    return [
        *lines,
        "Next: become a user with 'tm cert create USER EMAIL --register', put USER into the group admins,",
        f"and start the dispatcher with 'twistd taskdispatcher --init -p {info['port']}', later without --init.",
    ]


def _agreed(path: str, wanted: Mapping[str, str]) -> dict[str, str]:
    there = read_info(path)
    for key, value in wanted.items():
        if there[key] != value:
            raise ConfigError(
                [f"{path}: says {key} = {there[key]}, not {value}; edit it there"], "config.exists"
            )
    return there


def _check(info: Mapping[str, str]) -> None:
    if not valid_name(info["cluster"]):
        raise ConfigError([f"'{info['cluster']}' cannot name a cluster; expected letters, digits, '_.-'"])
    if not _ADDRESS.match(info["host"]):
        raise ConfigError([f"'{info['host']}' is no host name or address"])
    if not (info["port"].isdigit() and 0 < int(info["port"]) < 65536):
        raise ConfigError([f"port {info['port']}: expected a number from 1 to 65535"])


def _host_name(host: str) -> str:
    return host if valid_name(host) and not host.isdigit() else "here"


def _write(path: str, text: str) -> str:
    if os.path.exists(path):
        return f"{path}: is there already, left as it is"
    write_new(path, text.encode())
    return f"{path}: written"

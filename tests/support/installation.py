"""The files of a private cluster in a temporary folder: its ``etc``, its users' keys, where everything is.

All users run under the account of the tests; ``TM_USER``, ``TM_USER_DIRECTORY``, ``TM_LOCAL_DIRECTORY`` and ``TM_ETC``
tell them apart.
"""

from __future__ import annotations

import datetime
import json
import os
import random
import shutil
import socket
import sys
import tempfile
from collections.abc import Iterable, Mapping
from pathlib import Path

from tm.cli.certs import Administration
from tm.cli.setup import setup

HOSTS: Mapping[str, Mapping[str, object]] = {"n1": {"launcher": "local", "cores": 2}}


class Installation:
    """An installation with its *users* (the first one administers it) and *hosts* (tables of the configuration)."""

    def __init__(
        self, users: Iterable[str] = ("alice", "bob"), hosts: Mapping[str, Mapping[str, object]] = HOSTS
    ) -> None:
        self.folder = tempfile.mkdtemp(prefix="tm-", dir="/tmp")
        self.etc = os.path.join(self.folder, "etc")
        self.state = os.path.join(self.folder, "var")
        self.work = os.path.join(self.folder, "work")
        self.ledger_path = os.path.join(self.folder, "ledger")
        self.failpoint = ""
        self.more: dict[str, str] = {}
        self.users = list(users)
        self.port = free_port()
        self._rounds = 0
        try:
            self._install(hosts)
        except BaseException:
            shutil.rmtree(self.folder, ignore_errors=True)
            raise

    def _install(self, hosts: Mapping[str, Mapping[str, object]]) -> None:
        os.mkdir(self.work)
        setup(self.etc, {"cluster": "test", "host": "localhost", "port": str(self.port)}, "localhost")
        administration = Administration(self.etc, ("localhost",), datetime.datetime.now(datetime.UTC), 60)
        for user in self.users:
            administration.create(user, f"{user}@example.org", register=True)
            home = self.directory(user)
            os.makedirs(home, mode=0o700)
            for name in (f"{user}.key", f"{user}.crt", f"ca_certs.{user}.crt"):
                shutil.move(os.path.join(self.etc, "certs", name), home)
                if name.endswith(".crt"):
                    shutil.copy(os.path.join(home, name), os.path.join(self.etc, "certs"))
        rights = '["hosts", "jobs", "users", "reload", "log", "audit", "shutdown", "properties"]'
        self.write_etc("groups", f'[groups.admins]\nmembers = ["{self.users[0]}"]\nrights = {rights}\n')
        self.configure(hosts)

    def configure(self, hosts: Mapping[str, Mapping[str, object]]) -> None:
        """Write the table of hosts; one that does not ask for an InfoServer has none."""
        lines = []
        for name, table in hosts.items():
            lines.append(f"[hosts.{name}]")
            lines += [f"{key} = {_toml(value)}" for key, value in {"infoserver": False, **table}.items()]
        self.write_etc("ComputerCluster.config", "\n".join([*lines, ""]))

    def write_etc(self, name: str, text: str) -> None:
        """Write a file of ``etc/``."""
        Path(self.etc, name).write_text(text)

    def directory(self, user: str) -> str:
        """The folder of the user's key and certificates."""
        return os.path.join(self.folder, "home", user)

    def local(self, user: str) -> str:
        """The folder of the user's servers."""
        return os.path.join(self.folder, "local", user)

    def spool(self, user: str, host: str = "n1") -> str:
        """The spool of the user's server on *host*."""
        return os.path.join(self.local(user), "hosts", host)

    def pair(self, user: str) -> tuple[str, str]:
        """The user's certificate and key."""
        return (
            os.path.join(self.directory(user), user + ".crt"),
            os.path.join(self.directory(user), user + ".key"),
        )

    def environment(self, user: str) -> dict[str, str]:
        """The environment of *user*'s processes."""
        return {
            "PATH": os.path.dirname(sys.executable) + ":/usr/bin:/bin", "HOME": self.directory(user),
            "LANG": "C.UTF-8", "TM_ETC": self.etc, "TM_USER": user, "TM_USER_DIRECTORY": self.directory(user),
            "TM_LOCAL_DIRECTORY": self.local(user), "TM_PYTHON": sys.executable,
            **({"TM_FAILPOINT": self.failpoint} if self.failpoint else {}), **self.more,
        }  # fmt: skip

    def arm(self, name: str, nth: int = 1) -> str:
        """Let the first who comes to the failpoint *name* the *nth* time die; return the file that it makes."""
        self._rounds += 1
        mark = os.path.join(self.folder, f"died-{self._rounds}")
        self.failpoint = f"{name}:{nth}:{mark}"
        return mark


def free_port() -> int:
    """Return a port of loopback that nobody listens on, below those that the kernel gives to outgoing connections.

    A port of theirs could be taken while a dispatcher is down, by a connection to anywhere.
    """
    for port in random.SystemRandom().sample(range(12000, 20000), 200):
        with socket.socket() as probe:
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return port
    raise AssertionError("no port from 12000 to 19999 is free")


def _toml(value: object) -> str:
    if isinstance(value, Mapping):
        return "{ " + ", ".join(f"{key} = {_toml(item)}" for key, item in value.items()) + " }"
    return json.dumps(value)

"""A cluster of this machine alone: its ``etc``, its certificates, where its files are.

What it writes it marks, and it changes and removes nothing that has not its mark.
"""

from __future__ import annotations

import os
import random
import secrets
import shutil
import socket
import subprocess

from tm import places
from tm.cli.here import Here
from tm.cli.quick.steps import QuickError
from tm.client.tms import make_directory
from tm.errors import TaskManagerError
from tm.places import Places, valid_name
from tm.store.schema import network_file_system

MARK = "# Written by quickstart.py; 'python3 quickstart.py clean' removes it.\n"
LONGEST_FOLDER = 60
LONGEST_HOST = 24
PORTS = range(20000, 32000)  # below those that the system gives to outgoing connections
INFO, USERS, GROUPS, HOSTS = "TaskDispatcher.info", "users", "groups", "ComputerCluster.config"


class Installation:
    """The cluster of the checkout *root*; *python* is the one that has the libraries."""

    def __init__(self, root: str, python: str) -> None:
        self._root = root
        self._python = python
        self.etc = os.path.join(root, "etc")
        self.var = os.path.join(root, "var")
        self._complete = os.path.join(self.var, "quickstart.complete")
        self._info = os.path.join(self.etc, INFO)

    # -- what is there --------------------------------------------------------------------------------------------

    @property
    def is_complete(self) -> bool:
        """Whether it has been set up, and by us."""
        return self.is_ours() and os.path.exists(self._complete)

    def is_ours(self) -> bool:
        """Whether what ``etc`` says is ours to change. Raises `QuickError` when it is somebody else's."""
        if os.path.exists(self._info):
            with open(self._info, encoding="utf-8", errors="replace") as file:
                if file.readline() == MARK:
                    return True
        others = [name for name in (INFO, USERS, GROUPS, HOSTS) if os.path.exists(os.path.join(self.etc, name))]
        if others:
            raise QuickError(
                f"{os.path.join(self.etc, others[0])} is the configuration of a real cluster, which quickstart does "
                "not touch; use a checkout of its own for trying out, e.g. 'git clone . /tmp/try'"
            )
        return False

    def here(self) -> Here:
        """Return the daemons of this installation; only when it is complete."""
        found = self.places()
        return Here(found, self._state(found.local_directory))

    def places(self) -> Places:
        """Return where everything is; the environment decides nothing."""
        return places.find({"TM_ETC": self.etc, "TM_PYTHON": self._python})

    def _state(self, local_directory: str) -> str:
        """Return the dispatcher's folder: ``var``, unless that is on a network file system."""
        return self.var if not network_file_system(self._root) else os.path.join(local_directory, "dispatcher")

    # -- setting up -----------------------------------------------------------------------------------------------

    def set_up(self) -> bool:
        """Make the files of the cluster; return False when all was there. Raises `QuickError`."""
        if self.is_complete:
            return False
        if self.is_ours():
            self.remove()
        os.umask(os.umask(0) | 0o022)
        os.makedirs(self.etc, exist_ok=True)
        os.makedirs(self.var, mode=0o700, exist_ok=True)
        user = user_name()
        cluster = f"quickstart-{secrets.token_hex(2)}"
        self._write(
            INFO,
            f"cluster = {cluster}\nhost = localhost\nport = {free_port()}\n"
            f"user_directory = {os.path.join(self.var, 'user')}\nlocal_directory = {self._local_directory(cluster)}\n",
        )
        self._write(GROUPS, f'[groups.admins]\nmembers = ["{user}"]\n' + RIGHTS)
        cores = len(os.sched_getaffinity(0))
        self._write(
            HOSTS,
            f'[hosts.{host_name()}]\nlauncher = "local"\ncores = {cores}\n'
            'policy = "ignore"  # this machine is yours: what else it does keeps no job waiting\n',
        )
        self._write(USERS, "")
        self._make_certificates(user)
        with open(self._complete, "w", encoding="ascii"):
            return True

    def change_port(self) -> None:
        """Choose another port for the dispatcher."""
        with open(self._info, encoding="utf-8") as file:
            lines = [line if not line.startswith("port") else f"port = {free_port()}\n" for line in file]
        self._write(INFO, "".join(lines[1:]))

    def remove(self) -> None:
        """Remove all that `set_up` has made, and what has come of it since. The daemons must have ended."""
        if not self.is_ours():
            return
        try:
            local = places.read_info(self._info).get("local_directory", "")
        except TaskManagerError:
            local = ""
        if local.endswith(tuple(f"quickstart-{number:04x}" for number in range(65536))):
            shutil.rmtree(local, ignore_errors=True)
        shutil.rmtree(self.var, ignore_errors=True)
        shutil.rmtree(os.path.join(self.etc, "certs"), ignore_errors=True)
        for name in (USERS, GROUPS, HOSTS, INFO):
            if os.path.exists(os.path.join(self.etc, name)):
                os.unlink(os.path.join(self.etc, name))

    def _write(self, name: str, text: str) -> None:
        path = os.path.join(self.etc, name)
        with open(path + ".new", "w", encoding="utf-8") as file:
            file.write(MARK + text)
        os.rename(path + ".new", path)

    def _local_directory(self, cluster: str) -> str:
        """Return the daemons' folder: in ``var`` where paths of sockets fit, on a local disk, and nobody meddles."""
        beside = os.path.join(self.var, "local")
        elsewhere = f"/var/tmp/taskmanager-{os.getuid()}/{cluster}"
        if len(beside) >= LONGEST_FOLDER or network_file_system(self._root):
            return elsewhere
        try:
            make_directory(beside)
        except TaskManagerError:
            return elsewhere
        return beside

    def _make_certificates(self, user: str) -> None:
        command = [self._python, os.path.join(self._root, "bin", "tm"), "cert", "create", "--register"]
        done = subprocess.run(
            [*command, "--etc", self.etc, user, f"{user}@localhost"],
            stdin=subprocess.DEVNULL, capture_output=True, text=True, errors="replace",
        )  # fmt: skip
        if done.returncode:
            raise QuickError(f"no certificates can be made: {done.stderr.strip()}")
        own = os.path.join(self.var, "user")
        certs = os.path.join(self.etc, "certs")
        os.makedirs(own, mode=0o700, exist_ok=True)
        shutil.copy2(os.path.join(certs, f"{user}.crt"), own)
        for name in (f"{user}.key", f"ca_certs.{user}.crt"):
            shutil.move(os.path.join(certs, name), os.path.join(own, name))


RIGHTS = 'rights = ["all"]\n'


def user_name() -> str:
    """Return the name of this account. Raises `QuickError` when TaskManager cannot take it."""
    user = places.find_user({})
    if not valid_name(user):
        raise QuickError(
            f"the account's name '{user}' has other characters than letters, digits, '_', '.' and '-'; "
            "run quickstart under another account"
        )
    return user


def host_name() -> str:
    """Return the first part of this machine's name, or ``here`` when it does not serve."""
    name = socket.gethostname().partition(".")[0]
    return name if valid_name(name) and "." not in name and len(name) <= LONGEST_HOST else "here"


def free_port() -> int:
    """Return a port of loopback on which nobody listens. Raises `QuickError`."""
    for port in random.sample(PORTS, 200):
        with socket.socket() as sock:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                sock.bind(("127.0.0.1", port))
                return port
            except OSError:
                continue
    raise QuickError(f"no port from {PORTS.start} to {PORTS.stop - 1} is free on this machine; end what uses them")

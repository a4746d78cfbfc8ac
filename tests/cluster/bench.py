"""Several machines in this one: each with an address, files, processes, a name, a boot and an sshd of its own.

A `Bench` is a tree of namespaces. Its *ground* holds the bridge, the accounts and the homes that all machines share;
each `Machine` has its own network, mounts (``/tmp``, a small ``/var/tmp``), processes, host name and boot id. Nothing
of it is to be seen from outside, and nothing outlives the process that made it: the first process of each namespace
ends when its input does, and the kernel kills and removes the rest. So a run that was killed leaves nothing to find.

The accounts are in the bench's ``/etc/passwd`` alone; the homes, mode 0700, and the installation are the same
everywhere, as on a network file system.
"""

from __future__ import annotations

import os
import shutil
import stat
import subprocess
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path

from tests.cluster import accounts
from tests.cluster.accounts import BASE
from tests.cluster.machine import PLAIN_USER, ROOT, Machine
from tests.cluster.namespace import SEARCHED, BenchError, Namespace, checked
from tests.support import checkout

PYTHON = f"{ROOT}/.venv/bin/python"
NETWORK = "10.77.0"
MOST_HOSTS = 80
NEEDED = ("ip", "unshare", "nsenter", "setpriv", "mount", "ssh", "ssh-keygen", "sshd")


def obstacle() -> str:
    """Return why there can be no bench here; empty when there can."""
    if os.getuid() != 0:
        return "only root can make the machines of a bench"
    missing = [name for name in NEEDED if shutil.which(name, path=SEARCHED) is None]
    if missing:
        return f"the bench needs {', '.join(missing)}, of openssh-server, openssh-client, iproute2 and util-linux"
    if found := accounts.clash():
        return f"/etc/passwd has an account of the bench: {found}"
    tried = subprocess.run(["unshare", "-muipnf", "true"], capture_output=True, text=True)
    return f"this system allows no namespaces: {tried.stderr.strip()}" if tried.returncode else ""


class Bench:
    """A network with a dispatcher's machine ``td`` and *hosts*; a context manager that removes it."""

    def __init__(self, hosts: Iterable[str] = ("n1", "n2", "n3", "n4")) -> None:
        if why := obstacle():
            raise BenchError(why)
        names = ["td", *hosts]
        self._needed = sorted({os.path.realpath(path) for path in (sys.prefix, sys.base_prefix)})
        self.machines: dict[str, Machine] = {}
        self.ground = Namespace(self._ground_plan())
        try:
            self._furnish()
            for name in names:
                self.add(name)
            self.write_known_hosts()
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> Bench:
        return self

    def __exit__(self, *failure: object) -> None:
        self.close()

    def __getitem__(self, name: str) -> Machine:
        return self.machines[name]

    def close(self) -> None:
        """Kill and remove all of it."""
        self.ground.end()
        for one in self.machines.values():
            one.forget()

    def address(self, name: str) -> str:
        """Return the address of a machine, also of one that is not there yet: ``td`` is 10, ``nK`` is 10 + K."""
        return f"{NETWORK}.{10 + int(name[1:] if name != 'td' else 0)}"

    # -- making it ------------------------------------------------------------------------------------------------

    def _ground_plan(self) -> dict[str, object]:
        every = ["td", *(f"n{number}" for number in range(1, MOST_HOSTS + 1))]
        hosts = [f"{self.address(name)} {name}" for name in every]
        files = {**accounts.files(), f"{BASE}/etc/hosts": ("\n".join(["127.0.0.1 localhost", *hosts, ""]), 0o644)}
        masks: dict[str, list[str]] = {"/run": []}
        for path in self._needed:
            above = reversed(Path(path).parents)
            private = [str(parent) for parent in above if not parent.stat().st_mode & stat.S_IXOTH]
            if private:
                masks.setdefault(private[0], []).append(path)
        return {
            "name": "ground", "files": files,
            "masks": [[folder, "mode=755", shown] for folder, shown in masks.items()],
            "copies": [["/etc", BASE]], "binds": [[f"{BASE}/etc", "/etc"]],
        }  # fmt: skip

    def _furnish(self) -> None:
        """Lay the bridge, the installation, the homes and what ssh needs."""
        for command in ("link set lo up", "link add bridge type bridge forward_delay 0", "link set bridge up"):
            self.ip(command)
        os.mkdir(self.path("/run/sshd"), 0o755)
        Path(self.path("/run/utmp")).touch()
        for folder in ("home", "machines", "exchange"):
            os.mkdir(self.path(f"{BASE}/{folder}"), 0o755)
        os.chmod(self.path(f"{BASE}/exchange"), 0o1777)
        checkout.copy_checkout(self.path(ROOT))
        os.symlink(sys.prefix, self.path(ROOT + "/.venv"))
        accounts.make_homes(self.path(""), "")
        self.run([PYTHON, "-m", "compileall", "-q", *(f"{ROOT}/{name}" for name in ("tm", "tests/support", "twisted"))])
        owner = str(accounts.NUMBER[accounts.DISPATCHER])
        self.run(["chown", "-R", "--no-dereference", f"{owner}:{owner}", ROOT])
        self.run(["chmod", "-R", "a+rX", ROOT])

    def add(self, name: str) -> Machine:
        """Switch on one more machine."""
        self.machines[name] = added = Machine(self, name, self.address(name))
        added.power_on()
        return added

    def write_known_hosts(self, names: Iterable[str] = accounts.NAMES) -> None:
        """Let the accounts *names* know the present keys of all machines."""
        lines = [f"{name},{one.address} {one.host_key}\n" for name, one in self.machines.items()]
        for name in names:
            Path(self.path(f"{accounts.home(name)}/.ssh/known_hosts")).write_text("".join(lines))

    # -- using it -------------------------------------------------------------------------------------------------

    def path(self, path: str) -> str:
        """Return the name that a file which all machines share has out here."""
        return self.ground.path(path)

    def ip(self, command: str) -> None:
        """Run ``ip COMMAND`` where the bridge is."""
        checked([*self.ground.enter("net"), "ip", *command.split()])

    def run(self, argv: Sequence[str]) -> None:
        """Run a command as root where all that is shared is seen."""
        checked([*self.ground.enter(), *argv], env={"PATH": SEARCHED, **PLAIN_USER})

    def shown_to(self, folder: str) -> list[str]:
        """Return what of the Python we run with is below *folder*."""
        return [path for path in self._needed if path.startswith(folder + "/")]

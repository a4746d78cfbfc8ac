"""A machine of the bench: power, cable, disk, sshd, console, and the processes that run on it."""

from __future__ import annotations

import ctypes
import os
import shutil
import signal
import socket
import struct
import subprocess
import threading
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Protocol

from tests.cluster import accounts
from tests.cluster.accounts import BASE
from tests.cluster.namespace import END_SECONDS, SEARCHED, START_SECONDS, BenchError, Namespace, Process, checked

ROOT = f"{BASE}/taskmanager"
DISK_SIZE = "64m"
NOTHING: Mapping[str, str] = MappingProxyType({})
CLONE_NEWNET = 0x40000000
LIBC = ctypes.CDLL(None, use_errno=True)
CONSOLE = "tty1"
UTMP = "=hxxi32s4s32s256shhiii4i20s"  # an entry of a login, see utmp(5)
PLAIN_USER = {"LANG": "C.UTF-8", "SHELL": "/bin/bash"}
SSHD_CONFIG = """\
Port 22
ListenAddress 0.0.0.0
HostKey {folder}/host_key
PidFile none
AllowUsers {users}
PasswordAuthentication no
KbdInteractiveAuthentication no
PermitRootLogin no
UsePAM no
UseDNS no
PrintMotd no
MaxStartups 100
"""


class Surroundings(Protocol):
    """What a machine needs of its bench."""

    ground: Namespace

    def path(self, path: str) -> str:
        """Return the name that a file which all machines share has out here."""

    def ip(self, command: str) -> None:
        """Run ``ip COMMAND`` where the bridge is."""

    def run(self, argv: Sequence[str]) -> None:
        """Run a command as root where all that is shared is seen."""

    def shown_to(self, folder: str) -> list[str]:
        """Return what of the Python we run with is below *folder*."""


class Machine:
    """One machine; `address` and `host_key` are what others know it by."""

    def __init__(self, bench: Surroundings, name: str, address: str) -> None:
        self.bench = bench
        self.name = name
        self.address = address
        self.boots = 0
        self.is_cut = False
        self._strangers: list[subprocess.Popen[bytes]] = []
        self._folder = f"{BASE}/machines/{name}"
        self._space: Namespace | None = None
        os.makedirs(bench.path(f"{self._folder}/disk"), 0o755)
        self.host_key = accounts.make_key(bench.path(f"{self._folder}/host_key"), name)
        self._write("sshd_config", SSHD_CONFIG.format(folder=self._folder, users=" ".join(accounts.NAMES)))
        self.new_disk()

    def _write(self, name: str, text: str) -> None:
        Path(self.bench.path(f"{self._folder}/{name}")).write_text(text)

    @property
    def is_on(self) -> bool:
        """Whether it runs."""
        return self._space is not None

    # -- power and network ----------------------------------------------------------------------------------------

    def power_on(self) -> None:
        """Boot: with a new boot id, an empty ``/tmp``, and an sshd."""
        self.boots += 1
        self._write("boot_id", Path("/proc/sys/kernel/random/uuid").read_text())
        self._write("console", "")
        self.leave_console()
        plan = {
            "name": self.name, "copies": [], "files": {},
            "masks": [["/tmp", "mode=1777", self.bench.shown_to("/tmp")]],
            "binds": [
                [f"{self._folder}/boot_id", "/proc/sys/kernel/random/boot_id"], [f"{self._folder}/disk", "/var/tmp"],
                [f"{self._folder}/utmp", "/run/utmp"], [f"{self._folder}/console", f"/dev/{CONSOLE}"],
            ],
        }  # fmt: skip
        self._space = Namespace(plan, self.bench.ground.enter())
        link = f"link-{self.name}"
        card = "02:00:00:00:00:{:02x}".format(int(self.address.rpartition(".")[2]))
        self.bench.ip(f"link add {link} type veth peer name eth0 address {card} netns {self._space.pid}")
        for command in ("link set lo up", f"address add {self.address}/24 dev eth0", "link set eth0 up"):
            checked([*self._space.enter("net"), "ip", *command.split()])
        self.bench.ip(f"link set {link} up")
        if not self.is_cut:
            self.heal()
        self.start_sshd()

    @property
    def space(self) -> Namespace:
        """The namespaces of the running machine."""
        if self._space is None:
            raise BenchError(f"{self.name} is off")
        return self._space

    def new_disk(self) -> None:
        """Let ``/var/tmp``, a disk of its own, be empty from the next boot on."""
        disk = f"{self._folder}/disk"
        if os.path.ismount(self.bench.path(disk)):
            self.bench.run(["umount", "--no-mtab", "--recursive", "--lazy", disk])
        self.bench.run(["mount", "--no-mtab", "-t", "tmpfs", "-o", f"mode=1777,size={DISK_SIZE}", "tm-bench", disk])
        for path in self.bench.shown_to("/var/tmp"):
            target = os.path.join(disk, os.path.relpath(path, "/var/tmp"))
            os.makedirs(self.bench.path(target))
            self.bench.run(["mount", "--no-mtab", "--rbind", path, target])

    def power_off(self) -> None:
        """Pull the plug: every process is killed at once."""
        space, self._space = self.space, None
        self.bench.ip(f"link delete link-{self.name}")
        os.kill(space.pid, signal.SIGKILL)
        space.end()

    def forget(self) -> None:
        """Give back what this process has of the machine, which is gone."""
        if self._space is not None:
            self._space.end()
            self._space = None

    def reboot(self, new_disk: bool = False) -> None:
        """Crash and boot again, with what was on the disk, or a new one."""
        self.power_off()
        if new_disk:
            self.new_disk()
        self.power_on()

    def cut(self) -> None:
        """Pull the cable out of the switch: packets go nowhere, and nobody is told."""
        self.bench.ip(f"link set link-{self.name} nomaster")
        self.is_cut = True

    def heal(self) -> None:
        """Put it in again."""
        self.bench.ip(f"link set link-{self.name} master bridge")
        self.is_cut = False

    # -- sshd -----------------------------------------------------------------------------------------------------

    def start_sshd(self) -> None:
        """Start an sshd on port 22, and wait until it listens."""
        program = shutil.which("sshd", path=SEARCHED) or "sshd"
        options = ["-f", f"{self._folder}/sshd_config", "-E", f"{self._folder}/sshd.log"]
        checked([*self.space.enter(), program, *options])
        end = time.monotonic() + START_SECONDS
        while not self.listens(22):
            if time.monotonic() > end:
                raise BenchError(f"no sshd on {self.name}: {self.sshd_log()}")
            time.sleep(0.02)

    def kill_sshd(self) -> None:
        """Kill the sshd and all its sessions."""
        for process in self.processes():
            if process.name == "sshd":
                process.kill()

    def sshd_log(self) -> str:
        """Return what the sshd has written."""
        return Path(self.bench.path(f"{self._folder}/sshd.log")).read_text(errors="replace")

    def swap_host_key(self) -> None:
        """Be somebody else for ssh from now on; nobody is told."""
        self.kill_sshd()
        self.host_key = accounts.make_key(self.bench.path(f"{self._folder}/host_key"), self.name)
        self.start_sshd()

    def listens(self, port: int) -> bool:
        """Whether somebody listens on a port of this machine."""
        table = Path(f"/proc/{self.space.pid}/net/tcp").read_text().splitlines()[1:]
        return any(line.split()[1].endswith(f":{port:04X}") and line.split()[3] == "0A" for line in table)

    def dial(self, port: int) -> socket.socket:
        """Return a connection from this machine to itself, also when it is cut off; raise `OSError`."""
        made: list[socket.socket | OSError] = []
        thread = threading.Thread(target=self._dial, args=(port, made))
        thread.start()
        thread.join()
        if isinstance(made[0], OSError):
            raise made[0]
        return made[0]

    def _dial(self, port: int, made: list[socket.socket | OSError]) -> None:
        """Do so in a thread: only the calling thread changes its network."""
        try:
            with open(f"/proc/{self.space.pid}/ns/net", "rb") as network:
                if LIBC.setns(network.fileno(), CLONE_NEWNET):
                    raise OSError(ctypes.get_errno(), "setns")
            made.append(socket.create_connection((self.address, port), 10))
        except OSError as error:
            made.append(error)

    # -- processes ------------------------------------------------------------------------------------------------

    def command(self, user: str, argv: Sequence[str], told: Mapping[str, str] = NOTHING, nice: int = 0) -> list[str]:
        """Return the command that runs *argv* here as *user* after a login, with a priority that only root can give."""
        own = {
            **PLAIN_USER, "HOME": accounts.home(user), "USER": user, "LOGNAME": user,
            "PATH": f"{ROOT}/bin:/usr/local/bin:/usr/bin:/bin", **told,
        }  # fmt: skip
        number = str(accounts.NUMBER[user])
        become = ["setpriv", "--reuid", number, "--regid", number, "--clear-groups", "--"]
        variables = [f"{name}={value}" for name, value in own.items()]
        become = ["nice", "-n", str(nice), *become, "env", "-i", "-C", own["HOME"]]
        return [*self.space.enter(), *become, *variables, *argv]

    def exec_as(
        self, user: str, argv: Sequence[str], *, given: str = "", told: Mapping[str, str] = NOTHING, seconds: float = 60
    ) -> subprocess.CompletedProcess[str]:
        """Run *argv* here as *user* to its end, *given* being its input; its descendants may go on."""
        return subprocess.run(
            self.command(user, argv, told), input=given, capture_output=True, text=True, errors="replace",
            timeout=seconds, start_new_session=True, check=False,
        )  # fmt: skip

    def spawn_as(self, user: str, argv: Sequence[str], nice: int = 0) -> subprocess.Popen[bytes]:
        """Start *argv* here as *user*; it ends with the machine at the latest."""
        null, command = subprocess.DEVNULL, self.command(user, argv, nice=nice)
        return subprocess.Popen(command, stdin=null, stdout=null, stderr=null, start_new_session=True)

    def load(self, cores: int) -> None:
        """Let a stranger, who has nothing to do with TaskManager, keep *cores* cores busy, whoever else wants them."""
        for _ in range(cores):
            busy = self.spawn_as(accounts.STRANGER, ["sh", "-c", "while :; do :; done"], -10)
            self._strangers.append(busy)
            group = Path(f"/proc/{busy.pid}/autogroup")  # where sessions share the processor, not processes
            if group.exists():
                group.write_text("-10")

    def calm(self) -> None:
        """End what the stranger runs."""
        for process in self.processes():
            if process.uid == accounts.NUMBER[accounts.STRANGER]:
                process.kill()
        while self._strangers:
            self._strangers.pop().wait(END_SECONDS)

    def touch_console(self) -> None:
        """Let the stranger sit at the console and strike a key."""
        user, line = accounts.STRANGER.encode(), CONSOLE.encode()
        now = int(time.time())
        entry = struct.pack(UTMP, 7, 1, line, line[-4:], user, b"", 0, 0, 0, now, 0, 0, 0, 0, 0, b"")
        Path(self.bench.path(f"{self._folder}/utmp")).write_bytes(entry)
        os.utime(self.bench.path(f"{self._folder}/console"))

    def leave_console(self) -> None:
        """Let nobody be logged in there."""
        self._write("utmp", "")

    def processes(self) -> list[Process]:
        """Return what runs here, the first process and the dead apart."""
        return self.space.processes()

    def path(self, path: str) -> str:
        """Return the name that the file *path* of this machine has out here."""
        return self.space.path(path)

"""Several machines in this one: each with an address, files, processes, a name, a boot and an sshd of its own.

A `Bench` is a tree of namespaces. Its *ground* holds the bridge, the accounts and the homes that all machines share;
each `Machine` has its own network, mounts (``/tmp``, a small ``/var/tmp``), processes, host name and boot id. Nothing
of it is to be seen from outside, and nothing outlives the process that made it: the first process of each namespace
ends when its input does, and the kernel kills and removes the rest. So a run that was killed leaves nothing to find.

The accounts are in the bench's ``/etc/passwd`` alone; the homes, mode 0700, and the installation are the same
everywhere, as on a network file system.
"""

from __future__ import annotations

import ctypes
import json
import os
import select
import shutil
import signal
import socket
import stat
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from types import MappingProxyType
from typing import Any

from tests.cluster import accounts, machine
from tests.cluster.accounts import BASE
from tests.support import checkout

START_SECONDS = 30.0
END_SECONDS = 20.0
ROOT = f"{BASE}/taskmanager"
PYTHON = f"{ROOT}/.venv/bin/python"
NETWORK = "10.77.0"
KINDS = ("mount", "uts", "ipc", "net", "pid")
NEEDED = ("ip", "unshare", "nsenter", "setpriv", "mount", "ssh", "ssh-keygen", "sshd")
SEARCHED = "/usr/sbin:/sbin:/usr/bin:/bin:" + os.environ.get("PATH", "")
DISK_SIZE = "64m"
NOTHING: Mapping[str, str] = MappingProxyType({})
CLONE_NEWNET = 0x40000000
LIBC = ctypes.CDLL(None, use_errno=True)
CONSOLE = "tty1"
UTMP = "=hxxi32s4s32s256shhiii4i20s"  # an entry of a login, see utmp(5)
PLAIN_USER = {"LANG": "C.UTF-8", "SHELL": "/bin/bash"}


class BenchError(Exception):
    """The bench cannot be made, or a machine of it does not do what it should."""


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


class Namespace:
    """A first process with namespaces of its own, and all that runs below it."""

    def __init__(self, plan: Mapping[str, object], inside: Sequence[str] = ()) -> None:
        command = [
            *inside, "unshare", "--mount", "--uts", "--ipc", "--net", "--pid", "--fork", "--kill-child=KILL",
            "--propagation", "private", sys.executable, "-I", "-S", machine.__file__,
        ]  # fmt: skip
        self._process = subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, start_new_session=True
        )
        try:
            self._begin(plan)
        except BaseException:
            self.end()
            raise

    def _begin(self, plan: Mapping[str, object]) -> None:
        assert self._process.stdin is not None and self._process.stdout is not None
        self._process.stdin.write(json.dumps(plan).encode() + b"\n")
        self._process.stdin.flush()
        said = b""
        if select.select([self._process.stdout], [], [], START_SECONDS)[0]:
            said = self._process.stdout.readline()
        if said != b"ready\n":
            raise BenchError(f"{plan['name']} does not start: {said.decode(errors='replace').strip()}")
        self.pid = self._first()

    def _first(self) -> int:
        """Return the pid, as it is out here, of the process that has pid 1 in there."""
        pid = self._process.pid
        while children := Path(f"/proc/{pid}/task/{pid}/children").read_text().split():
            pid = int(children[0])
        return pid

    def path(self, path: str) -> str:
        """Return the name that the file *path* in there has out here."""
        return f"/proc/{self.pid}/root{path}"

    def enter(self, *kinds: str) -> list[str]:
        """Return what begins a command that is to run in there, in all its namespaces or in those of *kinds*."""
        return ["nsenter", "--target", str(self.pid), *(f"--{kind}" for kind in kinds or KINDS)]

    def end(self) -> None:
        """Kill all that is in there."""
        process = self._process
        if process.stdin is not None:
            process.stdin.close()
        try:
            process.wait(END_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait(END_SECONDS)
        if process.stdout is not None:
            process.stdout.close()


class Bench:
    """A network with a dispatcher's machine ``td`` and *hosts*; a context manager that removes it."""

    def __init__(self, hosts: Iterable[str] = ("n1", "n2", "n3", "n4")) -> None:
        if why := obstacle():
            raise BenchError(why)
        names = ["td", *hosts]
        self._needed = sorted({os.path.realpath(path) for path in (sys.prefix, sys.base_prefix)})
        self.machines: dict[str, Machine] = {}
        self.ground = Namespace(self._ground_plan(names))
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

    def _ground_plan(self, names: Iterable[str]) -> dict[str, object]:
        hosts = [f"{self.address(name)} {name}" for name in ["td", *(f"n{number}" for number in range(1, 81))]]
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
            "binds": [[path, f"/etc/{os.path.basename(path)}"] for path in files],
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


class Machine:
    """One machine; `address` and `host_key` are what others know it by."""

    def __init__(self, bench: Bench, name: str, address: str) -> None:
        self.bench = bench
        self.name = name
        self.address = address
        self.boots = 0
        self.is_cut = False
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
            "name": self.name, "files": {}, "masks": [["/tmp", "mode=1777", self.bench.shown_to("/tmp")]],
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

    def command(self, user: str, argv: Sequence[str], told: Mapping[str, str] = NOTHING) -> list[str]:
        """Return the command that runs *argv* here as *user* after a login."""
        own = {
            **PLAIN_USER, "HOME": accounts.home(user), "USER": user, "LOGNAME": user,
            "PATH": f"{ROOT}/bin:/usr/local/bin:/usr/bin:/bin", **told,
        }  # fmt: skip
        number = str(accounts.NUMBER[user])
        return [
            *self.space.enter(), "setpriv", "--reuid", number, "--regid", number, "--clear-groups", "--",
            "env", "-i", "-C", own["HOME"], *(f"{name}={value}" for name, value in own.items()), *argv,
        ]  # fmt: skip

    def exec_as(
        self, user: str, argv: Sequence[str], *, given: str = "", told: Mapping[str, str] = NOTHING, seconds: float = 60
    ) -> subprocess.CompletedProcess[str]:
        """Run *argv* here as *user* to its end, *given* being its input; its descendants may go on."""
        return subprocess.run(
            self.command(user, argv, told), input=given, capture_output=True, text=True, errors="replace",
            timeout=seconds, start_new_session=True, check=False,
        )  # fmt: skip

    def spawn_as(self, user: str, argv: Sequence[str]) -> subprocess.Popen[bytes]:
        """Start *argv* here as *user*; it ends with the machine at the latest."""
        null = subprocess.DEVNULL
        return subprocess.Popen(self.command(user, argv), stdin=null, stdout=null, stderr=null, start_new_session=True)

    def load(self, cores: int) -> None:
        """Let a stranger, who has nothing to do with TaskManager, keep *cores* cores busy."""
        for _ in range(cores):
            self.spawn_as(accounts.STRANGER, ["sh", "-c", "while :; do :; done"])

    def calm(self) -> None:
        """End what the stranger runs."""
        for process in self.processes():
            if process.uid == accounts.NUMBER[accounts.STRANGER]:
                process.kill()

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
        space = os.readlink(f"/proc/{self.space.pid}/ns/pid")
        found = []
        for pid in (int(name) for name in os.listdir("/proc") if name.isdigit()):
            try:
                if pid != self.space.pid and os.readlink(f"/proc/{pid}/ns/pid") == space:
                    found.append(Process(pid))
            except (OSError, KeyError):
                continue
        return [one for one in found if not one.dead]

    def path(self, path: str) -> str:
        """Return the name that the file *path* of this machine has out here."""
        return self.space.path(path)


class Process:
    """A process of a machine as it was when it was looked at: `pid` out here, `inner` in there."""

    def __init__(self, pid: int) -> None:
        lines = Path(f"/proc/{pid}/status").read_text().splitlines()
        status = {key: value.split() for key, _, value in (line.partition(":") for line in lines)}
        self.pid = pid
        self.inner = int(status["NSpid"][-1])
        self.uids = {int(number) for number in status["Uid"]}
        self.uid = int(status["Uid"][1])
        self.name = " ".join(status["Name"])
        self.dead = status["State"][0] in "ZX"
        self.command = Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace").strip()

    def __repr__(self) -> str:
        return f"{self.inner} (uid {self.uid}) {self.command or self.name}"

    def kill(self, number: int = signal.SIGKILL) -> None:
        """Send a signal."""
        try:
            os.kill(self.pid, number)
        except ProcessLookupError:
            return


def checked(argv: Sequence[str], **more: Any) -> str:
    """Return what *argv* says; raise `BenchError` when it fails."""
    done = subprocess.run(
        argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace",
        timeout=START_SECONDS, check=False, **more,
    )  # fmt: skip
    if done.returncode:
        raise BenchError(f"'{' '.join(argv)}' failed ({done.returncode}): {done.stdout.strip()}")
    return done.stdout


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

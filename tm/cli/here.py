"""The daemons of one installation on this machine: which ones run, starting what is missing, ending all.

Standard library only. A process is known by what it is and what it holds: its program is one of ours, and it has files
open in the folders of this installation. Pidfiles are stale after a kill, and another installation may run the same
programs; this cannot be mistaken.
"""

from __future__ import annotations

import json
import os
import re
import socket
import subprocess
import tempfile
import time
from functools import partial
from typing import Any, NamedTuple

from tm.cli import seen
from tm.client.tms import open_tms, read_address
from tm.errors import TaskManagerError
from tm.places import Places

NAMES = ("dispatcher", "infoserver", "tms", "tmms", "keeper", "web")
START_SECONDS = 30.0
INFO_SECONDS = 10.0
GRACE_SECONDS = 3.0
_PROGRAMS = {"dispatcher": "TaskDispatcher", "infoserver": "InfoServer", "tms": "TMS", "tmms": "TMMS", "web": "TaskWeb"}
_KEEPER = os.path.join("tm", "keeper", "__main__.py")
_REFUSAL = re.compile(r"([a-z]+\.[a-z]+): (.+)\Z")


class Daemon(NamedTuple):
    """A running daemon, *name* one of `NAMES`; *port* where it listens, if it does."""

    name: str
    pid: int
    port: int | None
    log: str


class Here:
    """The installation of *places* on this machine; *state* is the dispatcher's folder."""

    def __init__(self, places: Places, state: str) -> None:
        self.places = places
        self.state = state
        self._spools = os.path.join(places.local_directory, "hosts")
        self._infos = os.path.join(places.local_directory, "info")

    # -- looking --------------------------------------------------------------------------------------------------

    def daemons(self) -> list[Daemon]:
        """Return the daemons that run, in the order of `NAMES`."""
        found = [daemon for pid, words in seen.processes() if (daemon := self._daemon(pid, words)) is not None]
        return sorted(found, key=lambda daemon: (NAMES.index(daemon.name), daemon.pid))

    def log_of(self, name: str) -> str:
        """Return the path of the log of a daemon that need not run, where there is one for all hosts."""
        if name == "dispatcher":
            return os.path.join(self.state, "TaskDispatcher.log")
        if name == "web":
            return os.path.join(self.state, "TaskWeb.log")
        return os.path.join(self.places.tms_directory, "tms.log") if name == "tms" else ""

    def _daemon(self, pid: int, words: list[str]) -> Daemon | None:
        name = _name(words)
        if name == "dispatcher" and seen.holds(pid, self.state):
            return Daemon(name, pid, self.places.port, self.log_of(name))
        if name == "web" and seen.holds(pid, self.state):
            return Daemon(name, pid, self._web_port(pid), self.log_of(name))
        if name == "tms" and seen.holds(pid, self.places.tms_directory):
            address = read_address(self.places) or {}
            return Daemon(name, pid, address["port"] if address.get("pid") == pid else None, self.log_of(name))
        if name == "infoserver" and (path := seen.holds(pid, self._infos)):
            folder = os.path.join(self._infos, os.path.relpath(path, self._infos).split(os.sep)[0])
            return Daemon(name, pid, _port_of(folder, pid), os.path.join(folder, "infoserver.log"))
        path = seen.holds(pid, self._spools) if name in ("tmms", "keeper") else ""
        if not path:
            return None
        host = os.path.relpath(path, self._spools).split(os.sep)[0]
        return Daemon(name, pid, None, os.path.join(self.places.spool(host), "tmms.log"))

    # -- starting -------------------------------------------------------------------------------------------------

    def start_dispatcher(self, init: bool = False) -> None:
        """Start the TaskDispatcher unless it runs, with an empty store if *init*.

        Raises `TaskManagerError` with the class that the TaskDispatcher gives, e.g. ``net.port``.
        """
        if any(daemon.name == "dispatcher" for daemon in self.daemons()):
            return
        places = self.places
        os.makedirs(self.state, exist_ok=True)
        self._start("dispatcher", places.port, ["--init"] if init else [])

    def start_web(self, port: int | None = None) -> None:
        """Start the web interface unless it runs, on the dispatcher's port and one where no other is said.

        Raises `TaskManagerError` with the class that TaskWeb gives, e.g. ``net.port``.
        """
        if all(daemon.name != "web" for daemon in self.daemons()):
            self._start("web", port or self.places.port + 1, [])

    def _start(self, name: str, port: int, more: list[str]) -> None:
        places, program = self.places, _PROGRAMS[name]
        command = [
            places.python, places.program(program), "-p", str(port), "--etc", places.etc, "--state", self.state,
            "-e", os.path.join(self.state, f"{program}Error.log"), *more,
        ]  # fmt: skip
        status, said = _wait_for(command)
        if status is None:
            seen.end(partial(self._processes_of, name))
            said = f"internal.start: it is not ready after {START_SECONDS:.0f} s; see {self.log_of(name)}"
        if status != 0:
            refusal = _REFUSAL.match(said)
            word, text = refusal.groups() if refusal else ("internal.start", said or f"exit status {status}")
            raise TaskManagerError(word, f"the {program} does not start: {text}")

    def web_url(self) -> str:
        """Return where the web interface is that runs; empty for none."""
        return next((str(self._web()["url"]) for daemon in self.daemons() if daemon.name == "web" and daemon.port), "")

    def _web(self) -> dict[str, Any]:
        """Return what the web interface that was last started wrote of itself."""
        try:
            with open(os.path.join(self.state, "TaskWeb.address"), encoding="utf-8") as file:
                return dict(json.load(file))
        except (OSError, ValueError, TypeError):
            return {}

    def _web_port(self, pid: int) -> int | None:
        said = self._web()
        return int(said["port"]) if said.get("pid") == pid else None

    def wait_for_infoserver(self) -> bool:
        """Wait until the dispatcher has started an InfoServer; return whether it has."""
        end = time.monotonic() + INFO_SECONDS
        while all(daemon.name != "infoserver" or not daemon.port for daemon in self.daemons()):
            if time.monotonic() > end:
                return False
            time.sleep(0.05)
        return True

    def start_tms(self) -> None:
        """Start the user's server unless it runs. Raises `TaskManagerError`."""
        open_tms(self.places).close()

    # -- ending ---------------------------------------------------------------------------------------------------

    def stop(self) -> list[Daemon]:
        """End all daemons and all that runs in their jobs; return the daemons that ran.

        Jobs that wait stay in the store. Raises `TaskManagerError` when something cannot be ended.
        """
        ran = self.daemons()
        for name in ("web", "dispatcher", "infoserver", "tms", "tmms"):
            seen.end(partial(self._processes_of, name))
        for daemon in self.daemons():
            if daemon.name == "keeper":
                _empty(os.path.dirname(daemon.log), daemon.pid)
        seen.end(partial(self._processes_of, "keeper"))
        seen.end(self._jobs)
        seen.end(lambda: [pid for name in NAMES for pid in self._processes_of(name)])
        seen.wait_until_buried(daemon.pid for daemon in ran)
        return ran

    def _processes_of(self, name: str) -> list[int]:
        """Return the processes that are the daemon *name*, or are about to become it."""
        certain = [daemon.pid for daemon in self.daemons() if daemon.name == name]
        likely = [pid for pid, words in seen.processes() if _name(words) == name and self._will_be(name, pid, words)]
        return list({*certain, *likely})

    def _will_be(self, name: str, pid: int, words: list[str]) -> bool:
        """Whether a process of the program *name* that holds nothing yet is told to work for this installation."""
        if name in ("dispatcher", "web"):
            return self.state in words
        if name == "infoserver":
            return any(word.startswith(self._infos + os.sep) for word in words)
        if name == "keeper":
            return any(word.startswith(self._spools + os.sep) for word in words)
        told = seen.environment(pid)
        own = {"TM_ETC": self.places.etc, "TM_LOCAL_DIRECTORY": self.places.local_directory}
        return self.places.program(_PROGRAMS[name]) in words and all(told.get(key, own[key]) == own[key] for key in own)

    def _jobs(self) -> list[int]:
        """Return the processes that say in their environment that they belong to a job of this cluster."""
        spared = seen.ancestors(os.getpid())
        told = {pid: seen.environment(pid) for pid, _ in seen.processes() if pid not in spared}
        return [pid for pid, one in told.items() if one.get("TM_CLUSTER") == self.places.cluster and "TM_JOB_ID" in one]


def _name(words: list[str]) -> str:
    """Return which daemon the command line *words* is of; nothing for any other program."""
    for word in words[1:5]:
        base = os.path.basename(word)
        for name, program in _PROGRAMS.items():
            if base == program:
                return name
        if word.endswith(_KEEPER):
            return "keeper"
    return ""


def _port_of(folder: str, pid: int) -> int | None:
    """Return where the InfoServer *pid* that works in *folder* listens."""
    try:
        with open(os.path.join(folder, "running"), encoding="utf-8") as file:
            said = json.loads(json.load(file)["line"])
        return int(said["port"]) if said["pid"] == pid else None
    except (OSError, ValueError, KeyError, TypeError):
        return None


def _wait_for(command: list[str]) -> tuple[int | None, str]:
    """Run what starts a daemon; return its exit status, None if that does not come, and the last line it wrote."""
    null = subprocess.DEVNULL
    with tempfile.TemporaryFile() as complaints:
        process = subprocess.Popen(command, stdin=null, stdout=null, stderr=complaints)
        try:
            status: int | None = process.wait(START_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            status = None
        complaints.seek(0)
        return status, (complaints.read().decode(errors="replace").strip().splitlines() or [""])[-1]


def _empty(spool: str, pid: int) -> None:
    """Have the keeper *pid* of *spool* give back what waits and end what runs; it records the endings."""
    try:
        with socket.socket(socket.AF_UNIX) as link:
            link.settimeout(GRACE_SECONDS)
            link.connect(_socket_of(spool, pid))
            lines = link.makefile("r", encoding="utf-8", errors="surrogateescape")
            hello = json.loads(lines.readline())["hello"]
            left = [(fact["job"], fact["attempt"]) for fact in hello["running"]]
            wish = {"grant": 0, "recall": hello["queued"], "cancel": [[*key, GRACE_SECONDS] for key in left]}
            link.sendall(json.dumps(wish).encode() + b"\n")
            end = time.monotonic() + 3 * GRACE_SECONDS
            while left and time.monotonic() < end:
                link.settimeout(max(0.1, end - time.monotonic()))
                for fact in json.loads(lines.readline())["facts"]:
                    if fact["what"] != "started" and (fact["job"], fact["attempt"]) in left:
                        left.remove((fact["job"], fact["attempt"]))
    except (OSError, ValueError, KeyError):
        return


def _socket_of(spool: str, pid: int) -> str:
    for name in os.listdir(spool):
        if name.startswith("keeper-") and name.endswith(".pid"):
            with open(os.path.join(spool, name), encoding="ascii") as file:
                if file.read().strip() == str(pid):
                    return os.path.join(spool, name[:-4] + ".sock")
    raise FileNotFoundError(spool)

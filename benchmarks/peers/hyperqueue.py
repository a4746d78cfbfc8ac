"""HyperQueue as the Python index has it: a library with server, worker and client, without the program ``hq``.

It runs in a virtual environment of its own, which is made once and kept among the user's caches. Server and worker
share a process, as the library starts them; the client is another one.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

from benchmarks import daemons
from benchmarks.peers import crashing
from benchmarks.peers.contract import Crash
from benchmarks.peers.folder import Folder, kill

VERSION = "0.27.0"
AGENT = str(Path(__file__).with_name("hyperqueue_agent.py"))
NOTE = "server and worker are one process; the library keeps no journal"
ASKED = "import hyperqueue.cluster, importlib.metadata as m; print(m.version('hyperqueue'))"
CRASH_PATIENCE = 10.0


class HyperQueue:
    """A server with one worker; *python* is one that has the library, else one is made."""

    ways: tuple[str, ...] = ("bulk", "singly")
    notes = (
        "the library's LocalCluster, without output files; in bulk: one job of many tasks, singly: jobs of one task "
        "over an open connection; the package has no program for the command line; " + NOTE
    )

    def __init__(self, python: str = "") -> None:
        self.name = f"HyperQueue {VERSION}"
        self._python = python
        self._folder: Folder | None = None
        self._slots = self._idle = 0

    def missing(self) -> str:
        """Return why there is no Python with the library; make one if need be."""
        made = "" if self._python else self._make()
        if made:
            return made
        asked = [
            self._python,
            "-I",
            "-c",
            "import hyperqueue.cluster, importlib.metadata as m; print(m.version('hyperqueue'))",
        ]
        found = subprocess.run(asked, capture_output=True, text=True, check=False)
        if found.returncode != 0:
            return f"{self._python} has no module hyperqueue: {_last(found.stderr)}"
        self.name = f"HyperQueue {found.stdout.strip()}"
        return ""

    def _make(self) -> str:
        """Make a virtual environment with the library where there is none; return why that did not work."""
        cache = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
        place = os.path.join(cache, "taskmanager-benchmarks", f"hyperqueue-{VERSION}")
        self._python = os.path.join(place, "bin", "python")
        if os.path.exists(os.path.join(place, "complete")):
            return ""
        for command in (
            [sys.executable, "-m", "venv", "--clear", place],
            [self._python, "-m", "pip", "install", "-q", "--disable-pip-version-check", f"hyperqueue=={VERSION}"],
        ):
            ended = subprocess.run(command, capture_output=True, text=True, check=False)
            if ended.returncode != 0:
                said = _last(ended.stderr or ended.stdout)
                return f"needs the package hyperqueue from the Python index (or --hyperqueue PYTHON): {said}"
        Path(place, "complete").touch()
        return ""

    def start(self, slots: int) -> None:
        """Start server and worker, and a client."""
        self._slots = slots
        self._folder = Folder("hyperqueue")
        self._folder.make("server")
        self._start_server()
        self._idle = self.server_memory()
        self._ask("throughput", "bulk", 10, slots)

    def _start_server(self) -> None:
        folder = self._here
        log = f"server-{len(os.listdir(folder.folder))}.log"
        command = [self._python, "-I", AGENT, "server", folder.path("server"), str(self._slots)]
        self._server = folder.start(command, log)
        folder.wait_for(lambda: "up" in folder.read(log), "HyperQueue's server", 60)
        with open(folder.path("client.log"), "ab") as said:
            self._client = subprocess.Popen(
                [self._python, "-I", AGENT, "client", folder.path("server")], cwd=folder.folder, stderr=said,
                env={**folder.environment, "TQDM_DISABLE": "1"}, stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                start_new_session=True,
            )  # fmt: skip

    @property
    def _here(self) -> Folder:
        assert self._folder is not None, "it has not been started"
        return self._folder

    def _ask(self, *request: object) -> float:
        assert self._client.stdin is not None
        assert self._client.stdout is not None
        self._client.stdin.write(json.dumps(request).encode() + b"\n")
        self._client.stdin.flush()
        answer = self._client.stdout.readline()
        if not answer:
            raise SystemExit(f"HyperQueue's client ended at {request}\n{self._here.logs()}")
        return float(answer)

    def throughput(self, way: str, jobs: int) -> float:
        """Return the seconds until a last task that needs all cores has run; no task may have failed."""
        return self._ask("throughput", way, jobs, self._slots)

    def submit_once(self) -> None:
        """Return None: the package has no program for the command line."""

    def accept_once(self) -> float:
        """Return the seconds of one submission over the open connection."""
        return self._ask("accept")

    def wait_once(self) -> float:
        """Return the seconds until a job's effect is there, over the open connection."""
        return self._ask("wait")

    def fill(self, waiting: int, array: bool) -> float | None:
        """Submit a job of so many tasks, each with its own command; arrays the library has not."""
        return None if array else self._ask("fill", waiting, self._slots)

    def list_once(self) -> None:
        """Return None: the library cannot list."""

    def server_memory(self) -> int:
        """Return the resident bytes of the process that is server and worker."""
        return daemons.resident(self._server.pid)

    def idle_memory(self) -> int:
        """Return the same as it was after the start."""
        return self._idle

    def crash(self, jobs: int) -> Crash:
        """Kill server and worker, and start them again in the same folder."""
        folder = self._here
        book = folder.path("book")
        script = folder.write("job", crashing.script("1", book))
        self._ask("submit", ["/bin/sh", script, "{}"], jobs)
        server = crashing.Server(kill=self._kill, restart=self._start_server, unfinished=set)
        found = crashing.kill_and_restart(book, [str(number) for number in range(jobs)], server, CRASH_PATIENCE)
        return found._replace(note="; ".join(filter(None, [NOTE, found.note])))

    def _kill(self) -> None:
        kill(self._server)
        self._end_client()

    def _end_client(self) -> None:
        for pipe in (self._client.stdin, self._client.stdout):
            if pipe is not None:
                pipe.close()
        kill(self._client)

    def stop(self) -> None:
        """End client, server, worker and tasks, and remove the folder."""
        if self._folder is not None:
            self._end_client()
            kill(self._server)
            self._folder.stop()
            self._folder = None


def _last(text: str) -> str:
    return text.strip().splitlines()[-1] if text.strip() else "it did not say why"

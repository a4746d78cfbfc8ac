"""A private cluster: real daemons, real TLS, real processes, and what a test does with them.

Everything that is started has the cluster's folder in its environment, so that `Cluster.stop` finds it.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from tests.support import ledger, processes
from tests.support.installation import HOSTS, Installation
from tests.support.processes import wait_for
from tests.support.talk import HungUpError, Refused, Talk
from tm.places import find_root

ROOT = find_root()
FINAL = {"completed", "failed", "cancelled", "timeout", "out_of_memory", "output_limit", "lost"}
LEDGER_JOB = [sys.executable, "-I", "-S", os.path.join(ROOT, "tests", "support", "ledger.py")]

View = dict[str, Any]


class DaemonError(Exception):
    """A daemon did not start: *status* is its exit status, *said* what it wrote on stderr."""

    def __init__(self, status: int, said: str) -> None:
        super().__init__(f"exit status {status}: {said}")
        self.status = status
        self.said = said


class Cluster(Installation):
    """An installation whose daemons can be started, killed, asked and watched."""

    def __init__(
        self, users: Iterable[str] = ("alice", "bob"), hosts: Mapping[str, Mapping[str, object]] = HOSTS
    ) -> None:
        super().__init__(users, hosts)
        self._talks: dict[str, Talk] = {}
        self._tended = False

    def __enter__(self) -> Cluster:
        return self

    def __exit__(self, *failure: object) -> None:
        self.stop()

    # -- daemons --------------------------------------------------------------------------------------------------

    def launch(self, command: list[str], user: str, folder: str | None = None) -> str:
        """Run *command*, which detaches, to its end; return what it said, raise `DaemonError` if it failed."""
        with tempfile.TemporaryFile() as said:
            ended = subprocess.run(
                command, env=self.environment(user), cwd=folder or self.folder, stdin=subprocess.DEVNULL,
                stdout=said, stderr=said, timeout=60, check=False,
            )  # fmt: skip
            said.seek(0)
            text = said.read().decode(errors="replace")
        if ended.returncode != 0:
            raise DaemonError(ended.returncode, text)
        return text

    def start_dispatcher(self, *options: str) -> None:
        """Start the TaskDispatcher (with an empty store the first time) and wait until it greets."""
        if not os.path.exists(os.path.join(self.state, "TaskDispatcher.sqlite")) and not options:
            options = ("--init",)
        program = os.path.join(ROOT, "bin", "TaskDispatcher")
        self.launch([sys.executable, program, "--etc", self.etc, "--state", self.state, *options], self.users[0])
        self._tended = True
        self.wait_greeting()

    def wait_greeting(self) -> None:
        """Wait until the dispatcher greets."""
        wait_for(self._greets, "the greeting of the dispatcher; " + self.logs(), pause=0.05)

    def _greets(self) -> bool:
        try:
            Talk.tls(self.port, self.pair(self.users[0])).close()
        except (OSError, HungUpError):
            return False
        return True

    def start_tms(self, user: str) -> None:
        """Start the user's server and wait until it answers."""
        self.launch([sys.executable, os.path.join(ROOT, "bin", "TMS")], user)
        wait_for(lambda: self._open(user), f"the server of {user}")

    def end_dispatcher(self) -> None:
        """Kill the dispatcher; it stays away until `start_dispatcher`."""
        self._tended = False
        self.kill("dispatcher")

    def pid(self, name: str) -> int:
        """Return the pid of ``dispatcher``, ``infoserver:HOST``, ``tms:USER``, ``tmms:USER:HOST`` or
        ``keeper:USER:HOST``, else 0."""
        kind, *rest = name.split(":")
        if kind == "dispatcher":
            files = [Path(self.state, "TaskDispatcher.pid")]
        elif kind == "infoserver":
            files = [Path(self.local(self.users[0]), "info", rest[0], "infoserver.pid")]
        elif kind == "tms":
            files = [Path(self.local(rest[0]), "tms", "tms.pid")]
        elif kind == "tmms":
            files = [Path(self.spool(*rest), "tmms.pid")]
        else:
            files = sorted(Path(self.spool(*rest)).glob("keeper-*.pid"), key=lambda path: int(path.stem[7:]))
        for file in reversed(files):
            try:
                pid = int(file.read_text())
            except (FileNotFoundError, ValueError):
                continue
            if processes.is_marked(pid, self.folder):  # and not somebody else's who was given the same number
                return pid
        return 0

    def kill(self, name: str, number: int = signal.SIGKILL) -> int:
        """Send a signal to the daemon called *name* as in `pid`; return its pid, 0 when there is none."""
        pid = self.pid(name)
        if pid:
            processes.kill(pid, number)
        return pid

    def memory(self, name: str = "dispatcher") -> int:
        """Return the resident memory of a daemon in bytes."""
        pages = Path(f"/proc/{self.pid(name)}/statm").read_text().split()[1]
        return int(pages) * os.sysconf("SC_PAGE_SIZE")

    # -- conversations --------------------------------------------------------------------------------------------

    def dispatcher(self, user: str) -> Talk:
        """Return a new connection to the dispatcher."""
        return Talk.tls(self.port, self.pair(user), trusted=os.path.join(self.etc, "certs", "taskdispatcher.crt"))

    def tms(self, user: str) -> Talk:
        """Return the open connection to the user's server, or a new one, for which the server is started if need be."""
        talk = self._talks.get(user) or self._open(user)
        if talk is None:
            self.start_tms(user)
            talk = self._talks[user]
        return talk

    def _open(self, user: str) -> Talk | None:
        try:
            talk = Talk.unix(os.path.join(self.local(user), "tms", "tms.sock"))
        except (OSError, HungUpError):
            return None
        self._talks[user] = talk
        return talk

    def ask(
        self, user: str, verb: str, rest: str | None = None, as_json: bool = False, seconds: float = 30.0
    ) -> list[str]:
        """Ask as a client does that may repeat its request: over new connections, of new servers, until it is answered.

        Whatever has died meanwhile is started again, the dispatcher too. Returns the body; raises `Refused`.
        """
        deadline = time.monotonic() + seconds
        while True:
            self.tend()
            try:
                return self.tms(user).ask(verb, rest, as_json).body
            except Refused as refused:
                if not refused.word.startswith(("net.", "store.io")) or time.monotonic() > deadline:
                    raise
            except (HungUpError, OSError, DaemonError):
                if time.monotonic() > deadline:
                    raise
                self.forget_talk(user)
            time.sleep(0.05)

    def forget_talk(self, user: str) -> None:
        """Hang up the connection to the user's server."""
        talk = self._talks.pop(user, None)
        if talk is not None:
            talk.close()

    def tend(self) -> None:
        """Be the operator: start the dispatcher when it has died."""
        if self._tended and not self.pid("dispatcher"):
            self.start_dispatcher()

    def submit(self, user: str, *commands: str | list[str], token: str = "", **common: Any) -> list[int]:
        """Submit a job for each of *commands*; return their ids once they are accepted."""
        wish = {
            "token": token or uuid.uuid4().hex, "jobs": [{"command": command} for command in commands],
            "common": {
                "cwd": self.work, "environment": {"PATH": "/usr/bin:/bin", "TM_TEST": self.folder}, **common,
            },
        }  # fmt: skip
        return [int(line) for line in self.ask(user, "submit", json_text(wish))]

    def submit_ledger(self, user: str, count: int = 1, seconds: float | str | None = None, **common: Any) -> list[int]:
        """Submit *count* jobs that write into the ledger, each sleeping *seconds*, or until there is a file."""
        more = [] if seconds is None else [str(seconds)]
        return self.submit(user, *[[*LEDGER_JOB, self.ledger_path, *more]] * count, **common)

    def tms_refusal(self, user: str, **common: Any) -> Refused:
        """Return how a job that asks for *common* is refused; fail when it is accepted."""
        try:
            self.submit(user, "true", **common)
        except Refused as refused:
            return refused
        raise AssertionError(f"accepted: {common}")

    def jobs(self, user: str, arguments: str = "") -> dict[int, View]:
        """Return the public views of the user's jobs by id."""
        views = map(json.loads, self.ask(user, "lsjobs", arguments or None, True))
        return {view["id"]: view for view in views}

    def job(self, user: str, number: int) -> View:
        """Return the public view of one job."""
        view: View = json.loads(self.ask(user, "jobinfo", str(number), True)[0])
        return view

    def wait(
        self, ids: Iterable[int], seconds: float = 30.0, user: str = "alice", states: Iterable[str] = FINAL
    ) -> list[View]:
        """Return the views of *ids* once all are in *states*, tending the cluster meanwhile."""
        wanted, good = list(ids), set(states)
        deadline = time.monotonic() + seconds
        while True:
            jobs = self.jobs(user)
            if all(number in jobs and jobs[number]["state"] in good for number in wanted):
                return [jobs[number] for number in wanted]
            if time.monotonic() > deadline:
                shown = [(n, jobs[n]["state"], jobs[n]["reason"]) if n in jobs else (n, "unknown") for n in wanted]
                raise AssertionError(f"jobs are not {sorted(good)} after {seconds:g} s: {shown}\n{self.logs()}")
            self.tend()
            time.sleep(0.05)

    # -- the oracle -----------------------------------------------------------------------------------------------

    def ledger(self) -> list[ledger.Line]:
        """Return what the jobs themselves wrote."""
        return ledger.read(self.ledger_path)

    def check(self, accepted: Iterable[int], may_be_lost: bool = False) -> None:
        """Fail unless the ledger and the dispatcher agree: accepted = final, at most one start, codes as computed."""
        jobs = self.jobs(self.users[0], "user=all")
        wrong = ledger.complaints(self.ledger(), list(accepted), jobs, may_be_lost)
        if wrong:
            raise AssertionError("\n".join([*wrong, self.logs()]))

    def logs(self) -> str:
        """Return the last lines of all logs, for the text of a failure."""
        shown = []
        for path in sorted(Path(self.folder).rglob("*.log")):
            if path.stem.startswith(("TaskDispatcher", "tms", "tmms")):
                lines = path.read_text(errors="replace").splitlines()[-12:]
                shown += [f"--- {path}", *(line[:600] for line in lines)]
        return "\n".join(shown)

    # -- the end --------------------------------------------------------------------------------------------------

    def stop(self) -> None:
        """End everything that was started here, jobs too, and remove the folder; fail if anything is left."""
        for user in list(self._talks):
            self.forget_talk(user)
        left = processes.end_marked(self.folder)
        shutil.rmtree(self.folder, ignore_errors=True)
        if left or os.path.exists(self.folder):
            raise AssertionError(f"left behind: {left or self.folder}")


def json_text(value: object) -> str:
    """Return *value* as JSON that may stand in a line of the protocol."""
    return json.dumps(value).replace("\x7f", "\\u007f")

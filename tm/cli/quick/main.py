"""The commands of ``quickstart.py``."""

from __future__ import annotations

import argparse
import fcntl
import json
import os
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from tm.cli.here import NAMES, Here
from tm.cli.quick import checks, example
from tm.cli.quick.environment import Environment
from tm.cli.quick.installation import Installation, free_port, host_name, user_name
from tm.cli.quick.steps import QuickError, Steps
from tm.errors import TaskManagerError

TESTED = "dev,browser,metrics"
"""The extras that the tests use."""
FIRST_SECONDS = 9.0
AGAIN_SECONDS = 4.0
TRIES = 5
NEXT = """
next:  bin/hRunJob "sleep 10"           run a job; its output goes to tm-NUMBER.out
       bin/hRunJob -s                   the servers, and my jobs
       bin/hRunJob --web                a link to the web interface; 'submit' behind it lets it submit jobs
       bin/hRunJob --help               files of commands, cores, memory, waiting, following
       python3 quickstart.py status     the daemons, their ports and logs
stop:  python3 quickstart.py stop       ends all of them; 'clean' also removes etc/ and var/ again"""
COMMANDS = ("run", "status", "start", "stop", "clean", "test")
_TOLD = ("TM_ETC", "TM_USER", "TM_USER_DIRECTORY", "TM_LOCAL_DIRECTORY", "TM_PYTHON")


def main(root: str, arguments: Sequence[str], text: str) -> int:
    """Do what the command line says; return the exit status. *text* is what ``--help`` shows."""
    parser = argparse.ArgumentParser(prog="quickstart.py", add_help=False)
    parser.add_argument("-h", "--help", action="store_true")
    parser.add_argument("command", nargs="?", default="run", choices=COMMANDS)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("names", nargs="*")
    options = parser.parse_args(arguments)
    if options.help:
        print(text.strip())
        return 0
    if options.names and options.command != "test":
        parser.error(f"'{options.command}' takes no names")
    for name in _TOLD:
        os.environ.pop(name, None)
    steps = Steps(6, sys.stdout)
    try:
        return Quickstart(root, steps).do(options)
    except TaskManagerError as error:
        steps.leave()
        print(f"quickstart: {error.text}", file=sys.stderr)
        return error.exit_status
    except KeyboardInterrupt:
        steps.leave()
        print("quickstart: interrupted; say it again to go on, 'quickstart.py stop' ends all", file=sys.stderr)
        return 130


class Quickstart:
    """The checkout *root* as a cluster of its own."""

    def __init__(self, root: str, steps: Steps) -> None:
        self._root = root
        self._steps = steps
        self._environment = Environment(root)
        self._installation = Installation(root, self._environment.python)

    def do(self, options: argparse.Namespace) -> int:
        """Do the command that *options* name; return the exit status. Raises `TaskManagerError`."""
        if options.command == "status":
            return self._status(options.json)
        if options.command == "test":
            self._steps = Steps(1, sys.stdout)
            self._steps.begin("environment")
            self._environment.ensure(self._steps, TESTED)
            return checks.run(self._root, self._environment.python, options.names)
        commands = {"run": self._run, "start": self._start, "stop": self._stop, "clean": self._clean}
        with self._alone():
            return commands[options.command]()

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """Let no other quickstart of this checkout change anything meanwhile."""
        lock = os.open(self._root, os.O_RDONLY | os.O_DIRECTORY)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield
        finally:
            os.close(lock)

    # -- commands -------------------------------------------------------------------------------------------------

    def _run(self) -> int:
        steps, installation = self._steps, self._installation
        installation.is_ours()
        first = not installation.is_complete
        if os.getuid() == 0 and first:
            print("quickstart: you are root; TaskManager needs no root, jobs run as who submits them")
        steps.begin("environment")
        self._environment.ensure(steps)
        steps.begin("certificates")
        made = installation.set_up()
        steps.end(f"{'made' if made else 'there'}: dispatcher, user {user_name()}")
        steps.begin("servers")
        here = self._start_all()
        shown = [f"{daemon.name} {daemon.port or daemon.pid}" for daemon in here.daemons() if daemon.port]
        steps.end(", ".join(shown))
        cores = len(os.sched_getaffinity(0))
        steps.begin("host")
        steps.end(f"{host_name()}: {cores} cores, load {os.getloadavg()[0]:.1f}")
        seconds = FIRST_SECONDS if first else AGAIN_SECONDS
        example.run(os.path.join(installation.var, "example"), cores, seconds, steps)
        self._show_link(here)
        print(NEXT)
        return 0

    def _show_link(self, here: Here) -> None:
        """Say where the web interface is, with a link that logs in once."""
        command = [self._environment.python, os.path.join(self._root, "bin", "hRunJob"), "--web", "submit", "--json"]
        done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True)
        if done.returncode == 0:
            print(f"\nlook:  {json.loads(done.stdout)['url']}\n       (this link logs you in once, within 10 minutes)")
        else:
            print(f"\nlook:  {here.web_url()}  (bin/hRunJob --web prints a link that logs you in)")

    def _start(self) -> int:
        here = self._start_all()
        self._print(here, False)
        return 0

    def _stop(self) -> int:
        if not self._installation.is_complete:
            print("nothing has been set up here")
            return 0
        ran = self._installation.here().stop()
        print(f"ended {', '.join(daemon.name for daemon in ran)}" if ran else "nothing was running")
        return 0

    def _clean(self) -> int:
        self._stop()
        self._installation.remove()
        print(f"removed {self._installation.var} and what quickstart had written to {self._installation.etc}")
        return 0

    def _status(self, as_json: bool) -> int:
        if not self._installation.is_complete:
            raise QuickError("nothing has been set up here; 'python3 quickstart.py' does it")
        self._print(self._installation.here(), as_json)
        return 0

    # -- daemons --------------------------------------------------------------------------------------------------

    def _start_all(self) -> Here:
        """Start what is missing; look for another port when the dispatcher's is taken."""
        installation = self._installation
        if not installation.is_complete:
            raise QuickError("nothing has been set up here; 'python3 quickstart.py' does it")
        for left in reversed(range(TRIES)):
            here = installation.here()
            has_store = os.path.join(here.state, "quickstart.store")
            try:
                here.start_dispatcher(init=not os.path.exists(has_store))
                break
            except TaskManagerError as error:
                if error.word != "net.port" or not left:
                    raise
                installation.change_port()
        with open(has_store, "w", encoding="ascii"):
            here.start_tms()
        here.wait_for_infoserver()
        try:
            here.start_web()
        except TaskManagerError as error:
            if error.word != "net.port":
                raise
            here.start_web(free_port())
        return here

    def _print(self, here: Here, as_json: bool) -> None:
        running = here.daemons()
        missing = [name for name in NAMES if all(daemon.name != name for daemon in running)]
        if as_json:
            rows = [daemon._asdict() for daemon in running]
            rows += [{"name": name, "pid": None, "port": None, "log": here.log_of(name) or None} for name in missing]
            for row in rows:
                print(json.dumps(row))
            return
        for daemon in running:
            print(f"{daemon.name:<11} {daemon.pid:>8}  {daemon.port or '':>6}  {daemon.log}")
        for name in missing:
            print(f"{name:<11} {'-':>8}  {'':>6}  {here.log_of(name)}".rstrip())

"""A cluster on a bench: the dispatcher under its own account on ``td``, three users with keys of their own, hosts
behind ssh, and what a test does with them. Everything is done as people do it, by the commands that they have.
"""

from __future__ import annotations

import json
import os
import ssl
import subprocess
import time
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import MappingProxyType
from typing import Any

from tests.cluster import accounts
from tests.cluster.accounts import BASE, DISPATCHER, USERS
from tests.cluster.bench import PYTHON, Bench
from tests.cluster.machine import ROOT
from tests.support import ledger
from tests.support.cluster import FINAL
from tests.support.processes import wait_for
from tests.support.talk import HungUpError, Refused, Talk

ANN, BOB, CID = USERS
ETC = f"{ROOT}/etc"
STATE = "/var/tmp/taskdispatcher"
CLUSTER = "bench"
PORT = 10101
LEDGER_PROGRAM = f"{ROOT}/tests/support/ledger.py"
HOSTS: Mapping[str, Mapping[str, object]] = MappingProxyType(
    {
        "n1": {"cores": 2},
        "n2": {"cores": 2, "launcher": "conch"},
        "n3": {"cores": 2},
        "n4": {"cores": 2, "launcher": "conch"},
    }
)
QUIET: Mapping[str, Mapping[str, object]] = MappingProxyType(
    {name: {**table, "infoserver": False} for name, table in HOSTS.items()}
)

View = dict[str, Any]


class SaidError(Exception):
    """A command of somebody has failed."""


class Site:
    """A bench with a cluster on it; a context manager that removes both."""

    def __init__(self, hosts: Mapping[str, Mapping[str, object]] = HOSTS) -> None:
        self.bench = Bench(hosts)
        self.hosts = {name: dict(table) for name, table in hosts.items()}
        try:
            self._install()
            self.start_dispatcher("--init")
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> Site:
        return self

    def __exit__(self, *failure: object) -> None:
        self.close()

    def close(self) -> None:
        """Remove everything."""
        self.bench.close()

    # -- setting up -----------------------------------------------------------------------------------------------

    def _install(self) -> None:
        self.said(DISPATCHER, "tm", "setup", "--cluster", CLUSTER, "--host", "td", "--port", str(PORT))
        people = (DISPATCHER, *USERS)
        with ThreadPoolExecutor(2) as pool:
            list(pool.map(self._request, people))
        self.said(DISPATCHER, "sh", "-c", f"for one in {BASE}/exchange/*.crt; do tm cert accept $one || exit; done")
        for user in people:
            trusted = f"{ETC}/certs/ca_certs.{user}.crt"
            content = Path(self.bench.path(trusted)).read_text()
            self.write_own(user, f".taskManager/ca_certs.{user}.crt", content)
        self.write_groups()
        self.write_hosts()

    def _request(self, user: str) -> None:
        self.said(user, "tm", "cert", "request", user, f"{user}@example.org")
        self.said(user, "cp", f".taskManager/{user}.crt", f"{BASE}/exchange/")

    def write_own(self, user: str, name: str, text: str) -> None:
        """Write a file in the home of *user*, as they could."""
        path = self.bench.path(f"{accounts.home(user)}/{name}")
        Path(path).write_text(text)
        os.chown(path, accounts.NUMBER[user], accounts.NUMBER[user])

    def write_etc(self, name: str, text: str) -> None:
        """Write a file of ``etc/``, as the dispatcher's account could."""
        path = self.bench.path(f"{ETC}/{name}")
        Path(path).write_text(text)
        os.chown(path, accounts.NUMBER[DISPATCHER], accounts.NUMBER[DISPATCHER])

    def write_groups(self) -> None:
        """Let the dispatcher's account administer, and nobody else."""
        rights = '["hosts", "jobs", "users", "reload", "log", "audit", "shutdown", "properties"]'
        self.write_etc("groups", f'[groups.admins]\nmembers = ["{DISPATCHER}"]\nrights = {rights}\n')

    def write_hosts(self) -> None:
        """Write the table of hosts as `hosts` is."""
        lines = []
        for name, table in self.hosts.items():
            lines += ["", f"[hosts.{name}]", *(f"{key} = {_toml(value)}" for key, value in table.items())]
        self.write_etc("ComputerCluster.config", "\n".join([*lines[1:], ""]))

    # -- people's commands ----------------------------------------------------------------------------------------

    def said(self, user: str, *argv: str, on: str = "td", given: str = "", seconds: float = 60.0) -> str:
        """Return what a command of *user* says; raise `SaidError` when it fails."""
        try:
            done = self.bench[on].exec_as(user, argv, given=given, seconds=seconds)
        except subprocess.TimeoutExpired as error:
            raise SaidError(f"{user}: {' '.join(argv)[:200]} does not end: {error.stderr!r}\n{self.logs()}") from None
        if done.returncode:
            what = f"{user}: {' '.join(argv)[:200]}: {done.returncode}"
            raise SaidError(f"{what}: {done.stdout}{done.stderr}\n{self.logs()}")
        return done.stdout

    def send(self, line: str, user: str = DISPATCHER) -> str:
        """Say *line* to the dispatcher with ``hSend``; return the answer."""
        return self.said(user, "hSend", "td", str(PORT), line)

    def submit(self, user: str, *argv: str, given: str = "", on: str = "td") -> list[int]:
        """Run ``hRunJob`` with *argv*; return the ids."""
        return [int(line) for line in self.said(user, "hRunJob", "--quiet", *argv, given=given, on=on).split()]

    def submit_ledger(self, user: str, count: int = 1, seconds: float = 0.0, host: str = "", **more: str) -> list[int]:
        """Submit jobs that write into the user's ledger, each sleeping *seconds*."""
        options = [*(["--host", host] if host else []), "--from", "-"]
        command = f"{PYTHON} -I -S {LEDGER_PROGRAM} {self.ledger_path(user)} {seconds:g}\n"
        return self.submit(user, *options, given=command * count, **more)

    # -- daemons --------------------------------------------------------------------------------------------------

    def start_dispatcher(self, *options: str) -> None:
        """Start the dispatcher under its account; return when it greets."""
        self.said(DISPATCHER, "mkdir", "-p", "-m", "700", STATE)
        self.said(DISPATCHER, "TaskDispatcher", "--etc", ETC, "--state", STATE, *options)
        wait_for(self._greets, "the greeting of the dispatcher", pause=0.05)

    def _greets(self) -> bool:
        try:
            self.talk(ANN).close()
        except (OSError, HungUpError):
            return False
        return True

    def talk(self, user: str = DISPATCHER) -> Talk:
        """Return a conversation of *user* with the dispatcher; raise `Refused` as it does."""
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname = False
        context.load_verify_locations(self.bench.path(f"{ETC}/certs/taskdispatcher.crt"))
        own = self.bench.path(f"{accounts.home(user)}/.taskManager/{user}")
        context.load_cert_chain(own + ".crt", own + ".key")
        sock = self.bench["td"].dial(PORT)
        try:
            return Talk(context.wrap_socket(sock))
        except BaseException:
            sock.close()
            raise

    def spool(self, user: str, host: str) -> str:
        """Return the spool of the user's server on *host*, as it is seen from here."""
        number = accounts.NUMBER[user]
        return self.bench[host].path(f"/var/tmp/taskmanager-{number}/{CLUSTER}/hosts/{host}")

    # -- what becomes of it ---------------------------------------------------------------------------------------

    def values(self, verb: str, rest: str | None = None, user: str = DISPATCHER) -> list[View]:
        """Return the values that the dispatcher answers *verb* with."""
        with self.talk(user) as talk:
            return talk.values(verb, rest)

    def jobs(self) -> dict[int, View]:
        """Return the public views of all jobs by id."""
        found: dict[int, View] = {}
        with self.talk() as talk:
            while True:
                after = max(found, default=0)
                page = talk.values("lsjobs", f"user=all:after={after}")
                found |= {view["id"]: view for view in page}
                if len(page) < 1000:
                    return found

    def job(self, number: int) -> View:
        """Return the public view of one job."""
        return self.values("jobinfo", str(number))[0]

    def host(self, name: str) -> View:
        """Return the public view of a host."""
        return self.values("hostinfo", name)[0]

    def wait(self, ids: Iterable[int], seconds: float = 60.0, states: Iterable[str] = FINAL) -> list[View]:
        """Return the views of *ids* once all are in *states*."""
        wanted, good = list(ids), set(states)
        end = time.monotonic() + seconds
        while True:
            jobs = self.jobs()
            if all(jobs[number]["state"] in good for number in wanted):
                return [jobs[number] for number in wanted]
            if time.monotonic() > end:
                shown = [(number, jobs[number]["state"], jobs[number]["reason"]) for number in wanted][:20]
                raise AssertionError(f"jobs are not {sorted(good)} after {seconds:g} s: {shown}\n{self.logs()}")
            time.sleep(0.1)

    def output(self, number: int) -> str:
        """Return the output of a job."""
        return Path(self.bench.path(self.job(number)["stdout"])).read_text()

    def ledger_path(self, user: str) -> str:
        """Return where the jobs of *user* write that they run."""
        return f"{accounts.home(user)}/ledger"

    def ledger(self) -> list[ledger.Line]:
        """Return what all jobs have written themselves."""
        return [line for user in USERS for line in ledger.read(self.bench.path(self.ledger_path(user)))]

    def check(self, accepted: Iterable[int]) -> None:
        """Fail unless ledger and dispatcher agree: each job started once, and ended with the code it computed."""
        wrong = ledger.complaints(self.ledger(), list(accepted), self.jobs(), False)
        if wrong:
            raise AssertionError("\n".join([*wrong, self.logs()]))

    def logs(self) -> str:
        """Return the last lines of all logs, for the text of a failure."""
        shown = []
        for machine in self.bench.machines.values():
            if not machine.is_on:
                continue
            for path in sorted(Path(machine.path("/var/tmp")).glob("task*/**/*.log")):
                lines = path.read_text(errors="replace").splitlines()[-12:]
                shown += [f"--- {machine.name} {path.name}", *(line[:600] for line in lines)]
        return "\n".join(shown)


def refusal(action: Any) -> Refused:
    """Return how *action*, a call without arguments, is refused; fail when it is not."""
    try:
        action()
    except Refused as refused:
        return refused
    raise AssertionError("it was not refused")


def _toml(value: object) -> str:
    if isinstance(value, Mapping):
        return "{ " + ", ".join(f"{key} = {_toml(item)}" for key, item in value.items()) + " }"
    return json.dumps(value)

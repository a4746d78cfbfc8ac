"""Start a daemon on a host with the system's ``ssh``; jump hosts, agents, hardware keys as the user set them.

The law: host keys are always checked, nothing ever prompts, nothing secret stands on the command line.
"""

from __future__ import annotations

import os
import re
import shlex
from typing import TYPE_CHECKING

from twisted.internet.defer import DeferredSemaphore

from tm.edge.child import run_child
from tm.edge.trusted_file import trusted_file
from tm.errors import LaunchError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from tm.edge.child import Ended
    from tm.ports import Target

_SSH_FAILED = 255
_FIXED = (
    "BatchMode=yes",
    "StrictHostKeyChecking=yes",
    "UpdateHostKeys=no",
    "ServerAliveInterval=15",
    "LogLevel=ERROR",
    "ClearAllForwardings=yes",
    "RemoteCommand=none",
)
_KINDS = (
    (
        "ssh.hostkey",
        r"host key verification failed|host identification has changed|host key is known for|revoked",
    ),
    ("ssh.auth", r"permission denied \(|too many authentication failures|no more authentication methods"),
    (
        "ssh.config",
        r"unable to negotiate|bad configuration option|bad owner or permissions|terminating, \d+ bad",
    ),
    (
        "ssh.unreachable",
        r"could not resolve|connection refused|no route to host|unreachable|timed? ?out"
        r"|connection (closed|reset)|kex_exchange_identification|broken pipe|not responding|connect to host",
    ),
)
_NEXT = {
    "ssh.hostkey": "check the host's key and log in once by hand: {login}",
    "ssh.auth": "let this log you in without a question: {login}",
    "ssh.unreachable": "see whether the host is up and this works: {login}",
    "ssh.config": "correct the ssh configuration until this works: {login}",
    "ssh.command": "",
}


class OpenSSHLauncher:
    """Runs the command of a target with ``ssh``; *bound* in seconds, *at_once* launches together."""

    def __init__(
        self, reactor: Any, environment: Mapping[str, str], bound: float = 30.0, at_once: int = 8
    ) -> None:
        self._reactor = reactor
        self._environment = environment
        self._bound = bound
        self._turns = DeferredSemaphore(at_once)

    async def launch(self, target: Target) -> str:
        """Run the command there; return its output when it has ended with 0, raise `LaunchError` (``ssh.…``)."""
        argv = self.command_line(target)
        await self._turns.acquire()
        try:
            ended = await run_child(self._reactor, argv, self._environment, self._bound)
        except OSError as error:
            raise LaunchError(
                "ssh.config",
                f"{target.host}: no ssh can be started: {error.strerror}; install the OpenSSH client",
            ) from None
        finally:
            self._turns.release()
        if ended.expired or ended.status != 0:
            raise self._failure(target, ended)
        return ended.output

    def command_line(self, target: Target) -> list[str]:
        """Return the ssh that runs the command of *target* there; raise `LaunchError` (``ssh.config``)."""
        home = self._environment.get("HOME") or os.path.expanduser("~")
        options = [*_FIXED, f"ConnectTimeout={max(1, min(10, int(self._bound // 2)))}"]
        known_hosts = target.path("known_hosts", home)
        if known_hosts is not None:
            options.append(f'UserKnownHostsFile="{trusted_file(target, "known_hosts", known_hosts)}"')
        argv = ["ssh", "-a", "-x", "-T"]
        for option in options:
            argv += ["-o", option]
        config = target.path("config", home)
        if config is not None:
            argv += ["-F", trusted_file(target, "config", config)]
        return [*argv, *_login(target, home), "--", target.hostname, shlex.join(target.argv)]

    def _failure(self, target: Target, ended: Ended) -> LaunchError:
        reason = f": {ended.reason}" if ended.reason else ""
        if ended.expired:
            text = f"{target.host}: {target.argv[0]} did not end there within {self._bound:g} s{reason}"
            return LaunchError("ssh.command", text)
        word = classify(ended)
        if word == "ssh.command":
            return LaunchError(word, f"{target.host}: {target.argv[0]} {ended.how} there{reason}")
        login = shlex.join(["ssh", *_login(target, ""), target.hostname])
        return LaunchError(word, f"{target.host}: ssh failed{reason}; {_NEXT[word].format(login=login)}")


def _login(target: Target, home: str) -> list[str]:
    argv = []
    if target.port is not None:
        argv += ["-p", str(target.port)]
    if target.user is not None:
        argv += ["-l", target.user]
    identity = target.path("identity", home or "~")
    if identity is not None:
        argv += ["-i", identity]
    return argv


def classify(ended: Ended) -> str:
    """Return the class word of a failure: ssh speaks for itself only with status 255."""
    if ended.status == _SSH_FAILED:
        said = ended.errors.lower()
        for word, pattern in _KINDS:
            if re.search(pattern, said):
                return word
    return "ssh.command"

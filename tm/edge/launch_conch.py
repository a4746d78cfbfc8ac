"""Start a daemon on a host with an ssh client inside this process (twisted.conch), one connection per launch.

The law: host keys are always checked against the user's known_hosts, which are never written; nothing ever
prompts. What this client cannot do is refused with the remedy, ``launcher = "openssh"``, and never left away:
it reads no ssh configuration, signs with ed25519 and ecdsa keys only, opens no encrypted key, and knows
neither GCM ciphers nor encrypt-then-MAC.
"""

from __future__ import annotations

import os
import pwd
import shlex
from typing import TYPE_CHECKING, Any

from twisted.internet.defer import Deferred, DeferredSemaphore
from twisted.internet.defer import TimeoutError as Expired
from twisted.internet.endpoints import HostnameEndpoint, connectProtocol
from twisted.internet.error import ConnectError, ConnectingCancelledError, DNSLookupError
from twisted.internet.error import TimeoutError as ConnectExpired

from tm.edge.conch_keys import KeyRing, gather_keys
from tm.edge.conch_session import Session
from tm.edge.known_hosts import HostKeys, look_up
from tm.edge.ssh_config import deciding_lines
from tm.edge.trusted_file import trusted_file
from tm.errors import LaunchError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tm.edge.child import Ended
    from tm.ports import Target

_USUAL_PORT = 22
_CONNECT_BOUND = 10.0
_REMEDY = 'use launcher = "openssh" for this host'
_SITE_FILES = ("/etc/ssh/ssh_known_hosts", "/etc/ssh/ssh_known_hosts2")
_USER_FILES = (".ssh/known_hosts", ".ssh/known_hosts2")
_CONNECT_ERRORS = (
    ConnectError,
    ConnectExpired,
    ConnectingCancelledError,
    DNSLookupError,
    OSError,
    ValueError,
)


class ConchLauncher:
    """Runs the command of a target over conch; *bound* in seconds, *at_once* launches together."""

    def __init__(
        self, reactor: Any, environment: Mapping[str, str], bound: float = 30.0, at_once: int = 8
    ) -> None:
        self._reactor = reactor
        self._environment = environment
        self._home = environment.get("HOME") or os.path.expanduser("~")
        self._bound = bound
        self._turns = DeferredSemaphore(at_once)

    async def launch(self, target: Target) -> str:
        """Run the command there; return its output when it has ended with 0, raise `LaunchError` (``ssh.…``)."""
        self._refuse_configuration(target)
        known = self._known_hosts(target)
        await self._turns.acquire()
        attempt = _Attempt(self._reactor, target, known)
        try:
            work = Deferred.fromCoroutine(attempt.run(self._environment, self._home))
            return await work.addTimeout(self._bound, self._reactor)
        except Expired:
            raise attempt.expired(self._bound) from None
        finally:
            self._turns.release()

    def _refuse_configuration(self, target: Target) -> None:
        if "config" in target.options:
            raise LaunchError(
                "ssh.config", f"{target.host}: conch reads no ssh configuration (option config); {_REMEDY}"
            )
        path = os.path.join(self._home, ".ssh", "config")
        said = deciding_lines(_lines(path), target.hostname)
        if target.port is not None:
            said.pop("Port", None)
        if target.user is not None:
            said.pop("User", None)
        if said:
            shown = ", ".join(f"{name} {value}" for name, value in said.items())
            raise LaunchError(
                "ssh.config",
                f"{target.host}: {path} says {shown} for this address, which conch does not do; {_REMEDY}",
            )

    def _known_hosts(self, target: Target) -> HostKeys:
        named = target.path("known_hosts", self._home)
        if named is not None:
            files = [trusted_file(target, "known_hosts", named)]
        else:
            files = [os.path.join(self._home, name) for name in _USER_FILES]
        lines = [line for path in (*files, *_SITE_FILES) for line in _lines(path)]
        return look_up(lines, target.hostname, target.port)


def _lines(path: str) -> list[str]:
    try:
        with open(path, encoding="utf-8", errors="replace") as file:
            return file.readlines()
    except OSError:
        return []


class _Attempt:
    """One launch, from the keys to the end of the command."""

    def __init__(self, reactor: Any, target: Target, known: HostKeys) -> None:
        self._reactor = reactor
        self._target = target
        self._known = known
        self._ring = KeyRing()
        self._session: Session | None = None

    async def run(self, environment: Mapping[str, str], home: str) -> str:
        target = self._target
        self._ring = await gather_keys(self._reactor, environment, home, target.path("identity", home))
        try:
            self._need_a_key()
            user = target.user or pwd.getpwuid(os.getuid()).pw_name
            command = os.fsencode(shlex.join(target.argv))
            self._session = Session(self._reactor, user, command, self._known, self._ring)
            await self._connect(self._session)
            return self._judge(self._session, await self._session.over)
        finally:
            self._ring.close()

    def _need_a_key(self) -> None:
        if self._ring.identities:
            return
        if self._ring.aside:
            raise self._failure(
                "ssh.config", f"conch can use none of the keys: {', '.join(self._ring.aside)}"
            )
        raise self._failure(
            "ssh.auth", "there is no key to log in with; make one with: ssh-keygen -t ed25519"
        )

    async def _connect(self, session: Session) -> None:
        target = self._target
        port = target.port or _USUAL_PORT
        endpoint = HostnameEndpoint(self._reactor, target.hostname, port, timeout=_CONNECT_BOUND)
        try:
            await connectProtocol(endpoint, session)
        except _CONNECT_ERRORS as error:
            text = f"cannot connect to {target.hostname} port {port}: {_said(error)}"
            raise self._failure("ssh.unreachable", text) from None

    def _judge(self, session: Session, ended: Ended | None) -> str:
        if ended is not None:
            if ended.status == 0:
                return ended.output
            reason = f": {ended.reason}" if ended.reason else ""
            raise self._failure("ssh.command", f"{self._target.argv[0]} {ended.how} there{reason}")
        raise self._failure(*(session.failure or self._cut(session)))

    def _cut(self, session: Session) -> tuple[str, str]:
        if session.phase == "login":
            return "ssh.auth", "the host accepted none of the keys"
        if session.phase == "command":
            return "ssh.unreachable", "the connection was lost while the command ran"
        return "ssh.unreachable", "the host ended the connection during the ssh handshake"

    def _failure(self, word: str, text: str) -> LaunchError:
        if word == "ssh.auth" and self._ring.aside:
            text += f" (conch cannot use {', '.join(self._ring.aside)}; {_REMEDY} to try them)"
        elif word == "ssh.config":
            text += f"; {_REMEDY}"
        elif word == "ssh.hostkey":
            text += "; check it and log in once by hand: " + self._by_hand()
        return LaunchError(word, f"{self._target.host}: {text}")

    def _by_hand(self) -> str:
        target = self._target
        port = ["-p", str(target.port)] if target.port else []
        return shlex.join(["ssh", *port, target.address])

    def expired(self, bound: float) -> LaunchError:
        """Return what to say when *bound* seconds were not enough."""
        if self._session is not None and self._session.phase == "command":
            return self._failure(
                "ssh.command", f"{self._target.argv[0]} did not end there within {bound:g} s"
            )
        phase = self._session.phase if self._session is not None else "connecting"
        return self._failure("ssh.unreachable", f"no answer within {bound:g} s ({phase})")


def _said(error: BaseException) -> str:
    text = str(error).rstrip(".") or type(error).__name__
    return f"no such host name ({text})" if isinstance(error, DNSLookupError) else text

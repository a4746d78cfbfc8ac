"""One ssh connection inside this process: prove the host, log in, run one command, close.

The law: a connection whose host key is not among the trusted ones gets no further; the first failure
that is noted is the one that is told; `Session.over` fires once, when the connection has gone.
"""

from __future__ import annotations

import signal
import struct
from typing import TYPE_CHECKING, Any

from twisted.conch.error import ConchError
from twisted.conch.ssh.channel import SSHChannel
from twisted.conch.ssh.common import NS, getNS
from twisted.conch.ssh.connection import EXTENDED_DATA_STDERR, SSHConnection
from twisted.conch.ssh.transport import SSHClientTransport
from twisted.conch.ssh.userauth import SSHUserAuthClient
from twisted.internet.defer import Deferred, fail, succeed
from twisted.internet.task import LoopingCall
from typing_extensions import override

from tm.edge.child import KEPT, Ended
from tm.edge.known_hosts import HostKeys, key_kind

if TYPE_CHECKING:
    from twisted.conch.ssh.keys import Key
    from twisted.python.failure import Failure

    from tm.edge.conch_keys import Identity, KeyRing

KEEPALIVE = 15.0
_MISSED = 2
_RSA = ("rsa-sha2-512", "rsa-sha2-256")
_SERVED = ("ssh-ed25519", "ecdsa-sha2-nistp256", "ecdsa-sha2-nistp384", "ecdsa-sha2-nistp521", "ssh-rsa")
_PARTS = ("key exchanges", "host keys", "ciphers", "ciphers", "message codes", "message codes")


class Session(SSHClientTransport):
    """A connection that runs *command* as *user*; `phase` says how far it has come, `failure` why no further.

    `over` fires with an `Ended`, or with None where the command's end was not learnt.
    """

    transport: Any

    def __init__(self, reactor: Any, user: str, command: bytes, known: HostKeys, ring: KeyRing) -> None:
        self.reactor = reactor
        self.command = command
        self.phase = "connecting"
        self.failure: tuple[str, str] | None = None
        self.ended: Ended | None = None
        self.over: Deferred[Ended | None] = Deferred(self._cancel)
        self._gone = False
        self._user = user
        self._known = known
        self._ring = ring
        self.supportedPublicKeys = _algorithms(known)
        self.supportedMACs = [name for name in SSHClientTransport.supportedMACs if name != b"hmac-md5"]

    def note(self, word: str, text: str) -> None:
        """Remember why it failed; only the first reason counts."""
        if self.failure is None and self.ended is None:
            self.failure = (word, text)

    def _cancel(self, _waiting: Deferred[Ended | None]) -> None:
        self._gone = True
        self.abort()

    def abort(self) -> None:
        """Cut the connection, if it is there."""
        if self.transport is not None:
            self.transport.abortConnection()

    @override
    def connectionMade(self) -> None:
        self.phase = "handshake"
        self.transport.setTcpNoDelay(True)
        self.transport.setTcpKeepAlive(True)
        super().connectionMade()

    @override
    def ssh_KEXINIT(self, packet: bytes) -> None:
        offered = [name.split(b",") for name in getNS(packet[16:], 6)[:6]]
        ours = [self.supportedKeyExchanges, self.supportedPublicKeys]
        ours += [self.supportedCiphers] * 2 + [self.supportedMACs] * 2
        for part, theirs, mine in zip(_PARTS, offered, ours, strict=True):
            if not set(theirs) & set(mine):
                names = b", ".join(theirs).decode("ascii", "replace")
                self.note("ssh.config", f"conch serves none of the host's {part} ({names[:200]})")
        super().ssh_KEXINIT(packet)

    @override
    def verifyHostKey(self, hostKey: bytes, fingerprint: bytes) -> Deferred[Any]:
        if hostKey in self._known.revoked:
            self.note("ssh.hostkey", "the host's key is marked as revoked in known_hosts")
        elif hostKey in self._known.keys:
            return succeed(True)
        elif key_kind(hostKey) in self._known.kinds():
            self.note("ssh.hostkey", "the host's key has changed: it is not the one in known_hosts")
        elif self._known.authority:
            self.note("ssh.config", "conch cannot check host certificates, and known_hosts has nothing else")
        else:
            self.note("ssh.hostkey", f"the host's {key_kind(hostKey)} key is not in known_hosts")
        return fail(ConchError("host key not accepted"))

    @override
    def connectionSecure(self) -> None:
        self.phase = "login"
        self.requestService(_Login(self._user.encode(), _Connection(self), self._ring))

    @override
    def receiveError(self, reasonCode: int, description: bytes) -> None:
        text = description.decode(errors="replace")
        self.note("ssh.auth" if self.phase == "login" else "ssh.unreachable", f"the host said: {text[:200]}")

    def finish(self, ended: Ended) -> None:
        """The command has ended: close politely."""
        if self.ended is None:
            self.ended = ended
            self.loseConnection()

    @override
    def connectionLost(self, reason: Failure | None = None) -> None:
        super().connectionLost(reason)
        if not self._gone:
            self._gone = True
            self.over.callback(self.ended)


def _algorithms(known: HostKeys) -> list[bytes]:
    """Return the host key algorithms to ask for: first those of the known keys, since only they will do."""
    kinds = [kind for kind in known.kinds() if kind in _SERVED]
    kinds += [kind for kind in _SERVED if kind not in kinds]
    return [name.encode() for kind in kinds for name in (_RSA if kind == "ssh-rsa" else (kind,))]


class _Login(SSHUserAuthClient):
    """Offers the keys of the ring one by one, and nothing else: no password, no question."""

    def __init__(self, user: bytes, instance: _Connection, ring: KeyRing) -> None:
        super().__init__(user, instance)
        self.preferredOrder = [b"publickey"]
        self._ring = ring
        self._left = list(ring.identities)
        self._now: Identity | None = None

    @override
    def getPublicKey(self) -> Key | None:
        self._now = self._left.pop(0) if self._left else None
        return self._now.public if self._now else None

    @override
    def signData(self, publicKey: Key, signData: bytes) -> Deferred[bytes] | None:
        if self._now is None:
            return None
        if self._now.private is None:
            signed: Deferred[bytes] = self._ring.agent.signData(publicKey.blob(), signData)
            return signed
        return succeed(self._now.private.sign(signData))

    @override
    def auth_password(self) -> bool:
        return False

    @override
    def auth_keyboard_interactive(self) -> bool:
        return False


class _Connection(SSHConnection):
    """The connection after the login: opens one channel, and asks for a sign of life now and then."""

    def __init__(self, session: Session) -> None:
        super().__init__()
        self._session = session
        self._unanswered = 0
        self._pulse = LoopingCall(self._ask)
        self._pulse.clock = session.reactor

    @override
    def serviceStarted(self) -> None:
        super().serviceStarted()
        self._session.phase = "command"
        self._pulse.start(KEEPALIVE, now=False)
        self.openChannel(_Command(self._session))

    @override
    def serviceStopped(self) -> None:
        if self._pulse.running:
            self._pulse.stop()
        super().serviceStopped()

    def _ask(self) -> None:
        if self._unanswered >= _MISSED:
            self._session.note("ssh.unreachable", f"the host was silent for {KEEPALIVE * _MISSED:g} s")
            self._session.abort()
            return
        self._unanswered += 1
        self.sendGlobalRequest(b"keepalive@openssh.com", b"", wantReply=1).addBoth(self._answered)

    def _answered(self, _any: object) -> None:
        self._unanswered = 0


class _Command(SSHChannel):
    """The channel in which the command runs."""

    conn: Any

    name = b"session"

    def __init__(self, session: Session) -> None:
        super().__init__()
        self._session = session
        self._tails = {1: b"", 2: b""}
        self._status: int | None = None
        self._signal: int | None = None

    @override
    def channelOpen(self, specificData: bytes) -> None:
        asked = self.conn.sendRequest(self, b"exec", NS(self._session.command), wantReply=True)
        asked.addCallbacks(self._running, self._refused)

    def _running(self, _any: object) -> None:
        self.conn.sendEOF(self)

    def _refused(self, _failure: Failure) -> None:
        self._session.note("ssh.command", "the host did not run the command")
        self._session.loseConnection()

    @override
    def openFailed(self, reason: Any) -> None:
        self._session.note("ssh.command", f"the host opened no session: {reason}")
        self._session.abort()

    @override
    def dataReceived(self, data: bytes) -> None:
        self._tails[1] = (self._tails[1] + data)[-KEPT:]

    @override
    def extReceived(self, dataType: int, data: bytes) -> None:
        if dataType == EXTENDED_DATA_STDERR:
            self._tails[2] = (self._tails[2] + data)[-KEPT:]

    def request_exit_status(self, data: bytes) -> bool:
        """The host says with which status it ended; what a daemon still holds open does not matter."""
        (self._status,) = struct.unpack(">L", data[:4])
        if self._status == 0:
            self._session.finish(self._how())
        return True

    def request_exit_signal(self, data: bytes) -> bool:
        """The host says which signal ended the command."""
        name, _ = getNS(data)
        self._signal = getattr(signal, "SIG" + name.decode("ascii", "replace"), 0)
        return True

    @override
    def closed(self) -> None:
        if self._status is not None or self._signal is not None:
            self._session.finish(self._how())

    def _how(self) -> Ended:
        output, errors = (self._tails[fd].decode(errors="replace") for fd in (1, 2))
        return Ended(self._status, self._signal, output, errors, expired=False)

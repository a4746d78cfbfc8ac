"""TLS 1.3 with certificates on both sides, and who the other side is.

Identity is the SHA-256 of the presented certificate and nothing else; chains, issuers and names are claims.
That the peer holds the private key is what the handshake proves. A server lets the handshake pass and looks
the fingerprint up afterwards (`handshakeCompleted`), so that it can refuse with a sentence; a client accepts
exactly the certificates it has pinned. No session is resumed: who has been removed cannot return that way.
"""

from __future__ import annotations

import datetime
import os
import time
from collections.abc import Callable, Set

import msgspec
from cryptography import x509
from cryptography.x509.oid import NameOID
from OpenSSL import SSL, crypto
from twisted.internet.interfaces import IOpenSSLClientConnectionCreator, IOpenSSLServerConnectionCreator
from twisted.protocols.tls import TLSMemoryBIOFactory, TLSMemoryBIOProtocol
from twisted.python.failure import Failure
from typing_extensions import override
from zope.interface import implementer

from tm.edge.keys import fingerprint, load_pair
from tm.errors import RefusedError
from tm.model.rights import Users

_SHOWN = 16


class PeerCertificate(msgspec.Struct, frozen=True):
    """What the peer presented; *common_name* is only its claim, the times are seconds since the epoch."""

    fingerprint: str
    common_name: str
    not_before: float
    not_after: float


def describe(certificate: x509.Certificate) -> PeerCertificate:
    """Return what is needed of *certificate*; raise `ValueError` when its insides are malformed."""
    names = certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
    name = names[0].value if names else ""
    shown = name if isinstance(name, str) else ""
    return PeerCertificate(
        fingerprint=fingerprint(certificate),
        common_name="".join(c if c.isprintable() else "?" for c in shown[:64]),
        not_before=_seconds(certificate.not_valid_before_utc),
        not_after=_seconds(certificate.not_valid_after_utc),
    )


def peer_identity(transport: TLSMemoryBIOProtocol) -> PeerCertificate | None:
    """Return what the peer of *transport* presented, None if nothing; to be asked after the handshake.

    Raises `RefusedError` (``auth.malformed``) when it is no certificate that can be read.
    """
    connection: SSL.Connection = transport.getHandle()  # type: ignore[no-untyped-call]  # Twisted has no types here
    try:
        certificate = connection.get_peer_certificate(as_cryptography=True)
        return describe(certificate) if certificate is not None else None
    except (ValueError, SSL.Error, crypto.Error):
        raise RefusedError(
            "auth.malformed",
            "the certificate you presented cannot be read; make a new one with 'tm cert request'",
        ) from None


def check_peer(peer: PeerCertificate | None, users: Users, now: float) -> str:
    """Return the name of the user who presented *peer*; raise `RefusedError` (``auth.…``).

    *now* is in seconds since the epoch.
    """
    if peer is None:
        raise RefusedError(
            "auth.none",
            "you presented no certificate; 'tm cert request' makes one, an administrator registers it",
        )
    user = users.user_of(peer.fingerprint)
    claim = f"the certificate {peer.fingerprint[:_SHOWN]}… that calls itself '{peer.common_name}'"
    if user is None and peer.common_name in users:
        raise RefusedError(
            "auth.forged",
            f"{claim} is not one of those registered for that user; if you are {peer.common_name} and have"
            " a new certificate, have the administrator register it in etc/users",
        )
    if user is None:
        raise RefusedError(
            "auth.unknown", f"{claim} is not registered here; have the administrator register it in etc/users"
        )
    if now > peer.not_after:
        raise RefusedError(
            "auth.expired",
            f"the certificate {peer.fingerprint[:_SHOWN]}… of {user} expired on {_day(peer.not_after)};"
            " make a new one with 'tm cert request' and have the administrator register it",
        )
    if now < peer.not_before:
        raise RefusedError(
            "auth.notyet",
            f"the certificate {peer.fingerprint[:_SHOWN]}… of {user} is valid only from"
            f" {_day(peer.not_before)}; check the clocks of both machines",
        )
    return user


def check_server(peer: PeerCertificate | None, accepted: Set[str], now: float) -> None:
    """Raise `RefusedError` (``auth.server``) unless *peer* has one of the *accepted* fingerprints."""
    if peer is None:
        raise RefusedError("auth.server", "the server presented no certificate; it is not trusted")
    if peer.fingerprint not in accepted:
        raise RefusedError(
            "auth.server",
            f"the server's certificate {peer.fingerprint[:_SHOWN]}… that calls itself '{peer.common_name}'"
            " is not in your ca_certs file; if it has a new one, ask the administrator for a newer file",
        )
    if not peer.not_before <= now <= peer.not_after:
        raise RefusedError(
            "auth.server",
            f"the server's certificate {peer.fingerprint[:_SHOWN]}… is valid from {_day(peer.not_before)} to"
            f" {_day(peer.not_after)} only; the administrator renews it, or a clock is wrong",
        )


def server_context_factory(key_path: str, certificate_path: str) -> ServerConnections:
    """Return what makes a server's connections; raise `ConfigError` when key or certificate are unusable."""
    return ServerConnections(_context(key_path, certificate_path))


def client_context_factory(
    key_path: str, certificate_path: str, accepted: Set[str], clock: Callable[[], float] = time.time
) -> ClientConnections:
    """Return what makes a client's connections; they accept the *accepted* fingerprints and no others.

    Raises `ConfigError` when key or certificate are not usable.
    """
    return ClientConnections(_context(key_path, certificate_path), accepted, clock)


class Secured(TLSMemoryBIOProtocol):
    """TLS around a protocol that may want to know when the other side first says anything: `handshake_begins`."""

    _silent = True

    @override
    def dataReceived(self, data: bytes) -> None:
        if self._silent:
            self._silent = False
            begins = getattr(self.wrappedProtocol, "handshake_begins", None)
            if begins is not None:
                begins()
        super().dataReceived(data)


class SecureFactory(TLSMemoryBIOFactory):
    """Speaks TLS around another factory's protocols; whom that one refuses is hung up on before any handshake."""

    protocol = Secured

    @override
    def buildProtocol(self, addr: object) -> TLSMemoryBIOProtocol | None:  # type: ignore[override]  # None hangs up
        inner = self.wrappedFactory.buildProtocol(addr)
        return None if inner is None else self.protocol(self, inner)


@implementer(IOpenSSLServerConnectionCreator)
class ServerConnections:
    """Asks for a certificate and lets every one pass, also none: `check_peer` decides after the handshake."""

    def __init__(self, context: SSL.Context) -> None:
        self._context = context
        context.set_verify(SSL.VERIFY_PEER, lambda *_: True)

    def serverConnectionForTLS(self, tlsProtocol: TLSMemoryBIOProtocol) -> SSL.Connection:  # noqa: N802, N803
        return SSL.Connection(self._context, None)


@implementer(IOpenSSLClientConnectionCreator)
class ClientConnections:
    """Accepts the pinned servers; a connection to another is lost with a `RefusedError` (``auth.server``)."""

    def __init__(self, context: SSL.Context, accepted: Set[str], clock: Callable[[], float]) -> None:
        self._context = context
        self._accepted = frozenset(accepted)
        self._clock = clock
        context.set_verify(SSL.VERIFY_PEER, self._verify)

    def clientConnectionForTLS(self, tlsProtocol: TLSMemoryBIOProtocol) -> SSL.Connection:  # noqa: N802, N803
        connection = SSL.Connection(self._context, None)
        connection.set_app_data(tlsProtocol)
        return connection

    def _verify(self, connection: SSL.Connection, certificate: crypto.X509, error: int, depth: int, good: int) -> bool:
        """Decide at the server's own certificate (depth 0); what is above it in the chain does not matter."""
        if depth > 0:
            return True
        try:
            check_server(describe(certificate.to_cryptography()), self._accepted, self._clock())
        except RefusedError as refusal:
            connection.get_app_data().failVerification(Failure(refusal))  # type: ignore[no-untyped-call]  # nor here
            return False
        except (ValueError, crypto.Error):
            return False
        return True


def _context(key_path: str, certificate_path: str) -> SSL.Context:
    key, certificate = load_pair(key_path, certificate_path)
    context = SSL.Context(SSL.TLS_METHOD)
    context.set_min_proto_version(SSL.TLS1_3_VERSION)
    context.set_options(SSL.OP_NO_TICKET | SSL.OP_NO_COMPRESSION | SSL.OP_NO_RENEGOTIATION)
    context.set_session_cache_mode(SSL.SESS_CACHE_OFF)
    context.set_session_id(os.urandom(16))
    context.set_mode(SSL.MODE_RELEASE_BUFFERS)
    context.use_privatekey(key)
    context.use_certificate(certificate)
    context.check_privatekey()
    return context


def _seconds(moment: datetime.datetime) -> float:
    return moment.timestamp()


def _day(seconds: float) -> str:
    return datetime.datetime.fromtimestamp(seconds, datetime.UTC).strftime("%Y-%m-%d %H:%M UTC")

"""The TLS side of a client: our certificate, exactly the servers we trust, and a sentence for every way to
fail.

With TLS 1.3 a server's refusal of our certificate arrives only with the first bytes we read, after a
handshake and a request that seemed to succeed. Nothing is therefore believed before the greeting has been
read.
"""

from __future__ import annotations

import os
import socket
import ssl
import stat

from tm.client.connection import SILENCE, Connection, LostError
from tm.errors import TaskManagerError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from tm.places import Places

CONNECT_SECONDS = 10.0
_BEGIN = "-----BEGIN CERTIFICATE-----"
_END = "-----END CERTIFICATE-----"
_EXPIRED, _NOT_YET = 10, 9
_PARTIAL_CHAIN = 0x80000

DISPATCHER, OWN, EITHER = "dispatcher", "own", "either"


def open_dispatcher(places: Places, host: str | None = None, port: int | None = None) -> Connection:
    """Return a greeted connection to the TaskDispatcher; raise `TaskManagerError`."""
    return open_tls(places, host or places.host, port or places.port, DISPATCHER, "TaskDispatcher")


def open_tls(places: Places, host: str, port: int, expected: str, name: str) -> Connection:
    """Return a greeted connection to *name* at *host*:*port*, whose certificate must be the *expected* one.

    Raises `TaskManagerError`: ``auth.key``, ``auth.server``, ``auth.…``, ``net.…``, ``proto.version``.
    """
    peer = f"{name} at {host}:{port}"
    secured = _shake_hands(make_context(places), host, port, peer)
    try:
        check_server(secured.getpeercert(True) or b"", places, expected, peer)
    except TaskManagerError:
        secured.close()
        raise
    return Connection(secured, peer, explain)


def open_vouched(places: Places, host: str, port: int, name: str, vouch: Callable[[bytes], None]) -> Connection:
    """Return a greeted connection to *name*, whose certificate (DER) *vouch* lets pass or refuses by raising.

    Nothing is sent, and nothing received is believed, before it has been asked.
    """
    peer = f"{name} at {host}:{port}"
    context = make_context(places)
    context.verify_mode = ssl.CERT_NONE
    secured = _shake_hands(context, host, port, peer)
    try:
        vouch(secured.getpeercert(True) or b"")
    except TaskManagerError:
        secured.close()
        raise
    return Connection(secured, peer, explain)


def _shake_hands(context: ssl.SSLContext, host: str, port: int, peer: str) -> ssl.SSLSocket:
    sock = dial(host, port, peer)
    try:
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
        return context.wrap_socket(sock)
    except SILENCE:
        sock.close()
        raise TaskManagerError(
            "net.timeout", f"{peer} does not answer the handshake; is that the right port?"
        ) from None
    except OSError as error:
        sock.close()
        raise explain(error, peer) from None


def dial(host: str, port: int, peer: str) -> socket.socket:
    """Return a TCP connection; raise `TaskManagerError` ``net.…``."""
    try:
        return socket.create_connection((host, port), CONNECT_SECONDS)
    except socket.gaierror as error:
        raise TaskManagerError(
            "net.name",
            f"{peer}: the name '{host}' is not known here ({error.strerror}); check it, or use an address",
        ) from None
    except SILENCE:
        raise TaskManagerError(
            "net.timeout",
            f"{peer} is not reachable: no answer within {CONNECT_SECONDS:.0f} s; is the host up?",
        ) from None
    except ConnectionRefusedError:
        raise TaskManagerError(
            "net.refused",
            f"{peer} is not reachable (connection refused): nothing listens there; it is started with "
            "'bin/TaskDispatcher', or 'quickstart.py start' if quickstart made it",
        ) from None
    except OSError as error:
        raise TaskManagerError("net.unreachable", f"{peer} is not reachable: {error.strerror or error}") from None


def make_context(places: Places) -> ssl.SSLContext:
    """Return the context with our key and whom we trust; raise `TaskManagerError` ``auth.…``."""
    check_key(places.key)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = ssl.TLSVersion.TLSv1_3
    context.check_hostname = False
    context.verify_mode = ssl.CERT_REQUIRED
    context.verify_flags = ssl.VerifyFlags(context.verify_flags | _PARTIAL_CHAIN)
    for path in (places.certificate, places.trusted):
        try:
            context.load_verify_locations(cafile=path)
        except (ssl.SSLError, OSError) as error:
            raise _unusable(path, error) from None
    try:
        context.load_cert_chain(places.certificate, places.key, password=lambda: "")
    except (ssl.SSLError, OSError, ValueError) as error:
        if getattr(error, "reason", None) == "KEY_VALUES_MISMATCH":
            text = f"{places.key} is not the key of {places.certificate}: make both with 'tm cert request'"
        else:
            text = f"{places.key} cannot be used: it must be an unencrypted private key in PEM form ({error})"
        raise TaskManagerError("auth.key", text) from None
    return context


def check_key(path: str) -> None:
    """Raise `TaskManagerError` ``auth.key`` unless *path* is a private key that only its owner can read."""
    try:
        found = os.stat(path)
    except FileNotFoundError:
        raise TaskManagerError(
            "auth.key",
            f"{path}: there is no such key; 'tm cert request' makes one, TM_USER_DIRECTORY names its folder",
        ) from None
    except OSError as error:
        raise TaskManagerError("auth.key", f"{path}: cannot be read: {error.strerror}") from None
    if not stat.S_ISREG(found.st_mode):
        raise TaskManagerError("auth.key", f"{path}: must be a regular file with your private key")
    if found.st_uid != os.getuid():
        raise TaskManagerError("auth.key", f"{path}: must belong to you, not to user number {found.st_uid}")
    if found.st_mode & 0o077:
        mode = stat.S_IMODE(found.st_mode)
        raise TaskManagerError("auth.key", f"{path}: others can read it (mode {mode:04o}); do 'chmod 600 {path}'")


def read_certificates(path: str) -> list[bytes]:
    """Return the certificates in *path* in DER form; raise `TaskManagerError` ``auth.certificate``."""
    try:
        with open(path, encoding="ascii", errors="replace") as file:
            text = file.read()
        blocks = [part.partition(_END)[0] for part in text.split(_BEGIN)[1:]]
        return [ssl.PEM_cert_to_DER_cert(f"{_BEGIN}{block}{_END}\n") for block in blocks]
    except (OSError, ValueError) as error:
        raise _unusable(path, error) from None


def check_server(presented: bytes, places: Places, expected: str, peer: str) -> None:
    """Raise `TaskManagerError` ``auth.server`` unless *presented* is the one that is *expected*."""
    own = read_certificates(places.certificate)[:1]
    others = [one for one in read_certificates(places.trusted) if one not in own]
    good = {DISPATCHER: others, OWN: own, EITHER: own + others}[expected]
    if presented not in good:
        raise _false_server(peer)


def explain(error: OSError, peer: str) -> TaskManagerError:
    """Return the failure that *error*, met while talking TLS to *peer*, means."""
    reason = str(getattr(error, "reason", None) or "")
    if "CERTIFICATE_VERIFY_FAILED" in reason:
        code = getattr(error, "verify_code", 0)
        if code == _EXPIRED:
            return TaskManagerError(
                "auth.server",
                f"the certificate of {peer} has expired, or your clock is wrong; ask its administrator",
            )
        if code == _NOT_YET:
            return TaskManagerError(
                "auth.server", f"the certificate of {peer} is not valid yet: compare the clocks of both hosts"
            )
        return _false_server(peer)
    for mark, word, text in _ALERTS:
        if mark in reason:
            return TaskManagerError(word, text.format(peer=peer))
    if reason:
        return LostError("net.tls", f"{peer}: TLS failed: {reason.replace('_', ' ').lower()}")
    if isinstance(error, (ssl.SSLEOFError, ssl.SSLZeroReturnError, ConnectionError)):
        return LostError("net.lost", f"the connection to {peer} broke: the other side closed it")
    return LostError("net.lost", f"the connection to {peer} broke: {error.strerror or error}")


_ASK = "ask the administrator to enter your certificate into etc/users ('tm cert show' prints it)"
_ALERTS = (
    (
        "CERTIFICATE_REQUIRED",
        "auth.missing",
        "{peer} demands a certificate and got none; 'tm cert request' makes one",
    ),
    (
        "CERTIFICATE_EXPIRED",
        "auth.expired",
        "{peer} says that your certificate has expired; 'tm cert request' makes one",
    ),
    ("CERTIFICATE_REVOKED", "auth.refused", "{peer} says that your certificate has been withdrawn; " + _ASK),
    ("UNKNOWN_CA", "auth.unknown", "{peer} does not know your certificate; " + _ASK),
    ("CERTIFICATE_UNKNOWN", "auth.unknown", "{peer} does not accept your certificate; " + _ASK),
    ("BAD_CERTIFICATE", "auth.refused", "{peer} does not accept your certificate; " + _ASK),
    ("ACCESS_DENIED", "auth.refused", "{peer} does not accept your certificate; " + _ASK),
    ("PROTOCOL_VERSION", "net.tls", "{peer} does not speak TLS 1.3; is that the right port?"),
    ("UNSUPPORTED_PROTOCOL", "net.tls", "{peer} does not speak TLS 1.3; is that the right port?"),
    ("WRONG_VERSION_NUMBER", "net.tls", "{peer} does not speak TLS; is that the right port?"),
    (
        "UNEXPECTED_EOF",
        "net.lost",
        "{peer} closed the connection during the handshake; is that the right port?",
    ),
)


def _false_server(peer: str) -> TaskManagerError:
    return TaskManagerError(
        "auth.server",
        f"{peer} shows a certificate that is not the one you trust; nothing was sent. Is that the right host "
        "and port? If its certificate has been renewed, the administrator gives you the new one for your "
        "ca_certs.USER.crt",
    )


def _unusable(path: str, error: Exception) -> TaskManagerError:
    if isinstance(error, FileNotFoundError):
        return TaskManagerError(
            "auth.certificate", f"{path}: there is no such file; 'tm cert request' makes your certificate"
        )
    why = getattr(error, "reason", None) or getattr(error, "strerror", None) or "it holds no certificate"
    return TaskManagerError("auth.certificate", f"{path}: must hold certificates in PEM form ({why})")

"""The keys with which the in-process ssh client can log a user in: from files, or held by an agent.

It signs with ed25519 and ecdsa keys. What it cannot use is set aside with the reason, for a refusal to say.
"""

from __future__ import annotations

import os
import stat
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from twisted.conch.error import ConchError
from twisted.conch.ssh.agent import SSHAgentClient
from twisted.conch.ssh.keys import BadKeyError, EncryptedKeyError, Key
from twisted.internet.endpoints import UNIXClientEndpoint, connectProtocol
from twisted.internet.error import ConnectError

if TYPE_CHECKING:
    from collections.abc import Mapping

USABLE = ("Ed25519", "EC")
_USUAL_FILES = ("id_ed25519", "id_ecdsa", "id_rsa")
_BROKEN = (BadKeyError, ValueError, TypeError, LookupError, UnicodeError)


@dataclass(frozen=True)
class Identity:
    """A key to offer: its *public* half; the *private* one, or None where an agent signs."""

    public: Key
    private: Key | None = None


@dataclass
class KeyRing:
    """The identities to offer, in this order; what was set *aside*; the *agent*, a connection to close."""

    identities: list[Identity] = field(default_factory=list)
    aside: list[str] = field(default_factory=list)
    agent: Any = None

    def close(self) -> None:
        """End the connection to the agent, if there is one."""
        if self.agent is not None:
            self.agent.transport.loseConnection()


async def gather_keys(reactor: Any, environment: Mapping[str, str], home: str, wanted: str | None) -> KeyRing:
    """Return the keys to log in with: *wanted* alone if given, else the agent's and those in ``~/.ssh``."""
    ring = KeyRing()
    held = await _ask_agent(reactor, environment.get("SSH_AUTH_SOCK"), ring)
    if wanted is not None:
        _add_file(ring, wanted, held)
        return ring
    for key in held.values():
        if key.type() in USABLE:
            ring.identities.append(Identity(key))
        else:
            ring.aside.append(f"the agent's {key.type()} key")
    for name in _USUAL_FILES:
        path = os.path.join(home, ".ssh", name)
        if os.path.exists(path) and _public_blob(path) not in held:
            _add_file(ring, path, held)
    return ring


async def _ask_agent(reactor: Any, socket: str | None, ring: KeyRing) -> dict[bytes, Key]:
    if not socket:
        return {}
    try:
        ring.agent = await connectProtocol(UNIXClientEndpoint(reactor, socket, timeout=5), SSHAgentClient())
        answer = await ring.agent.requestIdentities()
    except (ConnectError, ConchError, OSError) as error:
        ring.aside.append(f"the agent at {socket} ({error})")
        return {}
    held = {}
    for blob, comment in answer:
        key = _parse(blob)
        if key is None:
            ring.aside.append(f"the agent's key {comment.decode(errors='replace')}")
        else:
            held[blob] = key
    return held


def _parse(data: bytes) -> Key | None:
    try:
        key: Key = Key.fromString(data)
        return key
    except _BROKEN:
        return None


def _public_blob(path: str) -> bytes | None:
    try:
        with open(path + ".pub", "rb") as file:
            key = _parse(file.read())
    except OSError:
        return None
    return key.blob() if key is not None else None


def _add_file(ring: KeyRing, path: str, held: dict[bytes, Key]) -> None:
    try:
        with open(path, "rb") as file:
            entry = os.fstat(file.fileno())
            data = file.read(64 * 1024)
    except OSError as error:
        ring.aside.append(f"{path} ({error.strerror})")
        return
    if stat.S_IMODE(entry.st_mode) & 0o077 or entry.st_uid != os.getuid():
        ring.aside.append(f"{path} (others may read it: chmod 600)")
        return
    try:
        private = Key.fromString(data)
    except EncryptedKeyError:
        _add_encrypted(ring, path, held)
        return
    except _BROKEN:
        ring.aside.append(f"{path} (not a private key that it can read)")
        return
    if private.type() not in USABLE:
        ring.aside.append(f"{path} (an {private.type()} key; it signs with ed25519 and ecdsa only)")
    elif private.isPublic():
        ring.aside.append(f"{path} (a public key)")
    else:
        ring.identities.append(Identity(private.public(), private))


def _add_encrypted(ring: KeyRing, path: str, held: dict[bytes, Key]) -> None:
    key = held.get(_public_blob(path) or b"")
    if key is not None and key.type() in USABLE:
        ring.identities.append(Identity(key))
    else:
        ring.aside.append(f"{path} (encrypted, and no agent holds it: ssh-add)")

"""The signature under a job order: only who holds the user's private key can make it or check it.

``docs/decisions/0001-orders-carry-a-mac.md`` says why it is a message authentication code, 0034 what its mark is for.
"""

from __future__ import annotations

import hmac

from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from tm.edge.keys import load_key
from tm.model.starts import MARK

ORDER = b"taskmanager job order 1"
GRANT = b"taskmanager web grant 1"
"""What a derived secret is for: what was signed for the one is never taken for the other."""
SHORT = 40
"""Hex digits of the code behind a mark: 160 bits."""


class OrderSigner:
    """Signs the text of an order, or of what *purpose* says, and checks it again; one for each user's server."""

    __slots__ = ("_secret",)

    def __init__(self, secret: bytes) -> None:
        self._secret = secret

    @classmethod
    def from_key(cls, key_path: str, purpose: bytes = ORDER) -> OrderSigner:
        """Return the signer whose private key is in *key_path*; raise `ConfigError` as `load_key` does."""
        return cls.of(load_key(key_path), purpose)

    @classmethod
    def of(cls, key: EllipticCurvePrivateKey, purpose: bytes = ORDER) -> OrderSigner:
        """Return the signer whose secret is derived from *key*."""
        encoded = key.private_bytes(Encoding.DER, PrivateFormat.PKCS8, NoEncryption())
        return cls(HKDF(algorithm=SHA256(), length=32, salt=None, info=purpose).derive(encoded))

    def sign(self, text: bytes | str, mark: str = "") -> str:
        """Return the signature of *text*: 64 hex digits, or, with a *mark* of 24 letters that makes it one of its
        kind, that mark, a dot, and 40."""
        data = text.encode() if isinstance(text, str) else text
        if not mark:
            return hmac.digest(self._secret, data, "sha256").hex()
        named = mark.encode(errors="replace") + b"."
        return f"{mark}.{hmac.digest(self._secret, named + data, 'sha256').hex()[:SHORT]}"

    def check(self, text: bytes | str, signature: str) -> bool:
        """Whether *signature* is the one of *text*; takes the same time for every wrong one."""
        mark = signature[:MARK] if signature[MARK : MARK + 1] == "." else ""
        return hmac.compare_digest(self.sign(text, mark).encode(errors="replace"), signature.encode(errors="replace"))

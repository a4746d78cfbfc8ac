"""Certificates of users: what is read of their files, and which of them that people hand over are accepted."""

from __future__ import annotations

import os
import stat

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding

from tm.errors import RefusedError
from tm.model.rights import Certificate

LARGEST = 64 * 1024


def read_certificate(path: str, file: str) -> Certificate:
    """Return the one certificate in the file *path*, called *file*.

    Raises `ValueError` with what is expected, `OSError` when the file cannot be read.
    """
    with open(path, "rb") as opened:
        status = os.fstat(opened.fileno())
        text = opened.read(1024 * 1024)
    if status.st_mode & stat.S_IWOTH:
        raise ValueError("everybody may write it; expected a file that only its owner writes")
    if b"PRIVATE KEY" in text:
        raise ValueError("expected a certificate only; the private key in it belongs to nobody but the user")
    key = os.path.splitext(path)[0] + ".key"
    if os.path.exists(key) and os.stat(key).st_mode & (stat.S_IRWXG | stat.S_IRWXO):
        raise ValueError(f"others may read the key beside it; say 'chmod 600 {key}'")
    found = _only_one(text)
    return Certificate(found.fingerprint(SHA256()).hex(), found.not_valid_after_utc.timestamp(), file)


def checked(text: str, now: float) -> tuple[Certificate, str]:
    """Return what the PEM *text* that somebody hands over is, and the certificate alone as PEM.

    *now* is in seconds since the epoch. Raises `RefusedError` ``user.certificate`` with what is wrong with it.
    """
    if "PRIVATE KEY" in text:
        raise _refused("there is a private key with it. It belongs to nobody but the user: make a new key and a new"
                       " certificate with 'tm cert request', and hand over the file .crt alone")  # fmt: skip
    if len(text) > LARGEST:
        raise _refused(f"it has more than {LARGEST} bytes; hand over one file .crt")
    try:
        found = _only_one(text.encode())
        found.verify_directly_issued_by(found)
        plain = isinstance(found.public_key(), EllipticCurvePublicKey) and not _is_authority(found)
    except (ValueError, TypeError, InvalidSignature, UnsupportedAlgorithm):
        plain = False
    if not plain:
        raise _refused("expected one certificate in PEM form, signed with its own key of an elliptic curve and of no"
                       " authority, as 'tm cert request' makes it")  # fmt: skip
    after, before = found.not_valid_after_utc.timestamp(), found.not_valid_before_utc.timestamp()
    if now > after:
        raise _refused("it has expired; 'tm cert request' makes a new one")
    if now < before - 86400:
        raise _refused("it is valid only from a later day on; is the clock right where it was made?")
    return Certificate(found.fingerprint(SHA256()).hex(), after), found.public_bytes(Encoding.PEM).decode()


def _is_authority(certificate: x509.Certificate) -> bool:
    try:
        return certificate.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    except x509.ExtensionNotFound:
        return False


def _only_one(text: bytes) -> x509.Certificate:
    try:
        found = x509.load_pem_x509_certificates(text)
    except ValueError:
        found = []
    if len(found) != 1:
        raise ValueError("expected one certificate in PEM form")
    return found[0]


def _refused(text: str) -> RefusedError:
    return RefusedError("user.certificate", f"the certificate is not accepted: {text}")

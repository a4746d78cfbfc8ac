"""Private keys and certificates in files, and the fingerprint that is a certificate's identity.

A private key is used only when nobody but its owner can read it.
"""

from __future__ import annotations

import os
import stat

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePrivateKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from tm.errors import ConfigError

_LARGEST = 1024 * 1024


def fingerprint(certificate: x509.Certificate) -> str:
    """Return the SHA-256 of *certificate*'s DER form in lower-case hex."""
    return certificate.fingerprint(SHA256()).hex()


def load_key(path: str, uid: int | None = None) -> EllipticCurvePrivateKey:
    """Return the private key in the file *path*, private to the user number *uid* (the caller's by default).

    Raises `ConfigError` (``config.key``) with one sentence that says what is wrong and what to do.
    """
    text = _read_private(path, os.getuid() if uid is None else uid)
    try:
        key = load_pem_private_key(text, password=None)
    except TypeError:
        raise _wrong(
            path, "the key asks for a password; servers start without one, so expected a key without"
        ) from None
    except (ValueError, UnsupportedAlgorithm):
        raise _wrong(path, "expected a private key in PEM form") from None
    if not isinstance(key, EllipticCurvePrivateKey):
        raise _wrong(path, "expected a key of an elliptic curve, as 'tm cert' makes it")
    return key


def load_certificate(path: str) -> x509.Certificate:
    """Return the one certificate in the file *path*; raise `ConfigError` (``config.certificate``)."""
    found = load_certificates(path)
    if len(found) != 1:
        raise ConfigError([f"{path}: expected one certificate; there are {len(found)}"], "config.certificate")
    return found[0]


def load_certificates(path: str) -> list[x509.Certificate]:
    """Return the certificates in *path*, at least one; raise `ConfigError` (``config.certificate``)."""
    try:
        with open(path, "rb") as file:
            return x509.load_pem_x509_certificates(file.read(_LARGEST))
    except OSError as error:
        hint = "; 'tm cert' makes it" if isinstance(error, FileNotFoundError) else ""
        raise ConfigError([f"{path}: {error.strerror}{hint}"], "config.certificate") from None
    except ValueError:
        raise ConfigError([f"{path}: expected certificates in PEM form"], "config.certificate") from None


def load_pair(
    key_path: str, certificate_path: str, uid: int | None = None
) -> tuple[EllipticCurvePrivateKey, x509.Certificate]:
    """Return the key and the certificate of one identity; raise `ConfigError`, also if they do not match."""
    key = load_key(key_path, uid)
    certificate = load_certificate(certificate_path)
    if certificate.public_key() != key.public_key():
        raise _wrong(
            key_path,
            f"it is not the key of the certificate {certificate_path}; expected the one made with it",
        )
    return key, certificate


def load_pins(path: str) -> frozenset[str]:
    """Return the fingerprints of the trusted certificates in the file *path* (``ca_certs.USER.crt``)."""
    return frozenset(map(fingerprint, load_certificates(path)))


def _read_private(path: str, uid: int) -> bytes:
    try:
        with open(path, "rb", opener=_open_without_waiting) as file:
            status = os.fstat(file.fileno())
            if not stat.S_ISREG(status.st_mode):
                raise _wrong(path, "expected a regular file that holds the private key")
            if status.st_uid != uid:
                raise _wrong(
                    path, f"the key belongs to user number {status.st_uid}; expected one of your own ({uid})"
                )
            if status.st_mode & (stat.S_IRWXG | stat.S_IRWXO):
                raise _wrong(path, f"others may use the key; say 'chmod 600 {path}'")
            return file.read(_LARGEST)
    except IsADirectoryError:
        raise _wrong(path, "expected a regular file that holds the private key") from None
    except OSError as error:
        hint = "; 'tm cert request' makes one" if isinstance(error, FileNotFoundError) else ""
        raise _wrong(path, f"{error.strerror}{hint}") from None


def _open_without_waiting(path: str, flags: int) -> int:
    return os.open(path, flags | os.O_NONBLOCK)


def _wrong(path: str, expected: str) -> ConfigError:
    return ConfigError([f"{path}: {expected}"], "config.key")

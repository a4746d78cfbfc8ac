"""Making keys, requests and certificates: ECDSA P-256, self-signed, never an authority.

A certificate says who its owner claims to be; that it is theirs is said by ``etc/users``. A key is made where
it is used, readable by its owner alone, and no file is ever overwritten here.
"""

from __future__ import annotations

import datetime
import ipaddress
import os

import msgspec
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID

from tm.errors import ConfigError

VALID_DAYS = 825
_BEFORE = datetime.timedelta(days=1)


class Subject(msgspec.Struct, frozen=True):
    """Who a certificate speaks of: a user with *email*, or a server with *hosts* (names, addresses)."""

    name: str
    email: str = ""
    hosts: tuple[str, ...] = ()


def make_key(path: str) -> ec.EllipticCurvePrivateKey:
    """Make a private key in the new file *path*, mode 0600; raise `ConfigError` when there is one already."""
    key = ec.generate_private_key(ec.SECP256R1())
    write_new(path, key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()), 0o600)
    return key


def make_request(key: ec.EllipticCurvePrivateKey, subject: Subject) -> x509.CertificateSigningRequest:
    """Return the request of the owner of *key* for a certificate as *subject*, signed with the key."""
    builder = x509.CertificateSigningRequestBuilder().subject_name(_name(subject))
    return builder.add_extension(_alternatives(subject), critical=False).sign(key, SHA256())


def make_certificate(
    key: ec.EllipticCurvePrivateKey, subject: Subject, now: datetime.datetime, days: int = VALID_DAYS
) -> x509.Certificate:
    """Return the certificate of *subject*, signed by its own *key*, valid for *days* after *now*."""
    builder = (
        x509.CertificateBuilder()
        .subject_name(_name(subject))
        .issuer_name(_name(subject))
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - _BEFORE)
        .not_valid_after(now + datetime.timedelta(days=days))
        .add_extension(x509.BasicConstraints(ca=False, path_length=None), critical=True)
        .add_extension(_alternatives(subject), critical=False)
        .add_extension(_key_usage(), critical=True)
        .add_extension(
            x509.ExtendedKeyUsage([ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH]),
            critical=False,
        )
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(key.public_key()), critical=False)
    )
    return builder.sign(key, SHA256())


def to_pem(*objects: x509.Certificate | x509.CertificateSigningRequest) -> bytes:
    """Return *objects* as PEM text, one after the other."""
    return b"".join(one.public_bytes(Encoding.PEM) for one in objects)


def write_new(path: str, content: bytes, mode: int = 0o644) -> None:
    """Write *content* into the new file *path*; raise `ConfigError` rather than overwrite one."""
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, mode)
    except FileExistsError:
        raise ConfigError(
            [f"{path}: exists and is never overwritten; move it away to replace it"],
            "config.exists",
        ) from None
    except OSError as error:
        raise ConfigError([f"{path}: cannot be written: {error.strerror}"], "config.write") from None
    try:
        with os.fdopen(descriptor, "wb") as file:
            os.fchmod(descriptor, mode)
            file.write(content)
            file.flush()
            os.fsync(descriptor)
    except OSError as error:
        os.unlink(path)
        raise ConfigError([f"{path}: cannot be written: {error.strerror}"], "config.write") from None


def _name(subject: Subject) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, subject.name)])


def _alternatives(subject: Subject) -> x509.SubjectAlternativeName:
    names: list[x509.GeneralName] = [x509.UniformResourceIdentifier(f"tm://user/{subject.name}")]
    if subject.email:
        names.append(x509.RFC822Name(subject.email))
    names.extend(map(_host, subject.hosts))
    return x509.SubjectAlternativeName(names)


def _host(host: str) -> x509.GeneralName:
    try:
        return x509.IPAddress(ipaddress.ip_address(host))
    except ValueError:
        return x509.DNSName(host)


def _key_usage() -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=True,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        key_cert_sign=False,
        crl_sign=False,
        encipher_only=False,
        decipher_only=False,
    )

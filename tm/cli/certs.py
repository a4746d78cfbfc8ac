"""What ``tm cert …`` does: keys, certificates and their registration, as files.

Each public function does one subcommand and returns the lines to print. Nothing that somebody made is ever
overwritten; files that only gather others (``ca_certs.USER.crt``, ``authorized_certs.crt``) are written anew.
"""

from __future__ import annotations

import datetime
import os
import re
from collections.abc import Callable

from cryptography import x509
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ec import EllipticCurvePublicKey
from cryptography.x509.oid import NameOID

from tm import config
from tm.config.editing import replace_file, user_table
from tm.edge.certificates import (
    VALID_DAYS,
    Subject,
    make_certificate,
    make_key,
    make_request,
    to_pem,
    write_new,
)
from tm.edge.keys import fingerprint, load_certificate, load_certificates, load_key
from tm.errors import ConfigError
from tm.places import valid_name

DISPATCHER = "taskdispatcher"
WEB = "taskweb"
AUTHORIZED = "authorized_certs.crt"
_EMAIL = re.compile(r"[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]{1,64}@[A-Za-z0-9.-]{1,190}\Z")


class Administration:
    """The folder *etc* of a cluster, its dispatcher's *hosts* (names and addresses), and what time it is."""

    def __init__(
        self, etc: str, hosts: tuple[str, ...], now: datetime.datetime, days: int = VALID_DAYS
    ) -> None:
        self.etc = etc
        self.certs = os.path.join(etc, "certs")
        self.users = os.path.join(etc, "users")
        self._hosts = hosts
        self._now = now
        self._days = days

    def create(self, user: str, email: str, register: bool) -> list[str]:
        """Make all four files of a *user* in ``etc/certs``, and the dispatcher's own if there are none."""
        check_person(user, email)
        lines = self.make_dispatcher()
        certificate = make_identity(self.certs, Subject(user, email), self._now, self._days)
        self._write_trusted(user, certificate)
        lines += [
            f"{self.certs}: made {user}.key {user}.csr {user}.crt ca_certs.{user}.crt",
            f"  certificate {fingerprint(certificate)}, valid until {_day(certificate)}",
            f"Copy {user}.key, {user}.crt, ca_certs.{user}.crt to {user}'s ~/.taskManager (key: mode 600)",
            f"and remove {os.path.join(self.certs, user)}.key: it is {user}'s alone.",
        ]
        return lines + self._registration(user, email, f"{user}.crt", register)

    def accept(self, path: str, another: bool) -> list[str]:
        """Register the certificate in *path* for the user it names, and write what that user is to trust."""
        certificate = load_certificate(path)
        user, email = _claims(certificate)
        check_person(user, email)
        self._check_handed_over(path, certificate)
        lines = self.make_dispatcher()
        known = self._certificates_of(user)
        if known and fingerprint(certificate) not in known and not another:
            raise ConfigError(
                [
                    f"{path}: {user} has another certificate registered ({known[0][:16]}…);"
                    " ask whether this one is theirs as well, then say it again with --another"
                ],
                "config.exists",
            )
        name = self._keep(user, certificate)
        self._write_trusted(user, certificate)
        lines += [
            f"Accepted the certificate {fingerprint(certificate)}, valid until {_day(certificate)}.",
            f"Is it {user}'s? They see the same number with 'tm cert show {user}.crt'.",
        ]
        if fingerprint(certificate) not in known:
            lines += self._registration(user, email, name, True)
        return [
            *lines,
            f"Give {os.path.join(self.certs, f'ca_certs.{user}.crt')} to {user}, for ~/.taskManager.",
        ]

    def authorized(self) -> list[str]:
        """Gather the certificates of all users in ``etc/certs/authorized_certs.crt``."""
        found: dict[str, x509.Certificate] = {}
        for name in self._user_files():
            found.update((fingerprint(one), one) for one in load_certificates(os.path.join(self.certs, name)))
        target = os.path.join(self.certs, AUTHORIZED)
        write_gathered(target, to_pem(*found.values()))
        lines = [f"{target}: holds {len(found)} certificates"]
        registered = config.load(self.etc).users.by_fingerprint if os.path.exists(self.users) else {}
        missing = [_claims(one)[0] for number, one in found.items() if number not in registered]
        if missing:
            lines.append(
                f"Not in {self.users}, so not let in: {', '.join(missing)} ('tm cert accept FILE' registers)"
            )
        return lines

    def make_dispatcher(self) -> list[str]:
        """Make the key and the certificate of the dispatcher if they are absent, and say so."""
        os.makedirs(self.certs, exist_ok=True)
        certificate = os.path.join(self.certs, DISPATCHER + ".crt")
        if os.path.exists(certificate):
            return []
        key_path = os.path.join(self.certs, DISPATCHER + ".key")
        key = load_key(key_path) if os.path.exists(key_path) else make_key(key_path)
        made = make_certificate(key, Subject(DISPATCHER, hosts=self._hosts), self._now, self._days)
        write_new(certificate, to_pem(made))
        return [
            f"{self.certs}: made {DISPATCHER}.key {DISPATCHER}.crt, the dispatcher's own; the key stays here"
        ]

    def _registration(self, user: str, email: str, file: str, register: bool) -> list[str]:
        if not register:
            table = user_table(user, f"certs/{file}", email).strip().splitlines()
            return [f"Add to {self.users}, then 'reload' the dispatcher:", *("  " + line for line in table)]
        if not os.path.exists(self.users):
            write_new(self.users, b"# Who may use this cluster; every user has certificates of their own.\n")
        config.add_certificate(self.users, user, f"certs/{file}", email)
        return [
            f"{self.users}: registered {user}; 'hSend HOST PORT reload' lets them in where a dispatcher runs"
        ]

    def _write_trusted(self, user: str, certificate: x509.Certificate) -> None:
        dispatcher = load_certificates(os.path.join(self.certs, DISPATCHER + ".crt"))
        write_gathered(os.path.join(self.certs, f"ca_certs.{user}.crt"), to_pem(*dispatcher, certificate))

    def _check_handed_over(self, path: str, certificate: x509.Certificate) -> None:
        try:
            certificate.verify_directly_issued_by(certificate)
        except (ValueError, TypeError, InvalidSignature):
            raise ConfigError(
                [f"{path}: expected a self-signed certificate, as of 'tm cert request'"]
            ) from None
        if not isinstance(certificate.public_key(), EllipticCurvePublicKey) or _is_authority(certificate):
            raise ConfigError(
                [f"{path}: expected a key of an elliptic curve and no authority, as of 'tm cert request'"]
            )
        if certificate.not_valid_after_utc <= self._now:
            raise ConfigError([f"{path}: expired on {_day(certificate)}; 'tm cert request' makes a new one"])

    def _certificates_of(self, user: str) -> list[str]:
        return list(config.load(self.etc).users.fingerprints_of(user)) if os.path.exists(self.users) else []

    def _keep(self, user: str, certificate: x509.Certificate) -> str:
        """Copy *certificate* to ``etc/certs`` unless it is there; return the name of its file."""
        for name in (f"{user}.crt", f"{user}-{fingerprint(certificate)[:16]}.crt"):
            path = os.path.join(self.certs, name)
            if not os.path.exists(path):
                write_new(path, to_pem(certificate))
                return name
            if fingerprint(load_certificate(path)) == fingerprint(certificate):
                return name
        raise ConfigError(
            [f"{path}: holds another certificate than its name says; move it away"], "config.exists"
        )

    def _user_files(self) -> list[str]:
        if not os.path.isdir(self.certs):
            raise ConfigError([f"{self.certs}: no such folder; 'tm cert create' makes it"], "config.missing")
        others = {AUTHORIZED, DISPATCHER + ".crt", WEB + ".crt"}
        names = sorted(name for name in os.listdir(self.certs) if name.endswith(".crt"))
        return [name for name in names if name not in others and not name.startswith("ca_certs.")]


def request(folder: str, user: str, email: str, now: datetime.datetime, days: int) -> list[str]:
    """Make the caller's own key and certificate in their *folder*; only the certificate is handed over."""
    check_person(user, email)
    os.makedirs(folder, mode=0o700, exist_ok=True)
    certificate = make_identity(folder, Subject(user, email), now, days)
    path = os.path.join(folder, user + ".crt")
    return [
        f"{folder}: made {user}.key {user}.csr {user}.crt",
        f"  certificate {fingerprint(certificate)}, valid until {_day(certificate)}",
        f"Hand over {path} to the administrator, who says 'tm cert accept {user}.crt'",
        f"and gives you ca_certs.{user}.crt for {folder}. The key stays with you.",
    ]


def show(path: str) -> list[str]:
    """Describe every certificate or request in the file *path*."""
    try:
        with open(path, "rb") as file:
            text = file.read(1024 * 1024)
    except OSError as error:
        raise ConfigError([f"{path}: {error.strerror}"], "config.read") from None
    if b"CERTIFICATE REQUEST" in text:
        return _described(path, lambda: [_request_lines(x509.load_pem_x509_csr(text))])
    return _described(path, lambda: [_lines(one) for one in x509.load_pem_x509_certificates(text)])


def make_identity(folder: str, subject: Subject, now: datetime.datetime, days: int) -> x509.Certificate:
    """Make ``NAME.key``, ``NAME.csr`` and ``NAME.crt`` in *folder*, all or, when one of them exists, none."""
    paths = {kind: os.path.join(folder, f"{subject.name}.{kind}") for kind in ("key", "csr", "crt")}
    for path in paths.values():
        if os.path.lexists(path):
            raise ConfigError(
                [f"{path}: exists and is never overwritten; move it away to replace it"], "config.exists"
            )
    key = make_key(paths["key"])
    made = [paths["key"]]
    try:
        certificate = make_certificate(key, subject, now, days)
        for kind, one in (("csr", make_request(key, subject)), ("crt", certificate)):
            write_new(paths[kind], to_pem(one))
            made.append(paths[kind])
    except ConfigError:
        for path in made:
            os.unlink(path)
        raise
    return certificate


def check_person(user: str, email: str) -> None:
    """Raise `ConfigError` unless *user* can name a user and *email*, which may be empty, is an address."""
    if not valid_name(user) or user in (DISPATCHER, WEB, "ca_certs", "authorized_certs"):
        raise ConfigError(
            [f"'{user}' cannot name a user; expected letters, digits, '_', '.' and '-'"], "config.user"
        )
    if email and not _EMAIL.match(email):
        raise ConfigError(
            [f"'{email}' is no e-mail address; expected one like name@example.org"], "config.email"
        )


def write_gathered(path: str, content: bytes) -> None:
    """Write a file that only gathers what others hold; an older one is replaced in one step."""
    if os.path.exists(path):
        replace_file(path, content.decode())
    else:
        write_new(path, content)


def _is_authority(certificate: x509.Certificate) -> bool:
    try:
        return certificate.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    except x509.ExtensionNotFound:
        return False


def _claims(certificate: x509.Certificate) -> tuple[str, str]:
    """Return the name and the address that *certificate* claims, either may be empty."""
    names = certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
    try:
        extension = certificate.extensions.get_extension_for_class(x509.SubjectAlternativeName)
        emails = extension.value.get_values_for_type(x509.RFC822Name)
    except (x509.ExtensionNotFound, ValueError):
        emails = []
    return (str(names[0].value) if names else "", emails[0] if emails else "")


def _described(path: str, read: Callable[[], list[list[str]]]) -> list[str]:
    try:
        return [line for lines in read() for line in lines]
    except ValueError:
        raise ConfigError([f"{path}: expected certificates in PEM form"], "config.certificate") from None


def _lines(certificate: x509.Certificate) -> list[str]:
    name, email = _claims(certificate)
    key = certificate.public_key()
    kind = f"{key.curve.name}" if hasattr(key, "curve") else type(key).__name__
    return [
        f"{name} {email}".strip(),
        f"  fingerprint {fingerprint(certificate)}",
        f"  valid from {certificate.not_valid_before_utc:%Y-%m-%d} until {_day(certificate)}",
        f"  key {kind}",
    ]


def _request_lines(request: x509.CertificateSigningRequest) -> list[str]:
    names = request.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
    return [f"{str(names[0].value) if names else ''} (a request, not a certificate)"]


def _day(certificate: x509.Certificate) -> str:
    return f"{certificate.not_valid_after_utc:%Y-%m-%d}"

"""``users`` and ``groups`` → who everybody is and what they may."""

from __future__ import annotations

import os
import stat
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives.hashes import SHA256

from tm.config.document import Document
from tm.model.rights import RIGHTS, Group, Groups, User, Users
from tm.places import valid_name

USERS = "users"
GROUPS = "groups"


def read_users(document: Document) -> Users:
    """Return the users that *document* describes; what is wrong goes to its complaints."""
    for key in document.data:
        if key != "users":
            document.complain("expected [users.NAME]", key)
    users: list[User] = []
    owner_of: dict[str, str] = {}
    for name, table in document.tables("users").items():
        if not valid_name(name):
            document.complain("a user's name has letters, digits, '_', '.' and '-'", "users", name)
        document.only({"certificates", "email"}, "users", name)
        fingerprints = tuple(dict.fromkeys(_fingerprints(document, name, table)))
        for fingerprint in fingerprints:
            other = owner_of.setdefault(fingerprint, name)
            if other != name:
                document.complain(
                    f"expected a certificate of their own; {other} has the same",
                    "users",
                    name,
                    "certificates",
                )
        users.append(User(name, fingerprints, _email(document, name, table)))
    return Users.of(*users)


def read_groups(document: Document, users: Users) -> Groups:
    """Return the groups that *document* describes; what is wrong goes to its complaints."""
    for key in document.data:
        if key != "groups":
            document.complain("expected [groups.NAME]", key)
    groups = []
    for name, table in document.tables("groups").items():
        if not valid_name(name):
            document.complain("a group's name has letters, digits, '_', '.' and '-'", "groups", name)
        document.only({"members", "rights"}, "groups", name)
        members = document.strings(table, "members", "groups", name)
        for member in members:
            if member != "*" and member not in users:
                document.complain(
                    f"'{member}' is not in {USERS}; expected its users or \"*\"", "groups", name, "members"
                )
        rights = document.strings(table, "rights", "groups", name)
        for right in rights:
            if right not in RIGHTS:
                document.complain(
                    f"'{right}' is no right; expected {', '.join(RIGHTS)}", "groups", name, "rights"
                )
        groups.append(Group(name, frozenset(members), frozenset(rights)))
    return Groups(tuple(groups))


def _email(document: Document, name: str, table: dict[str, Any]) -> str:
    email = table.get("email", "")
    if isinstance(email, str) and (not email or "@" in email):
        return email
    document.complain('expected an address like "name@example.org"', "users", name, "email")
    return ""


def _fingerprints(document: Document, name: str, table: dict[str, Any]) -> list[str]:
    paths = document.strings(table, "certificates", "users", name)
    if not paths and "certificates" not in table:
        document.complain(f'expected certificates = ["certs/{name}.crt"]', "users", name)
    found = []
    for path in paths:
        try:
            found.append(_fingerprint(os.path.join(os.path.dirname(document.path), path)))
        except OSError as error:
            document.complain(f"certificate {path}: {error.strerror}", "users", name, "certificates")
        except ValueError as error:
            document.complain(f"certificate {path}: {error}", "users", name, "certificates")
    return found


def _fingerprint(path: str) -> str:
    """Return the fingerprint of the one certificate in the file; raise `ValueError` with what is expected."""
    with open(path, "rb") as file:
        status = os.fstat(file.fileno())
        text = file.read(1024 * 1024)
    if status.st_mode & stat.S_IWOTH:
        raise ValueError("everybody may write it; expected a file that only its owner writes")
    if b"PRIVATE KEY" in text:
        raise ValueError("expected a certificate only; the private key in it belongs to nobody but the user")
    key = os.path.splitext(path)[0] + ".key"
    if os.path.exists(key) and os.stat(key).st_mode & (stat.S_IRWXG | stat.S_IRWXO):
        raise ValueError(f"others may read the key beside it; say 'chmod 600 {key}'")
    try:
        certificates = x509.load_pem_x509_certificates(text)
    except ValueError:
        certificates = []
    if len(certificates) != 1:
        raise ValueError("expected one certificate in PEM form")
    return certificates[0].fingerprint(SHA256()).hex()

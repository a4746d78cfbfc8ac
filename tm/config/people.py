"""``users`` and ``groups`` → who everybody is and what they may."""

from __future__ import annotations

import os
from typing import Any

from tm.config.certificate import read_certificate
from tm.config.document import Document
from tm.model.resources import parse_memory
from tm.model.rights import REMOVED_JOBS, Certificate, Group, Groups, Limits, User, Users, rights_known
from tm.places import valid_name

USERS = "users"
GROUPS = "groups"
MOST_SHARES = 1_000_000
MOST_LIMIT = 2**62
_LIMITS = set(Limits.__struct_fields__)


def read_users(document: Document) -> Users:
    """Return the users that *document* describes; what is wrong goes to its complaints."""
    for key in document.data:
        if key not in ("users", "removed"):
            document.complain("expected [users.NAME] or [removed]", key)
    users: list[User] = []
    owner_of: dict[str, str] = {}
    for name, table in document.tables("users").items():
        if not valid_name(name):
            document.complain("a user's name has letters, digits, '_', '.' and '-'", "users", name)
        document.only({"certificates", "email"}, "users", name)
        certificates = _certificates(document, name, table)
        for one in certificates:
            other = owner_of.setdefault(one.fingerprint, name)
            if other != name:
                document.complain(
                    f"expected a certificate of their own; {other} has the same", "users", name, "certificates"
                )
        fingerprints = tuple(dict.fromkeys(one.fingerprint for one in certificates))
        users.append(User(name, fingerprints, _email(document, name, table), tuple(certificates)))
    return Users.of(*users, removed_jobs=_removed_jobs(document))


def read_groups(document: Document, users: Users) -> Groups:
    """Return the groups that *document* describes; what is wrong goes to its complaints."""
    for key in document.data:
        if key != "groups":
            document.complain("expected [groups.NAME]", key)
    groups = []
    for name, table in document.tables("groups").items():
        if not valid_name(name):
            document.complain("a group's name has letters, digits, '_', '.' and '-'", "groups", name)
        document.only({"members", "rights", "limits", "user_limits", "shares"}, "groups", name)
        groups.append(
            Group(
                name, _members(document, name, table, users), _rights(document, name, table),
                _limits(document, name, table, "limits"), _limits(document, name, table, "user_limits"),
                _shares(document, name, table),
            )
        )  # fmt: skip
    return Groups(tuple(groups))


def _members(document: Document, name: str, table: dict[str, Any], users: Users) -> frozenset[str]:
    members = document.strings(table, "members", "groups", name)
    for member in members:
        if member != "*" and member not in users:
            document.complain(f"'{member}' is not in {USERS}; expected its users or \"*\"", "groups", name, "members")
    return frozenset(members)


def _rights(document: Document, name: str, table: dict[str, Any]) -> frozenset[str]:
    rights = document.strings(table, "rights", "groups", name)
    known = rights_known()
    for right in rights:
        if right not in known:
            words = ", ".join(word for word in known if ":" not in word)
            expected = f"'{right}' is no right; expected {words} or verb:VERB with a verb that needs one of them"
            document.complain(expected, "groups", name, "rights")
    return frozenset(rights)


def _limits(document: Document, name: str, table: dict[str, Any], key: str) -> Limits:
    given = table.get(key, {})
    if not isinstance(given, dict):
        document.complain(f"expected a table like {key} = {{ running = 100, cores = 64 }}", "groups", name, key)
        return Limits()
    if given:
        document.only(_LIMITS, "groups", name, key)
    found = {word: _limit(document, given[word], name, key, word) for word in given if word in _LIMITS}
    return Limits(**found)


def _limit(document: Document, value: object, name: str, key: str, word: str) -> int | None:
    if isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= MOST_LIMIT:
        return value
    expected = f"{word}: expected a number, 0 or more; without it nothing is limited"
    if word == "memory":
        expected = f'{word}: expected a size like "256G" or a number of bytes'
        if isinstance(value, str):
            try:
                return parse_memory(value)
            except ValueError as error:
                expected = f"{word}: {error}"
    document.complain(expected, "groups", name, key, word)
    return None


def _shares(document: Document, name: str, table: dict[str, Any]) -> int:
    value = table.get("shares")
    if value is None:
        return 0
    if isinstance(value, int) and not isinstance(value, bool) and 1 <= value <= MOST_SHARES:
        return value
    document.complain(f"expected a number of shares from 1 to {MOST_SHARES}", "groups", name, "shares")
    return 0


def _removed_jobs(document: Document) -> str:
    table = document.data.get("removed", {})
    if not isinstance(table, dict):
        document.complain("expected a table [removed]", "removed")
        return REMOVED_JOBS[0]
    if table:
        document.only({"jobs"}, "removed")
    value = table.get("jobs", REMOVED_JOBS[0])
    if isinstance(value, str) and value in REMOVED_JOBS:
        return value
    words = " or ".join(f'"{word}"' for word in REMOVED_JOBS)
    document.complain(f"expected jobs = {words}: what running jobs of a removed user do", "removed", "jobs")
    return REMOVED_JOBS[0]


def _email(document: Document, name: str, table: dict[str, Any]) -> str:
    email = table.get("email", "")
    if isinstance(email, str) and (not email or "@" in email):
        return email
    document.complain('expected an address like "name@example.org"', "users", name, "email")
    return ""


def _certificates(document: Document, name: str, table: dict[str, Any]) -> list[Certificate]:
    paths = document.strings(table, "certificates", "users", name)
    if not paths and "certificates" not in table:
        document.complain(f'expected certificates = ["certs/{name}.crt"]', "users", name)
    found = []
    for path in paths:
        try:
            found.append(read_certificate(os.path.join(os.path.dirname(document.path), path), path))
        except OSError as error:
            document.complain(f"certificate {path}: {error.strerror}", "users", name, "certificates")
        except ValueError as error:
            document.complain(f"certificate {path}: {error}", "users", name, "certificates")
    return found

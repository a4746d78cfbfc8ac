"""What somebody may give to others: nothing that they lack themselves, in whichever way it would reach them.

The law: no change of users and groups may give anybody a verb or a right that who makes the change does not have, be
it by the rights of a group, by its members, or by a certificate that lets somebody be another. And somebody remains
who may change users and groups.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from tm.errors import RefusedError
from tm.model.rights import DISPATCHER, RIGHTS, VERB, Groups, Users, spelled_out

_VERBS_OF = {
    right: frozenset(VERB + verb for verb, rule in DISPATCHER.items() if rule.right == right) for right in RIGHTS
}
_ANYBODY = ""
"""Stands for whoever will be registered later: a member of no group but those of everybody."""


class People(NamedTuple):
    """Users and groups as they are at one time."""

    users: Users
    groups: Groups


def power(rights: Iterable[str]) -> frozenset[str]:
    """Return all that *rights* open: themselves, and ``verb:VERB`` for each verb that needs one of them."""
    whole = spelled_out(frozenset(rights))
    return whole.union(*(_VERBS_OF[right] for right in whole if right in _VERBS_OF))


def check_granted(user: str, rights: frozenset[str], before: People, after: People) -> None:
    """Raise `RefusedError` ``perm.grant`` when the change gives what *user*, who has *rights*, lacks."""
    mine = power(rights)
    for other in sorted(_affected(before, after)):
        gained = power(after.groups.rights_of(other)) - power(before.groups.rights_of(other))
        _check_lack(gained - mine, f"give {other or 'everybody'}")
    for other, one in after.users.by_name.items():
        fresh = set(one.fingerprints) - set(before.users.fingerprints_of(other))
        if fresh and other != user:
            _check_lack(power(after.groups.rights_of(other)) - mine, f"let a new certificate be {other}, who has")


def _check_lack(lacking: frozenset[str], what: str) -> None:
    if lacking:
        words = sorted(lacking & set(RIGHTS)) or sorted(lacking)
        raise RefusedError(
            "perm.grant",
            f"you cannot {what} {'rights' if len(words) > 1 else 'the right'} {', '.join(words)}: you do not have"
            " it yourself; somebody who has ('lsgroups' shows who) can do this",
        )


def _affected(before: People, after: People) -> set[str]:
    """Return who may have other rights after the change than before."""
    old = {group.name: group for group in before.groups.groups}
    new = {group.name: group for group in after.groups.groups}
    found: set[str] = set()
    for name in old.keys() | new.keys():
        one, other = old.get(name), new.get(name)
        if one is None or other is None or (one.members, one.rights) != (other.members, other.rights):
            found |= (one.members if one else frozenset()) | (other.members if other else frozenset())
    if "*" in found:
        found = (found - {"*"}) | set(after.users.by_name) | {_ANYBODY}
    return found


def check_remains(before: People, after: People, now: float) -> None:
    """Raise `RefusedError` ``perm.last`` when the change leaves nobody who may change users and groups.

    *now* is in seconds since the epoch: whose certificates have all expired cannot come in.
    """
    if holders(before, now) and not holders(after, now):
        raise RefusedError(
            "perm.last",
            "nobody would be left who has the right 'users' and a valid certificate: give it to another user first",
        )


def holders(people: People, now: float) -> set[str]:
    """Return who has the right ``users`` and a certificate to come in with."""
    return {
        name for name, user in people.users.by_name.items()
        if "users" in people.groups.rights_of(name) and any(one.not_after > now for one in user.certificates)
    }  # fmt: skip

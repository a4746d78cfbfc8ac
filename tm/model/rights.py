"""Who people are and what they may ask for.

The law: every verb of every server has a `Rule` in the tables here, and what has none is refused. A person is
a user because the fingerprint of their certificate stands in ``etc/users``; what a certificate says of itself
proves nothing.
"""

from __future__ import annotations

from collections.abc import Mapping, Set

import msgspec

from tm.errors import RefusedError

RIGHTS = ("hosts", "jobs", "users", "reload", "log", "audit", "shutdown", "properties")
ALL = "all"
"""The word for all of `RIGHTS`, in a group's rights."""
VERB = "verb:"
"""What stands before the name of one verb in a group's rights: that verb alone, not all that its right opens."""
INFOSERVER = "infoserver"
"""The right that every InfoServer has and no group can give. One is called ``infoserver@HOST``: no user is."""
WEB = "web"
"""The right that the web server has and no group can give. It is called ``web@CLUSTER``: no user is."""
MAY = ("look", "act", "submit")
"""What a session of the web interface may, each more than the one before: look, act on what is there, submit jobs."""
REMOVED_JOBS = ("finish", "cancel")


class Certificate(msgspec.Struct, frozen=True):
    """A registered certificate: its SHA-256 in lower-case hex, the last second it is valid, its file below ``etc``."""

    fingerprint: str
    not_after: float
    file: str = ""


class User(msgspec.Struct, frozen=True):
    """A registered user; *fingerprints* are the SHA-256 of their *certificates*, in lower-case hex."""

    name: str
    fingerprints: tuple[str, ...]
    email: str = ""
    certificates: tuple[Certificate, ...] = ()


class Users(msgspec.Struct, frozen=True):
    """All registered users by name, and whose each fingerprint is.

    *removed_jobs* says what becomes of the running jobs of those who are no longer there, one of `REMOVED_JOBS`.
    """

    by_name: Mapping[str, User]
    by_fingerprint: Mapping[str, str]
    removed_jobs: str = "finish"

    @classmethod
    def of(cls, *users: User, removed_jobs: str = "finish") -> Users:
        """Return the table of *users*, whose fingerprints are all different."""
        return cls(
            {user.name: user for user in users},
            {fingerprint: user.name for user in users for fingerprint in user.fingerprints},
            removed_jobs,
        )

    def user_of(self, fingerprint: str) -> str | None:
        """Return the name of the user whose certificate has this *fingerprint*, or None."""
        return self.by_fingerprint.get(fingerprint)

    def fingerprints_of(self, user: str) -> tuple[str, ...]:
        """Return the fingerprints of *user*'s certificates; none for somebody unknown."""
        found = self.by_name.get(user)
        return found.fingerprints if found else ()

    def __contains__(self, user: str) -> bool:
        return user in self.by_name


class Limits(msgspec.Struct, frozen=True):
    """How much at once, None where it is not limited: running jobs, their cores, their memory (bytes), waiting jobs."""

    running: int | None = None
    cores: int | None = None
    memory: int | None = None
    queued: int | None = None

    @property
    def any(self) -> bool:
        """Whether anything is limited."""
        return (self.running, self.cores, self.memory, self.queued) != (None, None, None, None)


class Group(msgspec.Struct, frozen=True):
    """A group of ``etc/groups``; the member ``*`` stands for every user.

    *limits* hold for all members together, *user_limits* for each of them alone; *shares* is the group's part of the
    cluster beside the other groups', 0 where it takes no part in sharing (`tm.model.fairshare`).
    """

    name: str
    members: frozenset[str]
    rights: frozenset[str] = frozenset()
    limits: Limits = Limits()
    user_limits: Limits = Limits()
    shares: int = 0


def spelled_out(rights: frozenset[str]) -> frozenset[str]:
    """Return *rights* with every right in the place of the word for all of them."""
    return (rights - {ALL}).union(RIGHTS) if ALL in rights else rights


class Groups(msgspec.Struct, frozen=True):
    """All groups, in the order of the file."""

    groups: tuple[Group, ...] = ()

    def groups_of(self, user: str) -> tuple[str, ...]:
        """Return the names of the groups *user* is in."""
        return tuple(group.name for group in self.having(user))

    def rights_of(self, user: str) -> frozenset[str]:
        """Return the rights *user* has through all groups; the word for all of them is written out."""
        return spelled_out(frozenset().union(*(group.rights for group in self.having(user))))

    def having(self, user: str) -> tuple[Group, ...]:
        """Return the groups *user* is in."""
        return tuple(group for group in self.groups if user in group.members or "*" in group.members)


class Rule(msgspec.Struct, frozen=True):
    """Who may do something: everybody; or to *own* things, or as holders of *right*, or either."""

    own: bool = False
    right: str = ""

    def permits(self, rights: Set[str], own: bool) -> bool:
        """Whether somebody with these *rights* may do it, to what is their *own* or somebody else's."""
        if not self.own and not self.right:
            return True
        person = INFOSERVER not in rights and WEB not in rights
        return (self.own and own and person) or (bool(self.right) and self.right in rights)


EVERYBODY = Rule()
SELF = Rule(own=True)
OWNER = Rule(own=True, right="jobs")
HOST_OWNER = Rule(own=True, right="hosts")
SESSION_OWNER = Rule(own=True, right="users")


def _right(name: str) -> Rule:
    return Rule(right=name)


_EVERY_SERVER = {"help": EVERYBODY, "version": EVERYBODY, "whoami": EVERYBODY, "status": EVERYBODY}

DISPATCHER: Mapping[str, Rule] = {
    **_EVERY_SERVER,
    "runjob": SELF,
    "submit": SELF,
    "lsjobs": OWNER,
    "countjobs": OWNER,
    "jobinfo": OWNER,
    "canceljob": OWNER,
    "holdjob": OWNER,
    "releasejob": OWNER,
    "suspendjob": OWNER,
    "resumejob": OWNER,
    "signaljob": OWNER,
    "requeuejob": OWNER,
    "changejob": OWNER,
    "tryjobs": OWNER,
    "jobtexts": SELF,
    "whyjob": OWNER,
    "fits": EVERYBODY,
    "lsshares": EVERYBODY,
    "usage": EVERYBODY,
    "joblog": OWNER,
    "lshosts": EVERYBODY,
    "hostinfo": EVERYBODY,
    "activatehost": _right("hosts"),
    "deactivatehost": _right("hosts"),
    "drainhost": _right("hosts"),
    "addhost": _right("hosts"),
    "changehost": _right("hosts"),
    "removehost": _right("hosts"),
    "declarelost": _right("hosts"),
    "leavehost": HOST_OWNER,
    "returnhost": HOST_OWNER,
    "whois": EVERYBODY,
    "lsusers": _right("users"),
    "adduser": _right("users"),
    "changeuser": _right("users"),
    "removeuser": _right("users"),
    "lsgroups": EVERYBODY,
    "addgroup": _right("users"),
    "changegroup": _right("users"),
    "removegroup": _right("users"),
    "lsproperties": EVERYBODY,
    "changeproperties": _right("properties"),
    "audit": _right("audit"),
    "undo": _right("audit"),
    "subscribe": EVERYBODY,
    "unsubscribe": EVERYBODY,
    "reload": _right("reload"),
    "log": _right("log"),
    "shutdown": _right("shutdown"),
    "attach": SELF,
    "hello": SELF,
    "report": SELF,
    "told": SELF,
    "hostnews": SELF,
    "infojoin": _right(INFOSERVER),
    "info": _right(INFOSERVER),
    "hostask": EVERYBODY,
    "infoanswer": _right(INFOSERVER),
    "own": SELF,
    "answered": SELF,
    "weblogin": SELF,
    "addtoken": SELF,
    "lssessions": SELF,
    "endsession": SESSION_OWNER,
    "webjoin": _right(WEB),
    "webredeem": _right(WEB),
    "webcertificate": _right(WEB),
    "checksessions": _right(WEB),
    "as": _right(WEB),
}

INFO_SERVER: Mapping[str, Rule] = {
    **_EVERY_SERVER,
    "info": EVERYBODY,
    "load": EVERYBODY,
    "users": EVERYBODY,
    "processes": EVERYBODY,
    "gpus": EVERYBODY,
    "history": EVERYBODY,
    "subscribe": EVERYBODY,
    "unsubscribe": EVERYBODY,
}

USER_SERVER: Mapping[str, Rule] = {
    **dict.fromkeys(_EVERY_SERVER, SELF),
    "runjob": SELF,
    "submit": SELF,
    "rerun": SELF,
    "run": SELF,
    "retire": SELF,
    "join": SELF,
    "report": SELF,
    "stream": SELF,
    "runstate": SELF,
    "runsignal": SELF,
    "runsize": SELF,
    "rundetach": SELF,
    "runattach": SELF,
    "runbeside": SELF,
    "follow": SELF,
    "weblogin": SELF,
    "addtoken": SELF,
}

THROUGH_WEB: Mapping[str, str] = {
    **dict.fromkeys(
        (
            "help", "version", "whoami", "status", "lsjobs", "countjobs", "jobinfo", "tryjobs", "whyjob", "fits",
            "joblog", "lsshares", "usage", "lshosts", "hostinfo", "whois", "lsusers", "lsgroups", "audit", "log",
            "lssessions", "endsession", "lsproperties", "own", "hostask",
        ),
        "look",
    ),
    **dict.fromkeys(
        (
            "canceljob", "holdjob", "releasejob", "suspendjob", "resumejob", "signaljob", "requeuejob", "changejob",
            "activatehost", "deactivatehost", "drainhost", "addhost", "changehost", "removehost", "declarelost",
            "leavehost", "returnhost", "adduser", "changeuser", "removeuser", "addgroup", "changegroup", "removegroup",
            "undo", "reload", "shutdown", "changeproperties",
        ),
        "act",
    ),
}  # fmt: skip
"""What a person may say to the dispatcher through the web interface, and what of `MAY` their session needs for it.

What is not here is said over a connection of one's own certificate, or not at all.
"""

TOPICS: Mapping[str, Rule] = {"jobs": OWNER, "hosts": EVERYBODY, "log": _right("log")}


def rights_known() -> tuple[str, ...]:
    """Return every word that may stand in a group's rights."""
    return (ALL, *RIGHTS, *(VERB + verb for verb, rule in DISPATCHER.items() if rule.right in RIGHTS))


def permitted(table: Mapping[str, Rule], word: str, rights: Set[str], *, own: bool = True) -> bool:
    """Whether somebody with *rights* may use *word* on what is their *own*; what has no rule is refused."""
    rule = table.get(word)
    if rule is None:
        return False
    if table is TOPICS and WEB in rights:
        return True
    return rule.permits(rights, own) or (VERB + word in rights and table is DISPATCHER and rule.right in RIGHTS)


def demand(table: Mapping[str, Rule], word: str, rights: Set[str], *, own: bool = True) -> None:
    """Raise `RefusedError` (``perm.denied``) unless `permitted`; the text says which right is missing."""
    if permitted(table, word, rights, own=own):
        return
    rule = table.get(word)
    if rule is None:
        raise RefusedError("perm.denied", f"'{word}' is open to nobody here; 'help' lists what can be said")
    if not rule.right:
        raise RefusedError("perm.denied", f"'{word}' is possible only for what is your own")
    raise RefusedError(
        "perm.denied",
        f"'{word}'{' for what is not your own' if rule.own else ''} needs the right '{rule.right}'"
        " in etc/groups; ask those who administer the cluster for it, 'whoami' shows what you have",
    )


def enough(may: str, needed: str) -> bool:
    """Whether a session that *may* this may also what is *needed*, both of `MAY`."""
    return MAY.index(needed) <= MAY.index(may)


def rights_through_web(rights: Set[str], may: str) -> frozenset[str]:
    """Return those of a person's *rights* that are of use in a session that *may* this."""
    open_here = {verb for verb, needed in THROUGH_WEB.items() if enough(may, needed)}
    useful = {DISPATCHER[verb].right for verb in open_here} | {VERB + verb for verb in open_here}
    return frozenset(rights & useful)


def demand_through_web(verb: str, may: str) -> None:
    """Raise `RefusedError` (``perm.denied``) unless a session that *may* this may say *verb*."""
    needed = THROUGH_WEB.get(verb)
    if needed is None:
        raise RefusedError("perm.denied", f"'{verb}' cannot be said through the web interface; hSend says it")
    if not enough(may, needed):
        raise RefusedError(
            "perm.denied",
            f"'{verb}' needs a session that may {needed}, this one may {may}:"
            f" log in anew with 'hRunJob --web {needed}'",
        )

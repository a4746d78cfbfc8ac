"""What is shown of users and groups: plain values, times as ISO 8601 in UTC, sizes in bytes; and the same as text."""

from __future__ import annotations

from collections.abc import Iterable, Sequence, Set

from tm.model.limits import Usage, limit_words
from tm.model.resources import format_memory
from tm.model.rights import Group, Groups, Limits, User, Users
from tm.model.views import Shown, shown_time

DAY = 86400.0
WARN_DAYS = 30
_USER_COLUMNS = ("user", "groups", "runs", "waits", "certificate", "email")
_GROUP_COLUMNS = ("group", "shares", "runs", "waits", "members", "rights", "limits")


def show_user(user: User, groups: Groups, usage: Usage, now: float) -> Shown:
    """Return the public view of a user; *now* is in seconds since the epoch."""
    return {
        "name": user.name, "email": user.email, "groups": list(groups.groups_of(user.name)),
        "rights": sorted(groups.rights_of(user.name)), "used": usage.of_user(user.name),
        "certificates": [
            {
                "fingerprint": one.fingerprint, "file": one.file, "until": shown_time(one.not_after),
                "days_left": int((one.not_after - now) // DAY),
            }
            for one in user.certificates
        ],
    }  # fmt: skip


def show_group(group: Group, usage: Usage) -> Shown:
    """Return the public view of a group; ``used`` is what its members use together."""
    return {
        "name": group.name, "members": sorted(group.members), "rights": sorted(group.rights),
        "limits": limit_words(group.limits), "user_limits": limit_words(group.user_limits), "shares": group.shares,
        "used": usage.of_group(group.name),
    }  # fmt: skip


def show_self(name: str, user: User | None, groups: Groups, usage: Usage, presented: str, now: float) -> Shown:
    """Return what ``whoami`` says to *name*, whose certificate is the one *presented*."""
    return {
        "user": name, "groups": list(groups.groups_of(name)), "rights": sorted(groups.rights_of(name)),
        "shares": {group.name: group.shares for group in groups.having(name) if group.shares},
        "used": usage.of_user(name),
        "limits": [
            {
                "group": bound.group, "of": "group" if bound.together else "member", "what": what, "limit": limit,
                "used": bound.used.shown()[what],
            }
            for bound in usage.bounds(name) for what, limit in limit_words(bound.limits).items()
        ],
        "warnings": [] if user is None else expiry_warnings(user, presented, now),
    }  # fmt: skip


def expiry_warnings(user: User, presented: str, now: float) -> list[str]:
    """Return what to tell *user* of certificates that end soon: of the one *presented*, of all where that is empty."""
    found = []
    for one in user.certificates:
        if presented and one.fingerprint != presented:
            continue
        if one.not_after - now < WARN_DAYS * DAY:
            other = max((o.not_after for o in user.certificates if o is not one), default=0.0)
            remedy = (
                f"another of {user.name}'s is valid until {_day(other)}: use that one" if other - now > WARN_DAYS * DAY
                else "'tm cert request' makes a new one, an administrator registers it ('tm users change')"
            )  # fmt: skip
            found.append(
                f"the certificate {one.fingerprint[:16]}… of {user.name} {_ends(one.not_after, now)}; {remedy}"
            )
    return found


def all_warnings(name: str, presented: str, users: Users, rights: Set[str], now: float) -> list[str]:
    """Return what ``status`` warns *name* of: their own certificate, and everybody's where they administer users."""
    mine = users.by_name.get(name)
    found = [] if mine is None else expiry_warnings(mine, presented, now)
    for user in users.by_name.values() if "users" in rights else ():
        if user.name != name and all(one.not_after - now < WARN_DAYS * DAY for one in user.certificates):
            found += expiry_warnings(user, "", now)
    return found


def dispatcher_warnings(fingerprint: str, not_after: float, now: float) -> list[str]:
    """Return what to tell everybody of the dispatcher's own certificate, when it ends soon."""
    if not_after - now >= WARN_DAYS * DAY:
        return []
    remedy = (
        "move certs/taskdispatcher.crt away, the next 'tm cert accept' makes a new one; all users need that in their"
        " ca_certs file, and the dispatcher a restart"
    )
    return [f"the dispatcher's certificate {fingerprint[:16]}… {_ends(not_after, now)}; {remedy}"]


def _ends(until: float, now: float) -> str:
    if until <= now:
        return f"expired on {_day(until)}"
    days = int((until - now) // DAY)
    return f"ends on {_day(until)}, in {days} day{'s' * (days != 1)}"


def _day(seconds: float) -> str:
    return (shown_time(seconds) or "")[:10]


def self_lines(shown: Shown) -> Shown:
    """Return what ``whoami`` shows with its limits and amounts as people write them."""
    limits = shown["limits"]
    assert isinstance(limits, list)
    words = {"group": "group {} together", "member": "each member of {}"}
    return {
        **shown, "used": _amounts(shown["used"]),
        "limits": "; ".join(
            f"{one['what']} {_size(one['what'], one['used'])} of {_size(one['what'], one['limit'])}"
            f" ({words[one['of']].format(one['group'])})"
            for one in limits
        ),
        "warnings": "; ".join(map(str, shown["warnings"] if isinstance(shown["warnings"], list) else [])),
    }  # fmt: skip


def user_lines(users: Sequence[User], groups: Groups, usage: Usage, now: float) -> list[str]:
    """Return a table of *users* with a line that names its columns."""
    rows = []
    for user in users:
        used = usage.of_user(user.name)
        last = max((one.not_after for one in user.certificates), default=None)
        until = "none" if last is None else _day(last) + (" soon" if last - now < WARN_DAYS * DAY else "")
        rows.append(
            (user.name, ",".join(groups.groups_of(user.name)) or "-", str(used["running"]), str(used["queued"]),
             until, user.email)
        )  # fmt: skip
    return table(_USER_COLUMNS, rows)


def group_lines(groups: Groups, usage: Usage) -> list[str]:
    """Return a table of *groups* with a line that names its columns."""
    rows = []
    for group in groups.groups:
        used = usage.of_group(group.name)
        limits = [limits_text(group.limits), limits_text(group.user_limits)]
        rows.append(
            (group.name, str(group.shares), str(used["running"]), str(used["queued"]),
             ",".join(sorted(group.members)) or "-", ",".join(sorted(group.rights)) or "-",
             "; ".join(text for text in (limits[0], limits[1] and f"each {limits[1]}") if text))
        )  # fmt: skip
    return table(_GROUP_COLUMNS, rows)


def limits_text(limits: Limits) -> str:
    """Return *limits* as people read them: ``running 100, memory 256G``."""
    return ", ".join(f"{what} {_size(what, limit)}" for what, limit in limit_words(limits).items())


def _amounts(used: object) -> str:
    assert isinstance(used, dict)
    return ", ".join(f"{what} {_size(what, amount)}" for what, amount in used.items())


def _size(what: str, amount: int) -> str:
    return format_memory(amount) if what == "memory" else str(amount)


def table(columns: Sequence[str], rows: Iterable[Sequence[str]]) -> list[str]:
    """Return *rows* below the names of their *columns*, each as wide as it needs."""
    whole = [columns, *rows]
    widths = [max(len(row[column]) for row in whole) for column in range(len(columns))]
    return ["  ".join(map(str.ljust, row, widths)).rstrip() for row in whole]

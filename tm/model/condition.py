"""How a host is: one word, why, and what brings it back. Pure: what is known goes in, the condition comes out.

The law: what a server there says counts more than what a launcher says, and a new try to start something takes
nothing back: a host that refused stays refused until it is reached, or refuses for another reason.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

from tm.model.cluster import HostState, Link, Session

DISPATCHER = "the dispatcher's account"
_BY_ITSELF = "it is tried again by itself"
_REMEDIES = {
    "ssh.hostkey": "compare its key with what its people say, then renew it: ssh-keygen -R {address}; ssh {address}",
    "ssh.auth": "let {who} log in there without a question: ssh {address}",
    "ssh.config": "correct the ssh configuration of {who} until this works: ssh {address}",
    "ssh.unreachable": "see whether it is switched on and this works: ssh {address}",
    "config.host": "correct the host in etc/ComputerCluster.config and say 'reload'",
    "config.launcher": "correct the host's launcher in etc/ComputerCluster.config and say 'reload'",
    "info.version": "install the dispatcher's version there",
    "store.stale": "restore the dispatcher's newest store",
}
_REMEDY = "mend what the reason says; {login} and look"


class State(StrEnum):
    """The words for a host."""

    UNKNOWN = "unknown"
    STARTING = "starting"
    UP = "up"
    BUSY = "busy"
    DRAINING = "draining"
    DRAINED = "drained"
    UNREACHABLE = "unreachable"
    DOWN = "down"
    REFUSED = "refused"


RECEIVING = frozenset({State.UNKNOWN, State.STARTING, State.UP, State.BUSY})
"""Where a job may be placed."""

_UNREACHED = (State.UNREACHABLE, State.DOWN, State.REFUSED)


@dataclass(frozen=True, slots=True)
class Info:
    """How the InfoServer of a host is: ``up``, ``starting``, ``failed``, ``bad`` or ``off``.

    *lost* says that it was heard of and is so no longer.
    """

    state: str = "off"
    reason: str = ""
    port: int = 0
    version: str = ""
    survives: str = ""
    lost: bool = False


@dataclass(frozen=True, slots=True)
class Condition:
    """How a host is, *since* when (seconds since the epoch), why, and what brings it back."""

    state: State
    reason: str = ""
    remedy: str = ""
    since: float = 0.0


@dataclass(frozen=True, slots=True)
class Standing:
    """What a condition follows from.

    *troubles* are (whose, why) of servers that could not be started there; *lost* is why something that was reached
    there is so no longer, *starting* what is being started; *declared* who gave the host up; *held_back* is what of
    others keeps cores from us, *left* who has sent TaskManager away. *out_until* is when a job is tried again where
    too many failed at their start.
    """

    name: str
    address: str
    active: bool = True
    reason: str = ""
    jobs: int = 0
    reached: bool = False
    troubles: tuple[tuple[str, str], ...] = ()
    lost: str = ""
    starting: str = ""
    declared: str = ""
    held_back: str = ""
    free_cores: int = 0
    out_until: float | None = None
    out_because: str = ""
    left: str = ""


def standing(host: HostState, sessions: Iterable[Session], info: Info) -> Standing:
    """Return what is known of *host*, of users' servers there and of its InfoServer."""
    troubles: list[tuple[str, str]] = []
    lost = starting = ""
    jobs = 0
    reached = info.state in ("up", "bad") and not info.lost
    for session in sessions:
        here = len(session.occupying) + len(session.ahead)
        jobs += here
        if session.link is Link.UP:
            reached = True
        elif session.link is Link.FAILED:
            troubles.append((session.user, session.reason))
        elif session.link is Link.STALE:
            troubles.append((session.user, f"store.stale: {session.reason}"))
        elif session.link is Link.STARTING:
            starting = starting or f"{session.user}: {session.reason}"
        elif here:
            lost = f"{session.user}: {session.reason or 'their server there has not connected yet'}"
    if info.state == "failed":
        troubles.append((DISPATCHER, info.reason))
    elif info.lost:
        lost = lost or f"InfoServer: {info.reason}"
    elif info.state == "bad":
        troubles.append(("its InfoServer", f"info.bad: {info.reason}"))
    if info.state == "starting":
        starting = starting or f"InfoServer: {info.reason}"
    return Standing(
        name=host.name, address=host.config.address, active=host.active, reason=host.reason,
        jobs=jobs, reached=reached, troubles=tuple(troubles), lost=lost, starting=starting, declared=host.declared,
        held_back=host.held_back, free_cores=host.cores - host.used_cores, out_until=host.trouble.out_until,
        out_because=host.trouble.reason, left=host.left_by,
    )  # fmt: skip


def advance(before: Condition | None, known: Standing, at: float) -> Condition:
    """Return the condition that follows on *before* from what is known at *at*."""
    now = _judge(before, known)
    if before is None or before.state is not now.state:
        return Condition(now.state, now.reason, now.remedy, at)
    if (before.reason, before.remedy) == (now.reason, now.remedy):
        return before
    return Condition(now.state, now.reason, now.remedy, before.since)


def worth_telling(before: Condition | None, now: Condition) -> bool:
    """Whether somebody who watches hosts is to hear of the change; reasons of hosts in use change all the time."""
    if before is None or before.state is not now.state:
        return True
    return now.state not in (State.UP, State.BUSY) and before.reason != now.reason


def _judge(before: Condition | None, known: Standing) -> Condition:
    if known.declared:
        remedy = f"'tm hosts activate {known.name}' when it is back; what of its jobs still runs there is ended then"
        return Condition(State.DOWN, known.declared, remedy)
    if not known.active and (known.reached or not known.jobs):
        return _inactive(known)
    if known.reached:
        return _reached(known)
    return _unreached(before, known)


def _inactive(known: Standing) -> Condition:
    remedy = f"'tm hosts activate {known.name}' lets jobs start there again"
    return Condition(State.DRAINING if known.jobs else State.DRAINED, known.reason, remedy)


def _reached(known: Standing) -> Condition:
    reason = "; ".join([*filter(None, [known.held_back]), *(f"{who}: {why}" for who, why in known.troubles)])
    if known.out_until is not None:
        return Condition(State.REFUSED, known.out_because, "a job that is tried there brings it back when it runs")
    if known.held_back and known.free_cores <= 0:
        back = f"'tm hosts return {known.name}' lets jobs in before that"
        return Condition(State.BUSY, reason, back if known.left else "nothing: jobs start again when that is over")
    remedy = _remedy(known, *known.troubles[0]) if known.troubles else ""
    return Condition(State.UP, reason, remedy)


def _unreached(before: Condition | None, known: Standing) -> Condition:
    if known.troubles:
        answering = [trouble for trouble in known.troubles if _word(trouble[1]) != "ssh.unreachable"]
        who, why = (answering or known.troubles)[0]
        state = State.REFUSED if answering else State.DOWN
        return Condition(state, f"{who}: {why}", _remedy(known, who, why))
    if known.starting and before is not None and before.state in _UNREACHED:
        return before
    if known.lost:
        return Condition(State.UNREACHABLE, known.lost, f"{_BY_ITSELF}; jobs there go on unseen and are not lost")
    if known.starting:
        return Condition(State.STARTING, known.starting, "nothing: it is on its way")
    return Condition(State.UNKNOWN, "no server of ours is there now", "nothing: the first job that fits starts one")


def _word(why: str) -> str:
    return why.partition(":")[0]


def _remedy(known: Standing, who: str, why: str) -> str:
    if _word(why) == "info.bad":
        return "nothing: jobs go on by the configuration; look at InfoServer's log there"
    text = _REMEDIES.get(_word(why), _REMEDY)
    return f"{text.format(who=who, address=known.address, login=f'ssh {known.address}')}; {_BY_ITSELF}"

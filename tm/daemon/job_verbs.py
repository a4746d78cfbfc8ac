"""What people have done with jobs: every order is by ids, ranges, tasks and filters, of their own jobs or by right.

An answer says to how many it was done, and what it was not done to, and why. ``tryjobs`` asks the same questions and
does nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import msgspec
from twisted.internet.defer import Deferred
from twisted.logger import Logger

from tm.daemon.answers import Answer, Spoken, decoded, json_line
from tm.daemon.dependencies import Dependencies, targets
from tm.daemon.dispatcher import Dispatcher
from tm.daemon.job_lists import JobLists
from tm.daemon.why_verbs import WhyVerbs
from tm.errors import RefusedError
from tm.model.altering import By
from tm.model.brain import Brain
from tm.model.changing import Wanted
from tm.model.control import KNOWN_SIGNALS, NO_SIGNALS
from tm.model.job import Job
from tm.model.rights import DISPATCHER as RULES
from tm.model.rights import permitted
from tm.model.selection import UNKNOWN, Picked, Selection, shown_ids
from tm.ports import Peer
from tm.wire.message import Reply, Request

_log = Logger()

Do = Callable[[Picked, By, float], None]


class Change(msgspec.Struct, forbid_unknown_fields=True):
    """The argument of ``changejob``."""

    ids: str
    set: Wanted
    reason: str = ""


class _Order(NamedTuple):
    """How an order is told of."""

    doing: str
    tried: str


ORDERS = {
    "canceljob": _Order("cancelling", "would be cancelled"),
    "holdjob": _Order("held", "would be held"),
    "releasejob": _Order("released", "would be released"),
    "suspendjob": _Order("suspending", "would be suspended"),
    "resumejob": _Order("resuming", "would be resumed"),
    "signaljob": _Order("signalling", "would get the signal"),
    "requeuejob": _Order("putting back", "would be put back"),
    "changejob": _Order("changed", "would be changed"),
}


class Outcome:
    """What an order was done to, and what not, and why: alike things together."""

    def __init__(self) -> None:
        self.jobs = 0
        self._done: list[Picked] = []
        self._left: dict[str, list[Picked | str]] = {}
        self.known = False
        self.error: RefusedError | None = None

    def done(self, one: Picked) -> None:
        """It was done to *one*."""
        self.jobs += one.jobs
        self._done.append(one)

    def left(self, one: Picked | str, why: str, error: RefusedError | None = None) -> None:
        """It was not done to *one*."""
        self._left.setdefault(why, []).append(one)
        self.known = self.known or isinstance(one, Picked)
        self.error = self.error or error

    def notes(self) -> list[str]:
        """Return what it was not done to, a line for each reason."""
        return [f"{_joined(some)}: {why}" for why, some in self._left.items()]

    def rows(self) -> list[dict[str, object]]:
        """Return both as values."""
        rows: list[dict[str, object]] = []
        if self._done:
            rows.append({"ids": _joined(self._done), "jobs": self.jobs, "done": True, "why": ""})
        for why, some in self._left.items():
            count = sum(one.jobs for one in some if isinstance(one, Picked))
            rows.append({"ids": _joined(some), "jobs": count, "done": False, "why": why})
        return rows

    def names(self) -> list[str]:
        """Return what was named and is nothing."""
        return [one for some in self._left.values() for one in some if isinstance(one, str)]

    @property
    def explained(self) -> bool:
        """Whether of something it was not done to more is known than that it does not wait or run."""
        return any(why != UNKNOWN for why in self._left)

    @property
    def done_ids(self) -> str:
        """What it was done to."""
        return _joined(self._done)


class JobVerbs:
    """The verbs about jobs; whose job it is decides, so each asks for permission itself."""

    def __init__(self, dispatcher: Dispatcher) -> None:
        self._dispatcher = dispatcher
        self._lists = JobLists(dispatcher)
        self._dependencies = Dependencies(dispatcher)
        self.state = self._lists.state
        self.methods: dict[str, Spoken] = {
            **self._lists.methods, **WhyVerbs(dispatcher, self._lists).methods,
            "canceljob": self._canceljob, "holdjob": self._holdjob,
            "releasejob": self._releasejob, "suspendjob": self._suspendjob, "resumejob": self._resumejob,
            "signaljob": self._signaljob, "requeuejob": self._requeuejob, "changejob": self._changejob,
            "tryjobs": self._tryjobs,
        }  # fmt: skip

    # -- orders ---------------------------------------------------------------------------------------------------

    def _canceljob(self, peer: Peer, request: Request, arguments: list[str]) -> Answer:
        return self._order(peer, request, arguments, lambda one, by, at: self._brain.cancelled(one, by, at))

    def _holdjob(self, peer: Peer, request: Request, arguments: list[str]) -> Answer:
        return self._order(peer, request, arguments, lambda one, by, at: self._brain.hold(one, by, at))

    def _releasejob(self, peer: Peer, request: Request, arguments: list[str]) -> Answer:
        return self._order(peer, request, arguments, lambda one, by, at: self._brain.release(one, by, at))

    def _suspendjob(self, peer: Peer, request: Request, arguments: list[str]) -> Answer:
        return self._order(peer, request, arguments, lambda one, by, at: self._brain.suspended(one.job, by, at))

    def _resumejob(self, peer: Peer, request: Request, arguments: list[str]) -> Answer:
        return self._order(peer, request, arguments, lambda one, by, at: self._brain.resumed(one.job, by, at))

    def _requeuejob(self, peer: Peer, request: Request, arguments: list[str]) -> Answer:
        return self._order(peer, request, arguments, lambda one, by, at: self._brain.requeued(one.job, by, at))

    def _signaljob(self, peer: Peer, request: Request, arguments: list[str]) -> Answer:
        name = signal_name(arguments[1])
        return self._order(
            peer, request, arguments[:1], lambda one, by, at: self._brain.signalled(one.job, name, by, at)
        )

    def _changejob(self, peer: Peer, request: Request, arguments: list[str]) -> Answer:
        change = decoded(Change, arguments[0])
        if not change.set.given:
            fields = ", ".join(Wanted.__struct_fields__)
            raise RefusedError("proto.arguments", f"there is nothing in 'set'; what can be changed is {fields}")
        words = [change.ids, change.reason]

        def order(ended: dict[int, Job]) -> Answer:
            return self._order(
                peer, request, words, lambda one, by, at: self._brain.changed(one.job, change.set, by, at, ended)
            )

        if not change.set.dependency:
            return order({})
        found = Deferred.fromCoroutine(self._dependencies.ended(targets([change.set.dependency])))
        return found.addCallback(order)

    def _order(self, peer: Peer, request: Request, arguments: list[str], do: Do) -> Answer:
        """Have *do* done to all that is picked; raise `RefusedError` where that is nothing."""
        dispatcher = self._dispatcher
        dispatcher.check_store()
        verb, at = request.verb, dispatcher.now
        reason = arguments[1] if len(arguments) > 1 else ""
        outcome = self._done(peer, request, verb, arguments[0], reason, lambda one, by: do(one, by, at))
        if not outcome.jobs:
            raise _refusal(outcome)
        _log.info("{user}: {verb} {ids}", event="order", user=peer.user, verb=verb, ids=outcome.done_ids)
        body = [json_line(row) for row in outcome.rows()] if request.json else outcome.notes()
        return dispatcher.turns.durable(Reply(f"{ORDERS[verb].doing} {outcome.jobs}", body))

    def _tryjobs(self, peer: Peer, request: Request, arguments: list[str]) -> Answer:
        verb = arguments[0]
        if verb not in ORDERS:
            raise RefusedError("proto.arguments", f"'{verb:.40}' is no order for jobs; these are {', '.join(ORDERS)}")
        outcome = self._done(peer, request, verb, arguments[1], "", lambda one, by: None)
        if outcome.names() and not (outcome.jobs or outcome.known):
            raise _refusal(outcome)
        said = ORDERS[verb].tried
        body = [f"{outcome.done_ids}: {said}"] if outcome.jobs else []
        rows = [json_line(row) for row in outcome.rows()]
        return Reply(f"{outcome.jobs} {said}", rows if request.json else [*body, *outcome.notes()])

    def _done(
        self, peer: Peer, request: Request, verb: str, ids: str, reason: str, do: Callable[[Picked, By], None]
    ) -> Outcome:
        """Return what *do* was done to, of what *ids* pick, if *verb* is possible and *request* permitted there."""
        brain = self._brain
        rights = self._dispatcher.rights_of(peer.user)
        by = By(peer.user, permitted(RULES, verb, rights, own=False), reason)
        selection = Selection(ids, peer.user)
        others = permitted(RULES, request.verb, rights, own=False)
        found = selection.resolve(brain.jobs, lambda owner: others or owner == peer.user, self._state_of)
        outcome = Outcome()
        for shown, why in found.missing:
            outcome.left(shown, why)
        for one, why in brain.touches(verb, found.picked, by):
            if why:
                outcome.left(one, why)
                continue
            try:
                do(one, by)
            except RefusedError as error:
                outcome.left(one, error.text, error)
            else:
                outcome.done(one)
        return outcome

    @property
    def _brain(self) -> Brain:
        return self._dispatcher.brain

    def _state_of(self, job: Job) -> str:
        return self.state(job)[0]


def signal_name(text: str) -> str:
    """Return the signal ``USR1``, ``SIGUSR1`` or ``10`` by its name; raise `RefusedError` ``proto.arguments``."""
    name = text.upper().removeprefix("SIG")
    if name.isascii() and name.isdigit() and len(name) < 4:
        name = next((known for known, number in KNOWN_SIGNALS.items() if number == int(name)), name)
    if name in NO_SIGNALS:
        raise RefusedError("proto.arguments", f"use {NO_SIGNALS[name]} instead of the signal {name}: it is remembered")
    if name not in KNOWN_SIGNALS:
        raise RefusedError("proto.arguments", f"there is no signal '{text:.20}'; there are {', '.join(KNOWN_SIGNALS)}")
    return name


def _joined(some: Sequence[Picked | str]) -> str:
    """Return the ids of *some*, those of alike kind as ranges."""
    whole = [one.job.id for one in some if isinstance(one, Picked) and one.tasks is None]
    rest = [one if isinstance(one, str) else one.shown for one in some if isinstance(one, str) or one.tasks]
    return ",".join([*([shown_ids(whole)] if whole else []), *rest])


def _refusal(outcome: Outcome) -> RefusedError:
    """Return why nothing at all was done."""
    if outcome.error is not None:
        return RefusedError(outcome.error.word, "; ".join(outcome.notes()))
    if outcome.known or outcome.explained:
        return RefusedError("job.state", "; ".join(outcome.notes()))
    first = next(iter(outcome.names()), "")
    if not first:
        return RefusedError("job.unknown", "nothing that waits or runs is picked by that; hRunJob -l lists your jobs")
    text = f"there is no job {first} of yours that waits or runs; hRunJob -i {first} tells of one that has ended"
    return RefusedError("job.unknown", text)

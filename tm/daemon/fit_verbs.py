"""``fits``: where a job would run, now or later, and why nowhere else. Nothing is submitted."""

from __future__ import annotations

from collections import Counter

import msgspec

from tm.daemon.answers import Answer, Spoken, decoded, json_line
from tm.daemon.dispatcher import Dispatcher
from tm.errors import RefusedError
from tm.model.possible import LATER, NEVER, NOW, Fit
from tm.model.spec import JobSpec
from tm.model.views import Shown
from tm.ports import Peer
from tm.wire.message import Reply, Request


class Asked(msgspec.Struct, forbid_unknown_fields=True):
    """The argument of ``fits``: what a job asks of hosts, as ``submit`` has it."""

    cores: int = 1
    memory: int = 0
    gpus: int = 0
    time: float = 0.0
    hosts: list[str] = []
    exclude: list[str] = []
    constraint: str = ""
    prefer: str = ""
    exclusive: bool = False
    layout: str = ""
    consumables: dict[str, int] = {}
    scavenge: bool = False
    account: str = ""


class FitVerbs:
    """The verb that tries a job against all hosts."""

    def __init__(self, dispatcher: Dispatcher) -> None:
        self._dispatcher = dispatcher
        self.methods: dict[str, Spoken] = {"fits": self._fits}

    def _fits(self, peer: Peer, request: Request, arguments: list[str]) -> Answer:
        asked = msgspec.structs.asdict(decoded(Asked, arguments[0]))
        spec = JobSpec(user=peer.user, command="true", cwd="/", environment="", **asked)
        complaint = spec.complaint()
        if complaint:
            raise RefusedError("job.invalid", complaint)
        brain, demand = self._dispatcher.brain, spec.demand()
        brain.account_of(peer.user, spec.account)
        brain.check_names(demand)
        found = brain.fits(peer.user, demand, self._dispatcher.now)
        counts = Counter(one.fits for one in found)
        said = f"{counts[NOW]} now, {counts[LATER]} later, {counts[NEVER]} never"
        if request.json:
            return Reply(said, [json_line(show_fit(one)) for one in found])
        width = max((len(one.host) for one in found), default=0)
        return Reply(said, [f"{one.host:<{width}}  {one.fits:<5}  {one.reason}".rstrip() for one in found])


def show_fit(fit: Fit) -> Shown:
    """Return the public view of whether a job fits a host."""
    return {
        "host": fit.host, "fits": fit.fits, "why": fit.word, "reason": fit.reason, "preference": fit.preference,
    }  # fmt: skip

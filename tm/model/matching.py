"""Which jobs fit which hosts: ever, by what a host is, and now, by what is free there.

The law: what may never run on a host has a reason of one word and a sentence (``memory: it has 8G``), the same in
placement, in the refusal of what no host can run, and in what users are told. What nobody knows yet (the cores of a
host that was never reached) keeps no job away for ever, and none is started because of it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

from tm.model.cluster import HostState
from tm.model.constraint import (
    HAS_GPU,
    MOVING,
    holds,
    read_constraint,
    read_preferences,
    words,
)
from tm.model.demand import Demand
from tm.model.resources import format_memory
from tm.model.room import Room

MOST_KINDS = 2048
MOST_DEMANDS = 16384
Asked = tuple[object, ...]
Verdicts = dict[str, "int | tuple[int, str]"]
"""By host, as its facts were: nothing but these where it may run there, with the reason where it may not."""
MayUse = Callable[[str, HostState], bool]


class HostTerms:
    """What expressions ask about a host; *now* also what changes from report to report."""

    def __init__(self, host: HostState, now: bool) -> None:
        self._host = host
        self._now = now

    def has(self, feature: str) -> bool | None:
        """Whether the host has *feature*; ``gpu`` has every host with a GPU."""
        if feature in self._host.config.features:
            return True
        gpus = self._host.gpu_count
        return False if feature != HAS_GPU else None if gpus is None else gpus > 0

    def number(self, key: str) -> float | None:
        """Return the number *key* (`tm.model.constraint.NUMBERS`), sizes in bytes."""
        host = self._host
        if key == "cores":
            return host.whole_cores if host.knows_cores else None
        if key == "memory":
            return host.config.memory or host.seen_memory
        if key == "gpus":
            return host.gpu_count
        if key == "load":
            return host.report.load[0] if self._now and host.report is not None else None
        return min((gpu.memory for gpu in host.about.gpus), default=0) if host.about is not None else None

    def texts(self, key: str) -> Sequence[str] | None:
        """Return what *key* (`tm.model.constraint.TEXTS`) is."""
        host = self._host
        if key == "name":
            return (host.name, host.config.address)
        if key == "group":
            return (host.config.group,)
        if host.about is None:
            return None
        if key == "gpu":
            return [gpu.model for gpu in host.about.gpus]
        return ({"cpu": host.about.cpu_model, "system": host.about.system, "kernel": host.about.kernel}[key],)


class Matcher:
    """Says which demands fit which hosts; *may_use* whether a user may have jobs on a host that is not open
    to everybody.

    Verdicts are kept by host until its `HostState.facts` count on, and until it is told that users or licenses are
    others. *licenses* are those of the whole cluster.
    """

    def __init__(self, may_use: MayUse) -> None:
        self._may_use = may_use
        self.licenses: dict[str, int] = {}
        self._verdicts: dict[Asked, Verdicts] = {}
        self._verdicts_of: dict[Demand, Verdicts] = {}
        self._found: dict[tuple[Demand, str], str] = {}
        self._holding: dict[str, dict[str, tuple[int, bool | None]]] = {}
        self._having: dict[str, str] = {}

    def forget(self) -> None:
        """Hosts, what users may use, or what the cluster has is different now."""
        self._verdicts.clear()
        self._verdicts_of.clear()
        self._holding.clear()
        self._found.clear()

    # -- ever -----------------------------------------------------------------------------------------------------

    def may_ever(self, demand: Demand, user: str, host: HostState) -> str:
        """Return why no job of *user* that asks for *demand* can ever run on *host*, or an empty text.

        The reason is a word and a sentence, ``cores: it has 8 cores``; the words: host, exclude, users, cores, memory,
        gpus, consumables, licenses (of the cluster), constraint.
        """
        if not host.is_open and not self._may_use(user, host):
            return f"users: it is not open to {user} (only {', '.join(host.config.users)})"
        verdicts = self._verdicts_of.get(demand)
        if verdicts is None:
            verdicts = self._shared_verdicts(demand)
        known = verdicts.get(host.name)
        facts = host.facts
        if known == facts:
            return ""
        if isinstance(known, tuple) and known[0] == facts:
            return known[1]
        why = next(self._never(demand, host), "")
        verdicts[host.name] = (facts, why) if why else facts
        return why

    def _shared_verdicts(self, demand: Demand) -> Verdicts:
        """Return where verdicts about *demand* are kept: together with those that ask the same of hosts."""
        if len(self._verdicts) >= MOST_KINDS or len(self._verdicts_of) >= MOST_DEMANDS:
            self._verdicts.clear()
            self._verdicts_of.clear()
        asked = (
            demand.cores, demand.memory, demand.gpus, demand.hosts, demand.exclude, demand.constraint,
            demand.consumables,
        )  # fmt: skip
        verdicts = self._verdicts_of[demand] = self._verdicts.setdefault(asked, {})
        return verdicts

    def somewhere(self, demand: Demand, user: str, hosts: Mapping[str, HostState]) -> bool:
        """Whether one of *hosts* may ever run it; the one that was found last is asked first."""
        key = demand, user
        last = hosts.get(self._found.get(key, ""))
        if last is not None and not self.may_ever(demand, user, last):
            return True
        for name, host in hosts.items():
            if not self.may_ever(demand, user, host):
                if len(self._found) >= MOST_DEMANDS:
                    self._found.clear()
                self._found[key] = name
                return True
        return False

    def may_hold(self, constraint: str, host: HostState) -> bool:
        """Whether *constraint* holds for *host*, or may, as far as nothing but its `HostState.facts` says."""
        return self._holds(constraint, host) is not False

    def has_feature(self, name: str, hosts: Mapping[str, HostState]) -> bool:
        """Whether one of *hosts* has, or may turn out to have, feature *name*; the last found is asked first."""
        last = hosts.get(self._having.get(name, ""))
        if last is not None and HostTerms(last, now=False).has(name) is not False:
            return True
        found = next((host.name for host in hosts.values() if HostTerms(host, now=False).has(name) is not False), None)
        if found is not None:
            if len(self._having) >= MOST_KINDS:
                self._having.clear()
            self._having[name] = found
        return found is not None

    def _never(self, demand: Demand, host: HostState) -> Iterator[str]:
        if demand.hosts and host.name not in demand.hosts:
            yield "host: it is not among the hosts asked for"
        if host.name in demand.exclude:
            yield "exclude: the job excludes it"
        if host.knows_cores and demand.cores > host.whole_cores:
            yield f"cores: it has {count_of(host.whole_cores, 'core')}"
        if demand.memory > host.whole_memory:
            yield f"memory: it has {shown_size(host.whole_memory)}"
        gpus = host.gpu_count
        if demand.gpus and gpus is not None and demand.gpus > gpus:
            yield f"gpus: it has {count_of(gpus, 'GPU')}"
        for name, count in demand.consumables:
            if name in self.licenses and count > self.licenses[name]:
                yield f"licenses: the cluster has {self.licenses[name]} {name}"
            elif name not in self.licenses and count > host.config.consumables.get(name, 0):
                yield f"consumables: it has {host.config.consumables.get(name, 0)} {name}"
        if demand.constraint and self._holds(demand.constraint, host) is False:
            yield f"constraint: '{demand.constraint}' does not hold for it"

    # -- now ------------------------------------------------------------------------------------------------------

    def room_for(self, demand: Demand, room: Room) -> bool:
        """Whether one more job that asks for *demand* fits into *room* now; `may_ever` is another question."""
        if demand.cores > room.free_cores or demand.memory > room.free_memory or demand.gpus > room.free_gpus:
            return False
        if room.alone or (demand.exclusive and room.jobs):
            return False
        if demand.consumables and any(count > room.left(name) for name, count in demand.consumables):
            return False
        return not demand.constraint or self._holds_now(demand.constraint, room.host)

    def why_full(self, demand: Demand, room: Room) -> str:
        """Return why `room_for` says no, written as the reasons of `may_ever`, or an empty text.

        Further words: exclusive, others (somebody outside uses it), strangers (are on its GPUs), licenses.
        """
        return next(self._full(demand, room), "")

    def _full(self, demand: Demand, room: Room) -> Iterator[str]:
        host = room.host
        if room.alone:
            yield "exclusive: a job has it for itself"
        if demand.exclusive and room.jobs:
            yield f"exclusive: {count_of(room.jobs, 'job')} {'run' if room.jobs > 1 else 'runs'} there"
        held_back = host.offer.closed or min(host.cores, host.whole_cores) < demand.cores
        if held_back and host.held_back:
            yield f"others: {host.held_back}"
        if demand.cores > room.free_cores:
            yield f"cores: {count_of(max(0, room.free_cores), 'core')} of {host.whole_cores} free now"
        if demand.memory > room.free_memory:
            yield f"memory: {shown_size(max(0, room.free_memory))} free now"
        if demand.gpus > room.free_gpus:
            yield _gpus_full(demand, room)
        for name, count in demand.consumables:
            if count > room.left(name):
                where = "consumables" if name in room.consumables else "licenses"
                yield f"{where}: {max(0, room.left(name))} {name} free now"
        if demand.constraint and not self._holds_now(demand.constraint, host):
            moving = words(read_constraint(demand.constraint))[1] & MOVING
            now = f" now (load {host.report.load[0]:.2f})" if moving and host.report is not None else ""
            yield f"constraint: '{demand.constraint}' {'does not hold' if now else 'is not known to hold'} for it{now}"

    def preference(self, demand: Demand, host: HostState) -> int:
        """Return how much *host* is liked: of what *demand* prefers, each counts more than all that come after it."""
        if not demand.prefer:
            return 0
        terms = HostTerms(host, now=True)
        liked = 0
        for wish in read_preferences(demand.prefer):
            liked = 2 * liked + (holds(wish, terms) is True)
        return liked

    def _holds(self, constraint: str, host: HostState) -> bool | None:
        """Return whether *constraint* holds for *host*, whatever it reports; None: that depends, or is not known."""
        hosts = self._holding.get(constraint)
        if hosts is None:
            if len(self._holding) >= MOST_KINDS:
                self._holding.clear()
            hosts = self._holding[constraint] = {}
        known = hosts.get(host.name)
        if known is None or known[0] != host.facts:
            value = holds(read_constraint(constraint), HostTerms(host, now=False))
            known = hosts[host.name] = host.facts, value
        return known[1]

    def _holds_now(self, constraint: str, host: HostState) -> bool:
        always = self._holds(constraint, host)
        if always is not None:
            return always
        return holds(read_constraint(constraint), HostTerms(host, now=True)) is True


def word_of(reason: str) -> str:
    """Return the word of a reason of `Matcher`."""
    return reason.partition(": ")[0]


def sentence_of(reason: str) -> str:
    """Return the sentence of a reason of `Matcher`."""
    return reason.partition(": ")[2]


def features_of(hosts: Iterable[HostState]) -> set[str]:
    """Return the features that at least one of *hosts* has, or may turn out to have."""
    terms = [(host, HostTerms(host, now=False)) for host in hosts]
    found = {feature for host, _ in terms for feature in host.config.features}
    return found | ({HAS_GPU} if any(one.has(HAS_GPU) is not False for _, one in terms) else set())


def shown_size(size: int) -> str:
    """Return *size* bytes for people: exact where that is short, else rounded down."""
    exact = format_memory(size)
    if len(exact) <= 6:
        return exact
    for power, unit in ((40, "T"), (30, "G"), (20, "M"), (10, "K")):
        if size >= 1 << power:
            return f"{size * 10 // (1 << power) / 10:g}{unit}"
    return exact


def _gpus_full(demand: Demand, room: Room) -> str:
    host = room.host
    whole = host.gpu_count
    if whole is None:
        return "gpus: its InfoServer has not said yet which GPUs it has"
    on = host.strangers
    busy = sorted({who for number, who in on.items() if number in host.gpu_numbers})
    if busy and demand.gpus <= room.free_gpus + len(on):
        return f"strangers: {len(on)} of its {count_of(whole, 'GPU')} busy with strangers ({', '.join(busy)})"
    return f"gpus: {max(0, room.free_gpus)} of {count_of(whole, 'GPU')} free now"


def count_of(number: int, what: str) -> str:
    """Return so many of *what*: ``1 core``, ``2 cores``."""
    return f"{number} {what}{'s' * (number != 1)}"

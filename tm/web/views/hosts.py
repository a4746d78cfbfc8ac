"""The hosts as cards and as a table: what needs somebody comes first, then what is busiest."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from markupsafe import Markup

from tm.errors import RefusedError
from tm.web.board import load_of, troubled, why
from tm.web.render import NOT_KNOWN, size
from tm.web.views.sparkline import sparkline

STATES = ("refused", "down", "unreachable", "draining", "starting", "busy", "up", "unknown", "drained")
"""The states of hosts, from what needs somebody most to what needs nobody."""
TROUBLE = "trouble"
"""In the place of a state: all hosts that need somebody."""
VIEWS = ("grid", "table")
ON_PAGE = {"grid": 50, "table": 40}
"""So many hosts fit in a page that is light."""
MOST_PAGES = 10_000
LETTERS = 160

Host = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Wanted:
    """Which hosts are asked for: of one *state* or `TROUBLE`, of one *group*, with *text* somewhere; empty for all."""

    state: str = ""
    group: str = ""
    text: str = ""
    view: str = "grid"
    page: int = 1

    def query(self, **other: object) -> dict[str, object]:
        """Return the arguments of the address that asks for this, with some of them *other*; what goes by itself is
        left out."""
        mine: dict[str, object] = {
            "state": self.state, "group": self.group, "text": self.text,
            "view": self.view if self.view != VIEWS[0] else "", "page": self.page if self.page > 1 else "",
        }  # fmt: skip
        return mine | other


@dataclass(frozen=True, slots=True)
class Row:
    """What is shown of one host."""

    name: str
    state: str
    trouble: bool
    why: str
    cores: str
    load: str
    ours: str
    others: str
    memory: str
    gpus: str
    jobs: int
    people: str
    group: str
    features: str
    spark: Markup


@dataclass(frozen=True, slots=True)
class Listing:
    """One page of the hosts that were asked for: *hosts* of *found* ones, the page of *pages*; how many hosts of each
    state and which groups there are in all."""

    hosts: list[Host]
    found: int
    whole: int
    pages: int
    states: list[tuple[str, int]]
    groups: list[str]


def read(args: Mapping[str, str]) -> Wanted:
    """Return what an address asks for; raise `RefusedError` ``proto.arguments`` for what cannot be understood."""
    state, view, page = args.get("state", ""), args.get("view") or VIEWS[0], args.get("page") or "1"
    if state and state not in (TROUBLE, *STATES):
        known = ", ".join((TROUBLE, *STATES))
        raise RefusedError("proto.arguments", f"there is no state '{state:.40}' of a host; there are {known}")
    if view not in VIEWS:
        raise RefusedError("proto.arguments", f"hosts are shown as {' or '.join(VIEWS)}, not '{view:.40}'")
    if not (page.isascii() and page.isdigit() and 1 <= len(page) <= 5 and 1 <= int(page) <= MOST_PAGES):
        raise RefusedError("proto.arguments", f"'{page:.40}' is no number of a page")
    return Wanted(state, args.get("group", ""), args.get("text", "").strip(), view, int(page))


def by_trouble_and_load(hosts: Iterable[Host]) -> list[Host]:
    """Return *hosts*, those in trouble first, then the more loaded ones first, then by name."""
    return sorted(hosts, key=lambda host: (_rank(host), -_busy(host), str(host["name"])))


def listing(hosts: Iterable[Host], wanted: Wanted) -> Listing:
    """Return the page of *hosts* that is *wanted*; past the last one, the last one."""
    everything = list(hosts)
    found = by_trouble_and_load(host for host in everything if _fits(host, wanted))
    most = ON_PAGE[wanted.view]
    pages = max(1, -(-len(found) // most))
    first = (min(wanted.page, pages) - 1) * most
    counts = Counter(str(host.get("state")) for host in everything)
    states = [(state, counts[state]) for state in STATES if counts[state]]
    groups = sorted({str(host["group"]) for host in everything if host.get("group")})
    return Listing(found[first : first + most], len(found), len(everything), pages, states, groups)


def row(host: Host, loads: Sequence[float | None]) -> Row:
    """Return what is shown of *host*, whose load for each core was *loads* over the last hour."""
    cores, offered = host.get("cores") or 0, host.get("offered_cores") or 0
    gpus = host.get("gpu_count") or 0
    used_gpus = max(0, gpus - (host.get("free_gpus") or 0))
    load = host.get("load")
    return Row(
        name=str(host["name"]), state=str(host.get("state")), trouble=troubled(host), why=_cut(why(host)),
        cores=f"{host.get('used_cores') or 0} of {offered}" + (f" ({cores})" if offered != cores else ""),
        load=NOT_KNOWN if not load else f"{load[0]:.1f}", ours=_number(host.get("cpu_ours")),
        others=_number(host.get("cpu_others")), memory=_memory(host), gpus=f"{used_gpus} of {gpus}" if gpus else "",
        jobs=int(host.get("jobs") or 0), people=_people(host), group=str(host.get("group") or ""),
        features=", ".join(host.get("features") or ()), spark=sparkline(loads),
    )  # fmt: skip


def _fits(host: Host, wanted: Wanted) -> bool:
    if wanted.state == TROUBLE:
        if not troubled(host):
            return False
    elif wanted.state and host.get("state") != wanted.state:
        return False
    if wanted.group and host.get("group") != wanted.group:
        return False
    if not wanted.text:
        return True
    words = (host["name"], host.get("address"), host.get("reason"), host.get("group"), *(host.get("features") or ()))
    return wanted.text.lower() in " ".join(str(word) for word in words if word).lower()


def _rank(host: Host) -> int:
    state = host.get("state")
    rank = STATES.index(str(state)) if state in STATES else 0
    return min(rank, STATES.index("unreachable")) if troubled(host) else rank


def _busy(host: Host) -> float:
    used = float(host.get("used_cores") or 0) / (host.get("cores") or 1)
    return max(load_of(host) or 0.0, used)


def _number(value: object) -> str:
    return f"{value:.1f}" if isinstance(value, int | float) else NOT_KNOWN


def _memory(host: Host) -> str:
    """Return what is free of what there is."""
    available, whole = host.get("memory_available"), host.get("memory_total") or host.get("memory")
    return NOT_KNOWN if available is None else f"{size(available)} of {size(whole)} free"


def _people(host: Host) -> str:
    """Return who is there, the console's people with when they touched it last."""
    people = ", ".join(host.get("logged_in") or ())
    idle = host.get("console_idle")
    if idle is None or not people:
        return people
    return f"{people}; console in use" if idle < 300 else f"{people}; console idle"


def _cut(text: str) -> str:
    return text if len(text) <= LETTERS else text[: LETTERS - 1] + "…"

"""What the dispatcher says to users' servers, as event lines: orders for their hosts, which hosts to start."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import msgspec

from tm.model.cluster import HostState
from tm.model.effects import Orders
from tm.model.settings import Scheduling
from tm.wire.frames import LARGE_LIMIT

_encode = msgspec.json.Encoder().encode
_LARGEST = LARGE_LIMIT - 64 * 1024

PROCESSES = Scheduling().processes
GIVEN_UP = "its job was given up before it was sent"


class Order(msgspec.Struct, omit_defaults=True):
    """One job to start: command number *c* of the host's spool, its signed text and signature, its limits now
    (*processes* holds where the text names no number), and the cores and graphics processors of the host that it is
    given.

    A user's server that refuses an order passes it on without its text and says why in *refused*; so does the
    dispatcher where the job of a command is declared lost. Nothing is started for such an order.
    """

    c: int
    job: int
    attempt: int
    cores: int
    spec: str
    sig: str
    refused: str = ""
    memory: int = 0
    time: float | None = None
    cpus: tuple[int, ...] = ()
    gpus: tuple[int, ...] = ()
    processes: int = PROCESSES


class OrderLine(msgspec.Struct, omit_defaults=True, tag_field="topic", tag="orders"):
    """What a user's server passes on to its server on *host*."""

    host: str
    epoch: int
    run: str
    grant: int | None = None
    spool: str = ""
    environments: dict[str, str] = {}
    orders: list[Order] = []
    cancel: list[tuple[int, int, float]] = []
    recall: list[tuple[int, int]] = []
    forget: list[tuple[int, int]] = []
    suspend: list[tuple[int, int]] = []
    resume: list[tuple[int, int]] = []
    nice: list[tuple[int, int, int]] = []
    give_way: list[tuple[int, int, float]] = []
    signal: list[tuple[int, int, str]] = []
    limit: list[tuple[int, int, float]] = []


class WantLine(msgspec.Struct, omit_defaults=True, tag_field="topic", tag="want"):
    """Asks a user's server to start its server on *host*; *python*, *root*, *program* say where it is there,
    *tunnel* that it cannot dial back but through ssh."""

    host: str
    address: str
    launcher: str
    options: dict[str, object]
    python: str = ""
    root: str = ""
    program: str = ""
    tunnel: bool = False


def want_line(host: HostState) -> bytes:
    """Return the event that asks for a server on *host*."""
    config = host.config
    paths = (config.python, config.root, config.program)
    tunnel = config.tunnel and config.launcher != "local"
    return _encode(WantLine(config.name, config.address, config.launcher, dict(config.options), *paths, tunnel))


def order_lines(
    orders: Orders, epoch: int, run: str, grace: float, known: set[str], environment: Callable[[str], str | None],
    processes: int = PROCESSES,
) -> Iterator[bytes]:
    """Yield the events that carry *orders*, each within a line's limit.

    *known* holds the digests of environments that host has been sent and grows by those sent now; *processes* is the
    most that the tree of a job may have that asks for no other number.
    """
    line = OrderLine(orders.host, epoch, run, orders.grant, orders.spool)
    size = 0
    for start in sorted(set(orders.start)):
        text = ""
        if start.spec and start.environment not in known:
            text = environment(start.environment) or "{}"
        cost = len(start.spec) * 2 + len(text) * 2 + 300
        if line.orders and size + cost > _LARGEST:
            yield _encode(line)
            line = OrderLine(orders.host, epoch, run, orders.grant, orders.spool)
            size = 0
        size += cost
        if text:
            line.environments[start.environment] = text
            known.add(start.environment)
        order = Order(
            start.number, start.job, start.attempt, start.cores, start.spec, start.signature, "", start.memory,
            start.time or None, start.cpus, start.gpus, processes,
        )  # fmt: skip
        if not start.spec:
            order.refused = GIVEN_UP
        line.orders.append(order)
    line.cancel = [(job, attempt, grace) for job, attempt in orders.cancel]
    line.recall = orders.recall
    line.forget = orders.forget
    line.suspend = orders.suspend
    line.resume = orders.resume
    line.nice = orders.nice
    line.signal, line.limit = orders.signal, orders.limit
    line.give_way = [(job, attempt, grace) for job, attempt in orders.give_way]
    yield _encode(line)

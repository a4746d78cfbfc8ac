"""The numbers that Prometheus collects."""

from __future__ import annotations

import os

from tm.errors import RefusedError
from tm.web.answers import Answer, Data
from tm.web.asked import Asked
from tm.web.desk import Desk
from tm.web.exposition import text
from tm.web.guard import status_of
from tm.web.metrics import Server, families
from tm.web.routes import Route

_PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")


async def metrics(desk: Desk, asked: Asked) -> Answer:
    """Return all metrics; without the library what to install."""
    streams = desk.events.streams if desk.events is not None else 0
    server = Server(desk.link is not None, streams, resident_memory(), desk.since)
    try:
        told = list(families(desk.board, desk.meter, server, asked.now))
        body, content_type = await desk.aside(lambda: text(told))
    except RefusedError as error:
        return Data(f"{error.word}: {error.text}\n".encode(), status=status_of(error.word))
    return Data(body, content_type)


def resident_memory() -> int:
    """Return the resident memory of this process in bytes."""
    with open("/proc/self/statm", "rb") as file:
        return int(file.read().split()[1]) * _PAGE_BYTES


ROUTES = (Route("GET", "/metrics", metrics),)

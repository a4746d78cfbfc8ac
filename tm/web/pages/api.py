"""The addresses of the interface for programs, made from its table."""

from __future__ import annotations

from dataclasses import replace

from tm.web.answers import Answer, Data
from tm.web.api.document import document_text
from tm.web.api.endpoint import STREAM, Endpoint
from tm.web.api.serve import serve
from tm.web.api.table import TABLE
from tm.web.asked import Asked
from tm.web.desk import Desk
from tm.web.pages.events import events
from tm.web.routes import Handler, Route


def handler(endpoint: Endpoint) -> Handler:
    """Return what answers requests for *endpoint*."""

    async def answer(desk: Desk, asked: Asked, **parts: str) -> Answer:
        return await serve(desk, asked, endpoint, parts)

    async def stream(desk: Desk, asked: Asked, **parts: str) -> Answer:
        endpoint.read(parts, asked.args, asked.content_type, asked.body, "")
        return await events(desk, replace(asked, json=False))

    return stream if endpoint.form == STREAM else answer


async def openapi(desk: Desk, asked: Asked) -> Answer:
    """Return the document that says all of this to programs."""
    return Data(document_text(asked.prefix).encode(), "application/json")


ROUTES = (
    *(Route(endpoint.method, endpoint.pattern, handler(endpoint), may=endpoint.may) for endpoint in TABLE),
    Route("GET", "/api/openapi.json", openapi),
)

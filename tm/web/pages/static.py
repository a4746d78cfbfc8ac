"""Stylesheet, scripts and pictures, for everybody."""

from __future__ import annotations

from tm.errors import RefusedError
from tm.web.answers import Answer, Data
from tm.web.asked import Asked
from tm.web.desk import Desk
from tm.web.routes import NOBODY, Route
from tm.web.static_files import TYPES, read

KEEP_SECONDS = 3600


async def static(desk: Desk, asked: Asked, name: str) -> Answer:
    """Return the file *name*."""
    body = read(name)
    if body is None:
        raise RefusedError("web.unknown", f"there is no file {name:.80}")
    return Data(body, TYPES[name[name.rfind(".") :]], keep=KEEP_SECONDS)


async def favicon(desk: Desk, asked: Asked) -> Answer:
    """Return the picture that browsers ask for by themselves."""
    return await static(desk, asked, "icon.svg")


ROUTES = (
    Route("GET", "/static/<name>", static, may=NOBODY),
    Route("GET", "/favicon.ico", favicon, may=NOBODY),
)

"""All pages there are."""

from __future__ import annotations

from tm.web.pages import events, login, static
from tm.web.routes import Routes

MODULES = (events, login, static)


def all_routes() -> Routes:
    """Return the routes of all pages."""
    return Routes(route for module in MODULES for route in module.ROUTES)

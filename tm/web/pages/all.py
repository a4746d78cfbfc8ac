"""All pages there are."""

from __future__ import annotations

from tm.web.pages import login, static
from tm.web.routes import Routes

MODULES = (login, static)


def all_routes() -> Routes:
    """Return the routes of all pages."""
    return Routes(route for module in MODULES for route in module.ROUTES)

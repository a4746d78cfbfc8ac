"""All pages there are."""

from __future__ import annotations

from tm.web.pages import admin, api, events, login, logs, sessions, static
from tm.web.routes import Routes

MODULES = (admin, api, events, login, logs, sessions, static)


def all_routes() -> Routes:
    """Return the routes of all pages."""
    return Routes(route for module in MODULES for route in module.ROUTES)

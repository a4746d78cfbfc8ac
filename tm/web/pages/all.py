"""All pages there are."""

from __future__ import annotations

from tm.web.pages import (
    acts,
    admin,
    api,
    computers,
    dispatcher,
    events,
    host,
    hosts,
    job,
    jobs,
    login,
    logs,
    metrics,
    overview,
    plots,
    sessions,
    static,
    submit,
    timeline,
)
from tm.web.routes import Routes

MODULES = (
    acts,
    admin,
    api,
    computers,
    dispatcher,
    events,
    host,
    hosts,
    job,
    jobs,
    login,
    logs,
    metrics,
    overview,
    plots,
    sessions,
    static,
    submit,
    timeline,
)


def all_routes() -> Routes:
    """Return the routes of all pages."""
    return Routes(route for module in MODULES for route in module.ROUTES)

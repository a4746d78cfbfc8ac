"""The first page: what somebody wants to know at a glance."""

from __future__ import annotations

from tm.model.history import SPANS
from tm.web.answers import Answer, Page
from tm.web.asked import Asked
from tm.web.desk import Desk
from tm.web.pages.hosts import known
from tm.web.routes import Route
from tm.web.together import together
from tm.web.views import overview as view
from tm.web.views import plots

SPAN = "24h"
PLOTS = ("jobs", "cores")


async def show(desk: Desk, asked: Asked) -> Answer:
    """Return the overview."""
    counts, failed, me, hosts = await together(
        desk.one(asked, "countjobs"), desk.ask(asked, "lsjobs", view.FAILURES), desk.one(asked, "whoami"),
        known(desk, asked),
    )  # fmt: skip
    troubles = view.troubles(hosts.values())
    found = [(what, plots.of_cluster(desk.board, what, SPAN)) for what in PLOTS]
    shown = {
        "counts": view.counted(counts), "use": view.use(hosts.values()), "failures": view.failures(failed),
        "troubles": troubles[: view.MOST_TROUBLES], "troubled": len(troubles), "hosts": len(hosts),
        "warnings": view.warnings(desk.board.status.get("warnings") or [], me.get("warnings") or []),
        "apart": SPANS[SPAN][0],
        "plots": [(f"/plots/cluster/{what}/{SPAN}", plot, plots.rows(plot, plots.FEW_ROWS)) for what, plot in found],
    }  # fmt: skip
    return Page("overview.html", shown)


ROUTES = (Route("GET", "/", show),)

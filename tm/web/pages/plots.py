"""Series of values for plots: as JSON for the script that draws them, as CSV, and as a table of their own."""

from __future__ import annotations

from tm.errors import RefusedError
from tm.model.history import SPANS
from tm.web.answers import Answer, Data, Json, Page
from tm.web.asked import Asked
from tm.web.desk import Desk
from tm.web.render import seconds_of
from tm.web.routes import Route
from tm.web.views import plots as view
from tm.wire.message import quote

FORMS = ("json", "csv", "table")


async def cluster(desk: Desk, asked: Asked, what: str, span: str) -> Answer:
    """Return a plot of the whole cluster."""
    return _answer(asked, view.of_cluster(desk.board, what, span), f"cluster-{what}-{span}")


async def host(desk: Desk, asked: Asked, name: str, what: str, span: str) -> Answer:
    """Return a plot of a host, as its InfoServer tells it."""
    wanted = view.kind(view.HOST, what, span)
    told = {metric: await _points(desk, asked, name, metric, span) for metric in wanted.series}
    return _answer(asked, view.of_host(name, wanted, span, told), f"{name}-{what}-{span}")


async def _points(desk: Desk, asked: Asked, host: str, metric: str, span: str) -> view.Points:
    points = await desk.ask(asked, "hostask", f"{quote(host)}:history:{metric}:{span}")
    told = ((seconds_of(one.get("at")), one.get("value")) for one in points)
    newest = asked.now + SPANS[span][0]
    known = {at: _number(value) for at, value in told if at is not None and at <= newest}
    return sorted(known.items())


def _number(value: object) -> float | None:
    return float(value) if isinstance(value, int | float) else None


def _answer(asked: Asked, plot: view.Plot, name: str) -> Answer:
    form = asked.args.get("as") or FORMS[0]
    if form not in FORMS:
        raise RefusedError("proto.arguments", f"a plot is told as {', '.join(FORMS)}, not as '{form:.40}'")
    if form == "csv":
        return Data(view.table(plot).encode(), "text/csv; charset=utf-8", f"{name}.csv")
    if form == "table":
        return Page("plot_table.html", {"plot": plot, "rows": view.rows(plot), "csv": asked.path})
    return Json(view.drawn(plot))


ROUTES = (
    Route("GET", "/plots/cluster/<what>/<span>", cluster),
    Route("GET", "/plots/hosts/<name>/<what>/<span>", host),
)

"""The hosts, and what can be done to them."""

from __future__ import annotations

from tm.web.answers import Answer, Page
from tm.web.asked import Asked
from tm.web.desk import Desk
from tm.web.routes import Route
from tm.web.views import hosts as view


async def show(desk: Desk, asked: Asked) -> Answer:
    """Return the hosts that the address asks for."""
    wanted = view.read(asked.args)
    hosts = await known(desk, asked)
    listing = view.listing(hosts.values(), wanted)
    rows = [view.row(host, desk.board.load(str(host["name"]))) for host in listing.hosts]
    page = min(wanted.page, listing.pages)
    shown = {"wanted": wanted, "listing": listing, "rows": rows, "page": page, "states": view.STATES}
    return Page("hosts.html", shown)


async def known(desk: Desk, asked: Asked) -> dict[str, view.Host]:
    """Return all hosts by name: those of the board, or the dispatcher's where the board has not heard of them yet."""
    if desk.board.at:
        return dict(desk.board.hosts)
    return {str(host["name"]): host for host in await desk.ask(asked, "lshosts")}


ROUTES = (Route("GET", "/hosts", show),)

"""One's own sessions and tokens: which there are, and that one is to end."""

from __future__ import annotations

from tm.web.answers import Answer, Page, Redirect
from tm.web.asked import Asked
from tm.web.desk import Desk
from tm.web.routes import Route
from tm.wire.message import quote


async def sessions(desk: Desk, asked: Asked) -> Answer:
    """Return the visitor's sessions, links and tokens; everybody's where they administer users and ask for them."""
    everybody = asked.args.get("all") == "1" and asked.who.has("users")
    found = await desk.ask(asked, "lssessions")
    rows = [one for one in reversed(found) if everybody or one["user"] == asked.user]
    return Page("sessions.html", {"rows": rows, "everybody": everybody})


async def end(desk: Desk, asked: Asked, number: str) -> Answer:
    """End one."""
    await desk.said(asked, "endsession", quote(number))
    return Redirect("/sessions", f"{number} is over.")


ROUTES = (Route("GET", "/sessions", sessions), Route("POST", "/sessions/<number>/end", end))

"""Logging in by a link or a browser's certificate, and out."""

from __future__ import annotations

from tm.web.answers import Answer, Page, Redirect
from tm.web.asked import Asked, Visitor
from tm.web.desk import Desk
from tm.web.render import seconds_of
from tm.web.routes import NOBODY, Route


async def ask_to_redeem(desk: Desk, asked: Asked, token: str) -> Answer:
    """Return the button of a link: only the POST uses it up, so that no preview of a link can."""
    return Page("login.html", {"token": token, "back": "/", "link": True})


async def redeem(desk: Desk, asked: Asked, token: str) -> Answer:
    """Begin the session of a link."""
    return _begin(asked, await desk.redeem(token, asked))


async def certificate(desk: Desk, asked: Asked) -> Answer:
    """Begin a session of who presented a certificate."""
    return _begin(asked, await desk.by_certificate(asked))


async def leave(desk: Desk, asked: Asked) -> Answer:
    """End the session."""
    await desk.said(asked, "endsession", asked.who.id)
    desk.forget(asked.who.secret)
    return Redirect("/", "You have logged out.", cookie=("", 0))


async def login(desk: Desk, asked: Asked) -> Answer:
    """Return how to log in."""
    if asked.visitor is not None:
        return Redirect("/")
    return Page("login.html", {"token": "", "back": "/", "link": False})


def _begin(asked: Asked, visitor: Visitor) -> Redirect:
    until = seconds_of(visitor.until) or asked.now
    return Redirect("/", f"You are logged in as {visitor.user}.", cookie=(visitor.secret, int(until - asked.now)))


ROUTES = (
    Route("GET", "/login", login, may=NOBODY),
    Route("GET", "/login/<token>", ask_to_redeem, may=NOBODY),
    Route("POST", "/login/<token>", redeem, may=NOBODY),
    Route("POST", "/login/certificate", certificate, may=NOBODY),
    Route("POST", "/logout", leave),
)

"""Which address is which page, and what a session must be allowed for it."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass, field
from urllib.parse import unquote

from tm.errors import RefusedError
from tm.web.answers import Answer
from tm.web.asked import Asked
from tm.web.desk import Desk

Handler = Callable[..., Awaitable[Answer]]
NOBODY = "nobody"
"""For pages that are there without a session."""
PROGRAMS = ("/api/", "/metrics")
"""Below these a program may come with a token in place of a session."""
_PART = re.compile(r"<([a-z_]+)>")


@dataclass(frozen=True, slots=True)
class Route:
    """*method* and *pattern*, e.g. ``/hosts/<host>``; the parts in brackets are given to *handler* by name.

    *may* is the least a session must be allowed (`tm.web.asked.RANKS`), `NOBODY` for none.
    """

    method: str
    pattern: str
    handler: Handler
    may: str = "look"
    _match: re.Pattern[str] = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        pattern = re.compile(_PART.sub(r"(?P<\1>[^/]+)", self.pattern.replace(".", r"\.")) + r"\Z")
        object.__setattr__(self, "_match", pattern)

    def parts(self, path: str) -> dict[str, str] | None:
        """Return the parts of *path* (percent-encoded), None where it is another's."""
        found = self._match.match(path)
        return None if found is None else {name: unquote(value) for name, value in found.groupdict().items()}


class Routes:
    """All routes; one that is more literal stands before one that takes any part."""

    def __init__(self, routes: Iterable[Route]) -> None:
        self.routes = sorted(routes, key=lambda route: (route.pattern.count("<"), route.pattern))

    def find(self, method: str, path: str) -> tuple[Route, dict[str, str]]:
        """Return the route of *path* and its parts. Raises `RefusedError` ``web.unknown`` or ``web.method``."""
        others = set()
        for route in self.routes:
            parts = route.parts(path)
            if parts is None:
                continue
            if route.method == ("GET" if method == "HEAD" else method):
                return route, parts
            others.add(route.method)
        if others:
            raise RefusedError("web.method", f"{method} is not possible here, only {' or '.join(sorted(others))}")
        where = "/api/openapi.json tells of" if path.startswith("/api/") else "the overview leads to"
        raise RefusedError("web.unknown", f"there is no page {path:.200}; {where} all there are")


async def answer(desk: Desk, asked: Asked, route: Route, parts: dict[str, str]) -> Answer:
    """Return what *route* answers. Raises `RefusedError` ``perm.session`` for what the session may not."""
    if route.may != NOBODY:
        if asked.visitor is None:
            raise RefusedError("auth.session", "you are not logged in here, or your session is over")
        if not asked.visitor.can(route.may):
            raise RefusedError(
                "perm.session",
                f"your session may {asked.visitor.may} only; 'hRunJob --web {route.may}' gives a link to one that may",
            )
    return await route.handler(desk, asked, **parts)

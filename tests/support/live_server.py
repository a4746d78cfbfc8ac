"""A web server in a process of its own, with pages that a test changes as it likes: no dispatcher, no cluster.

``python -m tests.support.live_server [PORT]`` prints its port and obeys lines of JSON: ``{"html": TEXT}`` is what pages
show, ``{"event": {…}}`` comes from the dispatcher, ``{"down": REASON}`` and ``{"up": true}`` are its link, ``{"over":
true}`` ends the sessions, ``{"slow": SECONDS}`` delays pages, ``{"rate": N}`` has so many events of jobs of 200 users
come each second. The session ``NAME+RIGHT…`` is that of NAME with these rights. ``/counts`` says how often pages were
asked for, and how many streams there are.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import urllib.request
from collections import Counter
from typing import Any

from tm.places import find_root

SECRET = "s" * 43
COOKIE = "tm-test"
ROOT = find_root()


def serve(port: int) -> None:
    """Serve until standard input ends."""
    from twisted.internet import reactor as installed  # noqa: TID251  this is a program of its own
    from twisted.internet.stdio import StandardIO
    from twisted.internet.task import deferLater
    from twisted.protocols.basic import LineOnlyReceiver
    from typing_extensions import override

    from tests.support.web import SaidLink
    from tm.web.answers import Answer, Data, Json
    from tm.web.asked import Asked
    from tm.web.connections import WebFactory
    from tm.web.desk import Desk
    from tm.web.guard import Front
    from tm.web.hub import Hub
    from tm.web.pages.all import all_routes
    from tm.web.routes import NOBODY, Route, Routes
    from tm.web.site import Server

    reactor: Any = installed
    state: dict[str, Any] = {"html": "<p>nothing</p>", "slow": 0.0, "over": False, "rate": 0}
    counts: Counter[str] = Counter()
    link = SaidLink()
    desk = Desk(reactor.seconds, "test")
    desk.link = link  # type: ignore[assignment]  # it asks as a Link does
    desk.events = hub = Hub(reactor, desk.sessions)
    session = {"secret": SECRET, "id": "7", "user": "alice", "may": "act", "until": "2099-01-01T00:00:00Z"}

    def check(rest: str | None) -> list[dict[str, Any]]:
        asked = [] if state["over"] else json.loads(rest or "{}")["secrets"]
        return [session_of(secret) for secret in asked]

    def session_of(secret: str) -> dict[str, Any]:
        user, _, rights = ("alice" if secret == SECRET else secret).partition("+")
        held = rights.split("+") if rights else []
        return {**session, "secret": secret, "id": f"s-{user}", "user": user, "rights": held}

    link.replies["checksessions"] = check

    async def page(desk: Desk, asked: Asked, name: str) -> Answer:
        counts[name] += 1
        text = '{% extends "base.html" %}{% block title %}Test{% endblock %}{% block main %}' + state["html"]
        known = {
            "asked": asked, "visitor": asked.visitor, "user": asked.user, "prefix": "", "version": "1",
            "cluster": "test", "csrf_field": "", "now": asked.now, "notice": "", "made": "", "href": lambda path: path,
        }  # fmt: skip
        known["static"] = lambda name: f"/static/{name}"
        made = server.renderer._environment.from_string(text + "{% endblock %}").render(known)
        await deferLater(reactor, state["slow"])
        return Data(made.encode(), "text/html; charset=utf-8")

    async def count(desk: Desk, asked: Asked) -> Answer:
        return Json({"pages": dict(counts), "streams": hub.streams})

    def happen() -> None:
        for _ in range(state["rate"] // 50):
            counts["events"] += 1
            number = counts["events"]
            hub.heard({"topic": "jobs", "id": number, "user": f"u{number % 200}", "state": "running", "host": "n1"})
        if state["rate"]:
            reactor.callLater(0.02, happen)

    class Orders(LineOnlyReceiver):
        delimiter = b"\n"

        @override
        def lineReceived(self, line: bytes) -> None:
            said = json.loads(line)
            state.update({name: said[name] for name in ("html", "slow", "over", "rate") if name in said})
            if said.get("rate"):
                happen()
            if "event" in said:
                hub.heard(said["event"])
            if "down" in said:
                hub.down(said["down"])
            if "up" in said:
                hub.up()

        @override
        def connectionLost(self, reason: Any = None) -> None:
            reactor.stop()

    routes = Routes(
        [*all_routes().routes, Route("GET", "/page/<name>", page), Route("GET", "/counts", count, may=NOBODY)]
    )
    listening = reactor.listenTCP(
        port, WebFactory(Server(desk, routes, Front.of("http://127.0.0.1/"), COOKIE), reactor)
    )
    used = listening.getHost().port
    listening.factory.server.front = Front.of(f"http://127.0.0.1:{used}/")
    server = listening.factory.server
    StandardIO(Orders())
    print(used, flush=True)
    reactor.run()


class LiveServer:
    """The process, from the test's side."""

    def __init__(self, port: int = 0) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.support.live_server", str(port)], cwd=ROOT, stdin=subprocess.PIPE,
            stdout=subprocess.PIPE, text=True, env={**os.environ, "PYTHONPATH": ROOT},
        )  # fmt: skip
        assert self._process.stdout is not None
        self.pid = self._process.pid
        self.port = int(self._process.stdout.readline())
        self.url = f"http://127.0.0.1:{self.port}"
        self.cookie = {"name": COOKIE, "value": SECRET, "url": self.url, "httpOnly": True, "sameSite": "Strict"}

    def tell(self, **said: Any) -> None:
        """Give it an order."""
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps(said) + "\n")
        self._process.stdin.flush()

    def counts(self) -> dict[str, Any]:
        """Return what it has counted."""
        with urllib.request.urlopen(self.url + "/counts", timeout=10) as answer:
            return dict(json.load(answer))

    def stop(self) -> None:
        """End it."""
        assert self._process.stdin is not None and self._process.stdout is not None
        self._process.kill()
        self._process.wait(10)
        self._process.stdin.close()
        self._process.stdout.close()


if __name__ == "__main__":
    serve(int(sys.argv[1]) if len(sys.argv) > 1 else 0)

"""``hRunJob --web``: the link that opens the web interface, asked for at the user's own server, which agrees to it."""

from __future__ import annotations

import json
import socket

from tm.client.connection import read_object
from tm.client.table import plain

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from tm.client.connection import Connection
    from tm.client.program import Manner
    from tm.places import Places

MAY = {
    "look": "look at hosts and jobs",
    "act": "look, and act on your jobs as you may here",
    "submit": "look, act, and submit jobs",
}
"""What a session may, and how that is said."""
_HERE = ("localhost", "127.0.0.1", "::1")


def show_link(connection: Connection, may: str, places: Places, manner: Manner, environ: Mapping[str, str]) -> int:
    """Print a link for a session that may do so much; what there is to know about it follows."""
    shown = ask(connection, "weblogin", {"may": may})
    url = plain(str(shown.get("url")))
    if manner.json:
        print(json.dumps({"url": url, "until": shown.get("until"), "may": may}, ensure_ascii=False))
        return 0
    print(url, flush=True)
    if not manner.quiet:
        for line in hints(url, may, places.host, environ):
            manner.say(line)
    return 0


def hints(url: str, may: str, host: str, environ: Mapping[str, str]) -> list[str]:
    """Return what there is to know about the link *url*; the dispatcher is on *host*."""
    lines = [
        f"open this link in a browser: it lets you {MAY[may]}. It works once, for 10 minutes, and then for 12 hours in"
        " that browser; give it to nobody"
    ]
    if may != "submit":
        lines.append("to submit jobs there: hRunJob --web submit")
    port = _loopback_port(url)
    far = host not in (*_HERE, socket.gethostname())
    if port and (far or "SSH_CONNECTION" in environ):
        there = host if far else socket.gethostname()
        lines.append(f"if the browser is on another machine, first say there: ssh -L {port}:127.0.0.1:{port} {there}")
    return lines


def ask(connection: Connection, verb: str, given: object) -> dict[str, Any]:
    """Return the one object with which *verb* is answered; raise `TaskManagerError`."""
    body = connection.ask(verb, json.dumps(given), json=True).body
    return read_object(body[0] if body else "", "the server answered by something")


def _loopback_port(url: str) -> str:
    """Return the port of a web server that only its own machine reaches, else nothing."""
    from urllib.parse import urlsplit

    try:
        parts = urlsplit(url)
        return str(parts.port or "") if parts.hostname in _HERE else ""
    except ValueError:
        return ""

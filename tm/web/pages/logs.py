"""The dispatcher's log, and its output: what it had to warn of."""

from __future__ import annotations

from functools import partial

from tm.errors import RefusedError
from tm.web.answers import Answer, Data, Page
from tm.web.asked import Asked
from tm.web.desk import Desk
from tm.web.routes import Route
from tm.web.views import logs as views

FILES = {"log": "TaskDispatcher log", "output": "TaskDispatcher output"}
_ASKED = {"log": "log", "output": "error"}


async def show(desk: Desk, asked: Asked, kind: str) -> Answer:
    """Return the last lines that fit the address; a fault in it is shown beside the form."""
    rest, most = views.question(asked.args, _ASKED[kind])
    lines, fault = [], None
    try:
        lines = await desk.ask(asked, "log", rest)
    except RefusedError as error:
        if not error.word.startswith("proto."):
            raise
        fault = error
    rows = views.rows(lines)
    context = {
        "kind": kind, "title": FILES[kind], "rows": rows, "args": asked.args, "levels": views.LEVELS, "most": most,
        "fault": fault, "older": rows[-1]["time"] if len(rows) >= most else "",
        "query": {name: asked.args.get(name, "") for name in ("level", "text", "job", "host", "user", "lines")},
    }  # fmt: skip
    return Page("log.html", context, 400 if fault else 200)


async def download(desk: Desk, asked: Asked, kind: str) -> Answer:
    """Return the same lines as a file."""
    rest, _ = views.question({"lines": str(views.MOST_LINES), **asked.args}, _ASKED[kind])
    lines = await desk.ask(asked, "log", rest)
    return Data(views.download(lines), "application/x-ndjson", f"TaskDispatcher-{kind}.jsonl")


ROUTES = tuple(
    Route("GET", f"/dispatcher/{kind}{end}", partial(handler, kind=kind))
    for kind in FILES for end, handler in (("", show), ("/download", download))
)  # fmt: skip

"""HTTP of the web interface: bounded requests in, answers out. What is asked for is decided in `tm.web.routes`.

The law: before a page is asked, host, origin, session and form have been checked, in that order. Whatever goes wrong
becomes a page with a sentence and a status; nobody ever sees a traceback.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qsl, urlencode

import msgspec
from twisted.internet.defer import CancelledError, Deferred
from twisted.internet.error import ConnectionDone, ConnectionLost
from twisted.logger import Logger
from twisted.python.failure import Failure
from twisted.web.http import Request
from typing_extensions import override

from tm.errors import RefusedError, TaskManagerError
from tm.web import guard
from tm.web.answers import Answer, Data, Json, Page, Redirect, Stream
from tm.web.asked import Asked, Visitor, seal_of
from tm.web.compressing import compressed
from tm.web.desk import Desk
from tm.web.render import Renderer, href, plain
from tm.web.routes import PROGRAMS, Routes, answer

LARGEST_BODY = 1024 * 1024
MOST_FIELDS = 10_000
LONGEST_NOTICE = 300

_log = Logger()


class Server:
    """What requests need: where we are, who is asked, which pages there are. *certificate_of* gives the fingerprint of
    the certificate that a connection presented, empty for none."""

    def __init__(
        self, desk: Desk, routes: Routes, front: guard.Front, cookie: str, certificate_of: Any = lambda transport: ""
    ) -> None:
        self.desk = desk
        self.routes = routes
        self.front = front
        self.cookie = cookie
        self.renderer = Renderer()
        self.certificate_of = certificate_of

    async def respond(
        self, asked: Asked, headers: Mapping[str, str], cookies: Mapping[str, str]
    ) -> tuple[Asked, Answer]:
        """Return *asked* with who asks it, and the answer; what is refused is an answer, too."""
        try:
            guard.check_host(self.front, asked.host)
            visitor = await self._visitor(asked.path, headers, cookies)
            asked = asked.by(visitor, self.desk.mark(visitor))
            route, parts = self.routes.find(asked.method, asked.path)
            if not headers.get("authorization"):
                guard.check_origin(self.front, asked.method, headers)
                if asked.method not in guard.SAFE:
                    guard.check_form(asked.visitor, asked.form, headers.get("x-csrf", ""))
            return asked, await answer(self.desk, asked, route, parts)
        except TaskManagerError as error:
            return asked, self.refusal(asked, error)

    async def _visitor(self, path: str, headers: Mapping[str, str], cookies: Mapping[str, str]) -> Visitor | None:
        """Return whose session or token the request carries; one that does not count any more is nobody's."""
        scheme, _, token = headers.get("authorization", "").partition(" ")
        secret = cookies.get(self.cookie, "")
        if scheme:
            if not path.startswith(PROGRAMS) or scheme.lower() != "bearer":
                raise RefusedError("auth.token", "a token opens /api/ and /metrics, as 'Authorization: Bearer TOKEN'")
            secret = token.strip()
        if not secret:
            return None
        visitor = await self.desk.visitor(secret)
        if visitor is None and scheme:
            raise RefusedError("auth.session", "this token is unknown, over or revoked; 'tm token create' makes one")
        return visitor

    def refusal(self, asked: Asked, error: TaskManagerError) -> Answer:
        """Return the page or the JSON that says *error*."""
        status = guard.status_of(error.word)
        if asked.json or asked.path.startswith("/api/"):
            return Json({"error": {"class": error.word, "text": error.text}}, status)
        if status == 401:
            return Page("login.html", {"token": "", "back": asked.path, "link": False}, status)
        return Page("error.html", {"word": error.word, "text": error.text, "status": status}, status)


class WebRequest(Request):
    """One request: bounded while it comes in, then handed to the `Server` of its factory."""

    channel: Any
    content: Any
    _large = False
    _working: Deferred[Any] | None = None

    @override
    def gotLength(self, length: int | None) -> None:
        self._large = length is not None and length > LARGEST_BODY
        super().gotLength(0 if self._large else length)

    @override
    def handleContentChunk(self, data: bytes) -> None:
        self._large = self._large or self.content.tell() + len(data) > LARGEST_BODY
        if not self._large:
            super().handleContentChunk(data)

    @override
    def requestReceived(self, command: bytes, path: bytes, version: bytes) -> None:
        self.content.seek(0)
        self.method, self.uri, self.clientproto = command, path, version
        self.path, _, self._query = path.partition(b"?")
        self.process()

    @override
    def process(self) -> None:
        self.notifyFinish().addErrback(self._left)
        self._working = Deferred.fromCoroutine(self._work())
        self._working.addErrback(self._broken)

    async def _work(self) -> None:
        server: Server = self.channel.factory.server
        asked, headers = self._asked(server), self._headers()
        if self._large:
            error = RefusedError("web.large", f"a request may have {LARGEST_BODY // 1024} KiB; send less at once")
            given = server.refusal(asked, error)
        else:
            cookies = guard.cookies_of(self.requestHeaders.getRawHeaders(b"cookie", []))
            asked, given = await server.respond(asked, headers, cookies)
        self._send(server, asked, given)

    # -- what came in ---------------------------------------------------------------------------------------------

    def _headers(self) -> dict[str, str]:
        return {
            name.decode("latin-1").lower(): values[-1].decode("latin-1")
            for name, values in self.requestHeaders.getAllRawHeaders() if values
        }  # fmt: skip

    def _says_one_host(self) -> bool:
        return len(self.requestHeaders.getRawHeaders(b"host") or ()) == 1

    def _asked(self, server: Server) -> Asked:
        headers = self._headers()
        body = b"" if self._large else self.content.read()
        kind = headers.get("content-type", "").partition(";")[0].strip().lower()
        form: dict[str, list[str]] = {}
        if kind == "application/x-www-form-urlencoded":
            for name, value in _pairs(body):
                form.setdefault(name, []).append(value)
        path = server.front.below(self.path.decode("latin-1"))
        host = self.getClientAddress()
        return Asked(
            method=self.method.decode("latin-1"), path=path, prefix=server.front.prefix, args=dict(_pairs(self._query)),
            form=form, now=server.desk.clock(), cluster=server.desk.cluster, agent=headers.get("user-agent", ""),
            address=str(getattr(host, "host", "")), certificate=server.certificate_of(self.transport), body=body,
            json="application/json" in headers.get("accept", "") or kind == "application/json",
            host=headers.get("host", "") if self._says_one_host() else "", again="x-live" in headers, content_type=kind,
        )  # fmt: skip

    # -- what goes out --------------------------------------------------------------------------------------------

    def _send(self, server: Server, asked: Asked, given: Answer) -> None:
        for name, value in guard.HEADERS.items():
            self.setHeader(name, value)
        if isinstance(given, Redirect):
            self._redirect(server, asked, given)
        elif isinstance(given, Stream):
            self.setHeader("Content-Type", given.content_type)
            self.setHeader("X-Accel-Buffering", "no")
            server.desk.meter.answered(200)
            given.begin(self)
        elif isinstance(given, Page):
            body = server.renderer.page(asked, given.template, dict(given.context))
            self._whole(given.status, "text/html; charset=utf-8", body)
        elif isinstance(given, Json):
            self._whole(given.status, "application/json", msgspec.json.encode(given.value))
        else:
            self._data(given)

    def _data(self, given: Data) -> None:
        if given.filename is not None:
            name = "".join(char for char in given.filename if char.isalnum() or char in "._-")
            self.setHeader("Content-Disposition", f'attachment; filename="{name}"')
        if given.keep:
            self.setHeader("Cache-Control", f"private, max-age={given.keep}")
        self._whole(given.status, given.content_type, given.body)

    def _redirect(self, server: Server, asked: Asked, given: Redirect) -> None:
        path, _, query = given.to.partition("?")
        to = href(server.front.prefix, guard.local_path(path)) + ("?" + query if query else "")
        if given.notice:
            notice = plain(given.notice)[:LONGEST_NOTICE]
            secret = given.cookie[0] if given.cookie is not None else asked.visitor.secret if asked.visitor else ""
            to += ("&" if query else "?") + urlencode({"notice": notice, "seal": seal_of(secret, notice)})
        if given.cookie is not None:
            secret, seconds = given.cookie
            self.addCookie(
                server.cookie, secret, path=server.front.prefix + "/", max_age=str(max(0, seconds)), httpOnly=True,
                secure=server.front.secure, sameSite="strict",
            )  # fmt: skip
        self.setHeader("Location", to)
        self._whole(303, "text/plain; charset=utf-8", b"")

    def _whole(self, status: int, content_type: str, body: bytes) -> None:
        self.channel.factory.server.desk.meter.answered(status)
        self.setResponseCode(status)
        if status == 401:
            self.setHeader("WWW-Authenticate", "Bearer")
        self.setHeader("Content-Type", content_type)
        small = compressed(body, content_type, self.getHeader("accept-encoding") or "")
        if small is not None:
            body = small
            self.setHeader("Content-Encoding", "gzip")
        self.setHeader("Vary", "Accept-Encoding")
        self.setHeader("Content-Length", str(len(body)))
        self.write(body)
        self.finish()

    def _left(self, failure: Failure) -> None:
        failure.trap(ConnectionDone, ConnectionLost)
        if self._working is not None:
            self._working.cancel()

    def _broken(self, failure: Failure) -> None:
        """A defect of ours: it is logged whole, and said in a sentence."""
        if failure.check(CancelledError) or self._disconnected or self.finished:
            return
        _log.failure("{path} failed", failure, event="broken", path=self.path.decode("latin-1")[:200])
        text = "internal.error: this page failed; the web server's log (TaskWeb.log) says why. Go back and try again."
        self._whole(500, "text/plain; charset=utf-8", text.encode())


def _pairs(text: bytes) -> list[tuple[str, str]]:
    """Return the names and values of *text*; more than anybody fills in are none."""
    try:
        return parse_qsl(text.decode("latin-1"), keep_blank_values=True, errors="replace", max_num_fields=MOST_FIELDS)
    except ValueError:
        return []

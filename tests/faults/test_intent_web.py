"""Other sites, and people who write bytes that no browser does, at every address of the web interface.

The dispatcher behind it notes all that it is asked: nothing of that may change anything.
"""

from __future__ import annotations

import re

from twisted.trial.unittest import SynchronousTestCase

from tests.faults.record import count
from tests.support.web import COOKIE, SECRET, Site, parse
from tm.model.rights import THROUGH_WEB
from tm.web.pages.all import all_routes

METHODS = ("POST", "PUT", "PATCH", "DELETE", "GET", "HEAD", "OPTIONS", "TRACE", "CONNECT", "PROPFIND", "post", "GETX")
HOST, ORIGIN = "web.test:1234", "http://web.test:1234"
FOREIGN: tuple[dict[str, str], ...] = (
    {"origin": "http://evil.test"}, {"origin": "null"}, {}, {"origin": ORIGIN + ".evil.test"},
    {"origin": ORIGIN, "sec_fetch_site": "cross-site"}, {"origin": ORIGIN, "sec_fetch_site": "same-site"},
    {"origin": ORIGIN}, {"origin": ORIGIN, "host": "evil.test"}, {"origin": "http://evil.test", "host": "evil.test"},
    {"origin": ORIGIN, "x_http_method_override": "DELETE"}, {"referer": ORIGIN + "/"},
)  # fmt: skip
"""Headers of requests that a browser would send with the cookie for another site, or without the word of our form."""

KINDS = ("application/x-www-form-urlencoded", "application/json", "text/plain", "multipart/form-data; boundary=x", "")
BODIES = {"application/json": b'{"verb":"cancel","ids":"1"}', "": b""}

SMUGGLING = (
    b"Content-Length: 0\r\nContent-Length: %d", b"Content-Length: %d, 0", b"Content-Length: +%d",
    b"Content-Length: %d\r\nTransfer-Encoding: chunked", b"Transfer-Encoding: chunked\r\nContent-Length: %d",
    b"Transfer-Encoding: xchunked\r\nContent-Length: %d", b"Transfer-Encoding : chunked\r\nContent-Length: %d",
    b"Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\nContent-Length: %d",
    b"Transfer-Encoding:\x0bchunked\r\nContent-Length: %d", b"Content-Length: 0x%x", b"Content-Length: -%d",
    b" Content-Length: %d", b"X: y\n\nContent-Length: %d", b"X: y\r\n\tContent-Length: %d",
    b"Content-Length: %d\x00", b"Transfer-Encoding: chunked\r\nX: %d\r\nTransfer-Encoding: x",
    b"Content-Length:\r\nContent-Length: %d",
)  # fmt: skip


class WebCase(SynchronousTestCase):
    def setUp(self) -> None:
        self.site = Site(may="submit", rights=["all"])

    def assert_only_looked(self, told: object) -> None:
        """See that the dispatcher has been asked for nothing but what is shown."""
        acting = [asked for asked in self.site.link.asked if asked[0] in ACTING]
        self.assertEqual(acting, [], told)


ACTING = {verb for verb, may in THROUGH_WEB.items() if may != "look"}
ACTING |= {"weblogin", "addtoken", "webredeem", "endsession"}


class OtherSitesTests(WebCase):
    def test_no_method_at_any_address_does_anything_for_another_site(self) -> None:
        """A method that an address knows is tried with all headers, every other one with one of them in turn."""
        known = {(re.sub(r"<[^>]*>", "1", route.pattern), route.method) for route in all_routes().routes}
        tried = 0
        for path in sorted({path for path, _ in known}):
            for method in METHODS:
                acts = method != "GET" and (path, method) in known
                for headers in FOREIGN if acts else [FOREIGN[tried % len(FOREIGN)]]:
                    kind = KINDS[tried % len(KINDS)]
                    body = b"" if method in ("GET", "HEAD") else BODIES.get(kind, b"ids=1&names=n1&reason=x")
                    got = self.site.send(method, path, body, True, **{"content_type": kind, **headers})
                    if method not in ("GET", "HEAD"):
                        self.assertGreaterEqual(got.status, 400, (method, path, headers))
                    tried += 1
            self.assert_only_looked(path)
        self.assertGreater(tried, 1000)
        count(63, tried)


class RawTests(WebCase):
    def test_no_request_hides_in_another(self) -> None:
        form = f"csrf={self.site.csrf}"
        hidden = (
            f"POST /dispatcher/reload HTTP/1.1\r\nHost: {HOST}\r\nCookie: {COOKIE}={SECRET}\r\nOrigin: {ORIGIN}\r\n"
            f"Content-Type: {KINDS[0]}\r\nContent-Length: {len(form)}\r\n\r\n{form}"
        ).encode()
        self.site.raw(hidden)
        self.assertIn("reload", [verb for verb, _ in self.site.link.asked])  # said openly it would act
        self.site.link.asked.clear()
        for line in SMUGGLING:
            for around in (b"%s", b"0\r\n\r\n%s", b"1\r\nx\r\n0\r\n\r\n%s", b"0;x=\n\r\n%s"):
                body = around % hidden
                head = b"POST /jobs/none HTTP/1.1\r\nHost: " + HOST.encode() + b"\r\n"
                number = len(body) if b"%" in line else 0
                self.site.raw(head + (line % number) + b"\r\n\r\n" + body)
                self.assert_only_looked((line, around))
        count(63, 4 * len(SMUGGLING))

    def test_answers_come_in_order_and_each_to_its_own(self) -> None:
        with_cookie = f"GET /jobs HTTP/1.1\r\nHost: {HOST}\r\nCookie: {COOKIE}={SECRET}\r\n\r\n".encode()
        without = f"GET /jobs HTTP/1.1\r\nHost: {HOST}\r\n\r\n".encode()
        for order in ((with_cookie, without, with_cookie), (without, with_cookie, without)):
            got = self.site.raw(b"".join(order))
            answers = re.split(rb"(?=HTTP/1\.1 \d{3} )", got)[1:]
            for asked, answer in zip(order, answers, strict=False):
                shown = parse(answer)
                self.assertEqual(shown.status == 401, asked == without)
                if asked == without:
                    self.assertNotIn("alice", shown.body)
        count(63, 6)

    def test_heads_without_end_are_cut(self) -> None:
        for piece in (b"X: " + b"y" * 1_048_576 + b"\r\n", b"X: y\r\n" * 170_000, b"G" * 1_048_576, b"\r\n" * 500_000):
            protocol, transport = self.site.connect()
            protocol.dataReceived(f"GET /jobs HTTP/1.1\r\nHost: {HOST}\r\n".encode() + piece)
            if not transport.disconnecting:
                self.site.clock.pump([1.0] * 60)
            self.assertTrue(transport.disconnecting, piece[:10])
        self.assert_only_looked("heads")
        count(63, 4)

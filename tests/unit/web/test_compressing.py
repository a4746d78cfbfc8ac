"""Answers that are made small on the way, for those who take that."""

from __future__ import annotations

import gzip

from twisted.trial.unittest import SynchronousTestCase

from tests.support.web import COOKIE, SECRET, Site
from tm.web.compressing import LEAST, accepts_gzip, compressed

PAGE = b"<p>all work and no play</p>" * 100


class CompressingTests(SynchronousTestCase):
    def test_what_is_taken_is_what_the_header_says(self) -> None:
        for header in ("gzip", "GZIP", "br, gzip;q=0.5", "*", "deflate,gzip"):
            self.assertTrue(accepts_gzip(header), header)
        for header in ("", "br", "gzip;q=0", "gzip; q=0.0, br", "identity"):
            self.assertFalse(accepts_gzip(header), header)

    def test_texts_are_made_small_and_come_back_as_they_were(self) -> None:
        for kind in ("text/html; charset=utf-8", "application/json", "text/css", "image/svg+xml"):
            small = compressed(PAGE, kind, "gzip")
            assert small is not None
            self.assertEqual(gzip.decompress(small), PAGE)
            self.assertLess(len(small), 300)

    def test_the_rest_goes_as_it_is(self) -> None:
        for body, kind, header in (
            (PAGE, "text/html", ""), (PAGE, "application/octet-stream", "gzip"),
            (b"x" * (LEAST - 1), "text/css", "gzip"),
        ):  # fmt: skip
            self.assertIsNone(compressed(body, kind, header))

    def test_pages_come_so_and_the_same_without(self) -> None:
        site = Site()
        plain = site.get("/static/style.css")
        head = f"GET /static/style.css HTTP/1.1\r\nHost: web.test:1234\r\nCookie: {COOKIE}={SECRET}\r\n"
        raw = site.raw(f"{head}Accept-Encoding: gzip, br\r\n\r\n".encode())
        lines, _, body = raw.partition(b"\r\n\r\n")
        self.assertIn(b"Content-Encoding: gzip", lines)
        self.assertIn(f"Content-Length: {len(body)}".encode(), lines)
        self.assertIn(b"Vary: Accept-Encoding", lines)
        self.assertEqual(gzip.decompress(body).decode(), plain.body)
        self.assertNotIn("content-encoding", plain.headers)

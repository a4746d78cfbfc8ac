"""Requests as bytes: who is let in, what is refused, and that every answer is safe."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from tests.support.web import COOKIE, Site
from tm.errors import RefusedError
from tm.web.answers import Answer, Data, Page, Redirect
from tm.web.asked import Asked
from tm.web.desk import Desk
from tm.web.pages import login, static
from tm.web.routes import Route, Routes
from tm.wire.message import Reply


async def _hello(desk: Desk, asked: Asked, name: str) -> Answer:
    return Data(f"hello {name} from {asked.user}".encode())


async def _refuse(desk: Desk, asked: Asked) -> Answer:
    raise RefusedError("job.unknown", "there is no job <b>17</b>")


async def _break(desk: Desk, asked: Asked) -> Answer:
    raise ZeroDivisionError


async def _act(desk: Desk, asked: Asked) -> Answer:
    return Redirect("/hello/x", "Done: 3 jobs.")


ROUTES = Routes([
    Route("GET", "/hello/<name>", _hello), Route("GET", "/refuse", _refuse), Route("GET", "/break", _break),
    Route("POST", "/act", _act, may="act"), Route("GET", "/api/v1/x", _refuse),
    *login.ROUTES, *static.ROUTES,
])  # fmt: skip


class WhoIsLetIn(SynchronousTestCase):
    def setUp(self) -> None:
        self.site = Site(ROUTES)

    def test_a_session_opens_pages(self) -> None:
        got = self.site.get("/hello/a%20b")
        self.assertEqual((got.status, got.body), (200, "hello a b from alice"))

    def test_nobody_gets_the_login_page_with_the_command_to_type(self) -> None:
        got = self.site.get("/hello/x", logged_in=False)
        self.assertEqual(got.status, 401)
        self.assertIn("hRunJob --web", got.body)

    def test_a_session_that_is_over_is_nobodys(self) -> None:
        self.site.session["secret"] = "another"
        self.assertEqual(self.site.get("/hello/x").status, 401)

    def test_who_is_removed_is_out_within_two_seconds(self) -> None:
        self.assertEqual(self.site.get("/hello/x").status, 200)
        self.site.session["secret"] = "another"
        self.site.clock.advance(2.0)
        self.assertEqual(self.site.get("/hello/x").status, 401)

    def test_a_session_that_may_only_look_does_not_act(self) -> None:
        self.site.session["may"] = "look"
        got = self.site.post("/act")
        self.assertEqual(got.status, 403)
        self.assertIn("hRunJob --web act", got.body)

    def test_a_token_opens_what_programs_may_ask_and_nothing_else(self) -> None:
        bearer = {"authorization": "Bearer " + str(self.site.session["secret"])}
        self.assertEqual(self.site.get("/api/v1/x", logged_in=False, **bearer).status, 404)
        self.assertEqual(self.site.get("/hello/x", logged_in=False, **bearer).status, 403)

    def test_a_wrong_token_is_told_how_to_get_one(self) -> None:
        got = self.site.get("/api/v1/x", logged_in=False, authorization="Bearer tm_wrong")
        self.assertEqual(got.status, 401)
        self.assertIn("tm token create", got.body)


class WhatIsRefused(SynchronousTestCase):
    def setUp(self) -> None:
        self.site = Site(ROUTES)

    def test_a_foreign_host_is_refused(self) -> None:
        self.assertEqual(self.site.get("/hello/x", host="evil.test").status, 421)
        self.assertEqual(self.site.get("/hello/x", host="").status, 421)
        twice = b"GET /hello/x HTTP/1.1\r\nHost: web.test:1234\r\nHost: web.test:1234\r\n\r\n"
        self.assertIn(b" 421 ", self.site.raw(twice).split(b"\r\n")[0])

    def test_a_header_that_goes_on_in_the_next_line_is_refused(self) -> None:
        for more in (b" y", b"\ty", b" Content-Length: 5"):
            said = self.site.raw(b"GET /hello/x HTTP/1.1\r\nHost: web.test:1234\r\n" + more + b"\r\n\r\n")
            self.assertEqual(said, b"HTTP/1.1 400 Bad Request\r\n\r\n")

    def test_a_form_of_another_site_is_refused(self) -> None:
        for origin in ("http://evil.test", "null", "", "http://web.test:1235", "https://web.test:1234"):
            self.assertEqual(self.site.post("/act", origin=origin).status, 403, origin)
        self.assertEqual(self.site.post("/act", sec_fetch_site="cross-site").status, 403)

    def test_a_form_without_its_word_is_refused(self) -> None:
        for word in ("", "0" * 32, "é"):
            self.assertEqual(self.site.post("/act", form={"csrf": word}).status, 403)
        self.assertEqual(self.site.post("/act").status, 303)

    def test_an_unknown_page_a_wrong_method_and_a_refusal_have_their_status(self) -> None:
        self.assertEqual(self.site.get("/nothing").status, 404)
        self.assertEqual(self.site.get("/act").status, 405)
        got = self.site.get("/refuse")
        self.assertEqual(got.status, 404)
        self.assertIn("there is no job &lt;b&gt;17&lt;/b&gt;", got.body)

    def test_a_defect_shows_no_traceback(self) -> None:
        got = self.site.get("/break")
        self.assertEqual(got.status, 500)
        self.assertNotIn("ZeroDivision", got.body)
        self.assertEqual(len(self.flushLoggedErrors(ZeroDivisionError)), 1)

    def test_a_large_request_is_refused_whether_it_says_so_or_not(self) -> None:
        self.assertEqual(self.site.post("/act", form={"text": "x" * 1_100_000}).status, 413)
        chunk = b"%x\r\n%s\r\n" % (600_000, b"x" * 600_000)
        head = b"POST /act HTTP/1.1\r\nHost: web.test:1234\r\nTransfer-Encoding: chunked\r\n\r\n"
        self.assertIn(b" 413 ", self.site.raw(head + chunk * 2 + b"0\r\n\r\n").split(b"\r\n")[0])

    def test_a_request_that_drips_is_cut(self) -> None:
        protocol, transport = self.site.connect()
        for _ in range(30):
            if not transport.disconnecting:
                protocol.dataReceived(b"G")
                self.site.clock.advance(1.0)
        self.assertTrue(transport.disconnecting)

    def test_without_the_dispatcher_the_page_says_so_and_asks_again(self) -> None:
        self.site.desk.link = None
        got = self.site.get("/hello/x")
        self.assertEqual(got.status, 503)
        self.assertIn('http-equiv="refresh"', got.body)


class EveryAnswer(SynchronousTestCase):
    def setUp(self) -> None:
        self.site = Site(ROUTES)

    def test_carries_what_keeps_browsers_safe(self) -> None:
        for path in ("/hello/x", "/nothing", "/static/icon.svg"):
            headers = self.site.get(path).headers
            self.assertIn("default-src 'self'", headers["content-security-policy"])
            self.assertNotIn("unsafe", headers["content-security-policy"])
            told = dict(part.split(maxsplit=1) for part in headers["content-security-policy"].split(";"))
            self.assertEqual({told[name] for name in ("object-src", "base-uri", "frame-ancestors")}, {"'none'"})
            self.assertEqual(told["form-action"], "'self'")
            self.assertEqual(headers["x-frame-options"], "DENY")
            self.assertEqual(headers["cache-control"] == "no-store", not path.startswith("/static/"))
            self.assertEqual(headers["x-content-type-options"], "nosniff")

    def test_leads_nowhere_else(self) -> None:
        for to in ("//evil.test", "https://evil.test", "/\\evil.test", "/ok"):
            async def go(desk: Desk, asked: Asked, to: str = to) -> Answer:
                return Redirect(to)

            site = Site(Routes([Route("POST", "/go", go)]))
            self.assertEqual(site.post("/go").headers["location"], "/ok" if to == "/ok" else "/")

    def test_below_a_prefix_links_have_it(self) -> None:
        site = Site(ROUTES, url="https://web.test/tm/")
        got = site.get("/tm/nothing", host="web.test")
        self.assertIn('href="/tm/hosts"', got.body)
        self.assertEqual(site.get("/hello/x", host="web.test").status, 200)

    def test_a_page_holds_no_script_and_no_style_of_its_own(self) -> None:
        body = self.site.get("/nothing").body
        self.assertNotRegex(body, r"<script(?![^>]*\bsrc=)|<style|\son\w+=|style=")


class Links(SynchronousTestCase):
    def setUp(self) -> None:
        self.site = Site(ROUTES)

    def test_opening_a_link_uses_nothing_up(self) -> None:
        got = self.site.get("/login/abc", logged_in=False)
        self.assertEqual(got.status, 200)
        self.assertIn('action="/login/abc"', got.body)
        self.assertEqual(self.site.link.asked, [])

    def test_its_button_begins_a_session_with_a_cookie_that_scripts_do_not_see(self) -> None:
        self.site.link.replies["webredeem"] = self.site.session
        got = self.site.post("/login/abc", logged_in=False)
        self.assertEqual((got.status, got.headers["location"].partition("?")[0]), (303, "/"))
        cookie = got.headers["set-cookie"].lower()
        self.assertTrue(cookie.startswith(f"{COOKIE}={self.site.session['secret']}"))
        self.assertIn("httponly", cookie)
        self.assertIn("samesite=strict", cookie)

    def test_a_link_that_was_used_says_so(self) -> None:
        self.site.link.replies["webredeem"] = Reply("this link was used; hRunJob --web gives another", word="auth.link")
        got = self.site.post("/login/abc", logged_in=False)
        self.assertEqual(got.status, 403)
        self.assertIn("hRunJob --web", got.body)

    def test_logging_out_ends_the_session(self) -> None:
        got = self.site.post("/logout")
        self.assertIn(("endsession", "7"), self.site.link.asked)
        self.assertIn("max-age=0", got.headers["set-cookie"].lower())

    def test_pages_can_be_returned_as_they_are(self) -> None:
        self.assertEqual(Page("error.html").status, 200)

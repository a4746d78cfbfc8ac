"""What visitors, links of strangers and false servers try on the web server: each is an answer, none a defect."""

from __future__ import annotations

from twisted.logger import globalLogPublisher
from twisted.trial.unittest import SynchronousTestCase

from tests.support.web import COOKIE, SECRET, Site
from tm.web import site
from tm.wire.message import Reply


class LinksAndForms(SynchronousTestCase):
    def test_a_page_to_go_back_to_that_is_no_address_is_ours(self) -> None:
        web = Site()
        for back in ("//[", "http://[", "http://elsewhere/", "/\\elsewhere", "//elsewhere", "javascript:alert(1)"):
            got = web.post("/jobs/act", form={"act": "cancel", "back": back})
            self.assertEqual(got.status, 400, back)
            self.assertIn('href="/"', got.body)
            self.assertNotIn("elsewhere", got.body)

    def test_a_link_puts_no_words_into_our_mouth(self) -> None:
        web = Site(rights=["users"])
        web.link.replies["endsession"] = Reply("ended")
        told = web.post("/sessions/s1/end").headers["location"]
        self.assertIn("s1 is over.", web.get(told).body)
        web.session["user"] = "bob"
        for link in ("/sessions?notice=Type+hRunJob+evil", told.replace("is", "was"), told.partition("&")[0]):
            got = web.get(link)
            self.assertEqual((got.status, 'class="notice"' in got.body), (200, False), link)

    def test_what_another_site_shows_within_its_page_is_not_answered(self) -> None:
        web = Site()
        for where in ("same-site", "cross-site"):
            for mode, dest in (("no-cors", "image"), ("cors", "empty"), ("navigate", "iframe"), ("websocket", "")):
                told = {"sec-fetch-site": where, "sec-fetch-mode": mode, "sec-fetch-dest": dest}
                self.assertEqual(web.get("/sessions", **told).status, 403, told)
            told = {"sec-fetch-site": where, "sec-fetch-mode": "navigate", "sec-fetch-dest": "document"}
            self.assertEqual(web.get("/sessions", **told).status, 200)
        told = {"sec-fetch-site": "same-origin", "sec-fetch-mode": "cors", "sec-fetch-dest": "empty"}
        self.assertEqual(web.get("/sessions", **told).status, 200)


class Cookies(SynchronousTestCase):
    """Browsers send what any other server of the same machine has set: cookies ignore ports."""

    def status(self, *lines: str) -> int:
        head = "".join(f"Cookie: {line}\r\n" for line in lines)
        answer = Site().raw(f"GET /sessions HTTP/1.1\r\nHost: web.test:1234\r\n{head}\r\n".encode())
        return int(answer.split()[1])

    def test_what_others_have_set_locks_nobody_out(self) -> None:
        ours = f"{COOKIE}={SECRET}"
        for others in ('a={"b": "c"}', "a[1]=2", "word", "nämé=ä", "a=b c", '$Version="1"', 'a="b', ""):
            self.assertEqual(self.status(f"{others}; {ours}"), 200, others)
            self.assertEqual(self.status(f"{ours};{others}"), 200, others)
            self.assertEqual(self.status(ours, others), 200, others)

    def test_a_session_that_somebody_has_put_beside_ours_counts_no_more_than_ours(self) -> None:
        ours, theirs = f"{COOKIE}={SECRET}", f"{COOKIE}=another"
        self.assertEqual(self.status(f"{theirs}; {ours}"), 401)
        self.assertEqual(self.status(f"{ours}; {theirs}"), 401)
        self.assertEqual(self.status(ours, theirs), 401)
        self.assertEqual(self.status(f"{ours}; {ours}"), 200)


class Connections(SynchronousTestCase):
    def test_who_only_holds_connections_locks_nobody_out(self) -> None:
        self.patch(site, "MOST_CONNECTIONS", 3)
        web = Site()
        held = [web.connect() for _ in range(3)]
        held[0][0].dataReceived(b"GET /login HTTP/1.1\r\nHost: web.test:1234\r\n\r\n")
        held[1][0].dataReceived(b"GET /login HTT")
        for _ in range(9):
            self.assertEqual(web.get("/sessions").status, 200)
        self.assertTrue(all(transport.disconnecting for _, transport in held))

    def test_connections_that_are_cut_do_not_fill_the_log(self) -> None:
        said: list[object] = []
        globalLogPublisher.addObserver(said.append)
        self.addCleanup(globalLogPublisher.removeObserver, said.append)
        web = Site()
        silent, dripping, kept = (web.connect() for _ in range(3))
        dripping[0].dataReceived(b"GET /login HTT")
        kept[0].dataReceived(b"GET /login HTTP/1.1\r\nHost: web.test:1234\r\n\r\n")
        web.clock.advance(site.REQUEST_SECONDS)
        self.assertEqual([one[1].disconnecting for one in (silent, dripping, kept)], [True, True, False])
        web.clock.advance(site.IDLE_SECONDS)
        self.assertTrue(kept[1].disconnecting)
        self.assertEqual(said, [])

    def test_who_is_being_answered_is_not_hung_up_on(self) -> None:
        self.patch(site, "MOST_CONNECTIONS", 2)
        web = Site()
        streams = [web.connect() for _ in range(2)]
        for protocol, _ in streams:
            head = f"GET /events HTTP/1.1\r\nHost: web.test:1234\r\nCookie: {COOKIE}={SECRET}\r\n\r\n"
            protocol.dataReceived(head.encode())
        self.assertIsNone(web.factory.buildProtocol(None))
        self.assertFalse(any(transport.disconnecting for _, transport in streams))

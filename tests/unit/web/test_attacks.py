"""What visitors, links of strangers and false servers try on the web server: each is an answer, none a defect."""

from __future__ import annotations

from twisted.logger import globalLogPublisher
from twisted.trial.unittest import SynchronousTestCase

from tests.support.web import COOKIE, SECRET, Site
from tests.unit.web.test_board import host
from tm.web import connections
from tm.web.render import NOT_KNOWN, seconds_of, when
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
        self.patch(connections, "MOST_CONNECTIONS", 3)
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
        web.clock.advance(connections.REQUEST_SECONDS)
        self.assertEqual([one[1].disconnecting for one in (silent, dripping, kept)], [True, True, False])
        web.clock.advance(connections.IDLE_SECONDS)
        self.assertTrue(kept[1].disconnecting)
        self.assertEqual(said, [])

    def test_who_is_being_answered_is_not_hung_up_on(self) -> None:
        self.patch(connections, "MOST_CONNECTIONS", 2)
        web = Site()
        streams = [web.connect() for _ in range(2)]
        for protocol, _ in streams:
            head = f"GET /events HTTP/1.1\r\nHost: web.test:1234\r\nCookie: {COOKIE}={SECRET}\r\n\r\n"
            protocol.dataReceived(head.encode())
        self.assertIsNone(web.factory.buildProtocol(None))
        self.assertFalse(any(transport.disconnecting for _, transport in streams))


class FalseServers(SynchronousTestCase):
    """A person's own server, or that of a host, may be anything: its answers are refused, not believed."""

    NONSENSE = (
        "", "{", "[]", "null", "1", '"a"', "{}{}", "[" * 5000 + "]" * 5000, '{"a":' * 3000 + "1" + "}" * 3000,
        '{"a":1e400}', '{"gpus":[1]}', '{"disks":{}}', '{"ids":[]}', '{"ids":"x"}', '{"ids":[1],"advice":3}',
        '{"state":"running","stdout":[],"stderr":{},"more":false,"over":false}',
        '{"state":"running","stdout":{"at":"x"},"stderr":{},"more":false,"over":false}',
        '{"over":true,"good":true,"findings":[{"level":3}]}', '{"over":true,"good":true,"findings":7}',
        '{"at":1,"value":"x"}', '{"at":"0001-01-01T00:00:00+23:59","value":[]}',
    )  # fmt: skip

    def setUp(self) -> None:
        self.web = Site(may="submit")
        known = {"id": 1, "user": "alice", "state": "running", "host": "n1", "stdout": "out", "command": "true"}
        self.web.link.replies.update(jobinfo=known, hostinfo=host("n1", own={}, config={}), lsproperties=[])

    def statuses(self, verb: str, path: str, body: str = "") -> set[int]:
        """Return how *path* is answered for each nonsense."""
        found = set()
        for line in self.NONSENSE:
            self.web.link.replies[verb] = Reply(body=[line])
            if not body:
                got = self.web.get(path)
            elif body.startswith("{"):
                said = {"origin": "http://web.test:1234", "content_type": "application/json", "x_csrf": self.web.csrf}
                got = self.web.send("POST", path, body.encode(), **said)
            else:
                got = self.web.post(path, form=dict(pair.split("=") for pair in body.split("&")))
            found.add(got.status)
        self.assertEqual(self.flushLoggedErrors(), [], path)
        return found

    def test_of_peoples_own_servers(self) -> None:
        self.assertEqual(self.statuses("own", "/jobs/1/output.json?look=12345678"), {502})
        self.assertEqual(self.statuses("own", "/api/v1/jobs/1/output"), {502})
        self.assertEqual(self.statuses("own", "/jobs/1/output"), {200})
        self.assertEqual(self.statuses("own", "/submit", "command=true&do=submit&token=t"), {400})
        self.assertEqual(self.statuses("own", "/jobs/act", "act=rerun&job=1&sure=1&token=t"), {400})
        to = self.web.post("/hosts/add", form={"name": "n2", "act": "check"}).headers["location"]
        self.assertLessEqual(self.statuses("own", to), {200, 502})
        self.assertEqual(self.statuses("own", "/api/v1/jobs", '{"job":{"command":"true"}}'), {502})

    def test_of_hosts(self) -> None:
        for path in ("/plots/hosts/n1/load/1h", "/plots/hosts/n1/load/1h?as=csv", "/plots/hosts/n1/load/1h?as=table"):
            self.assertLessEqual(self.statuses("hostask", path), {200, 502})
        for path in ("/hosts/n1/processes", "/api/v1/hosts/n1/system", "/api/v1/hosts/n1/load"):
            self.assertLessEqual(self.statuses("hostask", path), {200, 502, 503})
        self.assertEqual(self.statuses("hostask", "/hosts/n1"), {200})

    def test_only_the_dispatcher_says_that_a_session_is_over(self) -> None:
        for verb, path in (("own", "/jobs/1/output.json?look=12345678"), ("hostask", "/api/v1/hosts/n1/load")):
            self.web.link.replies[verb] = Reply("log in elsewhere", word="auth.session")
            self.assertEqual(self.web.get(path).status, 502)

    def test_times_that_nobody_means_are_not_known(self) -> None:
        for text in ("0001-01-01T00:00:00+23:59", "9999-12-31T23:59:59-23:59", "0001-01-01", "99999-01-01"):
            self.assertEqual((seconds_of(text), when(text)), (None, NOT_KNOWN))

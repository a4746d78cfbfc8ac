"""Sessions of the web interface at a dispatcher: how they come, what they may, and how they end."""

from __future__ import annotations

import json
from typing import Any

from tests.support.daemons import NotedPeer, refusal
from tests.support.people import PeopleCase
from tm.daemon.dispatcher import RETRY_STORE_SECONDS
from tm.errors import StoreError
from tm.model.sessions import LINK_SECONDS, MOST_LINKS, MOST_SESSIONS, MOST_TOKENS, SESSION_SECONDS
from tm.wire.message import Reply

URL = "http://127.0.0.1:34104/"


class WebCase(PeopleCase):
    def setUp(self) -> None:
        super().setUp()
        self.web = self.joined()

    def joined(self) -> NotedPeer:
        """Return a web server that has joined."""
        web = NotedPeer("web@physics")
        self.assertEqual(self.tell(web, "webjoin", {"url": URL, "version": "1"}), [{"cluster": "physics"}])
        return web

    def reply(self, peer: NotedPeer, verb: str, given: object) -> Reply:
        answer = self.say(peer, f"{verb}.json:{json.dumps(given)}").addErrback(refusal)
        self.settle()
        return self.successResultOf(answer)

    def tell(self, peer: NotedPeer, verb: str, given: object) -> list[dict[str, Any]]:
        """Return the values with which *peer* is answered."""
        reply = self.reply(peer, verb, given)
        self.assertTrue(reply.ok, (verb, reply.word, reply.text))
        return [json.loads(line) for line in reply.body]

    def link(self, user: str = "alice", **more: object) -> str:
        """Return the token of a new link."""
        (shown,) = self.values(user, "weblogin", {"may": "act", **more})
        self.assertTrue(shown["url"].startswith(URL + "login/"))
        return str(shown["url"].removeprefix(URL + "login/"))

    def opened(self, user: str = "alice", may: str = "act", **more: object) -> dict[str, Any]:
        """Return a new session."""
        given = {"token": self.link(user, may=may, **more), "agent": "Firefox", "address": "127.0.0.1"}
        return self.tell(self.web, "webredeem", given)[0]

    def through(self, session: dict[str, Any], verb: str, rest: str | None = None) -> Reply:
        """Return what the session's user is answered."""
        secret = session.get("secret") or session["token"]
        return self.reply(self.web, "as", {"secret": secret, "verb": verb, "rest": rest})

    def cannot(self, word: str, session: dict[str, Any], verb: str, rest: str | None = None) -> str:
        reply = self.through(session, verb, rest)
        self.assertEqual(reply.word, word, reply.text)
        return reply.text

    def listed(self, user: str = "alice") -> list[dict[str, Any]]:
        return self.values(user, "lssessions")

    def restart(self) -> None:
        """The dispatcher ends and starts again."""
        self.dispatcher._pulse.stop()
        self.begin()
        self.web = self.joined()


class LinkTests(WebCase):
    def test_a_link_opens_a_session_of_its_user_once(self) -> None:
        token = self.link("kate")
        (session,) = self.tell(self.web, "webredeem", {"token": token, "agent": "Firefox", "address": "127.0.0.9"})
        self.assertEqual((session["user"], session["may"], session["groups"]), ("kate", "act", ["keepers"]))
        self.assertEqual(session["rights"], ["log", "users"])
        reply = self.reply(self.web, "webredeem", {"token": token})
        self.assertEqual(reply.word, "auth.link")
        for part in ("127.0.0.9", "hRunJob --web", "tm web sessions"):
            self.assertIn(part, reply.text)

    def test_two_who_use_a_link_at_once_do_not_both_get_in(self) -> None:
        line = "webredeem.json:" + json.dumps({"token": self.link()})
        both = [self.say(self.web, line).addErrback(refusal) for _ in range(2)]
        self.settle()
        self.assertEqual([self.successResultOf(one).word for one in both], [None, "auth.link"])

    def test_a_link_is_over_after_ten_minutes(self) -> None:
        token = self.link()
        self.clock.advance(LINK_SECONDS)
        reply = self.reply(self.web, "webredeem", {"token": token})
        self.assertEqual(reply.word, "auth.link")
        self.assertIn("hRunJob --web", reply.text)
        self.clock.pump([60.0] * 120)
        self.assertIn("not known", self.reply(self.web, "webredeem", {"token": token}).text)
        self.assertEqual(self.listed(), [])

    def test_what_is_no_link_opens_nothing(self) -> None:
        session = self.opened()
        (token,) = self.values("alice", "addtoken", {"name": "t"})
        for secret in ("", "x", session["secret"], token["token"], session["id"], "é"):
            self.assertEqual(self.reply(self.web, "webredeem", {"token": secret}).word, "auth.link")
        for secret in ("", "x", self.link(), session["id"]):
            reply = self.reply(self.web, "as", {"secret": secret, "verb": "whoami", "rest": None})
            self.assertEqual(reply.word, "auth.session")

    def test_without_a_web_server_there_are_no_links(self) -> None:
        self.web.lost()
        self.assertIn("twistd taskweb", self.refused("web.away", "alice", "weblogin", {"may": "act"}))
        self.assertIsNone(self.values("alice", "status")[0]["web"])
        self.joined()
        self.assertEqual(self.values("alice", "status")[0]["web"], URL)
        self.link()

    def test_what_nobody_offers_cannot_be_asked_for(self) -> None:
        for given in ({"may": "all"}, {"may": ""}, {"may": 1}, {"user": "root"}, [], {"grant": "x" * 5000}):
            self.refused("proto.arguments", "alice", "weblogin", given)

    def test_the_oldest_link_gives_way(self) -> None:
        tokens = [self.link() for _ in range(MOST_LINKS + 1)]
        self.assertEqual(self.reply(self.web, "webredeem", {"token": tokens[0]}).word, "auth.link")
        self.assertTrue(self.reply(self.web, "webredeem", {"token": tokens[1]}).ok)


class SessionTests(WebCase):
    def test_what_is_said_in_a_session_its_user_has_said(self) -> None:
        kate, alice = self.opened("kate"), self.opened("alice")
        (who,) = map(json.loads, self.through(kate, "whoami").body)
        self.assertEqual((who["user"], who["rights"]), ("kate", ["log", "users"]))
        self.assertTrue(self.through(kate, "lsusers").ok)
        self.cannot("perm.denied", alice, "lsusers")
        self.assertTrue(self.through(kate, "changeuser", '{"name":"bob","email":"b@example.org"}').ok)
        self.assertEqual(self.records()[-1]["user"], "kate")

    def test_a_session_that_looks_cannot_act(self) -> None:
        root = self.opened("root", "look")
        self.assertNotIn("shutdown", root["rights"])
        self.assertTrue(self.through(root, "lsusers").ok)
        for verb, rest in (("removeuser", "bob"), ("shutdown", None), ("canceljob", "1"), ("undo", "1")):
            self.assertIn("--web act", self.cannot("perm.denied", root, verb, rest))
        self.assertIn("bob", self.dispatcher.tables.users)

    def test_nobody_is_somebody_else_within_a_session_or_gets_more_with_it(self) -> None:
        session = self.opened("root", "submit")
        inner = json.dumps({"secret": session["secret"], "verb": "whoami", "rest": None})
        for verb, rest in (
            ("as", inner), ("weblogin", '{"may":"submit"}'), ("addtoken", '{"name":"x"}'), ("webredeem", "{}"),
            ("attach", "{}"), ("submit", "{}"), ("runjob", "id"), ("subscribe", "log"), ("checksessions", "{}"),
            ("jobtexts", "1"), ("lsjobs:user=all", None), ("nothing", None), ("", None),
        ):  # fmt: skip
            self.cannot("perm.denied", session, verb, rest)

    def test_what_is_said_is_one_line(self) -> None:
        self.cannot("proto.malformed", self.opened(), "lsjobs", "user=all\nshutdown")

    def test_an_answer_that_was_asked_for_under_a_number_comes_as_an_event(self) -> None:
        said = {"secret": self.opened("bob")["secret"], "verb": "whoami", "number": 7}
        self.assertEqual(self.reply(self.web, "as", said), Reply())
        self.assertEqual(self.reply(self.web, "as", {**said, "verb": "jobinfo", "rest": "99", "number": 8}), Reply())
        first, second = self.web.heard("answer")
        self.assertEqual((first["number"], json.loads(first["body"][0])["user"]), (7, "bob"))
        self.assertEqual((second["number"], second["word"]), (8, "job.unknown"))
        for more, word in (({"verb": "hostask", "rest": "n9:load"}, "host.unknown"), ({"secret": "x"}, "auth.session")):
            self.assertEqual(self.reply(self.web, "as", {**said, **more}).word, word)

    def test_only_the_web_server_that_has_joined_speaks_for_others(self) -> None:
        session = self.opened()
        said = {"secret": session["secret"], "verb": "whoami", "rest": None}
        for user in ("alice", "root", "infoserver@n1"):
            for verb in ("webjoin", "as", "checksessions", "webredeem", "webcertificate"):
                self.assertEqual(self.reply(NotedPeer(user), verb, said).word, "perm.denied")
        older, self.web = self.web, self.joined()
        self.assertEqual(older.told, [{"topic": "replaced"}])
        self.assertIn("webjoin", self.reply(older, "as", said).text)
        self.assertTrue(self.reply(self.web, "as", said).ok)
        older.lost()
        self.assertTrue(self.reply(self.web, "as", said).ok)

    def test_the_web_server_itself_can_do_nothing(self) -> None:
        self.assertEqual(self.said(self.web, "canceljob:1").word, "job.unknown")
        for line in ("lsjobs", "shutdown", "weblogin:{}", "addtoken:{}", "lssessions", "runjob:id"):
            self.assertEqual(self.said(self.web, line).word, "perm.denied", line)
        self.assertEqual(json.loads(self.said(self.web, "whoami.json").body[0])["rights"], ["web"])
        for topic in ("jobs", "hosts", "log"):
            self.assertTrue(self.said(self.web, f"subscribe:{topic}").ok)
        alice = self.attached("alice")
        self.assertTrue(self.said(alice, self.submission()).ok)
        self.assertTrue(self.web.heard("jobs"))

    def test_where_people_reach_it_is_an_address(self) -> None:
        for url in (
            "",
            "javascript:alert(1)",
            "http://a b/",
            "http://a/\n",
            "ftp://a/",
            "http://a/?x=1",
            "http://u@a/",
        ):
            self.assertEqual(self.reply(self.web, "webjoin", {"url": url}).word, "proto.arguments", url)
        self.tell(self.web, "webjoin", {"url": "https://tm.example.org/tasks"})
        self.assertEqual(self.values("alice", "status")[0]["web"], "https://tm.example.org/tasks/")

    def test_a_session_is_over_after_twelve_hours(self) -> None:
        session = self.opened()
        self.clock.advance(SESSION_SECONDS - 1)
        self.assertTrue(self.through(session, "whoami").ok)
        self.clock.advance(1)
        self.assertIn("hRunJob --web", self.cannot("auth.session", session, "whoami"))
        self.assertEqual(self.tell(self.web, "checksessions", {"secrets": [session["secret"]]}), [])

    def test_of_sessions_that_are_asked_for_the_good_ones_are_told(self) -> None:
        first, second = self.opened("alice"), self.opened("kate")
        asked = {"secrets": [first["secret"], "x", second["secret"]]}
        self.assertEqual(self.tell(self.web, "checksessions", asked), [first, second])
        self.done("alice", "endsession", first["id"])
        self.assertEqual(self.tell(self.web, "checksessions", asked), [second])
        self.assertEqual(self.reply(self.web, "checksessions", {"secrets": ["x"] * 2001}).word, "proto.arguments")

    def test_the_oldest_session_gives_way(self) -> None:
        sessions = [self.opened() for _ in range(MOST_SESSIONS + 1)]
        self.cannot("auth.session", sessions[0], "whoami")
        self.assertTrue(self.through(sessions[1], "whoami").ok)
        self.assertTrue(self.through(sessions[-1], "whoami").ok)

    def test_a_browsers_certificate_opens_a_session_that_acts_and_has_no_word_of_its_users_server(self) -> None:
        given = {"fingerprint": self.people["alice"].fingerprint.upper(), "agent": "Firefox\x07", "address": "::1"}
        (session,) = self.tell(self.web, "webcertificate", given)
        self.assertEqual((session["user"], session["may"]), ("alice", "act"))
        kept = self.dispatcher.web.sessions.get(session["id"])
        assert kept is not None
        self.assertEqual((kept.grant, kept.sig, kept.agent), ("", "", "Firefox?"))
        self.assertEqual(self.reply(self.web, "webcertificate", {"fingerprint": "00" * 32}).word, "auth.unknown")

    def test_an_expired_certificate_of_a_browser_opens_nothing(self) -> None:
        self.clock.advance(30 * 86400.0)
        given = {"fingerprint": self.people["alice"].fingerprint}
        self.assertEqual(self.reply(self.web, "webcertificate", given).word, "auth.expired")

    def test_the_word_of_the_users_server_is_kept_with_the_session_and_not_shown(self) -> None:
        session = self.opened("alice", "submit", grant="the grant", sig="its seal")
        kept = self.dispatcher.web.sessions.get(session["id"])
        assert kept is not None
        self.assertEqual((kept.grant, kept.sig), ("the grant", "its seal"))
        told = json.dumps([session, self.listed(), self.values("root", "lssessions")])
        self.assertNotIn("the grant", told)
        self.assertNotIn("its seal", told)


class EndingTests(WebCase):
    def test_sessions_are_listed_without_what_opens_them(self) -> None:
        session, token, link = (
            self.opened(),
            self.values("alice", "addtoken", {"name": "t", "may": "look"})[0],
            self.link(),
        )
        shown = self.listed()
        self.assertEqual([(one["kind"], one["may"]) for one in shown],
                         [("session", "act"), ("token", "look"), ("link", "act")])  # fmt: skip
        self.assertEqual((shown[0]["agent"], shown[0]["address"], shown[1]["name"]), ("Firefox", "127.0.0.1", "t"))
        text = json.dumps(shown) + "\n".join(self.done("alice", "lssessions").body)
        for secret in (session["secret"], token["token"], link):
            self.assertNotIn(secret, text)
        self.assertEqual(self.listed("bob"), [])
        self.assertEqual([one["user"] for one in self.listed("kate")], ["alice"] * 3)

    def test_what_is_ended_is_over_at_once(self) -> None:
        session, (token,) = self.opened(), self.values("alice", "addtoken", {"name": "t"})
        for one in (session, token):
            self.assertTrue(self.through(one, "whoami").ok)
            self.done("alice", "endsession", one["id"])
            self.cannot("auth.session", one, "whoami")
        link = self.link()
        self.done("alice", "endsession", self.listed()[-1]["id"])
        self.assertEqual(self.reply(self.web, "webredeem", {"token": link}).word, "auth.link")

    def test_nobody_ends_the_session_of_another_without_the_right(self) -> None:
        session = self.opened("alice")
        text = self.refused("session.unknown", "bob", "endsession", session["id"])
        self.assertEqual(text, self.refused("session.unknown", "bob", "endsession", "s00000000").replace(
            "s00000000", session["id"]))  # fmt: skip
        self.assertTrue(self.through(session, "whoami").ok)
        self.done("kate", "endsession", session["id"])
        self.cannot("auth.session", session, "whoami")
        record = self.records()[-1]
        self.assertEqual((record["user"], record["verb"], record["kind"]), ("kate", "endsession", "session"))
        self.assertIn("alice", record["reason"])

    def test_a_session_that_looks_ends_itself_and_no_other(self) -> None:
        one, other = self.opened("alice", "look"), self.opened("alice", "act")
        self.cannot("perm.denied", one, "endsession", other["id"])
        self.assertTrue(self.through(one, "endsession", one["id"]).ok)
        self.cannot("auth.session", one, "whoami")
        third = self.opened("alice", "look")
        self.assertTrue(self.through(other, "endsession", third["id"]).ok)

    def test_who_is_removed_is_out_at_once(self) -> None:
        session, (token,), link = self.opened("bob"), self.values("bob", "addtoken", {"name": "t"}), self.link("bob")
        self.done("kate", "removeuser", "bob")
        for one in (session, token):
            self.cannot("auth.session", one, "whoami")
        self.assertEqual(self.reply(self.web, "webredeem", {"token": link}).word, "auth.link")
        self.done("root", "undo", str(self.records()[-1]["id"]))
        self.assertIn("bob", self.dispatcher.tables.users)
        self.cannot("auth.session", session, "whoami")

    def test_who_is_no_longer_there_at_a_reload_or_a_start_is_out(self) -> None:
        for again in (lambda: self.done("root", "reload"), self.restart):
            session = self.opened("bob")
            before = self.text("users")
            self.write("users", before.replace(self.user_text("bob"), ""))
            self.write("groups", self.text("groups").replace('    "bob",\n', ""))
            again()
            self.cannot("auth.session", session, "whoami")
            self.write("users", before)
            again()
            self.cannot("auth.session", session, "whoami")

    def test_what_was_asked_for_with_a_certificate_is_over_with_it(self) -> None:
        session, (token,) = self.opened("bob"), self.values("bob", "addtoken", {"name": "t"})
        fresh = self.identity("bob")
        self.done("kate", "changeuser", {"name": "bob", "add": self.pem(fresh)})
        self.assertTrue(self.through(session, "whoami").ok)
        self.done("kate", "changeuser", {"name": "bob", "drop": self.people["bob"].fingerprint})
        for one in (session, token):
            self.cannot("auth.session", one, "whoami")


class TokenTests(WebCase):
    def test_a_token_is_said_once_and_does_what_it_may(self) -> None:
        (token,) = self.values("kate", "addtoken", {"name": "nightly", "may": "look", "days": 30})
        self.assertTrue(token["token"].startswith("tm_"))
        self.assertTrue(self.through(token, "lsusers").ok)
        self.cannot("perm.denied", token, "removeuser", "bob")
        (checked,) = self.tell(self.web, "checksessions", {"secrets": [token["token"]]})
        self.assertEqual((checked["id"], checked["user"], checked["may"]), (token["id"], "kate", "look"))
        self.clock.advance(30 * 86400.0)
        self.cannot("auth.session", token, "lsusers")

    def test_that_a_token_was_made_and_ended_is_recorded_without_it(self) -> None:
        (token,) = self.values("alice", "addtoken", {"name": "nightly", "may": "act"})
        self.done("alice", "endsession", token["id"])
        made, ended = self.records()
        self.assertEqual((made["user"], made["verb"], made["kind"], made["name"]),
                         ("alice", "addtoken", "token", token["id"]))  # fmt: skip
        self.assertIn("nightly may act", made["reason"])
        self.assertEqual((ended["verb"], ended["name"]), ("endsession", token["id"]))
        self.assertNotIn(token["token"], json.dumps([made, ended]))
        self.refused("undo.impossible", "root", "undo", "1")

    def test_a_token_has_a_name_and_an_end(self) -> None:
        for given in ({}, {"name": "a b"}, {"name": "x" * 65}, {"name": "t", "days": 0}, {"name": "t", "days": 367}):
            self.refused("token.invalid", "alice", "addtoken", given)
        for given in ({"name": "t", "may": "all"}, {"name": "t", "days": "x"}, {"name": "t", "user": "root"}):
            self.refused("proto.arguments", "alice", "addtoken", given)

    def test_nobody_has_too_many(self) -> None:
        for _ in range(MOST_TOKENS):
            (token,) = self.values("alice", "addtoken", {"name": "t"})
        self.assertIn("tm token revoke", self.refused("limit.tokens", "alice", "addtoken", {"name": "t"}))
        self.done("alice", "endsession", token["id"])
        self.done("alice", "addtoken", {"name": "t"})
        self.done("bob", "addtoken", {"name": "t"})


class StoreTests(WebCase):
    def test_sessions_outlive_the_dispatcher(self) -> None:
        used, link, session = self.link(), self.link(), self.opened()
        (token,) = self.values("alice", "addtoken", {"name": "t", "may": "submit", "grant": "g", "sig": "s"})
        self.tell(self.web, "webredeem", {"token": used})
        ended = self.opened()
        self.done("alice", "endsession", ended["id"])
        self.restart()
        for one in (session, token):
            self.assertTrue(self.through(one, "whoami").ok)
        self.cannot("auth.session", ended, "whoami")
        self.assertIn("was used", self.reply(self.web, "webredeem", {"token": used}).text)
        self.assertTrue(self.reply(self.web, "webredeem", {"token": link}).ok)
        kept = self.dispatcher.web.sessions.get(token["id"])
        assert kept is not None
        self.assertEqual((kept.grant, kept.sig, kept.name), ("g", "s", "t"))

    def test_no_secret_is_in_the_store(self) -> None:
        session, (token,), link = self.opened(), self.values("alice", "addtoken", {"name": "t"}), self.link()
        text = repr(self.store._sessions)
        for secret in (session["secret"], token["token"], link):
            self.assertNotIn(secret, text)

    def test_what_could_not_be_written_down_was_never_there(self) -> None:
        link = self.link()
        self.writer.broken = StoreError("store.full", "no space")
        reply = self.reply(self.web, "webredeem", {"token": link})
        self.assertEqual(reply.word, "store.full")
        self.writer.broken = None
        self.clock.advance(RETRY_STORE_SECONDS)
        self.settle()
        self.assertTrue(self.reply(self.web, "webredeem", {"token": link}).ok)

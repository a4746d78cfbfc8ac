"""Laws of links, sessions and tokens: who is let in, for how long, how many, and what a store has to keep of it."""

from __future__ import annotations

import msgspec
from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from tests.support.properties import examples
from tm.errors import RefusedError
from tm.model.rights import User, Users
from tm.model.sessions import (
    LINK_SECONDS,
    MOST_AGENT,
    MOST_LINKS,
    MOST_SESSIONS,
    MOST_TOKENS,
    REMEMBER_SECONDS,
    SESSION_SECONDS,
    Browser,
    Fresh,
    Session,
    Sessions,
    Wish,
    digest_of,
    show_session,
)

SECRET = "a secret that nobody guesses"
FIREFOX = Browser("Firefox", "127.0.0.1")


def fresh(secret: str = SECRET, id: str = "x1", now: float = 0.0) -> Fresh:
    return Fresh(secret, id, now)


class LifeTests(SynchronousTestCase):
    def test_each_kind_is_good_for_what_it_is_and_as_long_as_it_is(self) -> None:
        sessions = Sessions()
        sessions.link(Wish("alice", "look"), fresh("link", "l1"))
        sessions.session(Wish("alice", "look"), FIREFOX, fresh("session", "s1"))
        sessions.token(Wish("alice", "look"), "t", 2, fresh("token", "t1"))
        self.assertIsNone(sessions.found("link", 1.0))
        for secret, id, seconds in (("session", "s1", SESSION_SECONDS), ("token", "t1", 2 * 86400.0)):
            found = sessions.found(secret, seconds - 0.5)
            assert found is not None
            self.assertEqual(found.id, id)
            self.assertIsNone(sessions.found(secret, seconds))
        for secret in ("session", "token", "s1", digest_of("session"), ""):
            self.assertRaises(RefusedError, sessions.redeem, secret, FIREFOX, fresh("new", "s2"))
        self.assertIsNone(sessions.found(digest_of("session"), 1.0))

    def test_what_a_link_was_given_goes_to_its_session_alone(self) -> None:
        sessions = Sessions()
        wish = Wish("alice", "submit", "certificate", "grant", "sig")
        link = sessions.link(wish, fresh("link", "l1"))
        one = sessions.redeem("link", Browser("x" * 500 + "\n", "\x1b[2J"), fresh("s", "s1", 5.0))
        self.assertEqual(Wish(one.user, one.may, one.fingerprint, one.grant, one.sig), wish)
        self.assertEqual((link.grant, link.sig, link.used_at), ("", "", 5.0))
        self.assertEqual((len(one.agent), one.address), (MOST_AGENT, "?[2J"))

    def test_a_link_that_is_over_is_known_for_a_while_and_then_forgotten(self) -> None:
        sessions = Sessions()
        sessions.link(Wish("alice", "act"), fresh("link", "l1"))
        for at in (LINK_SECONDS, LINK_SECONDS + REMEMBER_SECONDS - 1):
            sessions.tick(at)
            error = self.assertRaises(RefusedError, sessions.redeem, "link", FIREFOX, fresh("s", "s1", at))
            self.assertIn("was good until", error.text)
            self.assertEqual(sessions.open(None, at), [])
        sessions.tick(LINK_SECONDS + REMEMBER_SECONDS)
        error = self.assertRaises(RefusedError, sessions.redeem, "link", FIREFOX, fresh("s", "s1"))
        self.assertIn("not known", error.text)

    def test_nothing_that_is_shown_opens_anything(self) -> None:
        one = Sessions().session(Wish("alice", "act", "certificate", "grant", "sig"), FIREFOX, fresh())
        shown = str(show_session(one))
        for part in (SECRET, digest_of(SECRET), "certificate", "grant", "sig"):
            self.assertNotIn(part, shown)

    def test_that_something_is_used_is_written_down_once_an_hour(self) -> None:
        sessions = Sessions()
        sessions.session(Wish("alice", "act"), FIREFOX, fresh())
        sessions.take()
        written = []
        for at in range(0, 2 * int(REMEMBER_SECONDS) + 1, 600):
            sessions.found(SECRET, float(at))
            written += [one.used_at for one in sessions.take()[0].values()]
        self.assertEqual(written, [0.0, REMEMBER_SECONDS, 2 * REMEMBER_SECONDS])

    def test_a_certificate_that_is_somebody_elses_now_vouches_for_nobody(self) -> None:
        sessions = Sessions()
        for user, certificate in (("alice", "a1"), ("alice", "a2"), ("bob", "b1"), ("carol", "c1"), ("bob", "")):
            id = f"s{user}{certificate}"
            sessions.session(Wish(user, "act", certificate), FIREFOX, fresh(id, id))
        ended = sessions.people_changed(Users.of(User("alice", ("a1", "b1")), User("bob", ("b2",))))
        self.assertEqual({one.id for one in ended}, {"salicea2", "sbobb1", "scarolc1"})
        self.assertEqual([one.id for one in sessions.of_user(None)], ["salicea1", "sbob"])


users = st.sampled_from(["alice", "bob"])
deeds = st.lists(
    st.one_of(
        st.tuples(st.sampled_from(["link", "session", "token", "end user"]), users),
        st.tuples(st.sampled_from(["redeem", "use", "end"]), st.integers(0, 200)),
        st.tuples(st.just("pass"), st.sampled_from([1, 599, 3600, 40_000, 90_000])),
    ),
    max_size=120,
)


class LawTests(SynchronousTestCase):
    @given(deeds)
    @examples(300)
    def test_what_is_written_down_is_what_is_known_and_nobody_has_too_much(
        self, said: list[tuple[str, int | str]]
    ) -> None:
        sessions = Sessions()
        store: dict[str, bytes] = {}
        now, made = 0.0, 0
        opened: set[str] = set()
        for deed, what in said:
            made += 1
            new = Fresh(f"secret {made}", f"x{made}", now)
            try:
                if deed == "link":
                    sessions.link(Wish(str(what), "act"), new)
                elif deed == "session":
                    sessions.session(Wish(str(what), "act"), FIREFOX, new)
                elif deed == "token":
                    sessions.token(Wish(str(what), "act"), "t", 1, new)
                elif deed == "redeem":
                    sessions.redeem(f"secret {what}", FIREFOX, new)
                    self.assertNotIn(f"secret {what}", opened)
                    opened.add(f"secret {what}")
                elif deed == "use":
                    found = sessions.found(f"secret {what}", now)
                    self.assertTrue(found is None or (now < found.until and found.kind != "link"))
                elif deed == "end" and f"x{what}" in sessions:
                    sessions.end(f"x{what}")
                elif deed == "end user":
                    sessions.end_where(lambda one, user=str(what): one.user == user)  # type: ignore[misc]
                elif deed == "pass":
                    now += float(what)
                    sessions.tick(now)
            except RefusedError as error:
                self.assertIn(error.word, ("auth.link", "limit.tokens"))
            changed, ended = sessions.take()
            store.update((id, msgspec.json.encode(one)) for id, one in changed.items())
            for id in ended:
                store.pop(id, None)
        kept = [msgspec.json.decode(text, type=Session) for text in store.values()]
        self.assertEqual(sorted(kept, key=lambda one: one.id), sorted(sessions.of_user(None), key=lambda one: one.id))
        self.assertNotIn(b"secret ", b"".join(store.values()))
        for user in ("alice", "bob"):
            kinds = [one.kind for one in sessions.of_user(user)]
            for kind, most in (("link", MOST_LINKS), ("session", MOST_SESSIONS), ("token", MOST_TOKENS)):
                self.assertLessEqual(kinds.count(kind), most)

"""Nobody gives what they lack, whichever way they take; and somebody keeps the right to change users and groups."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from tests.support.properties import examples
from tm.errors import RefusedError
from tm.model.granting import People, check_granted, check_remains, holders, power
from tm.model.rights import DISPATCHER, RIGHTS, Certificate, Group, Groups, User, Users, permitted, rights_known

NAMES = ("alice", "bob", "carol")


def user(name: str, *fingerprints: str, until: float = 1000.0) -> User:
    """Return a user with these certificates, valid until then."""
    return User(name, fingerprints, certificates=tuple(Certificate(one, until) for one in fingerprints))


def people(*groups: tuple[str, str, str], users: tuple[User, ...] = ()) -> People:
    """Return what groups of (name, members, rights) say; the users have a certificate each unless others are given."""
    made = tuple(Group(name, frozenset(m.split()), frozenset(r.split())) for name, m, r in groups)
    return People(Users.of(*(users or tuple(user(name, name[0]) for name in NAMES))), Groups(made))


class GrantTests(SynchronousTestCase):
    def refused(self, rights: str, before: People, after: People) -> str:
        """Return why alice, who has *rights*, may not make this change."""
        error = self.assertRaises(RefusedError, check_granted, "alice", frozenset(rights.split()), before, after)
        self.assertEqual((error.word, error.exit_status), ("perm.grant", 77))
        return error.text

    def test_rights_of_a_group_are_given_by_those_who_have_them(self) -> None:
        before, after = people(("g", "bob", "")), people(("g", "bob", "log"))
        check_granted("alice", frozenset({"users", "log"}), before, after)
        self.assertEqual(
            self.refused("users", before, after),
            "you cannot give bob the right log: you do not have it yourself; somebody who has ('lsgroups' shows who)"
            " can do this",
        )

    def test_members_are_taken_into_a_group_by_those_who_have_its_rights(self) -> None:
        before, after = people(("g", "bob", "hosts log")), people(("g", "bob carol", "hosts log"))
        check_granted("alice", frozenset({"hosts", "log"}), before, after)
        self.assertIn("give carol rights hosts, log:", self.refused("users", before, after))
        check_granted("alice", frozenset(), after, before)

    def test_everybody_includes_those_who_are_not_there_yet(self) -> None:
        some = "alice bob carol"
        before, after = people(("g", some, "log")), people(("g", "*", "log"))
        self.assertIn("give everybody the right log", self.refused("users", before, after))

    def test_what_somebody_has_already_is_not_given(self) -> None:
        before = people(("a", "bob", "log"), ("b", "", "log"))
        check_granted("alice", frozenset(), before, people(("a", "bob", "log"), ("b", "bob", "log")))
        check_granted("alice", frozenset(), before, people(("a", "bob", "verb:log"), ("b", "", "log")))

    def test_a_verb_is_given_by_whoever_may_use_it(self) -> None:
        before, after = people(("g", "bob", "")), people(("g", "bob", "verb:canceljob"))
        check_granted("alice", frozenset({"jobs"}), before, after)
        check_granted("alice", frozenset({"verb:canceljob"}), before, after)
        self.assertIn("verb:canceljob", self.refused("verb:lsjobs", before, after))
        self.assertIn("jobs", self.refused("verb:canceljob", before, people(("g", "bob", "jobs"))))

    def test_a_certificate_does_not_make_one_somebody_else(self) -> None:
        group = ("g", "bob", "log shutdown")
        before = people(group)
        after = people(group, users=(user("alice", "a"), user("bob", "b", "a2"), user("carol", "c")))
        self.assertIn(
            "let a new certificate be bob, who has rights log, shutdown", self.refused("users", before, after)
        )
        check_granted("alice", frozenset({"log", "shutdown"}), before, after)
        check_granted("bob", frozenset({"users"}), before, after)

    def test_a_new_user_can_be_registered_by_whoever_may(self) -> None:
        everybody = ("all", "*", "log")
        before = people(everybody)
        after = people(everybody, users=tuple(user(name, name) for name in (*NAMES, "dave")))
        check_granted("alice", before.groups.rights_of("alice"), before, after)

    words = st.sampled_from(rights_known())
    groups = st.lists(
        st.tuples(st.sampled_from("gh"), st.sets(st.sampled_from([*NAMES, "*"])), st.sets(words, max_size=3)),
        max_size=2,
        unique_by=lambda group: group[0],
    )

    @given(groups, groups, st.sets(words, max_size=3))
    @examples(400)
    def test_after_a_permitted_change_nobody_may_say_what_neither_they_nor_its_maker_could(
        self, before: list, after: list, rights: set[str]
    ) -> None:
        old = Groups(tuple(Group(name, frozenset(m), frozenset(r)) for name, m, r in before))
        new = Groups(tuple(Group(name, frozenset(m), frozenset(r)) for name, m, r in after))
        users = Users.of(*(user(name, name) for name in NAMES))
        mine = Groups((Group("x", frozenset({"maker"}), frozenset(rights)),)).rights_of("maker")
        gains = [
            (name, verb)
            for name in (*NAMES, "later")
            for verb in DISPATCHER
            if permitted(DISPATCHER, verb, new.rights_of(name), own=False)
            and not permitted(DISPATCHER, verb, old.rights_of(name), own=False)
            and not permitted(DISPATCHER, verb, mine, own=False)
        ]
        if gains:
            self.assertRaises(RefusedError, check_granted, "maker", mine, People(users, old), People(users, new))


class RemainTests(SynchronousTestCase):
    def test_the_last_who_may_change_people_stays(self) -> None:
        before = people(("admins", "alice bob", "users"))
        check_remains(before, people(("admins", "bob", "users")), 0.0)
        check_remains(before, people(("admins", "bob", "all")), 0.0)
        for after in (people(("admins", "", "users")), people(("admins", "alice bob", "log")), people()):
            error = self.assertRaises(RefusedError, check_remains, before, after, 0.0)
            self.assertEqual(error.word, "perm.last")

    def test_who_has_only_expired_certificates_does_not_count(self) -> None:
        group = ("admins", "alice bob", "users")
        before = people(group, users=(user("alice", "a", until=10.0), user("bob", "b", until=1000.0)))
        self.assertEqual(holders(before, 100.0), {"bob"})
        after = people(("admins", "alice", "users"), users=tuple(before.users.by_name.values()))
        self.assertRaises(RefusedError, check_remains, before, after, 100.0)

    def test_where_nobody_could_before_nobody_need_be_able_after(self) -> None:
        check_remains(people(), people(), 0.0)

    def test_all_rights_hold_all_verbs_that_need_one(self) -> None:
        self.assertEqual(power({"all"}), power(RIGHTS))
        self.assertIn("verb:undo", power({"audit"}))
        self.assertNotIn("verb:infojoin", power({"all"}))

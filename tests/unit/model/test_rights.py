"""The table of rights against a second, literal one."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from tm.errors import RefusedError
from tm.model import rights
from tm.model.rights import Group, Groups, User, Users
from tm.wire import verbs

ANYBODY = (
    "help version whoami status lshosts hostinfo subscribe unsubscribe whois lsgroups fits lsshares usage hostask"
    " lsproperties"
)
OWN_ONLY = "runjob submit attach hello report hostnews told jobtexts weblogin addtoken lssessions own answered"
OWN_OR_JOBS = (
    "lsjobs countjobs jobinfo whyjob joblog canceljob holdjob releasejob suspendjob resumejob signaljob requeuejob"
    " changejob tryjobs"
)
OWN_OR_HOSTS = "leavehost returnhost"
OWN_OR_USERS = "endsession"
NEEDS = {
    "activatehost": "hosts",
    "deactivatehost": "hosts",
    "reload": "reload",
    "log": "log",
    "shutdown": "shutdown",
    **dict.fromkeys("drainhost addhost changehost removehost declarelost".split(), "hosts"),
    **dict.fromkeys("lsusers adduser changeuser removeuser addgroup changegroup removegroup".split(), "users"),
    **dict.fromkeys("audit undo".split(), "audit"),
    "changeproperties": "properties",
    **dict.fromkeys("infojoin info infoanswer".split(), rights.INFOSERVER),
    **dict.fromkeys("webjoin webredeem webcertificate checksessions as".split(), rights.WEB),
}


def expected(verb: str, right: str, own: bool) -> bool:
    """What a holder of the one *right* may do, said a second time."""
    if verb in ANYBODY.split():
        return True
    if verb in OWN_ONLY.split():
        return own
    if verb in OWN_OR_JOBS.split():
        return own or right == "jobs"
    if verb in OWN_OR_HOSTS.split():
        return own or right == "hosts"
    if verb in OWN_OR_USERS.split():
        return own or right == "users"
    return NEEDS[verb] == right != ""


class RightsTests(SynchronousTestCase):
    def test_every_verb_of_every_server_has_a_rule_and_every_rule_a_verb(self) -> None:
        self.assertEqual(set(rights.DISPATCHER), set(verbs.DISPATCHER))
        self.assertEqual(set(rights.USER_SERVER), set(verbs.USER_SERVER))
        self.assertEqual(set(rights.INFO_SERVER), set(verbs.INFO_SERVER))

    def test_the_dispatchers_table_says_what_is_written_here(self) -> None:
        for verb in verbs.DISPATCHER:
            for right in ("", *rights.RIGHTS):
                for own in (True, False):
                    allowed = rights.permitted(rights.DISPATCHER, verb, {right}, own=own)
                    self.assertEqual(allowed, expected(verb, right, own), (verb, right, own))

    def test_one_verb_alone_can_be_given(self) -> None:
        for given in verbs.DISPATCHER:
            word = f"verb:{given}"
            for verb in verbs.DISPATCHER:
                for own in (True, False):
                    allowed = rights.permitted(rights.DISPATCHER, verb, {word}, own=own)
                    opened = verb == given and word in rights.rights_known()
                    self.assertEqual(allowed, expected(verb, "", own) or opened, (given, verb, own))

    def test_verbs_that_can_be_given_are_those_that_need_a_right_of_people(self) -> None:
        given = {word.removeprefix("verb:") for word in rights.rights_known() if ":" in word}
        needs = {verb for verb, right in NEEDS.items() if right in rights.RIGHTS}
        self.assertEqual(given, needs | {*OWN_OR_JOBS.split(), *OWN_OR_HOSTS.split(), *OWN_OR_USERS.split()})

    def test_a_verb_of_the_dispatcher_opens_none_of_another_server(self) -> None:
        self.assertFalse(rights.permitted(rights.TOPICS, "log", {"verb:log"}))
        self.assertFalse(rights.permitted(rights.USER_SERVER, "run", {"verb:run"}, own=False))

    def test_a_users_server_serves_that_user_alone_whatever_the_rights(self) -> None:
        for verb in verbs.USER_SERVER:
            self.assertTrue(rights.permitted(rights.USER_SERVER, verb, set(), own=True))
            self.assertFalse(rights.permitted(rights.USER_SERVER, verb, set(rights.RIGHTS), own=False), verb)

    def test_what_has_no_rule_is_refused_to_everybody(self) -> None:
        self.assertFalse(rights.permitted(rights.DISPATCHER, "newverb", set(rights.RIGHTS)))
        error = self.assertRaises(RefusedError, rights.demand, rights.DISPATCHER, "newverb", set(rights.RIGHTS))
        self.assertEqual(error.word, "perm.denied")

    def test_a_refusal_names_the_missing_right(self) -> None:
        error = self.assertRaises(RefusedError, rights.demand, rights.DISPATCHER, "activatehost", {"jobs"})
        self.assertEqual((error.word, error.exit_status), ("perm.denied", 77))
        self.assertIn("'hosts'", error.text)
        self.assertIn("etc/groups", error.text)

    def test_a_refusal_of_somebody_elses_matter_says_so(self) -> None:
        error = self.assertRaises(RefusedError, rights.demand, rights.DISPATCHER, "canceljob", set(), own=False)
        self.assertIn("not your own", error.text)
        error = self.assertRaises(RefusedError, rights.demand, rights.DISPATCHER, "submit", {"jobs"}, own=False)
        self.assertIn("your own", error.text)

    def test_the_web_server_and_infoservers_own_nothing_and_the_web_server_hears_everything(self) -> None:
        for right in (rights.WEB, rights.INFOSERVER):
            for verb, rule in rights.DISPATCHER.items():
                allowed = rights.permitted(rights.DISPATCHER, verb, {right}, own=True)
                self.assertEqual(allowed, rule is rights.EVERYBODY or rule.right == right, verb)
        for topic in rights.TOPICS:
            self.assertTrue(rights.permitted(rights.TOPICS, topic, {rights.WEB}, own=False))

    def test_the_log_topic_needs_its_right(self) -> None:
        self.assertFalse(rights.permitted(rights.TOPICS, "log", set()))
        self.assertTrue(rights.permitted(rights.TOPICS, "log", {"log"}))
        self.assertTrue(rights.permitted(rights.TOPICS, "jobs", set()))
        self.assertFalse(rights.permitted(rights.TOPICS, "jobs", set(), own=False))
        self.assertTrue(rights.permitted(rights.TOPICS, "hosts", set()))


class PeopleTests(SynchronousTestCase):
    def test_a_fingerprint_leads_to_its_user(self) -> None:
        users = Users.of(User("alice", ("a1", "a2")), User("bob", ("b1",)))
        self.assertEqual([users.user_of(f) for f in ("a1", "a2", "b1", "c1")], ["alice", "alice", "bob", None])
        self.assertEqual(users.fingerprints_of("alice"), ("a1", "a2"))
        self.assertEqual(users.fingerprints_of("carol"), ())
        self.assertIn("bob", users)

    def test_rights_add_up_over_groups_and_the_star_is_everybody(self) -> None:
        groups = Groups(
            (
                Group("all", frozenset({"*"}), frozenset({"log"})),
                Group("admins", frozenset({"alice"}), frozenset({"hosts", "jobs"})),
            )
        )
        self.assertEqual(groups.rights_of("alice"), {"log", "hosts", "jobs"})
        self.assertEqual(groups.rights_of("bob"), {"log"})
        self.assertEqual(groups.groups_of("alice"), ("all", "admins"))
        self.assertEqual(Groups().rights_of("alice"), set())

    def test_all_rights_are_those_there_are(self) -> None:
        groups = Groups((Group("admins", frozenset({"alice"}), frozenset({"all"})),))
        self.assertEqual(groups.rights_of("alice"), set(rights.RIGHTS))

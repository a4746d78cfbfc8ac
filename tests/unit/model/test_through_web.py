"""What may be said through the web interface, verb by verb, and what may not."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from tm.errors import RefusedError
from tm.model import rights
from tm.model.rights import MAY, RIGHTS, THROUGH_WEB, demand_through_web, rights_through_web
from tm.wire import verbs

NEVER = {
    # a job must be signed by its user's own server
    *"runjob submit jobtexts".split(),
    # of connections
    *"subscribe unsubscribe".split(),
    # of users' servers and InfoServers
    *"attach hello report told hostnews answered infojoin info infoanswer".split(),
    # of the web server itself; nobody is somebody else within a session
    *"webjoin webredeem webcertificate checksessions as".split(),
    # who has a session gets no other with it
    *"weblogin addtoken".split(),
}


class ThroughWebTests(SynchronousTestCase):
    def test_every_verb_can_be_said_through_the_web_interface_or_deliberately_not(self) -> None:
        for verb in verbs.DISPATCHER:
            self.assertTrue((verb in THROUGH_WEB) != (verb in NEVER), verb)
        self.assertEqual(set(THROUGH_WEB) | NEVER, set(verbs.DISPATCHER))
        self.assertLessEqual(set(THROUGH_WEB.values()), set(MAY))

    def test_a_session_may_what_a_lesser_one_may_and_more(self) -> None:
        for verb, needed in THROUGH_WEB.items():
            for may in MAY:
                if MAY.index(may) >= MAY.index(needed):
                    demand_through_web(verb, may)
                else:
                    error = self.assertRaises(RefusedError, demand_through_web, verb, may)
                    self.assertEqual(error.word, "perm.denied")
                    self.assertIn(f"hRunJob --web {needed}", error.text)

    def test_what_is_not_in_the_table_is_refused_whatever_a_session_may(self) -> None:
        for verb in (*NEVER, "newverb", "lsjobs:", "lsjobs.json", ""):
            error = self.assertRaises(RefusedError, demand_through_web, verb, "submit")
            self.assertEqual(error.word, "perm.denied")

    def test_a_session_that_looks_has_only_rights_to_look(self) -> None:
        everything = {*RIGHTS, "verb:canceljob", "verb:log"}
        look = rights_through_web(everything, "look")
        self.assertIn("jobs", look)
        self.assertIn("verb:log", look)
        self.assertNotIn("verb:canceljob", look)
        for right in ("hosts", "reload", "shutdown", "properties"):
            self.assertNotIn(right, look)
        self.assertEqual(rights_through_web(everything, "act"), everything)
        self.assertEqual(rights_through_web({rights.WEB, rights.INFOSERVER}, "submit"), frozenset())

    def test_what_changes_something_is_no_look(self) -> None:
        """A verb that needs a right to change something is none that a session may say that only looks."""
        look = {verb for verb, needed in THROUGH_WEB.items() if needed == "look"}
        self.assertEqual([verb for verb in look if verb.startswith(("add", "change", "remove", "undo"))], [])
        self.assertEqual({rights.DISPATCHER[verb].right for verb in look}, {"", "jobs", "users", "audit", "log"})

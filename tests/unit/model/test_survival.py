"""How daemons outlive a logout: what is best where, and what it is called."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from tm.model.survival import Surroundings, own_cgroup, wants_scope, words

SESSION = "/user.slice/user-1000.slice/session-4.scope"
SCOPE = "/user.slice/user-1000.slice/user@1000.service/app.slice/run-r8.scope"
UNIT = "/user.slice/user-1000.slice/user@1000.service/app.slice/taskmanager-tms-physics.service"
SYSTEM = "/system.slice/cron.service"


class SurvivalTests(SynchronousTestCase):
    def test_what_is_in_force_is_said_as_it_is(self) -> None:
        for cgroup, lingering, kills, said in (
            (SCOPE, True, None, "user scope, lingering"),
            (SCOPE, False, None, "user scope, ends at logout"),
            (UNIT, True, None, "user unit, lingering"),
            (SESSION, False, True, "own session, ends at logout"),
            (SESSION, False, False, "own session"),
            (SESSION, False, None, "own session"),
            (SYSTEM, False, True, "own session"),
            ("", False, None, "own session"),
            (SCOPE.replace("1000", "1001"), True, None, "own session"),
        ):
            self.assertEqual(words(Surroundings(cgroup, 1000, True, lingering, kills)), said)

    def test_a_scope_is_entered_only_where_that_is_better(self) -> None:
        for cgroup, answers, lingering, kills, wanted in (
            (SESSION, True, True, None, True),
            (SESSION, True, False, True, True),
            (SESSION, True, False, False, False),
            (SESSION, False, True, True, False),
            (SCOPE, True, True, None, False),
            (UNIT, True, True, None, True),
            (SYSTEM, True, True, True, False),
            ("", True, True, True, False),
        ):
            here = Surroundings(cgroup, 1000, answers, lingering, kills)
            self.assertEqual(wants_scope(here), wanted, here)

    def test_the_group_that_systemd_knows_is_read_from_either_kind_of_table(self) -> None:
        self.assertEqual(own_cgroup(f"0::{SCOPE}\n"), SCOPE)
        self.assertEqual(own_cgroup(f"5:memory:/x\n1:name=systemd:{SESSION}\n0::/other\n"), SESSION)
        self.assertEqual(own_cgroup(f"0::/other\n1:name=systemd:{SESSION}\n"), SESSION)
        self.assertEqual(own_cgroup("nonsense\n\n"), "")

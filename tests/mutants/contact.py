"""Broken builds in which what happens out of contact is lost, doubled, or never told."""

from __future__ import annotations

from tests.mutants import Edit, Mutant

_DISPATCHER = "tests.unit.daemon.test_dispatcher."
_HOST = "tests.unit.daemon.test_host_server."
_BRAIN = "tests.unit.model.test_brain."
_CRASH = "tests.endtoend.test_crash_matrix."

MUTANTS = (
    Mutant(
        "delete-on-send", "contact", "a host forgets an ending when it has sent it, not when it is acknowledged",
        "P7",
        (Edit("tm/daemon/host_server.py", "        self._reported = facts\n        failpoint",
              "        self._reported = facts\n        self._forget(self.book.done(0, facts))\n        failpoint"),),
        (_HOST + "ReportingTests.test_what_was_not_acknowledged_is_told_again_on_the_next_link",
         _CRASH + "CrashMatrixTests.test_whoever_dies_at_tmms_reported_loses_and_doubles_nothing"),
    ),
    Mutant(
        "acknowledged-before-commit", "contact", "the dispatcher acknowledges reports before they are committed",
        "P4",
        (Edit("tm/daemon/server_verbs.py", "        return dispatcher.turns.durable(Reply(urgent=False))",
              "        dispatcher.turns.happened()\n        return Reply(urgent=False)"),),
        (_DISPATCHER + "ServerTests.test_a_report_is_acknowledged_after_its_commit",),
    ),
    Mutant(
        "untold-after-contact", "contact", "after a cut only new endings are told", "P7",
        (Edit("tm/daemon/host_server.py", "self._untold = self.book.untold()", "self._untold = list(self._untold)"),),
        (_HOST + "ReportingTests.test_what_was_not_acknowledged_is_told_again_on_the_next_link",),
    ),
    Mutant(
        "nobody-revived", "contact", "a host with endings to tell waits for its user's next visit", "P7",
        (Edit("tm/daemon/host_server.py", "                self.around.revive()\n", ""),),
        (_HOST + "ClaimingTests.test_who_has_endings_to_tell_has_the_users_server_started",),
    ),
    Mutant(
        "lost-when-unreachable", "contact", "jobs on a host that is not reached are said to be lost", "P6",
        (Edit("tm/model/servers.py", "        session.retry_at = 0.0\n        self.scheduler.server_changed(host)\n"
              "        self._notice_link(session, at)\n",
              "        session.retry_at = 0.0\n        self.scheduler.server_changed(host)\n"
              "        self._notice_link(session, at)\n        for job in session.jobs:\n"
              "            self._apply(job, Fact(job.id, job.attempt, \"lost\", at))\n"),),
        (_DISPATCHER + "ServerTests.test_a_server_that_is_gone_makes_its_hosts_unreachable",),
    ),
    Mutant(
        "killed-when-unreachable", "contact", "a host that has lost its user's server ends its jobs", "P6",
        (Edit("tm/daemon/host_server.py", "        self._link = None\n        self._joined = False\n\n",
              "        self._link = None\n        self._joined = False\n        for key in self.book.claims:\n"
              "            self.keeping.cancel(key, 0.0)\n\n"),),
        (_HOST + "ClaimingTests.test_a_link_that_breaks_ends_no_job",),
    ),
    Mutant(
        "orders-not-repeated", "contact", "orders that a host has not heard are not said again", "P6",
        (Edit("tm/model/servers.py", "                orders.start.append(start_of(job))\n", ""),),
        (_BRAIN + "HelloTests.test_what_was_ordered_and_not_seen_there_is_ordered_again_under_its_number",),
    ),
    Mutant(
        "strange-runs-on", "contact", "what a host runs and nobody here knows of runs on", "P3",
        (Edit("tm/model/servers.py",
              "(orders.forget if state == \"final\" else orders.cancel).append((number, attempt))",
              "orders.forget.append((number, attempt))"),),
        ("tests.unit.model.test_hosting.LostTests."
         "test_what_is_found_running_there_later_is_ended_and_what_never_came_there_is_passed_over",),
    ),
    Mutant(
        "gap-after-declared", "contact", "commands given up leave a gap for which a host waits for ever", "P6",
        (Edit("tm/model/servers.py", "        orders.start += map(void_start, void)\n", ""),),
        ("tests.unit.model.test_hosting.LostTests."
         "test_what_is_found_running_there_later_is_ended_and_what_never_came_there_is_passed_over",),
    ),
    Mutant(
        "rejoin-not-asked", "contact", "after a restart of the dispatcher hosts do not say what they have", "P7",
        (Edit("tm/daemon/user_server.py",
              "        for host in self.hosts.values():\n            if host.peer is not None:\n"
              "                host.peer.send_event(b'{\"topic\":\"rejoin\"}')\n", ""),),
        ("tests.unit.daemon.test_user_server.HostsTests.test_a_new_dispatcher_link_makes_every_host_say_hello_again",),
    ),
    Mutant(
        "cancel-not-repeated", "contact", "a host that was away never hears that a job is to be cancelled", "P9",
        (Edit("tm/model/servers.py", "            orders.cancel.append(key)\n", "            pass\n"),),
        (_BRAIN + "CancellingTests.test_a_wish_is_repeated_to_a_host_that_was_away",),
    ),
)  # fmt: skip

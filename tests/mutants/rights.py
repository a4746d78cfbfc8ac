"""Broken builds that let people do what they have no right to: one for each right, and one for each place that asks.

Every right of ``docs/security.md`` is opened to everybody once, in the one place where rights are compared.
"""

from __future__ import annotations

from tests.mutants import Edit, Mutant
from tm.model.rights import INFOSERVER, RIGHTS, WEB

_RULES = "tests.unit.model.test_rights.RightsTests.test_the_dispatchers_table_says_what_is_written_here"
_WALK = "tests.unit.daemon.test_permissions.WalkTests.test_every_verb_for_every_set_of_groups_own_or_not"
_WEB = "tests.unit.daemon.test_web_verbs."
_PEOPLE = "tests.unit.daemon.test_people_verbs."
_HOSTS = "tests.unit.daemon.test_host_orders."
_THROUGH = "tests.unit.model.test_through_web.ThroughWebTests."
_RULE = "tm/model/rights.py"


def _opened(right: str) -> Mutant:
    return Mutant(
        f"right-{right}", "rights", f"what needs the right '{right}' is open to everybody", "right",
        (Edit(_RULE, "(bool(self.right) and self.right in rights)",
              f"(bool(self.right) and (self.right in rights or self.right == \"{right}\"))"),),
        (_RULES, _WALK),
    )  # fmt: skip


OPENED = tuple(_opened(right) for right in (*RIGHTS, INFOSERVER, WEB))
"""One for each right of the table."""

RULES = (
    Mutant(
        "right-own", "rights", "what is somebody's own is everybody's", "right",
        (Edit(_RULE, "return (self.own and own and person) or", "return (self.own and person) or"),),
        (_RULES, _WALK),
    ),
    Mutant(
        "no-rule-no-refusal", "rights", "a verb without a rule is open to everybody", "right",
        (Edit(_RULE, "    rule = table.get(word)\n    if rule is None:\n        return False\n",
              "    rule = table.get(word)\n    if rule is None:\n        return True\n"),),
        ("tests.unit.model.test_rights.RightsTests.test_what_has_no_rule_is_refused_to_everybody",),
    ),
    Mutant(
        "daemons-own-things", "rights", "an InfoServer or the web server owns what it asks for, as people do",
        "right",
        (Edit(_RULE, "person = INFOSERVER not in rights and WEB not in rights", "person = True"),),
        ("tests.unit.model.test_rights.RightsTests."
         "test_the_web_server_and_infoservers_own_nothing_and_the_web_server_hears_everything",),
    ),
    Mutant(
        "one-verb-is-all", "rights", "who is given one verb is given all", "right",
        (Edit(_RULE, "(VERB + word in rights and table", "(any(one.startswith(VERB) for one in rights) and table"),),
        ("tests.unit.model.test_rights.RightsTests.test_one_verb_alone_can_be_given", _WALK),
    ),
    Mutant(
        "may-look-is-all", "rights", "a session of the web that may look may do all", "right",
        (Edit(_RULE, "return MAY.index(needed) <= MAY.index(may)", "return MAY.index(needed) >= 0"),),
        (_THROUGH + "test_a_session_may_what_a_lesser_one_may_and_more",
         _WEB + "SessionTests.test_a_session_that_looks_cannot_act"),
    ),
    Mutant(
        "all-through-web", "rights", "what is not meant for the web interface can be said through it", "right",
        (Edit(_RULE, "    needed = THROUGH_WEB.get(verb)\n", "    needed = THROUGH_WEB.get(verb, \"look\")\n"),),
        (_THROUGH + "test_what_is_not_in_the_table_is_refused_whatever_a_session_may",),
    ),
)  # fmt: skip

ASKED = (
    Mutant(
        "verbs-unasked", "rights", "the dispatcher does not ask for rights before verbs", "right",
        (Edit("tm/daemon/dispatcher_verbs.py",
              "            demand(RULES, verb.name, self._dispatcher.rights_of(peer.user))\n",
              "            demand(RULES, \"help\", self._dispatcher.rights_of(peer.user))\n"),),
        (_WALK, "tests.unit.daemon.test_dispatcher.RightsTests.test_what_needs_a_right_is_refused_without_it"),
    ),
    Mutant(
        "topics-unasked", "rights", "anybody may subscribe to the log", "right",
        (Edit("tm/daemon/dispatcher_verbs.py", "            demand(TOPICS, topic, rights)\n", ""),),
        ("tests.unit.daemon.test_dispatcher.RightsTests.test_what_needs_a_right_is_refused_without_it",),
    ),
    Mutant(
        "events-unasked", "rights", "who has lost the right to read the log hears it on", "right",
        (Edit("tm/daemon/dispatcher.py", "if permitted(TOPICS, notice.topic, self.rights_of(peer.user), own=own):",
              "if own or permitted(TOPICS, notice.topic, self.rights_of(peer.user), own=own):"),),
        ("tests.unit.daemon.test_dispatcher.RightsTests.test_who_may_read_the_log_no_more_hears_it_no_more",),
    ),
    Mutant(
        "events-of-others", "rights", "who watches jobs hears of everybody's", "right",
        (Edit("tm/daemon/dispatcher.py", "own = notice.user is None or notice.user == peer.user", "own = True"),),
        ("tests.unit.daemon.test_dispatcher.ServerTests.test_events_reach_those_they_concern",),
    ),
    Mutant(
        "lists-of-others", "rights", "anybody may list the jobs of others", "right",
        (Edit("tm/daemon/listing.py", "    demand(DISPATCHER, verb, rights, own=owner == user)\n", ""),),
        (_WALK,),
    ),
    Mutant(
        "orders-for-others", "rights", "anybody may order the jobs of others", "right",
        (Edit("tm/daemon/job_verbs.py", "lambda owner: others or owner == peer.user", "lambda owner: bool(owner)"),),
        (_WALK,),
    ),
    Mutant(
        "operators-hold-ignored", "rights", "what an operator holds its owner may release", "right",
        (Edit("tm/daemon/job_verbs.py", "By(peer.user, permitted(RULES, verb, rights, own=False), reason)",
              "By(peer.user, True, reason)"),),
        ("tests.unit.daemon.test_job_verbs.HoldTests.test_what_an_operator_holds_its_owner_cannot_release",),
    ),
    Mutant(
        "jobs-of-others-shown", "rights", "anybody may look at a job of another", "right",
        (Edit("tm/daemon/job_lists.py", "return permitted(RULES, \"jobinfo\", self._dispatcher.rights_of(peer.user),"
              " own=job.user == peer.user)", "return permitted(RULES, \"jobinfo\", frozenset(), own=True)"),),
        (_WALK, "tests.unit.daemon.test_dispatcher.RightsTests.test_what_is_anothers_is_not_even_there"),
    ),
    Mutant(
        "texts-of-others", "rights", "anybody may have the signed text of another's job", "right",
        (Edit("tm/daemon/job_texts.py", "if selection.owner not in (None, peer.user):", "if selection is None:"),
         Edit("tm/daemon/job_texts.py", "Texts(dispatcher.around.store, selection, peer.user, active, failed, again)",
              "Texts(dispatcher.around.store, selection, next((job.user for job in active.values()),"
              " peer.user), active,"
              " failed, again)")),
        (_WALK, "tests.unit.daemon.test_rerun.TextTests.test_what_is_anothers_or_not_there_is_unknown"),
    ),
    Mutant(
        "why-of-others", "rights", "anybody may ask why a job of another waits", "right",
        (Edit("tm/daemon/why_verbs.py", "permitted(RULES, \"whyjob\", rights, own=job.user == peer.user)",
              "permitted(RULES, \"whyjob\", rights, own=True)"),),
        (_WALK,),
    ),
    Mutant(
        "joblogs-of-others", "rights", "anybody may have the joblog of another's array", "right",
        (Edit("tm/daemon/usage_verbs.py", "own = array is not None and array.user == peer.user",
              "own = array is not None"),),
        (_WALK,),
    ),
    Mutant(
        "hosts-of-others", "rights", "anybody may leave and return a host that is not theirs", "right",
        (Edit("tm/daemon/host_orders.py", "own=not mine.isdisjoint(config.owners))", "own=bool(mine or config))"),),
        (_HOSTS + "PeopleOfTheHostTests.test_others_need_the_right", _WALK),
    ),
    Mutant(
        "hosts-closed-to-nobody", "rights", "jobs go to hosts that their user may not use", "right",
        (Edit("tm/model/books.py", "return \"*\" in users or user in users or any(", "return bool(user) or any("),),
        ("tests.unit.model.test_hosting.PeopleTests.test_jobs_go_only_to_hosts_that_their_user_may_use",),
    ),
    Mutant(
        "gives-what-they-lack", "rights", "who may change groups gives rights that they do not have", "right",
        (Edit("tm/daemon/people_desk.py", "        check_granted(by, dispatcher.rights_of(by), old, new)\n", ""),),
        (_PEOPLE + "GroupTests.test_nobody_gives_what_they_lack",),
    ),
    Mutant(
        "nobody-remains", "rights", "the last who may change people can be taken out", "right",
        (Edit("tm/daemon/people_desk.py", "        check_remains(old, new, dispatcher.now)\n", ""),),
        (_PEOPLE + "GroupTests.test_the_last_who_may_change_people_stays",),
    ),
    Mutant(
        "undo-without-right", "rights", "who may undo takes back what they may not do", "right",
        (Edit("tm/daemon/audit_verbs.py", "            demand(RULES, change.verb, rights)\n", ""),
         Edit("tm/daemon/audit_verbs.py", "                demand(RULES, _inverse(change, undoer.verb), rights)\n",
              "                pass\n")),
        (_PEOPLE + "UndoTests.test_without_the_right_for_users_nothing_of_them_is_undone",
         _HOSTS + "UndoTests.test_it_needs_the_right_of_what_is_undone_too"),
    ),
    Mutant(
        "undo-inverse-unasked", "rights", "who may add undoes, and so removes, without the verb for that", "right",
        (Edit("tm/daemon/audit_verbs.py", "                demand(RULES, _inverse(change, undoer.verb), rights)\n",
              "                pass\n"),),
        (_PEOPLE + "UndoTests.test_what_removes_or_adds_by_undoing_needs_the_verb_for_that",),
    ),
    Mutant(
        "sessions-of-others", "rights", "anybody may end the session of another", "right",
        (Edit("tm/daemon/web_verbs.py", "own = one is not None and one.user == peer.user", "own = one is not None"),),
        (_WALK, _WEB + "EndingTests.test_nobody_ends_the_session_of_another_without_the_right"),
    ),
    Mutant(
        "sessions-listed-to-all", "rights", "anybody may list the sessions of all", "right",
        (Edit("tm/daemon/web_verbs.py", "self._desk.sessions.open(None if everybody else peer.user,",
              "self._desk.sessions.open(None,"),),
        (_WEB + "EndingTests.test_sessions_are_listed_without_what_opens_them",),
    ),
    Mutant(
        "session-does-more", "rights", "a session of the web that may look may act", "right",
        (Edit("tm/daemon/web_verbs.py", "        demand_through_web(given.verb, session.may)\n", ""),),
        (_WEB + "SessionTests.test_a_session_that_looks_cannot_act",),
    ),
    Mutant(
        "session-ends-others", "rights", "a session of the web that may look ends others of its user", "right",
        (Edit("tm/daemon/web_verbs.py", "    if not enough(peer.session.may, needed):", "    if not needed:"),),
        (_WEB + "EndingTests.test_a_session_that_looks_ends_itself_and_no_other",),
    ),
    Mutant(
        "infoserver-speaks-for-others", "rights", "an InfoServer speaks for another host", "right",
        (Edit("tm/daemon/info_desk.py", "        if report.host != link.name:", "        if not report.host:"),),
        ("tests.unit.daemon.test_info_links.TrustTests.test_another_host_is_not_its_to_speak_for",),
    ),
    Mutant(
        "infoserver-believed", "rights", "what an InfoServer says is believed though it cannot be true", "right",
        (Edit("tm/daemon/info_desk.py", "        faults = report_faults(report, link.about, self._dispatcher.now)\n",
              "        faults: list[str] = []\n"),),
        ("tests.unit.daemon.test_info_links.TrustTests.test_what_cannot_be_true_makes_it_bad_until_something_can",),
    ),
    Mutant(
        "limits-ignored", "rights", "more jobs of a group run than it may have", "bound",
        (Edit("tm/model/books.py", "self.scheduler.permit = self.limits if self._limited else None",
              "self.scheduler.permit = None"),),
        ("tests.unit.model.test_hosting.PeopleTests.test_no_more_runs_or_waits_than_groups_permit",),
    ),
)  # fmt: skip

MUTANTS = (*OPENED, *RULES, *ASKED)

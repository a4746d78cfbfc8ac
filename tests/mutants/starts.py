"""Broken builds that start what has been started, or lose what has not."""

from __future__ import annotations

from tests.mutants import Edit, Mutant

_DISPATCHER = "tests.unit.daemon.test_dispatcher."
_HOST = "tests.unit.daemon.test_host_server."
_BOOK = "tests.unit.daemon.test_host_book."
_BRAIN = "tests.unit.model.test_brain."
_KEEPING = "tests.unit.daemon.test_keeping."
_LIFE = "tests.unit.model.test_lifecycle."
_STORES = "tests.contract.test_stores."
_KEEPER = "tests.endtoend.keeper."

MUTANTS = (
    Mutant(
        "no-claim", "starts", "a host's server acts on orders before they are on its disk", "P3",
        (Edit("tm/daemon/host_server.py", "        brief = not environments and",
              "        self._claimed(todo)\n        brief = not environments and"),
         Edit("tm/daemon/host_server.py", "        self._writing = False\n        self._claimed(todo)\n",
              "        self._writing = False\n")),
        (_HOST + "ClaimingTests.test_nothing_is_given_to_a_keeper_before_its_order_is_on_the_disk",
         _HOST + "ClaimingTests.test_what_could_not_be_claimed_is_not_begun_and_may_be_ordered_again"),
    ),
    Mutant(
        "no-intent", "starts", "the keeper starts jobs without having written that it will", "P3",
        (Edit("tm/keeper/attempts.py", "if not self._log.append(journal.intent(key)):", "if self._log is None:"),),
        (_KEEPER + "test_death.DeathTests.test_killed_after_the_intent_there_is_no_child",
         _KEEPER + "test_death.DeathTests.test_killed_before_the_start_is_noted_the_child_tells_whose_it_is"),
    ),
    Mutant(
        "no-deduplication", "starts", "a submit token that comes again gives new jobs", "P2",
        (Edit("tm/daemon/dispatcher.py",
              "return self._tokens.get((user, token)) or self.around.store.submission(user,"
              " token)", "return None"),),
        (_DISPATCHER + "AcceptingTests.test_the_same_token_gives_the_same_ids_before_during_and_after_the_commit",),
    ),
    Mutant(
        "tokens-forgotten-at-restart", "starts", "submit tokens are known only until the dispatcher restarts", "P2",
        (Edit("tm/daemon/dispatcher.py", " or self.around.store.submission(user, token)", ""),),
        (_DISPATCHER + "AcceptingTests.test_the_same_token_gives_the_same_ids_before_during_and_after_the_commit",),
    ),
    Mutant(
        "tokens-of-anybody", "starts", "a submit token is the same for all users", "P2",
        (Edit("tm/store/sqlite.py", "WHERE user = ? AND token = ?\", user, token)",
              "WHERE ? <> '' AND token = ?\", user, token)"),),
        (_STORES + "SqliteStoreTests.test_a_token_is_known_for_ever_and_to_its_user_alone",),
    ),
    Mutant(
        "token-anew", "starts", "a client that tries again does so with another token", "P2",
        (Edit("tm/client/submit.py", "            for line in self._pending:\n",
              "            for line in self._pending:\n"
              "                line.data = line.data.replace(b'\"token\":\"', b'\"token\":\"x', 1)\n"),),
        ("tests.unit.client.test_submit.SubmissionTests"
         ".test_a_line_whose_answer_was_lost_is_sent_again_with_its_token",),
    ),
    Mutant(
        "web-token-anew", "starts", "a form that is sent twice is two submissions", "P2",
        (Edit("tm/web/pages/submit.py", "entry.wish(asked.field(\"token\"))", "entry.wish(os.urandom(12).hex())"),),
        ("tests.unit.web.test_submit.TheForm.test_submits_once_with_the_word_of_the_form",),
    ),
    Mutant(
        "gives-twice", "starts", "a host's server gives a claim to its keeper as often as it is asked to", "P3",
        (Edit("tm/daemon/keeping.py", "            if self._is_free(claim) and claim.key in self._book.claims:",
              "            if claim.key in self._book.claims:"),),
        (_KEEPING + "FindTests.test_what_is_given_again_is_given_once",),
    ),
    Mutant(
        "keeper-starts-twice", "starts", "the keeper starts an attempt as often as it is ordered", "P3",
        (Edit("tm/keeper/attempts.py", "        if self.book.knows(key):\n            return\n", ""),),
        (_KEEPER + "test_jobs.EndingTests.test_an_attempt_is_run_once_however_often_it_is_ordered",),
    ),
    Mutant(
        "no-mark", "starts", "a host's server takes repeated commands for new ones", "P3",
        (Edit("tm/daemon/host_book.py", "fresh = [order for order in line.orders if order.c > self.about.mark]\n"
              "        if fresh and", "fresh = list(line.orders)\n        if False and"),),
        (_BOOK + "AdmittingTests.test_new_commands_are_admitted_once_and_in_order",),
    ),
    Mutant(
        "mark-lost-at-restart", "starts", "the mark does not outlive the attempts in the journal", "P3",
        (Edit("tm/daemon/host_book.py", "if kind == b\"c\" or order.c > self.about.mark:", "if order:"),),
        (_BOOK + "JournalTests.test_an_order_that_is_done_with_is_not_claimed_again_by_a_line_that_repeats_it",),
    ),
    Mutant(
        "gap-accepted", "starts", "a host's server takes commands of which some are missing before", "P3",
        (Edit("tm/daemon/host_book.py", "if fresh and [order.c", "if not fresh and [order.c"),),
        (_BOOK + "AdmittingTests.test_a_gap_is_refused_whole",),
    ),
    Mutant(
        "epoch-ignored", "starts", "a host takes orders of a dispatcher older than one it has seen", "P3",
        (Edit("tm/daemon/host_book.py", "if line.epoch < self.about.epoch:", "if line.epoch < 0:"),),
        (_BOOK + "AdmittingTests.test_an_older_dispatcher_is_refused",),
    ),
    Mutant(
        "old-copy-unseen", "starts", "the dispatcher does not see that a host knows a later epoch than its store",
        "P3",
        (Edit("tm/model/servers.py", "if hello.epoch > self.epoch:", "if hello.epoch < 0:"),),
        (_BRAIN + "HelloTests.test_a_later_history_than_ours_changes_nothing_but_the_link",),
    ),
    Mutant(
        "old-reports-unseen", "starts", "the dispatcher does not see that a host has told more than its store has",
        "P3",
        (Edit("tm/model/servers.py", "if hello.acked > spool.reports:", "if hello.acked < 0:"),),
        (_BRAIN + "HelloTests.test_a_later_history_than_ours_changes_nothing_but_the_link",),
    ),
    Mutant(
        "hello-too-early", "starts", "a host says what it holds while claims are on their way to its disk", "P4",
        (Edit("tm/daemon/host_server.py", "while self._writing:", "while self._writing and self._joined:"),),
        (_HOST + "ClaimingTests.test_it_says_what_it_holds_once_the_claims_that_are_on_their_way_are_on_the_disk",),
    ),
    Mutant(
        "leaving-takes-orders", "starts", "a host's server that leaves takes orders nobody will start", "P1",
        (Edit("tm/daemon/host_server.py", "if topic == \"orders\" and self._leaving:", "if not topic:"),),
        (_HOST + "ClaimingTests.test_orders_that_come_while_it_leaves_are_for_the_next_server_here",),
    ),
    Mutant(
        "old-commands-unseen", "starts", "the dispatcher does not see that a host has more commands than its store",
        "P3",
        (Edit("tm/model/servers.py", "if hello.mark > spool.commands:", "if hello.mark < 0:"),),
        (_BRAIN + "HelloTests.test_a_later_history_than_ours_changes_nothing_but_the_link",),
    ),
    Mutant(
        "epoch-does-not-grow", "starts", "a start of the dispatcher is no new epoch", "P3",
        (Edit("tm/store/sqlite.py", "fetchone()[0]) + 1", "fetchone()[0]) or 1"),),
        (_STORES + "SqliteStoreTests.test_every_start_is_a_new_epoch",),
    ),
    Mutant(
        "another-spool-accepted", "starts", "a host takes orders that were meant for an earlier spool of it", "P3",
        (Edit("tm/daemon/host_book.py", "if line.spool and line.spool != self.about.spool:", "if not line.epoch:"),),
        (_BOOK + "AdmittingTests.test_orders_for_another_spool_are_refused",),
    ),
    Mutant(
        "lost-is-run-again", "starts", "a job of which its host has no record is placed again", "P3",
        (Edit("tm/model/servers.py", "return Fact(job.id, job.attempt, \"lost\", at, reason=f\"{hello.host} has no",
              "return Fact(job.id, job.attempt, \"returned\", at, reason=f\"{hello.host} has no"),),
        (_BRAIN + "HelloTests.test_what_was_seen_there_and_is_not_held_is_lost",),
    ),
    Mutant(
        "intent-is-run-again", "starts", "what a dead keeper may have started is started again", "P3",
        (Edit("tm/daemon/keeping.py", "            elif known is not None:\n                again.append(claim)",
              "            elif claim is not None:\n                again.append(claim)"),),
        (_KEEPING + "FindTests.test_an_intent_of_a_keeper_that_was_not_ours_is_lost_and_not_started_again",),
    ),
    Mutant(
        "always-retried", "starts", "a job that failed is started again though nobody asked for retries", "P3",
        (Edit("tm/model/lifecycle.py", "    if not retry.is_wanted(job, fact, ended, spec):\n        return False\n",
              ""),),
        (_LIFE + "TableTests.test_every_move_in_the_table_leads_where_it_says",
         "tests.unit.model.test_brain.HelloTests.test_what_was_seen_there_and_is_not_held_is_lost"),
    ),
)  # fmt: skip

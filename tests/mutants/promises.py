"""Broken builds that break what is promised of jobs: durable, once, truly ended, found again."""

from __future__ import annotations

from tests.mutants import Edit, Mutant

_TURNS = "tests.unit.daemon.test_turns.TurnsTests."
_DISPATCHER = "tests.unit.daemon.test_dispatcher."
_HOST = "tests.unit.daemon.test_host_server."
_BOOK = "tests.unit.daemon.test_host_book."
_BRAIN = "tests.unit.model.test_brain."
_KEEPING = "tests.unit.daemon.test_keeping."
_LIFE = "tests.unit.model.test_lifecycle."
_STORES = "tests.contract.test_stores."
_KEEPER = "tests.endtoend.keeper."
_CRASH = "tests.endtoend.test_crash_matrix."
_SYNCS = "tests.contract.test_power_loss.PowerLossTests."

DURABLE = (
    Mutant(
        "acknowledge-before-commit", "durability", "the dispatcher says accepted before the commit", "P1",
        (Edit("tm/daemon/turns.py", "        self._committing = True\n        batch",
              "        for answer, value in answers:\n            answer.callback(value)\n        answers = []\n"
              "        self._committing = True\n        batch"),),
        (_TURNS + "test_an_answer_comes_after_its_commit",
         _DISPATCHER + "AcceptingTests.test_accepted_is_said_after_the_commit",
         _CRASH + "CrashMatrixTests.test_whoever_dies_at_dispatcher_commit_loses_and_doubles_nothing"),
    ),
    Mutant(
        "orders-before-commit", "durability", "the dispatcher sends orders before the commit", "P3",
        (Edit("tm/daemon/turns.py", "        self._committing = True\n        batch",
              "        self._tell(effects)\n        self._committing = True\n        batch"),),
        (_TURNS + "test_orders_are_told_after_the_commit_that_records_them",),
    ),
    Mutant(
        "no-fsync-store", "durability", "the store writes without fsync (synchronous = OFF)", "P1",
        (Edit("tm/store/schema.py", "synchronous = FULL", "synchronous = OFF"),),
        (_SYNCS + "test_what_the_store_has_committed_is_on_the_disk",),
    ),
    Mutant(
        "fsync-at-checkpoint-only", "durability", "the store syncs at checkpoints only (synchronous = NORMAL)", "P1",
        (Edit("tm/store/schema.py", "synchronous = FULL", "synchronous = NORMAL"),),
        (_SYNCS + "test_what_the_store_has_committed_is_on_the_disk",),
    ),
    Mutant(
        "no-fsync-spool", "durability", "a host's server claims orders without fdatasync", "P3",
        (Edit("tm/edge/spool.py", "os.fdatasync(self._file.fileno())", "self._file.flush()"),),
        (_SYNCS + "test_what_a_host_has_claimed_is_on_the_disk",
         "tests.unit.edge.test_spool.JournalTests.test_a_disk_that_fails_to_sync_keeps_nothing_of_the_line"),
    ),
    Mutant(
        "no-fsync-environments", "durability", "environments are written without fsync", "P1",
        (Edit("tm/edge/spool.py", "        file.flush()\n        os.fsync(file.fileno())", "        file.flush()"),),
        (_SYNCS + "test_an_environment_that_is_kept_is_on_the_disk",),
    ),
    Mutant(
        "claims-not-durable", "durability", "a host's server does not ask for the disk when it claims", "P3",
        (Edit("tm/daemon/host_server.py", "append(journal, durable=True)", "append(journal, durable=False)"),),
        (_HOST + "ClaimingTests.test_claims_and_the_endings_that_no_keeper_keeps_are_asked_to_be_on_the_disk",),
    ),
    Mutant(
        "no-fsync-keeper", "durability", "the keeper records endings without fdatasync", "P1",
        (Edit("tm/keeper/journal.py", "os.fdatasync(self._file)", "os.fstat(self._file)"),),
        (_SYNCS + "test_an_ending_that_a_keeper_has_recorded_is_on_the_disk",),
    ),
    Mutant(
        "endings-not-secured", "durability", "the keeper tells endings that are only written, not on the disk", "P1",
        (Edit("tm/keeper/attempts.py", "self._log.secure(b\"\".join(map(journal.final, facts)))",
              "self._log.append(b\"\".join(map(journal.final, facts)))"),),
        (_SYNCS + "test_an_ending_is_told_once_it_is_on_the_disk",),
    ),
    Mutant(
        "rewrite-in-place", "durability", "the journal of claims is rewritten where it is, not beside it first", "P3",
        (Edit("tm/edge/spool.py", "    new = path + \".new\"\n    with open(new, \"wb\")",
              "    new = path\n    with open(new, \"wb\")"),),
        ("tests.unit.edge.test_spool.JournalTests.test_a_journal_that_cannot_be_rewritten_is_the_old_one",),
    ),
    Mutant(
        "compaction-forgets-running", "durability", "a keeper's journal forgets what runs when it is replaced", "P4",
        (Edit("tm/keeper/attempts.py", "        yield from map(journal.start, self.book.running.values())\n", ""),),
        (_KEEPER + "test_life.ConnectionTests."
         "test_a_journal_that_has_grown_is_replaced_by_one_that_knows_what_runs_and_what_is_untold",),
    ),
    Mutant(
        "compaction-forgets-endings", "durability", "a keeper's journal forgets endings when it is replaced", "P4",
        (Edit("tm/keeper/attempts.py", "        yield from map(journal.final, self.book.ended.values())\n", ""),),
        (_KEEPER + "test_life.ConnectionTests."
         "test_a_journal_that_has_grown_is_replaced_by_one_that_knows_what_runs_and_what_is_untold",),
    ),
    Mutant(
        "snapshot-forgets-facts", "durability", "the journal of a host's server forgets endings when it is rewritten",
        "P4",
        (Edit("tm/daemon/host_book.py", "if claim.fact is not None and claim.keeper is None:",
              "if claim.fact is not None and claim.keeper:"),),
        (_BOOK + "JournalTests.test_the_next_server_reads_what_this_one_knew",),
    ),
    Mutant(
        "archive-not-synced", "durability", "jobs leave the store before the archive has them for sure", "P1",
        (Edit("tm/store/archive.py", "month.synchronous = EXTRA", "month.synchronous = FULL"),),
        (_SYNCS + "test_what_goes_to_the_archive_is_always_in_the_store_or_there",),
    ),
    Mutant(
        "archive-in-one-go", "durability", "jobs are moved to the archive in one transaction over two files", "P1",
        (Edit("tm/store/archive.py",
              "                writer.execute(\"COMMIT\")\n                writer.execute(\"BEGIN IMMEDIATE\")\n",
              ""),),
        (_SYNCS + "test_what_goes_to_the_archive_is_always_in_the_store_or_there",),
    ),
    Mutant(
        "missing-store-is-empty", "durability", "a store that is missing is made anew", "P1",
        (Edit("tm/store/sqlite.py", "    if not os.path.exists(path):\n        raise schema.missing(path)",
              "    if not os.path.exists(path):\n        schema.create(path)"),),
        (_STORES + "SqliteStoreTests.test_a_missing_store_is_not_an_empty_one",),
    ),
    Mutant(
        "two-on-one-store", "durability", "two dispatchers may open one store", "P3",
        (Edit("tm/store/sqlite.py", "fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)", "file.fileno()"),),
        (_STORES + "SqliteStoreTests.test_a_second_dispatcher_is_refused_and_the_first_goes_on",),
    ),
    Mutant(
        "store-full-is-accepted", "durability", "a commit that failed is told as if it had not", "P1",
        (Edit("tm/daemon/turns.py", "lambda failure: self._broken(failure, answers)",
              "lambda failure: self._committed(effects, answers)"),),
        (_TURNS + "test_a_failed_commit_fails_its_answers_and_all_later_ones_and_tells_nothing",
         _DISPATCHER + "StoreFailureTests.test_what_could_not_be_kept_is_refused_and_servers_are_cut"),
    ),
)  # fmt: skip

ONCE = (
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

ENDINGS = (
    Mutant(
        "plain-waitpid", "endings", "the keeper reaps a process before its ending is on the disk", "P4",
        (Edit("tm/keeper/attempts.py", "_PEEK = os.WEXITED | os.WNOWAIT | os.WNOHANG",
              "_PEEK = os.WEXITED | os.WNOHANG"),
         Edit("tm/keeper/attempts.py", "used = os.wait4(pid, 0)[2]",
              "used = resource.getrusage(resource.RUSAGE_CHILDREN)"),
         Edit("tm/keeper/attempts.py", "import os\nimport time\n", "import os\nimport resource\nimport time\n")),
        (_KEEPER + "test_death.DeathTests.test_killed_before_the_ending_is_written_the_zombie_is_there",),
    ),
    Mutant(
        "plain-waitpid-orphans", "endings", "the keeper waits for any child, and takes codes of jobs for orphans'",
        "P4",
        (Edit("tm/keeper/orphans.py", "[pid for pid in listed if pid not in self._stem.mains and pid not in"
              " self._sessions]", "list(listed)"),),
        (_KEEPER + "test_jobs.EndingTests.test_exit_codes_are_told_as_they_are",
         _KEEPER + "test_trees.LeftoverTests.test_an_orphan_of_a_running_job_lives_on_and_is_reaped_when_it_dies"),
    ),
    Mutant(
        "no-subreaper", "endings", "a host's server does not inherit the jobs of its killed keeper", "P4",
        (Edit("tm/tap/host_server.py", "    kernel.become_subreaper()\n", "    kernel.become_subreaper(False)\n"),),
        (_CRASH + "AdoptionTests.test_the_endings_of_jobs_whose_keeper_is_killed_are_the_true_ones",),
    ),
    Mutant(
        "default-code-0", "endings", "an ending without a status is taken for exit code 0", "P5",
        (Edit("tm/model/lifecycle.py", "    if fact.exit_code == 0:", "    if not fact.exit_code:"),),
        (_LIFE + "EndingTests.test_only_exit_status_0_of_that_attempt_completes_a_job",),
    ),
    Mutant(
        "signalled-is-0", "endings", "the keeper says code 0 of what a signal ended", "P5",
        (Edit("tm/keeper/attempts.py", "exit_code = seen.si_status if exited else None",
              "exit_code = seen.si_status if exited else 0"),),
        (_KEEPER + "test_jobs.EndingTests.test_a_signal_is_told_as_a_signal",),
    ),
    Mutant(
        "lost-is-0", "endings", "a job whose code nobody could read is said to have ended with 0", "P5",
        (Edit("tm/daemon/adoption.py", "return Fact(*job.key, \"lost\", now, pid=job.pid,",
              "return Fact(*job.key, \"ended\", now, exit_code=0, pid=job.pid,"),),
        (_KEEPING + "FindTests.test_a_journal_is_read_before_it_goes_however_soon_another_keeper_died",
         _CRASH + "DoubleFaultTests.test_who_could_have_read_an_ending_is_dead_so_the_job_is_lost_and_not_run_again"),
    ),
    Mutant(
        "lost-ends-well", "endings", "a client that waited for a lost job ends with 0", "P5",
        (Edit("tm/client/ending.py", ".get(str(state), EXIT_INTERNAL)", ".get(str(state), 0)"),),
        ("tests.unit.client.test_hrunjob.WaitTests.test_the_jobs_exit_status_is_ours",),
    ),
    Mutant(
        "reboot-unseen", "endings", "a host that was restarted does not say what ended with that", "P4",
        (Edit("tm/tap/host_server.py", "rebooted = book.about.boot != boot_id()", "rebooted = not boot_id()"),),
        ("tests.cluster.test_reboots.RebootTests"
         ".test_a_rebooted_host_comes_back_by_itself_and_its_jobs_are_said_to_be_lost",),
    ),
    Mutant(
        "fact-of-any-attempt", "endings", "a fact of an earlier attempt ends the one that runs", "P5",
        (Edit("tm/model/lifecycle.py", "phase is None or fact.attempt != job.attempt or", "phase is None or"),),
        (_LIFE + "EndingTests.test_only_exit_status_0_of_that_attempt_completes_a_job",
         _LIFE + "TableTests.test_a_move_that_is_not_in_the_table_changes_nothing"),
    ),
    Mutant(
        "ending-told-twice", "endings", "an ending that is known already is told again as news", "P4",
        (Edit("tm/daemon/host_book.py", "if claim is None or claim.fact is not None:", "if claim is None:"),),
        (_BOOK + "FactsTests.test_a_fact_is_news_once_and_never_goes_back",),
    ),
    Mutant(
        "cancelled-too-early", "endings", "a job that runs is said to be cancelled when somebody asks for it", "P9",
        (Edit("tm/model/control.py", "            self._orders_for(job).cancel.append((job.id, job.attempt))\n",
              "            self._orders_for(job).cancel.append((job.id, job.attempt))\n"
              "            self._apply(job, Fact(job.id, job.attempt, \"cancelled\", at))\n            return\n"),
         Edit("tm/model/lifecycle.py", "(phase, \"cancelled\"): Phase.CANCELLED for phase in _WAITING",
              "(phase, \"cancelled\"): Phase.CANCELLED for phase in (*_WAITING, *_ON_HOST)")),
        (_BRAIN + "CancellingTests.test_what_runs_is_cancelled_by_its_host_and_says_so_when_it_is_dead",),
    ),
    Mutant(
        "tree-left-alive", "endings", "a cancelled job is said to have ended while processes of it live", "P9",
        (Edit("tm/keeper/felling.py", "if is_dead(one.pid) and (not trees[one.key] or hopeless):",
              "if is_dead(one.pid):"),),
        (_KEEPER + "test_trees.CancelTests.test_the_ending_waits_for_a_child_that_ignores_term",),
    ),
    Mutant(
        "never-killed", "endings", "what ignores TERM is never killed", "P9",
        (Edit("tm/keeper/felling.py", "                procfs.send(process, signal.SIGKILL)",
              "                procfs.send(process, signal.SIGTERM)"),),
        (_KEEPER + "test_trees.CancelTests.test_a_job_that_ignores_term_is_killed_after_its_grace",),
    ),
    Mutant(
        "times-believed", "endings", "what a host says of times is believed though it cannot be", "bound",
        (Edit("tm/model/servers.py", "credible = _credible(fact, job, at)", "credible = fact"),),
        ("tests.unit.model.test_abuse.SayingTests.test_an_end_that_is_yet_to_come_is_now",),
    ),
    Mutant(
        "taken-back-unasked", "endings", "what runs is said to have been taken back before it began", "P9",
        (Edit("tm/keeper/attempts.py", "            if self.book.withdraw(key):\n",
              "            if self.book.withdraw(key) or key in self.book.running:\n"),),
        (_KEEPER + "test_trees.CancelTests.test_cancel_ends_the_job_by_term",),
    ),
    Mutant(
        "pid-unchecked", "endings", "a signal goes to whatever process has the pid now", "bound",
        (Edit("tm/keeper/procfs.py", "if now is None or now.ticks != process.ticks:", "if now is None:"),),
        ("tests.unit.keeper.test_procfs.ProcessTests.test_a_signal_goes_to_the_process_that_was_meant_only",),
    ),
    Mutant(
        "pid-of-an-orphan-unchecked", "endings", "another process with the pid of an adopted job is taken for it",
        "P4",
        (Edit("tm/daemon/adoption.py",
              "return process if process is not None and process.ticks == self.ticks else None",
              "return process"),),
        ("tests.unit.daemon.test_adoption.CancelTests"
         ".test_the_end_of_a_child_that_has_the_pid_of_a_job_by_now_is_not_the_jobs",),
    ),
    Mutant(
        "group-unchecked", "endings", "the process group of a pid is stopped, whoever has that pid now", "bound",
        (Edit("tm/keeper/felling.py", "first is not None and first.ticks == running.ticks and first.group",
              "first is not None and first.group"),),
        ("tests.unit.keeper.test_felling.FellingTests.test_the_group_of_another_process_with_the_pid_is_not_stopped",),
    ),
    Mutant(
        "quota-unmarked", "endings", "a job whose output was cut ends as if it had not been", "P8",
        (Edit("tm/model/lifecycle.py", ", \"output\": Phase.OUTPUT_LIMIT}", "}"),),
        (_LIFE + "EndingTests.test_a_limit_that_was_reached_is_how_it_ended_even_where_the_program_then_ended_well",),
    ),
)  # fmt: skip

CONTACT = (
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

MUTANTS = (*DURABLE, *ONCE, *ENDINGS, *CONTACT)

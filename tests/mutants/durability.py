"""Broken builds of which a power cut, a kill or a full disk shows that they had promised too early."""

from __future__ import annotations

from tests.mutants import Edit, Mutant

_TURNS = "tests.unit.daemon.test_turns.TurnsTests."
_DISPATCHER = "tests.unit.daemon.test_dispatcher."
_HOST = "tests.unit.daemon.test_host_server."
_BOOK = "tests.unit.daemon.test_host_book."
_STORES = "tests.contract.test_stores."
_KEEPER = "tests.endtoend.keeper."
_CRASH = "tests.endtoend.test_crash_matrix."
_SYNCS = "tests.contract.test_power_loss.PowerLossTests."

MUTANTS = (
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
        "archive-not-mended", "durability", "a month that a cut left half done cannot be read", "P1",
        (Edit("tm/store/archive.py", "?mode=rw", "?mode=ro"),),
        (_SYNCS + "test_what_goes_to_the_archive_is_always_in_the_store_or_there",),
    ),
    Mutant(
        "archive-begun-fails", "durability", "a month that was only begun makes every look at the archive fail", "P1",
        (Edit("tm/store/archive.py", "if _is_begun(connection, \"main\"):", "if connection.execute(\"SELECT 1\"):"),),
        (_STORES + "SqliteStoreTests.test_a_month_of_the_archive_that_was_only_begun_has_no_jobs",),
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

"""Broken builds that say what is not true of how a job ended."""

from __future__ import annotations

from tests.mutants import Edit, Mutant

_HOST = "tests.unit.daemon.test_host_server."
_BOOK = "tests.unit.daemon.test_host_book."
_BRAIN = "tests.unit.model.test_brain."
_KEEPING = "tests.unit.daemon.test_keeping."
_LIFE = "tests.unit.model.test_lifecycle."
_KEEPER = "tests.endtoend.keeper."
_CRASH = "tests.endtoend.test_crash_matrix."

MUTANTS = (
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
        (Edit("tm/keeper/felling.py", "is_dead(one.pid) and ((not trees[one.key] and one.key in clear) or hopeless):",
              "is_dead(one.pid):"),),
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
        "quota-ignored", "endings", "an output may grow over its quota", "P8",
        (Edit("tm/keeper/limits.py", "self.output = output = get(\"output\", 0)",
              "output = get(\"output\", 0)\n        self.output = 0"),),
        ("tests.endtoend.keeper.test_limits.OutputTests.test_a_job_that_writes_too_much_is_ended",),
    ),
    Mutant(
        "quota-forgiven", "endings", "a job whose output was cut ends well where its program then did", "P8",
        (Edit("tm/model/lifecycle.py", "if fact.cause in _OF_LIMIT and job.cancelled_by is None:",
              "if fact.cause in _OF_LIMIT and job.cancelled_by is None and fact.exit_code != 0:"),),
        ("tests.unit.model.test_lifecycle.EndingTests."
         "test_a_limit_that_was_reached_is_how_it_ended_even_where_the_program_then_ended_well",),
    ),
    Mutant(
        "quota-unmarked", "endings", "a job whose output was cut ends as if it had not been", "P8",
        (Edit("tm/model/lifecycle.py", ", \"output\": Phase.OUTPUT_LIMIT}", "}"),),
        (_LIFE + "EndingTests.test_a_limit_that_was_reached_is_how_it_ended_even_where_the_program_then_ended_well",),
    ),
)  # fmt: skip

"""Broken builds that do what no user has signed."""

from __future__ import annotations

from tests.mutants import Edit, Mutant

_SIGNING = "tests.unit.daemon.test_signing_desk.CheckingTests."
_ASKED = "tests.unit.daemon.test_asked."

MUTANTS = (
    Mutant(
        "signature-unchecked", "signatures", "the user's server passes on orders that its user has not signed", "P10",
        (Edit("tm/daemon/signing_desk.py", "if not signer.check(order.spec, order.sig) or not is_of",
              "if not order.spec or not is_of"),),
        (_SIGNING + "test_an_order_that_was_changed_goes_on_without_its_text_and_the_others_whole",
         "tests.endtoend.test_broken_dispatcher.ChangedStoreTests."
         "test_a_changed_command_is_refused_by_the_users_server_and_never_runs"),
    ),
    Mutant(
        "any-signature", "signatures", "every signature is good", "P10",
        (Edit("tm/edge/signing.py", "        return hmac.compare_digest(",
              "        return bool(signature) or hmac.compare_digest("),),
        ("tests.unit.edge.test_signing.SigningTests.test_any_changed_byte_is_noticed",),
    ),
    Mutant(
        "environment-unchecked", "signatures", "the user's server passes on environments that were changed", "P10",
        (Edit("tm/daemon/signing_desk.py", "if hashlib.sha256(text.encode()).hexdigest() != digest\n",
              "if not hashlib.sha256(text.encode()).hexdigest()\n"),),
        (_SIGNING + "test_an_environment_that_was_changed_is_not_passed_on_and_nothing_runs_in_it",),
    ),
    Mutant(
        "number-unchecked", "signatures", "the signed text of an array is run as a job that was never asked for",
        "P10",
        (Edit("tm/daemon/signing_desk.py", " or not is_of(order.job, order.spec):", ":"),),
        (_SIGNING + "test_a_request_runs_as_the_tasks_that_it_asks_for_and_as_nothing_else",),
    ),
    Mutant(
        "starts-unbooked", "signatures", "the user's server lets go again what it has let go before", "P10",
        (Edit("tm/daemon/signing_desk.py", "complaint = unfit(line.host, order)", "complaint = \"\""),),
        ("tests.endtoend.test_broken_dispatcher.FalseDispatcherTests."
         "test_a_truly_signed_job_runs_once_whatever_it_is_called_and_wherever_it_is_sent",),
    ),
    Mutant(
        "another-number", "signatures", "what is signed once is started as a second job", "P10",
        (Edit("tm/model/starts.py", "        if entry.job != job:", "        if not job:"),),
        ("tests.unit.model.test_starts.ReplayTests.test_what_is_signed_once_is_no_second_job",),
    ),
    Mutant(
        "attempt-elsewhere", "signatures", "an attempt that went to one host goes to another, too", "P10",
        (Edit("tm/model/starts.py", "            if (command, spool) == (entry.command, entry.spool):",
              "            if command:"),),
        ("tests.unit.model.test_starts.ReplayTests.test_the_same_order_may_be_said_again_and_nothing_else_of_it",),
    ),
    Mutant(
        "attempt-beside", "signatures", "a job that runs gets a second attempt beside the first", "P10",
        (Edit("tm/model/starts.py", "        if used is None:", "        if used is None and not text:"),),
        ("tests.unit.model.test_starts.ReplayTests.test_a_job_that_runs_gets_no_second_attempt_beside_it",),
    ),
    Mutant(
        "starts-forgotten", "signatures", "the book of starts is not read again by the next server", "P10",
        (Edit("tm/model/starts.py", "                self._read(line.split())\n", "                line.split()\n"),),
        ("tests.unit.model.test_starts.MemoryTests"
         ".test_another_book_that_reads_the_lines_refuses_and_lets_go_the_same",),
    ),
    Mutant(
        "signs-for-anybody", "signatures", "a user's server signs jobs in the name of another", "P10",
        (Edit("tm/daemon/signing_desk.py", "{**common, **job, \"user\": user, \"environment\": digest}",
              "{**common, \"user\": user, \"environment\": digest, **job}"),),
        ("tests.unit.daemon.test_signing_desk.SigningTests."
         "test_nobody_signs_for_another_or_for_an_environment_that_is_not_sent",),
    ),
    Mutant(
        "anybodys-job", "signatures", "the dispatcher takes a request that names another user", "P10",
        (Edit("tm/model/brain.py", "if spec.user != user:", "if not spec.user:"),),
        ("tests.unit.daemon.test_dispatcher.AcceptingTests.test_what_is_wrong_is_refused_and_nothing_is_kept",),
    ),
    Mutant(
        "reads-what-it-is-told", "signatures", "the dispatcher says which of a user's files is read", "P10",
        (Edit("tm/daemon/looking.py", "        stdout, stderr = output_paths(spec, number, view.host)\n",
              "        stdout, stderr = view.stdout, view.stderr\n"),),
        (_ASKED + "OutputTests.test_files_are_read_where_the_signed_request_says_and_polls_bring_what_is_new",),
    ),
    Mutant(
        "reads-unsigned", "signatures", "files are read that no signed request of the user names", "P10",
        (Edit("tm/daemon/looking.py", "if not around.signer.check(given.text, given.sig) or not is_of(",
              "if not given.text or not is_of("),),
        (_ASKED + "OutputTests.test_the_dispatcher_has_no_say_in_which_file_is_read",),
    ),
    Mutant(
        "reads-by-host-name", "signatures", "the dispatcher leads to a file by the name of a host", "P10",
        (Edit("tm/daemon/looking.py", "if spec.user != around.user or not valid_name(view.host):",
              "if spec.user != around.user:"),),
        (_ASKED + "OutputTests.test_the_dispatcher_has_no_say_in_which_file_is_read",),
    ),
    Mutant(
        "tells-unsigned", "signatures", "the user's server tells people what no signed request asks for", "P10",
        (Edit("tm/daemon/telling_desk.py", "if self._signer.check(wish.spec, wish.sig) else None",
              "if wish.spec else None"),),
        ("tests.unit.daemon.test_user_server.TellingTests.test_a_target_that_no_signed_request_names_is_not_told",),
    ),
    Mutant(
        "grants-unsigned", "signatures", "the user's server believes grants that it has not signed", "P10",
        (Edit("tm/daemon/grants.py", "if not self._signer.check(text, sig):", "if not text:"),),
        (_ASKED + "GrantTests.test_without_a_live_grant_for_as_much_nothing_is_done",),
    ),
    Mutant(
        "grants-for-ever", "signatures", "a grant of the user's server never ends", "P10",
        (Edit("tm/daemon/grants.py", "if grant.user != self._user or self._now() >= grant.until:",
              "if grant.user != self._user:"),),
        (_ASKED + "GrantTests.test_without_a_live_grant_for_as_much_nothing_is_done",),
    ),
    Mutant(
        "grants-for-more", "signatures", "a grant to look opens what needs one to submit", "P10",
        (Edit("tm/daemon/grants.py", "if not enough(grant.may, needed):", "if not grant.may:"),),
        (_ASKED + "GrantTests.test_without_a_live_grant_for_as_much_nothing_is_done",),
    ),
    Mutant(
        "grant-is-order", "signatures", "a grant passes for a signed order", "P10",
        (Edit("tm/edge/signing.py", "info=purpose", "info=ORDER"),),
        (_ASKED + "GrantTests.test_a_grant_is_no_order_for_a_host",
         "tests.unit.edge.test_signing.SigningTests.test_what_is_signed_for_one_purpose_is_nothing_for_another"),
    ),
    Mutant(
        "anybody-reports", "signatures", "whoever is connected as a user speaks for their hosts", "P5",
        (Edit("tm/daemon/dispatcher.py", "if not dispatcher.is_server(user, peer):", "if not user:"),),
        ("tests.unit.daemon.test_dispatcher.ServerTests.test_only_the_attached_server_speaks_for_its_hosts",),
    ),
    Mutant(
        "facts-of-others", "signatures", "a user's server says how jobs of others ended", "P5",
        (Edit("tm/model/servers.py", "if job is not None and job.user == user and job.host == host:",
              "if job is not None and job.host == host:"),),
        ("tests.unit.model.test_brain.FactsTests.test_facts_of_jobs_that_are_not_there_or_not_theirs_change_nothing",),
    ),
    Mutant(
        "spool-of-others", "signatures", "a user's server takes over the spool of another", "P5",
        (Edit("tm/model/servers.py", "if (spool.user, spool.host) != (user, hello.host):", "if not spool.user:"),),
        ("tests.unit.model.test_brain.HelloTests.test_the_spool_of_another_is_not_taken_over",),
    ),
)  # fmt: skip

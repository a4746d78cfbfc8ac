"""Broken builds that believe, or let in, whom they must not: identity, signatures, connections, the wire, the web."""

from __future__ import annotations

from tests.mutants import Edit, Mutant

_TLS = "tests.unit.edge.test_tls.TlsTests."
_CONNECTION = "tests.unit.edge.test_connection."
_SIGNING = "tests.unit.daemon.test_signing_desk.CheckingTests."
_ASKED = "tests.unit.daemon.test_asked."
_SITE = "tests.unit.web.test_site."
_ATTACKS = "tests.unit.web.test_attacks."
_WEB = "tests.unit.daemon.test_web_verbs."
_FAREWELL = "tests.unit.daemon.test_farewell."
_MESSAGE = "tests.unit.wire.test_message."
_FRAMES = "tests.unit.wire.test_frames."

IDENTITY = (
    Mutant(
        "identity-by-cn", "identity", "who somebody is, is what their certificate calls itself", "right",
        (Edit("tm/edge/tls.py", "user = users.user_of(peer.fingerprint)\n",
              "user = peer.common_name if peer.common_name in users else users.user_of(peer.fingerprint)\n"),),
        (_TLS + "test_another_users_name_is_a_forgery",
         "tests.contract.test_links.LinkTests.test_the_key_counts_and_not_the_name_in_the_certificate"),
    ),
    Mutant(
        "strangers-let-in", "identity", "a certificate that nobody has registered is let in", "right",
        (Edit("tm/edge/tls.py", "    if user is None:\n        raise RefusedError(\n            \"auth.unknown\"",
              "    if user is None:\n        return peer.common_name\n    if not user:\n        raise RefusedError(\n"
              "            \"auth.unknown\""),),
        (_TLS + "test_a_foreign_certificate_is_unknown",),
    ),
    Mutant(
        "expired-let-in", "identity", "a certificate that has expired is let in", "right",
        (Edit("tm/edge/tls.py", "if now > peer.not_after:", "if now > peer.not_after + 1e12:"),),
        (_TLS + "test_a_certificate_has_its_time",),
    ),
    Mutant(
        "pins-unchecked", "identity", "a client trusts any server", "right",
        (Edit("tm/edge/tls.py", "if peer.fingerprint not in accepted:", "if not peer.fingerprint:"),),
        (_TLS + "test_a_false_dispatcher_is_refused_with_a_reason",),
    ),
    Mutant(
        "stdlib-pins-unchecked", "identity", "a client of the standard library trusts any server", "right",
        (Edit("tm/client/tls.py", "    context.verify_mode = ssl.CERT_REQUIRED",
              "    context.verify_mode = ssl.CERT_NONE"),
         Edit("tm/client/tls.py", "    if presented not in good:", "    if not (presented and good):"),),
        ("tests.unit.client.test_tls.TlsTests.test_a_false_dispatcher_hears_nothing",),
    ),
    Mutant(
        "older-tls", "identity", "TLS 1.2 is spoken", "right",
        (Edit("tm/edge/tls.py", "SSL.TLS1_3_VERSION", "SSL.TLS1_2_VERSION"),),
        (_TLS + "test_an_older_protocol_is_refused",),
    ),
    Mutant(
        "sessions-resumed", "identity", "who was let in once returns with a ticket, without a certificate", "right",
        (Edit("tm/edge/tls.py", "SSL.OP_NO_TICKET | SSL.OP_NO_COMPRESSION", "SSL.OP_NO_COMPRESSION"),
         Edit("tm/edge/tls.py", "    context.set_session_cache_mode(SSL.SESS_CACHE_OFF)\n", "")),
        (_TLS + "test_no_session_is_resumed",),
    ),
    Mutant(
        "removed-stay", "identity", "who is removed stays connected", "right",
        (Edit("tm/daemon/farewell.py", "self._dispatcher.clock.callLater(LAST_WORDS_SECONDS, self._cut)",
              "self._dispatcher.clock.seconds()"),),
        (_FAREWELL + "FinishTests.test_without_running_jobs_the_server_is_cut_at_once",
         _FAREWELL + "CertificateTests.test_a_certificate_that_is_dropped_cuts_who_presented_it"),
    ),
    Mutant(
        "removed-are-served", "identity", "who is removed and still connected is served", "right",
        (Edit("tm/daemon/farewell.py", "if peer.user in dispatcher.tables.users or _is_ours(peer.user):",
              "if peer.user or _is_ours(peer.user):"),),
        (_FAREWELL + "FinishTests.test_nothing_more_is_done_for_them",),
    ),
    Mutant(
        "loose-keys", "identity", "a private key that others can read is used", "right",
        (Edit("tm/edge/keys.py", "if status.st_mode & (stat.S_IRWXG | stat.S_IRWXO):", "if not status.st_mode:"),),
        ("tests.unit.edge.test_keys.KeyTests.test_a_key_that_others_may_read_is_refused_and_the_remedy_named",),
    ),
    Mutant(
        "loose-spool", "identity", "a spool that others may enter is used", "right",
        (Edit("tm/edge/spool.py", " or status.st_mode & 0o077:", ":"),),
        ("tests.unit.edge.test_spool.FolderTests.test_what_others_may_enter_is_refused",),
    ),
    Mutant(
        "loose-configuration", "identity", "a configuration that everybody may write is read", "right",
        (Edit("tm/config/document.py", "if status.st_mode & stat.S_IWOTH:", "if not status.st_mode:"),),
        ("tests.unit.config.test_config.LoadTests.test_a_file_that_everybody_may_write_is_refused",),
    ),
    Mutant(
        "loose-store", "identity", "others may read the store", "right",
        (Edit("tm/store/schema.py", "os.O_EXCL, 0o600)", "os.O_EXCL, 0o644)"),),
        ("tests.contract.test_stores.SqliteStoreTests.test_it_is_for_nobody_elses_eyes",),
    ),
    Mutant(
        "loose-log", "identity", "others may read the logs", "right",
        (Edit("tm/edge/log.py", "defaultMode=0o600", "defaultMode=0o644"),),
        ("tests.unit.edge.test_log.LogTests.test_only_its_owner_reads_it",),
    ),
    Mutant(
        "anybodys-keeper", "identity", "a keeper does what any account says to it", "right",
        (Edit("tm/keeper/link.py", "return int(struct.unpack(\"3i\", credentials)[1])",
              "return os.getuid() if credentials else -1"),),
        ("tests.unit.keeper.test_link.LinkTests.test_another_user_is_hung_up_on",),
    ),
    Mutant(
        "anybodys-socket", "identity", "a client believes a server of another account behind its own socket", "right",
        (Edit("tm/client/tms.py", "    if uid != os.getuid():", "    if uid < 0:"),),
        ("tests.unit.client.test_tms.FindTests.test_a_socket_of_another_user_is_refused",),
    ),
    Mutant(
        "strangers-spool", "identity", "a spool below a stranger's folder in /var/tmp is used", "right",
        (Edit("tm/edge/spool.py", "and os.lstat(folder).st_uid not in (0, os.getuid()):",
              "and os.lstat(folder).st_uid < 0:"),),
        ("tests.unit.edge.test_spool.FolderTests."
         "test_a_strangers_folder_on_the_way_is_refused_where_everybody_may_make_one",),
    ),
    Mutant(
        "host-keys-unchecked", "identity", "ssh takes any key of a host", "right",
        (Edit("tm/edge/launch_openssh.py", "StrictHostKeyChecking=yes", "StrictHostKeyChecking=no"),),
        ("tests.contract.test_launchers.OpenSSHTests.test_a_host_whose_key_is_unknown_is_refused",),
    ),
    Mutant(
        "loose-ssh-files", "identity", "ssh reads a configuration that others may write", "right",
        (Edit("tm/edge/trusted_file.py", "return bool(sticky_folder) or not entry.st_mode & (stat.S_IWGRP |"
              " stat.S_IWOTH)", "return bool(sticky_folder) or bool(entry.st_mode)"),),
        ("tests.contract.test_launchers.OpenSSHTests.test_a_configuration_that_others_may_write_is_not_read",),
    ),
)  # fmt: skip

SIGNATURES = (
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

CONNECTIONS = (
    Mutant(
        "lose-connection-only", "connections",
        "who is over a limit is closed politely, and stays as long as they like",
        "bound", (Edit("tm/edge/connection.py", "transport.abortConnection()", "transport.loseConnection()"),),
        (_CONNECTION + "PressureTests.test_unsent_output_is_bounded_and_beyond_it_the_connection_is_cut",
         _CONNECTION + "PressureTests.test_a_line_that_is_too_long_is_answered_and_cut"),
    ),
    Mutant(
        "unsent-unbounded", "connections", "what a peer does not read is kept without bound", "bound",
        (Edit("tm/edge/connection.py", "            if self._unsent > MOST_UNSENT:",
              "            if self._unsent < 0:"),),
        (_CONNECTION + "PressureTests.test_unsent_output_is_bounded_and_beyond_it_the_connection_is_cut",),
    ),
    Mutant(
        "held-unbounded", "connections", "what arrives while a peer is not read from is kept without bound", "bound",
        (Edit("tm/edge/connection.py", "            if len(self._held) > MOST_UNSENT:",
              "            if self._held is None:"),),
        (_CONNECTION + "PressureTests.test_what_arrives_while_nothing_is_read_is_bounded",),
    ),
    Mutant(
        "pipeline-unbounded", "connections", "a peer may ask without end and not wait for answers", "bound",
        (Edit("tm/edge/connection.py", "MOST_PIPELINED = 128", "MOST_PIPELINED = 1 << 40"),),
        (_CONNECTION + "PressureTests.test_reading_stops_at_the_bound_of_unanswered_requests_and_goes_on_below",),
    ),
    Mutant(
        "handshake-without-end", "connections", "who connects and says nothing is kept for ever", "bound",
        (Edit("tm/edge/connection.py",
              "        if not self._greeted:\n            self.abort()\n            return\n        now =",
              "        if not self._greeted:\n            return\n        now ="),),
        ("tests.contract.test_links.LinkTests.test_who_never_shakes_hands_is_cut_after_ten_seconds",
         _CONNECTION + "LifeTests.test_who_is_refused_reads_one_error_and_is_cut_within_a_second"),
    ),
    Mutant(
        "silence-without-end", "connections", "a daemon that is silent counts as reached for ever", "P7",
        (Edit("tm/edge/connection.py", "left = self._heard + self._patience - now", "left = LINK_SECONDS"),),
        (_CONNECTION + "SilenceTests.test_a_daemon_is_cut_after_ninety_seconds_and_not_while_it_speaks",),
    ),
    Mutant(
        "addresses-unbounded", "connections", "one address may have any number of connections", "bound",
        (Edit("tm/edge/connection.py", "        self._per_address[host] += 1\n", ""),),
        (_CONNECTION + "FactoryTests.test_connections_from_one_address_are_bounded",),
    ),
    Mutant(
        "line-unbounded", "wire", "a line may have any length", "bound",
        (Edit("tm/wire/frames.py", "            if size > limit:", "            if size < 0:"),),
        (_FRAMES + "BoundTests.test_a_line_without_an_end_is_refused_as_soon_as_it_is_too_long",
         _CONNECTION + "PressureTests.test_a_line_that_is_too_long_is_answered_and_cut"),
    ),
    Mutant(
        "bulk-unbounded", "wire", "raw bytes may be announced in any number", "bound",
        (Edit("tm/wire/frames.py", " or int(words[2]) > BULK_LIMIT:", ":"),),
        (_FRAMES + "BoundTests.test_bulk_of_the_limit_passes_and_one_byte_more_does_not",),
    ),
    Mutant(
        "unescaped-newline", "wire", "line ends in arguments are written as they are", "bound",
        (Edit("tm/wire/message.py", "_UNSAFE = re.compile(r\"[%:\\x00-\\x1f\\x7f]\")",
              "_UNSAFE = re.compile(r\"[%:]\")"),),
        (_MESSAGE + "ArgumentTests.test_any_text_comes_back_from_its_quoted_form",),
    ),
    Mutant(
        "two-requests-in-one", "wire", "a request with a line end in it is sent as two", "bound",
        (Edit("tm/wire/message.py", "        if \"\\n\" in line:\n", "        if not line:\n"),),
        (_MESSAGE + "RequestTests.test_a_request_that_would_be_two_lines_is_not_written",),
    ),
    Mutant(
        "two-replies-in-one", "wire", "a line end in the text of a reply begins another line", "bound",
        (Edit("tm/wire/message.py", "text = _CONTROL.sub(\" \", self.text)", "text = self.text"),),
        (_MESSAGE + "ReplyTests.test_no_text_can_end_a_reply_or_begin_another",),
    ),
    Mutant(
        "body-ends-reply", "wire", "a body line of a single dot ends the reply", "bound",
        (Edit("tm/wire/message.py", "body = _STUFFED.sub(r\"\\n.\\1\", \"\\n\" + \"\\n\".join(self.body))",
              "body = \"\\n\" + \"\\n\".join(self.body)"),),
        (_MESSAGE + "ReplyTests.test_lines_that_look_like_protocol_stay_lines",),
    ),
    Mutant(
        "control-characters-pass", "wire", "control characters in a request are taken", "bound",
        (Edit("tm/wire/message.py", "    found = _CONTROL.search(text)\n", "    found = _CONTROL.match(\"\")\n"),),
        (_MESSAGE + "RequestTests.test_control_characters_and_bad_utf_8_are_refused_but_not_a_tab",),
    ),
    Mutant(
        "terminals-written-to", "wire", "what a server says goes to the terminal as it is", "bound",
        (Edit("tm/wire/message.py", "return _RAW.sub(lambda found: f\"\\\\u{ord(found.group()):04x}\", text)",
              "return text"),),
        ("tests.unit.wire.test_dialogue.ClientTests.test_what_a_server_says_only_shows_and_json_stays_what_it_is",),
    ),
)  # fmt: skip

WEB = (
    Mutant(
        "web-origin-unchecked", "web", "pages of other sites may send our forms", "right",
        (Edit("tm/web/site.py", "                guard.check_origin(self.front, asked.method, headers)\n", ""),),
        (_SITE + "WhatIsRefused.test_a_form_of_another_site_is_refused",
         _ATTACKS + "LinksAndForms.test_what_another_site_shows_within_its_page_is_not_answered"),
    ),
    Mutant(
        "web-csrf-unchecked", "web", "a form without the word of its session is taken", "right",
        (Edit("tm/web/guard.py", "if not hmac.compare_digest(given.encode(), visitor.csrf.encode()):",
              "if not hmac.compare_digest(visitor.csrf.encode(), visitor.csrf.encode()):"),),
        (_SITE + "WhatIsRefused.test_a_form_without_its_word_is_refused",),
    ),
    Mutant(
        "web-host-unchecked", "web", "the web server answers to any name (DNS rebinding)", "right",
        (Edit("tm/web/guard.py", "if host.lower() not in front.hosts:", "if not front.hosts:"),),
        (_SITE + "WhatIsRefused.test_a_foreign_host_is_refused",),
    ),
    Mutant(
        "web-cookie-for-scripts", "web", "scripts see the cookie of a session", "right",
        (Edit("tm/web/site.py", "httpOnly=True", "httpOnly=False"),),
        (_SITE + "Links.test_its_button_begins_a_session_with_a_cookie_that_scripts_do_not_see",),
    ),
    Mutant(
        "web-cookie-for-all-sites", "web", "browsers send the cookie along with what other sites ask", "right",
        (Edit("tm/web/site.py", "sameSite=\"strict\"", "sameSite=\"none\""),),
        (_SITE + "Links.test_its_button_begins_a_session_with_a_cookie_that_scripts_do_not_see",),
    ),
    Mutant(
        "web-token-opens-pages", "web", "a token opens pages, not only what programs may ask", "right",
        (Edit("tm/web/site.py", "if not path.startswith(PROGRAMS) or scheme.lower()", "if scheme.lower()"),),
        (_SITE + "WhoIsLetIn.test_a_token_opens_what_programs_may_ask_and_nothing_else",),
    ),
    Mutant(
        "web-two-cookies", "web", "a cookie that another server has set beside ours counts", "right",
        (Edit("tm/web/guard.py", "found[name] = value if found.get(name, value) == value else \"\"",
              "found[name] = value"),),
        (_ATTACKS + "Cookies.test_a_session_that_somebody_has_put_beside_ours_counts_no_more_than_ours",),
    ),
    Mutant(
        "web-leads-elsewhere", "web", "a link leads people from us to another site", "right",
        (Edit("tm/web/guard.py", "path.startswith(\"/\") and not path.startswith(\"//\") and", "path and"),),
        (_ATTACKS + "LinksAndForms.test_a_page_to_go_back_to_that_is_no_address_is_ours",),
    ),
    Mutant(
        "web-policy-lax", "web", "pages may be told by others where their links begin", "right",
        (Edit("tm/web/guard.py", "object-src 'none'; base-uri 'none'; ", ""),),
        (_SITE + "EveryAnswer.test_carries_what_keeps_browsers_safe",),
    ),
    Mutant(
        "web-unescaped", "web", "what people name their jobs is markup in others' pages", "right",
        (Edit("tm/web/render.py", "autoescape=True", "autoescape=False"),),
        ("tests.unit.web.test_host.PageTests.test_processes_show_text_as_text",),
    ),
    Mutant(
        "web-link-opens-twice", "web", "a link to log in opens any number of sessions", "right",
        (Edit("tm/model/sessions.py", "        if link.used_at is not None:\n            where",
              "        if link.used_at is not None and not link.user:\n            where"),),
        (_WEB + "LinkTests.test_a_link_opens_a_session_of_its_user_once",),
    ),
    Mutant(
        "web-anybody-speaks", "web", "whoever has the web server's right speaks for others without having joined",
        "right",
        (Edit("tm/daemon/web_verbs.py", "        self._desk.check_joined(peer)\n        given = decoded(Said,",
              "        given = decoded(Said,"),),
        (_WEB + "SessionTests.test_only_the_web_server_that_has_joined_speaks_for_others",),
    ),
)  # fmt: skip

MUTANTS = (*IDENTITY, *SIGNATURES, *CONNECTIONS, *WEB)

"""Broken builds that let in, or believe, who is not who they say."""

from __future__ import annotations

from tests.mutants import Edit, Mutant

_TLS = "tests.unit.edge.test_tls.TlsTests."
_FAREWELL = "tests.unit.daemon.test_farewell."

MUTANTS = (
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

"""What ``tm doctor`` makes of certificates, leftovers, refusals, and of hosts as the dispatcher sees them."""

from __future__ import annotations

import datetime

from twisted.trial.unittest import SynchronousTestCase

from tm.cli.checks.doctor import HERE, judge_state, lines_of
from tm.cli.checks.here import judge_daemons, judge_dates, judge_leftovers, judge_unpacked, refusal_remedy
from tm.cli.checks.judging import BAD, GOOD, NOTE, Finding
from tm.edge.certificates import Subject, make_certificate, make_key
from tm.places import Places

BEGIN = datetime.datetime(2026, 1, 1, tzinfo=datetime.UTC)
DAY = 86400.0
WHERE = Places(
    root="/opt/tm", etc="/opt/tm/etc", cluster="c", host="n1", port=10101, user="alice",
    user_directory="/home/alice/.tm", local_directory="/var/tmp/taskmanager-7/c", python="python3",
)  # fmt: skip


class DateTests(SynchronousTestCase):
    def test_dates_of_certificates(self) -> None:
        certificate = make_certificate(make_key(self.mktemp()), Subject("alice", ""), BEGIN, 100)
        begin = BEGIN.timestamp()
        for days, level, short in (
            (-2.0, BAD, "not yet"), (1.0, GOOD, "valid"), (60.0, GOOD, "valid"), (75.0, NOTE, "soon"),
            (101.0, BAD, "expired"),
        ):  # fmt: skip
            found = judge_dates(certificate, begin + days * DAY, "your")
            self.assertEqual((found.level, found.short, bool(found.remedy)), (level, short, level != GOOD), days)


class LeftTests(SynchronousTestCase):
    def test_only_what_is_nobodys_and_quiet_is_left(self) -> None:
        now = 100 * DAY
        spools = [
            {"path": "/var/tmp/taskmanager-7/c/hosts/n1", "running": False, "changed": 0.0},
            {"path": "/var/tmp/taskmanager-7/c/hosts/n9", "running": False, "changed": 0.0},
            {"path": "/var/tmp/taskmanager-7/old/hosts/n1", "running": True, "changed": 0.0},
            {"path": "/var/tmp/taskmanager-7/new/hosts/n1", "running": False, "changed": now - DAY},
        ]
        found = judge_leftovers(spools, ["n1"], WHERE.local_directory, now)
        self.assertEqual([one.remedy for one in found], ["rm -r /var/tmp/taskmanager-7/c/hosts/n9"])

    def test_daemons_of_an_installation_that_has_gone(self) -> None:
        processes = [
            (7, ["python", "/gone/bin/TMMS", "--host", "n1"]), (8, ["python", "/opt/tm/bin/TMS"]), (9, ["vi", "TMS"]),
        ]  # fmt: skip
        found = judge_daemons(processes, lambda path: path.startswith("/opt"))
        self.assertEqual([one.remedy for one in found], ["kill 7"])

    def test_unpacked_programs_that_nobody_runs(self) -> None:
        processes = [(7, ["python", "/p/tm-1-a/bin/TMMS"])]
        found = judge_unpacked(["/p/tm-1-a", "/p/tm-1-b", "/p/tm-1-c"], processes, "/p/tm-1-c")
        self.assertEqual([one.remedy for one in found], ["rm -r /p/tm-1-b"])


class SayingTests(SynchronousTestCase):
    def test_refusals_name_what_mends_them(self) -> None:
        for word, remedy in (
            ("net.lost", "on n1: TaskDispatcher -p 10101"), ("auth.unknown", "tm users add alice alice.crt"),
            ("auth.server", "ca_certs.alice.crt"), ("auth.key", "chmod 600 /home/alice/.tm/alice.key"),
            ("proto.version", "tm cert show"),
        ):  # fmt: skip
            self.assertIn(remedy, refusal_remedy(word, WHERE))

    def test_hosts_as_the_dispatcher_sees_them(self) -> None:
        host = {"name": "n2", "state": "refused", "reason": "ssh.auth", "remedy": "let in", "info": {"state": "failed"}}
        state, info = judge_state(host, "alice")
        self.assertEqual((state.level, state.remedy, info.level), (BAD, "let in", NOTE))
        well = {"name": "n2", "state": "up", "reason": ""}
        for survives, level in (("own session", GOOD), ("user scope, ends at logout", BAD)):
            (logout,) = judge_state({**well, "servers": [{"user": "alice", "survives": survives}]}, "alice")
            self.assertEqual((logout.level, "enable-linger" in logout.remedy), (level, level == BAD))
        (logout,) = judge_state({**well, "info": {"survives": "own session, ends at logout"}}, "alice")
        self.assertEqual(logout.level, NOTE)
        self.assertEqual(judge_state(well, "alice"), [])

    def test_what_is_well_on_hosts_is_not_said(self) -> None:
        good, bad = Finding("ssh", GOOD, "openssh"), Finding("disk", BAD, "full", "it is full", "du")
        self.assertEqual(
            lines_of({HERE: [good], "n2": [good, bad]}),
            [
                "ok    ssh         openssh", "BAD   n2: disk        it is full", "      → du", "",
                "1 hosts asked; 1 to mend, 0 to know",
            ],
        )  # fmt: skip
        self.assertEqual(lines_of({HERE: [good]})[-1], "all is well")

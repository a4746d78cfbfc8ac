"""The report that is made of a sample, and which change of it is said at once."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from tm.model.report import HostReport, JobUse, about_faults, report_faults
from tm.model.sample import Machine, Memory, Rates, Sample, Session, about, console_idle, report, sudden
from tm.model.usage import Use

MACHINE = Machine(
    boot="b", booted_at=1000.0, system="Linux", kernel="6", cpu_model="fast", cores=4, sockets=1, threads=2,
    memory=8 << 30, swap=0, gpus=[], survives="own session",
)  # fmt: skip


def sample(*sessions: Session, use: Use | None = None) -> Sample:
    return Sample(
        at=2000.0, load=(1.0, 0.5, 0.25), use=use or Use(), memory=Memory(8 << 30, 4 << 30, 0, 0), rates=Rates(),
        sessions=list(sessions), processes=100, gpus=[],
    )  # fmt: skip


class ReportTests(SynchronousTestCase):
    def test_what_is_said_can_be_true(self) -> None:
        said = about(MACHINE, "n1", "1.0.0", 17, 4000, "f" * 64)
        use = Use(ours=1.5, others=2.0, by_user={"bob": 2.0}, by_job={7: (1.5, 1 << 20, 3)}, memory_ours=1 << 20)
        made = report(sample(Session("bob", "tty1", console=True, idle=3.0), use=use), "n1")
        self.assertEqual(about_faults(said), [])
        self.assertEqual(report_faults(made, said, 2000.0), [])
        self.assertEqual((made.cpu_others, made.logged_in, made.console_idle), (2.0, ["bob"], 3.0))
        self.assertEqual(made.jobs, [JobUse(7, 1.5, 1 << 20, 3)])

    def test_of_very_many_users_those_are_named_who_use_most(self) -> None:
        users = {f"u{number}": number / 1000 for number in range(200)}
        made = report(sample(use=Use(by_user=users)), "n1")
        self.assertEqual((len(made.cpu_by_user), next(iter(made.cpu_by_user))), (64, "u199"))

    def test_the_console_is_as_idle_as_its_last_touch(self) -> None:
        remote = Session("eve", "pts/1", origin="far", idle=1.0)
        self.assertIsNone(console_idle([remote]))
        self.assertEqual(console_idle([remote, Session("bob", "tty1", console=True, idle=40.0)]), 40.0)
        self.assertEqual(console_idle([Session("bob", ":0", console=True)]), 0.0)


class SuddenTests(SynchronousTestCase):
    def test_what_makes_room_necessary_is_said_at_once_and_nothing_else(self) -> None:
        quiet = HostReport(host="n1", at=0.0, console_idle=600.0, logged_in=["bob"], cpu_others=0.2, cpu_ours=1.0)
        changes: list[tuple[dict[str, object], bool]] = [
            ({}, False), ({"cpu_others": 0.6}, False), ({"cpu_others": 0.8}, True), ({"cpu_ours": 9.0}, False),
            ({"console_idle": 1.0}, True), ({"console_idle": None}, False), ({"logged_in": ["bob", "eve"]}, True),
            ({"logged_in": []}, True), ({"processes": 5000}, False),
        ]  # fmt: skip
        for change, expected in changes:
            now = HostReport(**{"host": "n1", "at": 5.0, "console_idle": 600.0, "logged_in": ["bob"],
                                "cpu_others": 0.2, "cpu_ours": 1.0, **change})  # fmt: skip
            self.assertEqual(sudden(quiet, now), expected, change)

    def test_somebody_who_goes_on_typing_is_said_once(self) -> None:
        typing = HostReport(host="n1", at=0.0, console_idle=1.0)
        self.assertFalse(sudden(typing, HostReport(host="n1", at=2.0, console_idle=0.5)))

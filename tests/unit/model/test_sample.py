"""The report that is made of a sample, and which change of it is said at once."""

from __future__ import annotations

from msgspec.structs import replace
from twisted.trial.unittest import SynchronousTestCase

from tm.model.report import Gpu, HostReport, JobUse, about_faults, report_faults
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

    def test_what_would_do_more_on_a_terminal_than_be_seen_is_a_fault_and_not_repeated(self) -> None:
        said = about(MACHINE, "n1", "1.0.0", 17, 4000, "f" * 64)
        made = report(sample(), "n1")
        for poison in ("a\nn2 up", "\x1b[2J", "\x9b2J", "\x7f", "\u202e", "x" * 257):
            gpu = Gpu(0, poison, 1)
            for field in ("kernel", "cpu_model", "system", "survives", "version", "boot"):
                faults = about_faults(replace(said, **{field: poison}))
                self.assertEqual(faults, [f"its {field} cannot be shown"])
            self.assertEqual(about_faults(replace(said, gpus=[gpu])), ["its model of GPU 0 cannot be shown"])
            more: list[dict[str, object]] = [
                {"logged_in": [poison]}, {"cpu_by_user": {poison: 0.1}}, {"gpus": [gpu]},
                {"gpus": [Gpu(0, "good", 1, users=[poison])]},
            ]  # fmt: skip
            for change in more:
                (fault,) = report_faults(replace(made, **change), said, 2000.0)
                self.assertTrue(fault.isprintable() and fault.endswith("cannot be shown"), change)

    def test_numbers_that_no_computer_has_are_faults(self) -> None:
        said = about(MACHINE, "n1", "1.0.0", 17, 4000, "f" * 64)
        made = report(sample(), "n1")
        wrong: list[dict[str, object]] = [
            {"swap_used": -1}, {"jobs": [JobUse(7, 0.0, -5, 1)]}, {"logged_in": ["bob"] * 2000},
            {"gpus": [Gpu(number, "fast", 1) for number in range(2000)]},
        ]  # fmt: skip
        for change in wrong:
            self.assertEqual(len(report_faults(replace(made, **change), said, 2000.0)), 1, change)

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

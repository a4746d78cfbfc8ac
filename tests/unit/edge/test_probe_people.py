"""Who is logged in and who touched the console, told by made-up ``/dev``, ``/run`` and ``/proc``."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterable
from typing import Any, NamedTuple

from twisted.trial.unittest import SynchronousTestCase

from tm.edge.probe_people import HINT_SECONDS, People
from tm.model.sample import Session, console_idle

NOW = 1_700_000_000.0


class Entry(NamedTuple):
    """What psutil says of an entry of utmp."""

    name: str
    terminal: str | None
    host: str = ""
    started: float = NOW - 1000
    pid: int = 1


class PeopleTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.root = tempfile.mkdtemp(prefix="tm-")
        self.addCleanup(shutil.rmtree, self.root)
        self.utmp: list[Any] = []
        self.hints: dict[str, float | None] = {}
        self.asked: list[list[str]] = []
        self.people = People(self.root, lambda: self.utmp, self._hint)

    def _hint(self, sessions: Iterable[str]) -> dict[str, float | None]:
        self.asked.append(sorted(sessions))
        return self.hints

    def write(self, name: str, text: str = "") -> str:
        path = os.path.join(self.root, name)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with open(path, "w") as file:
            file.write(text)
        return path

    def typed(self, terminal: str, ago: float, now: float = NOW) -> None:
        os.utime(self.write(f"dev/{terminal}"), (now - ago, now))

    def session(self, name: str, **said: str) -> None:
        self.write(f"run/systemd/sessions/{name}", "".join(f"{key}={value}\n" for key, value in said.items()))

    def test_nobody_is_there_where_nothing_tells(self) -> None:
        self.assertEqual(self.people.look(NOW), [])
        self.assertIsNone(console_idle(self.people.look(NOW)))

    def test_somebody_from_far_away_is_logged_in_but_not_at_the_console(self) -> None:
        self.typed("pts/3", 20.0)
        self.utmp = [Entry("eve", "pts/3", "far.example")]
        self.assertEqual(
            self.people.look(NOW), [Session("eve", "pts/3", "far.example", NOW - 1000, 20.0, False, "tty")]
        )

    def test_the_time_of_access_of_a_terminal_tells_and_its_time_of_change_does_not(self) -> None:
        self.typed("tty1", 100.0)
        self.utmp = [Entry("bob", "tty1")]
        self.assertEqual(console_idle(self.people.look(NOW)), 100.0)
        self.typed("tty1", 0.0)
        self.assertEqual(console_idle(self.people.look(NOW + 3)), 3.0)

    def test_logind_tells_of_the_seat_where_there_is_no_utmp(self) -> None:
        self.typed("tty2", 50.0)
        self.session("c1", USER="bob", CLASS="user", STATE="active", TYPE="tty", TTY="tty2", SEAT="seat0",
                     REALTIME=str(int(NOW - 60) * 1_000_000))  # fmt: skip
        self.session("c2", USER="gdm", CLASS="greeter", STATE="active", SEAT="seat0")
        self.session("c3", USER="eve", CLASS="user", STATE="closing", SEAT="seat0")
        self.write("run/systemd/sessions/c1.ref")
        self.assertEqual(self.people.look(NOW), [Session("bob", "tty2", "", NOW - 60, 50.0, True, "tty")])
        self.assertEqual(self.asked, [])

    def test_of_a_graphical_session_logind_is_asked_now_and_then(self) -> None:
        self.session("5", USER="bob", CLASS="user", STATE="active", TYPE="wayland", TTY="tty2", SEAT="seat0")
        self.hints = {"5": None}
        self.assertEqual(self.people.look(NOW)[0].idle, 0.0)
        self.hints = {"5": NOW - 400}
        self.assertEqual(self.people.look(NOW + 1)[0].idle, 0.0)
        (one,) = self.people.look(NOW + HINT_SECONDS)
        self.assertEqual((one.idle, one.seen), (400 + HINT_SECONDS, "logind"))
        self.assertEqual(self.asked, [["5"], ["5"]])

    def test_somebody_at_the_console_of_whom_nobody_tells_counts_as_just_there(self) -> None:
        self.session("5", USER="bob", CLASS="user", STATE="active", TYPE="x11", DISPLAY=":0", SEAT="seat0")
        (one,) = self.people.look(NOW)
        self.assertEqual((one.idle, one.console, one.seen), (None, True, ""))
        self.assertEqual(console_idle([one]), 0.0)

    def test_one_session_that_two_sources_know_is_one(self) -> None:
        self.typed("tty1", 10.0)
        self.utmp = [Entry("bob", "tty1", "", NOW - 900)]
        self.session("1", USER="bob", CLASS="user", STATE="active", TYPE="tty", TTY="tty1", SEAT="seat0")
        (one,) = self.people.look(NOW)
        self.assertEqual((one.idle, one.console, one.since), (10.0, True, NOW - 900))

    def test_a_key_of_a_built_in_keyboard_tells_whatever_session_it_went_to(self) -> None:
        self.typed("tty1", 5000.0)
        self.utmp = [Entry("bob", "tty1")]
        line = "   1:  {}  9  IR-IO-APIC  1-edge  i8042\n  16:  77  0  IO-APIC  ehci\n"
        self.write("proc/interrupts", line.format(100))
        self.assertEqual(console_idle(self.people.look(NOW)), 5000.0)
        self.write("proc/interrupts", line.format(104))
        (one,) = self.people.look(NOW + 2)
        self.assertEqual((one.idle, one.seen), (0.0, "keys"))
        self.assertEqual(console_idle(self.people.look(NOW + 5)), 3.0)

    def test_a_terminals_name_leads_nowhere_else(self) -> None:
        self.utmp = [Entry("eve", "../../etc/passwd"), Entry("eve", None), Entry("eve", "\0")]
        self.assertEqual({one.idle for one in self.people.look(NOW)}, {None})

    def test_damaged_files_of_sessions_are_passed_over(self) -> None:
        self.session("1", STATE="active")
        self.write("run/systemd/sessions/2", "\x00\x01garbage")
        os.mkdir(os.path.join(self.root, "run/systemd/sessions/3"))
        self.session("4", USER="bob", REALTIME="soon", SEAT="")
        self.assertEqual([one.user for one in self.people.look(NOW)], ["bob"])

"""What people write behind options."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from tm.model import values
from tm.model.dates import when

MINUTE, HOUR, DAY = 60.0, 3600.0, 86400.0
NOON = time.mktime((2026, 11, 23, 12, 0, 0, 0, 0, -1))


def day(year: int, month: int, date: int, hour: int = 0, minute: int = 0, second: int = 0) -> float:
    return time.mktime((year, month, date, hour, minute, second, 0, 0, -1))


class ValueTests(SynchronousTestCase):
    def means(self, read: Callable[[str], Any], **expected: Any) -> None:
        for text, value in expected.items():
            self.assertEqual(value, read(text), text)

    def refused(self, read: Callable[[str], Any], *texts: str) -> None:
        for text in texts:
            said = str(self.assertRaises(ValueError, read, text))
            self.assertNotIn("invalid literal", said, text)
            self.assertTrue(len(said) > 15, said)

    def test_times_are_those_of_sbatch_and_those_with_letters(self) -> None:
        self.means(
            values.read_time,
            **{"90s": 90.0, "30": 30 * MINUTE, "2:30": 150.0, "2:30:00": 2.5 * HOUR, "1-12": 36 * HOUR,
               "1-02:00:00": 26 * HOUR, "1-2:30": 26.5 * HOUR, "1h30m": 1.5 * HOUR, "2d": 2 * DAY, "1w": 7 * DAY,
               "UNLIMITED": 0.0, "0": 0.0, "00:01:30": 90.0},
        )  # fmt: skip
        self.refused(values.read_time, "", "-5", "x", "1:2:3:4", "1h-3", "4000d", "1.5h", "0:00", "٣", "1 h")

    def test_pauses_count_seconds(self) -> None:
        self.means(values.read_pause, **{"90": 90.0, "5m": 300.0, "0": 0.0})
        self.refused(values.read_pause, "", "-1", "5x")

    def test_sizes_are_binary_and_a_bare_number_counts_mebibytes(self) -> None:
        self.means(
            values.read_size, **{"4G": 2**32, "1.5gb": 3 * 2**29, "500MiB": 500 << 20, "64": 64 << 20, "0": 0}
        )
        self.refused(values.read_size, "lots", "", "-1G", "1e9", "9999999P", "1..5G", "0.0001K")

    def test_ranges_of_tasks_and_how_many_run_at_once(self) -> None:
        self.means(
            values.read_array, **{"0-99:2%10": ("0-99:2", 10), "1,5,7-9": ("1,5,7-9", 0), "4": ("4", 0)}
        )
        self.refused(values.read_array, "", "5-1", "0-9%0", "0-9%x", "0-9%", "1,1", "0-2000000", "a", "0-9:0")

    def test_dependencies_are_checked_as_far_as_can_be_seen_here(self) -> None:
        for text in (
            "afterok:17",
            "afterok:17:18,afterany:19_4",
            "singleton",
            "after:3?afternotok:4",
            "after:3+10",
        ):
            self.assertEqual(text, values.read_dependency(text))
        self.refused(
            values.read_dependency, "", "17", "afterok", "afterok:", "afterok:x", "before:3", "singleton:3",
            "after:1,after:2?after:3", "afterok:17,", "afterok:17+5",
        )  # fmt: skip

    def test_signals_have_names_and_come_some_seconds_before(self) -> None:
        self.means(
            values.read_signal,
            **{"USR2@90": ("USR2", 90.0), "sigterm": ("TERM", 60.0), "B:10@120": ("B:USR1", 120.0),
               "INT@2m": ("INT", 120.0)},
        )  # fmt: skip
        self.refused(values.read_signal, "", "FOO@3", "USR1@", "99@10", "USR1@x", "@5")

    def test_hosts_may_be_folded(self) -> None:
        self.means(values.read_hosts, **{"n1,n2": ["n1", "n2"], "n[1-3,7],m": ["n1", "n2", "n3", "n7", "m"]})
        self.means(values.read_hosts, **{"n[08-10].x": ["n08.x", "n09.x", "n10.x"]})
        self.refused(values.read_hosts, "", ",", "a b", "n[", "n[1-x]", "n[1-999999]", "-n")

    def test_what_can_be_counted(self) -> None:
        self.means(
            values.read_gres,
            **{"gpu": {"gpu": 1}, "gpu:2": {"gpu": 2}, "gpu:1,disk:5": {"gpu": 1, "disk": 5}},
        )
        self.refused(values.read_gres, "", "gpu:a100:2", "gpu:x", "gpu:-1", "1:2")
        self.means(values.read_licenses, **{"matlab:2,foo": {"matlab": 2, "foo": 1}, "a@srv:3": {"a": 3}})
        self.refused(values.read_licenses, "", "a:0", "a:x", ":3")

    def test_events_and_addresses(self) -> None:
        self.means(values.read_mail_types, **{"END,FAIL": ["end", "fail"], "NONE": []})
        self.means(values.read_mail_types, **{"TIME_LIMIT_90,ALL": ["time_limit", "all"]})
        self.refused(values.read_mail_types, "SOMETIMES", "")
        self.means(
            values.read_addresses, **{"a.b+c@x-y.org": ["a.b+c@x-y.org"], "a@localhost": ["a@localhost"]}
        )
        self.means(values.read_addresses, **{"https://h/p?q,desktop": ["https://h/p?q", "desktop"]})
        self.refused(
            values.read_addresses, "", "a@", "@b", "a@@b", "a..b@c", ".a@b", "a b@c", "a@-b", "alice"
        )
        self.refused(values.read_addresses, "http://", "a@b@c", "https://a b")

    def test_retries(self) -> None:
        self.means(values.read_retry_on, **{"exit:75,oom,host": ["exit:75", "oom", "host"], "ANY": ["any"]})
        self.means(values.read_retry_on, **{"exit:64-78,signal:9": ["exit:64-78", "signal:KILL"]})
        self.refused(values.read_retry_on, "", "exit:300", "exit:9-3", "oom:3", "often", "exit:", "signal:99")
        self.means(values.read_factor, **{"x2": 2.0, "1.5": 1.5})
        self.refused(values.read_factor, "0.5", "x", "x101", "")

    def test_ids(self) -> None:
        self.means(values.read_id, **{"17": 17, "17_4": (1 << 52) | (17 << 20) | 4})
        self.refused(values.read_id, "", "x", "17_", "17_[1-2]", "-3", "99999999999999")
        self.means(values.read_ids, **{"3,5-7": [3, 5, 6, 7]})
        self.assertEqual(3, len(values.read_ids("2_[1-3]")))
        self.refused(values.read_ids, "x", "7-3", "1-", "1-999999999")

    @given(st.text(max_size=30))
    def test_nothing_but_a_sentence_comes_of_any_text(self, text: str) -> None:
        for read in (
            values.read_time, values.read_size, values.read_array, values.read_dependency, values.read_signal,
            values.read_hosts, values.read_gres, values.read_licenses, values.read_mail_types, values.read_addresses,
            values.read_retry_on, values.read_factor, values.read_id, values.read_ids, values.read_when,
            values.read_umask, values.read_priority, values.read_cores, values.read_nice, values.read_pause,
        ):  # fmt: skip
            try:
                read(text)
            except ValueError as error:
                self.assertNotIn("invalid literal", str(error))


class DateTests(SynchronousTestCase):
    def test_times_are_those_of_the_wall_clock_here(self) -> None:
        for text, expected in (
            ("now", NOON),
            ("now+2h", NOON + 2 * HOUR),
            ("now+1hour", NOON + HOUR),
            ("now+90", NOON + 90),
            ("now + 2days", NOON + 2 * DAY),
            ("now+1h30m", NOON + 1.5 * HOUR),
            ("18:30", day(2026, 11, 23, 18, 30)),
            ("11:00", day(2026, 11, 24, 11)),
            ("6:30pm", day(2026, 11, 23, 18, 30)),
            ("12:15 am", day(2026, 11, 24, 0, 15)),
            ("midnight", day(2026, 11, 24)),
            ("teatime", day(2026, 11, 23, 16)),
            ("tomorrow", day(2026, 11, 24)),
            ("2026-12-24T18:00", day(2026, 12, 24, 18)),
            ("2026-12-24 18:00:30", day(2026, 12, 24, 18, 0, 30)),
            ("2026-12-24", day(2026, 12, 24)),
            ("12/24/26", day(2026, 12, 24)),
        ):
            self.assertEqual(expected, when(text, NOON), text)

    def test_what_is_no_time_is_refused(self) -> None:
        for text in (
            "", "soon", "25:00", "12:60", "2026-13-01", "2026-02-30", "2026-12-24T25:00", "now-1h", "now+",
            "13:00pm", "1969-01-01", "99999-01-01",
        ):  # fmt: skip
            self.assertRaises(ValueError, when, text, NOON)

"""Logs: one JSON object a line whatever happens, in a file of its owner, the last lines at hand."""

from __future__ import annotations

import json
import os
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from twisted.logger import Logger, LogLevel
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from tests.support.properties import examples
from tm.edge import log as edge
from tm.edge.log import JsonLog, log_line, quiet
from tm.model.log_wish import LEVELS, LogWish


def texts(log: JsonLog, **wish: Any) -> list[str]:
    """Return the texts of the lines that are read back."""
    return [json.loads(line)["text"] for line in log.read_back(LogWish(**wish))]


class LogTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.path = os.path.join(os.path.abspath(self.mktemp()), "logs", "test.log")

    def log(self, level: LogLevel = LogLevel.info) -> tuple[JsonLog, Logger]:
        log = JsonLog(self.path, level)
        file = log._file
        self.addCleanup(lambda: file.closed or file.close())
        return log, Logger(observer=log)

    def lines(self) -> list[dict[str, Any]]:
        with open(self.path, encoding="utf-8") as file:
            return [json.loads(line) for line in file]

    def test_a_line_says_when_how_grave_what_and_about_whom(self) -> None:
        _, logger = self.log()
        logger.warn(
            "{host} for {user}: {reason}",
            event="host",
            host="n1",
            user="alice",
            reason="two\nlines",
            secret=object(),
        )
        (line,) = self.lines()
        self.assertRegex(line.pop("time"), r"^20\d\d-\d\d-\d\dT[\d:.]+Z$")
        self.assertEqual(
            line,
            {
                "level": "warn",
                "event": "host",
                "text": "n1 for alice: two\nlines",
                "host": "n1",
                "user": "alice",
                "reason": "two\nlines",
            },
        )

    def test_what_is_not_grave_enough_is_not_written(self) -> None:
        _, logger = self.log(LogLevel.warn)
        logger.info("small")
        logger.error("large")
        self.assertEqual([line["text"] for line in self.lines()], ["large"])

    def test_a_failure_brings_its_traceback_in_the_same_line(self) -> None:
        _, logger = self.log()
        logger.failure("it broke", Failure(ZeroDivisionError("by zero")))
        (line,) = self.lines()
        self.assertIn("ZeroDivisionError: by zero", line["traceback"])

    def test_whatever_is_logged_there_is_a_line(self) -> None:
        log, logger = self.log()
        told: list[dict[str, object]] = []
        log.told = told.append
        logger.info("{name}", name="b\udcffd")
        logger.info("{number} {size}", number=10**40, size=float("nan"))
        logger.info("{missing}")
        log({"log_format": None, "log_time": 0.0})
        lines = self.lines()
        self.assertEqual((len(lines), len(told), lines[0]["name"]), (4, 4, "b?d"))

    def test_only_its_owner_reads_it(self) -> None:
        _, logger = self.log()
        logger.info("x")
        self.assertEqual(os.stat(self.path).st_mode & 0o777, 0o600)

    def test_a_full_disk_loses_nothing_as_long_as_there_are_not_many(self) -> None:
        log, logger = self.log()
        logger.info("before")
        whole = log._file

        class Full:
            def write(self, text: str) -> None:
                whole.write(text[:7])
                raise OSError(28, "No space left on device")

        log._file = Full()  # type: ignore[assignment]
        for number in (1, 2):
            logger.info("{number}", number=number)
        self.assertEqual(texts(log), ["before", "1", "2"])
        log._file = whole
        logger.info("after")
        self.assertEqual(texts(log), ["before", "1", "2", "after"])
        with open(self.path, encoding="utf-8") as file:
            self.assertEqual(len(file.read().splitlines()), 4 + 2)

    def test_a_relative_path_is_in_the_folder_of_the_moment(self) -> None:
        folder = os.path.abspath(self.mktemp())
        os.mkdir(folder)
        here = os.getcwd()
        self.addCleanup(os.chdir, here)
        os.chdir(folder)
        log = JsonLog("x.log")
        log({"log_time": 0.0})
        log._file.close()
        self.assertTrue(os.path.exists(os.path.join(folder, "x.log")))

    def test_our_fields_never_hide_those_of_the_line(self) -> None:
        line = log_line(
            {
                "log_time": 0.0,
                "log_level": LogLevel.error,
                "log_format": "{text}",
                "text": "a",
                "level": "b",
                "time": "c",
            }
        )
        self.assertEqual(
            (line["level"], line["text"], line["time"]), ("error", "a", "1970-01-01T00:00:00.000Z")
        )

    def test_the_quiet_observer_says_nothing(self) -> None:
        self.assertIsNone(quiet()({}))


class BackTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.path = os.path.join(os.path.abspath(self.mktemp()), "back.log")

    def filled(self, *lines: dict[str, Any], rotate: int = 700) -> JsonLog:
        """Return a log with *lines* in files of a few lines each."""
        self.patch(edge, "ROTATE_BYTES", rotate)
        if os.path.exists(os.path.dirname(self.path)):
            for name in os.listdir(os.path.dirname(self.path)):
                os.unlink(os.path.join(os.path.dirname(self.path), name))
        log = JsonLog(self.path, LogLevel.debug)
        for line in lines:
            level = LogLevel.lookupByName(line.get("level", "info"))
            log({"log_time": line["time"], "log_level": level, "log_format": "{says}", **line})
        log._file.close()
        return log

    def test_the_last_lines_come_from_as_many_files_as_they_are_in(self) -> None:
        log = self.filled(*({"time": float(n), "says": str(n)} for n in range(30)))
        self.assertGreater(len(os.listdir(os.path.dirname(self.path))), 3)
        for count in (0, 1, 7, 29):
            self.assertEqual(texts(log, lines=count), [str(n) for n in range(30 - count, 30)])
        self.assertEqual(len(texts(log, lines=5000)), 30)

    def test_every_filter_counts_alone_and_together(self) -> None:
        log = self.filled(
            {"time": 1.0, "says": "One", "level": "debug", "job": 17},
            {"time": 2.0, "says": 'two "quoted" ☃', "level": "warn", "job": "17_4", "host": "n1"},
            {"time": 3.0, "says": "three", "level": "error", "user": "alice", "host": "n1", "event": "trouble"},
            {"time": 4.0, "says": "four 17", "level": "critical", "user": "bob"},
        )
        for wish, wanted in (
            ({"level": "warn"}, [2, 3, 4]), ({"level": "critical"}, [4]), ({"text": "ONE"}, [1]),
            ({"text": '"quoted" ☃'}, [2]), ({"text": "trouble"}, [3]), ({"about": (("job", "17"),)}, [1]),
            ({"about": (("host", "n1"), ("user", "alice"))}, [3]), ({"about": (("user", "al"),)}, []),
            ({"before": "1970-01-01T00:00:03.000Z"}, [1, 2]), ({"since": "1970-01-01T00:00:03.000Z"}, [3, 4]),
            ({"level": "warn", "lines": 1, "before": "1970-01-01T00:00:04.000Z"}, [3]),
        ):  # fmt: skip
            found = [json.loads(line)["time"][18:19] for line in log.read_back(LogWish(**wish))]
            self.assertEqual(found, list(map(str, wanted)), wish)

    def test_what_is_no_line_of_ours_is_passed_over(self) -> None:
        log = self.filled({"time": 1.0, "says": "a"}, {"time": 2.0, "says": "b"}, rotate=10**6)
        with open(self.path, "ab") as file:
            file.write(b'\xff\xfe\n[]\n{"text":"timeless"}\n\n' + b"[" * 5000 + b'\n{"time":"1970-01-01T00:0')
        self.assertEqual(texts(log), ["a", "b"])

    def test_a_log_that_is_not_there_has_no_lines(self) -> None:
        log = self.filled()
        os.unlink(self.path)
        self.assertEqual(log.read_back(LogWish()), [])

    def test_very_long_lines_end_a_page_and_come_whole(self) -> None:
        log = self.filled(*({"time": float(n), "says": str(n) * 300_000} for n in range(5)), rotate=10**7)
        self.patch(edge, "MOST_BYTES", 700_000)
        self.assertEqual([text[:1] for text in texts(log)], ["3", "4"])

    @given(
        st.lists(st.tuples(st.integers(0, 5), st.sampled_from(LEVELS)), max_size=40), st.integers(1, 5),
        st.sampled_from(["", "warn"]),
    )  # fmt: skip
    @examples(60)
    def test_pages_back_to_the_beginning_have_every_line_once(
        self, steps: list[tuple[int, str]], count: int, level: str
    ) -> None:
        at, lines = 0.0, []
        for number, (step, grave) in enumerate(steps):
            at += step / 1000
            lines.append({"time": at, "says": str(number), "level": grave})
        log, seen, before = self.filled(*lines, rotate=10**6), [], ""
        while page := [json.loads(line) for line in log.read_back(LogWish(count, level, before=before))]:
            seen = [line["text"] for line in page] + seen
            before = page[0]["time"]
        self.assertEqual(
            seen, [line["says"] for line in lines if not level or line["level"] in ("warn", "error", "critical")]
        )

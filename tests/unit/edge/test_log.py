"""Logs: one JSON object a line whatever happens, in a file of its owner, the last lines at hand."""

from __future__ import annotations

import json
import os
from typing import Any

from twisted.logger import Logger, LogLevel
from twisted.python.failure import Failure
from twisted.trial.unittest import SynchronousTestCase

from tm.edge.log import KEPT_LINES, JsonLog, log_line, quiet


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

    def test_the_last_lines_are_at_hand(self) -> None:
        log, logger = self.log()
        for number in range(KEPT_LINES + 5):
            logger.info("{number}", number=number)
        self.assertEqual(
            [json.loads(line)["number"] for line in log.recent(2)], [KEPT_LINES + 3, KEPT_LINES + 4]
        )
        self.assertEqual((len(log.recent(10**9)), log.recent(0)), (KEPT_LINES, []))

    def test_a_full_disk_does_not_stop_the_server(self) -> None:
        log, logger = self.log()

        class Full:
            def write(self, text: str) -> None:
                raise OSError(28, "No space left on device")

            def close(self) -> None:
                """Nothing is open."""

        log._file.close()
        log._file = Full()  # type: ignore[assignment]
        logger.info("x")
        self.assertEqual(len(log.recent(5)), 1)

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

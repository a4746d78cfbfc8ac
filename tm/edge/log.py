"""Logs: one JSON object a line with time, level, event, text and what it is about, in files that rotate."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable

import msgspec
from twisted.logger import ILogObserver, LogEvent, LogLevel, formatEvent, globalLogPublisher
from twisted.python.logfile import LogFile
from zope.interface import implementer, provider

from tm.model.views import shown_time

ROTATE_BYTES = 10 * 1024 * 1024
KEPT_FILES = 5
KEPT_LINES = 1000

Line = dict[str, object]
_encode = msgspec.json.Encoder().encode


def log_line(event: LogEvent) -> Line:
    """Return what is logged of *event*: its own fields, and never the framework's."""
    level = event.get("log_level", LogLevel.info)
    line: Line = {
        "time": shown_time(event.get("log_time", 0.0)),
        "level": level.name,
        "event": event.get("event", "message"),
        "text": formatEvent(event),
    }
    for name, value in event.items():
        plain = isinstance(value, str | int | float | bool)
        if plain and name not in line and not name.startswith("log_") and name not in ("format", "isError", "system"):
            line[name] = value
    failure = event.get("log_failure")
    if failure is not None:
        line["traceback"] = failure.getTraceback()
    return line


def _as_json(line: Line) -> str:
    """Return *line* as JSON; what is no text that could be written, as a file's name may be, is marked."""
    try:
        return _encode(line).decode()
    except UnicodeEncodeError:
        texts = {name: value for name, value in line.items() if isinstance(value, str)}
        marked = {name: text.encode(errors="replace").decode() for name, text in texts.items()}
        return _encode({**line, **marked}).decode()


@implementer(ILogObserver)
class JsonLog:
    """Writes what is at least *level* to the file *path*; the last lines are kept at hand."""

    def __init__(self, path: str, level: LogLevel = LogLevel.info) -> None:
        path = os.path.abspath(path)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        self._file = LogFile(
            os.path.basename(path), os.path.dirname(path), rotateLength=ROTATE_BYTES, maxRotatedFiles=KEPT_FILES,
            defaultMode=0o600,
        )  # fmt: skip
        self._level = level
        self._recent: deque[str] = deque(maxlen=KEPT_LINES)
        self.told: Callable[[Line], None] = lambda line: None

    def __call__(self, event: LogEvent) -> None:
        if event.get("log_level", LogLevel.info) < self._level:
            return
        line = log_line(event)
        text = _as_json(line)
        self._recent.append(text)
        try:
            self._file.write(text + "\n")
            self._file.flush()
        except OSError:
            return
        self.told(line)

    def recent(self, count: int) -> list[str]:
        """Return the last *count* lines, as far as they are kept."""
        return list(self._recent)[-count:] if count else []

    def start(self) -> None:
        """Begin to log."""
        globalLogPublisher.addObserver(self)


@provider(ILogObserver)
def _nothing(event: LogEvent) -> None:
    """Drop *event*: our own observers have it."""


def quiet() -> ILogObserver:
    """Return an observer that writes nothing, for twistd's ``--logger``: ours are the logs."""
    return _nothing

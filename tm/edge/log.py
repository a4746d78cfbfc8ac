"""Logs: one JSON object a line with time, level, event, text and what it is about, in files that rotate.

They are read back from their end, a block at a time, and no further than what is wanted reaches.
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack
from itertools import chain
from typing import BinaryIO

import msgspec
from twisted.logger import ILogObserver, LogEvent, LogLevel, formatEvent, globalLogPublisher
from twisted.python.logfile import LogFile
from zope.interface import implementer, provider

from tm.model.log_wish import LEVELS, LogWish
from tm.model.views import shown_time

ROTATE_BYTES = 10 * 1024 * 1024
KEPT_FILES = 5
KEPT_LINES = 1000
BLOCK = 128 * 1024
MOST_BYTES = 2 * 1024 * 1024
"""So much is read back at once: an answer is one line of the protocol after the other, held in memory."""

Line = dict[str, object]
_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(Line).decode


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
    """Writes what is at least *level* to the file *path*; what cannot be written is kept at hand until it can."""

    def __init__(self, path: str, level: LogLevel = LogLevel.info) -> None:
        path = os.path.abspath(path)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        self._file = LogFile(
            os.path.basename(path), os.path.dirname(path), rotateLength=ROTATE_BYTES, maxRotatedFiles=KEPT_FILES,
            defaultMode=0o600,
        )  # fmt: skip
        self._path = path
        self._level = level
        self._unwritten: deque[str] = deque(maxlen=KEPT_LINES)
        self._torn = ""
        self.told: Callable[[Line], None] = lambda line: None

    def __call__(self, event: LogEvent) -> None:
        if event.get("log_level", LogLevel.info) < self._level:
            return
        line = log_line(event)
        text = _as_json(line)
        self._unwritten.append(text)
        try:
            while self._unwritten:
                self._file.write(self._torn + self._unwritten[0] + "\n")
                self._file.flush()
                self._torn = ""
                self._unwritten.popleft()
        except OSError:
            self._torn = "\n"  # some of the line may have been written
        self.told(line)

    def read_back(self, wish: LogWish) -> list[str]:
        """Return the lines that *wish* wants, the oldest first, as far back as files are kept; in any thread.

        Lines of one moment are never parted: there may be a few more than wanted, so that who asks for what is before
        the oldest one misses none. It takes a tenth of a second for 50 MB in which nothing is found.
        """
        unwritten = map(str.encode, reversed(list(self._unwritten)))
        return _wanted(chain(unwritten, _lines_back(self._path, wish.before, _Sieve(wish))), wish)

    def start(self) -> None:
        """Begin to log."""
        globalLogPublisher.addObserver(self)


def _wanted(lines: Iterable[bytes], wish: LogWish) -> list[str]:
    """Return those of *lines*, the last first, that *wish* wants, the oldest first; what is none of ours is no line."""
    found: list[str] = []
    size, edge = 0, ""
    for raw in lines:
        line = _decoded(raw)
        at = str(line.get("time", ""))
        if not at or (wish.before and at >= wish.before):
            continue
        if at < wish.since or ((len(found) >= wish.lines or size > MOST_BYTES) and at != edge):
            break
        if wish.wants(line):
            found.append(raw.decode())
            size, edge = size + len(raw), at
    return found[::-1]


class _Sieve:
    """Says of many lines at once, or of one, whether what *wish* wants could be among them: cheaper than reading it."""

    def __init__(self, wish: LogWish) -> None:
        self._words = [_encode(word)[1:-1].lower() for word in wish.words]
        graver = LEVELS[LEVELS.index(wish.level) :] if wish.level else ()
        self._levels = [f'"level":"{level}"'.encode() for level in graver]

    def passes(self, text: bytes) -> bool:
        if self._levels and not any(level in text for level in self._levels):
            return False
        small = text.lower() if self._words else b""
        return all(word in small for word in self._words)


def _decoded(raw: bytes) -> Line:
    try:
        return _decode(raw)
    except (msgspec.MsgspecError, RecursionError):
        return {}


def _lines_back(path: str, before: str, sieve: _Sieve) -> Iterator[bytes]:
    """Yield the lines of the log that pass *sieve*, the last first; files that begin after the moment *before* are
    passed over."""
    with ExitStack() as stack:
        files: dict[tuple[int, int], BinaryIO] = {}
        for name in (path, *(f"{path}.{number}" for number in range(1, KEPT_FILES + 1))):
            try:
                file: BinaryIO = stack.enter_context(open(name, "rb"))
            except FileNotFoundError:
                continue
            status = os.fstat(file.fileno())
            files.setdefault((status.st_dev, status.st_ino), file)  # it may just have got another name
        for file in files.values():
            if not before or str(_decoded(file.readline()).get("time", "")) < before:
                yield from _back(file, sieve)


def _back(file: BinaryIO, sieve: _Sieve) -> Iterator[bytes]:
    at, rest = os.fstat(file.fileno()).st_size, b""
    while at:
        size = min(at, BLOCK)
        at -= size
        file.seek(at)
        rest, _, whole = (file.read(size) + rest).partition(b"\n")
        if sieve.passes(whole):
            yield from filter(sieve.passes, reversed(whole.split(b"\n")))
    yield rest


@provider(ILogObserver)
def _nothing(event: LogEvent) -> None:
    """Drop *event*: our own observers have it."""


def quiet() -> ILogObserver:
    """Return an observer that writes nothing, for twistd's ``--logger``: ours are the logs."""
    return _nothing

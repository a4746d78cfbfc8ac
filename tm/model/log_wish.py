"""Which lines of a log somebody wants to see: how many, how grave, about what."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

LEVELS = ("debug", "info", "warn", "error", "critical")
"""How grave a line can be, ascending."""
SUBJECTS = ("job", "host", "user")
_TEXTS = ("text", "event", "traceback")


class LogWish(NamedTuple):
    """The last so many *lines* that are at least *level* grave, have *text* somewhere (small or capital letters alike),
    and are about the subjects *about*: (``job``, ``host`` or ``user``, which).

    They are older than *before* and not older than *since* (times as they stand in the log; empty: any). Of two logs
    *errors* is the one of what was grave.
    """

    lines: int = 50
    level: str = ""
    text: str = ""
    about: tuple[tuple[str, str], ...] = ()
    before: str = ""
    since: str = ""
    errors: bool = False

    @property
    def words(self) -> list[str]:
        """What stands in every line that is wanted, in small letters."""
        return [word.lower() for word in (self.text, *(which for _, which in self.about)) if word]

    def wants(self, line: Mapping[str, object]) -> bool:
        """Whether *line*, as it was logged, is one of those, its time aside."""
        level = line.get("level")
        if self.level and (level not in LEVELS or LEVELS.index(str(level)) < LEVELS.index(self.level)):
            return False
        if any(str(line.get(subject)) != which for subject, which in self.about):
            return False
        text = self.text.lower()
        return not text or any(text in str(line.get(name, "")).lower() for name in _TEXTS)

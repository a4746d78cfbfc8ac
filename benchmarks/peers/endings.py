"""The file to which a server appends a line for each job that has ended, read as it grows."""

from __future__ import annotations

import re
from collections import Counter, defaultdict


class Endings:
    """What *pattern* finds in the whole lines of the file *path*: first a job's name, then its ending in some words."""

    def __init__(self, path: str, pattern: re.Pattern[str]) -> None:
        self._path = path
        self._pattern = pattern
        self._read = 0
        self._endings: defaultdict[str, Counter[str]] = defaultdict(Counter)

    def of(self, name: str) -> Counter[str]:
        """Return how many jobs called *name* have ended, by their ending."""
        try:
            with open(self._path, "rb") as file:
                file.seek(self._read)
                fresh = file.read()
        except FileNotFoundError:
            fresh = b""
        whole = fresh[: fresh.rfind(b"\n") + 1]
        self._read += len(whole)
        for line in whole.decode(errors="replace").splitlines():
            if found := self._pattern.search(line):
                job, *ending = found.groups()
                self._endings[job][" ".join(ending)] += 1
        return self._endings[name]

    def check(self, name: str, jobs: int, good: str) -> None:
        """Leave unless *jobs* jobs called *name* have ended, all of them so."""
        if (found := self.of(name)) != Counter({good: jobs}):
            raise SystemExit(f"{jobs} jobs should have ended with '{good}', but: {dict(found)}")

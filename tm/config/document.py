"""A TOML file that knows its lines, so that every complaint says where it is."""

from __future__ import annotations

import os
import re
import stat
import tomllib
from typing import Any

from tm.config.toml_text import scan

_WHERE = re.compile(r" \(at line (\d+), column \d+\)| \(at end of document\)")


class Document:
    """One file and the complaints about it; a file that cannot be read has no tables and one complaint.

    With *text* that is read in place of what the file holds, and is not read when *data* is what it says. *places* says
    of each complaint at which table and key it is.
    """

    def __init__(
        self, path: str, owners: tuple[int, ...], text: str | None = None, data: dict[str, Any] | None = None
    ) -> None:
        self.path = path
        self.complaints: list[str] = []
        self.places: list[tuple[tuple[str, ...], str]] = []
        self.text = text or ""
        self.data: dict[str, Any] = {}
        try:
            if text is None:
                self._read(owners)
            self.data = tomllib.loads(self.text) if data is None else data
        except OSError as error:
            hint = "; 'tm setup' writes a sample" if isinstance(error, FileNotFoundError) else ""
            self.complaints.append(f"{path}: {error.strerror}{hint}")
        except UnicodeDecodeError as error:
            line = error.object.count(b"\n", 0, error.start) + 1
            self.complaints.append(f"{path}:{line}: expected UTF-8 text")
        except tomllib.TOMLDecodeError as error:
            self.complaints.append(self._syntax(str(error)))

    def complain(self, expected: str, *where: str) -> None:
        """Note that at the table and key *where* something else was *expected*."""
        complaint = f"{self.path}:{line_of(self.text, *where)}: {expected}"
        if complaint not in self.complaints:
            self.complaints.append(complaint)
            self.places.append((where, expected))

    def tables(self, name: str) -> dict[str, dict[str, Any]]:
        """Return the tables ``[NAME.…]``; complain about what is no table."""
        found = self.data.get(name, {})
        if not isinstance(found, dict):
            self.complain(f"expected tables like [{name}.NAME]", name)
            return {}
        for key in [key for key, value in found.items() if not isinstance(value, dict)]:
            self.complain(f"expected a table [{name}.{key}]", name, key)
        return {key: value for key, value in found.items() if isinstance(value, dict)}

    def only(self, known: set[str], *where: str) -> None:
        """Complain about keys of the table *where* that are not *known*."""
        table = self.data
        for key in where:
            table = table[key]
        for key in table:
            if key not in known:
                self.complain(f"'{key}' is not known here; expected {_listed(known)}", *where, key)

    def strings(self, table: dict[str, Any], key: str, *where: str) -> list[str]:
        """Return the list of strings *key* of the table *where*; complain when it is something else."""
        value = table.get(key, [])
        if isinstance(value, list) and all(isinstance(one, str) for one in value):
            return value
        self.complain(f'expected a list of strings, like {key} = ["…"]', *where, key)
        return []

    def _read(self, owners: tuple[int, ...]) -> None:
        with open(self.path, "rb") as file:
            self._check(os.fstat(file.fileno()), owners)
            self.text = file.read().decode()
        if not self.text.strip():
            self.complaints.append(f"{self.path}:1: the file is empty; a damaged one counts for nothing, restore it")

    def _check(self, status: os.stat_result, owners: tuple[int, ...]) -> None:
        if status.st_uid not in owners:
            self.complaints.append(
                f"{self.path}: expected a file of yours or of root; it belongs to user number {status.st_uid}"
            )
        if status.st_mode & stat.S_IWOTH:
            self.complaints.append(f"{self.path}: everybody may write it; say 'chmod o-w {self.path}'")

    def _syntax(self, message: str) -> str:
        found = _WHERE.search(message)
        line = int(found.group(1)) if found and found.group(1) else self.text.count("\n") + 1
        what = _WHERE.sub("", message)
        return f"{self.path}:{line}: expected TOML; {what[:1].lower()}{what[1:]}"


def _listed(words: set[str]) -> str:
    return ", ".join(f"'{word}'" for word in sorted(words))


def line_of(text: str, *where: str) -> int:
    """Return the number of the line of the deepest part of *where* that can be found, else 1."""
    try:
        statements = scan(text)
    except ValueError:
        return 1
    for depth in range(len(where), 0, -1):
        about = [one for one in statements if one.kind in ("header", "value") and one.path[:depth] == where[:depth]]
        if about:
            exact = [one for one in about if one.path == where[:depth]]
            return text.count("\n", 0, (exact or about)[0].start) + 1
    return 1

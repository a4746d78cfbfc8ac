"""Command lines: options first, then a command that is left exactly as it was typed.

argparse reads the options; where they end is decided here, because argparse's own idea of it differs
between versions of Python when the command has options, or a ``--``, of its own.
"""

from __future__ import annotations

import argparse
import re

from tm.client.program import UsageError, version_line

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Collection
    from typing import NoReturn

_SIZE = re.compile(r"(\d+(?:\.\d+)?)\s*([KMGTP]?)(?:i?B)?\Z", re.IGNORECASE)
_POWER = {"K": 1, "": 2, "M": 2, "G": 3, "T": 4, "P": 5}


def _formatter(prog: str) -> argparse.HelpFormatter:
    """Return a formatter of fixed width: argparse makes many, and asking the terminal would load shutil."""
    return argparse.HelpFormatter(prog, width=100)


class Parser(argparse.ArgumentParser):
    """A parser whose help is the text it was given and whose complaints are a `UsageError`."""

    def __init__(self, name: str, text: str) -> None:
        super().__init__(prog=name, add_help=False, allow_abbrev=False, formatter_class=_formatter)
        self._text = text
        self.add_argument("-h", "--help", action="help")
        self.add_argument("--version", action="version", version=version_line(name))

    def format_help(self) -> str:
        """Return the text of ``--help``."""
        return self._text.lstrip("\n")

    def error(self, message: str) -> NoReturn:
        """Raise a `UsageError`."""
        raise UsageError(message)


def split_command(
    argv: list[str], valued: Collection[str], many: Collection[str] = ()
) -> tuple[list[str], str | list[str]]:
    """Return the options of *argv* and the command behind them: shell text, or an argument vector.

    *valued* are the options that take one value, *many* those that take all up to the next option. A ``--``
    ends the options and says that a vector follows; any later one is the command's. Without it one word is
    shell text, and more are a vector. No command is the empty vector.
    """
    at = 0
    while at < len(argv):
        word = argv[at]
        if word == "--":
            return argv[:at], argv[at + 1 :]
        if not word.startswith("-") or word == "-":
            return argv[:at], word if at + 1 == len(argv) else argv[at:]
        at += 1
        if word in valued:
            at += 1
        elif word in many:
            while at < len(argv) and not argv[at].startswith("-"):
                at += 1
    return argv, []


def parse_size(text: str) -> int:
    """Return the bytes of ``4G``, ``500M`` or ``1.5T``; a bare number counts MiB."""
    found = _SIZE.match(text.strip())
    if not found:
        raise argparse.ArgumentTypeError(f"'{text}' is no size; write 500M, 4G or 1.5T")
    return int(float(found.group(1)) * 1024 ** _POWER[found.group(2).upper()])


def parse_cores(text: str) -> int:
    """Return a number of cores, at least 1."""
    if not (text.isascii() and text.isdigit()) or not 0 < int(text) <= 1000000:
        raise argparse.ArgumentTypeError(f"'{text}' is no number of cores; write 1 or more")
    return int(text)

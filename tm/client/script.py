"""Scripts: their text, copied when they are submitted, and the lines ``#TM`` and ``#SBATCH`` at their head.

Such lines end at the first line that is a command. What the command line says counts more than ``#TM``, and that more
than ``#SBATCH``.
"""

from __future__ import annotations

import os

from tm.client.choices import SUBMISSION
from tm.client.options import Options, Reader
from tm.client.program import UsageError
from tm.errors import TaskManagerError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

MOST_BYTES = 512 * 1024
_SHELLS = ("sh", "bash", "dash", "zsh", "ksh", "mksh", "csh", "tcsh", "fish", "ash", "busybox")


class Script:
    """The *text* of a script, named *path* (``-``: read from stdin)."""

    def __init__(self, path: str, text: str) -> None:
        self.path = path
        self.text = text
        self.name = "stdin" if path == "-" else os.path.basename(path)

    @property
    def travels(self) -> bool:
        """Whether its text is copied: that of shells, and of all that has lines for us.

        Programs in other languages find their neighbours by where they are, and stay there.
        """
        words = self.text[2 : self.text.find("\n")].split()
        programs = [os.path.basename(word) for word in words if not word.startswith("-")]
        interpreter = programs[1] if programs[:1] == ["env"] and len(programs) > 1 else "".join(programs[:1])
        return (
            self.path == "-" or interpreter in _SHELLS or bool(self._lines("#TM") or self._lines("#SBATCH"))
        )

    def _lines(self, mark: str) -> list[tuple[int, list[str]]]:
        """Return (number, words) of the lines that begin with *mark*; raise `UsageError` for an open quote."""
        found = []
        for number, line in enumerate(self.text.splitlines(), 1):
            if line.strip() and not line.lstrip().startswith("#"):
                break
            if line.startswith(mark) and line[len(mark) : len(mark) + 1] in (" ", "\t"):
                import shlex

                try:
                    found.append((number, shlex.split(line[len(mark) :], comments=True)))
                except ValueError as error:
                    raise UsageError(f"{self.path}:{number}: {error}".lower()) from None
        return found

    def directives(self, say: Callable[[str], None]) -> Options:
        """Return what its lines ask for; *say* hears once what of them is ignored. Raises `UsageError`."""
        found = Options(SUBMISSION)
        reader = Reader(SUBMISSION)
        for number, words in self._lines("#TM"):
            try:
                later, rest, _ = reader.read(words)
                if rest:
                    raise UsageError(f"'{rest[0]}' is no option; a line #TM has only options")
            except UsageError as error:
                raise UsageError(f"{self.path}:{number}: {error.text}") from None
            later.under(found)
            found = later
        lines = self._lines("#SBATCH")
        if lines:
            from tm.client.sbatch import read_lines

            asked, ignored = read_lines(lines, self.path)
            found.under(asked)
            if ignored:
                say(f"{self.path}: ignored of its #SBATCH lines: {', '.join(ignored)}")
        return found


def script_of(words: list[str]) -> Script | None:
    """Return the script that *words* begin with: a file whose text begins with ``#!``, or ``-`` for stdin.

    Raises `TaskManagerError` for one that is too long, or no text.
    """
    path = words[0]
    try:
        with open(0 if path == "-" else path, "rb", closefd=path != "-") as file:
            if path != "-" and (not os.path.isfile(path) or file.read(2) != b"#!"):
                return None
            data = b"#!" + file.read(MOST_BYTES) if path != "-" else file.read(MOST_BYTES + 1)
    except (OSError, ValueError):
        return None
    if not data.startswith(b"#!"):
        raise TaskManagerError("job.invalid", "the script on stdin must begin with a line like #!/bin/sh")
    if len(data) > MOST_BYTES:
        if _is_program(data):
            return None
        raise TaskManagerError(
            "job.invalid",
            f"{path}: a script may have {MOST_BYTES >> 10} KiB; run it as it is with: -- {path}",
        )
    try:
        return Script(path, data.decode())
    except UnicodeDecodeError:
        if path == "-" or _is_program(data):
            return None
        raise TaskManagerError(
            "job.invalid", f"{path}: is no UTF-8 text; run it as it is with: -- {path}"
        ) from None


def _is_program(data: bytes) -> bool:
    """Whether a script is a program with data behind it, such as a Python archive: never copied."""
    return b"\0" in data

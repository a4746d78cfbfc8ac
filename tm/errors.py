"""Named failures.

Each failure carries its *class*, the stable word that travels on the wire after ``ERR``, and knows the exit status
with which a client ends when it meets it. This module imports nothing, because every program loads it.
"""

from __future__ import annotations

EXIT_REFUSED = 1
EXIT_USAGE = 2
EXIT_UNREACHABLE = 69
EXIT_TRY_AGAIN = 75
EXIT_PERMISSION = 77
EXIT_CONFIG = 78
EXIT_INTERNAL = 125

_EXIT_OF_FAMILY = {
    "auth": EXIT_PERMISSION,
    "perm": EXIT_PERMISSION,
    "net": EXIT_UNREACHABLE,
    "limit": EXIT_TRY_AGAIN,
    "busy": EXIT_TRY_AGAIN,
    "store": EXIT_TRY_AGAIN,
    "config": EXIT_CONFIG,
    "internal": EXIT_INTERNAL,
}


def exit_status(word: str) -> int:
    """Return the exit status of a client that met an error of class *word*, e.g. ``perm.denied`` gives 77."""
    return _EXIT_OF_FAMILY.get(word.partition(".")[0], EXIT_REFUSED)


class TaskManagerError(Exception):
    """Something the user can understand failed: *word* is its class, *text* says what, where, and what to do next."""

    def __init__(self, word: str, text: str) -> None:
        super().__init__(text)
        self.word = word
        self.text = text

    @property
    def exit_status(self) -> int:
        """The exit status with which a client ends after this failure."""
        return exit_status(self.word)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.word!r}, {self.text!r})"


class RefusedError(TaskManagerError):
    """A request was understood and refused; the conversation goes on."""


class WireError(TaskManagerError):
    """The peer broke the line protocol; the connection cannot go on."""


class ConfigError(TaskManagerError):
    """A configuration file is wrong; the text lists every complaint as ``file:line: what is expected``."""

    def __init__(self, complaints: list[str], word: str = "config.invalid") -> None:
        super().__init__(word, "\n".join(complaints))
        self.complaints = complaints


class StoreError(TaskManagerError):
    """The store could not be opened, read or written; nothing that was refused has been kept."""


class LaunchError(TaskManagerError):
    """A daemon could not be started on a host; *text* holds the reason in one sentence."""


class IllegalMoveError(TaskManagerError):
    """A job was told to do what its lifecycle does not permit; nothing has changed."""

    def __init__(self, job: int, phase: str, event: str) -> None:
        super().__init__("job.move", f"job {job} is {phase}: {event} is not possible now")
        self.job = job
        self.phase = phase
        self.event = event


class MailError(TaskManagerError):
    """A letter was not taken; *passing*: it may be another time."""

    def __init__(self, text: str, passing: bool) -> None:
        super().__init__("mail.refused", text)
        self.passing = passing

"""What the host server orders: one attempt of a job, checked once, when it arrives."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

Key = tuple[int, int]
"""Job and attempt."""


def key_of(values: Any) -> Key:
    """Return the (job, attempt) that *values*, a list of JSON, begins with; raise `ValueError`."""
    job, attempt = values[:2]
    if type(job) is not int or type(attempt) is not int:
        raise ValueError(f"job and attempt are integers, not {values!r}")
    return job, attempt


class Order:
    """One attempt to start. Raises `ValueError`, whose text is a sentence, for an entry that is no order."""

    __slots__ = (
        "append",
        "command",
        "cores",
        "cwd",
        "env",
        "key",
        "stderr",
        "stdin",
        "stdout",
        "umask",
        "vars",
    )

    def __init__(self, entry: Mapping[str, Any]) -> None:
        self.key = key_of((entry["job"], entry["attempt"]))
        self.command: str | list[str] = entry.get("command", "")
        self.cwd: str = entry.get("cwd", "/")
        self.env: str | None = entry.get("env")
        self.vars: dict[str, str] = entry.get("vars") or {}
        umask = entry.get("umask")
        self.umask: int = -1 if umask is None else umask
        self.stdin: str | None = entry.get("stdin")
        self.stdout: str | None = entry.get("stdout")
        self.stderr: str | None = entry.get("stderr")
        self.append = entry.get("append") is True
        self.cores: int = entry.get("cores", 1)
        self._check()

    def _check(self) -> None:
        if isinstance(self.command, list):
            if not self.command or not all(isinstance(word, str) for word in self.command):
                raise ValueError("command must be a text or a list of at least one text")
        elif not isinstance(self.command, str):
            raise ValueError("command must be a text or a list of texts")
        if not isinstance(self.cwd, str):
            raise ValueError("cwd must be a text")
        if not all(
            path is None or isinstance(path, str) for path in (self.env, self.stdin, self.stdout, self.stderr)
        ):
            raise ValueError("env, stdin, stdout and stderr must be texts or null")
        if not isinstance(self.vars, dict) or not all(isinstance(value, str) for value in self.vars.values()):
            raise ValueError("vars must be an object of texts")
        if not isinstance(self.umask, int) or not -1 <= self.umask <= 0o777:
            raise ValueError("umask must be an integer from 0 to 0777")
        if not isinstance(self.cores, int) or self.cores < 0:
            raise ValueError("cores must be an integer of at least 0")

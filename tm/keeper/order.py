"""What the host server orders: one attempt of a job, checked once, when it arrives."""

from __future__ import annotations

from os.path import join

from tm.keeper.limits import Limits

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

Key = tuple[int, int]
"""Job and attempt."""

_TASK = 1 << 52
_INDEX_BITS = 20
"""The ids of tasks, as `tm.model.ids` makes them; a test compares."""


def key_of(values: Any) -> Key:
    """Return the (job, attempt) that *values*, a list of JSON, begins with; raise `ValueError`."""
    job, attempt = values[:2]
    if type(job) is not int or type(attempt) is not int:
        raise ValueError(f"job and attempt are integers, not {values!r}")
    return job, attempt


def number_of(shown: bytes) -> int | None:
    """Return the job that ``TM_JOB_ID`` names: ``17``, or ``17_4`` for a task of an array; None where it names none."""
    array, underscore, index = shown.partition(b"_")
    if not array.isdigit() or (underscore and not index.isdigit()):
        return None
    return _TASK | int(array) << _INDEX_BITS | int(index) if underscore else int(array)


class Order:
    """One attempt to start. Raises `ValueError`, whose text is a sentence, for an entry that is no order."""

    __slots__ = (
        "append",
        "command",
        "cores",
        "cpus",
        "cwd",
        "env",
        "key",
        "limits",
        "script",
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
        env = entry.get("env")
        self.env: tuple[str, ...] = () if env is None else (env,) if isinstance(env, str) else tuple(env)
        self.vars: dict[str, str] = entry.get("vars") or {}
        umask = entry.get("umask")
        self.umask: int = -1 if umask is None else umask
        self.stdin: str | None = entry.get("stdin")
        self.stdout: str | None = entry.get("stdout")
        self.stderr: str | None = entry.get("stderr")
        self.append = entry.get("append") is True
        self.cores: int = entry.get("cores", 1)
        cpus = entry.get("cpus")
        self.cpus: tuple[int, ...] = tuple(cpus) if cpus else ()
        self.script: str = entry.get("script", "")
        self._check()
        self.limits = Limits(entry, self._files() if "output" in entry else ())

    def _files(self) -> tuple[str, ...]:
        """Return the absolute paths of its output files."""
        return tuple({join(self.cwd, path) for path in (self.stdout, self.stderr) if path is not None})

    def _check(self) -> None:
        if isinstance(self.command, list):
            if not self.command or not all(isinstance(word, str) for word in self.command):
                raise ValueError("command must be a text or a list of at least one text")
        elif not isinstance(self.command, str):
            raise ValueError("command must be a text or a list of texts")
        if not isinstance(self.cwd, str):
            raise ValueError("cwd must be a text")
        for path in (*self.env, self.stdin, self.stdout, self.stderr):
            if path is not None and not isinstance(path, str):
                raise ValueError("env, stdin, stdout and stderr must be texts or null")
        if not isinstance(self.vars, dict) or not all(isinstance(value, str) for value in self.vars.values()):
            raise ValueError("vars must be an object of texts")
        if not isinstance(self.umask, int) or not -1 <= self.umask <= 0o777:
            raise ValueError("umask must be an integer from 0 to 0777")
        if not isinstance(self.cores, int) or self.cores < 0:
            raise ValueError("cores must be an integer of at least 0")
        if self.cpus and not all(type(cpu) is int and cpu >= 0 for cpu in self.cpus):
            raise ValueError("cpus must be a list of numbers of processors")
        if not isinstance(self.script, str) or (self.script and isinstance(self.command, str)):
            raise ValueError("script must be a text, and its command then a list")

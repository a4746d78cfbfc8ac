"""How what a job asks is written as options of ``hRunJob``. Standard library only: clients use it.

The law: a line that is made here and read by ``hRunJob`` asks what it was made of.
"""

from __future__ import annotations

import os.path
import shlex

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

_FLAGS = {"exclusive": "--exclusive", "scavenge": "--scavenge", "requeue": "--requeue", "bundle": "--bundle",
          "hold": "--hold", "append": "--append"}  # fmt: skip
_VALUES = {"name": "--name", "cores": "--cores", "gpus": "--gpus", "constraint": "--constraint", "prefer": "--prefer",
           "priority": "--priority", "processes": "--processes", "dependency": "--dependency", "comment": "--comment",
           "account": "--account", "retries": "--retries", "stdin": "--input"}  # fmt: skip
_SECONDS = {"time": "--time", "retry_delay": "--retry-delay", "notify_after": "--notify-after"}
_SIZES = {"memory": "--mem", "output_limit": "--output-limit"}
_LISTS = {"hosts": "--host", "exclude": "--exclude", "retry_on": "--retry-on", "notify": "--mail-user",
          "notify_on": "--mail-type"}  # fmt: skip
_ENDINGS = ("out", "bundle")


def options(asked: Mapping[str, Any]) -> list[str]:
    """Return the words for a shell that ask what *asked*, fields of a request, does; what is unknown is left out."""
    return [word for key, value in asked.items() for word in _option(key, value, asked)]


def _option(key: str, value: Any, asked: Mapping[str, Any]) -> list[str]:
    if key in _FLAGS:
        return [_FLAGS[key]] if value else []
    if key in _VALUES:
        return [f"{_VALUES[key]}={shlex.quote(str(value))}"]
    if key in _SECONDS:
        return [f"{_SECONDS[key]}={int(value)}s"]
    if key in _SIZES:
        return [f"{_SIZES[key]}={value >> 20}M"]
    if key in _LISTS:
        return [f"{_LISTS[key]}={shlex.quote(','.join(value))}"]
    if key == "array":
        return [f"--array={value}" + (f"%{asked['array_cap']}" if asked.get("array_cap") else "")]
    if key == "retry_memory":
        return [f"--retry-memory=x{value:g}"]
    if key == "warn_signal":
        return [f"--signal={value}@{int(asked.get('warn_seconds', 60))}"]
    if key == "layout":
        return [f"--{value}"]
    if key == "consumables":
        return ["--licenses=" + ",".join(f"{name}:{count}" for name, count in value.items())]
    return []


def whole(words: list[str], cwd: str, command: str) -> str:
    """Return the line for a shell that submits *command* with the options *words* from the folder *cwd*."""
    folder = f"cd {shlex.quote(cwd)} && " if cwd else ""
    return f"{folder}hRunJob {' '.join(words)}{' ' if words else ''}{shlex.quote(command)}"


def again(job: Mapping[str, Any]) -> str:
    """Return the line for a shell that submits *job*, as ``jobinfo`` tells it, once more as it was asked."""
    if job.get("script"):
        return f"hRunJob --rerun {job.get('id')}"
    words = options(job.get("asked") or {})
    words += [f"{option}={shlex.quote(path)}" for option, path in _files(job)]
    return whole(words, str(job.get("cwd") or "."), str(job.get("command") or ""))


def _files(job: Mapping[str, Any]) -> list[tuple[str, str]]:
    """Return the options for the files of *job*, where these are not the usual ones."""
    usual = {f"tm-{shown}.{ending}" for shown in ("%j", job.get("id"), job.get("array")) for ending in _ENDINGS}
    stdout, stderr = str(job.get("stdout") or ""), str(job.get("stderr") or "")
    found = [("--output", stdout)] if os.path.basename(stdout) not in ("", *usual) else []
    return [*found, ("--error", stderr)] if stderr not in ("", stdout) else found

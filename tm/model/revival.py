"""Servers that a machine starts again by itself after its boot: by a unit of the account's user manager, or a crontab.

Pure: texts in, texts out. The law: of a crontab only the line with our mark is ever touched.
"""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from enum import StrEnum
from typing import NamedTuple

from tm.errors import TaskManagerError

UNIT_FOLDER = "systemd/user"
_MARK = "# taskmanager:"


class Means(StrEnum):
    """What starts a server after a boot."""

    UNIT = "user unit"
    CRONTAB = "crontab"
    NONE = "nothing"


class Found(NamedTuple):
    """What a machine permits: whether the account's user manager *answers* and is *lingering*, whether the account may
    have a *crontab*, and why not (*refusal*)."""

    answers: bool
    lingering: bool
    crontab: bool
    refusal: str = ""


class Service(NamedTuple):
    """One server that is to come back: *name* like ``tms-physics``; its program and arguments, its variables, and the
    machine it is for."""

    name: str
    title: str
    program: Sequence[str]
    arguments: Sequence[str]
    variables: Mapping[str, str]
    machine: str

    @property
    def unit(self) -> str:
        """The name of its unit."""
        return f"taskmanager-{self.name}.service"


def choose(found: Found) -> Means:
    """Return the best means that a machine permits: a unit restarts what has died, too."""
    if found.answers and found.lingering:
        return Means.UNIT
    return Means.CRONTAB if found.crontab else Means.NONE


def refusal(found: Found, account: str) -> str:
    """Return what can be done where neither means is there."""
    because = f" ({found.refusal})" if found.refusal else ""
    return (
        f"nothing here may start it after a boot: no user manager of systemd that lingers, and no crontab{because}."
        f" An administrator can say 'loginctl enable-linger {account}', or install cron and let {account} use it;"
        " until then any hRunJob starts your server (TMS), and the dispatcher's ssh the servers on hosts"
    )


# -- units ----------------------------------------------------------------------------------------------------------


def unit_text(service: Service) -> str:
    """Return the unit of *service*. It ends alone: jobs and other servers that it has started stay."""
    command = [*service.program, "-n", *service.arguments]  # in the foreground
    lines = [
        "[Unit]",
        f"Description=TaskManager: {_plain(service.title)}",
        f"ConditionHost={_plain(service.machine)}",  # homes may be shared: it is for this machine alone
        "",
        "[Service]",
        "ExecStart=" + " ".join(_word(word).replace("$", "$$") for word in command),
        *(f"Environment={_word(f'{name}={value}')}" for name, value in service.variables.items()),
        "KillMode=process",
        "Restart=on-failure",
        "RestartSec=5",
        "",
        "[Install]",
        "WantedBy=default.target",
    ]
    return "\n".join([*lines, ""])


def _word(text: str) -> str:
    _check(text)
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"').replace("%", "%%") + '"'


def _plain(text: str) -> str:
    _check(text)
    return text.replace("%", "%%")


# -- crontabs -------------------------------------------------------------------------------------------------------


def cron_line(service: Service) -> str:
    """Return the line of *service*, without its end."""
    variables = [f"{name}={value}" for name, value in service.variables.items()]
    words = [*(["env", *variables] if variables else []), *service.program, *service.arguments]
    for word in words:
        _check(word)
    command = " ".join(map(shlex.quote, words)).replace("%", "\\%")
    return f"@reboot {command} >/dev/null 2>&1 {_MARK}{service.name}"


def with_line(crontab: str, service: Service) -> str:
    """Return *crontab* with the line of *service* in the place of its older one, or at the end."""
    wanted = cron_line(service)
    lines = crontab.split("\n")
    ours = [place for place, line in enumerate(lines) if _is_of(line, service.name)]
    if ours:
        lines[ours[0]] = wanted
        return "\n".join(line for place, line in enumerate(lines) if place not in ours[1:])
    end = "" if not crontab or crontab.endswith("\n") else "\n"
    return f"{crontab}{end}{wanted}\n"


def without_line(crontab: str, name: str) -> str:
    """Return *crontab* without the line of the service called *name*."""
    return "\n".join(line for line in crontab.split("\n") if not _is_of(line, name))


def line_of(crontab: str, name: str) -> str:
    """Return the line of the service called *name*, or an empty text."""
    return next((line for line in crontab.split("\n") if _is_of(line, name)), "")


def _is_of(line: str, name: str) -> bool:
    return line.startswith("@reboot ") and line.rstrip(" \t\r").endswith(f" {_MARK}{name}")


def _check(text: str) -> None:
    if any(character in text for character in "\n\r\0"):
        raise TaskManagerError("config.invalid", f"{text!r} cannot stand in a unit or a crontab; rename it")

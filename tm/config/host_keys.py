"""The keys of a host in ``ComputerCluster.config``: what each may hold, and what complaint its other values give.

Each reader takes a value as TOML has it and returns it as `HostConfig` has it, or raises `ValueError` with what is
expected.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from typing import Any

from tm.errors import ConfigError
from tm.model import installed
from tm.model.constraint import RESERVED
from tm.model.host import LAUNCHERS, Courtesy
from tm.model.hours import parse_hours
from tm.model.installed import Paths
from tm.model.resources import parse_memory
from tm.places import valid_name

MOST_CONSUMABLES = 1_000_000
MOST_IDLE_SECONDS = 7 * 86400

_ADDRESS = re.compile(r"[A-Za-z0-9_.:][A-Za-z0-9_.:-]{0,252}\Z")
_ACCOUNT = re.compile(r"[A-Za-z0-9_.][A-Za-z0-9_.-]{0,63}\Z")
_PATH = re.compile(r"(?:/|~/)[^\x00-\x1f\x7f\"\\$%]*\Z")
_WORD = re.compile(r"[A-Za-z0-9_][A-Za-z0-9_.+-]{0,63}\Z")
_PATH_EXPECTED = "a path that begins with '/' or '~/'"
OPTIONS = {
    "port": "a number from 1 to 65535",
    "user": "the name of an account",
    "identity": _PATH_EXPECTED,
    "known_hosts": _PATH_EXPECTED,
    "config": _PATH_EXPECTED,
}


def address(value: object) -> str:
    """Return a host name or address that cannot be taken for an option of ssh."""
    if isinstance(value, str) and _ADDRESS.match(value):
        return value
    raise ValueError("expected a host name or address of letters, digits, '_', '.', ':' and '-'")


def options(value: object) -> dict[str, Any]:
    """Return the launcher's options."""
    if not isinstance(value, dict):
        raise ValueError("expected a table of the launcher's options, like options = { port = 2222 }")
    for key, one in value.items():
        if key not in OPTIONS:
            raise ValueError(f"option '{key}' is not known; expected {', '.join(OPTIONS)}")
        if not _fits(key, one):
            raise ValueError(f"option '{key}': expected {OPTIONS[key]}")
    return value


def _fits(option: str, value: object) -> bool:
    if option == "port":
        return _is_whole(value, 1, 65535)
    pattern = _ACCOUNT if option == "user" else _PATH
    return isinstance(value, str) and pattern.match(value) is not None


def memory(value: object) -> int | None:
    """Return bytes; None for a size of 0, which stands for memory that is not counted."""
    if _is_whole(value, 1, 2**62):
        return int(value)  # type: ignore[call-overload]
    if isinstance(value, str):
        return parse_memory(value) or None
    raise ValueError('expected a size like "64G" or a number of bytes')


def consumables(value: object) -> dict[str, int]:
    """Return how many there are of each named thing."""
    if not isinstance(value, dict):
        raise ValueError("expected a table of names and numbers, like consumables = { matlab = 4 }")
    for name, count in value.items():
        if not _WORD.match(name) or not _is_whole(count, 0, MOST_CONSUMABLES):
            raise ValueError(f"'{name}': expected a name and a number from 0 to {MOST_CONSUMABLES:,}, like matlab = 4")
    return value


def features(value: object) -> tuple[str, ...]:
    """Return words, each once."""
    found = _words(value, 'expected words of letters, digits, \'_.+-\', like features = ["gpu", "avx512"]', _is_word)
    for word in found:
        if word.lower() in RESERVED:
            raise ValueError(f"'{word}' joins features in constraints and cannot be one")
    return found


def people(value: object) -> tuple[str, ...]:
    """Return users, groups (``@physics``) and ``*``."""
    return _words(value, 'expected names of users, "@GROUP" for groups, "*" for everybody', _is_person)


def hours(value: object) -> tuple[str, ...]:
    """Return service hours, whose syntax is right."""
    found = _words(value, 'expected a list like hours = ["mon-fri 20:00-07:00", "sat,sun"]', lambda text: True)
    for text in found:
        parse_hours(text)
    return found


def policy(value: object) -> Courtesy:
    """Return what is done when others need the host."""
    try:
        return Courtesy(str(value))
    except ValueError:
        raise ValueError(f"expected one of {', '.join(Courtesy)}") from None


def console_idle(value: object) -> float:
    """Return seconds."""
    if isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value):
        if 0 <= value <= MOST_IDLE_SECONDS:
            return float(value)
    raise ValueError("expected seconds, 300 for five minutes; 0 where the console does not matter")


def launcher(value: object) -> str:
    """Return the name of a launcher."""
    if isinstance(value, str) and value in LAUNCHERS:
        return value
    raise ValueError(f"expected one of {', '.join(LAUNCHERS)}")


def path(value: object) -> str:
    """Return a path on the host; an empty one stands for the usual place."""
    if isinstance(value, str) and (not value or _PATH.match(value)):
        return value
    raise ValueError(f"expected {_PATH_EXPECTED}")


def python(value: object) -> str:
    """Return the path of a Python on the host, or a name it is found by there."""
    return _installed("python", value)


def program(value: object) -> str:
    """Return the path of a one-file program on the host."""
    return _installed("program", value)


def _installed(key: str, value: object) -> str:
    if isinstance(value, str):
        try:
            installed.check(Paths(**{key: value}))
        except ConfigError as error:
            raise ValueError(error.text.partition(": ")[2]) from None
        return value
    raise ValueError(f"expected {_PATH_EXPECTED}")


def truth(value: object) -> bool:
    """Return true or false."""
    if isinstance(value, bool):
        return value
    raise ValueError("expected true or false")


def _whole(least: int, most: int, expected: str) -> Callable[[object], int]:
    def read(value: object) -> int:
        if _is_whole(value, least, most):
            return int(value)  # type: ignore[call-overload,no-any-return]
        raise ValueError(expected)

    return read


def _is_whole(value: object, least: int, most: int) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and least <= value <= most


def _words(value: object, expected: str, fits: Callable[[str], bool]) -> tuple[str, ...]:
    if isinstance(value, list) and all(isinstance(one, str) for one in value):
        for one in value:
            if not fits(one):
                raise ValueError(f"'{one:.40}': {expected}")
        return tuple(dict.fromkeys(value))
    raise ValueError(expected)


def _is_word(text: str) -> bool:
    return _WORD.match(text) is not None


def _is_person(text: str) -> bool:
    return text == "*" or valid_name(text.removeprefix("@"))


KEYS: Mapping[str, Callable[[object], object]] = {
    "launcher": launcher,
    "options": options,
    "cores": _whole(1, 65536, "expected a number of cores from 1 to 65536; without the line the machine is asked"),
    "memory": memory,
    "gpus": _whole(0, 1024, "expected a number of GPUs from 0 to 1024; without the line the machine is asked"),
    "features": features,
    "consumables": consumables,
    "active": truth,
    "policy": policy,
    "console_idle": console_idle,
    "hours": hours,
    "users": people,
    "owners": people,
    "python": python,
    "root": path,
    "program": program,
    "infoserver": truth,
    "info_port": _whole(0, 65535, "expected a port from 1 to 65535, or 0 for any"),
    "tunnel": truth,
}
"""What may stand in ``[defaults]``, in a group of hosts and in a host, and how it is read."""
MERGED = ("options", "consumables")
"""Tables of which a host or group need only say what is other than in what it builds on."""

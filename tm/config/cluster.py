"""What ``ComputerCluster.config`` says of the cluster as a whole: ``[scheduling]``, ``[licenses]``, ``[mail]``."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from tm.config.document import Document
from tm.model.duration import parse_duration
from tm.model.host import HostConfig
from tm.model.settings import Mail, Scheduling

SCHEDULING, LICENSES, MAIL = "scheduling", "licenses", "mail"
TABLES = (SCHEDULING, LICENSES, MAIL)
MOST_LICENSES = 100_000
YEAR = 366 * 86400.0
_LICENSE = re.compile(r"[A-Za-z_][A-Za-z0-9_.-]{0,63}\Z")
_HOST = re.compile(r"[A-Za-z0-9_.:][A-Za-z0-9_.:-]{0,252}\Z")
_SENDER = re.compile(r"[^\s@<>\"]{1,64}@[^\s@<>\"]{1,253}\Z")


def read_scheduling(document: Document, hosts: Iterable[HostConfig]) -> Scheduling:
    """Return the settings of the scheduler; what is wrong goes to the complaints of *document*."""
    values = _read(document, SCHEDULING, SCHEDULING_KEYS)
    return Scheduling(**values, licenses=_licenses(document, hosts))


def read_mail(document: Document) -> Mail:
    """Return who takes letters; what is wrong goes to the complaints of *document*."""
    return Mail(**_read(document, MAIL, MAIL_KEYS))


def _licenses(document: Document, hosts: Iterable[HostConfig]) -> dict[str, int]:
    there = {name for host in hosts for name in host.consumables}
    found = {}
    for name, count in _table(document, LICENSES).items():
        if not _LICENSE.match(name):
            document.complain("a license is named with letters, digits, '_', '.' and '-'", LICENSES, name)
        elif isinstance(count, bool) or not isinstance(count, int) or not 0 <= count <= MOST_LICENSES:
            document.complain(f"expected a number from 0 to {MOST_LICENSES:,}, like {name} = 10", LICENSES, name)
        elif name in there:
            document.complain(
                f"'{name}' is a consumable of hosts, too: expected one or the other, since jobs ask for both by name",
                LICENSES, name,
            )  # fmt: skip
        else:
            found[name] = count
    return found


def _table(document: Document, name: str) -> dict[str, Any]:
    table = document.data.get(name, {})
    if isinstance(table, dict):
        return table
    document.complain(f"expected a table [{name}]", name)
    return {}


def _read(document: Document, name: str, keys: Mapping[str, Callable[[object], object]]) -> dict[str, Any]:
    table = _table(document, name)
    if table:
        document.only(set(keys), name)
    found = {}
    for key, value in table.items():
        if key in keys:
            try:
                found[key] = keys[key](value)
            except ValueError as error:
                document.complain(str(error), name, key)
    return found


def _seconds(least: float, most: float, expected: str) -> Callable[[object], float]:
    def read(value: object) -> float:
        try:
            seconds = parse_duration(value) if isinstance(value, str) else _number(value)
        except ValueError:
            seconds = -1.0
        if least <= seconds <= most:
            return seconds
        raise ValueError(f"expected {expected}")

    return read


def _number(value: object) -> float:
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else -1.0


def _whole(least: int, most: int, expected: str) -> Callable[[object], int]:
    def read(value: object) -> int:
        if isinstance(value, int) and not isinstance(value, bool) and least <= value <= most:
            return value
        raise ValueError(f"expected {expected} from {least} to {most:,}")

    return read


def _text(pattern: re.Pattern[str], expected: str) -> Callable[[object], str]:
    def read(value: object) -> str:
        if isinstance(value, str) and pattern.match(value):
            return value
        raise ValueError(f"expected {expected}")

    return read


SCHEDULING_KEYS: Mapping[str, Callable[[object], object]] = {
    "half_life": _seconds(60.0, 10 * YEAR, 'a time from a minute on, like "7d"'),
    "age_weight": _seconds(1.0, 10 * YEAR, 'a time from a second on, like "1d"'),
    "reservations": _whole(0, 1000, "a number of reservations"),
    "default_time": _seconds(0.0, 10 * YEAR, 'a time like "8h", or 0 for no limit'),
    "processes": _whole(16, 4_194_304, "a number of processes"),
    "archive_months": _whole(0, 1200, "a number of months"),
}
"""What may stand in ``[scheduling]``, and how it is read."""
MAIL_KEYS: Mapping[str, Callable[[object], object]] = {
    "host": _text(_HOST, "a host name or an address"),
    "port": _whole(1, 65535, "a port"),
    "sender": _text(_SENDER, 'an address like sender = "taskmanager@example.org"'),
}
"""What may stand in ``[mail]``, and how it is read."""

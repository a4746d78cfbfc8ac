"""What can be set of a cluster: each property's name, meaning, unit, default, kind, and when another value counts.

The law: every key that the files of the configuration may hold has a `Property` here, and no other has; what a key's
values are the loaders of those files know. A property is called TABLE.KEY, as it stands in the files: ``scheduling``,
``licenses``, ``mail`` and ``defaults`` of ``ComputerCluster.config``, ``dispatcher`` for ``TaskDispatcher.info``.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from tm.model.duration import format_duration
from tm.model.host import LAUNCHERS, Courtesy, HostConfig
from tm.model.settings import Mail, Scheduling

UNITS = {"duration": "90s, 8h, 7d", "size": "512M, 64G"}
"""What is shown as the unit of those whose values carry theirs."""
KINDS = ("number", "text", "duration", "size", "flag", "choice", "list", "table")
NOW, RESTART = "now", "restart"
DEFAULTS, SCHEDULING, LICENSES, MAIL, DISPATCHER = "defaults", "scheduling", "licenses", "mail", "dispatcher"
TABLES = (SCHEDULING, LICENSES, MAIL, DEFAULTS, DISPATCHER)
"""The tables that properties stand in, in the order in which they are shown."""

_START = "at once, for servers that are started from now on"
_FIXED = "decides where the servers of running jobs are found: change it by hand while the cluster is stopped"


class Property(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that can be set; *default* is what holds where its line is missing, as it would be written there.

    *effect* is ``now`` or ``restart``, *when* says it in a sentence. *apart* is what stands between the values of a
    list as people type them. What is not *changeable* is changed by hand, for the reason that *when* gives.
    """

    name: str
    meaning: str
    kind: str
    default: Any = None
    unit: str = ""
    choices: tuple[str, ...] = ()
    effect: str = NOW
    when: str = "at once"
    apart: str = ","
    changeable: bool = True

    @property
    def table(self) -> str:
        """The table it stands in."""
        return self.name.partition(".")[0]

    @property
    def key(self) -> str:
        """Its key there."""
        return self.name.partition(".")[2]


def _default(settings: object, key: str, kind: str) -> Any:
    """Return the default of a setting as a file has it."""
    value = getattr(settings, key)
    if kind == "duration" and value:
        return format_duration(value)
    if isinstance(value, tuple):
        return list(value)
    if isinstance(value, float) and value.is_integer():
        return int(value)
    return str(value) if isinstance(value, Courtesy) else dict(value) if isinstance(value, Mapping) else value


def _settings(table: str, settings: object, *rows: tuple[str, str, str, Mapping[str, Any]]) -> list[Property]:
    return [
        Property(
            name=f"{table}.{key}", meaning=meaning, kind=kind, default=_default(settings, key, kind),
            **{"unit": UNITS.get(kind, ""), **more},
        )
        for key, kind, meaning, more in rows
    ]  # fmt: skip


_SCHEDULING = _settings(
    SCHEDULING, Scheduling(),
    ("half_life", "duration", "when what somebody has used counts half in their fair share", {}),
    ("age_weight", "duration", "waiting so long weighs as much as the whole range of the fair share", {}),
    ("reservations", "number", "a place is kept for so many kinds of waiting jobs, so that wide ones come to turn",
     {"unit": "kinds of jobs"}),
    ("default_time", "duration", "the wall time of jobs that ask for none; 0: without limit",
     {"when": "at once, for jobs that start from now on"}),
    ("processes", "number", "the most processes of a job that asks for no other number",
     {"unit": "processes", "when": "at once, for jobs that start from now on"}),
    ("archive_months", "number", "whole months that ended jobs stay at hand beside the present one; 0: all of them",
     {"unit": "months", "when": "at once; older jobs leave within minutes, and do not come back"}),
)  # fmt: skip
LICENSE = Property(
    name=f"{LICENSES}.*", kind="number", unit="in use at once",
    meaning="how many of this the cluster as a whole has, for jobs that ask for it with --consumable",
)  # fmt: skip
"""Every license: how it is called the group decides."""
_MAIL = _settings(
    MAIL, Mail(),
    ("host", "text", "the machine that takes the letters to owners of jobs", {"when": "at once, for the next letter"}),
    ("port", "number", "the port it takes them at", {"when": "at once, for the next letter"}),
    ("sender", "text", "the address they come from; empty: the dispatcher's account on its machine",
     {"when": "at once, for the next letter"}),
)  # fmt: skip
_HOST = _settings(
    DEFAULTS, HostConfig(name="", address=""),
    ("launcher", "choice", "how servers are started there: by the system's ssh, by ssh inside the user's server, or"
     " on this very machine", {"choices": LAUNCHERS, "when": _START}),
    ("options", "table", "what the launcher is to know: port, user, identity, known_hosts, config", {"when": _START}),
    ("cores", "number", "cores offered to jobs; without it the machine is asked", {"unit": "cores"}),
    ("memory", "size", "memory offered to jobs; without it memory is not counted", {}),
    ("gpus", "number", "graphics processors offered to jobs; without it the machine is asked", {"unit": "GPUs"}),
    ("features", "list", "words that jobs may ask for", {}),
    ("consumables", "table", "things that are counted there, each with how many there are", {}),
    ("active", "flag", "whether jobs may start there", {}),
    ("policy", "choice", "what becomes of jobs when people outside TaskManager need the machine",
     {"choices": tuple(str(one) for one in Courtesy)}),
    ("console_idle", "number", "after so long nobody is at the keyboard any more; 0: the console does not matter",
     {"unit": "seconds"}),
    ("hours", "list", "when jobs may start there, as mon-fri 20:00-07:00 or sat,sun; none: always", {"apart": ";"}),
    ("users", "list", "whose jobs may use it: users, @GROUP, * for everybody", {}),
    ("owners", "list", "whose machine it is: they may send TaskManager away for a time", {}),
    ("python", "text", "the Python there, if it is not where it is here", {"when": _START}),
    ("root", "text", "the folder of TaskManager there, if it is not where it is here", {"when": _START}),
    ("program", "text", "the one-file program there, in place of python and root", {"when": _START}),
    ("infoserver", "flag", "whether an InfoServer is kept there, which says what the machine is and how busy", {}),
    ("info_port", "number", "the port that InfoServer listens on; 0: any", {"when": _START}),
    ("tunnel", "flag", "whether its servers come back through ssh, because the host cannot reach us",
     {"when": _START}),
)  # fmt: skip
_ELSEWHERE = "when the dispatcher is started again; clients look for it there at once"
_DISPATCHER = [
    Property(name=f"{DISPATCHER}.{key}", meaning=meaning, kind=kind, effect=RESTART, when=when, changeable=changeable)
    for key, kind, meaning, when, changeable in (
        ("host", "text", "the machine the TaskDispatcher runs on, as clients and servers find it", _ELSEWHERE, True),
        ("port", "number", "the port it listens on, unless it is started with another", _ELSEWHERE, True),
        ("cluster", "text", "what the cluster is called", _FIXED, False),
        ("user_directory", "text", "where each user's key and certificates are; the usual place is ~/.taskManager",
         _FIXED, False),
        ("local_directory", "text", "the local folder of the daemons on every machine; the usual one is"
         " /var/tmp/taskmanager-UID/CLUSTER", _FIXED, False),
    )
]  # fmt: skip

PROPERTIES: Mapping[str, Property] = {one.name: one for one in (*_SCHEDULING, LICENSE, *_MAIL, *_HOST, *_DISPATCHER)}
"""Every property by its name; all licenses share one."""

HOST_KEYS: Mapping[str, Property] = {
    "address": Property(
        name="hosts.address", kind="text", meaning="where ssh finds it, if that is not its name", when=_START
    ),
    "group": Property(name="hosts.group", kind="text", meaning="the group of hosts whose values it takes over"),
    **{one.key: one for one in _HOST},
}
"""What can be said of one host, by key; a default is what holds where neither it, its group nor ``[defaults]`` says."""


def find(name: str) -> Property | None:
    """Return the property *name*, also of a license that is not there yet; None when nothing is called so."""
    if name.startswith(f"{LICENSES}.") and len(name) > len(LICENSES) + 1 and name != LICENSE.name:
        return msgspec.structs.replace(LICENSE, name=name)
    return PROPERTIES.get(name) if name != LICENSE.name else None


def names_in(tables: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """Return the names of all properties of a configuration with these *tables*: those there are, and its licenses."""
    licenses = [f"{LICENSES}.{name}" for name in tables.get(LICENSES, {})]
    found: list[str] = []
    for name in PROPERTIES:
        found += licenses if name == LICENSE.name else [name]
    return found


def value_of(one: Property, text: str) -> Any:
    """Return what somebody means who typed *text*; what does not fit stays a text, and the loaders say so."""
    word = text.strip()
    if one.kind == "number" or (one.kind == "duration" and word.isascii() and word.isdigit()):
        return _number(word)
    if one.kind == "flag":
        return _FLAGS.get(word.lower(), word)
    if one.kind == "list":
        return [part for line in text.splitlines() for part in map(str.strip, line.split(one.apart)) if part]
    if one.kind == "table":
        parts = [part for line in text.splitlines() for part in map(str.strip, line.split(",")) if part]
        return {name.strip(): _number(value.strip()) for name, _, value in (part.partition("=") for part in parts)}
    return word


_FLAGS = {"true": True, "yes": True, "on": True, "false": False, "no": False, "off": False}


def _number(word: str) -> int | float | str:
    try:
        number = float(word) if len(word) <= 18 else word
    except ValueError:
        return word
    if isinstance(number, str) or number != number or number in (float("inf"), float("-inf")):
        return word
    return int(number) if number.is_integer() else number


def text_of(one: Property, value: object) -> str:
    """Return *value* as somebody would type it; empty where there is none."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, list | tuple):
        return f"{one.apart} ".join(map(str, value))
    if isinstance(value, Mapping):
        return ", ".join(f"{name}={part}" for name, part in value.items())
    return str(value)

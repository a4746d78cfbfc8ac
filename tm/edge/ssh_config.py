"""What the user's ssh configuration asks for a host that only the ``ssh`` program can do.

The in-process launcher reads no ssh configuration. To go another way than the user said would be worse than
to refuse, so this finds the lines that decide where a connection goes. It looks at no ``Match`` block and no
included file.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from tm.edge.known_hosts import matches_pattern

if TYPE_CHECKING:
    from collections.abc import Iterable

_DECIDING = {
    "hostname": "HostName",
    "hostkeyalias": "HostKeyAlias",
    "proxycommand": "ProxyCommand",
    "proxyjump": "ProxyJump",
    "port": "Port",
    "user": "User",
}
_WORDS = re.compile(r'"([^"]*)"|([^\s"]+)')


def deciding_lines(lines: Iterable[str], host: str) -> dict[str, str]:
    """Return the settings for *host* that decide where a connection goes, e.g. ``{"ProxyJump": "gate"}``."""
    found: dict[str, str] = {}
    applies = True
    for line in lines:
        words = _split(line)
        if not words:
            continue
        keyword, arguments = words[0].lower(), words[1:]
        if keyword == "host":
            applies = _applies(arguments, host)
        elif keyword == "match":
            applies = False
        elif applies and keyword in _DECIDING and arguments:
            found.setdefault(_DECIDING[keyword], " ".join(arguments))
    return {name: value for name, value in found.items() if not _says_nothing(name, value, host)}


def _split(line: str) -> list[str]:
    stripped = line.strip()
    if not stripped or stripped.startswith("#"):
        return []
    keyword, _, rest = re.sub(r"\s*=\s*|\s+", " ", stripped, count=1).partition(" ")
    return [keyword, *(quoted or plain for quoted, plain in _WORDS.findall(rest))]


def _applies(patterns: list[str], host: str) -> bool:
    matched = False
    for pattern in patterns:
        if matches_pattern(pattern.removeprefix("!"), host):
            if pattern.startswith("!"):
                return False
            matched = True
    return matched


def _says_nothing(name: str, value: str, host: str) -> bool:
    if name.startswith("Proxy"):
        return value.lower() == "none"
    return name == "HostName" and value in ("%h", host)

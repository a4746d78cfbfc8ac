"""Which host keys the user trusts: a reader of OpenSSH's known_hosts files, which are never written here.

It looks up as ssh does: ``[host]:port`` for another port than 22, and the bare name where that finds nothing;
patterns with ``*``, ``?`` and ``!``; hashed names; ``@revoked`` keys and ``@cert-authority`` lines.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

_MARKERS = ("@revoked", "@cert-authority")
_USUAL_PORT = 22


@dataclass
class HostKeys:
    """What is known of one host: trusted *keys*, *revoked* ones (blobs), whether an *authority* signs."""

    keys: list[bytes] = field(default_factory=list)
    revoked: list[bytes] = field(default_factory=list)
    authority: bool = False

    def kinds(self) -> list[str]:
        """Return the types of the trusted keys, e.g. ``ssh-ed25519``, in the order of the files."""
        return list(dict.fromkeys(key_kind(key) for key in self.keys))


def key_kind(blob: bytes) -> str:
    """Return the type that stands at the front of a public key, e.g. ``ssh-ed25519``."""
    size = int.from_bytes(blob[:4], "big")
    return blob[4 : 4 + size].decode("ascii", "replace")


def look_up(lines: Iterable[str], host: str, port: int | None = None) -> HostKeys:
    """Return what the *lines* of known_hosts files say of *host* at *port*; faulty lines are skipped."""
    entries = [entry for entry in map(_parse, lines) if entry is not None]
    host = host.lower()
    if port is None or port == _USUAL_PORT:
        return _gather(entries, host)
    found = _gather(entries, f"[{host}]:{port}")
    bare = _gather(entries, host)
    found.revoked += bare.revoked
    if not found.keys:
        found.keys = bare.keys
        found.authority = found.authority or bare.authority
    return found


def _gather(entries: list[tuple[str, str, bytes]], name: str) -> HostKeys:
    found = HostKeys()
    for marker, patterns, blob in entries:
        if not _matches(patterns, name):
            continue
        if marker == "@revoked":
            found.revoked.append(blob)
        elif marker == "@cert-authority":
            found.authority = True
        else:
            found.keys.append(blob)
    return found


def _parse(line: str) -> tuple[str, str, bytes] | None:
    words = line.split()
    marker = words.pop(0) if words and words[0] in _MARKERS else ""
    if len(words) < 3 or words[0].startswith(("#", "@")):
        return None
    try:
        blob = base64.b64decode(words[2], validate=True)
    except (binascii.Error, ValueError):
        return None
    return (marker, words[0], blob) if key_kind(blob) == words[1] else None


def _matches(patterns: str, name: str) -> bool:
    if patterns.startswith("|"):
        return _matches_hashed(patterns, name)
    matched = False
    for pattern in patterns.lower().split(","):
        if matches_pattern(pattern.removeprefix("!"), name):
            if pattern.startswith("!"):
                return False
            matched = True
    return matched


def matches_pattern(pattern: str, name: str) -> bool:
    """Whether *name* fits a pattern of ssh, in which ``*`` stands for any characters and ``?`` for one."""
    expression = "".join({"*": ".*", "?": "."}.get(c) or re.escape(c) for c in re.sub(r"\*+", "*", pattern))
    return re.fullmatch(expression, name, re.DOTALL) is not None


def _matches_hashed(hashed: str, name: str) -> bool:
    parts = hashed.split("|")
    if len(parts) != 4 or parts[1] != "1":
        return False
    try:
        salt, wanted = base64.b64decode(parts[2]), base64.b64decode(parts[3])
    except (binascii.Error, ValueError):
        return False
    return hmac.compare_digest(hmac.new(salt, name.encode(), hashlib.sha1).digest(), wanted)

"""The recorded sessions of ``docs/protocol.md``: reading them, and playing the client's side of one to a server."""

from __future__ import annotations

import re
import socket
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from tm.places import find_root

DOCUMENT = Path(find_root(), "docs", "protocol.md")

_BLOCK = re.compile(r"^```session (\S+) (\S+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_PLACEHOLDER = re.compile(r"<([a-z]+)(\d*)>")
_BYTE = re.compile(rb"<byte ([0-9A-F]{2})>")
_MANY = re.compile(rb"<(\d+) x>")
_REMEMBERED = ("id", "home")
_PATTERNS = {
    "id": r"[1-9]\d*",
    "time": r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z",
    "pid": r"[1-9]\d*",
    "number": r"\d+(?:\.\d+)?(?:e-\d+)?",
    "version": r"\d+\.\d+\.\d+\S*?",
    "fingerprint": r"[0-9a-f]{16}",
    "home": r"/\S*?",
    "text": r".*?",
}


@dataclass
class Session:
    """One block: *who* speaks to *server*, and its lines."""

    who: str
    server: str
    lines: list[str] = field(default_factory=list)


def sessions(document: str) -> list[Session]:
    """Return the sessions of a document, in its order."""
    return [Session(who, server, text.splitlines()) for who, server, text in _BLOCK.findall(document)]


class Replay:
    """Plays the client of a session on *sock*; *meanwhile* does what a line in parentheses says: ``job 3 ends``."""

    def __init__(self, sock: socket.socket, meanwhile: Callable[[str], None]) -> None:
        self._socket = sock
        self._meanwhile = meanwhile
        self._received = b""
        self._known: dict[str, str] = {}

    def run(self, session: Session) -> None:
        """Say and hear every line; raise `AssertionError` at the first that differs."""
        for kind, lines in _grouped(session.lines):
            if kind == "C":
                self._socket.sendall(b"".join(self._spoken(line) for line in lines))
            for line in lines:
                if kind == "S":
                    self._hear(line)
                elif kind == "(":
                    self._meanwhile(self._filled(line))

    def _spoken(self, line: str) -> bytes:
        raw = _BYTE.sub(lambda found: bytes([int(found.group(1), 16)]), self._filled(line).encode())
        return _MANY.sub(lambda found: b"x" * int(found.group(1)), raw) + b"\n"

    def _filled(self, line: str) -> str:
        return _PLACEHOLDER.sub(lambda found: self._known.get(found.group(0), found.group(0)), line)

    def _hear(self, line: str) -> None:
        if line == "<end>":
            rest = self._received + self._more()
            if rest:
                raise AssertionError(f"expected the end of the connection, heard {rest[:200]!r}")
            return
        while b"\n" not in self._received:
            more = self._more()
            if not more:
                raise AssertionError(f"expected\n  {line}\nheard the end of the connection")
            self._received += more
        raw, _, self._received = self._received.partition(b"\n")
        heard = raw.decode()
        found = re.fullmatch(self._pattern(line), heard)
        if found is None:
            raise AssertionError(f"expected\n  {line}\nheard\n  {heard}")
        self._known |= {f"<{name}>": value for name, value in found.groupdict().items()}

    def _more(self) -> bytes:
        try:
            return self._socket.recv(65536)
        except ConnectionResetError:
            return b""

    def _pattern(self, line: str) -> str:
        """Return the expression of *line*: what a placeholder was before it must be again."""
        parts: list[str] = []
        at = 0
        new: set[str] = set()
        for found in _PLACEHOLDER.finditer(line):
            name, number = found.groups()
            parts.append(re.escape(line[at : found.start()]))
            at = found.end()
            if name not in _PATTERNS:
                raise AssertionError(f"<{name}> is no placeholder of the document")
            known = self._known.get(found.group(0))
            if name not in _REMEMBERED:
                parts.append(_PATTERNS[name])
            elif known is not None:
                parts.append(re.escape(known))
            elif name + number in new:
                parts.append(f"(?P={name}{number})")
            else:
                new.add(name + number)
                parts.append(f"(?P<{name}{number}>{_PATTERNS[name]})")
        return "".join([*parts, re.escape(line[at:])])


def _grouped(lines: list[str]) -> Iterator[tuple[str, list[str]]]:
    """Yield runs of lines of one kind: C, S, or ( with what stands in parentheses."""
    kind, run = "", []
    for line in lines:
        sign, text = (line[:1], line[1:-1]) if line.startswith("(") else (line[:1], line[3:])
        if sign not in "CS(" or (sign != "(" and line[1:3].strip() not in (":", "")) or not line:
            raise AssertionError(f"a line of a session begins with 'C: ', 'S: ' or '(': {line}")
        if sign != kind and run:
            yield kind, run
            run = []
        kind = sign
        run.append(text)
    if run:
        yield kind, run

"""Who is logged in, and when they last touched their keyboard.

No single source knows both on every computer: ``utmp`` is gone from new systems, ``systemd-logind`` is absent from
others, and a graphical session has no terminal whose time of access would tell. So all are asked, each session says
which of them told (`Session.seen`), and one at the console of which nobody tells anything counts as just touched.
"""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any

import psutil

from tm.model.sample import Session

HINT_SECONDS = 4.0
_SEATED = re.compile(r"tty[0-9]+\Z|:[0-9]+(\.[0-9]+)?\Z")
_GRAPHICAL = ("x11", "wayland", "mir")
_KEYBOARD = b"i8042"


def login_hints(sessions: Iterable[str]) -> dict[str, float | None]:
    """Return, of logind's *sessions*, when each became idle (seconds since the epoch), None for one in use."""
    asked = ["loginctl", "show-session", *sessions, "-p", "Id", "-p", "IdleHint", "-p", "IdleSinceHint"]
    try:
        told = subprocess.run(asked, capture_output=True, text=True, timeout=2, stdin=subprocess.DEVNULL, check=False)
    except (OSError, subprocess.SubprocessError, UnicodeDecodeError):
        return {}
    hints: dict[str, float | None] = {}
    for block in told.stdout.split("\n\n"):
        said = dict(line.split("=", 1) for line in block.splitlines() if "=" in line)
        since = said.get("IdleSinceHint", "")
        if "Id" in said and said.get("IdleHint") in ("yes", "no"):
            hints[said["Id"]] = int(since) / 1e6 if said["IdleHint"] == "yes" and since.isdigit() else None
    return hints


class People:
    """Looks for sessions. *root* is where ``/dev``, ``/proc`` and ``/run`` are found."""

    def __init__(
        self, root: str = "/", utmp: Callable[[], list[Any]] = psutil.users,
        hints: Callable[[Iterable[str]], dict[str, float | None]] = login_hints,
    ) -> None:  # fmt: skip
        self._root = root
        self._utmp = utmp
        self._ask_hints = hints
        self._hints: dict[str, float | None] = {}
        self._hinted = float("-inf")
        self._strokes: int | None = None
        self._struck = float("-inf")

    def look(self, now: float) -> list[Session]:
        """Return who is logged in at *now*, seconds since the epoch."""
        found = {(one.user, one.terminal): one for one in self._of_utmp(now)}
        for one in self._of_logind(now):
            found[one.user, one.terminal] = _merged(found.get((one.user, one.terminal)), one)
        sessions = list(found.values())
        if any(one.console for one in sessions):
            sessions = self._with_strokes(sessions, now)
        return sorted(sessions, key=lambda one: (one.user, one.terminal))

    def _of_utmp(self, now: float) -> Iterator[Session]:
        for entry in self._utmp():
            terminal = entry.terminal or ""
            idle = self._terminal_idle(terminal, now)
            yield Session(
                entry.name, terminal, entry.host or "", entry.started, idle, bool(_SEATED.match(terminal)),
                "" if idle is None else "tty",
            )  # fmt: skip

    def _of_logind(self, now: float) -> Iterator[Session]:
        told = dict(self._session_files())
        seated = [name for name, said in told.items() if said.get("TYPE") in _GRAPHICAL and said.get("SEAT")]
        if seated and not 0 <= now - self._hinted < HINT_SECONDS:
            self._hints, self._hinted = self._ask_hints(seated), now
        for name, said in told.items():
            terminal = said.get("TTY") or said.get("DISPLAY") or ""
            since = float(said["REALTIME"]) / 1e6 if said.get("REALTIME", "").isdigit() else None
            idle, seen = self._terminal_idle(terminal, now), "tty"
            if name in seated and name in self._hints:
                began = self._hints[name]
                idle, seen = (0.0 if began is None else max(0.0, now - began)), "logind"
            elif name in seated:
                idle = None
            yield Session(
                said["USER"], terminal, said.get("REMOTE_HOST", ""), since, idle, bool(said.get("SEAT")),
                "" if idle is None else seen,
            )  # fmt: skip

    def _session_files(self) -> Iterator[tuple[str, Mapping[str, str]]]:
        folder = os.path.join(self._root, "run/systemd/sessions")
        try:
            names = [name for name in os.listdir(folder) if "." not in name]
        except OSError:
            return
        for name in names:
            try:
                with open(os.path.join(folder, name), encoding="utf-8", errors="replace") as file:
                    lines = file.read(16384).splitlines()
            except OSError:
                continue
            said = dict(line.split("=", 1) for line in lines if "=" in line)
            if said.get("USER") and said.get("CLASS", "user").startswith("user") and said.get("STATE") != "closing":
                yield name, said

    def _terminal_idle(self, terminal: str, now: float) -> float | None:
        """Return how long ago somebody typed on *terminal*: reading from it sets its time of access."""
        if not terminal or ".." in terminal:
            return None
        try:
            return max(0.0, now - os.stat(os.path.join(self._root, "dev", terminal)).st_atime)
        except (OSError, ValueError):
            return None

    def _with_strokes(self, sessions: list[Session], now: float) -> list[Session]:
        """Count the interrupts of a built-in keyboard: they tell of a key whatever session it went to."""
        strokes = self._count_strokes()
        if self._strokes is not None and strokes > self._strokes:
            self._struck = now
        self._strokes = strokes
        ago = max(0.0, now - self._struck)
        return [
            Session(one.user, one.terminal, one.origin, one.since, ago, True, "keys")
            if one.console and one.idle is not None and ago < one.idle
            else one
            for one in sessions
        ]

    def _count_strokes(self) -> int:
        try:
            with open(os.path.join(self._root, "proc/interrupts"), "rb") as file:
                lines = [line for line in file if _KEYBOARD in line]
        except OSError:
            return 0
        return sum(int(word) for line in lines for word in line.split() if word.isdigit())


def _merged(older: Session | None, one: Session) -> Session:
    """Return what utmp (*older*) and logind say together of one session; of its idle time logind knows better."""
    if older is None:
        return one
    return Session(
        one.user, one.terminal, one.origin or older.origin, older.since if one.since is None else one.since,
        one.idle, one.console or older.console, one.seen,
    )  # fmt: skip

"""What browsers do, without one: logging in, asking for pages, weighing them, following events."""

from __future__ import annotations

import gzip
import http.client
import json
import re
import select
import socket
import time
from typing import Any, NamedTuple
from urllib.parse import urlsplit

PATIENCE = 30.0
_PARTS = re.compile(r'<(?:script|link|img)[^>]+?(?:src|href)="([^"]+)"')
_HIDDEN = re.compile(r'name="([^"]+)" type="hidden" value="([^"]*)"|type="hidden" name="([^"]+)" value="([^"]*)"')


class Got(NamedTuple):
    """An answer: status, milliseconds to its first byte, how many bytes came, the text, its headers."""

    status: int
    first: float
    size: int
    text: str
    headers: dict[str, str]


class Browser:
    """A connection of a visitor to the web server at *url*; `log_in` gives it a session."""

    def __init__(self, url: str) -> None:
        self.url = urlsplit(url)
        self.cookie = ""
        self._link = http.client.HTTPConnection(self.url.hostname or "", self.url.port, timeout=PATIENCE)

    def log_in(self, link: str) -> None:
        """Redeem *link*."""
        path = urlsplit(link).path
        page = self.get(path).text
        fields = {one or other: value or more for one, value, other, more in _HIDDEN.findall(page)}
        body = "&".join(f"{name}={value}" for name, value in fields.items())
        kind = {"Content-Type": "application/x-www-form-urlencoded", "Origin": f"http://{self.url.netloc}"}
        got = self._ask("POST", path, kind, body)
        self.cookie = got.headers.get("set-cookie", "").partition(";")[0]
        if got.status != 303 or not self.cookie:
            raise SystemExit(f"{link} was not redeemed: {got.status} {got.text[:500]}")

    def get(self, path: str) -> Got:
        """Return the page at *path*."""
        return self._ask("GET", path, {})

    def _ask(self, method: str, path: str, headers: dict[str, str], body: str | None = None) -> Got:
        sent = {"Accept-Encoding": "gzip", **({"Cookie": self.cookie} if self.cookie else {}), **headers}
        self._link.close()
        self._link.connect()
        began = time.perf_counter()
        self._link.request(method, path, body=body, headers=sent)
        answer = self._link.getresponse()
        first = 1e3 * (time.perf_counter() - began)
        raw = answer.read()
        found = {name.lower(): value for name, value in answer.getheaders()}
        text = gzip.decompress(raw) if found.get("content-encoding") == "gzip" else raw
        return Got(answer.status, first, len(raw), text.decode(errors="replace"), found)

    def weight(self, path: str) -> int:
        """Return how many bytes the page at *path* comes to with all it needs, as they are sent."""
        page = self.get(path)
        needed = {part for part in _PARTS.findall(page.text) if part.startswith("/")}
        return page.size + sum(self.get(part).size for part in needed)

    def close(self) -> None:
        """Hang up."""
        self._link.close()


class Stream:
    """An open stream of events of one *browser*."""

    def __init__(self, browser: Browser) -> None:
        self.socket = socket.create_connection((browser.url.hostname, browser.url.port), PATIENCE)
        head = f"GET /events HTTP/1.1\r\nHost: {browser.url.netloc}\r\nCookie: {browser.cookie}\r\n\r\n"
        self.socket.sendall(head.encode())
        self._text = b""
        while b"\r\n\r\n" not in self._text:
            self._text += self._more()
        if b" 200 " not in self._text.partition(b"\r\n")[0]:
            raise SystemExit(f"no stream of events: {self._text[:300]!r}")

    def fileno(self) -> int:
        """For `select`."""
        return self.socket.fileno()

    def _more(self) -> bytes:
        data = self.socket.recv(65536)
        if not data:
            raise SystemExit("the stream of events has ended")
        return data

    def drain(self) -> None:
        """Forget what has come."""
        while select.select([self], [], [], 0)[0]:
            self._more()

    def wait(self, word: bytes) -> float:
        """Return when, on the clock of `time.time`, *word* had come."""
        deadline, text = time.monotonic() + PATIENCE, b""
        while word not in text:
            if not select.select([self], [], [], max(0.0, deadline - time.monotonic()))[0]:
                raise SystemExit(f"no event with {word!r} within {PATIENCE:.0f} s: {text[-500:]!r}")
            text += self._more()
        return time.time()

    def close(self) -> None:
        """Hang up."""
        self.socket.close()


def values(lines: list[str]) -> list[dict[str, Any]]:
    """Return the JSON of *lines*."""
    return [json.loads(line) for line in lines]

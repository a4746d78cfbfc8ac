"""Measure event streams: ``python3 -m benchmarks.live [READERS] [EVENTS-A-SECOND] [SECONDS]``.

A web server in a process of its own hears events of jobs of 200 users; half of the readers see their own jobs alone,
half see all. Every tenth reads nothing at all. It says what the process uses, and what a reader that keeps up gets.
"""

from __future__ import annotations

import selectors
import socket
import sys
import time

import psutil

from tests.support.live_server import COOKIE, LiveServer

IDLE_EVERY = 10
TOPICS = "jobs,hosts,log,loads"


def main(readers: int = 200, rate: int = 1000, seconds: float = 20.0) -> None:
    """Measure and print."""
    server = LiveServer()
    try:
        process = psutil.Process(server.pid)
        before = process.memory_info().rss
        links = [_follow(server.port, f"u{number}" + ("+jobs+log" if number % 2 else "")) for number in range(readers)]
        _until(lambda: server.counts()["streams"] == readers)
        opened = process.memory_info().rss
        used, began = process.cpu_times(), time.monotonic()
        server.tell(rate=rate)
        reading = [link for number, link in enumerate(links) if number % IDLE_EVERY]
        got = _read(reading, seconds)
        now, took = process.cpu_times(), time.monotonic() - began
        cpu = (now.user + now.system - used.user - used.system) / took
        events = server.counts()["pages"]["events"]
        print(
            f"{readers} readers, {events / took:.0f} events/s for {took:.0f} s, {readers - len(reading)} read nothing"
        )
        print(f"memory   {before / 2**20:.0f} MiB without readers, {opened / 2**20:.0f} with, "
              f"{process.memory_info().rss / 2**20:.0f} after, streams {server.counts()['streams']}")  # fmt: skip
        print(f"cpu      {100 * cpu:.1f} % of a core")
        messages, size = got[0] / len(reading) / took, got[1] / len(reading) / took
        print(f"messages {messages:.2f} a second and reader, {size:.0f} bytes/s")
    finally:
        server.stop()


def _follow(port: int, session: str) -> socket.socket:
    link = socket.create_connection(("127.0.0.1", port))
    asked = f"GET /events?topics={TOPICS} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nCookie: {COOKIE}={session}\r\n\r\n"
    link.sendall(asked.encode())
    link.setblocking(False)
    return link


def _read(links: list[socket.socket], seconds: float) -> tuple[int, int]:
    """Return how many messages about jobs came, and how many bytes."""
    selector = selectors.DefaultSelector()
    for link in links:
        selector.register(link, selectors.EVENT_READ)
    until = time.monotonic() + seconds
    messages = size = 0
    while (left := until - time.monotonic()) > 0:
        for key, _ in selector.select(left):
            data = key.fileobj.recv(65536)  # type: ignore[union-attr]  # a socket
            messages += data.count(b"event: jobs")
            size += len(data)
    return messages, size


def _until(condition: object, seconds: float = 20.0) -> None:
    until = time.monotonic() + seconds
    while not condition() and time.monotonic() < until:  # type: ignore[operator]  # it is called
        time.sleep(0.05)


if __name__ == "__main__":
    main(*(int(word) for word in sys.argv[1:4]))

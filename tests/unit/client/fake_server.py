"""A small server that speaks the line protocol in threads, over a Unix socket or TLS, for the clients."""

from __future__ import annotations

import json
import os
import socket
import ssl
import threading
from collections.abc import Callable, Iterable
from typing import Any

from tm.errors import RefusedError
from tm.wire.dialogue import ServerDialogue
from tm.wire.frames import Bulk
from tm.wire.message import Reply, Request

Answer = Callable[["Talker", Request], "Reply | None"]


class Talker:
    """One connection of the fake server."""

    def __init__(self, server: FakeServer, sock: socket.socket) -> None:
        self.server = server
        self.socket = sock
        self.topics: set[str] = set()
        self._lock = threading.Lock()

    def send(self, data: bytes) -> None:
        """Send raw bytes; a client that has gone is none of our business."""
        with self._lock:
            try:
                self.socket.sendall(data)
            except OSError:
                self.cut()

    def cut(self) -> None:
        """Break the connection."""
        try:
            self.socket.shutdown(socket.SHUT_RDWR)
        except OSError:
            return

    def run(self) -> None:
        """Greet, then answer until the client goes."""
        if self.server.greeting:
            self.send(
                self.server.greeting.encode()
                if isinstance(self.server.greeting, Reply)
                else self.server.greeting
            )
        dialogue = ServerDialogue()
        while True:
            try:
                data = self.socket.recv(65536)
            except OSError:
                data = b""
            if not data:
                self.socket.close()
                return
            for message in dialogue.receive(data):
                reply = self.server.answer(self, message)
                if reply is not None:
                    self.send(reply.encode())


class FakeServer:
    """Listens until `stop`; *answers* maps verbs to what says the reply (None: nothing is said)."""

    def __init__(self, name: str = "TMS", greeting: Reply | None = None) -> None:
        self.greeting: Reply | bytes = greeting or Reply(f"{name} 1.0.0 protocol=1 user=alice cluster=test")
        self.answers: dict[str, Answer] = {"version": lambda talker, request: Reply("fake 1.0.0")}
        self.on_bulk: Callable[[Talker, Bulk], None] = lambda talker, data: None
        self.heard: list[Request] = []
        self.talkers: list[Talker] = []
        self.connected = 0
        self.context: ssl.SSLContext | None = None
        self._listener: socket.socket | None = None
        self._threads: list[threading.Thread] = []

    def listen_unix(self, path: str) -> None:
        """Listen on a Unix socket."""
        listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        if os.path.exists(path):
            os.unlink(path)
        listener.bind(path)
        self._begin(listener)

    def listen_tls(self, context: ssl.SSLContext | None) -> int:
        """Listen on a loopback port (without TLS when *context* is None); return the port."""
        self.context = context
        listener = socket.socket()
        listener.bind(("127.0.0.1", 0))
        self._begin(listener)
        return int(listener.getsockname()[1])

    def stop(self) -> None:
        """Close everything and wait for the threads."""
        assert self._listener is not None
        try:
            self._listener.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass
        self._listener.close()
        self.cut_all()
        for thread in self._threads:
            thread.join(10)

    def cut_all(self) -> None:
        """Break all connections."""
        for talker in self.talkers:
            talker.cut()

    def tell(self, topic: str, **fields: Any) -> None:
        """Send an event to all who subscribed to *topic*."""
        for talker in self.talkers:
            if topic in talker.topics:
                talker.send(b"* %b\n" % json.dumps({"topic": topic, **fields}).encode())

    def answer(self, talker: Talker, message: object) -> Reply | None:
        """Return the reply to a message."""
        if isinstance(message, Bulk):
            self.on_bulk(talker, message)
            return None
        if isinstance(message, RefusedError):
            return Reply(message.text, word=message.word)
        assert isinstance(message, Request), message
        self.heard.append(message)
        answer = self.answers.get(message.verb)
        if answer is None:
            return Reply(f"there is no verb '{message.verb}' here", word="proto.verb")
        return answer(talker, message)

    def _begin(self, listener: socket.socket) -> None:
        self._listener = listener
        listener.listen(64)
        self._spawn(lambda: self._accept(listener))

    def _accept(self, listener: socket.socket) -> None:
        while True:
            try:
                sock, _ = listener.accept()
            except OSError:
                return
            self.connected += 1
            self._spawn(lambda sock=sock: self._serve(sock))  # type: ignore[misc]  # the default binds the socket

    def _serve(self, sock: socket.socket) -> None:
        if self.context is not None:
            try:
                sock = self.context.wrap_socket(sock, server_side=True)
            except OSError:
                sock.close()
                return
        talker = Talker(self, sock)
        self.talkers.append(talker)
        talker.run()

    def _spawn(self, work: Callable[[], None]) -> None:
        thread = threading.Thread(target=work, daemon=True)
        self._threads.append(thread)
        thread.start()


class FakeCluster:
    """Jobs behind a `FakeServer`: what is submitted waits until the test says what becomes of it."""

    def __init__(self, server: FakeServer) -> None:
        self.server = server
        self.jobs: dict[int, dict[str, Any]] = {}
        self.tokens: dict[str, list[int]] = {}
        self.submitted: list[dict[str, Any]] = []
        self.on_submit: Callable[[Talker, list[int]], Reply | None] = lambda talker, ids: ids_reply(ids)
        server.answers.update(
            submit=self._submit, subscribe=self._subscribe, jobinfo=self._jobinfo, lsjobs=self._lsjobs,
            canceljob=self._canceljob, status=self._status,
        )  # fmt: skip

    def add(self, number: int, **fields: Any) -> None:
        """Put a job there."""
        view = {"id": number, "name": "j", "user": "alice", "state": "pending", "reason": "", "host": None}
        view.update(exit_code=None, signal=None, command="true", stdout=None, stderr=None, started_at=None)
        view.update(ended_at=None, cores=1, memory=0)
        self.jobs[number] = {**view, **fields}

    def change(self, number: int, quietly: bool = False, **fields: Any) -> None:
        """Change a job and, unless *quietly*, tell those who listen."""
        self.jobs[number].update(fields)
        if not quietly:
            job = self.jobs[number]
            shown = {
                key: job[key] for key in ("id", "user", "state", "host", "exit_code", "signal", "reason")
            }
            self.server.tell("jobs", **shown)

    def _submit(self, talker: Talker, request: Request) -> Reply | None:
        value = json.loads(request.rest or "")
        self.submitted.append(value)
        ids = self.tokens.get(value["token"])
        if ids is None:
            first = max(self.jobs, default=0) + 1
            ids = list(range(first, first + len(value["jobs"])))
            self.tokens[value["token"]] = ids
            for number, job in zip(ids, value["jobs"], strict=True):
                self.add(number, **{"command": job["command"]})
        return self.on_submit(talker, ids)

    def _subscribe(self, talker: Talker, request: Request) -> Reply:
        talker.topics.update((request.rest or "jobs").split(":"))
        return Reply("hearing")

    def _jobinfo(self, talker: Talker, request: Request) -> Reply:
        job = self.jobs.get(int((request.rest or "0").partition(":")[0]))
        if job is None:
            return Reply(f"there is no job {(request.rest or '').partition(':')[0]}", word="job.unknown")
        return Reply(body=[json.dumps(job)])

    def _lsjobs(self, talker: Talker, request: Request) -> Reply:
        given = dict(part.split("=") for part in (request.rest or "").split(":"))
        ended = ("completed", "failed", "cancelled", "lost")
        found = [
            job
            for number, job in sorted(self.jobs.items())
            if number > int(given.get("after", 0))
            and not (given.get("state") == "active" and job["state"] in ended)
        ]
        page = found[: int(given.get("limit", 1000))]
        if "columns" in given:
            return Reply(body=[json.dumps([job.get(name) for name in given["columns"].split(",")]) for job in page])
        return Reply(body=map(json.dumps, page))

    def _canceljob(self, talker: Talker, request: Request) -> Reply:
        first, _, last = (request.rest or "").partition("-")
        wanted = range(int(first), int(last or first) + 1)
        if not any(number in self.jobs for number in wanted):
            return Reply(f"there is no job {first}", word="job.unknown")
        return Reply(
            "cancelling",
            [f"{number}: not waiting or running" for number in wanted if number not in self.jobs],
        )

    def _status(self, talker: Talker, request: Request) -> Reply:
        return Reply(
            body=[json.dumps({"server": "TMS", "pid": 1, "version": "1.0.0", "hosts": {"n1": "up"}})]
        )


def ids_reply(ids: Iterable[int]) -> Reply:
    """Return the answer to ``submit``."""
    lines = [str(number) for number in ids]
    return Reply(f"accepted {len(lines)}", lines)

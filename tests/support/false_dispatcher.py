"""A dispatcher in wrong hands: it has the true key, takes what a user's server says, and sends what a test wants."""

from __future__ import annotations

import json
import os
import queue
import ssl
import threading
from typing import Any

from tests.support.processes import listen, wait_for
from tm.errors import RefusedError
from tm.wire.dialogue import ServerDialogue
from tm.wire.message import Reply, Request

RUN = "false"


class FalseDispatcher:
    """Serves one user's server on *port*; *certs* is the folder with the dispatcher's key and certificate.

    `facts` has the final fact of each job by its id; reports are acknowledged, and everything else is answered as
    `answers` says by verb, else ``OK``. `said` has all requests.
    """

    def __init__(self, port: int, certs: str) -> None:
        self.facts: dict[int, dict[str, Any]] = {}
        self.answers: dict[str, Reply] = {}
        self.said: list[Request] = []
        self._accepted: dict[int, tuple[str, str]] = {}
        self._environments: dict[str, str] = {}
        self._joined: set[str] = set()
        self._commands: dict[str, int] = {}
        self._over = threading.Event()
        self._to_say: queue.SimpleQueue[bytes] = queue.SimpleQueue()
        self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        pair = [os.path.join(certs, "taskdispatcher." + kind) for kind in ("crt", "key")]
        self._context.load_cert_chain(*pair)
        self._listener = listen(port)
        self._listener.settimeout(0.1)
        self._thread = threading.Thread(target=self._serve)

    def __enter__(self) -> FalseDispatcher:
        self._thread.start()
        return self

    def __exit__(self, *failure: object) -> None:
        self._over.set()
        self._thread.join()
        self._listener.close()

    def order(self, number: int) -> tuple[str, str]:
        """Return the signed text and the signature of a job that was submitted."""
        return self._accepted[number]

    def orders(
        self, orders: list[tuple[int, str, str]], environments: dict[str, str], host: str = "n1", attempt: int = 1
    ) -> None:
        """Have the server on *host* started and send it *orders* (job, text, signature), all in one line."""
        self.event({"topic": "want", "host": host, "address": host, "launcher": "local", "options": {}})
        wait_for(lambda: host in self._joined, f"the server on {host}")
        first = self._commands.get(host, 0) + 1
        self._commands[host] = first + len(orders) - 1
        entries = [
            {"c": count, "job": job, "attempt": attempt, "cores": 1, "spec": spec, "sig": signature}
            for count, (job, spec, signature) in enumerate(orders, first)
        ]
        line = {"topic": "orders", "host": host, "epoch": 1, "run": RUN, "grant": len(orders), "orders": entries}
        self.event({**line, "environments": {**self._environments, **environments}})

    def trick(self, kind: str, job: int, host: str) -> None:
        """Have the server on *host* give attempt 1 of *job* up in a way: ``give_way``, ``forget``, ``void`` (an order
        by its name that starts nothing) or ``want`` (it says hello again)."""
        if host not in self._joined:
            return
        line: dict[str, Any] = {"topic": "orders", "host": host, "epoch": 1, "run": RUN}
        if kind == "want":
            self.event({"topic": "want", "host": host, "address": host, "launcher": "local", "options": {}})
        elif kind == "void":
            self._commands[host] = number = self._commands.get(host, 0) + 1
            void = {"c": number, "job": job, "attempt": 1, "cores": 0, "spec": "", "sig": "", "refused": "given up"}
            self.event({**line, "orders": [void]})
        else:
            self.event({**line, kind: [[job, 1, 5.0] if kind == "give_way" else [job, 1]]})

    def forget_hosts(self) -> None:
        """Wait for servers on hosts anew before they are sent orders."""
        self._joined.clear()

    def event(self, event: dict[str, Any]) -> None:
        """Say *event* to the server."""
        self._to_say.put(b"* " + json.dumps(event).encode() + b"\n")

    def _serve(self) -> None:
        while not self._over.is_set():
            try:
                sock, _ = self._listener.accept()
            except TimeoutError:
                continue
            sock.settimeout(5)
            try:
                with self._context.wrap_socket(sock, server_side=True) as peer:
                    peer.settimeout(0.05)
                    self._talk(peer)
            except OSError:
                continue

    def _talk(self, peer: ssl.SSLSocket) -> None:
        peer.sendall(Reply("TaskDispatcher 1.0.0 protocol=1 user=alice cluster=test").encode())
        dialogue = ServerDialogue()
        while not self._over.is_set():
            while not self._to_say.empty():
                peer.sendall(self._to_say.get())
            try:
                data = peer.recv(1 << 20)
            except TimeoutError:
                continue
            if not data:
                return
            for request in dialogue.receive(data):
                if isinstance(request, RefusedError):
                    raise request
                assert isinstance(request, Request)
                peer.sendall(self._answer(request).encode())

    def _answer(self, request: Request) -> Reply:
        self.said.append(request)
        if request.verb in self.answers:
            return self.answers[request.verb]
        if request.verb == "submit":
            given = json.loads(request.rest or "")
            self._environments.update(given["environments"])
            first = len(self._accepted) + 1
            for number, order in enumerate(given["orders"], first):
                self._accepted[number] = (order[0], order[1])
            return Reply(f"accepted {len(given['orders'])}", map(str, range(first, len(self._accepted) + 1)))
        if request.verb == "hello":
            self._joined.add(json.loads(request.rest or "")["host"])
            return Reply(json.dumps({"epoch": 1, "run": RUN}))
        if request.verb == "report":
            for fact in json.loads(request.rest or "")["facts"]:
                if fact["what"] != "started":
                    self.facts[fact["job"]] = fact
        return Reply()

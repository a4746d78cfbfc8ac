"""A cluster each of whose links goes through a proxy that can cut it at any byte: what a job's life has to stand."""

from __future__ import annotations

import json
import os
import socket
import uuid
from collections.abc import Callable, Iterable
from contextlib import ExitStack

from tests.support.cluster import FINAL, LEDGER_JOB, Cluster, View
from tests.support.cutting_proxy import CuttingProxy
from tests.support.installation import free_port
from tests.support.processes import wait_for
from tests.support.talk import HungUpError, Refused, Talk
from tm.edge.way import tell_way

LINKS = ("client", "dispatcher", "host")
"""What is between a client and the user's server, between that and the dispatcher, and between it and its host."""


class CutLinks:
    """The three links of alice's server in *cluster*, which this starts, and jobs through them."""

    def __init__(self, cluster: Cluster) -> None:
        self.cluster = cluster
        self.accepted: list[int] = []
        self._stack = ExitStack()
        self._direct = free_port()
        self._talk: Talk | None = None
        self._client: Talk | None = None
        self._socket = ""
        self.proxies: dict[str, CuttingProxy] = {}

    def __enter__(self) -> CutLinks:
        cluster = self.cluster
        try:
            self._between("dispatcher", socket.create_server(("127.0.0.1", cluster.port)), lambda: _dial(self._direct))
            cluster.start_dispatcher("-p", str(self._direct), "--init")
            cluster.start_tms("alice")
            self._put_client_away()
            self._put_host_away()
        except BaseException:
            self._stack.close()
            raise
        return self

    def __exit__(self, *failure: object) -> None:
        self._stack.close()

    def _between(self, name: str, listener: socket.socket, dial: Callable[[], socket.socket]) -> None:
        self.proxies[name] = self._stack.enter_context(CuttingProxy(listener, dial))

    def _put_client_away(self) -> None:
        """Let clients go through a proxy, too."""
        self._socket = os.path.join(self.cluster.local("alice"), "tms", "cut.sock")
        listener = socket.socket(socket.AF_UNIX)
        listener.bind(self._socket)
        listener.listen(20)
        self._between("client", listener, lambda: _dial_unix(self._socket.replace("cut.sock", "tms.sock")))

    def _put_host_away(self) -> None:
        """Let the server on the host dial the proxy."""
        self.run()
        with open(os.path.join(self.cluster.directory("alice"), "TMS.test.address"), encoding="utf-8") as file:
            port = int(json.load(file)["port"])
        listener = socket.create_server(("127.0.0.1", 0))
        self._between("host", listener, lambda: _dial(port))
        tell_way(self.cluster.spool("alice"), ("127.0.0.1", listener.getsockname()[1]))
        wait_for(lambda: self.proxies["host"].passed > 1000, "the host's server behind the proxy")
        self.run()

    # -- trials ---------------------------------------------------------------------------------------------------

    def run(self) -> None:
        """Submit a job, and ask about it once the dispatcher, which is asked directly, has its ending."""
        number = int(self._ask("submit", self._wish())[0])
        self.accepted.append(number)
        wait_for(lambda: self._look(number)["state"] in FINAL, f"the end of job {number}; {self.cluster.logs()}", 60)
        self._ask("jobinfo", str(number))

    def _wish(self) -> str:
        """Return what submits one job; said again it is the same one."""
        return json.dumps({
            "token": uuid.uuid4().hex, "jobs": [{"command": [*LEDGER_JOB, self.cluster.ledger_path]}],
            "common": {"cwd": self.cluster.work, "environment": {"TM_TEST": self.cluster.folder}},
        })  # fmt: skip

    def _ask(self, verb: str, rest: str) -> list[str]:
        """Ask as a client does that repeats its request until it is answered."""

        def answered() -> list[str] | None:
            try:
                if self._client is None:
                    self._client = Talk.unix(self._socket)
                return self._client.ask(verb, rest).body
            except Refused as refused:
                if not refused.word.startswith("net."):
                    raise
            except (HungUpError, OSError):
                self._hang_up()
            return None

        return wait_for(answered, f"an answer to {verb}", 60)

    def _hang_up(self) -> None:
        if self._client is not None:
            self._client.close()
        self._client = None

    def _look(self, number: int) -> View:
        return self._looking().values("jobinfo", str(number))[0]

    def _looking(self) -> Talk:
        if self._talk is None:
            self._talk = Talk.tls(self._direct, self.cluster.pair("alice"))
            self._stack.callback(self._talk.close)
            self._stack.callback(self._hang_up)
        return self._talk

    def length(self, link: str, afresh: bool) -> int:
        """Return how many bytes a job's whole conversation takes on *link*, with the connection itself if *afresh*."""
        proxy = self.proxies[link]
        proxy.arm(None, afresh)
        self.run()
        return proxy.passed

    def cut(self, link: str, after: int, afresh: bool) -> bool:
        """Run a job while *link* is cut after so many bytes; return whether it came to that."""
        proxy = self.proxies[link]
        proxy.arm(after, afresh)
        self.run()
        cut = proxy.has_cut
        proxy.arm()
        return cut

    def lose_answer(self, link: str) -> None:
        """Lose the answer to a submission on *link* after its commit, repeat it, and expect the same job."""
        wish = self._wish()
        self.run()
        last = self.accepted[-1]
        proxy = self.proxies[link]
        assert self._client is not None
        proxy.swallow(True)
        self._client.say("submit", wish)
        fresh = wait_for(lambda: self._newest(last), "the job's commit")
        proxy.cut()
        proxy.swallow(False)
        self._hang_up()
        again = int(self._ask("submit", wish)[0])
        if again != fresh:
            raise AssertionError(f"a token gave job {fresh} and, said again, job {again}")
        self.accepted.append(again)

    def _newest(self, last: int) -> int:
        ids = [int(line["id"]) for line in self._looking().values("lsjobs", "user=alice:order=-id:limit=1")]
        return ids[0] if ids and ids[0] > last else 0

    def check(self) -> None:
        """Fail unless all jobs have ended as they should, and there are no others."""
        cluster = self.cluster
        cluster.wait(self.accepted, 60)
        cluster.check(self.accepted)
        more = set(cluster.jobs("alice")) - set(self.accepted)
        if more:
            raise AssertionError(f"nobody submitted {sorted(more)}")


def positions(length: int, count: int) -> Iterable[int]:
    """Return *count* places among *length* bytes, the first and the last among them."""
    return sorted({1 + (length - 1) * number // max(1, count - 1) for number in range(count)})


def _dial(port: int) -> socket.socket:
    return socket.create_connection(("127.0.0.1", port), 5)


def _dial_unix(path: str) -> socket.socket:
    sock = socket.socket(socket.AF_UNIX)
    try:
        sock.connect(path)
    except OSError:
        sock.close()
        raise
    return sock

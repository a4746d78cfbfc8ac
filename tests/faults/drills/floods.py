"""Floods: connections, handshakes, bytes, lines and requests, as many as the machine makes in the time, while somebody
else is served."""

from __future__ import annotations

import json
import os
import random
import socket
import ssl
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.faults.crowd import (
    Bystander,
    Crowd,
    client_hello,
    descriptors,
    greeted,
    no_handshake,
    no_request,
    pour,
)
from tests.faults.drills import Bench, Outcome, drill
from tests.support.cluster import ROOT, Cluster
from tests.support.peak import MEBIBYTE, Growth, open_descriptors
from tests.support.processes import wait_for
from tests.support.talk import HungUpError, Refused, Talk

SERVED_WITHIN = 5.0
"""A second is meant; this is a bound for a machine that others use, too."""
MOST = 10_000


@contextmanager
def working(bench: Bench) -> Iterator[Cluster]:
    """Give a cluster of alice and bob, with both their servers."""
    with bench.cluster(("alice", "bob")) as cluster:
        cluster.start_dispatcher()
        for user in cluster.users:
            cluster.start_tms(user)
        yield cluster


def bob(cluster: Cluster) -> Bystander:
    """Return bob, who connects and asks all the time."""
    return Bystander(greeted(cluster.port, cluster.pair("bob")), 0.1)


def port_of(cluster: Cluster, user: str) -> int:
    """Return the port of the user's server."""
    return int(json.loads(Path(cluster.directory(user), "TMS.test.address").read_text())["port"])


def judged(cluster: Cluster, others: Bystander, before: dict[str, int], wrong: list[str]) -> tuple[str, ...]:
    """Return what did not hold, *wrong* apart: somebody not served, another daemon, something unexpected in a log."""
    found = [*wrong, *others.failures]
    if others.most() > SERVED_WITHIN:
        found.append(f"somebody else was served after {others.most():.1f} s")
    found += [f"{name} is another process" for name, pid in before.items() if cluster.pid(name) != pid]
    for path in Path(cluster.folder).rglob("*.log"):
        lines = path.read_text(errors="replace").splitlines()
        found += [f"{path.name}: {line[:500]}" for line in lines if '"level":"critical"' in line]
    return tuple(found)


def pids(cluster: Cluster, *names: str) -> dict[str, int]:
    """Return the pids of daemons by name."""
    return {name: cluster.pid(name) for name in names or ("dispatcher", "tms:alice", "tms:bob")}


@drill("silence", rows=(43, 44))
def say_nothing(bench: Bench, chance: random.Random) -> Outcome:
    """Open 10,000 connections that say nothing, or a byte of a handshake now and then."""
    wrong: list[str] = []
    slow = chance.random() < 0.5
    hello = client_hello()
    with descriptors(MOST + 1000) as allowed, working(bench) as cluster, Crowd(cluster.port) as crowd:
        wanted = min(MOST, allowed - 500)
        before = pids(cluster)
        growth = Growth(pids(cluster, "dispatcher"))
        said = 0
        with bob(cluster) as others:
            begun = time.monotonic()
            while len(crowd) < wanted:
                crowd.connect()
            while slow and time.monotonic() - begun < 10:
                crowd.tell(hello[said : said + 1])
                said += 1
                time.sleep(1.0)
            wait_for(lambda: crowd.hung_up() == wanted, "the end of all of them", 60, 0.5)
            seconds = time.monotonic() - begun
        grown = growth.most()
        if grown > 100 * MEBIBYTE:
            wrong.append(f"the dispatcher grew by {grown >> 20} MiB")
        wait_for(lambda: open_descriptors(cluster.pid("dispatcher")) < 200, "their descriptors to be free")
        found = judged(cluster, others, before, wrong)
    more = {
        "seconds": round(seconds, 1),
        "slow": slow,
        "grown": grown,
        "another served within": round(others.most(), 2),
    }
    return Outcome(wanted, found, more)


@drill("idlers", rows=(45,))
def be_idle(bench: Bench, chance: random.Random) -> Outcome:
    """Have as many idle connections of users as come in the time, 10,000 at most; others ask and submit meanwhile."""
    wrong: list[str] = []
    with descriptors(MOST + 1000) as allowed, working(bench) as cluster, Crowd(cluster.port) as crowd:
        before = pids(cluster)
        growth = Growth(pids(cluster, "dispatcher"))
        while bench.left() > 5 and len(crowd) < min(MOST, allowed - 500):
            crowd.let_in(cluster.pair("alice"))
        with bob(cluster) as others:
            begun = time.monotonic()
            ids = cluster.submit_ledger("bob", 2)
            cluster.wait(ids, 60, "bob")
            seconds = time.monotonic() - begun
        if over := crowd.hung_up():
            wrong.append(f"{over} of {len(crowd)} were hung up on")
        grown = growth.most()
        if grown > len(crowd) * 45 * 1024 + 16 * MEBIBYTE:
            wrong.append(f"the dispatcher grew by {grown >> 20} MiB for {len(crowd)}")
        found = judged(cluster, others, before, wrong)
        count = len(crowd)
    return Outcome(count, found, {"grown": grown, "seconds of two jobs": round(seconds, 2)})


@drill("handshakes", rows=(52,))
def shake_hands(bench: Bench, chance: random.Random) -> Outcome:
    """Shake hands as often as it goes, as nobody, as somebody unknown, or by halves, from one address."""
    wrong: list[str] = []
    done = [0, 0]
    hello = client_hello()
    with working(bench) as cluster:
        before = pids(cluster)
        growth = Growth(pids(cluster, "dispatcher"))
        over = time.monotonic() + min(30.0, bench.left())

        def shake(dice: random.Random) -> None:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
            context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
            while time.monotonic() < over:
                half = dice.random() < 0.3
                try:
                    with socket.create_connection(("127.0.0.1", cluster.port), 20, ("127.0.0.9", 0)) as sock:
                        if half:
                            sock.sendall(hello)
                            sock.recv(1)
                        else:
                            context.wrap_socket(sock).close()
                except OSError:
                    continue
                done[half] += 1

        threads = [threading.Thread(target=shake, args=(random.Random(chance.random()),)) for _ in range(6)]
        with bob(cluster) as others:
            begun = time.monotonic()
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
            seconds = time.monotonic() - begun
        if growth.most() > 32 * MEBIBYTE:
            wrong.append(f"the dispatcher grew by {growth.most() >> 20} MiB")
        found = judged(cluster, others, before, wrong)
    more = {"whole": done[0], "half": done[1], "per second": round(sum(done) / seconds),
            "another served within": round(others.most(), 2)}  # fmt: skip
    return Outcome(sum(done), found, more)


@drill("garbage", rows=(46,))
def say_garbage(bench: Bench, chance: random.Random) -> Outcome:
    """Say what is no handshake, and what is no request after one, to the dispatcher and to a user's server."""
    hello = client_hello()
    trials, wrong = 0, []
    with working(bench) as cluster:
        before = pids(cluster)
        ports = (cluster.port, port_of(cluster, "bob"))
        with bob(cluster) as others:
            while bench.left() > 0:
                port = chance.choice(ports)
                said = no_request(chance) if chance.random() < 0.3 else b""
                try:
                    if said:
                        with Talk.tls(port, cluster.pair("bob")) as talk:
                            talk.send(said + b"\nnobodyknowsthis\n")
                            while "nobodyknowsthis" not in talk.reply().text:
                                continue
                    else:
                        said = no_handshake(chance, hello)
                        with socket.create_connection(("127.0.0.1", port), 20) as sock:
                            sock.sendall(said)
                            sock.shutdown(socket.SHUT_WR)
                            while sock.recv(65536):
                                continue
                except (ConnectionError, HungUpError):
                    pass
                except TimeoutError:
                    wrong.append(f"no answer and no end to {said!r}"[:2000])
                trials += 1
        found = judged(cluster, others, before, wrong)
    return Outcome(trials, found, {"another served within": round(others.most(), 2)})


@drill("long-lines", rows=(47,))
def end_no_line(bench: Bench, chance: random.Random) -> Outcome:
    """Begin lines and frames that never end, up to a gibibyte each."""
    trials, wrong, taken = 0, [], 0
    kinds = (b"", b"submit:", b"lsjobs:", b"= 1 262144\n", b"report:", b"\0", b"\xff", b'submit:{"token":"')
    with working(bench) as cluster:
        before = pids(cluster)
        path = os.path.join(cluster.local("alice"), "tms", "tms.sock")
        for talk in (cluster.dispatcher("alice"), Talk.unix(path)):
            with talk:  # what serving one costs is not what a flood costs
                pour(talk.send, b"x" * MEBIBYTE, 8 * MEBIBYTE, 20)
        with bob(cluster) as others:
            while bench.left() > 5 or not trials:
                kind = chance.choice(kinds)
                growth = Growth(pids(cluster, "dispatcher", "tms:alice"))
                make = chance.choice((lambda: cluster.dispatcher("alice"), lambda: Talk.unix(path)))
                with make() as talk:
                    begun = time.monotonic()
                    talk.send(kind)
                    sent = pour(talk.send, chance.choice((b"x", b"\0", b"\r", b'"')) * MEBIBYTE, 1 << 30, 30)
                taken = max(taken, sent)
                if time.monotonic() - begun > SERVED_WITHIN or sent >= 1 << 30:
                    wrong.append(f"{kind!r} was listened to for {time.monotonic() - begun:.1f} s and {sent >> 20} MiB")
                if growth.most() > 4 * MEBIBYTE:
                    wrong.append(f"{kind!r} made them grow: {growth.bytes()}")
                trials += 1
        found = judged(cluster, others, before, wrong)
    return Outcome(trials, found, {"most MiB taken": taken >> 20, "another served within": round(others.most(), 2)})


@drill("requests", rows=(48,))
def ask_without_end(bench: Bench, chance: random.Random) -> Outcome:
    """Send empty lines, 100 MiB, or a million requests, and read the answers or not."""
    trials, wrong, sent = 0, [], 0
    lines = (b"\n", b"\r\n", b"version\n", b"help\n", b"lsjobs.json\n", b"jobinfo:1\n", b"odd odd\n", b"whoami.json\n")
    with working(bench) as cluster:
        before = pids(cluster)
        with bob(cluster) as others:
            while bench.left() > 5 or not trials:
                line = chance.choice(lines)
                growth = Growth(pids(cluster, "dispatcher"))
                size = 100 * MEBIBYTE if not line.strip() else len(line) * 1_000_000
                with cluster.dispatcher("alice") as alice:
                    alice.socket.settimeout(2.0)
                    sent += pour(alice.send, line * max(1, 65536 // len(line)), size, 15)
                if growth.most() > 8 * MEBIBYTE:
                    wrong.append(f"{line!r} made the dispatcher grow by {growth.most() >> 20} MiB")
                trials += 1
        found = judged(cluster, others, before, wrong)
    return Outcome(trials, found, {"MiB sent": sent >> 20, "another served within": round(others.most(), 2)})


@drill("removals", rows=(50, 51))
def remove(bench: Bench, chance: random.Random) -> Outcome:
    """Remove bob while he listens, asks, or runs a job; he is cut off and stays out, also by an earlier session."""
    trials, wrong, slowest = 0, [], 0.0
    with working(bench) as cluster:
        users = Path(cluster.etc, "users").read_text()
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
        context.load_cert_chain(*cluster.pair("bob"))
        while bench.left() > 0:
            (number,) = cluster.submit("bob", f"sleep {chance.choice((1, 2))}; exit 3")
            cluster.wait([number], user="bob", states=("running", "failed"))
            talks = [cluster.dispatcher("bob") for _ in range(chance.randint(1, 5))]
            for talk in talks:
                if chance.random() < 0.5:
                    talk.ask("subscribe", "jobs")
            with socket.create_connection(("127.0.0.1", cluster.port), 20) as sock, context.wrap_socket(sock) as first:
                first.recv(4096)
                session = first.session
                listening = subprocess.Popen(
                    [sys.executable, os.path.join(ROOT, "bin", "hListen"), "jobs"], env=cluster.environment("bob"),
                    stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True,
                )  # fmt: skip
                time.sleep(chance.random())
                with cluster.dispatcher("alice") as alice:
                    cluster.write_etc("users", users[: users.index("[users.bob]")])
                    alice.ask("reload")
                    begun = time.monotonic()
                    for talk in talks:
                        try:
                            while True:
                                talk.next()
                        except HungUpError:
                            talk.close()
                    _, said = listening.communicate(timeout=60)
                    slowest = max(slowest, time.monotonic() - begun)
                    if listening.returncode != 77 or "is not registered here" not in said:
                        wrong.append(f"hListen ended with {listening.returncode}: {said}")
                    wrong += stays_out(cluster, context, session)
                    wait_for(lambda number=number: over(alice, number), "the end of his job", 30)  # type: ignore[misc]
                    job = alice.values("jobinfo", str(number))[0]
                    if job["exit_code"] != 3:
                        wrong.append(f"his job ended with {job['exit_code']}: {job['reason']}")
                    cluster.write_etc("users", users)
                    alice.ask("reload")
            if slowest > 2 * SERVED_WITHIN:
                wrong.append(f"he was cut off after {slowest:.1f} s")
            trials += 1
    return Outcome(trials, tuple(wrong), {"cut off within": round(slowest, 2)})


def over(alice: Talk, number: int) -> bool:
    """Whether a job has ended."""
    return alice.values("jobinfo", str(number))[0]["state"] in ("completed", "failed", "lost")


def stays_out(cluster: Cluster, context: ssl.SSLContext, session: ssl.SSLSession | None) -> list[str]:
    """Return how bob comes in though he was removed, in words."""
    found = []
    for again in (session, None):
        with socket.create_connection(("127.0.0.1", cluster.port), 20) as sock:
            with context.wrap_socket(sock, session=again) as second:
                heard = second.recv(4096)
                if second.session_reused or not heard.startswith(b"ERR auth.unknown"):
                    found.append(f"with an earlier session ({again is not None}) he hears {heard[:100]!r}")
    try:
        Talk.tls(cluster.port, cluster.pair("bob")).close()
        found.append("he is let in")
    except Refused:
        pass
    return found

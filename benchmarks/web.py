"""The web interface: what its questions cost the dispatcher, how soon its pages come, what they weigh, and its events.

First a dispatcher in this process, around a store with 100,000 jobs and with 1,000 hosts that report, is asked what
pages ask; told apart is what that takes the reactor's thread, during which nobody else is served, and the reader's.
Then a real dispatcher with as many jobs and simulated hosts, and a real web server, are asked for every page, and
followed by 200 readers of events while a job runs.
"""

from __future__ import annotations

import contextlib
import json
import os
import statistics
import tempfile
import time
from collections.abc import Iterator

from benchmarks import daemons, large
from benchmarks.browsing import Browser, Stream, values
from benchmarks.fleet import name_of
from benchmarks.hosts import HOSTS, fleet
from benchmarks.record import Recorder
from tests.support.browser import WebCluster
from tests.support.processes import wait_for

ASKED = 7
READERS = 200
OF_A_SESSION = 8
LOOKS = 9
JOBS = 15
BIG, ADMIN = large.user(0), "root"
QUESTIONS = {
    "jobs by id": (BIG, "lsjobs.json:order=-id:limit=51"),
    "active jobs by id": (BIG, "lsjobs.json:state=active:order=id:limit=51"),
    "active jobs of all by name": (ADMIN, "lsjobs.json:user=all:state=active:order=name:limit=51"),
    "waiting jobs by id": (BIG, "lsjobs.json:state=pending:order=id:limit=51"),
    "waiting jobs of all by start": (ADMIN, "lsjobs.json:user=all:state=pending:order=start:limit=51"),
    "running jobs of all, the last first": (ADMIN, "lsjobs.json:user=all:state=running:order=-started:limit=51"),
    "ended jobs, the last first": (BIG, "lsjobs.json:state=ended:order=-ended:limit=51"),
    "ended jobs of all, the last first": (ADMIN, "lsjobs.json:user=all:state=ended:order=-ended:limit=51"),
    "ended jobs of all by duration": (ADMIN, "lsjobs.json:user=all:state=ended:order=-duration:limit=51"),
    "ended jobs of all by name": (ADMIN, "lsjobs.json:user=all:state=ended:order=name:limit=51"),
    "failed jobs, the last first": (BIG, "lsjobs.json:state=failed:order=-ended:limit=11"),
    "jobs of all with a text that is in few": (ADMIN, "lsjobs.json:user=all:text=seed 777:order=-id:limit=51"),
    "jobs of all with a text that is in none": (ADMIN, "lsjobs.json:user=all:text=nowhere:order=-id:limit=51"),
    "jobs of a host": (ADMIN, f"lsjobs.json:user=all:host={large.host(7)}:order=-ended:limit=51"),
    "what ran in the last hour": (ADMIN, "lsjobs.json:user=all:overlap=HOUR..:order=started:limit=1000"),
    "a thousand jobs": (ADMIN, "lsjobs.json:user=all:limit=1000"),
    "one's jobs by state": (BIG, "countjobs.json"),
    "all jobs by state": (ADMIN, "countjobs.json:user=all"),
    "how many have a text": (ADMIN, "countjobs.json:user=all:text=seed 777"),
    "one job that waits": (BIG, "jobinfo.json:JOB"),
    "why a job waits": (BIG, "whyjob.json:JOB"),
    "where a job would fit": (BIG, 'fits.json:{"cores":4,"memory":1073741824}'),
    "the hosts": (BIG, "lshosts.json"),
    "one host": (BIG, f"hostinfo.json:{large.host(7)}"),
    "the dispatcher": (BIG, "status.json"),
    "the shares": (BIG, "lsshares.json"),
    "what was used": (BIG, "usage.json:by=user"),
    "the last 1,000 changes": (ADMIN, "audit.json:1000"),
}
DEEP = ("ended jobs of all, the last first", "ended jobs of all by name", "jobs by id")
HOST = f"/hosts/{name_of(7)}"
WITH_PLOTS = ("/", HOST)
MACHINES = ("/api", "/metrics")
"""How addresses begin that are for programs."""
PAGES = (
    "/", "/hosts", HOST, f"{HOST}/processes", "/hosts/add", f"{HOST}/change", "/jobs", "/jobs?user=all",
    "/jobs/pending", "/jobs/pending?user=all", "/jobs/finished", "/jobs/finished?user=all", "/jobs/JOB", "/submit",
    "/timeline", "/timeline?user=all", "/dispatcher", "/dispatcher/properties", "/dispatcher/log",
    "/dispatcher/output", "/admin", "/admin/users", "/admin/groups", "/admin/shares", "/admin/certificates",
    "/admin/audit", "/sessions", "/api/v1/jobs", "/api/v1/hosts", "/api/openapi.json", "/metrics",
)  # fmt: skip


def run(recorder: Recorder, rounds: int, jobs: int) -> None:
    """Measure *rounds* times; *jobs* does not matter."""
    with tempfile.TemporaryDirectory(prefix="tm-", dir="/tmp") as folder:
        path = os.path.join(folder, "store.sqlite")
        large.fill(path, time.time())
        for _ in recorder.rounds(rounds):
            _questions(recorder, path, folder)
    with _cluster() as cluster:
        for _ in recorder.rounds(rounds):
            _pages(recorder, cluster)
        for _ in recorder.rounds(rounds):
            _readers(recorder, cluster)


# -- the dispatcher alone ---------------------------------------------------------------------------------------------


def _questions(recorder: Recorder, path: str, folder: str) -> None:
    stage = large.Stage(path, folder)
    waiting = json.loads(stage.ask(BIG, "lsjobs.json:state=pending:order=id:limit=1")[0][0])["id"]
    hour = time.strftime("%Y-%m-%dT%H%%3A%M%%3A%SZ", time.gmtime(time.time() - 3600))
    for what, (who, line) in QUESTIONS.items():
        line = line.replace("JOB", str(waiting)).replace("HOUR", hour)
        _measure(recorder, stage, what, who, line)
        if what in DEEP:
            _measure(recorder, stage, f"{what}, 10,000 on", who, _far(stage, who, line))
    stage.close()


def _measure(recorder: Recorder, stage: large.Stage, what: str, who: str, line: str) -> None:
    took: dict[str, list[float]] = {"reactor": [], "reader": []}
    size = 0
    for _ in range(ASKED):
        stage.later(1.0)
        stage.report(0.2)
        body, reactor, reader = stage.ask(who, line)
        size = sum(map(len, body))
        took["reactor"].append(reactor)
        took["reader"].append(reader)
    for thread, times in took.items():
        recorder.add("question", 1e3 * statistics.median(times), "ms", question=what, thread=thread, bytes=size)


def _far(stage: large.Stage, who: str, line: str) -> str:
    """Return *line* for a page that begins 10,000 jobs further on."""
    cursor = ""
    for _ in range(10):
        more = line.replace("limit=51", "limit=1000") + cursor
        cursor = f":from={json.loads(stage.ask(who, more)[0][-1])['cursor']}"
    return line + cursor


# -- real servers -----------------------------------------------------------------------------------------------------


@contextlib.contextmanager
def _cluster() -> Iterator[WebCluster]:
    """Give a cluster with the jobs, simulated hosts, one real host, and a web server."""
    cluster = WebCluster(users=("alice", "bob"), hosts={})
    store = os.path.join(cluster.state, "TaskDispatcher.sqlite")
    os.makedirs(cluster.state, exist_ok=True)
    large.fill(store, time.time(), hosts=name_of, names=lambda number: large.user(number) if number else "bob")
    real = {"launcher": "local", "cores": 2, "policy": "ignore"}
    with fleet(HOSTS, cluster, {"n1": real}):
        cluster.start_web()
        cluster.wait(cluster.submit("alice", "true", hosts=["n1"]))
        yield cluster


def _browser(cluster: WebCluster, user: str) -> Browser:
    browser = Browser(cluster.url)
    with cluster.dispatcher(user) as talk:
        (link,) = values(talk.ask("weblogin", '{"may":"act"}', True).body)
    browser.log_in(link["url"])
    return browser


def _web(cluster: WebCluster) -> int:
    """Return the pid of the web server."""
    with open(os.path.join(cluster.state, "TaskWeb.pid"), encoding="ascii") as file:
        return int(file.read())


def _processor(pid: int) -> float:
    """Return the seconds for which a process has had a processor, to the nanosecond."""
    total = 0
    for thread in os.listdir(f"/proc/{pid}/task"):
        with open(f"/proc/{pid}/task/{thread}/schedstat", encoding="ascii") as file:
            total += int(file.read().split()[0])
    return total / 1e9


def _pages(recorder: Recorder, cluster: WebCluster) -> None:
    """Measure how soon pages come, of one who may see everything and of one with many jobs, and what they weigh."""
    admin, owner = _browser(cluster, "alice"), _browser(cluster, "bob")
    pids = (_web(cluster), cluster.pid("dispatcher"))
    with cluster.dispatcher("bob") as talk:
        (job,) = values(talk.ask("lsjobs", "state=pending:order=id:limit=1", True).body)
    for page in PAGES:
        own = page == "/" or (page.startswith("/jobs") and "user=all" not in page)
        browser, path = owner if own else admin, page.replace("JOB", str(job["id"]))
        browser.get(path)
        before = [_processor(one) for one in pids]
        got = [browser.get(path) for _ in range(LOOKS)]
        used = [1e3 * (_processor(one) - start) / LOOKS for one, start in zip(pids, before, strict=True)]
        if got[-1].status != 200:
            recorder.note(f"{page}: {got[-1].status}")
            continue
        recorder.add("first byte", statistics.median(one.first for one in got), "ms", page=page)
        recorder.add("slowest first byte", max(one.first for one in got), "ms", page=page)
        for daemon, milliseconds in zip(("web server", "TaskDispatcher"), used, strict=True):
            recorder.add("processor", milliseconds, "ms", page=page, daemon=daemon)
        recorder.add("page", got[-1].size / 1e3, "kB", page=page)
        recorder.add("page with all it needs", browser.weight(path) / 1e3, "kB", page=page)
    for one in (admin, owner):
        one.close()


def _readers(recorder: Recorder, cluster: WebCluster) -> None:
    """Measure the web server with many readers of events, and how soon they hear that a job has ended."""
    web = _web(cluster)
    recorder.add("resident", daemons.resident(web) / 1e6, "MB", readers=0)
    browsers = [_browser(cluster, "alice") for _ in range(READERS // OF_A_SESSION)]
    streams = [Stream(browser) for browser in browsers for _ in range(OF_A_SESSION)]
    took = [_ended(cluster, streams) for _ in range(JOBS)]
    recorder.add("from a job's end to its event", 1e3 * statistics.median(took), "ms", readers=READERS)
    recorder.add("from a job's end to its last event", 1e3 * max(took), "ms", readers=READERS)
    recorder.add("resident", daemons.resident(web) / 1e6, "MB", readers=READERS)
    began, used = time.monotonic(), sum(daemons.processor_seconds(web))
    time.sleep(10.0)
    share = (sum(daemons.processor_seconds(web)) - used) / (time.monotonic() - began)
    recorder.add("share of a core", 100 * share, "%", readers=READERS)
    for stream in streams:
        stream.close()
    for browser in browsers:
        browser.get("/")
        browser.close()


def _ended(cluster: WebCluster, streams: list[Stream]) -> float:
    """Return how many seconds after the end of a job the last of *streams* told of it."""
    mark = os.path.join(cluster.folder, "ended")
    with contextlib.suppress(FileNotFoundError):
        os.unlink(mark)
    (number,) = cluster.submit("alice", f"sleep 1.5; date +%s.%N > {mark}", hosts=["n1"])
    wait_for(lambda: cluster.job("alice", number)["state"] == "running", "the job to run")
    time.sleep(1.0)
    for stream in streams:
        stream.drain()
    heard = max(stream.wait(str(number).encode()) for stream in streams)
    with open(mark, encoding="ascii") as file:
        return heard - float(file.read())

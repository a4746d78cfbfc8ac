"""What people ask the TaskDispatcher about the turn of jobs: why one waits, for every host, and when it will start."""

from __future__ import annotations

from twisted.internet.defer import Deferred

from tm.daemon.answers import Answer, Spoken, as_reply
from tm.daemon.dispatcher import Dispatcher
from tm.daemon.job_lists import JobLists, one_job, task_as_job, unknown
from tm.model.ids import array_of
from tm.model.job import Job
from tm.model.rights import DISPATCHER as RULES
from tm.model.rights import permitted
from tm.model.views import Shown
from tm.model.why import explain
from tm.ports import Peer
from tm.wire.message import Reply, Request

MOST_HOSTS_SHOWN = 40


class WhyVerbs:
    """The verb ``whyjob``; *lists* says when jobs are expected to start."""

    def __init__(self, dispatcher: Dispatcher, lists: JobLists) -> None:
        self._dispatcher = dispatcher
        self._lists = lists
        self.methods: dict[str, Spoken] = {"whyjob": self._whyjob}

    def _whyjob(self, peer: Peer, request: Request, arguments: list[str]) -> Answer:
        around = self._dispatcher.around
        number = one_job(arguments[0])
        found: Deferred[Job | None] = around.reader.run(lambda: around.store.job(number))
        return found.addCallback(lambda stored: self._told(peer, request, number, stored))

    def _told(self, peer: Peer, request: Request, number: int, stored: Job | None) -> Reply:
        dispatcher = self._dispatcher
        jobs = dispatcher.brain.jobs
        job = jobs.get(number) or stored or jobs.get(array_of(number))
        rights = dispatcher.rights_of(peer.user)
        if job is None or not permitted(RULES, "whyjob", rights, own=job.user == peer.user):
            raise unknown(number)
        if job.id != number:
            job = task_as_job(job, number)
        shown = {**explain(dispatcher.brain, job, dispatcher.now), "expected_start": self._lists.expected_start(number)}
        return as_reply(request, shown, _lines(shown))


def _lines(shown: Shown) -> list[str]:
    """Return *shown* as people read it: the sentence, what would help, when it starts, then the hosts."""
    lines = [str(shown["sentence"])]
    if shown["change"]:
        lines.append(f"to start it now: {shown['change']}")
    expected = shown["expected_start"]
    if isinstance(expected, list):
        lines.append(f"expected to start between {expected[0]} and {expected[1]}")
    counts = shown["counts"]
    assert isinstance(counts, dict)
    lines.append("hosts: " + (", ".join(f"{count} {word}" for word, count in counts.items()) or "none"))
    hosts = shown["hosts"]
    assert isinstance(hosts, list)
    lines += [f"{one['host']}: {one['verdict']}: {one['reason']}" for one in hosts[:MOST_HOSTS_SHOWN]]
    if len(hosts) > MOST_HOSTS_SHOWN:
        lines.append(f"and {len(hosts) - MOST_HOSTS_SHOWN} more; whyjob.json has all")
    return lines

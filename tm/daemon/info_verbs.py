"""What can be said to an InfoServer. Every user of the cluster may ask all of it."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from typing import Any

import msgspec
from twisted.internet.defer import Deferred

import tm
from tm.daemon.answers import Answer, Spoken, as_lines, as_reply, find, help_reply, version_reply
from tm.daemon.info_questions import InfoQuestions
from tm.daemon.info_server import InfoServer
from tm.daemon.listing import whole_number
from tm.errors import RefusedError
from tm.model.history import SPANS
from tm.model.rights import INFO_SERVER as RULES
from tm.model.rights import demand
from tm.model.sample import Sample, Session, console_idle
from tm.model.views import shown_time
from tm.ports import Peer
from tm.wire.frames import Bulk
from tm.wire.message import Reply, Request
from tm.wire.verbs import INFO_SERVER

SERVER = "InfoServer"
TOPIC = "load"
MOST_PROCESSES = 1000
QUESTIONS = ("info", "load", "users", "processes", "gpus", "history")
"""What may be asked through the dispatcher, too."""
_NO_GPUS = "no graphics processors are known here"


class InfoVerbs:
    """The conversation of an InfoServer; *identify* says which user is on the other side."""

    def __init__(self, server: InfoServer, identify: Callable[[object], str]) -> None:
        self._server = server
        self.identify = identify
        self._methods: dict[str, Spoken] = {
            "help": lambda peer, request, arguments: help_reply(INFO_SERVER, request, arguments),
            "version": lambda peer, request, arguments: version_reply(request, SERVER),
            "whoami": self._whoami, "status": self._status, "info": self._info, "load": self._load,
            "users": self._users, "processes": self._processes, "gpus": self._gpus, "history": self._history,
            "subscribe": self._subscribe, "unsubscribe": self._unsubscribe,
        }  # fmt: skip
        server.asked = InfoQuestions(self.answer, QUESTIONS).hear

    def greeting(self, user: str) -> str:
        """Return what the greeting says after ``OK``."""
        return f"{SERVER} {tm.__version__} protocol={tm.PROTOCOL} user={user} host={self._server.around.host}"

    def answer(self, peer: Peer, request: Request) -> Answer:
        """Return the reply to *request*."""
        verb = find(INFO_SERVER, request)
        demand(RULES, verb.name, frozenset())
        return self._methods[verb.name](peer, request, verb.arguments(request))

    def bulk(self, peer: Peer, data: Bulk) -> None:
        """Nothing here takes raw bytes."""
        peer.abort()

    # -- verbs ----------------------------------------------------------------------------------------------------

    def _whoami(self, peer: Peer, request: Request, arguments: list[str]) -> Reply:
        shown: dict[str, object] = {"user": peer.user, "groups": [], "rights": []}
        return as_reply(request, shown, as_lines(shown))

    def _status(self, peer: Peer, request: Request, arguments: list[str]) -> Reply:
        server = self._server
        shown: dict[str, object] = {
            "server": SERVER, "host": server.around.host, "pid": os.getpid(), "version": tm.__version__,
            "since": shown_time(server.since), "dispatcher": server.dispatcher_state,
            "sampled": shown_time(server.sample.at) if server.sample else None,
            "history": list(server.history.metrics), "spans": list(SPANS), "log": server.around.log_path,
        }  # fmt: skip
        return as_reply(request, shown, as_lines(shown))

    def _info(self, peer: Peer, request: Request, arguments: list[str]) -> Deferred[Reply]:
        async def told() -> Reply:
            self._server.machine = await self._server.read(self._server.around.probe.machine)
            machine = self._server.machine
            shown = msgspec.to_builtins(self._server.about)
            shown["booted_at"] = shown_time(machine.booted_at)
            shown["certificate_until"] = shown_time(self._server.around.not_after or None)
            shown["disks"] = msgspec.to_builtins(machine.disks)
            readable = {
                **shown, "memory": size(machine.memory), "swap": size(machine.swap),
                "gpus": "; ".join(f"{gpu.index} {gpu.model}, {size(gpu.memory)}" for gpu in machine.gpus),
                "disks": "; ".join(
                    f"{disk.path} {disk.kind}, {size(disk.free)} of {size(disk.size)} free" for disk in machine.disks
                ),
            }  # fmt: skip
            return as_reply(request, shown, as_lines(readable))

        return Deferred.fromCoroutine(told())

    def _load(self, peer: Peer, request: Request, arguments: list[str]) -> Reply:
        sample, report = self._sampled(), self._server.report
        machine = self._server.machine
        shown: dict[str, Any] = msgspec.to_builtins(report)
        shown |= {
            "at": shown_time(sample.at), "cores": machine.cores, "memory": sample.memory.total,
            "swap": sample.memory.swap_total, **msgspec.to_builtins(sample.rates),
            "uptime": round(max(0.0, sample.at - machine.booted_at)),
            "jobs": [
                {"job": job, "cpu": cpu, "memory": rss, "processes": count}
                for job, (cpu, rss, count) in sample.use.by_job.items()
            ],
        }  # fmt: skip
        return as_reply(request, shown, as_lines(_readable_load(shown, sample)))

    def _users(self, peer: Peer, request: Request, arguments: list[str]) -> Reply:
        sessions = self._sampled().sessions
        shown: list[dict[str, object]] = [
            {**msgspec.to_builtins(session), "since": shown_time(session.since)} for session in sessions
        ]
        return as_reply(request, shown, list(map(_session_line, sessions)), "nobody is logged in")

    def _processes(self, peer: Peer, request: Request, arguments: list[str]) -> Deferred[Reply]:
        wanted = _selection(arguments)
        job = whole_number(wanted["job"], "job= takes the number of a job") if "job" in wanted else None
        limit = whole_number(wanted.get("limit", str(MOST_PROCESSES)), "limit= takes a number")
        probe = self._server.around.probe

        async def told() -> Reply:
            found = await self._server.read(lambda: probe.processes(wanted.get("user"), job, peer.user))
            shown = found[: min(limit, MOST_PROCESSES)]
            return as_reply(request, shown, [_process_line(one) for one in shown], "no such processes")

        return Deferred.fromCoroutine(told())

    def _gpus(self, peer: Peer, request: Request, arguments: list[str]) -> Reply:
        gpus = self._sampled().gpus
        lines = [
            f"{gpu.index} {gpu.model}  {size(gpu.memory_used)} of {size(gpu.memory)}  {gpu.use:.0%}  "
            + (" ".join(gpu.users) or "-")
            for gpu in gpus
        ]
        return as_reply(request, [msgspec.to_builtins(gpu) for gpu in gpus], lines, _NO_GPUS)

    def _history(self, peer: Peer, request: Request, arguments: list[str]) -> Reply:
        metric, asked = arguments
        kept = self._server.history.metrics
        if metric not in kept or asked not in SPANS:
            raise RefusedError(
                "proto.arguments", f"history takes a metric of {' '.join(kept)} and a span of {' '.join(SPANS)}"
            )
        points = self._server.history.points(metric, asked)
        shown: list[dict[str, object]] = [{"at": shown_time(at), "value": value} for at, value in points]
        return as_reply(
            request,
            shown,
            [f"{one['at']} {_number(one['value'])}" for one in shown],
            "nothing is known of that time yet",
        )

    def _subscribe(self, peer: Peer, request: Request, arguments: list[str]) -> Reply:
        for topic in arguments:
            if topic != TOPIC:
                raise RefusedError("proto.arguments", f"there is no topic '{topic}'; the topic here is {TOPIC}")
        self._server.watch(peer)
        return Reply(f"hearing {TOPIC}")

    def _unsubscribe(self, peer: Peer, request: Request, arguments: list[str]) -> Reply:
        if not arguments or TOPIC in arguments:
            self._server.unwatch(peer)
            return Reply("hearing nothing")
        return Reply(f"hearing {TOPIC}")

    def _sampled(self) -> Sample:
        if self._server.sample is None:
            raise RefusedError("busy.sample", "this computer has not been looked at yet; ask again in two seconds")
        return self._server.sample


def _selection(arguments: list[str]) -> dict[str, str]:
    wanted: dict[str, str] = {}
    for argument in arguments:
        key, _, value = argument.partition("=")
        if key not in ("user", "job", "limit") or not value or key in wanted:
            raise RefusedError("proto.arguments", f"'{argument}': expected user=NAME, job=ID or limit=N, each once")
        wanted[key] = value
    return wanted


def _session_line(session: Session) -> str:
    where = "console" if session.console else session.origin or "-"
    idle = span(session.idle) if session.idle is not None else "?"
    return f"{session.user:<16} {session.terminal or '-':<10} {where:<16} idle {idle}"


def _process_line(one: Mapping[str, Any]) -> str:
    job = one["job"] or ("ours" if one["ours"] else "-")
    return (
        f"{one['pid']:>8} {one['user']:<12.12} {one['cpu']:>6.2f} {size(one['memory']):>9} {job!s:>8}  "
        f"{'  ' * min(one['depth'], 20)}{_plain(one['command'])}"
    )


def _readable_load(shown: Mapping[str, Any], sample: Sample) -> dict[str, object]:
    idle = console_idle(sample.sessions)
    rates, memory = sample.rates, sample.memory
    return {
        "at": shown["at"], "load": " ".join(f"{value:.2f}" for value in sample.load),
        "cpu": f"{sample.use.ours:.2f} ours, {sample.use.others:.2f} others', of {shown['cores']}",
        "others": ", ".join(f"{user} {cpu:.2f}" for user, cpu in shown["cpu_by_user"].items()),
        "jobs": ", ".join(f"{job} {cpu:.2f} {size(rss)}" for job, (cpu, rss, _) in sample.use.by_job.items()),
        "memory": f"{size(memory.available)} of {size(memory.total)} available, {size(sample.use.memory_ours)} ours",
        "swap": f"{size(memory.swap_used)} of {size(memory.swap_total)} used",
        "network": f"{size(rates.network_in)}/s in, {size(rates.network_out)}/s out",
        "disk": f"{size(rates.disk_read)}/s read, {size(rates.disk_write)}/s written",
        "console": f"touched {span(idle)} ago" if idle is not None else "nobody there",
        "logged in": " ".join(shown["logged_in"]), "processes": sample.processes, "uptime": span(shown["uptime"]),
    }  # fmt: skip


def size(count: float) -> str:
    """Return a number of bytes as people read it: ``17.2 GiB``."""
    for unit in ("B", "KiB", "MiB", "GiB"):
        if abs(count) < 1024:
            return f"{count:.0f} B" if unit == "B" else f"{count:.1f} {unit}"
        count /= 1024
    return f"{count:.1f} TiB"


def span(seconds: float) -> str:
    """Return a number of seconds as people read it: ``3d04h``, ``2h05m``, ``17s``."""
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    days, hours = divmod(hours, 24)
    if days:
        return f"{days}d{hours:02}h"
    return f"{hours}h{minutes:02}m" if hours else f"{minutes}m{rest:02}s" if minutes else f"{rest}s"


def _number(value: object) -> str:
    return "-" if value is None else f"{value:g}"


def _plain(text: str) -> str:
    return "".join(char if char.isprintable() else "?" for char in text)

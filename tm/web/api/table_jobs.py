"""The endpoints of jobs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from tm.errors import RefusedError
from tm.model.paging import ORDERS
from tm.web.api import bodies, shapes
from tm.web.api.endpoint import BASE, MANY, SAID, Endpoint, Given, Parameter, Saying, Shown, json_text, pairs, plain
from tm.wire.message import quote

MOST_LISTED = 999
USUAL_LISTED = 100
USUAL_OUTPUT, USUAL_BUNDLE = "tm-%j.out", "tm-%j.bundle"
_LOGGED = 10_000
_FILTERS = (
    Parameter("user", "whose; all: everybody's (needs the right jobs); you, where nothing is said"),
    Parameter("state", "states with commas between, or active, ended, all"),
    Parameter("name", "a pattern of the name that was given: * ? […]"),
    Parameter("text", "somewhere in id, name or command"),
    Parameter("array", "the tasks of this array", "number"),
    Parameter("host", "where it runs or ran last"),
    Parameter("account", "the group it counts for"),
    Parameter("since", "ended at or after: a day, month, year, or a moment such as 2026-11-23T14:02:03Z"),
    Parameter("until", "ended before the end of"),
    Parameter("overlap", "ran in some of the time SINCE..UNTIL"),
    Parameter("tasks", "whether tasks of arrays are listed each by itself", choices=("each", "folded")),
)
_ORDERS = tuple(sign + name for name in ORDERS for sign in ("", "-"))
_PAGE = (
    Parameter("order", "by what, - downwards (usually -id); start: as they would start", choices=(*_ORDERS, "start")),
    Parameter("limit", f"how many ({USUAL_LISTED})", "number", most=MOST_LISTED, least=1),
    Parameter("from", "go on after the job with this cursor"),
)
_LOOK = (
    Parameter("lines", "begin with the last lines, so many (100)", "number", most=10_000),
    Parameter("look", "the name of your look, as next has it"),
    Parameter("stdout_at", "go on at this place of the output", "number"),
    Parameter("stderr_at", "go on at this place of the error output", "number"),
)


def _limit(given: Given) -> int:
    return int(given.args.get("limit", USUAL_LISTED))


def _jobs(given: Given) -> Saying:
    asked = {"order": "-id", **given.args, "limit": str(_limit(given) + 1)}
    return Saying("lsjobs", pairs(asked))


def _page(given: Given, lines: list[str]) -> Shown:
    """Return a page of jobs; one more than were wanted says that there are more."""
    limit = _limit(given)
    if len(lines) <= limit:
        return Shown(lines)
    cursor = msgspec.json.decode(lines[limit - 1], type=_Cursor).cursor
    return Shown(lines[:limit], {**given.args, "from": cursor}) if cursor else Shown(lines)


class _Cursor(msgspec.Struct):
    cursor: str = ""


class _Seq(msgspec.Struct):
    seq: int


class _Story(msgspec.Struct):
    events: list[msgspec.Raw]


def _events(given: Given, lines: list[str]) -> Shown:
    return Shown([bytes(event).decode() for line in lines for event in msgspec.json.decode(line, type=_Story).events])


def _tasks(given: Given) -> Saying:
    after = given.args.get("after")
    return Saying("joblog", quote(given.parts["job"]) + (f":{after}" if after else ""))


def _tasks_page(given: Given, lines: list[str]) -> Shown:
    if len(lines) < _LOGGED:
        return Shown(lines)
    return Shown(lines, {"after": str(msgspec.json.decode(lines[-1], type=_Seq).seq)})


def own(verb: str, argument: Mapping[str, Any], may: str = "") -> Saying:
    """Return what asks the visitor's own server."""
    return Saying("own", json_text({"verb": verb, "argument": argument}), may)


def _submit(given: Given) -> Saying:
    body = given.body
    for name, value in body.environment.items():
        if not name or "=" in name or "\0" in name + value:
            raise RefusedError("proto.arguments", f"{name!r:.60} cannot be a variable - at `$.environment`")
    usual = USUAL_BUNDLE if body.job.bundle else USUAL_OUTPUT
    job = {"stdout": usual, **msgspec.to_builtins(body.job)}
    return own("submit", {"token": body.token or given.fresh, "job": job, "environment": body.environment})


def _output(given: Given) -> Saying:
    args = given.args
    places = {number: int(args[name]) for number, name in ((1, "stdout_at"), (2, "stderr_at")) if name in args}
    asked: dict[str, Any] = {"job": _number(given.parts["job"]), "look": args.get("look") or given.fresh}
    if places:
        asked["at"] = places
    if "lines" in args:
        asked["lines"] = int(args["lines"])
    return own("output", asked)


def _number(job: str) -> int | str:
    return int(job) if job.isascii() and job.isdigit() and len(job) < 16 else job


class _Place(msgspec.Struct):
    at: int | None = None


class _Looked(msgspec.Struct):
    stdout: _Place
    stderr: _Place
    over: bool


def _output_next(given: Given, lines: list[str]) -> Shown:
    seen = msgspec.json.decode(lines[0], type=_Looked)
    if seen.over:
        return Shown(lines)
    places = {"stdout_at": seen.stdout.at, "stderr_at": seen.stderr.at}
    known = {name: str(at) for name, at in places.items() if at is not None}
    lines_asked = {"lines": given.args["lines"]} if not known and "lines" in given.args else {}
    return Shown(lines, {"look": given.args.get("look") or given.fresh, **lines_asked, **known})


def _order(given: Given) -> Saying:
    """Return what does an order to jobs; only what belongs to its verb may be said with it."""
    body = given.body
    _check_order(body)
    verb = body.verb + "job"
    if body.verb == "rerun":
        asked = {"token": body.token or given.fresh, "ids": body.ids, "failed": body.failed}
        return own("rerun", asked, "submit")
    if body.dry_run:
        return Saying("tryjobs", f"{verb}:{quote(body.ids)}")
    if body.verb == "change":
        return Saying(verb, json_text({"ids": body.ids, "set": body.set, "reason": body.reason}))
    more = body.signal if body.verb == "signal" else body.reason
    return Saying(verb, quote(body.ids) + (f":{quote(more)}" if more else ""))


_TAKES = {
    "reason": ("cancel", "hold", "suspend", "requeue", "change"),
    "signal": ("signal",), "set": ("change",), "failed": ("rerun",), "token": ("rerun",),
    "dry_run": tuple(verb for verb in bodies.ORDERS if verb != "rerun"),
}  # fmt: skip


def _check_order(body: bodies.Order) -> None:
    """Raise `RefusedError` ``proto.arguments`` for what does not go with the verb, or is missing."""
    for name, verbs in _TAKES.items():
        if getattr(body, name) and body.verb not in verbs:
            raise RefusedError("proto.arguments", f"{body.verb} takes no {name} - at `$.{name}`")
    missing = {"signal": body.signal, "change": body.set and body.set.given}.get(body.verb, True)
    if not missing and not body.dry_run:
        name = "signal" if body.verb == "signal" else "set"
        raise RefusedError("proto.arguments", f"{body.verb} needs {name}: what it is to be - at `$.{name}`")


def _answered_as(given: Given, lines: list[str]) -> Shown:
    """Return the answer of the visitor's own server to a rerun as that of any order."""
    if given.body.verb != "rerun":
        return Shown(lines)
    found = msgspec.json.decode(lines[0], type=_Again)
    ids = ",".join(map(str, found.ids))
    return Shown([json_text({"ids": ids, "jobs": len(found.ids), "done": True, "why": "; ".join(found.advice)})])


class _Again(msgspec.Struct):
    ids: list[int]
    advice: list[str] = []


def _fits(given: Given) -> Saying:
    return Saying("fits", json_text(given.body))


_ONE = "/jobs/<job>"
JOBS = (
    Endpoint(
        "GET", "/jobs", "Jobs, page by page", _jobs, ("lsjobs",), shapes.Job, MANY, turn=_page,
        parameters=(*_FILTERS, *_PAGE), right="jobs, for those of others",
    ),
    Endpoint(
        "GET", "/jobs/count", "How many jobs there are, by state",
        lambda given: Saying("countjobs", pairs(given.args)), ("countjobs",), shapes.Counts, parameters=_FILTERS,
        right="jobs, for those of others",
    ),
    Endpoint(
        "POST", "/jobs", "Submit a job; your own server signs it", _submit, ("own",), shapes.Submitted, may="submit",
        body=bodies.Submission, status=201,
    ),
    Endpoint(
        "POST", "/jobs/actions", "Do something to jobs, or say what it would be done to", _order,
        (*(f"{verb}job" for verb in bodies.ORDERS if verb != "rerun"), "tryjobs", "own"), shapes.Done, SAID, may="act",
        right="jobs, for those of others", body=bodies.Order, turn=_answered_as,
    ),
    Endpoint(
        "GET", _ONE, "All that is known of one job", plain("jobinfo", "<job>"), ("jobinfo",), shapes.JobDetail,
        right="jobs, for those of others",
    ),
    Endpoint(
        "GET", _ONE + "/why", "Why a job waits, for every host, and what would start it", plain("whyjob", "<job>"),
        ("whyjob",), shapes.Why, right="jobs, for those of others",
    ),
    Endpoint(
        "GET", _ONE + "/events", "What happened to a job", plain("jobinfo", "<job>"), ("jobinfo",), shapes.JobEvent,
        MANY, turn=_events, right="jobs, for those of others",
    ),
    Endpoint(
        "GET", _ONE + "/tasks", "The tasks of an array that are over", _tasks, ("joblog",), shapes.Logged, MANY,
        turn=_tasks_page, parameters=(Parameter("after", "those with an index above this", "number"),),
        right="jobs, for those of others",
    ),
    Endpoint(
        "GET", _ONE + "/output", "What a job of yours writes; your own server reads it", _output, ("own",),
        shapes.Output, parameters=_LOOK, turn=_output_next,
    ),
    Endpoint(
        "POST", "/fits", "Which hosts would fit a job; nothing is submitted", _fits, ("fits",), shapes.Fit, MANY,
        body=bodies.Demand,
    ),
)  # fmt: skip
"""Looking at jobs, and doing things to them. POST /fits changes nothing; what it asks has no place in an address."""

__all__ = ["BASE", "JOBS", "own"]

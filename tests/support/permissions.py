"""Who may say what to a dispatcher, written a second time, verb by verb; and lines that tell whether somebody may.

Each line is refused for another reason, or harmless, where it is permitted. USER, JOB, ARRAY, HOST, WISH and SESSION (a
new one each time) in it stand for what is one's own, or somebody else's.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import combinations

PERMITTED: dict[str, str] = {
    # everybody
    "help": "everybody", "version": "everybody", "whoami": "everybody", "status": "everybody",
    "lshosts": "everybody", "hostinfo": "everybody", "whois": "everybody", "lsgroups": "everybody",
    "subscribe": "everybody", "unsubscribe": "everybody", "fits": "everybody",
    "lsshares": "everybody", "usage": "everybody", "hostask": "everybody",
    # for what is one's own
    "runjob": "own", "submit": "own", "jobtexts": "own", "attach": "own", "hello": "own", "report": "own",
    "hostnews": "own", "told": "own", "answered": "own", "own": "own",
    # for what is one's own, or with a right
    "lsjobs": "own or jobs", "jobinfo": "own or jobs", "canceljob": "own or jobs", "whyjob": "own or jobs",
    "joblog": "own or jobs", "countjobs": "own or jobs",
    "holdjob": "own or jobs", "releasejob": "own or jobs", "suspendjob": "own or jobs", "resumejob": "own or jobs",
    "signaljob": "own or jobs", "requeuejob": "own or jobs", "changejob": "own or jobs", "tryjobs": "own or jobs",
    "leavehost": "own or hosts", "returnhost": "own or hosts",
    # with a right
    "activatehost": "hosts", "deactivatehost": "hosts", "drainhost": "hosts", "addhost": "hosts",
    "changehost": "hosts", "removehost": "hosts", "declarelost": "hosts",
    "lsusers": "users", "adduser": "users", "changeuser": "users", "removeuser": "users",
    "addgroup": "users", "changegroup": "users", "removegroup": "users",
    "lsproperties": "everybody", "changeproperties": "properties",
    "audit": "audit", "undo": "audit", "reload": "reload", "log": "log", "shutdown": "shutdown",
    # sessions of the web interface
    "weblogin": "own", "addtoken": "own", "lssessions": "own", "endsession": "own or users",
    # InfoServers alone, the web server alone
    "infojoin": "nobody", "info": "nobody", "infoanswer": "nobody",
    **dict.fromkeys(("webjoin", "webredeem", "webcertificate", "checksessions", "as"), "nobody"),
}  # fmt: skip

LINES: dict[str, str] = {
    **{verb: verb for verb in ("help", "version", "whoami", "status", "lshosts", "lsgroups", "unsubscribe", "lsusers")},
    **{verb: verb for verb in ("lsshares", "usage", "audit", "reload", "log", "shutdown")},
    **{verb: f"{verb}:[]" for verb in ("hello", "report", "hostnews", "told", "infojoin", "info", "addhost")},
    **{verb: f"{verb}:[]" for verb in ("changehost", "adduser", "changeuser", "addgroup", "changegroup")},
    **{verb: f"{verb}:[]" for verb in ("weblogin", "addtoken", "webjoin", "webredeem", "webcertificate", "as")},
    "checksessions": "checksessions:[]", "lssessions": "lssessions", "endsession": "endsession:SESSION",
    **{verb: f"{verb}:nobody" for verb in ("activatehost", "deactivatehost", "drainhost", "removehost", "declarelost")},
    "lsproperties": "lsproperties", "changeproperties": "changeproperties:[]",
    **{verb: f"{verb}:nobody" for verb in ("removeuser", "removegroup", "hostinfo", "whois")},
    "hostask": "hostask:nobody:load", **{verb: f"{verb}:[]" for verb in ("answered", "own", "infoanswer")},
    "subscribe": "subscribe:hosts", "runjob": "runjob:true", "submit": "submit:WISH", "attach": "attach:{}",
    "fits": "fits:{}", "lsjobs": "lsjobs:user=USER", "jobinfo": "jobinfo:JOB", "canceljob": "canceljob:JOB",
    "countjobs": "countjobs:user=USER",
    **{verb: f"{verb}:JOB" for verb in ("holdjob", "releasejob", "suspendjob", "resumejob", "requeuejob")},
    "signaljob": "signaljob:JOB:USR1", "tryjobs": "tryjobs:holdjob:JOB",
    "changejob": 'changejob:{"ids":"JOB","set":{"priority":1}}',
    "jobtexts": "jobtexts:JOB", "whyjob": "whyjob:JOB", "joblog": "joblog:ARRAY",
    "leavehost": "leavehost:HOST:never", "returnhost": "returnhost:HOST", "undo": "undo:99999",
}  # fmt: skip

RIGHTS = ("hosts", "jobs", "users", "reload", "log", "audit", "shutdown", "properties")
OF_A_SERVER = ("hello", "report", "hostnews", "told", "answered")
"""What is one's own when one's server is attached: who says it from elsewhere is refused."""

_OWN_IN_ANY_CASE = ("runjob", "attach", "weblogin", "addtoken", "lssessions", "own")
_DENIALS = {
    **dict.fromkeys(("jobinfo", "canceljob", "holdjob", "releasejob", "suspendjob", "resumejob"), "job.unknown"),
    **dict.fromkeys(("signaljob", "requeuejob", "changejob", "tryjobs", "jobtexts", "whyjob", "joblog"), "job.unknown"),
    "submit": "job.user", "endsession": "session.unknown",
}  # fmt: skip
"""How a denial sounds where it is not to tell that there is something."""


def expected(verb: str, rights: Iterable[str], own: bool) -> bool:
    """Whether somebody in groups with these *rights* may say *verb* of what is their *own* or not."""
    given = set(rights)
    rule = PERMITTED[verb]
    needed = rule.removeprefix("own or ")
    if rule in ("everybody", "own", "nobody"):
        return rule == "everybody" or (rule == "own" and (own or verb in _OWN_IN_ANY_CASE))
    return (rule.startswith("own") and own) or needed in given or "all" in given or f"verb:{verb}" in given


def denied(verb: str, word: str | None) -> bool:
    """Whether an answer of the class *word* (None: OK) says that somebody may not."""
    return word is not None and word in ("perm.denied", _DENIALS.get(verb))


def group_sets(whole: bool) -> Iterator[tuple[str, ...]]:
    """Yield sets of rights: none, each, each verb alone, all but one, all; with *whole* every subset of the rights."""
    sizes = range(len(RIGHTS) + 1) if whole else (0, 1, len(RIGHTS) - 1, len(RIGHTS))
    for size in sizes:
        yield from combinations(RIGHTS, size)
    yield ("all",)
    yield from ((f"verb:{verb}",) for verb, rule in PERMITTED.items() if rule.removeprefix("own or ") in RIGHTS)

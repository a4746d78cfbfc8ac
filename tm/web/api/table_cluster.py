"""The endpoints of hosts, people, and the dispatcher itself."""

from __future__ import annotations

import msgspec

from tm.errors import RefusedError
from tm.web.api import bodies, shapes_cluster, shapes_hosts
from tm.web.api.endpoint import (
    MANY,
    SAID,
    STREAM,
    Endpoint,
    Given,
    Parameter,
    Say,
    Saying,
    Shown,
    json_text,
    keyed,
    pairs,
    plain,
)
from tm.wire.message import quote

SPANS = ("1h", "24h", "30d")
METRICS = (
    "load", "cpu_ours", "cpu_others", "memory_used", "swap_used", "network_in", "network_out", "disk_read",
    "disk_write", "gpu", "processes", "logged_in",
)  # fmt: skip
_HOST = "/hosts/<host>"
_TAKES = {"reason": ("deactivate", "drain"), "within": ("drain", "leave")}


def _named(verb: str, part: str) -> Say:
    """Return what says *verb* with the body, in which the *part* of the path is the name."""

    def say(given: Given) -> Saying:
        return Saying(verb, json_text({"name": given.parts[part], **msgspec.to_builtins(given.body)}))

    return say


def _whole(verb: str) -> Say:
    """Return what says *verb* with the body as it is."""
    return lambda given: Saying(verb, json_text(given.body))


def _add_host(given: Given) -> Saying:
    return Saying("addhost", json_text({**given.body.values, "name": given.body.name}))


def _order_host(given: Given) -> Saying:
    body, host = given.body, quote(given.parts["host"])
    for name, verbs in _TAKES.items():
        if getattr(body, name) and body.verb not in verbs:
            raise RefusedError("proto.arguments", f"{body.verb} takes no {name} - at `$.{name}`")
    verb = body.verb if body.verb == "declarelost" else body.verb + "host"
    words = {"drain": [body.within, body.reason], "leave": [body.within], "deactivate": [body.reason]}
    more = words.get(body.verb, [])
    while more and not more[-1]:
        more.pop()
    return Saying(verb, ":".join([host, *map(quote, more)]))


def _processes(given: Given) -> Saying:
    rest = pairs(given.args)
    return Saying("hostask", f"{quote(given.parts['host'])}:processes" + (f":{rest}" if rest else ""))


def _check(given: Given) -> Saying:
    body = given.body
    wish = {"check": body.check or given.fresh, "name": body.name, "table": body.values, "new": body.new}
    return Saying("own", json_text({"verb": "checkhost", "argument": wish}))


def _checked(given: Given, lines: list[str]) -> Shown:
    """Return how a check goes, with its name."""
    seen = msgspec.json.decode(lines[0], type=dict[str, msgspec.Raw])
    return Shown([json_text({"check": given.body.check or given.fresh, **seen})])


class _Line(msgspec.Struct):
    time: str


def _log(given: Given) -> Saying:
    filters = pairs({name: value for name, value in given.args.items() if name != "lines"})
    return Saying("log", str(_log_lines(given)) + (f":{filters}" if filters else ""))


def _log_lines(given: Given) -> int:
    return int(given.args.get("lines", 50))


def _log_page(given: Given, lines: list[str]) -> Shown:
    """Return lines of the log; what comes next is older."""
    if len(lines) < _log_lines(given):
        return Shown(lines)
    return Shown(lines, {**given.args, "before": msgspec.json.decode(lines[0], type=_Line).time})


def _lines(verb: str) -> Say:
    """Return what asks for the last *lines* of something."""
    return lambda given: Saying(verb, given.args.get("lines"))


HOSTS = (
    Endpoint("GET", "/hosts", "The hosts and how they are", plain("lshosts"), ("lshosts",), shapes_hosts.Host, MANY),
    Endpoint(
        "POST", "/hosts", "Take a computer in", _add_host, ("addhost",), shapes_cluster.Record, SAID, may="act",
        right="hosts", body=bodies.NewHost, status=201,
    ),
    Endpoint(
        "GET", _HOST, "All that is known of one host", plain("hostinfo", "<host>"), ("hostinfo",),
        shapes_hosts.HostDetail,
    ),
    Endpoint(
        "PUT", _HOST, "Change the configuration of a host", _named("changehost", "host"), ("changehost",),
        shapes_cluster.Record, SAID, may="act", right="hosts", body=bodies.Change,
    ),
    Endpoint(
        "DELETE", _HOST, "Take a host out on which nothing runs", plain("removehost", "<host>"), ("removehost",),
        shapes_cluster.Record, SAID, may="act", right="hosts",
    ),
    Endpoint(
        "POST", _HOST + "/actions", "Let jobs start on a host, or not", _order_host,
        ("activatehost", "deactivatehost", "drainhost", "declarelost", "leavehost", "returnhost"),
        shapes_cluster.Record, SAID, may="act", right="hosts; its owners may leave and return", body=bodies.HostOrder,
    ),
    Endpoint(
        "GET", _HOST + "/load", "How busy a host is now", plain("hostask", "<host>", "load"), ("hostask",),
        shapes_hosts.Load,
    ),
    Endpoint(
        "GET", _HOST + "/system", "What a computer is", plain("hostask", "<host>", "info"), ("hostask",),
        shapes_hosts.System,
    ),
    Endpoint(
        "GET", _HOST + "/logins", "Who is logged in on a host", plain("hostask", "<host>", "users"), ("hostask",),
        shapes_hosts.Login, MANY,
    ),
    Endpoint(
        "POST", "/hosts/checks", "Look whether jobs can run on a computer; your own server does", _check, ("own",),
        shapes_hosts.HostCheck, may="submit", body=bodies.CheckedHost, turn=_checked,
    ),
    Endpoint(
        "GET", _HOST + "/processes", "The processes of a host, as a tree", _processes, ("hostask",),
        shapes_hosts.Process, MANY,
        parameters=(
            Parameter("user", "those of this account of the host"), Parameter("job", "those of this job"),
            Parameter("limit", "how many at most (1000)", "number", most=1000, least=1),
        ),
    ),
    Endpoint(
        "GET", _HOST + "/history/<metric>/<span>",
        f"What a metric ({' '.join(METRICS)}) was like for {', '.join(SPANS)}",
        plain("hostask", "<host>", "history", "<metric>", "<span>"), ("hostask",), shapes_hosts.Point, MANY,
    ),
)  # fmt: skip

PEOPLE = (
    Endpoint("GET", "/whoami", "Who you are, and what you may", plain("whoami"), ("whoami",), shapes_cluster.Who),
    Endpoint("GET", "/shares", "Whose turn comes first", plain("lsshares"), ("lsshares",), shapes_cluster.Share, MANY),
    Endpoint(
        "GET", "/usage", "What jobs that have ended have used", keyed("usage", "by", "from", "to", "user", "group"),
        ("usage",), shapes_cluster.Use, MANY,
        parameters=(
            Parameter("by", "some of user,group,month (user,group)"), Parameter("from", "a day, month or year"),
            Parameter("to", "the same; the last one counts as a whole"), Parameter("user", "whose jobs"),
            Parameter("group", "the group they counted for"),
        ),
    ),
    Endpoint(
        "GET", "/users", "The users", plain("lsusers"), ("lsusers",), shapes_cluster.User, MANY, right="users",
    ),
    Endpoint(
        "POST", "/users", "Register a user", _whole("adduser"), ("adduser",), shapes_cluster.Record, SAID, may="act",
        right="users", body=bodies.NewUser, status=201,
    ),
    Endpoint(
        "PUT", "/users/<user>", "Change a user", _named("changeuser", "user"), ("changeuser",), shapes_cluster.Record,
        SAID, may="act", right="users", body=bodies.UserChange,
    ),
    Endpoint(
        "DELETE", "/users/<user>", "Let a user in no longer", plain("removeuser", "<user>"), ("removeuser",),
        shapes_cluster.Record, SAID, may="act", right="users",
    ),
    Endpoint("GET", "/groups", "The groups", plain("lsgroups"), ("lsgroups",), shapes_cluster.Group, MANY),
    Endpoint(
        "POST", "/groups", "Make a group", _whole("addgroup"), ("addgroup",), shapes_cluster.Record, SAID, may="act",
        right="users", body=bodies.NewGroup, status=201,
    ),
    Endpoint(
        "PUT", "/groups/<group>", "Change a group", _named("changegroup", "group"), ("changegroup",),
        shapes_cluster.Record, SAID, may="act", right="users", body=bodies.GroupChange,
    ),
    Endpoint(
        "DELETE", "/groups/<group>", "Take a group out", plain("removegroup", "<group>"), ("removegroup",),
        shapes_cluster.Record, SAID, may="act", right="users",
    ),
    Endpoint(
        "GET", "/sessions", "Your links, sessions and tokens", plain("lssessions"), ("lssessions",),
        shapes_cluster.Session, MANY, right="users, for those of others",
    ),
    Endpoint(
        "DELETE", "/sessions/<id>", "End a link, session or token", plain("endsession", "<id>"), ("endsession",), None,
        SAID, may="act", right="users, for those of others",
    ),
)  # fmt: skip

DISPATCHER = (
    Endpoint("GET", "/status", "How the dispatcher is", plain("status"), ("status",), shapes_cluster.Status),
    Endpoint(
        "GET", "/properties", "What can be set of the cluster", plain("lsproperties"), ("lsproperties",),
        shapes_cluster.Property, MANY,
    ),
    Endpoint(
        "PUT", "/properties", "Set properties", _whole("changeproperties"), ("changeproperties",),
        shapes_cluster.Record, SAID, may="act", right="properties", body=bodies.Change,
    ),
    Endpoint(
        "GET", "/audit", "Who changed what", _lines("audit"), ("audit",), shapes_cluster.Record, MANY, right="audit",
        parameters=(Parameter("lines", "the last records, so many (50)", "number", most=10_000, least=1),),
    ),
    Endpoint(
        "POST", "/audit/<id>/undo", "Take a change back", plain("undo", "<id>"), ("undo",), shapes_cluster.Record,
        SAID, may="act", right="audit, and that of what is undone",
    ),
    Endpoint(
        "GET", "/log", "The last lines of the dispatcher's log; what is next is older", _log, ("log",),
        shapes_cluster.LogLine, MANY, right="log", turn=_log_page,
        parameters=(
            Parameter("lines", "so many (50)", "number", most=5000, least=1),
            Parameter("level", "at least so grave", choices=("debug", "info", "warn", "error", "critical")),
            Parameter("text", "somewhere in text, event or traceback"), Parameter("job", "about this job"),
            Parameter("host", "about this host"), Parameter("user", "about this user"),
            Parameter("since", "not older than this time"), Parameter("before", "older than this time"),
            Parameter("file", "which; error has warnings and errors, for longer", choices=("log", "error")),
        ),
    ),
    Endpoint(
        "POST", "/reload", "Have the configuration read again", plain("reload"), ("reload",), None, SAID, may="act",
        right="reload",
    ),
    Endpoint(
        "POST", "/shutdown", "Stop the dispatcher; running jobs go on", plain("shutdown"), ("shutdown",), None, SAID,
        may="act", right="shutdown",
    ),
    Endpoint(
        "GET", "/events", "What has changed, as it changes (server-sent events)", plain("events"), (), None, STREAM,
        parameters=(
            Parameter("topics", "some of jobs,hosts,log,loads,audit (all)"),
            Parameter("after", "the id of the last one you know"),
        ),
    ),
)  # fmt: skip

"""``hListen``: print what happens, as it happens."""

from __future__ import annotations

import json
import time

from tm import places as whereabouts
from tm.client import program
from tm.client.connection import Connection, LostError
from tm.client.hsend import parse_port
from tm.client.parser import Parser
from tm.client.program import Manner, UsageError
from tm.client.table import plain
from tm.client.timing import size
from tm.errors import TaskManagerError, WireError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

    from tm.places import Places

HELP = """
hListen jobs                     what becomes of jobs, as it happens
hListen jobs hosts --json        of jobs and hosts, one JSON object a line
hListen localhost 10101 log      the log of a server that is named
hListen n1 40321 load            how busy a host is, as its InfoServer sees it ('tm hosts info n1' says the port)

hListen [HOST PORT] TOPIC…
  topics: jobs hosts log         (the log only for those who may read it); load of an InfoServer
  --json       one JSON object a line
  -h, --help   --version

Without HOST and PORT the TaskDispatcher is asked. A lost connection is made again; ^C ends.

exit status: 130 after ^C; 1 refused, 2 usage, 69 unreachable, 77 not permitted, 78 configuration
"""
_SIZES = ("memory_available", "memory_ours", "swap_used")
_PAUSES = (0.2, 0.5, 1.0, 2.0, 5.0, 10.0)


def main(argv: Sequence[str] | None = None) -> int:
    """Run ``hListen`` and return its exit status."""
    return program.run("hListen", _run, argv)


def make_parser() -> Parser:
    """Return the parser of all options."""
    parser = Parser("hListen", HELP)
    parser.add_argument("words", nargs="*")
    parser.add_argument("--json", action="store_true")
    return parser


def _run(argv: list[str], manner: Manner) -> int:
    options = make_parser().parse_intermixed_args(argv)
    manner.choose(options.json, False)
    host, port, topics = split_words(options.words)
    places = whereabouts.find()
    connected = False
    troubles = 0
    while True:
        try:
            with _open(places, host, port) as connection:
                connection.ask("subscribe", ":".join(topics))
                if connected:
                    manner.say("connected again; what happened in between was not heard")
                connected, troubles = True, 0
                for event in connection.events():
                    print(json.dumps(event, ensure_ascii=False) if manner.json else line_of(event), flush=True)
        except TaskManagerError as error:
            passing = isinstance(error, (LostError, WireError)) or error.word.startswith("net.")
            if not (connected and passing):
                raise
            if not troubles:
                manner.say(f"{error.text}; trying to connect again")
        time.sleep(_PAUSES[min(troubles, len(_PAUSES) - 1)])
        troubles += 1


def split_words(words: list[str]) -> tuple[str | None, int | None, list[str]]:
    """Return host, port and topics of ``[HOST PORT] TOPIC…``; raise `UsageError`."""
    named = len(words) > 1 and words[1].isdigit()
    topics = words[2:] if named else words
    if not topics:
        raise UsageError("name a topic: jobs, hosts or log; load of an InfoServer")
    for topic in topics:
        if not topic.isalnum():
            raise UsageError(f"'{topic}' is no topic; topics are jobs, hosts, log, and load of an InfoServer")
    return (words[0], parse_port(words[1]), topics) if named else (None, None, topics)


def _open(places: Places, host: str | None, port: int | None) -> Connection:
    if host is None:
        return Connection.open_dispatcher(places)
    from tm.client import trust

    return trust.open_server(places, host, port or 0)


def line_of(event: dict[str, Any]) -> str:
    """Return *event* as one line for people."""
    rest = {key: value for key, value in event.items() if key not in ("topic", "at") and value not in (None, "")}
    topic = event.get("topic")
    words = [time.strftime("%H:%M:%S"), str(topic)]
    if topic == "jobs":
        words += [f"{rest.pop('id', '?')}", str(rest.pop("user", "")), str(rest.pop("state", ""))]
        words += [f"on {rest.pop('host')}"] if "host" in rest else []
    elif topic == "hosts":
        words += [str(rest.pop("host", rest.pop("name", "?"))), str(rest.pop("state", ""))]
    elif topic == "load":
        words.append(str(rest.pop("host", "?")))
        rest.update({key: size(int(value)) for key, value in rest.items() if key in _SIZES})
    words += [f"{key}={_shown(value)}" for key, value in rest.items() if value not in ([], {})]
    return plain("  ".join(words))


def _shown(value: Any) -> str:
    """Return a value of an event with numbers that are not longer than they are known."""
    if isinstance(value, float):
        return f"{value:.2f}"
    if isinstance(value, list):
        return ",".join(map(_shown, value))
    if isinstance(value, dict):
        return ",".join(f"{key}:{_shown(one)}" for key, one in value.items())
    return str(value)

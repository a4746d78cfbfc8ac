"""``hSend``: say one line of the protocol to a server and print its answer, or talk to it at a prompt."""

from __future__ import annotations

import json
import sys

from tm import places as whereabouts
from tm.client import program
from tm.client.connection import Connection
from tm.client.parser import Parser
from tm.client.program import Manner, UsageError
from tm.errors import TaskManagerError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from tm.places import Places
    from tm.wire.message import Reply

HELP = """
hSend localhost 10101 "lsjobs:state=running:user=all"     ask the TaskDispatcher
hSend localhost 10101 help                                what can be said there
hSend n1 40321 load                                       ask an InfoServer; 'hostinfo:n1' says its port
hSend localhost 10101                                     talk to it: a prompt, a line each; ^D ends

hSend HOST PORT [LINE]
  --json         ask for the answer as JSON (the same as VERB.json)
  -h, --help     --version

HOST and PORT are the TaskDispatcher's, an InfoServer's or those of your own server (TMS). 'runjob:COMMAND' said to the
TaskDispatcher is taken to your own server, which signs it with your key; nobody else may.

exit status: 0 done, 1 refused, 2 usage, 69 unreachable, 75 try again, 77 not permitted, 78 configuration
"""


def main(argv: Sequence[str] | None = None) -> int:
    """Run ``hSend`` and return its exit status."""
    return program.run("hSend", _run, argv)


def make_parser() -> Parser:
    """Return the parser of all options."""
    parser = Parser("hSend", HELP)
    parser.add_argument("host")
    parser.add_argument("port")
    parser.add_argument("line", nargs="*")
    parser.add_argument("--json", action="store_true")
    return parser


def _run(argv: list[str], manner: Manner) -> int:
    options = make_parser().parse_intermixed_args(argv)
    manner.choose(options.json, False)
    port = parse_port(options.port)
    line = " ".join(options.line)
    if any(char in line for char in "\r\n"):
        raise UsageError("the line must be one line")
    places = whereabouts.find()
    from tm.client import trust

    with trust.open_server(places, options.host, port) as connection:
        talk = Talk(connection, places, options.json)
        if options.line:
            show(talk.say(line))
            return 0
        return _prompt(talk, manner)


def parse_port(text: str) -> int:
    """Return a port number; raise `UsageError`."""
    if not (text.isascii() and text.isdigit()) or not 0 < int(text) < 65536:
        raise UsageError(f"'{text}' is no port; it is a number from 1 to 65535")
    return int(text)


class Talk:
    """A conversation in raw lines; what must be signed goes to the user's own server."""

    def __init__(self, connection: Connection, places: Places, wants_json: bool = False) -> None:
        self.connection = connection
        self._places = places
        self._json = wants_json
        self._own: Connection | None = None

    def say(self, line: str) -> Reply:
        """Return the answer; raise `RefusedError` for ``ERR``, `UsageError` for what cannot be sent."""
        verb, colon, rest = line.partition(":")
        name = verb.strip().partition(".")[0]
        if self._json and not verb.strip().endswith(".json"):
            verb = verb.strip() + ".json"
        target = (
            self._own_server() if name == "runjob" and self.connection.server == "TaskDispatcher" else self.connection
        )
        try:
            target.send(f"{verb}{colon}{rest}\n".encode())
        except UnicodeEncodeError:
            raise UsageError("the line is not UTF-8") from None
        return target.reply()

    def _own_server(self) -> Connection:
        if self._own is None:
            self._own = Connection.open_tms(self._places)
        return self._own


def show(reply: Reply) -> None:
    """Print an answer: its text where it has one, then its body."""
    lines = [*([reply.text] if reply.text else []), *reply.body]
    if lines:
        print("\n".join(lines))


def _prompt(talk: Talk, manner: Manner) -> int:
    prompt = ""
    if sys.stdin.isatty():
        import readline  # noqa: F401  input() edits lines and remembers them with it

        prompt = f"{talk.connection.server}> "
        manner.say(f"{talk.connection.server} {talk.connection.version}, user {talk.connection.said.get('user')}")
    status = 0
    while True:
        try:
            line = input(prompt).strip()
        except EOFError:
            if prompt:
                print()
            return status
        if line in ("quit", "exit"):
            return status
        status = _say(talk, line, manner) if line else status


def _say(talk: Talk, line: str, manner: Manner) -> int:
    try:
        show(talk.say(line))
        event = talk.connection.event(0.0)
        while event is not None:
            print("* " + json.dumps(event, ensure_ascii=False))
            event = talk.connection.event(0.0)
    except TaskManagerError as error:
        if error.word in ("net.lost", "net.timeout"):
            raise
        manner.say(f"{error.word}: {error.text}")
        return error.exit_status
    finally:
        sys.stdout.flush()
    return 0

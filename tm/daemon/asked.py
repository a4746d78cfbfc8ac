"""What a user's server does for the web interface when the dispatcher passes it on.

The law: the dispatcher is not trusted here. Nothing is done without a grant of this user's own (`tm.daemon.grants`),
and with one only what it says; files are read only where a request that this user has signed says that they are.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any

import msgspec
from twisted.logger import Logger

from tm.daemon import background
from tm.daemon.answers import decoded, json_line
from tm.daemon.grants import Grants, May
from tm.daemon.host_checks import HostChecks
from tm.daemon.looking import Looking
from tm.daemon.questions import answer_lines
from tm.daemon.rerun import Rerun
from tm.daemon.runs import Runs
from tm.daemon.signing_desk import Wish
from tm.daemon.user_server import Accepted, UserServer
from tm.errors import RefusedError, TaskManagerError
from tm.ports import Link
from tm.wire.message import Reply

MOST_AT_ONCE = 64
_log = Logger()


class Question(msgspec.Struct):
    """What is asked: *verb* with its *argument*, and the grant of the session through which it is."""

    number: int
    verb: str
    argument: msgspec.Raw
    grant: str = ""
    sig: str = ""


class Submission(msgspec.Struct, forbid_unknown_fields=True):
    """The argument of ``submit``: the fields of one job, and variables beside those of this server."""

    token: str
    job: dict[str, object]
    environment: dict[str, str] = {}


class AskedDesk:
    """Answers of one user's server."""

    def __init__(self, server: UserServer, runs: Runs, grants: Grants) -> None:
        self._server = server
        self._grants = grants
        self._looking = Looking(server, runs)
        self._under_way = 0
        self._verbs: dict[str, tuple[May, Callable[[str], Awaitable[dict[str, Any]]]]] = {
            "output": ("look", self._looking.output),
            "submit": ("submit", self._submit),
            "rerun": ("submit", self._rerun),
            "checkhost": ("submit", HostChecks(server.clock, server.around.tm_command).check),
        }

    def hear(self, link: Link, json: bytes) -> None:
        """The dispatcher asks."""
        try:
            question = msgspec.json.decode(json, type=Question)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
            _log.warn("the dispatcher asks what is not understood: {text}", event="malformed", text=str(error))
            return
        background.start(self._answered(link, question), "answering the web interface")

    async def _answered(self, link: Link, question: Question) -> None:
        self._under_way += 1
        reply = Reply("your own server failed at this; its log says how", word="internal.error")
        try:
            reply = Reply(body=[json_line(await self._answer(question))])
        except TaskManagerError as error:
            reply = Reply(error.text, word=error.word)
        finally:
            self._under_way -= 1
            background.start(_tell(link, question.number, reply), "telling an answer")

    async def _answer(self, question: Question) -> dict[str, Any]:
        if question.verb not in self._verbs:
            raise RefusedError("proto.verb", f"your own server does no '{question.verb:.40}' for the web interface")
        needed, method = self._verbs[question.verb]
        try:
            self._grants.check(question.grant, question.sig, needed)
        except RefusedError as error:
            _log.warn("refused {verb}: {text}", event="refused", verb=question.verb, word=error.word, text=error.text)
            raise
        if self._under_way > MOST_AT_ONCE:
            raise RefusedError("limit.questions", "your own server has too many questions under way; try again")
        return await method(bytes(question.argument).decode())

    async def _submit(self, argument: str) -> dict[str, Any]:
        asked = decoded(Submission, argument)
        around = self._server.around
        job = dict(asked.job)
        if job.get("interactive"):
            raise RefusedError("job.invalid", "a command that runs now needs a terminal: hRun")
        job["cwd"] = _below(around.home, job.get("cwd"))
        common: dict[str, object] = {"environment": {**around.environment, **asked.environment}}
        return _shown(await self._server.accepted(Wish(asked.token, [job], common)))

    async def _rerun(self, argument: str) -> dict[str, Any]:
        return _shown(await self._server.rerun(decoded(Rerun, argument)))


async def _tell(link: Link, number: int, reply: Reply) -> None:
    for line in answer_lines(number, reply):
        await link.ask("answered", line)


def _below(home: str, cwd: object) -> object:
    """Return the working directory *cwd* as a request has it: the home folder for none, ``~/`` and others below it."""
    if not isinstance(cwd, str):
        return home if cwd is None else cwd
    below = cwd.removeprefix("~/") if cwd.startswith("~/") else "" if cwd in ("", "~") else cwd
    return below if below.startswith("/") else f"{home.rstrip('/')}/{below}".rstrip("/") or "/"


def _shown(accepted: Accepted) -> dict[str, Any]:
    return {"ids": accepted.ids, "advice": [line.removeprefix("#").strip() for line in accepted.advice]}

"""Answers what programs ask: the endpoint says what to ask of the dispatcher, its answer goes out as it came."""

from __future__ import annotations

import secrets
from collections.abc import Mapping
from typing import Any

import msgspec

from tm.errors import RefusedError
from tm.web.answers import Answer, Json
from tm.web.api.endpoint import MANY, ONE, Endpoint, Given, Shown
from tm.web.asked import Asked
from tm.web.desk import AnswerError, Desk
from tm.web.guard import status_of
from tm.web.render import href
from tm.wire.message import Reply

FRESH_BYTES = 18


async def serve(desk: Desk, asked: Asked, endpoint: Endpoint, parts: Mapping[str, str]) -> Answer:
    """Return what *endpoint* answers *asked*. Raises `RefusedError` for what is wrong in itself."""
    fresh = secrets.token_urlsafe(FRESH_BYTES)
    given = endpoint.read(parts, asked.args, asked.content_type, asked.body, fresh)
    saying = endpoint.say(given)
    if saying.may and not asked.who.can(saying.may):
        raise RefusedError(
            "perm.session", f"this needs a session or token that may {saying.may}; yours may {asked.who.may}"
        )
    try:
        reply = await desk.said(asked, saying.verb, saying.rest)
    except AnswerError as error:
        if not error.body:
            raise
        return refused(error)
    return Json(_value(asked, endpoint, given, reply), endpoint.status)


def refused(error: AnswerError) -> Json:
    """Return a refusal with all that the dispatcher says of it."""
    details = [_read(line) for line in error.body]
    return Json({"error": {"class": error.word, "text": error.text, "details": details}}, status_of(error.word))


def _read(line: str) -> Any:
    """Return a line of an error: JSON where it is, else the text."""
    try:
        return msgspec.json.decode(line)
    except msgspec.MsgspecError:
        return line


def _value(asked: Asked, endpoint: Endpoint, given: Given, reply: Reply) -> dict[str, Any]:
    shown = Shown(reply.body)
    if endpoint.turn is not None and reply.body:
        shown = endpoint.turn(given, reply.body)
    items = [msgspec.Raw(line.encode()) for line in shown.items]
    address = None if shown.next is None else href(asked.prefix, asked.path, **shown.next)
    if endpoint.form == MANY:
        return {"items": items, "next": address}
    if endpoint.form == ONE:
        if not items:
            raise RefusedError("web.answer", "the dispatcher has no answer to that; try again")
        value: dict[str, Any] = msgspec.json.decode(items[0], type=dict[str, msgspec.Raw])
        return {**value, "next": address} if _has_next(endpoint) else value
    return {"text": reply.text, "items": items}


def _has_next(endpoint: Endpoint) -> bool:
    return any(one.name == "next" for one in msgspec.structs.fields(endpoint.answer))

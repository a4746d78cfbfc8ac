"""What the dispatcher asks a user's server to tell: done only where the user's own signed request asks for it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import Any, Protocol

import msgspec
from twisted.logger import Logger

from tm.daemon.answers import json_line
from tm.daemon.signing_desk import Signer
from tm.errors import RefusedError
from tm.model.ids import array_of
from tm.model.notify_targets import BUNDLE
from tm.model.spec import JobSpec, bundle_path, read_spec

_log = Logger()


class Bell(Protocol):
    """Tells the user something where they want it."""

    async def ring(self, target: str, title: str, text: str, body: object) -> None:
        """Do it; raise `RefusedError` with the reason why it cannot be done."""


class Tell(msgspec.Struct):
    """What is to be told at *target*: *title* and *text* for eyes, *told* for programs; *spec* and *sig* are the user's
    request that named the target."""

    id: int
    target: str
    title: str
    text: str
    told: dict[str, Any]
    spec: str
    sig: str


Merge = Callable[[str], Awaitable[object]]
"""Puts the bundle at a path together; raises `RefusedError` when it cannot."""


class TellingDesk:
    """Checks what is to be told, rings the *bell*, or has *merge* put the outputs of an array together, and says with
    *told* what became of it."""

    def __init__(
        self, signer: Signer, bell: Callable[[], Bell], merge: Merge, told: Callable[[str], Awaitable[None]]
    ) -> None:
        self._signer = signer
        self._merge = merge
        self._make = bell
        self._bell: Bell | None = None
        self._told = told

    async def tell(self, raw: bytes) -> None:
        """Do what the event line *raw* asks. Raises `RefusedError` ``proto.malformed`` where it asks nothing."""
        try:
            wish = msgspec.json.decode(raw, type=Tell)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError) as error:
            raise RefusedError(
                "proto.malformed", f"the dispatcher wants something told that is none: {error}"
            ) from None
        failed = ""
        try:
            spec = self._checked(wish)
            if wish.target == BUNDLE:
                await self._merge(bundle_path(spec, array_of(_number(wish))))
            else:
                self._bell = self._bell or self._make()
                await self._bell.ring(wish.target, wish.title, wish.text, wish.told)
        except RefusedError as error:
            failed = error.text
            _log.warn("{target} is not told of job {job}: {reason}", event="telling", target=wish.target,
                      job=wish.told.get("id"), reason=failed)  # fmt: skip
        await self._told(json_line({"id": wish.id, "failed": failed}))

    def _checked(self, wish: Tell) -> JobSpec:
        spec = read_spec(wish.spec) if self._signer.check(wish.spec, wish.sig) else None
        if spec is None or not (spec.bundle if wish.target == BUNDLE else wish.target in spec.notify):
            raise RefusedError("auth.signature", f"no job of this user asks that {wish.target:.100} be told")
        return spec


def _number(wish: Tell) -> int:
    number = str(wish.told.get("id", ""))
    if not (number.isascii() and number.isdigit() and len(number) < 20):
        raise RefusedError("job.unknown", f"'{number:.20}' is the number of no job")
    return int(number)

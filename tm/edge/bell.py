"""Tells a user something: at their desktop, or at a web address, with their own rights."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from io import BytesIO
from typing import Any

import msgspec
from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorProcess
from twisted.internet.utils import getProcessOutputAndValue
from twisted.web.client import Agent, BrowserLikePolicyForHTTPS, FileBodyProducer, readBody
from twisted.web.http_headers import Headers

import tm
from tm.errors import RefusedError
from tm.model.notify_targets import DESKTOP, target_complaint

SECONDS = 15.0
_SCREENS = ("DBUS_SESSION_BUS_ADDRESS", "DISPLAY", "WAYLAND_DISPLAY")


class Bell:
    """Rings where a user wants it; *environment* is theirs."""

    def __init__(self, reactor: Any, environment: Mapping[str, str]) -> None:
        self._reactor: IReactorProcess = reactor
        self._environment = environment
        self._agent = Agent(reactor, BrowserLikePolicyForHTTPS(), connectTimeout=SECONDS)

    async def ring(self, target: str, title: str, text: str, body: object) -> None:
        """Tell *title* and *text* at the desktop, or send *body* as JSON to a web address.

        Raises `RefusedError` ``notify.target`` or ``notify.failed`` with the reason.
        """
        complaint = target_complaint(target)
        if complaint:
            raise RefusedError("notify.target", complaint)
        if target == DESKTOP:
            await self._show(title, text)
        else:
            await self._post(target, msgspec.json.encode(body))

    async def _show(self, title: str, text: str) -> None:
        program = shutil.which("notify-send", path=self._environment.get("PATH"))
        if program is None:
            raise RefusedError("notify.failed", "there is no program notify-send on the machine of your server (TMS)")
        if not any(self._environment.get(name) for name in _SCREENS):
            raise RefusedError("notify.failed", "your server (TMS) was started outside a desktop session")
        arguments = ["--app-name=TaskManager", "--", title, text]
        done: Deferred[Any] = getProcessOutputAndValue(
            program, arguments, dict(self._environment), reactor=self._reactor
        )
        _, errors, code = await done
        if code:
            raise RefusedError(
                "notify.failed", f"notify-send ended with {code}: {errors[:200].decode('utf-8', 'replace')}"
            )

    async def _post(self, target: str, body: bytes) -> None:
        headers = Headers({"Content-Type": ["application/json"], "User-Agent": [f"TaskManager/{tm.__version__}"]})
        try:
            asked: Deferred[Any] = self._agent.request(
                b"POST", target.encode("ascii"), headers, FileBodyProducer(BytesIO(body))
            )
            asked.addTimeout(SECONDS, self._reactor)  # type: ignore[arg-type]  # the reactor is its own clock
            response = await asked
        except Exception as error:  # noqa: BLE001  whatever the way there raises, the user is told
            raise RefusedError("notify.failed", f"{target:.200} was not reached: {error!r:.200}") from None
        readBody(response).addErrback(lambda _: None)
        if not 200 <= response.code < 300:
            raise RefusedError("notify.failed", f"{target:.200} answered {response.code}")

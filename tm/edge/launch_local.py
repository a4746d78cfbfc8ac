"""Start a daemon on this machine. It makes its own session and detaches; this only waits for its parent."""

from __future__ import annotations

from typing import TYPE_CHECKING

from twisted.internet.defer import DeferredSemaphore

from tm.edge.child import run_child
from tm.errors import LaunchError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from typing import Any

    from tm.ports import Target


class LocalLauncher:
    """Runs the command of a target here; *bound* in seconds, *at_once* launches together."""

    def __init__(
        self, reactor: Any, environment: Mapping[str, str], bound: float = 30.0, at_once: int = 8
    ) -> None:
        self._reactor = reactor
        self._environment = environment
        self._bound = bound
        self._turns = DeferredSemaphore(at_once)

    async def launch(self, target: Target) -> str:
        """Run the command; return its output when it has ended with 0, raise `LaunchError` (``launch.command``)."""
        await self._turns.acquire()
        try:
            ended = await run_child(self._reactor, target.argv, self._environment, self._bound)
        except OSError as error:
            raise LaunchError(
                "launch.command",
                f"{target.host}: {target.argv[0]} cannot be started: {error.strerror or error}",
            ) from None
        finally:
            self._turns.release()
        if ended.expired:
            how = f"did not end within {self._bound:g} s and was killed"
        elif ended.status != 0:
            how = ended.how
        else:
            return ended.output
        reason = f": {ended.reason}" if ended.reason else ""
        raise LaunchError("launch.command", f"{target.host}: {target.argv[0]} {how}{reason}")

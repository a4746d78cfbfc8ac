"""The way back from hosts that cannot dial us: a port of theirs that ssh carries to a port of ours.

One long-lived ``ssh`` per host, the master of a connection of its own, asked for one remote forwarding on a port that
the host chooses: so no two users and no two clusters ever want the same. Forwardings of the user's ssh configuration
are left alone. The law: a tunnel ends with the process that dug it, however that ends: its ssh waits at the end of an
input that the kernel closes.
"""

from __future__ import annotations

import os
import shlex
import shutil
from collections.abc import Callable, Mapping
from typing import Any

from twisted.internet.defer import Deferred, succeed
from twisted.internet.error import ProcessExitedAlready
from twisted.internet.protocol import ProcessProtocol
from twisted.logger import Logger
from twisted.python.failure import Failure
from typing_extensions import override

from tm.edge.child import KEPT, Ended, drain, last_lines, run_child
from tm.edge.launch_openssh import OpenSSHLauncher, classify
from tm.errors import LaunchError
from tm.ports import Target

_log = Logger()

BOUND = 20.0
LOOPBACK = "127.0.0.1"
_SOCKET = "tunnel-"
_THERE = "tm-tunnel"
_WAIT = ("sh", "-c", f"echo {_THERE}; exec cat >/dev/null")
_KEPT_ALIVE = ("-o", "ServerAliveInterval=10", "-o", "ServerAliveCountMax=3", "-o", "ControlPersist=no")


class Tunnels:
    """All tunnels of one server, each to where it listens itself; *toward* says where that is.

    The sockets by which an ``ssh`` is told what to forward are in *folder*, which must be the account's alone.
    """

    def __init__(
        self, reactor: Any, environment: Mapping[str, str], folder: str, toward: Callable[[], tuple[str, int]]
    ) -> None:
        self._reactor = reactor
        self._environment = environment
        self._folder = folder
        self._toward = toward
        self._launcher = OpenSSHLauncher(reactor, environment, BOUND)
        self._tunnels: dict[str, _Tunnel] = {}
        self._dug = 0

    async def open(self, target: Target, launcher: str) -> tuple[str, int]:
        """Return where on *target* we are reached; dig the tunnel if there is none.

        Raises `LaunchError`: ``ssh.…`` as a launch does, ``ssh.tunnel`` where the host forwards nothing, and
        ``config.launcher`` where *launcher* cannot dig.
        """
        if launcher != "openssh":
            raise LaunchError(
                "config.launcher",
                f'{target.host}: tunnel = true needs launcher = "openssh", not "{launcher}"; '
                f"say 'tm hosts change {target.host} launcher=openssh'",
            )
        tunnel = self._tunnels.get(target.host)
        if tunnel is None:
            tunnel = self._tunnels[target.host] = self._dig(target)
        try:
            return LOOPBACK, await tunnel.port()
        except LaunchError:
            self._forget(tunnel)
            raise

    def _dig(self, target: Target) -> _Tunnel:
        if not self._dug:
            self._sweep()
        self._dug += 1
        name = f"{_SOCKET}{os.getpid()}-{self._dug}"
        argv = self._launcher.command_line(Target(target.host, target.address, _WAIT, target.options))
        argv[1:1] = ["-M", "-S", name, *_KEPT_ALIVE]
        host, port = self._toward()
        forward = f"{LOOPBACK}:0:{f'[{host}]' if ':' in host else host}:{port}"
        ask = ["ssh", "-F", "/dev/null", "-S", name, "-O", "forward", "-R", forward, "--", target.hostname]
        tunnel = _Tunnel(target, os.path.join(self._folder, name), lambda: self._ask(ask), self._forget)
        program = shutil.which("ssh", path=self._environment.get("PATH", os.defpath))
        if program is None:
            raise LaunchError("ssh.config", f"{target.host}: no ssh can be started; install the OpenSSH client")
        self._reactor.spawnProcess(
            tunnel, os.fsencode(program), [os.fsencode(word) for word in argv], _encoded(self._environment),
            path=os.fsencode(self._folder),
        )  # fmt: skip
        tunnel.begin(self._reactor)
        return tunnel

    def _sweep(self) -> None:
        """Remove sockets of earlier servers here that were killed together with their tunnels."""
        for name in os.listdir(self._folder):
            pid = name.removeprefix(_SOCKET).partition("-")[0]
            if name.startswith(_SOCKET) and pid.isdigit() and not os.path.exists(f"/proc/{pid}"):
                _remove(os.path.join(self._folder, name))

    async def _ask(self, argv: list[str]) -> Ended:
        # the name of a socket may not be long: it is told relative to its folder
        there = ["sh", "-c", 'cd "$0" && exec "$@"', self._folder, *argv]
        return await run_child(self._reactor, there, self._environment, BOUND)

    def _forget(self, tunnel: _Tunnel) -> None:
        if self._tunnels.get(tunnel.host) is tunnel:
            del self._tunnels[tunnel.host]
        tunnel.close()

    def close(self, host: str) -> None:
        """Fill in the tunnel of *host*, if there is one."""
        tunnel = self._tunnels.get(host)
        if tunnel is not None:
            self._forget(tunnel)

    def close_all(self) -> None:
        """Fill in all of them."""
        for host in list(self._tunnels):
            self.close(host)


class _Tunnel(ProcessProtocol):
    """One ssh that stays, told by *socket* what to forward: *ask* does that and returns how it ended.

    *gone* is told when the ssh has ended.
    """

    transport: Any

    def __init__(
        self, target: Target, socket: str, ask: Callable[[], Any], gone: Callable[[_Tunnel], None]
    ) -> None:
        self.host = target.host
        self._socket = socket
        self._target = target
        self._ask = ask
        self._gone = gone
        self._said = {1: b"", 2: b""}
        self._there = False
        self._over = False
        self._settled = False
        self._port = 0
        self._waiting: list[Deferred[int]] = []
        self._failure: LaunchError | None = None
        self._timer: Any = None

    def begin(self, reactor: Any) -> None:
        """Bound the time that it may take."""
        self._timer = reactor.callLater(BOUND, self._expired)

    def port(self) -> Deferred[int]:
        """Return the port on the host, once there is one."""
        if self._failure is not None:
            failed: Deferred[int] = Deferred()
            failed.errback(self._failure)
            return failed
        if self._settled:
            return succeed(self._port)
        waiting: Deferred[int] = Deferred()
        self._waiting.append(waiting)
        return waiting

    def close(self) -> None:
        """End it: at the end of its input, and at once."""
        self._settle(LaunchError("ssh.tunnel", f"{self.host}: the tunnel was closed"))
        if not self._over:
            try:
                self.transport.signalProcess("TERM")
            except ProcessExitedAlready:
                return

    @override
    def childDataReceived(self, childFD: int, data: bytes) -> None:
        self._said[childFD] = (self._said[childFD] + data)[-KEPT:]
        if not self._there and _THERE.encode() in self._said[1]:
            self._there = True
            Deferred.fromCoroutine(self._forward()).addErrback(self._broken)

    async def _forward(self) -> None:
        ended: Ended = await self._ask()
        port = ended.output.strip()
        if ended.status == 0 and port.isdigit():
            self._port = int(port)
            self._settle(None)
            _log.info("a tunnel from {host}, port {port} there", event="tunnel", host=self.host, port=self._port)
            return
        self._settle(
            LaunchError(
                "ssh.tunnel",
                f"{self.host}: its sshd forwards nothing ({ended.reason or ended.how}); have AllowTcpForwarding permit"
                " it there (yes or remote), or let the host reach us and set tunnel = false",
            )
        )
        self._gone(self)

    def _broken(self, failure: Failure) -> None:
        failure.trap(OSError)
        self._settle(LaunchError("ssh.tunnel", f"{self.host}: {failure.getErrorMessage()}"))
        self._gone(self)

    def _expired(self) -> None:
        self._settle(LaunchError("ssh.unreachable", f"{self.host}: no tunnel within {BOUND:g} s"))
        self._gone(self)

    def _settle(self, failure: LaunchError | None) -> None:
        if self._settled:
            return
        self._settled = True
        self._failure = failure
        if self._timer is not None and self._timer.active():
            self._timer.cancel()
        waiting, self._waiting = self._waiting, []
        for one in waiting:
            if failure is None:
                one.callback(self._port)
            else:
                one.errback(failure)

    @override
    def processExited(self, reason: Failure) -> None:
        self._over = True
        drain(self.transport)
        self.transport.loseConnection()

    @override
    def processEnded(self, reason: Failure) -> None:
        self._over = True
        _remove(self._socket)
        value: Any = reason.value
        ended = Ended(value.exitCode, value.signal, "", self._said[2].decode(errors="replace"), False)
        if self._settled and self._failure is None:
            why = ended.reason or ended.how
            _log.warn("the tunnel from {host} has ended: {why}", event="tunnel", host=self.host, why=why)
        self._settle(self._why(ended))
        self._gone(self)

    def _why(self, ended: Ended) -> LaunchError:
        word = classify(ended)
        if word == "ssh.command":
            word = "ssh.unreachable"
        login = shlex.join(["ssh", self._target.hostname])
        why = last_lines(ended.errors) or ended.how
        return LaunchError(word, f"{self.host}: ssh failed: {why}; see whether this works: {login}")


def _remove(path: str) -> None:
    try:
        os.unlink(path)
    except FileNotFoundError:
        return


def _encoded(environment: Mapping[str, str]) -> dict[bytes, bytes]:
    return {os.fsencode(name): os.fsencode(value) for name, value in environment.items()}

"""A private sshd on a free loopback port, with host keys and user keys of its own.

It serves the account that runs the tests and nobody else, reads no file of that account's ``~/.ssh``, and
ends with `Sshd.stop`. Where no sshd is installed, `Sshd.missing` holds the reason to skip.
"""

from __future__ import annotations

import os
import pwd
import shutil
import socket
import subprocess
import tempfile
import time

TYPE_CHECKING = False
if TYPE_CHECKING:
    from types import TracebackType
    from typing import Any

PROGRAM = shutil.which("sshd", path="/usr/sbin:/usr/local/sbin:/sbin:" + os.environ.get("PATH", ""))
START_BOUND = 30.0

ONLY_GCM = ("Ciphers aes256-gcm@openssh.com,aes128-gcm@openssh.com",)
ONLY_ETM = ("Ciphers aes128-ctr", "MACs hmac-sha2-256-etm@openssh.com")


class Sshd:
    """A running sshd.

    *lines* are added to its configuration, *host_keys* are the types it has. `port`, `known_hosts` (which
    knows it as OpenSSH writes it), `identity` (a private key that it lets in), `config` (an empty ssh client
    configuration) and `user` (who can log in) are what a client needs.
    """

    missing = "" if PROGRAM and shutil.which("ssh-keygen") else "no sshd or ssh-keygen is installed"

    def __init__(self, lines: tuple[str, ...] = (), host_keys: tuple[str, ...] = ("ed25519",)) -> None:
        self.folder = tempfile.mkdtemp(prefix="tm-sshd-")
        self.user = pwd.getpwuid(os.getuid()).pw_name
        self.port = _free_port()
        self._lines = lines
        self._host_keys = [self.make_key(f"host_{kind}", kind) for kind in host_keys]
        self.identity = self.make_key("client", "ed25519")
        self.allow(self.identity)
        self.known_hosts = self.write("known_hosts", self.known_hosts_lines())
        self.config = self.write("ssh_config", "")
        self._process: subprocess.Popen[bytes] | None = None
        self.start()

    def options(self, **changes: object) -> dict[str, Any]:
        """Return the options of a target that reach this sshd, with *changes*; None leaves one away."""
        options: dict[str, object] = {
            "port": self.port,
            "user": self.user,
            "identity": self.identity,
            "known_hosts": self.known_hosts,
            **changes,
        }
        return {name: value for name, value in options.items() if value is not None}

    def make_key(self, name: str, kind: str = "ed25519", passphrase: str = "") -> str:
        """Make a key pair of *kind* and return the path of its private half."""
        path = os.path.join(self.folder, name)
        bits = ["-b", "2048"] if kind == "rsa" else []
        subprocess.run(
            ["ssh-keygen", "-q", "-t", kind, *bits, "-N", passphrase, "-C", name, "-f", path],
            check=True,
            stdin=subprocess.DEVNULL,
            timeout=START_BOUND,
        )
        return path

    def allow(self, identity: str) -> None:
        """Let the key *identity* in from now on."""
        with (
            open(identity + ".pub") as public,
            open(os.path.join(self.folder, "authorized"), "a") as authorized,
        ):
            authorized.write(public.read())

    def known_hosts_lines(self, name: str | None = None) -> str:
        """Return this sshd's host keys as lines of known_hosts, under *name* or ``[127.0.0.1]:port``."""
        shown = name or f"[127.0.0.1]:{self.port}"
        return "".join(f"{shown} {_public(path)}\n" for path in self._host_keys)

    def write(self, name: str, text: str) -> str:
        """Write a file beside the keys and return its path."""
        path = os.path.join(self.folder, name)
        with open(path, "w") as file:
            file.write(text)
        return path

    def swap_host_keys(self) -> None:
        """Become an impostor: the same port, other host keys, `known_hosts` unchanged."""
        self.end()
        for path in self._host_keys:
            kind = _public(path).split()[0].removeprefix("ssh-").partition("-")[0]
            os.unlink(path)
            os.unlink(path + ".pub")
            self.make_key(os.path.basename(path), kind)
        self.start()

    def start(self) -> None:
        """Start it and return once it accepts connections; raise `RuntimeError` with what it said."""
        if os.getuid() == 0:
            os.makedirs("/run/sshd", mode=0o755, exist_ok=True)
        path = self.write("sshd_config", self._configuration())
        log = os.path.join(self.folder, "log")
        with open(log, "ab") as errors:
            assert PROGRAM is not None
            self._process = subprocess.Popen(
                [PROGRAM, "-D", "-e", "-f", path], stdin=subprocess.DEVNULL, stdout=errors, stderr=errors
            )
        end = time.monotonic() + START_BOUND
        while not _accepts(self.port):
            if self._process.poll() is not None or time.monotonic() > end:
                with open(log, errors="replace") as said:
                    text = said.read()
                self.stop()
                raise RuntimeError(f"sshd did not start: {text}")
            time.sleep(0.02)

    def _configuration(self) -> str:
        return "\n".join(
            [
                f"Port {self.port}",
                "ListenAddress 127.0.0.1",
                *(f"HostKey {path}" for path in self._host_keys),
                f"AuthorizedKeysFile {self.folder}/authorized",
                "PidFile none",
                "StrictModes no",
                "UsePAM no",
                "PasswordAuthentication no",
                "KbdInteractiveAuthentication no",
                "PermitRootLogin prohibit-password",
                "MaxStartups 100",
                *self._lines,
                "",
            ]
        )

    def end(self) -> None:
        """End it; `start` lets it come again at the same port."""
        if self._process is not None:
            self._process.terminate()
            self._process.wait(START_BOUND)
            self._process = None

    def stop(self) -> None:
        """End it and remove its folder."""
        self.end()
        shutil.rmtree(self.folder, ignore_errors=True)

    def __enter__(self) -> Sshd:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()


def _public(path: str) -> str:
    with open(path + ".pub") as file:
        return " ".join(file.read().split()[:2])


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _accepts(port: int) -> bool:
    with socket.socket() as probe:
        probe.settimeout(1)
        return probe.connect_ex(("127.0.0.1", port)) == 0

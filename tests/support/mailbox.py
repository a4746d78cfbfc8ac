"""A mail server for tests, a process of its own: keeps letters as files of a folder, refuses those to nobody@….

``python -m tests.support.mailbox FOLDER`` says its port on its first line of output.
"""

from __future__ import annotations

import itertools
import os
import sys
from email import message_from_bytes
from email.message import Message
from pathlib import Path

from twisted.internet.defer import Deferred, succeed
from twisted.internet.selectreactor import SelectReactor
from twisted.mail.smtp import ESMTP, IMessage, SMTPBadRcpt, SMTPFactory, User
from typing_extensions import override
from zope.interface import implementer

_numbers = itertools.count(1)


@implementer(IMessage)
class _Letter:
    def __init__(self, folder: str) -> None:
        self._folder = folder
        self._lines: list[bytes] = []

    def lineReceived(self, line: bytes) -> None:  # noqa: N802  Twisted calls it
        self._lines.append(line)

    def eomReceived(self) -> Deferred[None]:  # noqa: N802  Twisted calls it
        path = Path(self._folder, f"{next(_numbers):04}")
        path.with_suffix(".new").write_bytes(b"\n".join(self._lines))
        os.rename(path.with_suffix(".new"), path.with_suffix(".mail"))
        return succeed(None)

    def connectionLost(self) -> None:  # noqa: N802  Twisted calls it
        self._lines.clear()


class _Server(ESMTP):  # type: ignore[misc]  # Twisted's class is untyped
    folder = ""

    @override
    def receivedHeader(self, helo: object, origin: object, recipients: object) -> bytes:
        return b"Received: by the tests"

    @override
    def validateFrom(self, helo: object, origin: object) -> object:
        return origin

    @override
    def validateTo(self, user: User) -> object:
        if user.dest.local == b"nobody":
            raise SMTPBadRcpt(user)
        return lambda: _Letter(self.folder)


def letters(folder: str) -> list[Message]:
    """Return the letters in *folder*, the first first."""
    return [message_from_bytes(path.read_bytes()) for path in sorted(Path(folder).glob("*.mail"))]


def main(folder: str) -> None:
    """Keep letters until somebody ends this process."""
    factory = SMTPFactory()
    factory.protocol = type("Server", (_Server,), {"folder": folder})
    reactor = SelectReactor()
    port = reactor.listenTCP(0, factory, interface="127.0.0.1")
    print(port.getHost().port, flush=True)
    reactor.run()


if __name__ == "__main__":
    main(sys.argv[1])

"""Letters by SMTP, through Twisted: to a mail server that takes them without asking who we are, as one nearby does."""

from __future__ import annotations

from datetime import UTC, datetime
from email.message import EmailMessage
from email.utils import format_datetime, make_msgid
from typing import Any

from twisted.internet.defer import Deferred
from twisted.internet.interfaces import IReactorTCP
from twisted.mail.smtp import SMTPAddressError, SMTPClientError, sendmail
from twisted.python.failure import Failure

from tm.errors import MailError

PERMANENT = range(500, 600)


class SmtpMailer:
    """Sends letters from *sender* through the server at *host* and *port*."""

    def __init__(self, reactor: IReactorTCP, host: str, port: int, sender: str) -> None:
        self._reactor = reactor
        self._host = host
        self._port = port
        self._sender = sender

    def send(self, to: str, subject: str, text: str) -> Deferred[Any]:
        """Send a letter; fails with `MailError`."""
        message = EmailMessage()
        message["From"], message["To"], message["Subject"] = self._sender, to, subject
        message["Date"] = format_datetime(datetime.now(UTC))
        message["Message-ID"] = make_msgid(domain=self._sender.rpartition("@")[2] or None)
        message["Auto-Submitted"] = "auto-generated"
        message.set_content(text)
        sent: Deferred[Any] = sendmail(
            self._host, self._sender, [to], message.as_bytes(), reactor=self._reactor, port=self._port
        )
        return sent.addErrback(self._failed, to)

    def _failed(self, failure: Failure, to: str) -> None:
        error = failure.value
        where = f"the mail server {self._host}:{self._port}"
        if isinstance(error, SMTPAddressError):
            raise MailError(f"{where} takes no mail for {to}: {error}", False) from None
        if isinstance(error, SMTPClientError):
            code = error.code if isinstance(error.code, int) else 0
            said = error.resp.decode("utf-8", "replace") if isinstance(error.resp, bytes) else str(error.resp)
            raise MailError(f"{where} refused mail to {to}: {code} {said}".strip(), code not in PERMANENT) from None
        raise MailError(f"{where} was not reached: {failure.getErrorMessage()}", True) from None

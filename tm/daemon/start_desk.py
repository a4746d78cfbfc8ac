"""What a user's server does with its book of starts: asks it before an order goes, tells it what became of each.

The law: what concerns the book is on file before it goes on, by one write for a line, and nothing waits for a disk: a
server that is killed loses nothing, and a machine that loses power no more than the guard against replays of its last
moments.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

import msgspec

from tm.daemon.orders import Order, OrderLine
from tm.model.starts import Hello, Report, StartBook

_decode_report = msgspec.json.Decoder(Report).decode
_decode_hello = msgspec.json.Decoder(Hello).decode


class StartFile(Protocol):
    """Where the book is kept."""

    def keep(self, book: StartBook) -> None:
        """Write what is fresh in *book*; never raises."""


class StartDesk:
    """The book of starts of one user's server; *alone* says whether no other server of the user was in charge since."""

    def __init__(self, book: StartBook, file: StartFile, alone: Callable[[], bool]) -> None:
        self._book = book
        self._file = file
        self._alone = alone

    def link_up(self) -> None:
        """The dispatcher is reached again."""
        if not self._alone():
            self._book.doubt()
            self._file.keep(self._book)

    def unfit(self, order: Order, spool: str) -> str:
        """Return why *order*, whose signature is good, does not go to *spool*, or an empty text."""
        return self._book.unfit(order.job, order.attempt, order.c, order.sig, order.spec, spool)

    def passed(self, line: OrderLine, spool: str) -> None:
        """*line* is about to go on to *spool*."""
        for job, attempt, _ in line.give_way:
            self._book.gives_way(job, attempt, spool)
        for job, attempt in line.forget:
            self._book.forgotten(job, attempt, spool)
        for order in line.orders:
            if order.refused:
                self._book.voided(order.job, order.attempt, spool)
        if self._book.fresh:
            self._file.keep(self._book)

    def said(self, report: str) -> Report:
        """A server on a host says *report*; return what is to be `acknowledged`."""
        try:
            read = _decode_report(report)
        except msgspec.MsgspecError:
            return Report()  # the dispatcher refuses it
        self._book.said(read)
        return read

    def acknowledged(self, report: Report) -> None:
        """The dispatcher has taken *report*."""
        self._book.acknowledged(report)
        if self._book.fresh:
            self._file.keep(self._book)

    def joined(self, hello: str) -> str:
        """A server on a host says *hello*; return its spool."""
        try:
            read = _decode_hello(hello)
        except msgspec.MsgspecError:
            return ""  # the dispatcher refuses it
        self._book.joined(read)
        if self._book.fresh:
            self._file.keep(self._book)
        return read.spool

    def left(self, spool: str) -> None:
        """The server with this *spool* is not reached any more."""
        self._book.left(spool)

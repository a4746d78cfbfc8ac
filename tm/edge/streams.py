"""All visits of this host: to holders, to files that grow, or none.

Who does not read holds up its own visit, nobody else's.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from typing_extensions import override

from tm.edge.link import Dialler
from tm.edge.looks import Look
from tm.edge.reading import Files, Lookout, Reader
from tm.edge.stream import Around, Key, Reactor, Stream
from tm.model.lifecycle import Fact
from tm.wire.frames import BULK_LIMIT


class Refusal(Stream):
    """A visit that cannot be."""

    def __init__(self, streams: Around, key: Key, number: int, word: str, reason: str) -> None:
        super().__init__(streams, key, number)
        self._word = word
        self._reason = reason

    @override
    def begin(self) -> None:
        self.close(state="refused", word=self._word, reason=self._reason)


class Followed(Stream):
    """A visit that reads files."""

    def __init__(
        self, streams: Around, key: Key, number: int, lookout: Lookout, files: Files, lines: int | None, over: bool
    ) -> None:
        super().__init__(streams, key, number)
        self._lookout = lookout
        self._reader = Reader(files, lines, self._begun, self._output, self._all_read)
        self._ended = over

    @override
    def begin(self) -> None:
        if self.link is not None and self.link.transport is not None:
            self.link.transport.registerProducer(self._reader, True)
            self._reader.over = self._ended
            self._lookout.add(self._reader)

    def _output(self, channel: int, data: bytes) -> None:
        if self.link is not None and not self.is_over:
            for at in range(0, len(data), BULK_LIMIT):
                self.link.send_bulk(channel, data[at : at + BULK_LIMIT])

    def _begun(self, places: dict[int, int]) -> None:
        self.say(state="reading", host=self.streams.host, places=list(places.items()))

    def _all_read(self, places: dict[int, int]) -> None:
        self.close(state="read", places=list(places.items()))

    @override
    def ended(self, fact: Fact) -> None:
        self._ended = self._reader.over = True

    @override
    def left(self) -> None:
        self._lookout.remove(self._reader)


class StreamsNow:
    """All visits of this host."""

    def __init__(self, reactor: Reactor, host: str, dialler: Callable[[Any], Dialler], lookout: Lookout) -> None:
        self.reactor = reactor
        self.host = host
        self.dialler = dialler
        self.lookout = lookout
        self._streams: set[Stream] = set()

    def look(self, key: Key, number: int, socket: str, words: str) -> None:
        """Join visit *number* with the holder that listens at *socket*, to which *words* are said first."""
        self._add(Look(self, key, number, socket, words))

    def follow(self, key: Key, number: int, files: Files, lines: int | None, over: bool) -> None:
        """Send what *files* have and get, until the attempt is *over* and all of it has been sent."""
        self._add(Followed(self, key, number, self.lookout, files, lines, over))

    def refuse(self, key: Key, number: int, word: str, reason: str) -> None:
        """Say to visit *number* that it cannot be."""
        self._add(Refusal(self, key, number, word, reason))

    def over(self, fact: Fact) -> None:
        """An attempt has ended as *fact* says."""
        for stream in [one for one in self._streams if one.key == (fact.job, fact.attempt)]:
            stream.ended(fact)

    def forget(self, stream: Stream) -> None:
        """*stream* has parted."""
        self._streams.discard(stream)

    def _add(self, stream: Stream) -> None:
        self._streams.add(stream)
        stream.dial()

"""The fast way through bulk data says the same as the dialogue."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from tm.client.stream import Piece, Splitter
from tm.errors import WireError
from tm.wire.dialogue import ClientDialogue
from tm.wire.frames import BULK_LIMIT, Bulk, encode_bulk
from tm.wire.message import Event, Reply

_TEXT = st.text(alphabet="abc .=*:ä1", max_size=12)
_BODY = _TEXT.filter(lambda text: not text.startswith("= "))
_MESSAGES = st.one_of(
    st.builds(lambda text, body: Reply(text, body).encode(), _TEXT, st.lists(_BODY, max_size=3)),
    st.builds(lambda text: Event(b'{"t":"%b"}' % text.encode()).encode(), _TEXT),
    st.builds(encode_bulk, st.integers(0, 3), st.binary(max_size=40)),
)


def whole(stream: bytes, cuts: list[int]) -> list[object]:
    """Return what a `Splitter` says of *stream* cut at *cuts*, pieces of a frame joined."""
    splitter = Splitter()
    said: list[object] = []
    frame = b""
    edges = [0, *sorted(cut % (len(stream) + 1) for cut in cuts), len(stream)]
    for start, end in pairwise(edges):
        buffer = bytearray(stream[start:end]) + b"= 9 9\n"
        for message in splitter.receive(buffer, end - start):
            if not isinstance(message, Piece):
                said.append(message)
                continue
            frame += message.data
            if message.last:
                said.append(Bulk(message.channel, frame))
                frame = b""
    return said


class SplitterTests(SynchronousTestCase):
    @given(st.lists(_MESSAGES, max_size=8), st.lists(st.integers(0, 1000), max_size=12))
    def test_any_chunking_says_what_the_dialogue_says(self, messages: list[bytes], cuts: list[int]) -> None:
        stream = b"".join(messages)

        self.assertEqual(list(ClientDialogue().receive(stream)), whole(stream, cuts))

    def test_a_frame_is_handed_on_in_the_pieces_in_which_it_comes(self) -> None:
        splitter = Splitter()

        pieces = [list(splitter.receive(bytearray(part), len(part))) for part in (b"= 1 5\nab", b"cde")]

        self.assertEqual([(b"ab", False), (b"cde", True)], [(bytes(p.data), p.last) for (p,) in pieces])

    def test_a_header_that_is_none_is_an_error(self) -> None:
        for line in (b"= 1\n", b"= x 1\n", b"= 1 %d\n" % (BULK_LIMIT + 1), b"= " + b"1" * 70):
            with self.assertRaises(WireError):
                list(Splitter().receive(bytearray(line), len(line)))

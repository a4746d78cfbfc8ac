"""Chunks become frames: any chunking gives the same, and every bound is exact."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from tests.support.properties import examples
from tm.errors import WireError
from tm.wire.frames import BULK_LIMIT, LARGE_LIMIT, LINE_LIMIT, Bulk, FrameBuffer, encode_bulk

LINES = (
    st.binary(max_size=40)
    .map(lambda raw: raw.replace(b"\n", b"").rstrip(b"\r"))
    .filter(lambda line: not line.startswith(b"= "))
)
BULKS = st.builds(Bulk, st.integers(0, 999_999_999), st.binary(max_size=40))
FRAMES = st.lists(st.one_of(LINES, BULKS), max_size=12)


def encoded(frames: list[bytes | Bulk], ends: list[bytes]) -> bytes:
    out = []
    for frame, end in zip(frames, ends, strict=True):
        out.append(encode_bulk(frame.channel, frame.data) if isinstance(frame, Bulk) else frame + end)
    return b"".join(out)


def pieces(data: bytes, cuts: list[int]) -> list[bytes]:
    places = sorted({min(cut, len(data)) for cut in cuts} | {0, len(data)})
    return [data[low:high] for low, high in pairwise(places)]


def fed(buffer: FrameBuffer, chunks: list[bytes]) -> list[bytes | Bulk]:
    return [frame for chunk in chunks for frame in buffer.feed(chunk)]


class ChunkingTests(SynchronousTestCase):
    @examples(200)
    @given(FRAMES, st.data())
    def test_any_chunking_of_the_same_bytes_gives_the_same_frames(
        self, frames: list[bytes | Bulk], data: st.DataObject
    ) -> None:
        ends = data.draw(
            st.lists(st.sampled_from([b"\n", b"\r\n"]), min_size=len(frames), max_size=len(frames))
        )
        raw = encoded(frames, ends)
        cuts = data.draw(st.lists(st.integers(0, len(raw)), max_size=20))
        self.assertEqual(fed(FrameBuffer(), pieces(raw, cuts)), frames)

    @examples(40)
    @given(FRAMES)
    def test_byte_by_byte_is_a_chunking_too(self, frames: list[bytes | Bulk]) -> None:
        raw = encoded(frames, [b"\n"] * len(frames))
        self.assertEqual(fed(FrameBuffer(), [bytes([byte]) for byte in raw]), frames)

    def test_a_line_end_may_be_cut_between_cr_and_lf(self) -> None:
        self.assertEqual(fed(FrameBuffer(), [b"help\r", b"\nnext\r", b"\n"]), [b"help", b"next"])

    def test_an_empty_bulk_frame_comes_out_at_its_announcement(self) -> None:
        self.assertEqual(fed(FrameBuffer(), [b"= 3 0\n"]), [Bulk(3, b"")])

    def test_raw_bytes_that_look_like_lines_stay_raw(self) -> None:
        raw = b"= 1 5\n.\n= \n"
        self.assertEqual(
            fed(FrameBuffer(), [b"= 2 %d\n" % len(raw), raw, b"after\n"]), [Bulk(2, raw), b"after"]
        )


class BoundTests(SynchronousTestCase):
    def refused(self, chunks: list[bytes], **options: object) -> str:
        buffer = FrameBuffer(**options)  # type: ignore[arg-type]
        return self.assertRaises(WireError, fed, buffer, chunks).word

    def test_a_line_of_the_limit_passes_and_one_byte_more_does_not(self) -> None:
        self.assertEqual(fed(FrameBuffer(), [b"x" * LINE_LIMIT + b"\n"]), [b"x" * LINE_LIMIT])
        self.assertEqual(self.refused([b"x" * (LINE_LIMIT + 1) + b"\n"]), "limit.line")

    def test_a_line_without_an_end_is_refused_as_soon_as_it_is_too_long(self) -> None:
        self.assertEqual(self.refused([b"x" * LINE_LIMIT, b"x"]), "limit.line")
        self.assertEqual(self.refused([b"x"] * (LINE_LIMIT + 1)), "limit.line")

    def test_a_large_word_gives_its_line_the_large_limit_however_it_is_cut(self) -> None:
        line = b"submit:" + b"x" * (LARGE_LIMIT - 7)
        for chunks in (
            [line + b"\n"],
            [b"su", line[2:], b"\n"],
            [line[:LINE_LIMIT], line[LINE_LIMIT:] + b"\n"],
        ):
            self.assertEqual(fed(FrameBuffer(large=(b"submit:",)), chunks), [line])
        for chunks in ([line + b"x\n"], [b"sub", line[3:], b"x\n"]):
            self.assertEqual(self.refused(chunks, large=(b"submit:",)), "limit.line")

    def test_another_word_has_the_small_limit(self) -> None:
        self.assertEqual(self.refused([b"help:" + b"x" * LINE_LIMIT], large=(b"submit:",)), "limit.line")

    def test_frames_before_the_one_that_is_too_long_come_out(self) -> None:
        seen = []
        frames = FrameBuffer().feed(b"one\ntwo\n" + b"x" * (LINE_LIMIT + 1))
        with self.assertRaises(WireError):
            for frame in frames:
                seen.append(frame)
        self.assertEqual(seen, [b"one", b"two"])

    def test_bulk_of_the_limit_passes_and_one_byte_more_does_not(self) -> None:
        data = b"z" * BULK_LIMIT
        self.assertEqual(fed(FrameBuffer(), [encode_bulk(1, data)]), [Bulk(1, data)])
        self.assertEqual(self.refused([b"= 1 %d\n" % (BULK_LIMIT + 1)]), "limit.bulk")
        self.assertEqual(self.refused([b"= 1 99999999999999999999\n"]), "limit.bulk")
        self.assertEqual(self.refused([b"= 9999999999 1\n"]), "limit.bulk")

    def test_what_does_not_announce_bulk_bytes_is_malformed(self) -> None:
        for line in (
            b"= \n",
            b"= 1\n",
            b"= 1 2 3\n",
            b"= -1 2\n",
            b"= 1 -2\n",
            b"= a 1\n",
            b"=  1 2\n",
            b"= 1 \xb2\n",
        ):
            self.assertEqual(self.refused([line]), "proto.malformed", line)

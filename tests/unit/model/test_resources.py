"""Sizes of memory as people write them."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from tm.model.resources import format_memory, parse_memory


class MemoryTests(SynchronousTestCase):
    def test_the_units_are_powers_of_1024(self) -> None:
        for text, size in (
            ("0", 0),
            ("4096", 4096),
            ("1k", 1024),
            ("512M", 512 * 2**20),
            ("64G", 64 * 2**30),
            ("64 GiB", 64 * 2**30),
            ("2TB", 2 * 2**40),
            ("1.5G", 3 * 2**29),
        ):
            self.assertEqual(parse_memory(text), size, text)

    def test_what_is_no_size_is_refused_with_a_sentence(self) -> None:
        for text in ("", "G", "-1G", "12 apples", "1e3", "999999999999999P", "0x10", "1,5G", "٣G"):
            error = self.assertRaises(ValueError, parse_memory, text)
            self.assertIn("memory", str(error))

    def test_a_size_is_shown_without_loss(self) -> None:
        @given(st.integers(0, 2**50))
        def lossless(size: int) -> None:
            self.assertEqual(parse_memory(format_memory(size)), size)

        lossless()
        self.assertEqual(
            [format_memory(n) for n in (0, 1000, 2**30, 3 * 2**29)], ["0", "1000", "1G", "1536M"]
        )

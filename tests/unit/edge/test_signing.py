"""A signature is good for its text and its key, and for nothing else."""

from __future__ import annotations

import os

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from tests.support.identities import Identity
from tm.edge.signing import GRANT, OrderSigner
from tm.model.starts import mark_of


class SigningTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.folder = self.mktemp()
        os.mkdir(self.folder)
        self.alice = Identity(self.folder, "alice", "alice")
        self.signer = OrderSigner.from_key(self.alice.key)

    def test_what_was_signed_is_accepted_also_by_a_second_server_with_the_same_key(self) -> None:
        signature = self.signer.sign('{"user":"alice"}')
        self.assertEqual(len(signature), 64)
        self.assertTrue(OrderSigner.from_key(self.alice.key).check(b'{"user":"alice"}', signature))

    def test_another_key_gives_another_signature(self) -> None:
        other = OrderSigner.from_key(Identity(self.folder, "bob", "bob").key)
        self.assertFalse(other.check("text", self.signer.sign("text")))

    def test_what_is_signed_for_one_purpose_is_nothing_for_another(self) -> None:
        grants = OrderSigner.from_key(self.alice.key, GRANT)
        self.assertFalse(grants.check("text", self.signer.sign("text")))
        self.assertFalse(self.signer.check("text", grants.sign("text")))
        self.assertTrue(OrderSigner.from_key(self.alice.key, GRANT).check("text", grants.sign("text")))

    def test_a_mark_makes_a_signature_of_its_own_and_is_part_of_what_is_signed(self) -> None:
        marks = ["0123456789abcdef00000001", "0123456789abcdef00000002"]
        first, second = (self.signer.sign("text", mark) for mark in marks)
        self.assertTrue(self.signer.check("text", first) and self.signer.check("text", second))
        self.assertEqual([mark_of(one) for one in (first, second, self.signer.sign("text"))], [*marks, ""])
        plain = self.signer.sign("text")
        for wrong in (first[:25] + second[25:], marks[0] + "." + plain[:40], first[25:], first + "0", first[:-1]):
            self.assertFalse(self.signer.check("text", wrong), wrong)
        self.assertFalse(self.signer.check(marks[0] + ".text", first[25:]))

    def test_a_malformed_signature_is_just_wrong(self) -> None:
        for wrong in ("", "é", "0" * 64, "\udc80", self.signer.sign("text").upper() + "0"):
            self.assertFalse(self.signer.check("text", wrong))

    def test_any_changed_byte_is_noticed(self) -> None:
        signer = OrderSigner(b"secret" * 6)

        @given(st.binary(min_size=1), st.data())
        def changed(text: bytes, data: st.DataObject) -> None:
            place = data.draw(st.integers(0, len(text) - 1))
            other = bytearray(text)
            other[place] ^= data.draw(st.integers(1, 255))
            self.assertTrue(signer.check(text, signer.sign(text)))
            self.assertFalse(signer.check(bytes(other), signer.sign(text)))

        changed()

"""Which key files are used and which are refused, each with a sentence."""

from __future__ import annotations

import os

from twisted.trial.unittest import SynchronousTestCase

from tests.support.identities import Identity
from tm.edge import keys
from tm.errors import ConfigError


class KeyTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.folder = self.mktemp()
        os.mkdir(self.folder)
        self.alice = Identity(self.folder, "alice", "alice")

    def refusal(self, path: str, uid: int | None = None) -> str:
        error = self.assertRaises(ConfigError, keys.load_key, path, uid)
        self.assertEqual(error.word, "config.key")
        self.assertTrue(error.text.startswith(path + ": "))
        self.assertNotIn("\n", error.text)
        return error.text

    def write(self, content: bytes) -> str:
        path = os.path.join(self.folder, "other.key")
        with open(path, "wb") as file:
            file.write(content)
        os.chmod(path, 0o600)
        return path

    def test_a_good_key_is_loaded(self) -> None:
        key, certificate = keys.load_pair(self.alice.key, self.alice.certificate)
        self.assertEqual(key.public_key(), certificate.public_key())

    def test_a_key_that_others_may_read_is_refused_and_the_remedy_named(self) -> None:
        os.chmod(self.alice.key, 0o640)
        self.assertIn("chmod 600", self.refusal(self.alice.key))

    def test_somebody_elses_key_is_refused(self) -> None:
        self.assertIn("belongs to user number", self.refusal(self.alice.key, os.getuid() + 1))

    def test_a_missing_key_is_refused(self) -> None:
        self.assertIn("No such file", self.refusal(os.path.join(self.folder, "none.key")))

    def test_a_folder_and_a_pipe_are_no_keys(self) -> None:
        self.assertIn("regular file", self.refusal(self.folder))
        pipe = os.path.join(self.folder, "pipe")
        os.mkfifo(pipe, 0o600)
        self.assertIn("regular file", self.refusal(pipe))

    def test_what_is_no_key_is_refused(self) -> None:
        self.assertIn("PEM", self.refusal(self.write(b"nonsense")))
        with open(self.alice.certificate, "rb") as file:
            self.assertIn("PEM", self.refusal(self.write(file.read())))

    def test_an_encrypted_key_is_refused(self) -> None:
        from cryptography.hazmat.primitives.serialization import (
            BestAvailableEncryption,
            Encoding,
            PrivateFormat,
        )

        text = self.alice.private.private_bytes(
            Encoding.PEM, PrivateFormat.PKCS8, BestAvailableEncryption(b"x")
        )
        self.assertIn("password", self.refusal(self.write(text)))

    def test_pins_are_the_fingerprints_of_all_certificates_in_the_file(self) -> None:
        bob = Identity(self.folder, "bob", "bob")
        path = os.path.join(self.folder, "ca_certs.bob.crt")
        with open(path, "wb") as file:
            for one in (self.alice, bob):
                with open(one.certificate, "rb") as source:
                    file.write(source.read())
        self.assertEqual(keys.load_pins(path), {self.alice.fingerprint, bob.fingerprint})

    def test_a_file_without_certificates_gives_no_pins_but_an_error(self) -> None:
        error = self.assertRaises(ConfigError, keys.load_pins, self.write(b""))
        self.assertEqual(error.word, "config.certificate")
        self.assertRaises(ConfigError, keys.load_pins, os.path.join(self.folder, "none.crt"))

"""An own identity: made once, kept, made anew when it is of no use any more."""

from __future__ import annotations

import datetime
import os
import shutil
import stat
import tempfile

from twisted.trial.unittest import SynchronousTestCase

from tm.edge.identity import RENEW_BEFORE, own_identity, web_fingerprint, web_identity
from tm.edge.keys import fingerprint, load_pair

NOW = datetime.datetime.now(datetime.UTC)


class IdentityTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.folder = tempfile.mkdtemp(prefix="tm-")
        self.addCleanup(shutil.rmtree, self.folder)

    def test_it_is_made_once_and_its_key_is_private(self) -> None:
        made = own_identity(self.folder, "infoserver n1", NOW)
        _, certificate = load_pair(made.key, made.certificate)
        self.assertEqual(fingerprint(certificate), made.fingerprint)
        self.assertEqual(stat.S_IMODE(os.stat(made.key).st_mode), 0o600)
        self.assertIn("infoserver n1", certificate.subject.rfc4514_string())
        self.assertEqual(own_identity(self.folder, "infoserver n1", NOW), made)

    def test_one_that_nears_its_end_is_made_anew(self) -> None:
        made = own_identity(self.folder, "infoserver n1", NOW)
        _, certificate = load_pair(made.key, made.certificate)
        late = certificate.not_valid_after_utc - RENEW_BEFORE + datetime.timedelta(hours=1)
        self.assertNotEqual(own_identity(self.folder, "infoserver n1", late).fingerprint, made.fingerprint)

    def test_a_damaged_one_is_made_anew(self) -> None:
        made = own_identity(self.folder, "infoserver n1", NOW)
        for path in (made.key, made.certificate):
            with open(path, "w") as file:
                file.write("nothing")
            made, before = own_identity(self.folder, "infoserver n1", NOW), made
            self.assertNotEqual(made.fingerprint, before.fingerprint)
            load_pair(made.key, made.certificate)

    def test_that_of_the_web_server_is_in_the_folder_of_the_cluster_and_known_by_its_file(self) -> None:
        os.mkdir(os.path.join(self.folder, "certs"))
        self.assertIsNone(web_fingerprint(self.folder))
        made = web_identity(self.folder, NOW)
        self.assertEqual(made.certificate, os.path.join(self.folder, "certs", "taskweb.crt"))
        self.assertEqual(stat.S_IMODE(os.stat(made.key).st_mode), 0o600)
        self.assertEqual((web_identity(self.folder, NOW), web_fingerprint(self.folder)), (made, made.fingerprint))
        _, certificate = load_pair(made.key, made.certificate)
        late = certificate.not_valid_after_utc - RENEW_BEFORE + datetime.timedelta(hours=1)
        self.assertNotEqual(web_identity(self.folder, late).fingerprint, made.fingerprint)
        with open(made.certificate, "w") as file:
            file.write("nothing")
        self.assertIsNone(web_fingerprint(self.folder))

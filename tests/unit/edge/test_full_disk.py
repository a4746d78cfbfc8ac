"""A disk that is full while servers make their files: one sentence says so, and nothing half is left."""

from __future__ import annotations

import errno
import io
import os
from contextlib import redirect_stderr
from unittest.mock import patch

from twisted.trial.unittest import SynchronousTestCase

from tm.edge.certificates import write_new
from tm.errors import ConfigError
from tm.tap import common


class FullDiskTests(SynchronousTestCase):
    def test_a_file_that_cannot_be_written_whole_is_not_there(self) -> None:
        path = self.mktemp()
        with patch.object(os, "fsync", side_effect=OSError(errno.ENOSPC, "No space left on device")):
            error = self.assertRaises(ConfigError, write_new, path, b"key")
        self.assertEqual(error.word, "config.write")
        self.assertIn(f"{path}: cannot be written: No space left on device", error.text)
        self.assertFalse(os.path.exists(path))

    def test_a_server_that_finds_no_room_says_so_in_a_sentence(self) -> None:
        def build(late: common.Late) -> None:
            raise OSError(errno.ENOSPC, "No space left on device", "/var/tmp/spool")

        said = io.StringIO()
        with patch.object(common, "bound_resources"), redirect_stderr(said):
            left = self.assertRaises(SystemExit, common.Late(build).startService)
        self.assertEqual(left.code, 75)
        self.assertIn("store.full: /var/tmp/spool: No space left on device; free some space there", said.getvalue())
        self.flushLoggedErrors()

"""Who may speak to a keeper: the same user, whatever the modes of folders say."""

from __future__ import annotations

import os
import socket
import tempfile

from twisted.trial.unittest import SynchronousTestCase

from tm.keeper.link import Link


class LinkTests(SynchronousTestCase):
    def test_another_user_is_hung_up_on(self) -> None:
        folder = tempfile.TemporaryDirectory(prefix="keeper-")
        self.addCleanup(folder.cleanup)
        path = os.path.join(folder.name, "keeper-1.sock")
        link = Link(path)
        self.addCleanup(link.close)
        self.assertEqual(os.stat(path).st_mode & 0o077, 0)
        own = os.getuid()
        for uid, welcome in ((own + 1, False), (own, True)):
            self.patch(os, "getuid", lambda uid=uid: uid)
            peer = socket.socket(socket.AF_UNIX)
            self.addCleanup(peer.close)
            peer.settimeout(5.0)
            peer.connect(path)
            self.assertEqual((link.accept(), link.connected), (welcome, welcome))
            if not welcome:
                self.assertEqual(peer.recv(1), b"")

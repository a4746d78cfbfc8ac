"""The spool's folder: nobody else's, one server at a time, a journal that never holds half a line."""

from __future__ import annotations

import errno
import fcntl
import os

from twisted.trial.unittest import SkipTest, SynchronousTestCase

from tm.edge.spool import Spool, boot_id, private_directory
from tm.errors import ConfigError, StoreError


class SpoolCase(SynchronousTestCase):
    def setUp(self) -> None:
        self.path = os.path.join(os.path.abspath(self.mktemp()), "hosts", "n1")

    def spool(self) -> Spool:
        spool = Spool(self.path)
        self.addCleanup(spool.close)
        return spool


class FolderTests(SpoolCase):
    def refused(self, path: str) -> str:
        error = self.assertRaises(ConfigError, private_directory, path)
        self.assertEqual(error.word, "config.spool")
        return error.text

    def test_it_is_made_for_the_user_alone(self) -> None:
        private_directory(self.path)
        private_directory(self.path)
        for made in (self.path, os.path.dirname(self.path)):
            self.assertEqual(os.stat(made).st_mode & 0o777, 0o700)

    def test_what_others_may_enter_is_refused(self) -> None:
        for mode in (0o755, 0o710, 0o701, 0o777):
            private_directory(self.path)
            os.chmod(self.path, mode)
            self.assertIn(self.path, self.refused(self.path))
            os.chmod(self.path, 0o700)

    def test_a_file_a_link_and_a_place_that_cannot_be_are_refused(self) -> None:
        os.makedirs(os.path.dirname(self.path))
        with open(self.path, "w"):
            pass
        self.refused(self.path)
        self.refused(os.path.join(self.path, "below"))
        os.unlink(self.path)
        os.mkdir(self.path + "-real", 0o700)
        os.symlink(self.path + "-real", self.path)
        self.refused(self.path)

    def test_a_strangers_folder_on_the_way_is_refused_where_everybody_may_make_one(self) -> None:
        if os.getuid() != 0:
            raise SkipTest("only root can give a folder to somebody else")
        open_to_all = os.path.join(os.path.dirname(self.path), "tmp")
        trap = os.path.join(open_to_all, "taskmanager-0")
        private_directory(os.path.join(trap, "hosts", "n1"))
        os.chown(trap, 4242, 4242)
        private_directory(os.path.join(trap, "hosts", "n1"))
        os.chmod(open_to_all, 0o1777)
        self.assertIn(trap + ": belongs to somebody else", self.refused(os.path.join(trap, "hosts", "n1")))

    def test_two_servers_do_not_work_in_one_spool(self) -> None:
        self.spool()
        self.assertEqual(self.assertRaises(StoreError, Spool, self.path).word, "busy.running")

    def test_what_tidies_up_finds_it_locked_as_long_as_it_is_open(self) -> None:
        spool = self.spool()
        folder = os.open(self.path, os.O_RDONLY)
        self.addCleanup(os.close, folder)
        self.assertRaises(BlockingIOError, fcntl.flock, folder, fcntl.LOCK_EX | fcntl.LOCK_NB)
        spool.close()
        fcntl.flock(folder, fcntl.LOCK_EX | fcntl.LOCK_NB)
        self.spool()

    def test_its_name_is_made_once(self) -> None:
        first = Spool(self.path)
        name = first.name
        self.assertEqual((first.name, len(name)), (name, 32))
        first.close()
        self.assertEqual(self.spool().name, name)


class JournalTests(SpoolCase):
    def test_what_was_written_is_read_in_order(self) -> None:
        spool = self.spool()
        self.assertEqual(spool.lines(), [])
        spool.rewrite([b"s1"])
        self.assertEqual(spool.append([b"o1", b"o2"], durable=True), 9)
        self.assertEqual(spool.append([b"d1"], durable=False), 12)
        self.assertEqual(spool.lines(), [b"s1", b"o1", b"o2", b"d1"])
        spool.rewrite([b"s2"])
        spool.append([b"o3"], durable=True)
        self.assertEqual(spool.lines(), [b"s2", b"o3"])

    def test_a_cut_last_line_is_not_read_and_not_continued_after_the_rewrite(self) -> None:
        spool = self.spool()
        spool.rewrite([b"s1"])
        spool.append([b"o1"], durable=True)
        with open(os.path.join(self.path, "orders.log"), "ab") as file:
            file.write(b"o2 is cu")
        self.assertEqual(spool.lines(), [b"s1", b"o1"])
        spool.rewrite(spool.lines())
        spool.append([b"o3"], durable=True)
        self.assertEqual(spool.lines(), [b"s1", b"o1", b"o3"])

    def test_a_full_disk_leaves_no_part_of_a_line(self) -> None:
        spool = self.spool()
        spool.rewrite([b"s1"])
        real = spool._file
        assert real is not None

        class Full:
            def fileno(self) -> int:
                return real.fileno()

            def write(self, data: bytes) -> int:
                return real.write(data[: len(data) // 2])

            def close(self) -> None:
                real.close()

        spool._file = Full()  # type: ignore[assignment]
        self.assertEqual(self.assertRaises(StoreError, spool.append, [b"o1", b"o2"], True).word, "store.full")
        spool._file = real
        self.assertEqual(spool.append([b"o3"], durable=True), 6)
        self.assertEqual(spool.lines(), [b"s1", b"o3"])

    def test_a_disk_that_fails_to_sync_keeps_nothing_of_the_line(self) -> None:
        spool = self.spool()
        spool.rewrite([b"s1"])

        def fails(descriptor: int) -> None:
            raise OSError(errno.EIO, "Input/output error")

        self.patch(os, "fdatasync", fails)
        self.assertRaises(StoreError, spool.append, [b"o1"], True)
        self.assertEqual(spool.lines(), [b"s1"])

    def test_a_journal_that_cannot_be_rewritten_is_the_old_one(self) -> None:
        spool = self.spool()
        spool.rewrite([b"s1", b"c1"])

        def fails(descriptor: int) -> None:
            raise OSError(errno.EIO, "Input/output error")

        self.patch(os, "fsync", fails)
        self.assertRaises(OSError, spool.rewrite, [b"s2"])
        self.assertEqual(spool.lines(), [b"s1", b"c1"])

    def test_environments_are_kept_until_they_are_dropped(self) -> None:
        spool = self.spool()
        spool.keep_environment("d1", '{"A":"☃"}')
        spool.keep_environment("d1", "another text for the same digest is not written")
        folder = os.path.join(self.path, "environments")
        with open(os.path.join(folder, "d1"), encoding="utf-8") as file:
            self.assertEqual(file.read(), '{"A":"☃"}')
        spool.drop_environments()
        self.assertEqual(os.listdir(folder), [])

    def test_what_keepers_leave_is_found_and_buried(self) -> None:
        spool = self.spool()
        for name in (
            "keeper-3.log",
            "keeper-3.sock",
            "keeper-12.pid",
            "keeper-x.log",
            "keeper-4.txt",
            "keeper-5.lock",
        ):
            with open(os.path.join(self.path, name), "w"):
                pass
        self.assertEqual(spool.keepers(), [3, 12])
        spool.bury(3)
        spool.bury(3)
        self.assertEqual(spool.keepers(), [12])

    def test_a_boot_has_a_name(self) -> None:
        self.assertEqual(boot_id(), boot_id())
        self.assertTrue(boot_id())

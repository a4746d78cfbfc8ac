"""The power is cut after each thing that was promised: it is on the disk, not in some memory on the way there."""

from __future__ import annotations

import os
import shutil

from twisted.trial.unittest import SynchronousTestCase

from tests.support.keeper import Spool as KeeperSpool
from tests.support.power import Power
from tm.keeper import journal
from tm.ports import JobQuery
from tm.store.sqlite import SqliteStore

COMMITS = """
import sys
from tests.contract.test_stores import job, new
from tm.store import schema
from tm.store.sqlite import SqliteStore
schema.create(sys.argv[1])
store = SqliteStore(sys.argv[1])
store.load()
for number in range(1, int(sys.argv[2]) + 1):
    store.commit(store.prepare(new(job(number))))
"""
CLAIMS = """
import sys
from tm.edge.spool import Spool
spool = Spool(sys.argv[1])
spool.rewrite([b"s1"])
spool.append([b"o1"], durable=True)
spool.append([b"o2", b"o3"], durable=True)
"""
KEEPS = """
import sys
from tm.edge.spool import Spool
spool = Spool(sys.argv[1])
spool.keep_environment("d1", '{"A":"1"}')
"""
RECORDS = """
import sys
from tm.keeper import journal
log = journal.Log(sys.argv[1])
fact = {"job": 1, "attempt": 1, "what": "ended", "exit_code": 37}
for number in range(1, 4):
    log.append(journal.intent((number, 1)))
    assert log.secure(journal.final({**fact, "job": number}))
"""

ARCHIVES = """
import sys
from tests.contract.test_stores import job, new
from tm.model.phase import Phase
from tm.store import schema
from tm.store.sqlite import SqliteStore
schema.create(sys.argv[1])
store = SqliteStore(sys.argv[1])
store.load()
store.commit(store.prepare(new(*[job(number, phase=Phase.COMPLETED) for number in range(1, 9)])))
print(len(os.listdir(sys.argv[2])), flush=True)
assert store.archive(before=1e9) == 8
"""


class PowerLossTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.folder = os.path.abspath(self.mktemp())
        os.makedirs(self.folder, 0o700)
        self.power = Power(os.path.join(self.folder, "kept"))

    def test_what_is_written_and_not_synced_is_seen_to_be_gone(self) -> None:
        path = os.path.join(self.folder, "file")
        self.power.run(
            "import sys\nfile = open(sys.argv[1], 'wb', buffering=0)\nfile.write(b'one')\nos.fsync(file.fileno())\n"
            "file.write(b'two')\nopen(sys.argv[1] + '.never', 'wb', buffering=0).write(b'x')\n"
            "os.rename(sys.argv[1], sys.argv[1] + '.new')",
            [path],
        )
        self.assertEqual((self.power.read("file.new"), self.power.read("file.never")), (b"one", b""))

    def test_what_the_store_has_committed_is_on_the_disk(self) -> None:
        for count in (1, 2, 7):
            state = os.path.join(self.folder, f"state{count}")
            power = Power(os.path.join(self.folder, f"kept{count}"))
            power.run(COMMITS, [os.path.join(state, "store.sqlite"), str(count)])
            left = os.path.join(self.folder, f"left{count}")
            shutil.copytree(power.kept, left)
            store = SqliteStore(os.path.join(left, "store.sqlite"))
            self.addCleanup(store.close)
            self.assertEqual(sorted(job.id for job in store.jobs(JobQuery())), list(range(1, count + 1)))
            self.assertEqual(store.load().epoch, 2, "the epoch that had begun is not to begin again")

    def test_what_goes_to_the_archive_is_always_in_the_store_or_there(self) -> None:
        store_path = os.path.join(self.folder, "state", "store.sqlite")
        said = self.power.run(ARCHIVES, [store_path, self.power.kept + "-history"])
        before = 0
        for moment in self.power.moments(os.path.join(self.folder, "moments")):
            before += 1
            if before < int(said):
                continue
            month = os.path.join(moment, "jobs-1970-01.sqlite")
            if os.path.exists(month):
                os.makedirs(os.path.join(moment, "archive"))
                for name in [name for name in os.listdir(moment) if name.startswith("jobs-")]:
                    shutil.move(os.path.join(moment, name), os.path.join(moment, "archive", name))
            store = SqliteStore(os.path.join(moment, "store.sqlite"))
            self.addCleanup(store.close)
            there = [number for number in range(1, 9) if store.job(number) is not None]
            self.assertEqual(there, list(range(1, 9)), os.path.basename(moment))
            self.assertIsNone(store.job(99), "what is in no store is looked for in the archive, whatever is left there")
        self.assertGreater(before, int(said) + 3)

    def test_what_a_host_has_claimed_is_on_the_disk(self) -> None:
        self.power.run(CLAIMS, [os.path.join(self.folder, "spool")])
        self.assertEqual(self.power.read("orders.log"), b"s1\no1\no2\no3\n")

    def test_an_environment_that_is_kept_is_on_the_disk(self) -> None:
        self.power.run(KEEPS, [os.path.join(self.folder, "spool")])
        self.assertEqual(self.power.read("d1"), b'{"A":"1"}')

    def test_an_ending_that_a_keeper_has_recorded_is_on_the_disk(self) -> None:
        self.power.run(RECORDS, [os.path.join(self.folder, "keeper-1.log")])
        found = journal.read(os.path.join(self.power.kept, "keeper-1.log"))
        self.assertEqual([fact["exit_code"] for fact in found.endings.values()], [37] * 3)

    def test_an_ending_is_told_once_it_is_on_the_disk(self) -> None:
        spool = KeeperSpool()
        self.addCleanup(spool.clean)
        spool.start(more=self.power.variables)
        peer = spool.connect()
        peer.greeting()
        for number in range(1, 6):
            peer.say(grant=1, start=[spool.order(number, f"exit {number}")])
            self.assertEqual(peer.wait("ended", number)["exit_code"], number)
            found = journal.read(os.path.join(self.power.kept, "keeper-1.log"))
            self.assertEqual(found.endings[number, 1]["exit_code"], number)

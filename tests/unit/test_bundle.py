"""The file of an array's outputs: nothing is lost or doubled, whatever is cut off, written twice, or tried again."""

from __future__ import annotations

import os
import random
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from tests.support.properties import examples
from tm.bundle import BundleError, append, content, folder_of, merge, records_of

OUTPUTS = st.dictionaries(st.tuples(st.integers(0, 30), st.integers(1, 3)), st.binary(max_size=200), max_size=20)


class BundleTests(SynchronousTestCase):
    def setUp(self) -> None:
        self.rounds = 0

    def fresh(self) -> str:
        self.rounds += 1
        folder = os.path.join(os.path.abspath(self.mktemp()), str(self.rounds))
        os.makedirs(folder)
        return os.path.join(folder, "tm-17.bundle")

    def write(self, path: str, host: str, outputs: dict[tuple[int, int], bytes]) -> str:
        """Have *host* append *outputs* by (task, attempt); return its segment."""
        os.makedirs(folder_of(path), exist_ok=True)
        source = Path(path + ".source")
        segment = os.path.join(folder_of(path), f"{host}.part")
        for (task, attempt), data in outputs.items():
            source.write_bytes(data)
            with open(segment, "ab") as file:
                append(file, [({"task": task, "attempt": attempt, "exit": 0}, str(source))])
        return segment

    def read(self, path: str) -> dict[int, bytes]:
        return {record.task: b"".join(content(record)) for record in records_of(path)}

    @staticmethod
    def last(outputs: dict[tuple[int, int], bytes]) -> dict[int, bytes]:
        return {task: outputs[task, attempt] for task, attempt in sorted(outputs)}

    @examples(60)
    @given(OUTPUTS, st.integers(0, 1 << 30))
    def test_segments_and_the_whole_hold_the_last_attempt_of_every_task(
        self, outputs: dict[tuple[int, int], bytes], seed: int
    ) -> None:
        path = self.fresh()
        chance = random.Random(seed)
        shares: dict[str, dict[tuple[int, int], bytes]] = {"n1": {}, "n2": {}}
        for key, data in outputs.items():
            shares[chance.choice(["n1", "n2"])][key] = data
        for host, share in shares.items():
            self.write(path, host, share)
        wanted = self.last(outputs)
        self.assertEqual(self.read(path), wanted)
        self.assertEqual(merge(path), len(wanted))
        self.assertEqual((self.read(path), os.path.exists(folder_of(path))), (wanted, False))

    @examples(60)
    @given(OUTPUTS, st.integers(0, 400))
    def test_what_a_crash_cut_off_is_written_again_and_the_rest_stays(
        self, outputs: dict[tuple[int, int], bytes], keep: int
    ) -> None:
        path = self.fresh()
        segment = self.write(path, "n1", outputs)
        if not outputs:
            return
        os.truncate(segment, min(keep, os.path.getsize(segment)))
        kept = self.read(path)
        self.assertTrue(all(data in [outputs.get((task, n)) for n in (1, 2, 3)] for task, data in kept.items()))
        self.write(path, "n1", outputs)
        self.assertEqual(self.read(path), self.last(outputs))

    def test_putting_together_again_changes_nothing_and_takes_in_what_came_late(self) -> None:
        path = self.fresh()
        self.write(path, "n1", {(1, 1): b"one\n", (2, 1): b""})
        merge(path)
        before = Path(path).read_bytes()
        merge(path)
        self.assertEqual({record.task for record in records_of(path)}, {1, 2})
        self.write(path, "n2", {(3, 1): b"late", (1, 2): b"again"})
        merge(path)
        self.assertEqual(self.read(path), {1: b"again", 2: b"", 3: b"late"})
        self.assertNotEqual(Path(path).read_bytes(), before)

    def test_some_tasks_are_read_without_the_others(self) -> None:
        path = self.fresh()
        self.write(path, "n1", {(task, 1): b"%d" % task for task in range(9)})
        merge(path)
        self.assertEqual([record.task for record in records_of(path, [3, 7, 99])], [3, 7])

    def test_what_is_no_bundle_is_named(self) -> None:
        path = self.fresh()
        for text in (b"", b"short", b"x" * 100, b"x" * 10 + b"tm-bundle-1 0000000000000000003\n"):
            Path(path).write_bytes(text)
            error = self.assertRaises(BundleError, records_of, path)
            self.assertIn(path, str(error))

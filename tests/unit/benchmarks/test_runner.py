"""How the peers are measured in turns: whatever fails, the next one is measured, and nothing stays running."""

from __future__ import annotations

import io
import json
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from benchmarks.limits import BareSpawn
from benchmarks.peers import runner
from benchmarks.peers.contract import Crash
from benchmarks.peers.runner import NO_CAP, Cap, Turn
from benchmarks.record import Recorder


class Bare(BareSpawn):
    """A loop that is not run."""

    def __init__(self) -> None:
        self.how = "C"

    def measure(self, recorder: Recorder, at_once: int, count: int, **marks: object) -> None:
        recorder.add("bare spawn", 1000.0, "1/s", **marks)


class Fake:
    """A peer that does nothing; *fails* names the question to which it has no answer."""

    name, notes = "Fake 1", "as it is"
    ways: tuple[str, ...] = ("bulk",)

    def __init__(self, fails: str = "") -> None:
        self.fails = fails
        self.running = 0
        self.asked: list[tuple[Any, ...]] = []

    def missing(self) -> str:
        return ""

    def start(self, slots: int) -> None:
        assert not self.running
        self.running = slots
        self._note("start", slots)

    def stop(self) -> None:
        self.running = 0

    def throughput(self, way: str, jobs: int) -> float:
        self._note("throughput", way, jobs)
        return 0.5

    def submit_once(self) -> float | None:
        return None

    def wait_once(self) -> float | None:
        return 0.01

    def fill(self, waiting: int, array: bool) -> float | None:
        self._note("fill", waiting, array)
        return 1.0

    def list_once(self) -> float | None:
        return None

    def server_memory(self) -> int | None:
        return 5_000_000

    def idle_memory(self) -> int | None:
        return 4_000_000

    def crash(self, jobs: int) -> Crash | None:
        self._note("crash", jobs)
        return Crash(1, 2, None, 3, "as told")

    def _note(self, what: str, *more: object) -> None:
        self.asked.append((what, *more))
        if what == self.fails:
            raise SystemExit(f"no {what}")


class TurnTests(SynchronousTestCase):
    def take(self, peer: Fake, cap: Cap = NO_CAP, long: bool = False, number: int = 1) -> list[dict[str, Any]]:
        file = io.StringIO()
        recorder = Recorder(file, lambda text: None, 0.0)
        recorder.round = number
        self.patch(runner, "PAUSE", 0.0)
        self.patch(runner, "TIMES", 1)
        Turn(recorder, "fake", peer, cap).take(Bare(), 1000, long)
        self.assertFalse(peer.running)
        return [json.loads(line) for line in file.getvalue().splitlines()]

    def asked(self, peer: Fake, *what: str) -> list[tuple[Any, ...]]:
        return [one for one in peer.asked if one[0] in what]

    def test_everything_is_asked_with_two_and_with_eight_slots(self) -> None:
        peer = Fake()
        lines = self.take(peer)
        rates = [(line["slots"], line["value"]) for line in lines if line["what"] == "jobs"]
        self.assertEqual(rates, [(2, 2000.0), (8, 2000.0)])
        self.assertEqual(self.asked(peer, "fill", "crash"), [("fill", 10_000, False), ("crash", 1000)])

    def test_the_long_set_has_more_jobs_and_more_waiting(self) -> None:
        peer = Fake()
        self.take(peer, long=True)
        self.assertIn(("throughput", "bulk", 10_000), peer.asked)
        self.assertEqual(self.asked(peer, "fill"), [("fill", 10_000, False), ("fill", 100_000, False)])

    def test_a_slow_one_is_asked_for_less(self) -> None:
        peer = Fake()
        peer.ways = ("bulk", "array")
        self.take(peer, Cap(jobs=60, waiting=0, tasks=70_000, crash=0), long=True)
        self.assertEqual({one[2] for one in self.asked(peer, "throughput")}, {60})
        self.assertEqual(self.asked(peer, "fill", "crash"), [("fill", 10_000, True), ("fill", 70_000, True)])

    def test_what_takes_minutes_is_asked_in_the_first_round_alone(self) -> None:
        peer = Fake()
        self.take(peer, Cap(once=True), number=2)
        self.assertEqual(self.asked(peer, "fill", "crash"), [])

    def test_after_a_failure_it_is_stopped_and_the_rest_goes_on(self) -> None:
        for fails in ("throughput", "fill", "start"):
            lines = self.take(Fake(fails))
            told = [line["text"] for line in lines if line["what"] == "note"]
            self.assertIn(f"Fake 1 failed: no {fails}", told)
            self.assertEqual([line["what"] for line in lines if line["what"] == "lost"], ["lost"] * (fails != "start"))

    def test_a_crash_after_which_nothing_starts_has_no_time(self) -> None:
        lines = {line["what"]: line for line in self.take(Fake())}
        self.assertEqual([lines[what]["value"] for what in ("lost", "doubled", "disturbed")], [1, 2, 3])
        self.assertNotIn("next start", lines)
        self.assertEqual(lines["lost"]["note"], "as told")

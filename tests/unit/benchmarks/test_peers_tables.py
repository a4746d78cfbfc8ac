"""What the page says of measurements of peers: aims, bold figures, what is missing."""

from __future__ import annotations

import json
import xml.etree.ElementTree as ElementTree
from pathlib import Path

from twisted.trial.unittest import SynchronousTestCase

from benchmarks.measurements import Measurements
from benchmarks.peers import plots, tables
from benchmarks.plots import Bar, Panel, draw

NAMES = {"ourselves": "TaskManager 1", "slurm": "Slurm 22", "hyperqueue": "HyperQueue 0"}


class PeersTablesTests(SynchronousTestCase):
    def found(self, *lines: dict[str, object]) -> Measurements:
        path = Path(self.mktemp())
        shown: list[dict[str, object]] = [
            {"what": "note", "peer": key, "name": name, "text": name} for key, name in NAMES.items()
        ]
        made = [{"workload": "machine"}, *({"workload": "peers", "round": 1, **line} for line in (*shown, *lines))]
        path.write_text("".join(json.dumps(line) + "\n" for line in made))
        return Measurements([str(path)])

    def jobs(self, peer: str, rate: float, way: str = "bulk", bare: float = 2000.0) -> list[dict[str, object]]:
        marks: dict[str, object] = {"peer": peer, "slots": 2, "way": way, "asked": 2000, "count": 2000}
        return [{"what": "bare spawn", "value": bare, **marks}, {"what": "jobs", "value": rate, **marks}]

    def verdicts(self, found: Measurements) -> dict[str, list[str]]:
        return {aim.text: aim.row()[2:] for aim in tables.aims(found)}

    def test_the_better_way_of_each_side_counts(self) -> None:
        found = self.found(
            *self.jobs("ourselves", 600), *self.jobs("ourselves", 900, "array"),
            *self.jobs("hyperqueue", 500), *self.jobs("hyperqueue", 400, "singly"),
        )  # fmt: skip
        verdicts = self.verdicts(found)
        self.assertEqual(verdicts["2,000 jobs, 2 slots: jobs a second as a multiple of HyperQueue's"], ["1.80", "yes"])
        self.assertEqual(verdicts["2,000 jobs, 2 slots: as a share of the bare loop in C"], ["0.45", "yes"])

    def test_what_was_not_measured_is_not_met(self) -> None:
        verdicts = self.verdicts(self.found(*self.jobs("ourselves", 600)))
        self.assertEqual(verdicts["2,000 jobs, 2 slots: jobs a second as a multiple of Slurm's"], ["-", "not measured"])

    def test_a_peer_that_is_better_is_bold(self) -> None:
        made = tables.peers_throughput(self.found(*self.jobs("ourselves", 400), *self.jobs("hyperqueue", 500)))
        self.assertIn("| TaskManager 1 | 400 | 0.20 |", made)
        self.assertIn("| HyperQueue 0 | **500** | **0.25** |", made)
        self.assertNotIn("Slurm", made)

    def test_one_more_submission_is_held_beside_that_to_an_empty_queue(self) -> None:
        marks: dict[str, object] = {"peer": "ourselves", "waiting": 100_000, "array": False}
        verdicts = self.verdicts(self.found(
            {"what": "growth", "value": 90.0, **marks},
            {"what": "growth", "value": 120.0, **marks, "peer": "hyperqueue"},
            {"what": "one more", "value": 40.0, "queue": "empty", **marks},
            {"what": "one more", "value": 44.0, "queue": "full", **marks},
        ))  # fmt: skip
        text = "100,000 jobs waiting: one more by `hRunJob`, as a multiple of an empty queue"
        self.assertEqual(verdicts[text], ["1.10", "yes"])
        text = "100,000 jobs waiting: growth of the servers as a multiple of HyperQueue's"
        self.assertEqual(verdicts[text], ["0.75", "yes"])

    def test_a_crash_after_which_nothing_starts_is_shown_as_such(self) -> None:
        marks: dict[str, object] = {"peer": "slurm", "jobs": 300, "note": "stuck"}
        made = tables.peers_crash(self.found(
            *({"what": what, "value": 2.0, **marks} for what in ("lost", "doubled", "disturbed"))
        ))  # fmt: skip
        self.assertIn("| Slurm 22 | 300 | 2 | 2 | 2 | never | stuck |", made)

    def test_what_is_left_out_and_what_failed_is_told(self) -> None:
        made = tables.peers_shown(self.found(
            {"what": "note", "peer": "parallel", "missing": "it", "text": "left out: parallel: needs it"},
            {"what": "note", "peer": "slurm", "failed": "no", "text": "Slurm 22 failed: no"},
        ))  # fmt: skip
        self.assertIn("- left out: parallel: needs it", made)
        self.assertIn("- Slurm 22 failed: no", made)

    def test_without_measurements_every_part_says_so(self) -> None:
        path = Path(self.mktemp())
        path.write_text("")
        found = Measurements([str(path)])
        for part in (
            tables.peers_shown, tables.peers_limits, tables.peers_ways, tables.peers_throughput, tables.peers_clients,
            tables.peers_waiting, tables.peers_crash,
        ):  # fmt: skip
            self.assertEqual(part(found), tables.NOTHING)
        self.assertEqual(plots.draw(found), {})

    def test_the_plots_are_xml_with_a_bar_for_each_peer(self) -> None:
        drawn = plots.draw(self.found(*self.jobs("ourselves", 400), *self.jobs("slurm", 50)))
        bars = ElementTree.fromstring(drawn[tables.THROUGHPUT]).findall(".//{*}rect")
        self.assertEqual([bar.get("class") for bar in bars], ["page", "ours", "other"])


class PlotsTests(SynchronousTestCase):
    def widths(self, log: bool, *values: float) -> list[float]:
        bars = [Bar(f"<{value}>", value, str(value)) for value in values]
        root = ElementTree.fromstring(draw([Panel("a & b", bars, (max(values), "limit"))], "ms", log))
        return [float(bar.get("width", "")) for bar in root.findall(".//{*}rect")[1:]]

    def test_bars_are_as_long_as_their_values(self) -> None:
        one, two = self.widths(False, 1.0, 2.0)
        self.assertAlmostEqual(two, 2 * one, delta=0.2)

    def test_on_a_logarithmic_axis_a_factor_is_a_length(self) -> None:
        one, two, three = self.widths(True, 20.0, 200.0, 2000.0)
        self.assertAlmostEqual(two - one, three - two, delta=0.2)

    def test_a_value_of_nothing_is_a_bar_of_hardly_any_length(self) -> None:
        self.assertEqual(self.widths(False, 0.0, 1.0)[0], 1.0)

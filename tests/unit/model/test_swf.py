"""Traces: what is read of them, and what is wrong on which line."""

from __future__ import annotations

from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from tests.support.properties import examples
from tm.errors import ConfigError
from tm.model.swf import MOST_COMPLAINTS, TraceJob, read_trace

GOOD = "7 10 -1 60 4 59.5 -1 8 120 -1 1 3 1 2 -1 -1 -1 -1"


def line(**changed: object) -> str:
    """Return a good line with other words at some places, ``f4="x"`` the fourth."""
    words = GOOD.split()
    for place, word in changed.items():
        words[int(place[1:]) - 1] = str(word)
    return " ".join(words)


class TraceTests(SynchronousTestCase):
    def complaint(self, *lines: str) -> str:
        return self.assertRaises(ConfigError, read_trace, lines, "t.swf").text

    def test_a_line_is_a_job(self) -> None:
        trace = read_trace(["; MaxProcs: 240", "; Note: MaxProcs: 3", "", "  " + GOOD + "  "], "t.swf")
        self.assertEqual(trace.jobs, [TraceJob(7, 10.0, 60.0, 8, 120.0, 3, 2)])
        self.assertEqual(trace.processors, 240)
        self.assertEqual(trace.head["Note"], "MaxProcs: 3")

    def test_what_is_not_known_is_taken_from_what_is(self) -> None:
        jobs = read_trace([line(f4=-1), line(f1=8, f8=-1), line(f1=9, f9=-1)], "t.swf").jobs
        self.assertEqual([job.run for job in jobs], [59.5, 60.0, 60.0])
        self.assertEqual([job.cores for job in jobs], [8, 4, 8])
        self.assertEqual([job.asked for job in jobs], [120.0, 120.0, 0.0])

    def test_what_cannot_be_replayed_is_left_out_and_counted(self) -> None:
        lines = [GOOD, line(f1=8, f4=-1, f6=-1), line(f1=9, f5=-1, f8=-1), line(f1=10, f11=3)]
        trace = read_trace(lines, "t.swf")
        self.assertEqual(len(trace.jobs), 1)
        self.assertEqual(sorted(trace.left_out.values()), [1, 1, 1])
        self.assertEqual(trace.processors, 8)

    def test_jobs_come_by_the_time_of_their_submission(self) -> None:
        trace = read_trace([line(f2=20), line(f1=3, f2=5)], "t.swf")
        self.assertEqual([job.number for job in trace.jobs], [3, 7])

    def test_a_wrong_line_is_named_with_what_is_wrong(self) -> None:
        for changed, text in (
            (line(f4="abc"), "t.swf:1: field 4 (run time): 'abc' is no number"),
            (line(f4="nan"), "t.swf:1: field 4 (run time): 'nan' is no number"),
            (line(f4="1_0"), "t.swf:1: field 4 (run time): '1_0' is no number"),
            (line(f5="2.5"), "t.swf:1: field 5 (processors): 2.5 is no whole number"),
            (line(f2="-1"), "t.swf:1: field 2 (submit time): -1 is below 0"),
            (line(f9="-2"), "t.swf:1: field 9 (requested time): -2 is below 0, and not the -1 of what is not known"),
            (line(f4="1e300"), "t.swf:1: field 4 (run time): 1e300 is more than anything could be"),
            (GOOD + " 4", "t.swf:1: expected 18 numbers, not 19"),
            ("a b", "t.swf:1: expected 18 numbers, not 2"),
        ):
            self.assertEqual(self.complaint(changed), text)

    def test_every_wrong_line_is_named_but_not_without_end(self) -> None:
        self.assertEqual(len(self.complaint("; x", "x", GOOD, GOOD, "y").splitlines()), 3)
        self.assertIn("t.swf:4: job 7 stands on line 3 already", self.complaint("; x", "x", GOOD, GOOD))
        self.assertEqual(len(self.complaint(*["x"] * 100).splitlines()), MOST_COMPLAINTS + 1)

    def test_a_trace_without_jobs_is_none(self) -> None:
        self.assertIn("no job", self.complaint("; MaxProcs: 4", ""))

    @examples(300)
    @given(
        st.lists(
            st.one_of(
                st.just(GOOD),
                st.text(max_size=60),
                st.lists(st.sampled_from([*GOOD.split(), "x", "-7", ";", "inf"]), max_size=20).map(" ".join),
            ),
            max_size=6,
        )
    )
    def test_whatever_stands_there_is_read_or_refused(self, lines: list[str]) -> None:
        try:
            trace = read_trace(lines, "t.swf")
        except ConfigError as error:
            self.assertTrue(error.complaints)
        else:
            self.assertTrue(trace.jobs)

    def test_the_trace_of_the_benchmarks_is_whole(self) -> None:
        path = Path(__file__).parents[3] / "benchmarks" / "data" / "hpc2n.swf"
        trace = read_trace(path.read_text().splitlines(), path.name)
        self.assertEqual((len(trace.jobs), trace.processors, dict(trace.left_out)), (3170, 240, {}))
        self.assertEqual(trace.head["Acknowledge"], "Ake Sandgren")

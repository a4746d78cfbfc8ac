"""What is shown: states and reasons as users know them, times and paths in full."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from tests.support.brain import host_state, order
from tm.model.cluster import Link, Session
from tm.model.condition import Condition, Info, State
from tm.model.job import Job, new_job
from tm.model.phase import Phase
from tm.model.report import About, Gpu, HostReport
from tm.model.spec import read_spec
from tm.model.views import job_fields, show_host, show_job, shown_state, shown_time


def job(phase: Phase = Phase.PENDING, host: str | None = None, **more: object) -> Job:
    made, _ = new_job(7, order(**more)[0], "s", 1000.5)  # type: ignore[arg-type]
    made.phase, made.host = phase, host
    return made


class JobTests(SynchronousTestCase):
    def test_times_are_iso_8601_in_utc(self) -> None:
        self.assertEqual((shown_time(0.0), shown_time(None)), ("1970-01-01T00:00:00.000Z", None))
        self.assertEqual(shown_time(1763820123.125), "2025-11-22T14:02:03.125Z")
        self.assertEqual(shown_time(1763820123.999), "2025-11-22T14:02:03.999Z")
        self.assertEqual(shown_time(253_402_300_799.0), "9999-12-31T23:59:59.000Z")

    def test_paths_are_absolute_and_filled_in_once_the_host_is_known(self) -> None:
        for host, shown in ((None, "/d/out/%n-%j.%h"), ("n1", "/d/out/sim-7.n1")):
            made = job(host=host, cwd="/d", name="sim", stdout="out/./%n-%j.%h")
            view = show_job(made, read_spec(made.spec))
            self.assertEqual((view["stdout"], view["stderr"]), (shown, shown))
        made = job(stdout="/abs", stderr="../e", cwd="/d/x")
        view = show_job(made, read_spec(made.spec))
        self.assertEqual((view["stdout"], view["stderr"]), ("/abs", "/d/e"))
        self.assertIsNone(show_job(job(), read_spec(job().spec))["stdout"])

    def test_the_public_view_has_the_keys_of_the_protocol(self) -> None:
        view = show_job(job(), read_spec(job().spec))
        keys = (
            "id name user state reason host attempt exit_code signal command cwd stdout stderr submitted_at "
            "started_at ended_at cpu_seconds max_rss cores memory priority cause"
        )
        self.assertEqual(set(view), set(keys.split()))

    def test_a_job_whose_host_is_not_reached_is_unreachable(self) -> None:
        session = Session("alice", host_state("n1"))
        running = job(Phase.RUNNING, "n1")
        self.assertEqual(shown_state(running, None)[0], "unreachable")
        session.link, session.reason, session.since = Link.DOWN, "cable cut", 1000.0
        state, reason = shown_state(running, session)
        self.assertEqual((state, "cable cut" in reason, "1970" in reason), ("unreachable", True, True))
        self.assertEqual(job_fields(running, session)["state"], "unreachable")
        session.link = Link.UP
        self.assertEqual(shown_state(running, session), ("running", ""))
        self.assertEqual(shown_state(job(Phase.FAILED), None)[0], "failed")


class HostTests(SynchronousTestCase):
    def test_a_host_shows_what_it_has_and_what_is_free(self) -> None:
        host = host_state("n1", 2)
        session = Session("alice", host)
        up = Condition(State.UP, since=1000.0)
        view = show_host(host, [session], up, Info())
        self.assertEqual((view["state"], view["vacant"], view["free_cores"]), ("up", True, 2))
        self.assertEqual((view["load"], view["cpu_others"], view["gpus"]), (None, None, []))
        for _ in range(2):
            made = job()
            made.id = host.used_cores + 1
            session.occupy(made)
        view = show_host(host, [session], up, Info())
        self.assertEqual((view["state"], view["vacant"], view["free_cores"]), ("up", False, 0))
        self.assertEqual((view["cores"], view["used_cores"], view["jobs"], view["memory"]), (2, 2, 2, None))

    def test_a_host_shows_its_gpus_and_what_is_counted_there(self) -> None:
        host = host_state("n1", 2, gpus=2, consumables={"matlab": 3})
        Session("alice", host).occupy(new_job(1, *order(gpus=1, consumables={"matlab": 2}, exclusive=True), 1.0)[0])
        view = show_host(host, [], Condition(State.UP), Info())
        self.assertEqual((view["gpu_count"], view["free_gpus"], view["exclusive"], view["vacant"]), (2, 1, True, False))
        self.assertEqual(view["consumables"], {"matlab": {"whole": 3, "used": 2}})
        self.assertIsNone(show_host(host_state("n2", 2), [], Condition(State.UP), Info())["gpu_count"])

    def test_a_host_shows_why_nothing_starts_there_and_what_helps(self) -> None:
        condition = Condition(State.DRAINED, "repair", "activate it", 1000.0)
        view = show_host(host_state("n1", 2), [], condition, Info())
        self.assertEqual((view["state"], view["reason"], view["remedy"]), ("drained", "repair", "activate it"))
        self.assertEqual((view["vacant"], view["since"]), (False, "1970-01-01T00:16:40.000Z"))

    def test_a_host_shows_what_its_infoserver_says(self) -> None:
        host = host_state("n1", 4)
        host.about = About(
            host="n1", boot="b", version="1", pid=1, port=7, fingerprint="f", booted_at=1.0, cores=4, memory=1 << 33
        )
        host.report = HostReport(
            host="n1", at=1.0, load=(0.5, 0.4, 0.3), cpu_ours=1.5, cpu_others=0.25, memory_available=1 << 30,
            logged_in=["carol"], console_idle=3.0, gpus=[Gpu(0, "G", 1 << 30)],
        )  # fmt: skip
        view = show_host(host, [], Condition(State.UP), Info("up", port=7, version="1", survives="lingering"))
        self.assertEqual((view["load"], view["cpu_ours"], view["cpu_others"]), ([0.5, 0.4, 0.3], 1.5, 0.25))
        self.assertEqual((view["memory_available"], view["logged_in"], view["console_idle"]), (1 << 30, ["carol"], 3.0))
        self.assertEqual([gpu["model"] for gpu in view["gpus"]], ["G"])  # type: ignore[attr-defined]
        self.assertEqual(
            view["info"], {"state": "up", "reason": "", "port": 7, "version": "1", "survives": "lingering"}
        )

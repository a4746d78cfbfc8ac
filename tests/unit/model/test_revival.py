"""What a machine is told to start after its boot: texts of units and crontabs, and which of the two."""

from __future__ import annotations

import shlex
import subprocess

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from tm.errors import TaskManagerError
from tm.model.revival import (
    Found,
    Means,
    Service,
    choose,
    cron_line,
    line_of,
    refusal,
    unit_text,
    with_line,
    without_line,
)

TMS = Service("tms-physics", "the server of alice", ["/usr/bin/python3", "/opt/tm/bin/TMS"], [], {}, "server1")
OTHER = TMS._replace(name="dispatcher-physics")

words = st.text(st.characters(exclude_characters="\n\r\0", exclude_categories=("Cs",)), max_size=20)
lines = st.one_of(
    words, st.just("@reboot /bin/true"), st.just("# taskmanager:tms-physics"), st.just(cron_line(OTHER)), st.just(""),
    st.just("0 3 * * 1  tar czf x.tgz . # taskmanager:tms-physics"), st.just("MAILTO=me"),
)  # fmt: skip
crontabs = st.lists(lines, max_size=8).map(lambda found: "".join(f"{line}\n" for line in found))
services = st.builds(
    lambda program, arguments, names, values: TMS._replace(
        program=["/p", *program], arguments=arguments, variables=dict(zip(names, values, strict=False))
    ),
    st.lists(words, max_size=2), st.lists(words, max_size=3),
    st.lists(st.from_regex("TM_[A-Z]{1,5}", fullmatch=True), max_size=3, unique=True),
    st.lists(words, min_size=3, max_size=3),
)  # fmt: skip


class CrontabTests(SynchronousTestCase):
    @given(crontabs, services)
    def test_nothing_else_of_a_crontab_is_touched(self, crontab: str, service: Service) -> None:
        after = with_line(crontab, service)
        self.assertEqual(line_of(after, service.name), cron_line(service))
        self.assertEqual(without_line(after, service.name), crontab)

    @given(crontabs, services, services)
    def test_a_line_is_there_once_and_replaced_in_its_place(self, crontab: str, one: Service, other: Service) -> None:
        first = with_line(crontab, one)
        self.assertEqual(with_line(first, one), first)
        second = with_line(first + "5 * * * * after\n", other)
        self.assertEqual(second.count(cron_line(other) + "\n"), 1)
        self.assertEqual(without_line(second, one.name), crontab + "5 * * * * after\n")

    def test_a_last_line_without_its_end_gets_one(self) -> None:
        self.assertEqual(with_line("5 * * * * x", TMS).splitlines(), ["5 * * * * x", cron_line(TMS)])

    @given(services)
    def test_the_shell_runs_what_was_meant(self, service: Service) -> None:
        line = cron_line(service)
        command = line.removeprefix("@reboot ").replace("\\%", "%").partition(" >/dev/null")[0]
        self.assertNotIn("%", line.replace("\\%", ""))
        said = shlex.split(command)
        wanted = [*service.program, *service.arguments]
        self.assertEqual(said[-len(wanted) :], wanted)
        if service.variables:
            self.assertEqual(said[0], "env")
            self.assertEqual(said[1 : -len(wanted)], [f"{name}={value}" for name, value in service.variables.items()])

    def test_a_shell_takes_the_mark_for_a_comment(self) -> None:
        service = TMS._replace(program=["sh", "-c", 'echo "$TM_A" >&2', "sh"], variables={"TM_A": "it's 5 %"})
        command = cron_line(service).removeprefix("@reboot ").replace("\\%", "%").replace(" 2>&1", "")
        done = subprocess.run(["sh", "-c", command], capture_output=True, text=True, check=True)
        self.assertEqual(done.stderr, "it's 5 %\n")

    def test_what_would_be_two_lines_is_refused(self) -> None:
        for service in (TMS._replace(arguments=["a\nb"]), TMS._replace(variables={"TM_A": "\r"})):
            self.assertRaises(TaskManagerError, cron_line, service)
            self.assertRaises(TaskManagerError, unit_text, service)


class UnitTests(SynchronousTestCase):
    def test_a_unit_is_for_one_machine_restarts_its_server_and_lets_jobs_live(self) -> None:
        service = TMS._replace(arguments=['a "b" $c 5%'], variables={"TM_ETC": "/srv/t m/100%"})
        text = unit_text(service)
        self.assertIn('ExecStart="/usr/bin/python3" "/opt/tm/bin/TMS" "-n" "a \\"b\\" $$c 5%%"\n', text)
        self.assertIn('Environment="TM_ETC=/srv/t m/100%%"\n', text)
        for line in ("ConditionHost=server1", "KillMode=process", "Restart=on-failure", "WantedBy=default.target"):
            self.assertIn(line + "\n", text)
        self.assertEqual(service.unit, "taskmanager-tms-physics.service")


class ChoiceTests(SynchronousTestCase):
    def test_a_user_manager_that_lingers_is_best_then_a_crontab(self) -> None:
        for answers, lingering, crontab, means in (
            (True, True, True, Means.UNIT),
            (True, True, False, Means.UNIT),
            (True, False, True, Means.CRONTAB),
            (False, True, True, Means.CRONTAB),
            (True, False, False, Means.NONE),
            (False, False, False, Means.NONE),
        ):
            self.assertEqual(choose(Found(answers, lingering, crontab)), means)

    def test_where_there_is_nothing_it_is_said_who_can_do_what(self) -> None:
        said = refusal(Found(False, False, False, "You (alice) are not allowed to use this program"), "alice")
        for part in ("loginctl enable-linger alice", "not allowed", "cron", "hRunJob"):
            self.assertIn(part, said)

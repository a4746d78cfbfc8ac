"""What travels with a job."""

from __future__ import annotations

import os
from typing import Any

from tests.unit.client.house import House
from tm.client.hrunjob import read_options
from tm.client.jobspec import capture, current_umask, job_directory, make_common
from tm.client.program import UsageError
from tm.model.spec import JobSpec
from tm.model.values import read_when


class JobSpecTests(House):
    def test_the_environment_leaves_the_session_and_taskmanagers_inside_behind(self) -> None:
        environ = {
            "A": "1",
            "SSH_AUTH_SOCK": "s",
            "_": "x",
            "SHLVL": "3",
            "TM_FAILPOINT": "p",
            "TM_ETC": "/e",
        }

        self.assertEqual({"A": "1", "TM_ETC": "/e", "PWD": "/w"}, capture(environ, "ALL", [], "/w"))

    def test_none_and_lists_choose_what_is_exported(self) -> None:
        environ = {"HOME": "/h", "PATH": "/p", "A": "1", "B": "2"}

        self.assertEqual({"HOME": "/h", "PATH": "/p", "PWD": "/"}, capture(environ, "NONE", [], "/"))
        chosen = capture(environ, "A,C=3", ["D=4=5"], "/")
        self.assertEqual({"HOME": "/h", "PATH": "/p", "A": "1", "C": "3", "D": "4=5", "PWD": "/"}, chosen)

    def test_a_variable_that_is_not_utf_8_stays_behind_unless_it_is_named(self) -> None:
        odd = {"A": "\udcff"}
        self.assertEqual({"PWD": "/"}, capture(odd, "ALL", [], "/"))
        self.assertEqual({"PWD": "/"}, capture({"HOME": "\udcff"}, "NONE", [], "/"))
        for export, additions in (("A", []), ("A=\udcff", []), ("ALL,A", []), ("ALL", ["A=\udcff"])):
            self.assertEqual({"A": "\udcff", "PWD": "/"}, capture(odd, export, additions, "/"))

    def test_an_addition_without_a_name_is_refused(self) -> None:
        self.assertRaises(UsageError, capture, {}, "ALL", ["A"], "/")
        self.assertRaises(UsageError, capture, {}, "ALL", ["=A"], "/")

    def test_the_folder_has_the_name_the_shell_has_for_it(self) -> None:
        link = self.path("link")
        os.symlink(os.getcwd(), link)

        self.assertEqual(link, job_directory(None, {"PWD": link}))
        self.assertEqual(os.getcwd(), job_directory(None, {"PWD": "/"}))
        self.assertEqual(os.path.join(link, "sub"), job_directory("sub", {"PWD": link}))
        self.assertEqual("/x", job_directory("/x", {}))

    def test_only_what_was_asked_for_is_said(self) -> None:
        common = make_common(read_options(["--export", "NONE"])[0], {})

        self.assertEqual({"cwd", "environment", "umask", "stdout"}, set(common))
        self.assertEqual("tm-%j.out", common["stdout"])
        bundled = make_common(read_options(["--export", "NONE", "-a", "0-9", "--bundle"])[0], {})
        self.assertEqual("tm-%j.bundle", bundled["stdout"])
        self.assertEqual(current_umask(), common["umask"])

    def test_every_option_has_its_key(self) -> None:
        words = "-n a -c 2 -m 1G -p -5 -w x,y -o o -e e --input i --append --umask 027".split()

        common = make_common(read_options(words)[0], {})

        expected = {
            "name": "a",
            "cores": 2,
            "memory": 2**30,
            "priority": -5,
            "hosts": ["x", "y"],
            "stdout": "o",
        }
        expected.update(stderr="e", append=True, umask=0o27, stdin=os.path.abspath("i"))
        self.assertEqual(expected, {key: common[key] for key in expected})

    def asked(self, text: str) -> dict[str, Any]:
        """Return what a command line asks for beyond the usual."""
        common = make_common(read_options(["--export=NONE", *text.split()])[0], {})
        return {key: value for key, value in common.items() if key not in ("cwd", "environment", "umask", "stdout")}

    def test_every_option_of_a_job_is_a_field_of_its_request(self) -> None:
        for text, expected in (
            ("--mem-per-cpu 1G -c 3", {"cores": 3, "memory": 3 << 30}),
            ("-G 2 --gres disk:1 -L matlab", {"gpus": 2, "consumables": {"matlab": 1, "disk": 1}}),
            ("--gres gpu:2,gpu:1", {"gpus": 3}),
            ("-t 1h --signal USR2@90", {"time": 3600.0, "warn_signal": "USR2", "warn_seconds": 90.0}),
            ("--processes 10 --output-limit 1G", {"processes": 10, "output_limit": 1 << 30}),
            ("-C gpu --prefer fast --exclusive --pack", {
                "constraint": "gpu", "prefer": "fast", "exclusive": True, "layout": "pack"}),
            ("-x n[1-2] --spread --scavenge", {"exclude": ["n1", "n2"], "layout": "spread", "scavenge": True}),
            ("-p 5 --nice=10", {"priority": -5}),
            ("-A physics --comment x", {"account": "physics", "comment": "x"}),
            ("-a 0-9%3 --bundle", {"array": "0-9", "array_cap": 3, "bundle": True}),
            ("--map echo --bundle", {"bundle": True}),
            ("--map-file names --bundle", {"bundle": True}),
            ("--dependency afterok:3 -H", {"dependency": "afterok:3", "hold": True}),
            ("--begin 2030-01-01", {"begin": read_when("2030-01-01")}),
            ("--deadline 2030-01-02", {"deadline": read_when("2030-01-02")}),
            ("--requeue --no-requeue", {}),
            ("--retries 3 --retry-on exit:75,oom --retry-delay 1m --retry-memory x2", {
                "retries": 3, "retry_on": ["exit:75", "oom"], "retry_delay": 60.0, "retry_memory": 2.0}),
            ("--mail-user a@b.org", {"notify": ["a@b.org"], "notify_on": ["end"]}),
            ("--mail-user a@b.org --notify-after 2h", {
                "notify": ["a@b.org"], "notify_on": ["waiting"], "notify_after": 7200.0}),
            ("--mail-user desktop --mail-type NONE", {}),
        ):  # fmt: skip
            self.assertEqual(expected, self.asked(text), text)

    def test_every_field_is_one_of_a_request(self) -> None:
        fields = set(JobSpec.__struct_fields__)
        text = "-t 1h --signal USR1 -a 1-2%1 --bundle --retries 1 --retry-on oom -L a --nice -C x -H --mail-user a@b"
        self.assertLessEqual(set(self.asked(text)), fields)

    def test_what_does_not_go_together_is_refused(self) -> None:
        for text in (
            "-m 1G --mem-per-cpu 1G", "--gpus 2 --gres gpu:3", "--bundle", "--retry-on oom", "--retry-delay 5",
            "--deadline 2020-01-01", "--begin 2030-01-02 --deadline 2030-01-01", "--deadline now+1h -t 2h",
        ):  # fmt: skip
            self.assertRaises(UsageError, self.asked, text)

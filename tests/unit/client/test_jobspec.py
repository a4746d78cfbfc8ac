"""What travels with a job."""

from __future__ import annotations

import os

from tests.unit.client.house import House
from tm.client.hrunjob import read_options
from tm.client.jobspec import capture, current_umask, job_directory, make_common
from tm.client.program import UsageError


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

    def test_a_variable_that_is_not_utf_8_stays_behind(self) -> None:
        self.assertEqual({"PWD": "/"}, capture({"A": "\udcff"}, "ALL", [], "/"))

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

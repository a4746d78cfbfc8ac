"""What a host's answer means: each check's judgement, and the remedy that it names."""

from __future__ import annotations

from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from tm.cli.checks.asking import answer_of
from tm.cli.checks.judging import BAD, GOOD, NOTE, Finding, Place, is_bad, judge, judge_failure, judge_folder, size
from tm.cli.checks.showing import as_json, line_of, remedies
from tm.errors import LaunchError

PLACE = Place("n2", "n2.lab", version="1.0.0", user="alice")
FOLDER: dict[str, Any] = {
    "path": "/var/tmp/taskmanager-1000/physics", "exists": True, "mount": "/var", "kind": "ext4", "readonly": False,
    "noexec": False, "free": 50 << 30, "inodes": 1_000_000, "writable": True, "private": True,
}  # fmt: skip
SAID: dict[str, Any] = {
    "python": "/usr/bin/python3", "version": "3.11.2", "host": "n2", "system": "Linux 6.1 x86_64", "uid": 1000,
    "user": "alice", "start": {"status": 0, "said": "TMMS 1.0.0"}, "pythons": [], "local": FOLDER,
    "programs": {**FOLDER, "path": "/var/tmp/taskmanager-1000/.programs"}, "home": {**FOLDER, "same": True},
    "missing": [], "ways": {"the TaskDispatcher": "", "your server (TMS)": ""}, "cores": 32, "memory": 64 << 30,
    "gpus": [], "load": 0.4, "running": [], "spools": [], "clock": 1000.5,
    "survival": {"logind": True, "kills": False, "lingers": False},
}  # fmt: skip


def found(place: Place = PLACE, **changes: object) -> dict[str, Finding]:
    """Return what is found of a host that is well but for *changes*."""
    return {one.topic: one for one in judge(place, {**SAID, **changes}, 1000.0, 1001.0)}


class JudgingTests(SynchronousTestCase):
    def assert_bad(self, finding: Finding, *words: str, level: str = BAD) -> None:
        """See that *finding* is bad, and that it and its remedy hold *words*."""
        self.assertEqual(finding.level, level, finding)
        self.assertTrue(finding.remedy, finding)
        for word in words:
            self.assertIn(word, f"{finding.text} → {finding.remedy}")

    def test_a_host_that_is_well(self) -> None:
        findings = judge(PLACE, SAID, 1000.0, 1001.0)
        self.assertFalse(is_bad(findings))
        self.assertEqual({one.level for one in findings}, {GOOD})
        self.assertEqual(remedies("n2", findings), [])
        self.assertEqual(
            line_of("n2", findings),
            "n2: good: ssh openssh, program 1.0.0, disk 50 GB ext4, clock right, home same, way open, 32 cores, 64 GB",
        )

    def test_every_failure_of_ssh_names_what_mends_it(self) -> None:
        place = PLACE._replace(options={"port": 2222, "user": "tm"})
        for word, remedy in (
            ("ssh.auth", "ssh-copy-id -p 2222 tm@n2.lab"), ("ssh.hostkey", "ssh -p 2222 tm@n2.lab"),
            ("ssh.unreachable", "ssh -p 2222 tm@n2.lab"), ("ssh.config", "~/.ssh/config"), ("ssh.command", "true"),
        ):  # fmt: skip
            (finding,) = judge_failure(place, word, "n2: ssh failed: it says why; and what next")
            self.assert_bad(finding, remedy)
            self.assertEqual(finding.text, "it says why")
            self.assertEqual(finding.short, word[4:])

    def test_no_python(self) -> None:
        findings = judge(PLACE, {"python": None, "system": "Linux 6.1 x86_64"}, 0, 0)
        self.assert_bad(findings[-1], "no Python 3 (Linux", "apt install python3.11", "--set python=")

    def test_an_old_python(self) -> None:
        start = {"status": 127, "said": "/opt/tm/.venv/bin/python: No such file or directory"}
        old = [{"path": "/usr/bin/python3", "version": "3.9.2", "missing": ["twisted"]}]
        self.assert_bad(found(start=start, pythons=old, version="3.9.2")["program"], "python3 is 3.9.2", "install one")

    def test_a_python_without_our_program_is_to_be_given_it(self) -> None:
        start = {"status": 127, "said": "/opt/tm/bin/TMMS: No such file or directory"}
        bare = [{"path": "/usr/bin/python3.12", "version": "3.12.1", "missing": ["twisted"]}]
        self.assert_bad(
            found(start=start, pythons=bare)["program"],
            "No such file", "tm hosts add n2 --program dist/tm-1.0.0-cp312-x86_64.pyz",
        )  # fmt: skip

    def test_another_python_that_has_all_is_to_be_named(self) -> None:
        start = {"status": 127, "said": "python: No such file"}
        whole = [{"path": "/opt/py/bin/python3", "version": "3.12.1", "missing": []}]
        self.assert_bad(
            found(start=start, pythons=whole)["program"], "tm hosts add n2 --set python=/opt/py/bin/python3"
        )
        place = PLACE._replace(added=True)
        self.assert_bad(
            found(place, start=start, pythons=whole)["program"], "tm hosts change n2 python=/opt/py/bin/python3"
        )

    def test_another_version_of_ours(self) -> None:
        self.assert_bad(found(start={"status": 0, "said": "TMMS 0.9.1"})["program"], "0.9.1", "1.0.0")

    def test_a_program_that_others_may_write(self) -> None:
        said = "/srv/tm: others may write it; say 'chmod go-w /srv/tm' there"
        self.assert_bad(found(start={"status": 78, "said": said})["program"], "→ chmod go-w /srv/tm")

    def test_a_disk_without_programs_matters_to_a_one_file_program(self) -> None:
        programs = {**FOLDER, "noexec": True}
        self.assertEqual(found(programs=programs)["program"].level, GOOD)
        self.assert_bad(found(PLACE._replace(program="~/tm.pyz"), programs=programs)["program"], "TM_PROGRAMS")

    def test_folders(self) -> None:
        for level, changes, words in (
            (BAD, {"kind": "nfs4"}, ["network file system /var (nfs4)", "local_directory"]),
            (BAD, {"kind": "fuse.sshfs"}, ["network"]),
            (BAD, {"readonly": True}, ["/var is read-only"]),
            (BAD, {"writable": False}, ["may not write"]),
            (BAD, {"private": False}, ["chmod 700"]),
            (BAD, {"free": 5 << 20}, ["is full: 5.0 MB left"]),
            (BAD, {"inodes": 3}, ["is full: 3 files left"]),
            (BAD, {"error": "Permission denied"}, ["Permission denied"]),
            (NOTE, {"free": 500 << 20}, ["only 500 MB left"]),
            (NOTE, {"kind": "tmpfs"}, ["lost when the machine is restarted"]),
        ):
            self.assert_bad(judge_folder({**FOLDER, **changes}), *words, level=level)
        self.assertEqual(judge_folder({**FOLDER, "inodes": None}).level, GOOD)

    def test_clocks(self) -> None:
        for there, level in (
            (1000.0, GOOD), (1001.9, GOOD), (999.1, GOOD), (1003.0, NOTE), (990.0, NOTE), (1100.0, BAD), (0.0, BAD),
        ):  # fmt: skip
            self.assertEqual(found(clock=there)["clock"].level, level, there)
        self.assert_bad(found(clock=400.0)["clock"], "600 s behind", "set-ntp true")
        self.assert_bad(found(clock=1004.0)["clock"], "3 s ahead", level=NOTE)

    def test_homes(self) -> None:
        other = {**FOLDER, "same": False}
        self.assertEqual(found(home=other)["home"].level, GOOD)
        self.assert_bad(found(home=other, missing=["~/.taskManager/alice.key"])["home"], "alice.key", "scp", "n2.lab:")

    def test_a_way_back_that_is_blocked(self) -> None:
        ways = {"the TaskDispatcher": "timed out", "your server (TMS)": ""}
        self.assert_bad(found(ways=ways)["way"], "TaskDispatcher is not reached from there (timed out)", "tunnel=true")
        self.assertEqual(found(PLACE._replace(tunnel=True), ways=ways)["way"].level, GOOD)

    def test_more_cores_than_there_are(self) -> None:
        self.assert_bad(found(PLACE._replace(cores=64))["size"], "cores=32", level=NOTE)
        self.assertEqual(found(gpus=["A100", "A100"])["size"].short, "32 cores, 64 GB, 2 GPU")

    def test_what_runs_there_and_what_ends_at_logout(self) -> None:
        running = [{"name": "TMMS", "pid": 7, "host": "n2"}]
        self.assertIn("TMMS 7", found(running=running)["running"].text)
        kills = {"logind": True, "kills": True, "lingers": False}
        self.assert_bad(found(survival=kills)["logout"], "loginctl enable-linger alice", level=NOTE)
        self.assertNotIn("logout", found(survival={**kills, "lingers": True}))

    def test_sizes(self) -> None:
        self.assertEqual([size(n) for n in (10240, 5 << 20, 12 << 30, 3 << 40)], ["10 kB", "5.0 MB", "12 GB", "3.0 TB"])


class AnswerTests(SynchronousTestCase):
    def test_what_a_noisy_shell_says_is_passed_over(self) -> None:
        self.assertEqual(answer_of(PLACE, 'welcome\nTMPROBE {"cores": 2}\nbye\n'), {"cores": 2})

    def test_no_answer_is_a_failure(self) -> None:
        for output in ("", "hello", "TMPROBE {"):
            with self.assertRaises(LaunchError) as caught:
                answer_of(PLACE, output)
            self.assertEqual(caught.exception.word, "ssh.command")

    def test_findings_are_shown_with_their_remedies(self) -> None:
        denied = Finding("ssh", BAD, "auth", "Permission denied\x1b[2J", "ssh-copy-id n2")
        findings = [denied, Finding("way", GOOD, "open")]
        self.assertEqual(remedies("n2", findings), ["n2: ssh: Permission denied?[2J", "    ssh-copy-id n2"])
        self.assertEqual(line_of("n2", findings), "n2: not well: ssh auth")
        self.assertIn('"good": false', as_json("n2", findings))

"""Every way in which a program can end, through the whole chain: what is told is what happened and nothing else."""

from __future__ import annotations

import errno
import os
import signal
from pathlib import Path
from typing import Any, ClassVar

from tests.faults.record import count
from tests.support.chain import ChainCase
from tests.support.processes import wait_for

ROW = 32
SIGNALS = range(1, signal.NSIG)
IGNORED = {signal.SIGCHLD, signal.SIGCONT, signal.SIGURG, signal.SIGWINCH}
"""Signals that by default do nothing."""

OF_A_TERMINAL = {signal.SIGTSTP, signal.SIGTTIN, signal.SIGTTOU}
"""Those that stop, but nobody in a session whose leader has no parent in it; a job is in such a one."""

OF_THE_LIBRARY = {32, 33}
"""Those with which a C library speaks to its threads; that of GNU lets whoever it starts ignore them."""

CORE = {
    signal.SIGQUIT, signal.SIGILL, signal.SIGTRAP, signal.SIGABRT, signal.SIGBUS, signal.SIGFPE, signal.SIGSEGV,
    signal.SIGXCPU, signal.SIGXFSZ, signal.SIGSYS,
}  # fmt: skip


class EndingTests(ChainCase):
    hosts: ClassVar = {"n1": {"launcher": "local", "cores": 8}}

    def told(self, view: dict[str, Any]) -> tuple[str, int | None, int | None]:
        """Return how a job is said to have ended."""
        return view["state"], view["exit_code"], view["signal"]

    def test_every_exit_code_and_every_signal_is_told_as_it_was(self) -> None:
        self.run_jobs(["grep", "SigIgn", "/proc/self/status"], stdout="ignored")
        mask = int(self.content("ignored").split()[1], 16)
        ignored = {number for number in SIGNALS if mask >> (number - 1) & 1}
        self.assertLessEqual(ignored, OF_THE_LIBRARY)
        commands: list[str | list[str]] = [f"exit {code}" for code in range(256)]
        expected: list[tuple[str, int | None, int | None]] = [("completed", 0, None)]
        expected += [("failed", code, None) for code in range(1, 256)]
        for number in SIGNALS:
            if number == signal.SIGSTOP:
                continue
            goes_on = number in IGNORED | OF_A_TERMINAL | ignored
            commands.append(f"kill -{number} $$; exit {100 + number}")
            expected.append(("failed", 100 + number, None) if goes_on else ("failed", None, number))
        found = [self.told(view) for view in self.run_jobs(*commands)]
        wrong = [(command, is_, was) for command, is_, was in zip(commands, found, expected, strict=True) if is_ != was]
        count(ROW, len(commands), len(wrong))
        self.assertEqual(wrong, [])

    def test_a_stopped_job_goes_on_when_it_is_continued_and_who_dumps_a_core_died_of_the_signal(self) -> None:
        (number,) = self.cluster.submit("alice", "echo $$ > pid; kill -STOP $$; exit 3")
        self.cluster.wait([number], states=("running",))
        path = Path(self.cluster.work, "pid")
        pid = int(wait_for(lambda: path.read_text() if path.exists() else None, "the pid of the job"))
        wait_for(lambda: Path(f"/proc/{pid}/stat").read_text().rpartition(") ")[2][0] == "T", "the job stands")
        os.kill(pid, signal.SIGCONT)
        self.assertEqual(self.told(self.cluster.wait([number])[0]), ("failed", 3, None))
        count(ROW, 1)
        self.dump_cores()

    def dump_cores(self) -> None:
        """See that who dumps a core has died of the signal and of nothing else."""
        numbers = sorted(CORE)
        ids = []
        for number in numbers:
            folder = Path(self.cluster.work, str(int(number)))
            folder.mkdir()
            ids += self.cluster.submit("alice", f"ulimit -c unlimited; kill -{int(number)} $$", cwd=str(folder))
        found = [self.told(view) for view in self.cluster.wait(ids)]
        self.assertEqual(found, [("failed", None, int(number)) for number in numbers])
        dumped = [path for path in Path(self.cluster.work).rglob("core*") if path.is_file()]
        count(ROW, len(numbers), cores=len(dumped))

    def test_what_cannot_be_started_says_what_the_system_said(self) -> None:
        work = self.cluster.work
        plain, broken, interpreter = (os.path.join(work, name) for name in ("plain", "broken", "interpreter"))
        for path, text, mode in (
            (plain, "echo no\n", 0o644), (broken, "no program\n", 0o755), (interpreter, "#!/no/such/thing\n", 0o755),
        ):  # fmt: skip
            Path(path).write_text(text)
            os.chmod(path, mode)
        os.symlink("loop", os.path.join(work, "loop"))
        cases: list[tuple[list[str], int, int]] = [
            (["/no/such/program"], 127, errno.ENOENT),
            (["no-such-word"], 127, errno.ENOENT),
            ([interpreter], 127, errno.ENOENT),
            ([plain], 126, errno.EACCES),
            ([work], 126, errno.EACCES),
            ([broken], 126, errno.ENOEXEC),
            ([plain + "/in/it"], 126, errno.ENOTDIR),
            ([os.path.join(work, "loop")], 126, errno.ELOOP),
            (["true", "x" * 200_000], 126, errno.E2BIG),
            (["/" + "x" * 300], 126, errno.ENAMETOOLONG),
        ]
        for command, code, number in cases:
            view, after = self.run_jobs(command, "true")
            self.assertEqual(self.told(view), ("failed", code, None), view)
            self.assertIn(os.strerror(number), view["reason"])
            self.assertIn(command[0][:60], view["reason"])
            self.assertEqual(self.told(after), ("completed", 0, None))
        count(ROW, len(cases))

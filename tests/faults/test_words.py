"""Arguments and environments of all kinds and sizes: byte for byte at the job, or refused before anything runs."""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys
from pathlib import Path
from typing import Any

from tests.faults.crowd import HARD
from tests.faults.record import count
from tests.support.chain import ChainCase
from tests.support.cluster import ROOT

ROW = 42
SHOWS = [
    sys.executable, "-I", "-S", "-c", "import os, sys; os.write(1, b'\\0'.join(map(os.fsencode, sys.argv[1:])))",
]  # fmt: skip


class WordTests(ChainCase):
    def client(self, name: str, *words: bytes, variables: dict[bytes, bytes] | None = None) -> tuple[int, bytes, str]:
        """Return exit status, stdout and stderr of a client."""
        environment = {os.fsencode(key): os.fsencode(value) for key, value in self.cluster.environment("alice").items()}
        ended = subprocess.run(
            [os.fsencode(sys.executable), os.fsencode(os.path.join(ROOT, "bin", name)), *words],
            env={**environment, **(variables or {})}, cwd=self.cluster.work, stdin=subprocess.DEVNULL,
            capture_output=True, timeout=60, check=False,
        )  # fmt: skip
        said = ended.stderr.decode(errors="replace")
        self.assertNotIn("Traceback", said)
        return ended.returncode, ended.stdout, said

    def test_arguments_and_variables_of_any_text_arrive_byte_for_byte(self) -> None:
        seed = int(os.environ.get("TM_FAULTS_SEED") or random.SystemRandom().randrange(1 << 32))
        chance = random.Random(seed)
        words = [self.any_text(chance) for _ in range(300)]
        variables = {
            f"V{number}{self.any_text(chance).replace('=', '')}": self.any_text(chance) for number in range(300)
        }
        self.run_jobs([*SHOWS, *words], stdout="words")
        self.run_jobs(["env", "-0"], environment={"PATH": "/usr/bin:/bin", **variables}, stdout="variables")
        self.assertEqual(self.content("words").split(b"\0"), [word.encode() for word in words], f"seed {seed}")
        found = dict(entry.split(b"=", 1) for entry in self.content("variables").split(b"\0") if entry)
        for name, value in variables.items():
            self.assertEqual(found.get(name.encode()), value.encode(), f"seed {seed}: {name!r}")
        count(ROW, len(words) + len(variables), seed=seed)

    def any_text(self, chance: random.Random) -> str:
        """Return any text but null characters and halves of characters."""
        letters = []
        for _ in range(chance.randrange(12)):
            letter = chance.choice(HARD) if chance.random() < 0.5 else chr(chance.randrange(0x110000))
            letters.append(letter if letter != "\0" and not "\ud800" <= letter <= "\udfff" else "x")
        return "".join(letters)

    def test_what_is_no_text_is_refused_by_the_clients(self) -> None:
        odd = (b"\xff\xfe", b"a\xc3")
        tried = 0
        for word in odd:
            for words, variables in (
                ((b"--wait", b"-o", b"out", b"--", b"touch", b"ran" + word), {}),
                ((b"--wait", b"-o", b"out", b"--env", b"NAME=" + word, b"--", b"touch", b"ran"), {}),
                ((b"--wait", b"-o", b"out", b"--export", b"NAME", b"--", b"touch", b"ran"), {b"NAME": word}),
                ((b"--wait", b"-o", b"out", b"-n", word, b"--", b"touch", b"ran"), {}),
            ):
                status, _, said = self.client("hRunJob", *words, variables=variables)
                self.assertEqual(status, 1, said)
                self.assertIn("bytes that are not UTF-8", said)
                tried += 1
        status, _, said = self.client("hRun", b"touch", b"ran" + odd[0])
        self.assertEqual((status, os.listdir(self.cluster.work)), (1, []), said)
        self.assertEqual(self.cluster.jobs("alice"), {})
        count(ROW, tried + 1)

    def test_what_is_no_text_is_refused_by_the_servers(self) -> None:
        alice = self.cluster.tms("alice")
        common: dict[str, Any] = {"cwd": self.cluster.work, "environment": {"PATH": "/usr/bin:/bin"}}
        tried = 0
        for bad in ("\udcff", "a\ud800b", "nu\0ll"):
            for job, more in (
                ({"command": ["touch", bad]}, {}), ({"command": "touch " + bad}, {}),
                ({"command": "touch ran"}, {"environment": {"NAME": bad}}),
                ({"command": "touch ran"}, {"environment": {bad: "value"}}),
                ({"command": "touch ran"}, {"cwd": self.cluster.work + bad}),
                ({"command": "touch ran"}, {"name": bad}), ({"command": "touch ran"}, {"stdout": bad}),
            ):  # fmt: skip
                wish = {"token": f"t{tried}", "common": {**common, **more}, "jobs": [job]}
                refused = alice.refusal("submit", json.dumps(wish))
                self.assertIn(refused.word, ("proto.arguments", "job.invalid", "limit.environment"), refused.text)
                tried += 1
        self.assertEqual((self.cluster.jobs("alice"), os.listdir(self.cluster.work)), ({}, []))
        count(ROW, tried)

    def test_whatever_its_size_a_command_arrives_whole_or_is_refused(self) -> None:
        sizes = (131_071, 131_073, 890_000, 910_000, 1_700_000)
        for size in sizes:
            pieces = [b"x" * 100_000] * (size // 100_000) + [b"y" * (size % 100_000)]
            path = Path(self.cluster.work, str(size))
            status, _, said = self.client(
                "hRunJob", b"--wait", b"-o", str(size).encode(), b"--", b"/usr/bin/printf", b"%s", *pieces
            )
            if status == 0:
                self.assertEqual(path.stat().st_size, size)
            else:
                self.assertRegex(said, r"more than \d+ bytes; use a script")
                self.assertFalse(path.exists())
                self.assertGreater(size, 800_000)
        big = {b"BIG%d" % number: b"v" * 100_000 for number in range(19)}
        for kept in (2, 5, 19):
            status, _, said = self.client(
                "hRunJob", b"--wait", b"-o", b"big", b"--", b"env", variables=dict(list(big.items())[:kept])
            )
            if status == 0:
                self.assertGreater(Path(self.cluster.work, "big").stat().st_size, kept * 100_000)
            else:
                self.assertRegex(said, r"(may have|more than) \d+ bytes")
                self.assertGreater(kept, 2)
        (job,) = self.run_jobs(["true", "x" * 131_073])
        self.assertEqual((job["state"], job["exit_code"]), ("failed", 126))
        self.assertIn("Argument list too long", job["reason"])
        count(ROW, len(sizes) + 4)

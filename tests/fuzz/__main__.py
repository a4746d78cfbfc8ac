"""Search for bytes that a target should not fail at: ``python3 -m tests.fuzz TARGET --minutes N``.

With atheris (``pip install atheris``) the search is guided by which code was reached, begins with the corpus
``tests/data/fuzz/TARGET.json``, and leaves there, with ``--keep``, some of the inputs that reached new code. Without
atheris it says so and tries what hypothesis makes up, which is blind. What fails is written to a file
and shown; the exit status is 1 then.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
import traceback
from collections.abc import Callable
from importlib import import_module
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from tests.fuzz import NAMES

ROOT = Path(__file__).resolve().parents[2]
CORPUS = ROOT / "tests" / "data" / "fuzz"
MOST_KEPT = 60
LONGEST = 400


def main() -> int:
    """Do as the command line says; return the exit status."""
    parser = argparse.ArgumentParser(prog="python3 -m tests.fuzz", description=__doc__)
    parser.add_argument("target", choices=NAMES)
    parser.add_argument("--minutes", type=float, default=1.0, help="how long (default: 1)")
    parser.add_argument("--keep", action="store_true", help="write the corpus of this target anew")
    parser.add_argument("--guided", metavar="FOLDER", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.guided:
        return _guided(given.target, given.guided, given.minutes)
    if find_spec("atheris") is None:
        print("no guided search: 'pip install atheris' adds it. What hypothesis makes up is tried instead, blindly.")
        from tests.fuzz.targets import TARGETS

        return _blind(TARGETS[given.target], given.target, given.minutes)
    with tempfile.TemporaryDirectory(prefix="tm-fuzz-") as folder:
        return _parent(given.target, given.minutes, Path(folder), given.keep)


def _parent(target: str, minutes: float, folder: Path, keep: bool) -> int:
    """Run the guided search in a process of its own: it ends with that, whatever it has found."""
    found = folder / "corpus"
    found.mkdir()
    for number, text in enumerate(_kept(target)):
        (found / f"kept{number}").write_bytes(text)
    words = [sys.executable, "-m", "tests.fuzz", target, "--minutes", str(minutes), "--guided", str(folder)]
    status = subprocess.run(words, cwd=ROOT, check=False).returncode
    for crash in sorted(folder.glob("crash-*")):
        kept = Path(tempfile.gettempdir(), f"tm-fuzz-{target}-{crash.name}")
        kept.write_bytes(crash.read_bytes())
        print(f"{target} fails at {crash.read_bytes()!r:.1000}\n  kept as {kept}")
    if keep:
        _keep(target, sorted(found.iterdir(), key=lambda path: (path.stat().st_size, path.name)))
    return 1 if status else 0


def _kept(target: str) -> list[bytes]:
    from tests.fuzz.targets import seeds

    path = CORPUS / f"{target}.json"
    kept = [text.encode("latin-1") for text in json.loads(path.read_text(encoding="ascii"))] if path.exists() else []
    return [*kept, *seeds(target)]


def _keep(target: str, paths: list[Path]) -> None:
    """Write as the corpus `MOST_KEPT` inputs of all sizes: the search keeps one only if it reached something new."""
    texts = [text for path in paths if len(text := path.read_bytes()) <= LONGEST]
    step = max(1, len(texts) // MOST_KEPT)
    chosen = sorted({text.decode("latin-1") for text in texts[::step]})
    CORPUS.mkdir(parents=True, exist_ok=True)
    (CORPUS / f"{target}.json").write_text(json.dumps(chosen, indent=0) + "\n", encoding="ascii")


def _guided(target: str, folder: str, minutes: float) -> int:
    atheris: Any = import_module("atheris")
    with atheris.instrument_imports(include=["tm"]):
        from tests.fuzz.targets import TARGETS, WORDS
    _hear_failures()
    tempfile.tempdir = folder  # the search ends without a word: what it made goes with the folder
    words = Path(folder, "words")
    quoted = ("".join(f"\\x{byte:02x}" for byte in word) for word in WORDS[target] if 0 < len(word) <= 60)
    words.write_text("".join(f'"{word}"\n' for word in quoted), encoding="ascii")
    os.chdir(folder)
    settings = [f"-max_total_time={int(minutes * 60)}", f"-dict={words}", f"-artifact_prefix={folder}/", "-timeout=20"]
    arguments = [
        "tests.fuzz",
        *settings,
        "-rss_limit_mb=1500",
        "-max_len=4000",
        "-len_control=0",
        "-print_final_stats=1",
    ]
    atheris.Setup([*arguments, os.path.join(folder, "corpus")], TARGETS[target])
    atheris.Fuzz()
    return 0


def _hear_failures() -> None:
    """Let a failure that is only logged be one of the target, too."""
    from twisted.logger import globalLogPublisher

    def heard(event: Any) -> None:
        failure = event.get("log_failure")
        if failure is not None:
            failure.raiseException()

    observe: Any = globalLogPublisher.addObserver
    observe(heard)


def _blind(function: Callable[[bytes], None], target: str, minutes: float) -> int:
    from hypothesis import strategies as st

    from tests.fuzz.targets import WORDS
    from tests.support.properties import examples

    made = st.lists(st.one_of(st.sampled_from(WORDS[target]), st.binary(max_size=6)), max_size=30).map(b"".join)
    until = time.monotonic() + minutes * 60
    tried = 0

    def attempt(data: bytes) -> None:
        nonlocal tried
        if time.monotonic() < until:
            tried += 1
            function(data)

    from hypothesis import given, settings

    _hear_failures()
    try:
        while time.monotonic() < until:
            settings(examples(500), derandomize=False)(given(made)(attempt))()
    except Exception:  # noqa: BLE001  whatever it is, it is what was searched for
        traceback.print_exc()
        return 1
    print(f"{target}: {tried} tried, none failed")
    return 0


if __name__ == "__main__":
    sys.exit(main())

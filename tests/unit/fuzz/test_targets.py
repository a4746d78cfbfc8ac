"""Bytes as they come: lines cut anywhere, files with anything in them, requests of no browser; and the corpus."""

from __future__ import annotations

import json
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from tests.fuzz.targets import FIELDS, PATHS, TARGETS, WORDS, request, samples
from tests.support.properties import examples
from tm.places import find_root

CORPUS = Path(find_root(), "tests", "data", "fuzz")


def spelled(name: str) -> st.SearchStrategy[bytes]:
    """Return a strategy of bytes that are made of what the target *name* understands, and of others."""
    return st.lists(st.one_of(st.sampled_from(WORDS[name]), st.binary(max_size=6)), max_size=12).map(b"".join)


def mutated(sample: bytes, changes: list[tuple[float, int, bytes]]) -> bytes:
    """Return *sample* with each of *changes*: where (as a part of it), how many bytes go, what comes."""
    for part, gone, new in changes:
        at = 1 + int(part * len(sample))
        sample = sample[:at] + new + sample[at + gone :]
    return sample


NEW = st.one_of(st.sampled_from(WORDS["files"]), st.binary(max_size=4))
CHANGES = st.lists(
    st.tuples(st.floats(0, 1), st.sampled_from([0, 0, 1, 3, 20, 200]), NEW),
    min_size=1, max_size=4,
)  # fmt: skip


HEADERS = st.lists(st.sampled_from([word for word in WORDS["web"] if b": " in word]), max_size=3)
PARTS = st.lists(st.sampled_from(FIELDS), max_size=5).map(lambda fields: [FIELDS[0], *fields])


class BytesTests(SynchronousTestCase):
    @examples(300, shrink=False)
    @given(st.binary(min_size=3, max_size=3), spelled("lines"))
    def test_lines_are_read_the_same_however_they_are_cut(self, cuts: bytes, raw: bytes) -> None:
        TARGETS["lines"](cuts + raw)

    @examples(60, shrink=False)
    @given(st.binary(min_size=1, max_size=1), spelled("dispatcher"))
    def test_bytes_to_a_dispatcher(self, who: bytes, raw: bytes) -> None:
        TARGETS["dispatcher"](who + raw)

    @examples(100, shrink=False)
    @given(spelled("users_server"))
    def test_bytes_to_a_users_server(self, raw: bytes) -> None:
        TARGETS["users_server"](raw)

    @examples(100, shrink=False)
    @given(spelled("info_server"))
    def test_bytes_to_an_infoserver(self, raw: bytes) -> None:
        TARGETS["info_server"](raw)

    @examples(200, shrink=False)
    @given(st.sampled_from(samples()), CHANGES)
    def test_files_of_etc_with_anything_in_them(self, sample: bytes, changes: list[tuple[float, int, bytes]]) -> None:
        TARGETS["files"](mutated(sample, changes))

    @examples(100, shrink=False)
    @given(spelled("web"))
    def test_requests_of_no_browser(self, raw: bytes) -> None:
        TARGETS["web"](raw)

    @examples(250, shrink=False)
    @given(st.sampled_from(["GET", "POST", "HEAD", "PUT", "get"]), st.sampled_from(PATHS), HEADERS, PARTS)
    def test_requests_that_only_a_browser_of_ours_could_send(
        self, method: str, path: str, headers: list[bytes], fields: list[bytes]
    ) -> None:
        TARGETS["web"](request(method, path, headers, fields))


class CorpusTests(SynchronousTestCase):
    def test_every_file_of_the_corpus_is_of_a_target_and_does_no_harm(self) -> None:
        for path in sorted(CORPUS.glob("*.json")):
            for text in json.loads(path.read_text(encoding="ascii")):
                TARGETS[path.stem](text.encode("latin-1"))

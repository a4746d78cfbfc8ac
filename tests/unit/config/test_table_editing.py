"""Editing tables of TOML files: what is meant happens, and what somebody wrote beside it stays."""

from __future__ import annotations

import copy
import re
import tomllib
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from tests.support.properties import examples
from tm.config.table_editing import same, table_of, with_table

FILE = """\
# The hosts of our group.
[defaults]
memory = "64G"   # enough

# n1 is old.
[hosts.n1]
# its cores
cores = 4   # of 8
features = [
    "old",     # very
    "quiet",
]

  [hosts."n2"]
  options.port = 2222  # behind the wall
  active = false

[hosts.n3]
[hosts.n3.options]
user = "carol"
"""


class EditingTests(SynchronousTestCase):
    def edited(self, name: str, wanted: dict[str, Any] | None, text: str = FILE) -> str:
        return with_table(text, ("hosts", name), wanted)

    def with_keys(self, name: str, **more: Any) -> str:
        """Return the file in which the host has these keys too; None takes one out."""
        table = {**tomllib.loads(FILE)["hosts"][name], **more}
        return self.edited(name, {key: value for key, value in table.items() if value is not None})

    def test_a_value_changes_in_its_place_beside_its_comment(self) -> None:
        self.assertEqual(self.with_keys("n1", cores=8), FILE.replace("cores = 4 ", "cores = 8 "))

    def test_a_new_key_comes_behind_the_last_one_as_far_in_as_that(self) -> None:
        self.assertEqual(
            self.with_keys("n2", cores=2), FILE.replace("  active = false\n", "  active = false\n  cores = 2\n")
        )
        self.assertEqual(self.with_keys("n3", cores=2), FILE.replace("[hosts.n3]\n", "[hosts.n3]\ncores = 2\n"))

    def test_a_key_goes_with_its_line_and_nothing_else(self) -> None:
        self.assertEqual(self.with_keys("n1", cores=None), FILE.replace("cores = 4   # of 8\n", ""))

    def test_lists_grow_and_shrink_line_by_line(self) -> None:
        self.assertEqual(
            self.with_keys("n1", features=["old", "quiet", "gpu"]),
            FILE.replace('    "quiet",\n', '    "quiet",\n    "gpu",\n'),
        )
        self.assertEqual(self.with_keys("n1", features=["quiet"]), FILE.replace('    "old",     # very\n', ""))
        self.assertIn('features = ["new"]', self.with_keys("n1", features=["new"]))

    def test_tables_within_are_edited_where_they_stand(self) -> None:
        self.assertEqual(
            self.with_keys("n2", options={"port": 22, "user": "bob"}),
            FILE.replace("2222  # behind the wall\n", '22  # behind the wall\n  options.user = "bob"\n'),
        )
        self.assertEqual(self.with_keys("n3", options={"user": "carol", "port": 22}), FILE + "port = 22\n")
        self.assertEqual(self.with_keys("n3", options=None), FILE[: FILE.index("[hosts.n3.options]")])

    def test_a_new_table_comes_at_the_end(self) -> None:
        wanted = {"address": "n4.lab", "options": {"port": 2222}, "features": ["a", 'b"\\']}
        fresh = self.edited("n4", wanted)
        self.assertEqual(
            fresh,
            FILE + '\n[hosts.n4]\naddress = "n4.lab"\noptions = { port = 2222 }\nfeatures = ["a", "b\\"\\\\"]\n',
        )
        self.assertEqual(with_table("", ("hosts", "a.b"), {}), '[hosts."a.b"]\n')

    def test_a_table_goes_with_the_comment_right_above_it_and_those_of_others_stay(self) -> None:
        fresh = self.edited("n1", None)
        self.assertEqual(fresh, FILE[: FILE.index("# n1 is old")] + FILE[FILE.index('  [hosts."n2"]') :])
        self.assertEqual(self.edited("n3", None), FILE[: FILE.index("\n[hosts.n3]")])
        self.assertEqual(with_table("# ours\n[hosts.a]\n", ("hosts", "a"), None), "# ours\n")

    def test_every_way_to_write_a_table_is_understood(self) -> None:
        for text in (
            "[hosts]\nn1.cores = 1\nn1.active = true # c\nn2 = {}\n",
            "hosts.n1.cores = 1\nhosts.n1.active = true # c\nhosts.n2 = {}\n",
            "[hosts]\nn1 = { cores = 1, active = true } # c\nn2 = {}\n",
            "[hosts.n1.options]\nport = 1 # c\n[hosts.n2]\n",
            "[ hosts . 'n1' ] # c\ncores = 1\n'active' = true\n[hosts.n2]",
        ):
            present = tomllib.loads(text)["hosts"]["n1"]
            emptied = [] if text.startswith("hosts.") else [{}]
            for wanted in ({**present, "cores": 7}, {**present, "new": ["x"]}, *emptied, None):
                fresh = with_table(text, ("hosts", "n1"), wanted)
                self.assertEqual(table_of(tomllib.loads(fresh), ("hosts", "n1")), wanted, text)
                self.assertIsNotNone(table_of(tomllib.loads(fresh), ("hosts", "n2")), text)

    def test_line_ends_stay(self) -> None:
        text = FILE.replace("\n", "\r\n")
        fresh = self.edited("n1", {"cores": 1}, text)
        self.assertEqual(fresh.count("\r\n"), fresh.count("\n"))

    def test_what_looks_like_a_table_within_a_text_is_none(self) -> None:
        text = "x = '''\n[hosts.n1]\n'''\n[hosts.n1]\ncores = 1\n"
        self.assertEqual(self.edited("n1", {"cores": 2}, text), text.replace("= 1", "= 2"))

    def test_what_cannot_be_edited_safely_is_refused(self) -> None:
        for text in ("hosts = { n1 = { active = true } }\n", "[[hosts]]\n", "hosts = 3\n"):
            self.assertRaises(ValueError, self.edited, "n9", {"cores": 1}, text)
        self.assertRaises(ValueError, self.edited, "n9", {"cores": 1}, "[hosts.n1\n")


NAMES = st.sampled_from(["n1", "n2", "n3", "big one", "a.b"])
KEYS = st.sampled_from(["cores", "features", "note", "options", "on", "odd key"])
TEXTS = st.text(st.sampled_from("ab \"'\\#=[]{},\n\té\x7f"), max_size=6)
PLAIN = st.one_of(st.integers(-5, 99), st.booleans(), TEXTS, st.floats(0, 5), st.lists(TEXTS, max_size=4, unique=True))
VALUES = st.one_of(PLAIN, st.dictionaries(KEYS, PLAIN, min_size=1, max_size=3))
TABLES = st.dictionaries(KEYS, VALUES, max_size=4)


class Writer:
    """Writes tables as somebody might, with a comment wherever one may stand; counts the comments."""

    def __init__(self, data: st.DataObject) -> None:
        self.data = data
        self.count = 0

    def choose(self, *ways: Any) -> Any:
        return self.data.draw(st.sampled_from(ways))

    def comment(self) -> str:
        self.count += 1
        return f"# c{self.count}c [x] = '"

    def maybe(self, text: str) -> str:
        return self.choose("", text)

    def key(self, name: str) -> str:
        ways = [f'"{name}"', f"'{name}'"] + ([name] if re.fullmatch(r"[a-z0-9]+", name) else [])
        return self.choose(*ways)

    def value(self, value: Any) -> str:
        if isinstance(value, dict):
            return "{ " + ", ".join(f"{self.key(k)} = {self.value(v)}" for k, v in value.items()) + " }"
        if isinstance(value, bool):
            return str(value).lower()
        if isinstance(value, list):
            return "[" + ", ".join(map(self.value, value)) + "]"
        if isinstance(value, str):
            ways = ['"' + "".join(f"\\u{ord(char):04x}" if char in '"\\\n\t\x7f' else char for char in value) + '"']
            if not set(value) & set("'\n\x7f"):
                ways.append(f"'{value}'")
            if "'" not in value and "\x7f" not in value:
                ways.append(f"'''\n{value}'''")
            return self.choose(*ways)
        return repr(value)

    def lines(self, name: str, value: Any, tail: str = "") -> str:
        indent = self.choose("", "  ")
        above = self.choose("", f"{indent}{self.comment()}\n", "\n")
        if isinstance(value, list) and value and self.choose(True, False):
            inner = "".join(f"{indent}  {self.value(one)},{self.maybe(' ' + self.comment())}\n" for one in value)
            return f"{above}{indent}{self.key(name)} = [{self.maybe(' ' + self.comment())}\n{inner}{indent}]\n"
        if isinstance(value, dict) and self.choose(True, False):
            return above + "".join(
                f"{indent}{self.key(name)}.{self.key(k)} = {self.value(v)}\n" for k, v in value.items()
            )
        return f"{above}{indent}{self.key(name)} = {self.value(value)}{self.maybe('  ' + self.comment())}\n"

    def file(self, tables: dict[str, dict[str, Any]]) -> str:
        text = self.maybe(self.comment() + "\n\n")
        for name, table in tables.items():
            text += self.choose("", "\n", f"\n{self.comment()}\n\n") + self.maybe(self.comment() + "\n")
            text += f"[hosts.{self.key(name)}]{self.maybe(' ' + self.comment())}\n"
            apart = {k: v for k, v in table.items() if isinstance(v, dict) and self.choose(True, False)}
            text += "".join(self.lines(k, v) for k, v in table.items() if k not in apart)
            for key, inner in apart.items():
                text += f"[hosts.{self.key(name)}.{self.key(key)}]\n" + "".join(
                    self.lines(k, v) for k, v in inner.items()
                )
        return text + self.maybe(self.comment() + "\n")


class DepthTests(SynchronousTestCase):
    def test_what_is_nested_deeper_than_anybody_reads_is_refused_as_what_cannot_be_written(self) -> None:
        for depth in (25, 700):
            value: Any = 1
            for _ in range(depth):
                value = [value] if depth == 25 else {"a": value}
            error = self.assertRaises(ValueError, with_table, FILE, ("hosts", "n9"), {"options": value})
            self.assertIn("nested too deeply", str(error))


class RandomEditTests(SynchronousTestCase):
    @examples(400)
    @given(st.dictionaries(NAMES, TABLES, max_size=3), NAMES, st.one_of(st.none(), TABLES), st.data())
    def test_random_edits_of_random_files_do_what_is_meant_and_keep_what_stands_beside(
        self, tables: dict[str, dict[str, Any]], name: str, wanted: dict[str, Any] | None, data: st.DataObject
    ) -> None:
        text = Writer(data).file(tables)
        self.assertEqual(tomllib.loads(text).get("hosts", {}), tables)
        if wanted is not None and data.draw(st.booleans()):
            wanted = {**tables.get(name, {}), **wanted}
        fresh = with_table(text, ("hosts", name), wanted)
        meant = copy.deepcopy(tables)
        if wanted is None:
            meant.pop(name, None)
        else:
            meant[name] = wanted
        self.assertTrue(same(tomllib.loads(fresh).get("hosts", {}), meant), fresh)
        self.check_comments(text, fresh, name, tables.get(name), wanted)

    def check_comments(
        self, text: str, fresh: str, name: str, before: dict[str, Any] | None, after: dict[str, Any] | None
    ) -> None:
        """Every line that does not belong to the table that was edited is there, in its order."""
        mine = _lines_of(text, name)
        others = [line for at, line in enumerate(text.splitlines()) if at not in mine]
        remaining = iter(fresh.splitlines())
        self.assertEqual([line for line in others if line.strip() and line not in remaining], [], fresh)
        if (
            before is not None
            and after is not None
            and set(before) <= set(after)
            and not any(isinstance(value, (list, dict)) for value in before.values())
        ):
            self.assertEqual(re.findall(r"# c\d+c", text), re.findall(r"# c\d+c", fresh))


def _lines_of(text: str, name: str) -> set[int]:
    """Return the numbers of the lines of a table and of the comments right above its headers."""
    mine: set[int] = set()
    inside = False
    lines = text.splitlines()
    for at, line in enumerate(lines):
        if line.startswith("[hosts."):
            inside = bool(re.match(rf"""\[hosts\.["']?{re.escape(name)}["']?[].]""", line))
            above = at - 1
            while inside and above >= 0 and lines[above].startswith("#"):
                mine.add(above)
                above -= 1
        if inside:
            mine.add(at)
    return mine

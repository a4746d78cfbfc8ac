"""``tm hosts``: what is typed, what is asked, and what is shown."""

from __future__ import annotations

import contextlib
import io
import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from tests.support.properties import examples
from tm.cli import host_tables
from tm.cli.host_values import edit_of, table_of, value_of
from tm.cli.hosts import COMMANDS
from tm.cli.main import run
from tm.client.program import UsageError
from tm.config import host_keys

CONFIG = {"cores": 4, "features": ["old"], "memory": "64G", "options": {"port": 22, "user": "calc"}}
OWN = {"cores": 4, "options": {"port": 22}}


class ValueTests(SynchronousTestCase):
    def edit(self, *words: str) -> dict[str, Any]:
        return json.loads(edit_of(words, CONFIG, OWN).json("n1"))

    def test_values_get_the_type_of_their_key(self) -> None:
        for key, text, value in (
            ("cores", "8", 8),
            ("cores", "many", "many"),
            ("memory", "64G", "64G"),
            ("console_idle", "300", 300),
            ("console_idle", "0.5", 0.5),
            ("active", "no", False),
            ("tunnel", "maybe", "maybe"),
            ("features", "gpu,old", ["gpu", "old"]),
            ("hours", "mon-fri 20:00-07:00; sat,sun", ["mon-fri 20:00-07:00", "sat,sun"]),
            ("policy", "suspend", "suspend"),
            ("consumables.matlab", "4", 4),
            ("options.user", "007", "007"),
        ):
            self.assertEqual(value_of(key, text), value, key)

    def test_what_is_typed_becomes_what_the_dispatcher_takes_with_what_was_seen(self) -> None:
        self.assertEqual(
            self.edit("cores=8", "memory=", "features+=gpu,old"),
            {
                "name": "n1", "set": {"cores": 8, "features": ["old", "gpu"]}, "unset": ["memory"],
                "was": {"cores": 4, "memory": "64G", "features": ["old"]},
            },
        )  # fmt: skip
        self.assertEqual(self.edit("features-=old")["set"], {"features": []})
        self.assertEqual(self.edit("owners+=carol")["set"], {"owners": ["carol"]})

    def test_an_entry_of_a_table_leaves_the_others_of_the_hosts_own(self) -> None:
        self.assertEqual(
            self.edit("options.identity=~/.ssh/k", "options.port=")["set"], {"options": {"identity": "~/.ssh/k"}}
        )
        self.assertEqual(self.edit("consumables.matlab=4")["set"], {"consumables": {"matlab": 4}})

    def test_what_cannot_be_meant_is_said(self) -> None:
        for word, part in (
            ("cores", "expected KEY=VALUE"),
            ("=8", "expected KEY=VALUE"),
            ("cores+=1", "cores is no list; the lists are features"),
            ("features-=gpu", "'gpu' is not among old"),
            ("cores.a=1", "only options and consumables have entries"),
            ("options.port+=1", "these are set"),
        ):
            self.assertIn(part, self.assertRaises(UsageError, self.edit, word).text)

    def test_every_key_of_the_configuration_can_be_typed(self) -> None:
        typed = {
            "launcher": "conch", "cores": "8", "memory": "1G", "gpus": "1", "features": "a,b", "active": "false",
            "policy": "nice", "console_idle": "60", "hours": "sat", "users": "*", "owners": "@physics",
            "python": "python3.12", "root": "/tm", "program": "~/.taskManager/bin/tm.pyz", "infoserver": "yes",
            "info_port": "4000", "tunnel": "on", "options": "", "consumables": "",
        }  # fmt: skip
        self.assertEqual(set(typed), set(host_keys.KEYS))
        words = [f"{key}={text}" for key, text in typed.items() if text]
        table = table_of([*words, "options.port=22", "consumables.matlab=2"])
        for key, value in table.items():
            host_keys.KEYS[key](value)

    @examples(100)
    @given(st.text(max_size=30))
    def test_any_word_is_an_edit_or_a_usage_error(self, word: str) -> None:
        with contextlib.suppress(UsageError):
            json.loads(edit_of([word], CONFIG, OWN).json("n1"))


def host(name: str, state: str = "up", **more: Any) -> dict[str, Any]:
    return {
        "name": name, "state": state, "cores": 4, "offered_cores": 4, "free_cores": 4, "used_cores": 0, "jobs": 0,
        "features": [], "vacant": state == "up", "info": {"state": "up"}, "load": [0.0, 0.0, 0.0], "reason": "",
        "remedy": "", **more,
    }  # fmt: skip


class TableTests(SynchronousTestCase):
    def test_what_needs_somebody_comes_first_then_what_is_busiest(self) -> None:
        hosts = [
            host("calm"), host("busy", load=[3.0, 1, 1]), host("ours", used_cores=4), host("gone", "unreachable"),
            host("mended", "drained"), host("shut", "refused"), host("new", "unknown"), host("odd", "haunted"),
            host("liar", info={"state": "bad"}),
        ]  # fmt: skip
        order = [one["name"] for one in host_tables.by_trouble_and_load(hosts)]
        self.assertEqual(order, ["odd", "shut", "gone", "liar", "ours", "busy", "calm", "new", "mended"])

    def test_the_table_says_why_and_what_helps_and_sums_up(self) -> None:
        lines = host_tables.host_lines(
            [
                host("n1", cpu_ours=1.5, cpu_others=0.25, memory_available=3 << 30, features=["gpu"]),
                host("n2", "down", reason="no ssh", remedy="ask carol", offered_cores=2),
            ],
            None,
        )
        self.assertEqual(lines[1].split()[:4], ["n2", "down", "0", "2/4"])
        self.assertIn("no ssh; ask carol", lines[1])
        busy = host("n3", "busy", reason="others use 4 of 4 cores", remedy="nothing: jobs start again by themselves")
        self.assertIn("4 of 4 cores; jobs start again", host_tables.host_lines([busy], None)[1])
        self.assertEqual(lines[2].split(), ["n1", "up", "4", "4", "1.5", "0.2", "3G", "0", "gpu"])
        self.assertEqual(lines[-1], "2 hosts: 1 down, 1 up; 4 of 8 cores are free")
        wide = host("n" * 70, "unreachable", reason="r" * 90, features=["f" * 40])
        self.assertLessEqual(max(map(len, host_tables.host_lines([wide], 80))), 80)
        self.assertIn("tm hosts add", host_tables.host_lines([], None)[0])

    def test_the_card_says_which_values_are_not_the_hosts_own(self) -> None:
        shown = host("n1", config={"cores": 4, "memory": "64G"}, own={"cores": 4}, since="2026-11-23T00:00:00.000Z")
        lines = host_tables.host_card(shown)
        self.assertTrue(any(line.startswith("config cores") and line.endswith(" 4") for line in lines), lines)
        self.assertTrue(any("64G" in line and "(not its own)" in line for line in lines), lines)

    def test_the_card_shows_measured_numbers_as_exactly_as_they_are_known(self) -> None:
        shown = host("n1", cpu_ours=0.004983838386454742) | {"load": [5.8525390625, 0.5, 1.0]}
        cards = [line.split() for line in host_tables.host_card(shown)]
        self.assertIn(["load", "5.85", "0.50", "1.00"], cards)
        self.assertIn(["cpu_ours", "0.00"], cards)

    def test_before_and_after_stand_beside_each_other(self) -> None:
        lines = host_tables.difference_lines("n1", {"cores": 4, "a": 1}, {"cores": 8, "a": 1, "hours": ["sat"]}, None)
        self.assertEqual([line.split() for line in lines],
                         [["n1", "BEFORE", "AFTER"], ["cores", "4", "8"], ["hours", "-", "sat"]])  # fmt: skip
        self.assertIn("held before", host_tables.difference_lines("n1", {}, {}, None)[0])

    def test_changes_are_told_in_words(self) -> None:
        change = {
            "id": 3,
            "at": "2026-11-23T00:00:00.000Z",
            "user": "alice",
            "kind": "host",
            "name": "n1",
            "reason": "",
        }
        lines = host_tables.change_lines(
            [
                {**change, "verb": "changehost", "before": {"cores": 1}, "after": {"cores": 2, "active": False}},
                {**change, "verb": "addhost", "before": None, "after": {"address": "n1.lab"}},
                {**change, "verb": "addhost", "before": {"cores": 1}, "after": None, "undoes": 2},
                {**change, "verb": "leavehost", "before": None, "after": None, "reason": "left to bob"},
                {**change, "verb": "adduser", "kind": "user", "before": None, "after": {}},
            ],
            None,
        )
        for line, parts in zip(lines[1:], (
            ("change  ", "cores 1 → 2; active - → false"), ("add  ", "added: address n1.lab"),
            ("add (undo of 2)", "removed: cores 1"), ("leave", "left to bob"),
            ("add user", "added: (nothing said)"),
        ), strict=True):  # fmt: skip
            for part in parts:
                self.assertIn(part, line)
        self.assertEqual(host_tables.change_lines([], None), ["nothing has been changed yet"])


class HelpTests(SynchronousTestCase):
    def test_every_command_explains_itself_beginning_with_examples(self) -> None:
        for command in COMMANDS:
            out = io.StringIO()
            with contextlib.redirect_stdout(out):
                end = self.assertRaises(SystemExit, run, ["hosts", command.name, "--help"], {})
            self.assertEqual(end.code, 0)
            self.assertTrue(out.getvalue().startswith(f"examples:\n  tm hosts {command.name}"), out.getvalue())
            self.assertIn("--json", out.getvalue())

    def test_a_wrong_command_line_ends_with_2(self) -> None:
        with contextlib.redirect_stderr(io.StringIO()):
            self.assertEqual(self.assertRaises(SystemExit, run, ["hosts", "explode"], {}).code, 2)
            self.assertEqual(self.assertRaises(SystemExit, run, ["hosts", "change", "n1"], {}).code, 2)

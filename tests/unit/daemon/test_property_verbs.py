"""Properties of the cluster as they are listed, changed, recorded and taken back over the line."""

from __future__ import annotations

import json
import os
from dataclasses import replace
from typing import Any

from tests.unit.daemon.test_host_orders import HostsCase
from tm.config.cluster import MAIL_KEYS, SCHEDULING_KEYS, read_mail
from tm.config.document import Document
from tm.config.host_keys import KEYS
from tm.config.info_file import InfoFile
from tm.daemon.dispatcher import RETRY_STORE_SECONDS, Dispatcher, Surroundings, Tables
from tm.daemon.dispatcher_verbs import DispatcherVerbs
from tm.errors import StoreError
from tm.model import properties
from tm.model.host import HostConfig
from tm.model.properties import PROPERTIES, find, text_of, value_of
from tm.model.settings import Mail, Scheduling
from tm.places import INFO_KEYS

INFO = "# where it is\ncluster = physics\nhost = here   # for now\nport = 10101\n"
CLUSTER = """
[scheduling]
half_life = "7d"   # agreed in May
processes = 512

[licenses]
ansys = 10
"""


class PropertyCase(HostsCase):
    """The files say something of the cluster, too."""

    def begin(self) -> None:
        if CLUSTER not in self.text:
            self.text += CLUSTER
        with open(os.path.join(self.etc, "TaskDispatcher.info"), "w", encoding="utf-8") as file:
            file.write(INFO)
        super().begin()

    def surroundings(self) -> Surroundings:
        return replace(super().surroundings(), info=InfoFile(self.etc))

    def tables(self) -> Tables:
        mail = read_mail(Document(self.path, (os.getuid(), 0)))
        found = super().tables()
        return replace(found, mail=mail, raw={**found.raw, "dispatcher": {"info": InfoFile(self.etc).table()}})

    def change(self, **given: object) -> str:
        return self.done("changeproperties:" + json.dumps(given))

    def info_text(self) -> str:
        with open(os.path.join(self.etc, "TaskDispatcher.info"), encoding="utf-8") as file:
            return file.read()

    def refusal(self, word: str, **given: object) -> str:
        return self.refused("changeproperties:" + json.dumps(given), word)

    def shown(self, name: str) -> dict[str, Any]:
        found = {one["name"]: one for one in map(json.loads, self.ask("lsproperties.json", "bob").body)}
        return found[name]


class ListTests(PropertyCase):
    def test_a_property_is_shown_with_all_that_is_known_of_it(self) -> None:
        shown = self.shown("scheduling.processes")
        self.assertEqual(
            (shown["value"], shown["default"], shown["origin"], shown["kind"], shown["unit"], shown["running"]),
            (512, 4096, "file", "number", "processes", 512),
        )
        self.assertIn("most processes", shown["meaning"])
        self.assertEqual((shown["effect"], self.shown("dispatcher.port")["effect"]), ("now", "restart"))
        self.assertEqual(self.shown("licenses.ansys")["value"], 10)
        self.assertEqual(self.shown("scheduling.age_weight")["origin"], "default")
        self.assertIn("scheduling.half_life", "\n".join(self.ask("lsproperties").body))

    def test_what_is_edited_by_hand_counts_only_after_reload_and_is_shown_so(self) -> None:
        self.write(self.read().replace("= 512", "= 256"))
        shown = self.shown("scheduling.processes")
        self.assertEqual((shown["value"], shown["running"]), (256, 512))
        self.done("reload")
        self.assertEqual(self.shown("scheduling.processes")["running"], 256)


class ChangeTests(PropertyCase):
    def test_a_change_is_written_counts_at_once_and_is_recorded(self) -> None:
        told = self.change(set={"scheduling.half_life": "14d", "mail.host": "mx", "licenses.comsol": 2})
        self.assertIn("scheduling.half_life 7d → 14d; mail.host localhost → mx; licenses.comsol (not said) → 2", told)
        self.assertIn('half_life = "14d"   # agreed in May\n', self.read())
        self.assertIn("# Our hosts.", self.read())
        settings = self.dispatcher.brain.settings
        self.assertEqual((settings.half_life, settings.licenses), (14 * 86400.0, {"ansys": 10, "comsol": 2}))
        self.assertEqual(self.dispatcher.tables.mail.host, "mx")
        self.assertEqual(
            [(one["verb"], one["kind"], one["name"]) for one in self.records()],
            [("changeproperties", kind, "cluster") for kind in ("scheduling", "licenses", "mail")],
        )

    def test_defaults_reach_the_hosts(self) -> None:
        self.change(set={"defaults.policy": "suspend"}, unset=["defaults.memory"])
        config_of = self.dispatcher.brain.hosts["n2"].config
        self.assertEqual((str(config_of.policy), config_of.memory), ("suspend", None))

    def test_every_change_can_be_taken_back(self) -> None:
        before = self.read()
        self.change(set={"scheduling.processes": 64, "defaults.cores": 3}, unset=["licenses.ansys"])
        numbers = [one["id"] for one in self.records()]
        for number in reversed(numbers):
            self.done(f"undo:{number}")
        self.assertEqual(config_text(self.read()), config_text(before))
        self.assertEqual(self.dispatcher.brain.settings.licenses, {"ansys": 10})
        self.assertEqual(self.dispatcher.brain.settings.processes, 512)

    def test_where_the_dispatcher_is_changes_in_its_file_alone_until_it_is_started_again(self) -> None:
        self.assertIn("when the dispatcher is started again", self.change(set={"dispatcher.port": 10102}))
        self.assertEqual(self.info_text(), INFO.replace("10101", "10102"))
        shown = self.shown("dispatcher.port")
        self.assertEqual((shown["value"], shown["running"]), (10102, 10101))
        self.change(set={"dispatcher.host": "there"})
        self.assertIn("host = there   # for now\n", self.info_text())
        self.done("undo:2")
        self.done("undo:1")
        self.assertEqual(self.info_text(), INFO)

    def test_what_cannot_be_is_refused_with_its_name_and_nothing_changes(self) -> None:
        for word, part, given in (
            ("property.unknown", "no property 'scheduling.colour'", {"set": {"scheduling.colour": 1}}),
            ("property.unknown", "no property 'licenses.'", {"unset": ["licenses."]}),
            ("property.fixed", "cluster is stopped", {"set": {"dispatcher.cluster": "x"}}),
            ("property.fixed", "must be said", {"unset": ["dispatcher.host"]}),
            ("config.invalid", "dispatcher.port: expected a port", {"set": {"dispatcher.port": 0}}),
            ("config.invalid", "dispatcher.host: expected", {"set": {"dispatcher.host": "a b"}}),
            ("config.invalid", "scheduling.half_life: expected a time", {"set": {"scheduling.half_life": "soon"}}),
            ("config.invalid", "defaults.cores: expected a number", {"set": {"defaults.cores": "many"}}),
            ("config.invalid", "licenses.a b: a license is named", {"set": {"licenses.a b": 1}}),
            ("proto.arguments", "both set and unset", {"set": {"mail.port": 1}, "unset": ["mail.port"]}),
            ("proto.arguments", "does not fit", {"sets": {}}),
            ("proto.arguments", "set to null", {"set": {"mail.port": None}}),
        ):
            self.assertIn(part, self.refusal(word, **given))
            self.assertEqual(self.info_text(), INFO)
        both = {"set": {"dispatcher.port": 1, "scheduling.processes": 1}}
        self.refusal("config.invalid", **both)
        self.assertEqual(self.info_text(), INFO)
        self.refused('changeproperties:{"set":{"mail.port":1}}', "perm.denied", "bob")

    def test_the_second_of_two_is_told_what_the_first_has_changed(self) -> None:
        seen = {"scheduling.processes": 512, "mail.port": 25, "licenses.new": None}
        self.change(set={"scheduling.processes": 64}, was=seen)
        told = self.refusal("conflict.changed", set={"scheduling.processes": 128}, was=seen)
        sentence, line = told.split("\n")
        self.assertIn("scheduling.processes 512 → 64", sentence)
        self.assertEqual(json.loads(line), {"key": "scheduling.processes", "seen": 512, "now": 64})

    def test_what_is_so_already_is_no_change(self) -> None:
        self.assertEqual(self.change(set={"scheduling.processes": 512}), "all stays as it is")
        self.assertEqual(self.records(), [])

    def test_json_gives_the_records(self) -> None:
        reply = self.ask('changeproperties.json:{"set":{"mail.port":587,"licenses.b":1}}')
        self.assertEqual([json.loads(line)["kind"] for line in reply.body], ["licenses", "mail"])

    def test_what_cannot_be_recorded_is_taken_back_in_all_files(self) -> None:
        before = self.read()
        given = {"dispatcher.port": 10102, "scheduling.processes": 64, "mail.port": 587, "defaults.cores": 3}
        answer = self.say(self.root, "changeproperties:" + json.dumps({"set": given}))
        self.clock.advance(0)
        self.assertNotEqual(self.read(), before)
        self.writer.broken = StoreError("store.full", "no space")
        self.writer.work()
        self.clock.advance(0)
        self.failureResultOf(answer, StoreError)
        self.assertEqual((self.read(), self.info_text()), (before, INFO))
        self.assertEqual(self.dispatcher.tables.scheduling.processes, 512)
        self.writer.broken = None
        self.clock.advance(RETRY_STORE_SECONDS)
        self.settle()
        self.assertEqual(self.dispatcher.brain.settings.processes, 512)
        self.assertEqual(self.records(), [])

    def test_what_an_older_store_has_not_remembered_is_nobodys_change(self) -> None:
        self.change(set={"mail.port": 587})
        loaded = self.store.load()
        known = json.loads(loaded.known or "{}")
        del known["dispatcher"]
        self.dispatcher._pulse.stop()
        self.dispatcher = Dispatcher(self.surroundings(), replace(loaded, known=json.dumps(known)))
        self.verbs = DispatcherVerbs(self.dispatcher, lambda transport: "")
        self.settle()
        self.assertEqual([one["verb"] for one in self.records()], ["changeproperties"])

    def test_how_long_jobs_stay_at_hand_changes_without_a_restart(self) -> None:
        self.change(set={"scheduling.archive_months": 0})
        self.assertEqual(self.dispatcher._archiving.months, 0)
        self.assertIsNone(self.dispatcher._archiving._call)


class TableTests(PropertyCase):
    def test_no_key_of_the_files_is_missing_and_none_is_too_much(self) -> None:
        by_table: dict[str, set[str]] = {}
        for one in PROPERTIES.values():
            by_table.setdefault(one.table, set()).add(one.key)
        self.assertEqual(by_table, {
            "scheduling": set(SCHEDULING_KEYS), "mail": set(MAIL_KEYS), "defaults": set(KEYS), "licenses": {"*"},
            "dispatcher": set(INFO_KEYS),
        })  # fmt: skip

    def test_every_default_is_what_the_loaders_make_of_a_missing_line(self) -> None:
        readers = {"scheduling": SCHEDULING_KEYS, "mail": MAIL_KEYS, "defaults": KEYS}
        settings: dict[str, object] = {
            "scheduling": Scheduling(), "mail": Mail(), "defaults": HostConfig(name="n", address="n")
        }  # fmt: skip
        for one in PROPERTIES.values():
            if one.table in readers and one.default not in (None, ""):
                self.assertEqual(readers[one.table][one.key](one.default), getattr(settings[one.table], one.key), one)

    def test_every_property_says_what_it_is(self) -> None:
        for one in PROPERTIES.values():
            self.assertTrue(one.meaning and one.when and one.kind in properties.KINDS, one.name)
            self.assertEqual(bool(one.choices), one.kind == "choice", one.name)
            self.assertIs(find("licenses.x" if one.name == "licenses.*" else one.name) is None, False)

    def test_values_are_typed_and_shown_the_same(self) -> None:
        for name, value in (
            ("scheduling.half_life", "14d"), ("scheduling.default_time", 0), ("defaults.memory", "64G"),
            ("defaults.hours", ["mon-fri 20:00-07:00", "sat,sun"]), ("defaults.features", ["a", "b"]),
            ("defaults.options", {"port": 2222, "user": "calc"}), ("defaults.active", False), ("mail.port", 25),
            ("defaults.console_idle", 1.5), ("licenses.ansys", 4), ("defaults.features", []),
        ):  # fmt: skip
            one = find(name)
            assert one is not None
            self.assertEqual(value_of(one, text_of(one, value)), value, name)
        processes = find("scheduling.processes")
        assert processes is not None
        self.assertEqual([value_of(processes, text) for text in ("many", "", "nan", "9" * 30)],
                         ["many", "", "nan", "9" * 30])  # fmt: skip


def config_text(text: str) -> dict[str, Any]:
    """Return what *text* says."""
    return Document("x", (), text).data

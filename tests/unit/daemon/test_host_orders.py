"""Hosts are changed in the file, at once, recorded, and back again."""

from __future__ import annotations

import json
import os
from typing import Any

from twisted.trial.unittest import SynchronousTestCase

from tests.support.daemons import NotedPeer
from tests.unit.daemon.test_dispatcher import DispatcherCase
from tm import config
from tm.config.cluster import read_scheduling
from tm.config.document import Document
from tm.config.hosts import read_hosts
from tm.daemon.dispatcher import Tables
from tm.errors import StoreError
from tm.model.duration import format_duration, parse_duration
from tm.model.rights import RIGHTS, Group, Groups, User, Users
from tm.wire.message import Reply

FILE = """\
# Our hosts.
[defaults]
memory = "64G"

[host_groups.old]
features = ["old"]

# the first one
[hosts.n1]
cores = 2     # of 4
owners = ["alice"]

[hosts.n2]
group = "old"
active = false
"""


class HostsCase(DispatcherCase):
    """A dispatcher whose hosts are those of a file."""

    def setUp(self) -> None:
        self.text = FILE
        super().setUp()

    def begin(self) -> None:
        self.write(self.text)
        super().begin()
        self.root = NotedPeer("root")

    @property
    def path(self) -> str:
        return os.path.join(self.etc, "ComputerCluster.config")

    def write(self, text: str) -> None:
        with open(self.path, "w", encoding="utf-8") as file:
            file.write(text)

    def read(self) -> str:
        with open(self.path, encoding="utf-8") as file:
            return file.read()

    def tables(self) -> Tables:
        document = Document(self.path, (os.getuid(), 0))
        hosts = read_hosts(document)
        if document.complaints:
            raise config.ConfigError(document.complaints)
        users = Users.of(*[User(name, (f"fingerprint of {name}",)) for name in ("alice", "bob", "root", "hana")])
        groups = Groups(
            (
                Group("admins", frozenset({"root"}), frozenset(RIGHTS)),
                Group("keepers", frozenset({"hana"}), frozenset({"audit"})),
                Group("physics", frozenset({"bob"})),
            )
        )
        scheduling = read_scheduling(document, hosts)
        return Tables(users, groups, hosts, config._tables([document.data]), scheduling)

    def ask(self, line: str, who: str = "root") -> Reply:
        answer = self.say(NotedPeer(who), line)
        answer.addErrback(lambda failure: Reply(failure.value.text, word=failure.value.word))
        self.settle()
        return self.successResultOf(answer)

    def done(self, line: str, who: str = "root") -> str:
        reply = self.ask(line, who)
        self.assertTrue(reply.ok, f"{reply.word}: {reply.text}")
        return reply.text

    def refused(self, line: str, word: str, who: str = "root") -> str:
        """Return the text of the refusal; nothing has changed by it."""
        before, records = self.read(), len(self.records())
        reply = self.ask(line, who)
        self.assertEqual(reply.word, word, reply.text)
        self.assertEqual((self.read(), len(self.records())), (before, records))
        return reply.text

    def records(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.ask("audit.json:1000").body]

    def info(self, host: str = "n1") -> dict[str, Any]:
        return json.loads(self.ask(f"hostinfo.json:{host}").body[0])


class ChangeTests(HostsCase):
    def test_a_change_is_written_counts_and_is_recorded(self) -> None:
        told = self.done('changehost:{"name":"n1","set":{"cores":8,"features":["gpu"]},"unset":["owners"]}')
        self.assertEqual(told, "n1: cores 2 → 8; owners alice → (not said); features (not said) → gpu; recorded as 1")
        self.assertEqual(
            self.read(),
            FILE.replace("cores = 2 ", "cores = 8 ").replace('owners = ["alice"]', 'features = ["gpu"]'),
        )
        host = self.dispatcher.brain.hosts["n1"]
        self.assertEqual((host.config.cores, host.config.features, host.cores), (8, ("gpu",), 8))
        (record,) = self.records()
        self.assertEqual(
            (record["user"], record["verb"], record["kind"], record["name"]), ("root", "changehost", "host", "n1")
        )
        self.assertEqual(record["before"], {"cores": 2, "owners": ["alice"]})
        self.assertEqual(record["after"], {"cores": 8, "features": ["gpu"]})

    def test_it_is_answered_and_told_when_the_record_is_durable(self) -> None:
        watcher = NotedPeer("bob")
        self.said(watcher, "subscribe:hosts")
        answer = self.say(self.root, 'changehost:{"name":"n1","set":{"cores":8}}')
        self.clock.advance(0)
        self.assertNoResult(answer)
        self.assertEqual(watcher.told, [])
        self.settle()
        self.assertTrue(self.successResultOf(answer).ok)
        (told,) = [event for event in watcher.told if event.get("verb")]
        self.assertEqual((told["host"], told["by"], told["changed"]), ("n1", "root", ["cores 2 → 8"]))

    def test_records_are_in_the_order_of_the_changes(self) -> None:
        answers = [self.say(self.root, f'changehost:{{"name":"n1","set":{{"cores":{n}}}}}') for n in (3, 4, 5)]
        self.settle()
        self.assertEqual([self.successResultOf(one).ok for one in answers], [True] * 3)
        self.assertEqual(
            [(one["id"], one["before"]["cores"], one["after"]["cores"]) for one in self.records()],
            [(1, 2, 3), (2, 3, 4), (3, 4, 5)],
        )

    def test_what_is_wrong_is_said_by_its_key_and_changes_nothing(self) -> None:
        for values, part in (
            ({"cores": 0}, "host n1: cores expected a number of cores from 1"),
            ({"colour": "red"}, "colour 'colour' is not known here"),
            ({"policy": "kind"}, "policy expected one of ignore, no-new-jobs"),
            ({"hours": ["always"]}, "hours 'always': expected days"),
            ({"group": "new"}, "group 'new' is no group of hosts; expected one of old"),
            ({"features": "gpu"}, "features expected words"),
        ):
            line = "changehost:" + json.dumps({"name": "n1", "set": values})
            told = self.refused(line, "config.invalid")
            self.assertIn(part, told)
            self.assertIn("nothing was changed", told)
        self.refused('changehost:{"name":"n9"}', "host.unknown")
        self.refused('changehost:{"name":"n1","sets":{}}', "proto.arguments")
        self.refused('changehost:{"name":"n1","set":{"cores":1},"unset":["cores"]}', "proto.arguments")

    def test_a_change_to_what_is_there_already_is_none(self) -> None:
        self.assertEqual(self.done('changehost:{"name":"n1","set":{"cores":2}}'), "n1 stays as it is")
        self.assertEqual(self.records(), [])

    def test_who_looked_at_other_values_than_there_are_is_told_which(self) -> None:
        line = 'changehost:{"name":"n1","set":{"cores":%d},"was":{"cores":2,"memory":"65536M","features":null}}'
        self.done(line % 4)
        told = self.refused(line % 6, "conflict.changed")
        self.assertIn("cores 2 → 4", told)

    def test_tables_within_are_replaced_and_an_empty_one_is_none(self) -> None:
        self.done('changehost:{"name":"n1","set":{"options":{"port":2222}}}')
        self.assertEqual(self.dispatcher.brain.hosts["n1"].config.options, {"port": 2222})
        self.done('changehost:{"name":"n1","set":{"options":{}}}')
        self.assertEqual(self.read(), FILE)

    def test_the_file_may_be_changed_by_hand_between_and_that_counts_at_the_reload(self) -> None:
        self.write(self.read() + "\n[hosts.n3]\n")
        self.done('changehost:{"name":"n1","set":{"cores":8}}')
        self.assertNotIn("n3", self.dispatcher.brain.hosts)
        self.assertIn("[hosts.n3]", self.read())
        self.done("reload")
        self.assertIn("n3", self.dispatcher.brain.hosts)
        self.assertEqual([one["verb"] for one in self.records()], ["changehost", "reload"])

    def test_what_somebody_has_edited_of_the_same_host_has_a_record_of_its_own(self) -> None:
        self.write(self.read().replace("cores = 2", "cores = 3"))
        self.done('changehost:{"name":"n1","set":{"memory":"1G"}}')
        self.assertEqual(
            [(one["user"], one["verb"], one["before"]["cores"], one["after"]["cores"]) for one in self.records()],
            [("(by hand)", "reload", 2, 3), ("root", "changehost", 3, 3)],
        )

    def test_a_file_that_somebody_has_broken_is_left_alone(self) -> None:
        self.write(self.read() + "[hosts.n3\n")
        told = self.refused('changehost:{"name":"n1","set":{"cores":8}}', "config.invalid")
        self.assertIn("ComputerCluster.config:16: expected TOML", told)
        self.assertIn("ComputerCluster.config:16", self.info()["config_error"])

    def test_what_cannot_be_recorded_has_not_happened(self) -> None:
        first = self.say(self.root, 'changehost:{"name":"n1","set":{"cores":8}}')
        self.clock.advance(0)
        second = self.say(self.root, 'addhost:{"name":"n3"}')
        third = self.say(self.root, "removehost:n2")
        self.writer.broken = StoreError("store.full", "no space")
        self.writer.work()
        self.clock.advance(0)
        self.writer.broken = None
        for answer in (first, second, third):
            self.failureResultOf(answer, StoreError)
        self.assertEqual(self.read(), FILE)
        self.assertEqual({host.name: host.cores for host in self.dispatcher.tables.hosts}, {"n1": 2, "n2": None})
        self.refused_by_store()
        self.clock.advance(2.0)
        self.settle()
        self.assertEqual(sorted(self.dispatcher.brain.hosts), ["n1", "n2"])
        self.assertEqual(self.records(), [])
        self.done('changehost:{"name":"n1","set":{"cores":9}}')
        self.assertEqual([one["id"] for one in self.records()], [1])

    def refused_by_store(self) -> None:
        """While the store is in trouble nothing is even tried."""
        self.assertEqual(self.ask('changehost:{"name":"n1","set":{"cores":9}}').word, "store.full")
        self.assertEqual(self.read(), FILE)


class TableTests(HostsCase):
    def test_a_host_is_added_at_the_end_and_removed_with_its_comment(self) -> None:
        self.assertEqual(self.done('addhost:{"name":"n3","address":"n3.lab","cores":4}'), "n3 is added; recorded as 1")
        self.assertEqual(self.read(), FILE + '\n[hosts.n3]\naddress = "n3.lab"\ncores = 4\n')
        self.assertEqual(self.dispatcher.brain.hosts["n3"].config.address, "n3.lab")
        self.assertEqual(self.done("removehost:n1"), "n1 is removed; recorded as 2")
        self.assertNotIn("the first one", self.read())
        self.assertNotIn("n1", self.dispatcher.brain.hosts)

    def test_a_host_cannot_be_added_twice_nor_under_a_wrong_name_or_anothers_address(self) -> None:
        self.refused('addhost:{"name":"n1"}', "host.exists")
        self.assertIn("letters, digits", self.refused('addhost:{"name":"a b"}', "config.invalid"))
        self.assertIn("n1 has the same", self.refused('addhost:{"name":"n9","address":"N1"}', "config.invalid"))
        self.refused('addhost:{"address":"n9"}', "proto.arguments")
        self.refused('addhost:{"name":7}', "proto.arguments")

    def test_a_host_on_which_jobs_are_is_not_removed(self) -> None:
        peer = self.attached()
        self.said(peer, self.submission())
        self.said(peer, self.hello())
        self.settle()
        told = self.refused("removehost:n1", "busy.host")
        self.assertIn("1 job is on n1 (alice 1); 'drainhost:n1'", told)

    def test_activating_and_deactivating_is_written_and_recorded_with_its_reason(self) -> None:
        self.assertEqual(self.done("activatehost:n2"), "n2 is active")
        self.assertEqual(self.read(), FILE.replace("active = false", "active = true"))
        self.assertEqual(self.done("deactivatehost:n1:a new fan"), "n1 is not active: a new fan")
        host = self.dispatcher.brain.hosts["n1"]
        self.assertEqual((host.active, host.reason), (False, "a new fan"))
        self.assertEqual([one["reason"] for one in self.records()], ["", "a new fan"])
        self.refused("activatehost:n9", "host.unknown")

    def test_the_reason_of_one_host_stays_when_another_changes(self) -> None:
        self.done("deactivatehost:n1:a new fan")
        self.done('changehost:{"name":"n2","set":{"cores":3}}')
        self.assertEqual(self.dispatcher.brain.hosts["n1"].reason, "a new fan")

    def test_draining_has_a_deadline_and_a_reason(self) -> None:
        told = self.done("drainhost:n1:2h:a new disk")
        host = self.dispatcher.brain.hosts["n1"]
        self.assertTrue(told.startswith("n1 is draining: a new disk; what may be repeated leaves by "), told)
        self.assertEqual((host.active, host.drain_deadline), (False, self.dispatcher.now + 7200))
        self.assertIn("active = false", self.read().partition("[hosts.n2]")[0])
        self.done("drainhost:n1::no hurry")
        self.assertIsNone(host.drain_deadline)
        self.done("activatehost:n1")
        self.assertEqual((host.active, host.drain_deadline), (True, None))
        self.refused("drainhost:n1:soon", "proto.arguments")
        self.refused("drainhost:n1:9999d", "proto.arguments")

    def test_hostinfo_says_what_is_configured_and_what_of_it_is_its_own(self) -> None:
        shown = self.info("n2")
        self.assertEqual(shown["config"], {"memory": "64G", "features": ["old"], "group": "old", "active": False})
        self.assertEqual(shown["own"], {"group": "old", "active": False})


class PeopleOfTheHostTests(HostsCase):
    def test_the_owner_has_it_left_and_returns_it(self) -> None:
        told = self.done("leavehost:n1:4h", "alice")
        host = self.dispatcher.brain.hosts["n1"]
        self.assertTrue(told.startswith("n1 is left to alice until "), told)
        self.assertEqual((host.left_until, host.left_by), (self.dispatcher.now + 4 * 3600, "alice"))
        self.assertEqual(self.done("returnhost:n1", "alice"), "jobs may use n1 again")
        self.assertFalse(host.left_by)
        self.done("leavehost:n1", "root")
        self.assertEqual(host.left_until, self.dispatcher.now + 8 * 3600)
        self.assertEqual([(one["user"], one["verb"]) for one in self.records()],
                         [("alice", "leavehost"), ("alice", "returnhost"), ("root", "leavehost")])  # fmt: skip

    def test_others_need_the_right(self) -> None:
        self.assertIn("needs the right 'hosts'", self.refused("leavehost:n1", "perm.denied", "bob"))
        self.refused("returnhost:n2", "perm.denied", "alice")
        self.refused("leavehost:n9", "host.unknown", "alice")

    def test_a_group_can_own_a_host(self) -> None:
        self.done('changehost:{"name":"n1","set":{"owners":["@physics"]}}')
        self.done("leavehost:n1:5m", "bob")
        self.refused("leavehost:n1:5m", "perm.denied", "alice")

    def test_every_change_of_hosts_needs_the_right(self) -> None:
        for line in ('addhost:{"name":"n3"}', 'changehost:{"name":"n1","set":{"cores":1}}', "removehost:n1",
                     "activatehost:n2", "deactivatehost:n1", "drainhost:n1", "declarelost:n1"):  # fmt: skip
            self.assertEqual(self.ask(line, "alice").word, "perm.denied", line)
        self.assertEqual((self.read(), self.records()), (FILE, []))


class UndoTests(HostsCase):
    def test_each_change_of_the_table_is_taken_back_and_that_too(self) -> None:
        for line in ('changehost:{"name":"n1","set":{"cores":8},"unset":["owners"]}', "activatehost:n2",
                     "deactivatehost:n1:why", 'addhost:{"name":"n3"}', "drainhost:n1"):  # fmt: skip
            before = config_of(self.read())
            self.done(line)
            after = config_of(self.read())
            number = self.records()[-1]["id"]
            self.assertIn("recorded as", self.done(f"undo:{number}"), line)
            self.assertEqual(config_of(self.read()), before, line)
            self.done(f"undo:{number + 1}")
            self.assertEqual(config_of(self.read()), after, line)
            self.done(f"undo:{number + 2}")
        self.assertEqual(config_of(self.read()), config_of(FILE))
        self.assertEqual(self.records()[-1]["undoes"], self.records()[-2]["id"])
        self.assertTrue(self.dispatcher.brain.hosts["n1"].active)

    def test_a_removed_host_comes_back_with_all_that_was_said_of_it(self) -> None:
        self.done("removehost:n1")
        self.done("undo:1")
        self.assertEqual(self.dispatcher.brain.hosts["n1"].config.owners, ("alice",))

    def test_an_added_host_is_not_taken_back_while_jobs_are_there(self) -> None:
        self.done("removehost:n1")
        self.done('addhost:{"name":"n1","cores":1}')
        peer = self.attached()
        self.said(peer, self.submission())
        self.said(peer, self.hello())
        self.settle()
        self.refused("undo:2", "busy.host")

    def test_what_has_changed_since_is_not_taken_back(self) -> None:
        self.done('changehost:{"name":"n1","set":{"cores":8}}')
        self.done('changehost:{"name":"n1","set":{"cores":9}}')
        self.assertIn("cores 8 → 9", self.refused("undo:1", "undo.stale"))

    def test_what_changed_nothing_in_the_file_has_no_undo(self) -> None:
        self.done("leavehost:n1", "alice")
        self.refused("undo:1", "undo.impossible")
        self.refused("undo:77", "undo.unknown")
        self.refused("undo:x", "proto.arguments")

    def test_what_the_cluster_has_as_a_whole_is_recorded_and_changed_back(self) -> None:
        self.write(self.text + "\n[licenses]\nansys = 2\n")
        self.done("reload")
        self.done('changehost:{"name":"n1","set":{"cores":8}}')
        self.assertIn("ansys = 2", self.read())
        self.assertEqual(self.dispatcher.brain.matcher.licenses, {"ansys": 2})
        (record,) = [one for one in self.records() if one["kind"] == "licenses"]
        self.assertEqual((record["name"], record["after"]), ("cluster", {"ansys": 2}))
        self.done(f"undo:{record['id']}")
        self.assertEqual(self.dispatcher.brain.matcher.licenses, {})
        self.assertNotIn("ansys", self.read())

    def test_it_needs_the_right_of_what_is_undone_too(self) -> None:
        self.done('changehost:{"name":"n1","set":{"cores":8}}')
        self.assertIn("'hosts'", self.refused("undo:1", "perm.denied", "hana"))
        self.refused("undo:1", "perm.denied", "alice")


class ReloadTests(HostsCase):
    def test_what_a_reload_finds_is_recorded_thing_by_thing_and_can_be_undone(self) -> None:
        changed = FILE.replace("cores = 2", "cores = 4").replace('["old"]', '["older"]').replace('"64G"', '"32G"')
        self.write(changed + "\n[hosts.n3]\n")
        self.done("reload")
        self.assertEqual(
            [(one["verb"], one["kind"], one["name"]) for one in self.records()],
            [("reload", "defaults", "hosts"), ("reload", "host group", "old"), ("reload", "host", "n1"),
             ("reload", "host", "n3")],
        )  # fmt: skip
        self.assertEqual(self.records()[0]["before"], {"memory": "64G"})
        self.done("undo:1")
        self.assertEqual(self.dispatcher.brain.hosts["n1"].config.memory, 64 * 2**30)
        self.done("undo:2")
        self.assertEqual(self.dispatcher.brain.hosts["n2"].config.features, ("old",))
        self.done("undo:4")
        self.assertNotIn("n3", self.dispatcher.brain.hosts)
        self.done("undo:3")
        self.assertEqual(config_of(self.read()), config_of(FILE))

    def test_what_was_changed_while_it_was_away_is_recorded_at_the_start(self) -> None:
        self.done('changehost:{"name":"n1","set":{"cores":3}}')
        self.dispatcher.stopService()
        self.settle()
        self.text = self.read().replace("cores = 3", "cores = 4").replace("active = false", "active = true")
        self.begin()
        self.settle()
        found = [(one["user"], one["verb"], one["name"], one["after"]) for one in self.records()[1:]]
        self.assertEqual(
            found,
            [
                ("(while away)", "reload", "n1", {"cores": 4, "owners": ["alice"]}),
                ("(while away)", "reload", "n2", {"group": "old", "active": True}),
            ],
        )
        self.done("undo:3")
        self.assertFalse(self.dispatcher.brain.hosts["n2"].active)

    def test_a_change_that_was_written_and_not_recorded_before_it_died_is_recorded_at_the_start(self) -> None:
        self.settle()
        self.say(self.root, 'addhost:{"name":"n3"}')
        self.clock.advance(0)
        self.writer.waiting.clear()
        self.text = self.read()
        self.begin()
        self.settle()
        self.assertEqual(
            [(one["verb"], one["name"], one["before"]) for one in self.records()], [("reload", "n3", None)]
        )

    def test_a_reload_that_finds_nothing_records_nothing(self) -> None:
        self.done('changehost:{"name":"n1","set":{"cores":8}}')
        self.done("reload")
        self.assertEqual(len(self.records()), 1)

    def test_a_faulty_file_keeps_the_last_good_state(self) -> None:
        self.write(FILE.replace("cores = 2", "cores = 0"))
        told = self.ask("reload")
        self.assertEqual(told.word, "config.invalid")
        self.assertIn("ComputerCluster.config:10: expected a number of cores", told.text)
        self.assertEqual((self.dispatcher.brain.hosts["n1"].cores, self.records()), (2, []))


class AuditTests(HostsCase):
    def test_the_last_records_are_listed_for_people(self) -> None:
        for cores in (3, 4, 5):
            self.done(f'changehost:{{"name":"n1","set":{{"cores":{cores}}}}}')
        self.done("undo:3")
        lines = self.ask("audit:2").body
        self.assertEqual(len(lines), 2)
        self.assertRegex(lines[0], r"^ +3  \S+Z  root  changehost  host  n1  cores 4 → 5$")
        self.assertRegex(lines[1], r"^ +4  \S+Z  root  changehost \(undo of 3\)  host  n1  cores 5 → 4$")
        self.assertEqual(self.ask("audit:many").word, "proto.arguments")
        self.assertEqual(self.ask("audit", "alice").word, "perm.denied")

    def test_a_restarted_dispatcher_goes_on_counting(self) -> None:
        self.done('changehost:{"name":"n1","set":{"cores":3}}')
        self.text = self.read()
        self.dispatcher.stopService()
        self.settle()
        self.begin()
        self.done('changehost:{"name":"n1","set":{"cores":4}}')
        self.assertEqual([one["id"] for one in self.records()], [1, 2])


def config_of(text: str) -> Any:
    import tomllib

    return tomllib.loads(text)


class DurationTests(SynchronousTestCase):
    def test_durations_are_read_and_written(self) -> None:
        for text, seconds in (("45m", 2700), ("1h30m", 5400), ("1d", 86400), ("90", 90), ("2H", 7200)):
            self.assertEqual(parse_duration(text), seconds)
        self.assertEqual([format_duration(s) for s in (0, 59, 5400, 90061)], ["0s", "59s", "1h30m", "1d1h1m1s"])
        for text in ("", "soon", "-1h", "1.5h", "1h 5", "5x"):
            self.assertIn("write it like", str(self.assertRaises(ValueError, parse_duration, text)))

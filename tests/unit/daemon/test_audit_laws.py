"""Whatever is ordered, edited by hand, undone, refused, lost to a full disk or cut off by a crash: the records tell."""

from __future__ import annotations

import copy
import json
import tomllib
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from tests.support.properties import examples
from tests.unit.daemon.test_host_orders import FILE, HostsCase
from tm.config.table_editing import with_table
from tm.daemon.dispatcher import RETRY_STORE_SECONDS
from tm.errors import StoreError

NAMES = st.sampled_from(["n1", "n2", "n3"])
TABLES = st.fixed_dictionaries(
    {},
    optional={
        "cores": st.sampled_from([1, 2, 3, 0]), "memory": st.sampled_from(["1G", "2G"]), "active": st.booleans(),
        "features": st.sampled_from([["a"], ["a", "b"], []]), "group": st.sampled_from(["old", "new"]),
    },
)  # fmt: skip
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("changehost"), NAMES, TABLES),
        st.tuples(st.just("addhost"), NAMES, TABLES),
        st.tuples(st.sampled_from(["removehost", "activatehost", "deactivatehost", "drainhost", "leavehost"]), NAMES),
        st.tuples(st.just("undo"), st.integers(1, 12)),
        st.tuples(st.just("by hand"), NAMES, st.one_of(st.none(), TABLES)),
        st.tuples(st.sampled_from(["reload", "full disk", "crash"])),
    ),
    max_size=14,
)


class AuditLawTests(HostsCase):
    @examples(300)
    @given(STEPS)
    def test_the_records_played_again_give_the_file_and_the_file_is_what_counts(self, steps: list[Any]) -> None:
        self.text = FILE
        self.setUp()
        self.settle()
        for kind, *rest in steps:
            if kind == "by hand":
                self.write(with_table(self.read(), ("hosts", rest[0]), rest[1]))
            elif kind == "full disk":
                self.fail_store()
            elif kind == "crash":
                self.crash()
            else:
                self.ask(line_of(kind, *rest))
        self.write(self.fitting(self.read()))
        self.assertTrue(self.ask("reload").ok)
        self.check()

    def fail_store(self) -> None:
        """A change comes while the disk is full: it has not happened."""
        before = self.read()
        answer = self.say(self.root, 'changehost:{"name":"n1","set":{"memory":"7G"}}')
        answer.addErrback(lambda failure: failure.trap(StoreError))
        self.clock.advance(0)
        self.writer.broken = StoreError("store.full", "no space")
        self.writer.work()
        self.clock.advance(0)
        self.writer.broken = None
        self.assertEqual(self.read(), before)
        self.clock.advance(RETRY_STORE_SECONDS)
        self.settle()

    def crash(self) -> None:
        """It dies between the file and the record, and comes back as soon as the file can be read."""
        answer = self.say(self.root, 'changehost:{"name":"n2","set":{"memory":"9G"}}')
        answer.addErrback(lambda failure: None)
        self.clock.advance(0)
        self.writer.waiting.clear()
        self.dispatcher._pulse.stop()
        self.text = self.fitting(self.read())
        self.begin()
        self.settle()

    def fitting(self, text: str) -> str:
        """Return *text* without what nobody could read."""
        for name, table in tomllib.loads(text).get("hosts", {}).items():
            good = {key: one for key, one in table.items() if (key, one) not in (("cores", 0), ("group", "new"))}
            text = with_table(text, ("hosts", name), good)
        return text

    def check(self) -> None:
        records = self.records()
        self.assertEqual([one["id"] for one in records], list(range(1, len(records) + 1)))
        told = copy.deepcopy(tomllib.loads(FILE)["hosts"])
        for one in records:
            if one["kind"] != "host":
                continue
            self.assertEqual(one["before"] == one["after"] or told.get(one["name"]) == one["before"], True, one)
            if one["before"] != one["after"]:
                told[one["name"]] = one["after"]
        said = tomllib.loads(self.read()).get("hosts", {})
        self.assertEqual({name: table for name, table in told.items() if table is not None}, said)
        live = {host.name: host for host in self.tables().hosts}
        self.assertEqual({host.name: host for host in self.dispatcher.tables.hosts}, live)
        self.assertEqual({name: state.config for name, state in self.dispatcher.brain.hosts.items()}, live)
        self.assertIn("# Our hosts.", self.read())


def line_of(verb: str, *arguments: Any) -> str:
    if verb == "changehost":
        return "changehost:" + json.dumps({"name": arguments[0], "set": arguments[1]})
    if verb == "addhost":
        return "addhost:" + json.dumps({"name": arguments[0], **arguments[1]})
    return ":".join([verb, *map(str, arguments)])

"""What records say, and what differs between two configurations."""

from __future__ import annotations

from twisted.trial.unittest import SynchronousTestCase

from tm.model.audit import Change, Deed, deeds_between, difference, show_change


class DifferenceTests(SynchronousTestCase):
    def test_each_key_has_its_phrase(self) -> None:
        before = {
            "cores": 4,
            "features": ["a", "b"],
            "memory": "64G",
            "active": True,
            "options": {"port": 22, "user": "x"},
        }
        after = {"cores": 8, "features": ["b", "c"], "active": False, "options": {"port": 23, "user": "x"}, "hours": []}
        self.assertEqual(
            difference(before, after),
            ["cores 4 → 8", "features + c - a", "memory 64G → (not said)", "active true → false",
             "options.port 22 → 23", "hours (not said) → (none)"],
        )  # fmt: skip

    def test_another_order_of_a_list_is_a_difference(self) -> None:
        self.assertEqual(difference({"a": [1, 2]}, {"a": [2, 1]}), ["a 1,2 → 2,1"])

    def test_what_comes_and_goes_is_said_so(self) -> None:
        self.assertEqual(difference(None, {}), ["not there → there"])
        self.assertEqual(difference({}, None), ["there → not there"])
        self.assertEqual((difference(None, None), difference({"a": 1}, {"a": 1})), ([], []))


class ChangeTests(SynchronousTestCase):
    def test_a_record_is_what_was_when_it_was_made(self) -> None:
        table = {"features": ["a"]}
        change = Change.of(Deed("alice", "addhost", "host", "n1", None, table, "why"), 7, 1.5)
        table["features"].append("b")
        self.assertEqual(change.after, {"features": ["a"]})
        shown = show_change(change)
        self.assertEqual((shown["id"], shown["at"], shown["reason"]), (7, "1970-01-01T00:00:01.500Z", "why"))

    def test_only_what_changed_a_table_can_be_undone(self) -> None:
        for before, after, can in ((None, None, False), ({}, {}, False), (None, {}, True), ({"a": 1}, {"a": 2}, True)):
            self.assertIs(Change.of(Deed("a", "v", "host", "n", before, after), 1, 0.0).can_be_undone, can)


class DeedsTests(SynchronousTestCase):
    def test_each_thing_that_differs_is_a_deed_of_its_own(self) -> None:
        before = {"host": {"n1": {"cores": 1}, "n2": {}}, "user": {"bob": {}}}
        after = {"host": {"n1": {"cores": 2}, "n3": {}}, "user": {"bob": {}}, "group": {"a": {"members": []}}}
        self.assertEqual(
            [
                (deed.kind, deed.name, deed.before, deed.after)
                for deed in deeds_between("alice", "reload", before, after)
            ],
            [
                ("host", "n1", {"cores": 1}, {"cores": 2}),
                ("host", "n2", {}, None),
                ("host", "n3", None, {}),
                ("group", "a", None, {"members": []}),
            ],
        )
        self.assertEqual(deeds_between("alice", "reload", before, before), [])

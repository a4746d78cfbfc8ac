"""The pages of administration, of the log and of sessions, with answers as the dispatcher gives them."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import unquote

from twisted.trial.unittest import SynchronousTestCase

from tests.support.web import Site
from tm.web.views import admin, logs
from tm.wire.message import Reply

USER = {
    "name": "bob", "email": "bob@example.org", "groups": ["staff"], "rights": [],
    "used": {"running": 2, "queued": 3, "cores": 2, "memory": 0},
    "certificates": [
        {"fingerprint": "ab" * 32, "file": "certs/bob.crt", "until": "2027-03-01T00:00:00.000Z", "days_left": 20}
    ],
}  # fmt: skip
GROUP: dict[str, Any] = {
    "name": "staff", "members": ["alice", "bob"], "rights": ["hosts", "verb:reload"], "limits": {"cores": 64},
    "user_limits": {"memory": 8 << 30}, "shares": 10, "used": {"running": 2, "queued": 3, "cores": 2, "memory": 0},
}  # fmt: skip
STATUS = {
    "server": "TaskDispatcher", "pid": 7, "version": "1.0.0", "cluster": "physics", "since": "2027-01-01T00:00:00.000Z",
    "jobs": {}, "hosts": {}, "users": 1, "epoch": 3, "warnings": ["the certificate … ends soon"],
    "store": {"bytes": 4096, "wal": 0, "archive_bytes": 0, "jobs": 12},
}  # fmt: skip
CHANGES = [
    {"id": 1, "at": "2027-01-01T00:00:00.000Z", "user": "alice", "verb": "addgroup", "kind": "group", "name": "staff",
     "before": None, "after": {"members": []}, "reason": "", "undoes": None},
    {"id": 2, "at": "2027-01-02T00:00:00.000Z", "user": "alice", "verb": "changegroup", "kind": "group",
     "name": "staff", "before": {"shares": 1}, "after": {"shares": 10}, "reason": "", "undoes": None},
    {"id": 3, "at": "2027-01-03T00:00:00.000Z", "user": "carol", "verb": "changegroup", "kind": "group",
     "name": "staff", "before": {"shares": 10}, "after": {"shares": 1}, "reason": "", "undoes": 2},
]  # fmt: skip


def form_of(group: dict[str, Any], **changed: Any) -> dict[str, list[str]]:
    """Return what a browser sends of the form of *group* with some fields *changed*."""
    shown = admin.group_form(group)
    right = ["all"] if shown["all"] else shown["rights"]
    fields = {name: [value] for name, value in shown.items() if isinstance(value, str) and value}
    return {**fields, "right": right, **{name.replace("__", "."): value for name, value in changed.items()}}


class GroupForms(SynchronousTestCase):
    def test_a_form_sent_as_it_was_shown_changes_nothing(self) -> None:
        wanted = admin.wanted_group("staff", form_of(GROUP), json.loads(admin.seen_group(GROUP)))
        self.assertTrue(admin.nothing_changes(wanted), wanted)

    def test_what_was_typed_becomes_the_difference_alone(self) -> None:
        form = form_of(
            GROUP, members=["alice, carol"], right=["jobs"], shares=["0"], limits__cores=[""],
            user_limits__memory=["16G"],
        )
        wanted = admin.wanted_group("staff", form, json.loads(admin.seen_group(GROUP)))
        self.assertEqual((wanted["add"], wanted["drop"]), (["carol"], ["bob"]))
        self.assertEqual((wanted["give"], wanted["take"]), (["jobs"], ["hosts"]))
        self.assertEqual(
            wanted["set"], {"shares": 0, "limits": {"cores": None}, "user_limits": {"memory": "16G"}}
        )

    def test_a_wrong_number_is_said_beside_its_field(self) -> None:
        for field, value in (("shares", "many"), ("limits.cores", "-1"), ("limits.queued", "1e3")):
            with self.assertRaises(ValueError) as raised:
                admin.wanted_group("staff", form_of(GROUP, **{field.replace(".", "__"): [value]}), GROUP)
            self.assertEqual(raised.exception.args[0], field)


class Tables(SynchronousTestCase):
    def test_certificates_that_end_first_stand_first(self) -> None:
        late = {**USER, "name": "carol", "certificates": [
            {"fingerprint": "cd" * 32, "file": "c", "until": "2028-01-01T00:00:00.000Z", "days_left": 300},
            {"fingerprint": "ef" * 32, "file": "d", "until": "2020-01-01T00:00:00.000Z", "days_left": -1},
        ]}  # fmt: skip
        rows = admin.certificates([late, USER])
        self.assertEqual([(row["user"], row["state"]) for row in rows],
                         [("carol", "expired"), ("bob", "ends soon"), ("carol", "good")])  # fmt: skip

    def test_a_change_that_was_taken_back_cannot_be_again(self) -> None:
        rows = {row["id"]: row for row in admin.audit(CHANGES)}
        self.assertEqual([rows[number]["can_be_undone"] for number in (1, 2, 3)], [True, False, True])
        self.assertEqual(rows[2]["told"], ["shares 1 → 10"])
        self.assertEqual([row["id"] for row in admin.audit(CHANGES, "CAROL")], [3])

    def test_log_lines_are_plain_and_the_newest_first(self) -> None:
        rows = logs.rows([
            {"time": "1", "level": "info", "event": "a", "text": "one"},
            {"time": "2", "level": "warn", "event": "b", "text": "\x1b[31mred\x1b[0m\x07", "job": 17, "pid": 4},
        ])  # fmt: skip
        self.assertEqual(rows[0]["text"], "red")
        self.assertEqual((rows[0]["about"], rows[0]["more"]), ({"job": 17}, "pid=4"))

    def test_an_address_becomes_a_question(self) -> None:
        rest, lines = logs.question({"text": "a:b", "lines": "99999999999", "level": "", "job": " 17 "}, "error")
        self.assertEqual(lines, logs.DEFAULT_LINES)
        self.assertEqual([unquote(part) for part in rest.split(":")], ["200", "file=error", "text=a:b", "job=17"])


class Pages(SynchronousTestCase):
    def setUp(self) -> None:
        self.site = Site(rights=["users", "audit", "log"])
        self.site.link.replies.update(
            lsusers=[USER], lsgroups=[GROUP], status=STATUS, audit=CHANGES, lsshares=[
                {"user": "bob", "groups": ["staff"], "share": 0.5, "used": 7200.0, "part": 0.9, "cores": 2,
                 "factor": 0.3}
            ],
            whoami={"user": "alice", "groups": [], "rights": ["users"]},
            log=[{"time": "2027-01-01T00:00:00.000Z", "level": "warn", "event": "x", "text": "<b>bold</b>",
                  "host": "n1"}],
            lssessions=[{"id": "7", "kind": "session", "user": "alice", "may": "act", "name": "", "made": None,
                         "until": None, "used": None, "agent": "<i>", "address": "127.0.0.1"}],
        )  # fmt: skip

    def test_every_page_shows(self) -> None:
        for path, text in (
            ("/admin", "ends soon"), ("/admin/users", "bob@example.org"), ("/admin/users/bob", "ab" * 32),
            ("/admin/groups", "64 cores in use"), ("/admin/groups/staff", 'value="8G"'), ("/admin/shares", "2.0"),
            ("/admin/certificates", "certs/bob.crt"), ("/admin/audit", "shares 1 → 10"),
            ("/sessions", "(this one)"), ("/dispatcher/log", "&lt;b&gt;bold"), ("/dispatcher/output", "bold"),
        ):  # fmt: skip
            got = self.site.get(path)
            self.assertEqual(got.status, 200, got.body[-300:])
            self.assertIn(text, got.body, path)
            self.assertNotIn("<i>", got.body)

    def test_what_is_not_there_is_a_page_that_says_so(self) -> None:
        for path in ("/admin/users/nobody", "/admin/groups/none"):
            self.assertEqual(self.site.get(path).status, 404)

    def test_a_refused_form_comes_back_with_what_was_typed(self) -> None:
        self.site.link.replies["adduser"] = Reply("this is no certificate", word="user.certificate")
        got = self.site.post("/admin/users", form={"name": "dave", "certificate": "nonsense"})
        self.assertEqual(got.status, 400)
        self.assertIn('value="dave"', got.body)
        self.assertIn("nonsense", got.body)
        self.assertIn("this is no certificate", got.body)

    def test_the_second_of_two_who_change_a_group_sees_the_difference(self) -> None:
        self.site.link.replies["changegroup"] = Reply("group staff was changed: shares 5 → 10", word="conflict.changed")
        seen = {**json.loads(admin.seen_group(GROUP)), "shares": 5}
        got = self.site.post("/admin/groups/staff", form={**form_of(GROUP, shares=["7"]), "seen": json.dumps(seen)})
        self.assertEqual(got.status, 409)
        self.assertIn("shares 5 → 10", got.body)
        self.assertIn('name="shares" inputmode="numeric" value="7"', got.body)
        (said,) = [json.loads(rest) for verb, rest in self.site.link.asked if verb == "changegroup"]
        self.assertEqual((said["was"]["shares"], said["set"]), (5, {"shares": 7}))

    def test_removing_asks_first(self) -> None:
        got = self.site.post("/admin/users/bob/remove")
        self.assertIn("Let bob in no longer?", got.body)
        self.assertNotIn("removeuser", dict(self.site.link.asked))
        self.assertEqual(self.site.post("/admin/users/bob/remove", form={"sure": "1"}).status, 303)
        self.assertIn(("removeuser", "bob"), self.site.link.asked)

    def test_a_log_can_be_saved_as_it_is(self) -> None:
        got = self.site.get("/dispatcher/log/download?level=warn")
        self.assertIn("attachment", got.headers["content-disposition"])
        self.assertEqual(json.loads(got.body)["text"], "<b>bold</b>")

    def test_a_fault_in_the_filters_is_said_beside_them(self) -> None:
        self.site.link.replies["log"] = Reply("'x' is no level", word="proto.arguments")
        got = self.site.get("/dispatcher/log?level=x")
        self.assertEqual(got.status, 400)
        self.assertIn("is no level", got.body)

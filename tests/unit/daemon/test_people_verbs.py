"""Users and groups as they are changed over the line: files, rights, records, and what can be taken back."""

from __future__ import annotations

import datetime
import json
import math
import os

from tests.support.daemons import NotedPeer
from tests.support.people import GROUPS, PeopleCase
from tm.daemon.dispatcher import RETRY_STORE_SECONDS
from tm.errors import StoreError
from tm.model.people_views import dispatcher_warnings
from tm.model.rights import Limits


class UserTests(PeopleCase):
    def add(self, user: str = "carol", by: str = "kate", **more: object) -> None:
        self.done(by, "adduser", {"name": user, "certificate": self.pem(self.identity(user)), **more})

    def test_a_user_is_registered_at_once_and_in_the_file(self) -> None:
        carol = self.identity("carol")
        given = {"name": "carol", "certificate": self.pem(carol), "email": "c@example.org", "groups": ["physics"]}
        self.assertEqual(self.done("kate", "adduser", given).text, "carol is a user now; recorded as 1")
        self.assertEqual(self.dispatcher.tables.users.user_of(carol.fingerprint), "carol")
        self.assertEqual(self.tables().groups.groups_of("carol"), ("physics",))
        self.assertIn(
            '[users.carol]\ncertificates = ["certs/carol.crt"]\nemail = "c@example.org"\n', self.text("users")
        )
        self.assertIn('    "alice",  # since May\n    "bob",\n    "carol",\n]', self.text("groups"))
        (record,) = self.records()
        self.assertEqual(
            (record["user"], record["verb"], record["kind"], record["name"]), ("kate", "adduser", "user", "carol")
        )
        self.assertEqual(record["after"]["groups"], ["physics"])

    def test_what_is_wrong_with_a_new_user_is_said_and_nothing_stays(self) -> None:
        good = self.pem(self.identity("carol"))
        with open(self.identity("x").key, encoding="ascii") as file:
            key = file.read()
        now = datetime.datetime.fromtimestamp(self.clock.seconds(), datetime.UTC)
        old = self.pem(self.identity("old", now=now - datetime.timedelta(days=90)))
        for word, part, given in (
            ("user.exists", "changeuser", {"name": "bob", "certificate": good}),
            ("user.name", "cannot name", {"name": "-x", "certificate": good}),
            ("user.name", "cannot name", {"name": "../x", "certificate": good}),
            ("user.name", "cannot name", {"name": "all", "certificate": good}),
            ("user.name", "cannot name", {"name": "taskdispatcher", "certificate": good}),
            ("user.name", "cannot name", {"name": "taskweb", "certificate": good}),
            ("user.name", "cannot name", {"name": "web@physics", "certificate": good}),
            ("user.name", "cannot name", {"name": "ca_certs.bob", "certificate": good}),
            ("user.certificate", "private key", {"name": "carol", "certificate": good + key}),
            ("user.certificate", "expired", {"name": "carol", "certificate": old}),
            ("user.certificate", "one certificate in PEM", {"name": "carol", "certificate": "no"}),
            ("user.certificate", "as bob's", {"name": "carol", "certificate": self.pem(self.people["bob"])}),
            ("group.unknown", "no group 'none'", {"name": "carol", "certificate": good, "groups": ["none"]}),
            ("config.refused", "expected an address", {"name": "carol", "certificate": good, "email": "nowhere"}),
            ("perm.grant", "rights", {"name": "carol", "certificate": good, "groups": ["admins"]}),
            ("proto.arguments", "unknown field", {"name": "carol", "certificate": good, "colour": "red"}),
            ("proto.arguments", "certificate", {"name": "carol"}),
        ):
            self.assertIn(part, self.refused(word, "kate", "adduser", given))
        self.assertEqual(self.records(), [])

    def test_a_second_certificate_and_the_end_of_the_first(self) -> None:
        fresh, first = self.identity("bob"), self.people["bob"]
        self.done("kate", "changeuser", {"name": "bob", "add": self.pem(fresh)})
        self.assertEqual(self.tables().users.fingerprints_of("bob"), (first.fingerprint, fresh.fingerprint))
        self.done("kate", "changeuser", {"name": "bob", "drop": first.fingerprint[:12].upper()})
        self.assertEqual(self.tables().users.fingerprints_of("bob"), (fresh.fingerprint,))
        self.assertIsNone(self.dispatcher.tables.users.user_of(first.fingerprint))
        self.assertIn("only certificate", self.refused("user.certificate", "kate", "changeuser",
                                                       {"name": "bob", "drop": fresh.fingerprint}))  # fmt: skip
        self.refused("user.certificate", "kate", "changeuser", {"name": "bob", "drop": "00"})
        self.refused("user.certificate", "kate", "changeuser", {"name": "bob", "drop": first.fingerprint})

    def test_one_certificate_takes_the_place_of_another_in_one_step(self) -> None:
        fresh, first = self.identity("bob"), self.people["bob"]
        self.done("kate", "changeuser", {"name": "bob", "add": self.pem(fresh), "drop": first.fingerprint})
        self.assertEqual(self.tables().users.fingerprints_of("bob"), (fresh.fingerprint,))

    def test_an_address_comes_and_goes(self) -> None:
        self.done("kate", "changeuser", {"name": "bob", "email": "b@example.org"})
        self.assertEqual(self.tables().users.by_name["bob"].email, "b@example.org")
        self.done("kate", "changeuser", {"name": "bob", "email": ""})
        self.assertEqual(self.tables().users.by_name["bob"].email, "")
        self.refused("user.unknown", "kate", "changeuser", {"name": "dave", "email": ""})

    def test_who_saw_another_user_is_told_and_nothing_changes(self) -> None:
        seen = next(one for one in self.values("kate", "lsusers") if one["name"] == "bob")
        was = {key: seen[key] for key in ("email", "groups", "certificates")}
        self.done("kate", "changeuser", {"name": "bob", "email": "b@example.org", "was": was})
        told = self.refused("conflict.changed", "kate", "changeuser", {"name": "bob", "email": "", "was": was})
        self.assertEqual(json.loads(told.split("\n")[1]), {"key": "email", "seen": "", "now": "b@example.org"})
        self.assertEqual(self.tables().users.by_name["bob"].email, "b@example.org")
        fresh = {"name": "bob", "email": "", "was": {"certificates": [self.people["bob"].fingerprint]}}
        self.done("kate", "changeuser", fresh)
        self.refused("proto.arguments", "kate", "changeuser", {"name": "bob", "email": "", "was": {"colour": 1}})

    def test_who_is_removed_leaves_all_groups_and_their_jobs_are_cancelled(self) -> None:
        bob = self.attached("bob")
        self.assertTrue(self.said(bob, self.submission(user="bob")).ok)
        self.assertEqual(self.done("kate", "removeuser", "bob").text, "bob is a user no longer; recorded as 1")
        self.assertNotIn("bob", self.text("users") + self.text("groups"))
        self.assertIn("# since May", self.text("groups"))
        shown = self.values("root", "jobinfo", "1")[0]
        self.assertEqual((shown["state"], shown["reason"]), ("cancelled", "bob is no longer a user (removed by kate)"))
        self.assertEqual(self.said(bob, "whoami").word, "auth.unknown")
        self.refused("user.unknown", "kate", "removeuser", "bob")

    def test_nobody_becomes_somebody_else_by_a_certificate(self) -> None:
        mine = self.pem(self.identity("kate"))
        self.assertIn(
            "be root, who has", self.refused("perm.grant", "kate", "changeuser", {"name": "root", "add": mine})
        )
        self.done("kate", "changeuser", {"name": "kate", "add": mine})

    def test_the_list_of_users(self) -> None:
        self.add(email="c@example.org")
        shown = {one["name"]: one for one in self.values("kate", "lsusers")}
        self.assertEqual(list(shown), ["alice", "bob", "carol", "kate", "root"])
        self.assertEqual(shown["bob"]["groups"], ["physics"])
        self.assertEqual(shown["kate"]["rights"], ["log", "users"])
        (one,) = shown["carol"]["certificates"]
        self.assertEqual((one["file"], one["days_left"]), ("certs/carol.crt", 29))
        lines = self.done("kate", "lsusers").body
        self.assertEqual(lines[0].split(), ["user", "groups", "runs", "waits", "certificate", "email"])
        self.assertIn("c@example.org", lines[3])
        self.assertEqual(self.ask("alice", "lsusers").word, "perm.denied")


class GroupTests(PeopleCase):
    def test_a_group_is_made_changed_and_taken_out(self) -> None:
        given = {"name": "chem", "members": ["alice"], "limits": {"cores": 8, "memory": "1G"}, "shares": 2}
        self.assertEqual(self.done("kate", "addgroup", given).text, "group chem is made; recorded as 1")
        chem = self.tables().groups.groups[-1]
        self.assertEqual((chem.members, chem.limits, chem.shares), ({"alice"}, Limits(cores=8, memory=1 << 30), 2))
        change = {"name": "chem", "add": ["bob"], "drop": ["alice"], "unset": ["shares"],
                  "set": {"limits": {"cores": None, "running": 5}, "rights": ["log"]}}  # fmt: skip
        self.done("kate", "changegroup", change)
        chem = self.dispatcher.tables.groups.groups[-1]
        self.assertEqual((chem.members, chem.rights, chem.shares), ({"bob"}, {"log"}, 0))
        self.assertEqual(chem.limits, Limits(running=5, memory=1 << 30))
        self.done("kate", "removegroup", "chem")
        self.assertEqual(self.text("groups"), GROUPS)
        self.assertEqual([one["verb"] for one in self.records()], ["addgroup", "changegroup", "removegroup"])

    def test_limits_count_at_once(self) -> None:
        self.done("kate", "changegroup", {"name": "physics", "set": {"limits": {"queued": 3}}})
        alice = self.attached("alice")
        self.assertTrue(self.said(alice, self.submission("a", count=3)).ok)
        refused = self.said(alice, self.submission("b"))
        self.assertEqual(refused.word, "limit.jobs")
        self.assertIn("group physics together may have 3 jobs waiting (3 now), 1 more", refused.text)
        self.done("kate", "changegroup", {"name": "physics", "unset": ["limits"]})
        self.assertTrue(self.said(alice, self.submission("b")).ok)

    def test_what_is_wrong_with_a_change_is_said_and_nothing_changes(self) -> None:
        for word, part, verb, given in (
            ("group.exists", "changegroup", "addgroup", {"name": "physics"}),
            ("group.name", "cannot name", "addgroup", {"name": "a b"}),
            ("group.unknown", "no group 'none'", "changegroup", {"name": "none"}),
            ("user.unknown", "no user 'dave'", "addgroup", {"name": "chem", "members": ["dave"]}),
            ("user.unknown", "no user 'dave'", "changegroup", {"name": "physics", "add": ["dave"]}),
            ("proto.arguments", "there are alice, bob", "changegroup", {"name": "physics", "drop": ["kate"]}),
            ("proto.arguments", "there are none", "changegroup", {"name": "physics", "take": ["log"]}),
            ("config.refused", "'root' is no right", "addgroup", {"name": "chem", "rights": ["root"]}),
            ("config.refused", "cores: expected a number", "addgroup", {"name": "chem", "limits": {"cores": "x"}}),
            (
                "config.refused",
                "'beer' is not known",
                "changegroup",
                {"name": "physics", "set": {"limits": {"beer": 1}}},
            ),
            ("config.refused", "expected a number of shares", "changegroup", {"name": "physics", "set": {"shares": 0}}),
            ("proto.arguments", "'members' cannot be set", "changegroup", {"name": "physics", "set": {"members": []}}),
            ("proto.arguments", "'colour' cannot be set", "changegroup", {"name": "physics", "unset": ["colour"]}),
        ):
            self.assertIn(part, self.refused(word, "kate", verb, given))
        self.refused("group.unknown", "kate", "removegroup", "none")
        self.assertEqual(self.records(), [])

    def test_rights_come_and_go_one_by_one(self) -> None:
        self.done("root", "changegroup", {"name": "physics", "give": ["verb:canceljob", "log", "log"]})
        self.assertEqual(self.dispatcher.tables.groups.rights_of("bob"), {"verb:canceljob", "log"})
        self.assertIn('rights = ["verb:canceljob", "log"]', self.text("groups"))
        self.done("kate", "changegroup", {"name": "physics", "take": ["verb:canceljob", "log"]})
        self.assertEqual(self.text("groups"), GROUPS)
        self.refused("perm.grant", "kate", "changegroup", {"name": "physics", "give": ["verb:canceljob"]})

    def test_who_saw_an_older_group_is_told(self) -> None:
        was = {"name": "physics", "set": {"shares": 5}, "was": {"shares": 3}}
        self.done("kate", "changegroup", was)
        self.done(
            "kate",
            "changegroup",
            {"name": "physics", "add": ["kate"], "was": {"limits": {"running": 4, "memory": "64G"}}},
        )
        shown = self.values("bob", "lsgroups")[2]
        self.done("kate", "changegroup", {"name": "physics", "drop": ["kate"], "was": shown})
        self.assertIn("shares 3 → 5", self.refused("conflict.changed", "kate", "changegroup", was))

    def test_nobody_gives_what_they_lack(self) -> None:
        for verb, given in (
            ("addgroup", {"name": "mine", "members": ["kate"], "rights": ["shutdown"]}),
            ("addgroup", {"name": "mine", "members": ["*"], "rights": ["verb:activatehost"]}),
            ("changegroup", {"name": "keepers", "set": {"rights": ["users", "log", "hosts"]}}),
            ("changegroup", {"name": "admins", "add": ["kate"]}),
            ("changegroup", {"name": "admins", "add": ["*"]}),
            ("changegroup", {"name": "physics", "set": {"rights": ["all"]}}),
        ):
            self.assertIn("you do not have it yourself", self.refused("perm.grant", "kate", verb, given))
        self.done("kate", "changegroup", {"name": "physics", "set": {"rights": ["log"]}})
        self.done("root", "changegroup", {"name": "physics", "set": {"rights": ["hosts"]}})

    def test_the_last_who_may_change_people_stays(self) -> None:
        self.done("root", "removegroup", "keepers")
        for verb, argument in (
            ("removegroup", "admins"), ("removeuser", "root"),
            ("changegroup", {"name": "admins", "drop": ["root"]}),
            ("changegroup", {"name": "admins", "set": {"rights": ["hosts"]}}),
        ):  # fmt: skip
            self.refused("perm.last", "root", verb, argument)
        self.done("root", "changegroup", {"name": "admins", "add": ["alice"]})
        self.done("root", "removeuser", "root")

    def test_files_edited_by_hand_are_built_upon_and_faulty_ones_are_not(self) -> None:
        self.write("groups", GROUPS + "# mine\n[groups.extra]\nmembers = ['bob']\n")
        self.done("kate", "changegroup", {"name": "extra", "add": ["alice"]})
        self.assertIn("# mine\n[groups.extra]\nmembers = ['bob', \"alice\"]", self.text("groups"))
        self.write("groups", GROUPS + "[groups.extra\n")
        refused = self.ask("kate", "changegroup", {"name": "physics", "add": ["kate"]})
        self.assertEqual(refused.word, "config.invalid")
        self.assertIn(os.path.join(self.folder, "groups") + ":18", refused.text)

    def test_the_list_of_groups_is_for_everybody(self) -> None:
        alice = self.attached("alice")
        self.assertTrue(self.said(alice, self.submission()).ok)
        shown = {one["name"]: one for one in self.values("bob", "lsgroups")}
        self.assertEqual(list(shown), ["admins", "keepers", "physics"])
        physics = shown["physics"]
        self.assertEqual((physics["members"], physics["shares"]), (["alice", "bob"], 3))
        self.assertEqual(physics["limits"], {"running": 4, "memory": 64 << 30})
        self.assertEqual(physics["used"], {"running": 0, "cores": 0, "memory": 0, "queued": 1})
        line = self.done("bob", "lsgroups").body[3]
        self.assertEqual(line.split(None, 4)[:4], ["physics", "3", "0", "1"])
        self.assertIn("running 4, memory 64G", line)


class UndoTests(PeopleCase):
    def test_a_removed_user_comes_back_with_certificate_and_groups(self) -> None:
        self.done("kate", "changeuser", {"name": "bob", "email": "b@example.org"})
        self.done("kate", "removeuser", "bob")
        self.done("root", "undo", "2")
        self.assertEqual(self.tables().users.fingerprints_of("bob"), (self.people["bob"].fingerprint,))
        self.assertEqual(self.tables().users.by_name["bob"].email, "b@example.org")
        self.assertEqual(self.dispatcher.tables.groups.groups_of("bob"), ("physics",))
        self.assertEqual(self.records()[-1]["undoes"], 2)

    def test_a_change_of_a_group_is_taken_back_unless_it_changed_again(self) -> None:
        self.done("kate", "changegroup", {"name": "physics", "add": ["kate"]})
        self.done("kate", "changegroup", {"name": "physics", "set": {"shares": 9}})
        self.assertIn("has changed since record 1", self.refused("undo.stale", "root", "undo", "1"))
        self.done("root", "undo", "2")
        self.done("root", "undo", "1")
        self.assertEqual(self.text("groups"), GROUPS)

    def test_nobody_gives_by_undoing_what_they_lack(self) -> None:
        self.done("root", "changegroup", {"name": "keepers", "set": {"rights": ["users", "audit"]}})
        self.done("root", "addgroup", {"name": "spare", "members": ["alice"], "rights": ["shutdown"]})
        self.done("root", "removegroup", "spare")
        self.assertIn("give alice the right shutdown", self.refused("perm.grant", "kate", "undo", "3"))
        self.done("root", "undo", "3")

    def test_what_removes_or_adds_by_undoing_needs_the_verb_for_that(self) -> None:
        own = ["audit", *(f"verb:{verb}" for verb in ("addgroup", "changegroup", "removegroup"))]
        for step, lacking in enumerate(("removegroup", "addgroup")):
            rights = [right for right in own if right != f"verb:{lacking}"]
            half = {"name": f"half{step}", "members": [("alice", "bob")[step]], "rights": rights}
            self.done("root", "addgroup", half)
        self.done("root", "addgroup", {"name": "chem"})
        self.refused("perm.denied", "alice", "undo", "3")
        self.done("root", "removegroup", "chem")
        self.refused("perm.denied", "bob", "undo", "4")
        self.done("root", "undo", "4")

    def test_undoing_does_not_remove_the_last_who_may_change_people(self) -> None:
        self.done("root", "addgroup", {"name": "more", "members": ["root"], "rights": ["all"]})
        self.done("root", "removegroup", "keepers")
        self.done("root", "removegroup", "admins")
        self.refused("perm.last", "root", "undo", "1")

    def test_without_the_right_for_users_nothing_of_them_is_undone(self) -> None:
        self.done("root", "addgroup", {"name": "auditors", "members": ["alice"], "rights": ["audit"]})
        self.done("root", "changegroup", {"name": "physics", "set": {"shares": 9}})
        self.refused("perm.denied", "alice", "undo", "2")


class KnownTests(PeopleCase):
    """What a verb has changed is not found again by a reload, and what a hand has changed is, and can be undone."""

    def test_a_reload_finds_nothing_of_what_verbs_did(self) -> None:
        given = {"name": "carol", "certificate": self.pem(self.identity("carol")), "groups": ["physics"]}
        self.done("kate", "adduser", given)
        self.done("kate", "changegroup", {"name": "physics", "set": {"shares": 9}})
        self.done("kate", "removeuser", "bob")
        self.done("root", "undo", "3")
        self.done("kate", "removeuser", "carol")
        before = len(self.records())
        self.done("root", "reload")
        self.assertEqual(len(self.records()), before)

    def test_what_could_not_be_recorded_is_not_known_either(self) -> None:
        answer = self.say(NotedPeer("kate"), "removeuser:bob")
        self.clock.advance(0)
        self.writer.broken = StoreError("store.full", "no space")
        self.writer.work()
        self.failureResultOf(answer, StoreError)
        self.writer.broken = None
        self.clock.advance(RETRY_STORE_SECONDS)
        self.settle()
        before = len(self.records())
        self.done("root", "reload")
        self.assertEqual(len(self.records()), before)

    def test_a_change_on_top_of_an_edit_by_hand_records_both(self) -> None:
        self.write("groups", GROUPS.replace("shares = 3", "shares = 4"))
        self.done("kate", "removeuser", "bob")
        told = [(one["user"], one["kind"], one["name"]) for one in self.records()]
        self.assertEqual(told, [("(by hand)", "group", "physics"), ("kate", "user", "bob")])
        self.done("root", "reload")
        self.assertEqual(len(self.records()), 2)

    def test_what_a_hand_changed_of_a_user_can_be_undone(self) -> None:
        self.write("users", self.text("users").replace("[users.bob]", '[users.bob]\nemail = "b@example.org"\n#'))
        self.done("root", "reload")
        (record,) = self.records()
        self.assertEqual((record["verb"], record["kind"], record["name"]), ("reload", "user", "bob"))
        self.done("root", "undo", "1")
        self.assertEqual(self.tables().users.by_name["bob"].email, "")
        self.assertEqual(self.tables().groups.groups_of("bob"), ("physics",))


class StoreTests(PeopleCase):
    def test_what_cannot_be_recorded_has_not_happened(self) -> None:
        carol = self.pem(self.identity("carol"))
        users, groups = self.text("users"), self.text("groups")
        given = {"name": "carol", "certificate": carol, "groups": ["physics"]}
        answer = self.say(NotedPeer("kate"), "adduser:" + json.dumps(given))
        self.assertIn("carol", self.text("users"))
        self.clock.advance(0)
        self.writer.broken = StoreError("store.full", "no space")
        self.writer.work()
        self.assertEqual(self.failureResultOf(answer, StoreError).value.word, "store.full")
        self.assertEqual((self.text("users"), self.text("groups")), (users, groups))
        self.assertNotIn("carol", self.dispatcher.tables.users)
        self.assertEqual(self.ask("kate", "removeuser", "bob").word, "store.full")


class SelfTests(PeopleCase):
    def test_one_sees_what_one_is_and_may_and_uses(self) -> None:
        alice = self.attached("alice")
        self.assertTrue(self.said(alice, self.submission(count=2)).ok)
        (shown,) = self.values("alice", "whoami")
        self.assertEqual((shown["user"], shown["groups"], shown["rights"]), ("alice", ["physics"], []))
        self.assertEqual((shown["shares"], shown["used"]["queued"]), ({"physics": 3}, 2))
        limits = [(one["what"], one["limit"], one["used"], one["of"]) for one in shown["limits"]]
        self.assertEqual(limits, [("running", 4, 0, "group"), ("memory", 64 << 30, 0, "group")])
        self.assertIn(
            "limits: running 0 of 4 (group physics together); memory 0 of 64G (group physics together)",
            self.done("alice", "whoami").body,
        )

    def test_a_certificate_that_ends_soon_is_warned_of_thirty_days_before(self) -> None:
        long = self.identity("bob", days=365)
        self.done("kate", "changeuser", {"name": "bob", "add": self.pem(long)})
        (warning,) = self.values("bob", "whoami")[0]["warnings"]
        self.assertIn(f"{self.people['bob'].fingerprint[:16]}… of bob ends on", warning)
        self.assertIn("use that one", warning)
        self.assertTrue(any(line.startswith("warnings: the certificate") for line in self.done("bob", "whoami").body))
        peer = NotedPeer("bob")
        peer.fingerprint = long.fingerprint
        self.assertIn('"warnings":[]', self.said(peer, "whoami.json").body[0])
        self.assertIn("tm cert request", self.values("alice", "whoami")[0]["warnings"][0])

    def test_status_warns_of_ones_own_and_who_administers_users_of_all(self) -> None:
        for name in ("alice", "bob"):
            self.done("kate", "changeuser", {"name": name, "add": self.pem(self.identity(name, days=365))})
        (status,) = self.values("bob", "status")
        self.assertEqual([part.split("… of ")[1].split()[0] for part in status["warnings"]], ["bob"])
        (status,) = self.values("kate", "status")
        self.assertEqual([part.split("… of ")[1].split()[0] for part in status["warnings"]], ["kate", "root"])
        self.assertIn("warnings: the certificate", "\n".join(self.done("kate", "status").body))

    def test_everybody_is_warned_of_the_dispatchers_own_certificate(self) -> None:
        now = self.clock.seconds()
        self.assertEqual(dispatcher_warnings("ab" * 32, now + 31 * 86400, now), [])
        self.assertEqual(dispatcher_warnings("ab" * 32, math.inf, now), [])
        (warning,) = dispatcher_warnings("ab" * 32, now + 86400 * 1.5, now)
        self.assertIn("the dispatcher's certificate abababababababab… ends on", warning)
        self.assertIn(", in 1 day;", warning)
        (warning,) = dispatcher_warnings("ab" * 32, now - 1, now)
        self.assertIn("expired on", warning)

    def test_a_job_that_a_limit_holds_back_says_so(self) -> None:
        self.done("kate", "changegroup", {"name": "physics", "set": {"limits": {"running": 0}}})
        alice = self.attached("alice")
        refused = self.said(alice, self.submission())
        self.assertEqual((refused.word, "raised in etc/groups" in refused.text), ("job.impossible", True))
        self.done("kate", "changegroup", {"name": "physics", "set": {"limits": {"running": 1}}})
        self.said(alice, self.hello())
        self.assertTrue(self.said(alice, self.submission(count=2)).ok)
        refused = self.said(alice, self.submission("now", interactive=True))
        self.assertEqual((refused.word, "hRunJob lets the command wait" in refused.text), ("limit.jobs", True))
        states = [(one["state"], one["reason"]) for one in self.values("alice", "lsjobs")]
        limit = "group physics together may have 1 job running at once (1 now)"
        self.assertEqual(states, [("starting", ""), ("pending", limit)])

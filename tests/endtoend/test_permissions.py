"""Who may say what, walked over the wire: groups change, are read again, every verb is said to a real dispatcher."""

from __future__ import annotations

import json
from collections.abc import Iterable

from tests.support.chain import ChainCase
from tests.support.permissions import LINES, OF_A_SERVER, PERMITTED, denied, expected, group_sets
from tests.support.talk import HungUpError, Talk

HOSTS = {
    "n1": {"launcher": "local", "cores": 1, "owners": ["bob"], "infoserver": False},
    "n2": {"launcher": "local", "cores": 1, "owners": ["alice"], "infoserver": False},
}


class WalkTests(ChainCase):
    """Bob is asked for everything; alice administers, has a job of hers and a host."""

    hosts = HOSTS

    def setUp(self) -> None:
        super().setUp()
        self.jobs = {user: self.cluster.submit(user, "exec sleep 1000")[0] for user in ("alice", "bob")}
        for user, job in self.jobs.items():
            self.cluster.wait([job], user=user, states=("running",))
        self.arrays = {
            user: self.cluster.submit(user, "true", array="0-1", hold=True)[0] for user in self.jobs
        }  # fmt: skip
        self.wishes = {user: json.dumps(self.wish(user)) for user in self.jobs}

    def wish(self, user: str) -> dict[str, object]:
        """Return a submission in the name of *user* of a job that nobody accepts."""
        spec = {"user": user, "command": "id", "cwd": "/", "environment": "", "cores": 9999}
        return {"token": "t", "orders": [[json.dumps(spec), "00"]], "environments": {}}

    def give(self, rights: Iterable[str]) -> None:
        """Let bob be in a group for each of *rights*."""
        text = '[groups.admins]\nmembers = ["alice"]\nrights = ["all"]\n'
        for number, right in enumerate(rights):
            text += f'[groups.g{number}]\nmembers = ["bob"]\nrights = ["{right}"]\n'
        self.cluster.write_etc("groups", text)
        self.admin.ask("reload")

    def line(self, verb: str, own: bool) -> str:
        """Return what bob says to see whether *verb* is permitted."""
        user = "bob" if own else "alice"
        line = LINES[verb]
        if "SESSION" in line:
            line = line.replace("SESSION", self.session(user))
        words = {
            "USER": user, "JOB": str(self.jobs[user]), "ARRAY": str(self.arrays[user]), "HOST": "n1" if own else "n2",
            "WISH": self.wishes[user],
        }  # fmt: skip
        for mark, word in words.items():
            line = line.replace(mark, word)
        return line

    def session(self, user: str) -> str:
        """Return the id of the one token that *user* has, a new one."""
        with self.cluster.dispatcher(user) as talk:
            for one in map(json.loads, talk.ask("lssessions.json").body):
                if one["user"] == user:
                    talk.ask("endsession", one["id"])
            (line,) = talk.ask("addtoken.json", '{"name":"t","may":"look"}').body
        return str(json.loads(line)["id"])

    def may(self, bob: Talk, verb: str, own: bool) -> bool:
        bob.send(self.line(verb, own).encode() + b"\n")
        return not denied(verb, bob.reply().word)

    def test_every_verb_for_every_set_of_groups_own_or_not(self) -> None:
        self.admin = self.cluster.dispatcher("alice")
        self.addCleanup(self.admin.close)
        self.admin.ask("attach", "{}")  # no server of hers takes orders any more: her job cannot be ended
        wrong = []
        for rights in group_sets(whole=False):
            self.give(rights)
            with self.cluster.dispatcher("bob") as stranger, self.cluster.dispatcher("bob") as server:
                server.ask("attach", "{}")
                for verb in PERMITTED:
                    if verb == "shutdown" and expected(verb, rights, True):
                        continue
                    for own in (True, False):
                        talk = server if own and verb in OF_A_SERVER else stranger
                        if verb == "attach":
                            talk = server
                        if self.may(talk, verb, own) != expected(verb, rights, own):
                            wrong.append((verb, rights, "own" if own else "not own"))
        self.assertEqual(wrong, [])
        self.give(["shutdown"])
        with self.cluster.dispatcher("bob") as bob:
            self.assertTrue(self.may(bob, "shutdown", True))
            self.assertRaises(HungUpError, bob.next)

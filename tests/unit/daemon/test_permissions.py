"""Every verb, said by members of every set of groups, of what is their own and what is not: against a second table."""

from __future__ import annotations

import hashlib
import json
from typing import ClassVar

from tests.faults.record import count
from tests.support.brain import order
from tests.support.daemons import NotedPeer, refusal
from tests.support.permissions import LINES, OF_A_SERVER, PERMITTED, RIGHTS, denied, expected, group_sets
from tests.unit.daemon.test_dispatcher import ENVIRONMENT, DispatcherCase
from tm.daemon.dispatcher import Tables
from tm.model import rights
from tm.model.host import HostConfig
from tm.model.rights import Group, Groups, User, Users
from tm.model.sessions import Wish
from tm.wire import verbs

DIGEST = hashlib.sha256(ENVIRONMENT.encode()).hexdigest()


class PermissionCase(DispatcherCase):
    """Walker owns the host n1 and the job 1 and the array 3, another the host n2, the job 2 and the array 4."""

    given: ClassVar[tuple[str, ...]] = ()

    def setUp(self) -> None:
        super().setUp()
        self.hosts = (
            HostConfig(name="n1", address="n1", cores=2, owners=("walker",)),
            HostConfig(name="n2", address="n2", cores=2, owners=("other",)),
        )
        self.begin()
        for user, host in (("walker", "n1"), ("other", "n2")):
            server = self.attached(user)
            self.assertTrue(self.said(server, self.hello(host=host, spool=user)).ok)
            self.assertTrue(self.said(server, self.submission(user, user=user, hosts=[host])).ok)
        for user in ("walker", "other"):
            self.said(NotedPeer(user), self.submission(f"array of {user}", user=user, array="0-1", hold=True))

    def tables(self) -> Tables:
        users = Users.of(*[User(name, (f"fingerprint of {name}",)) for name in ("walker", "other", "root")])
        groups = [Group(f"g{n}", frozenset({"walker", "root"}), frozenset({r})) for n, r in enumerate(self.given)]
        others = Group("others", frozenset({"root", "other"}), frozenset({"all"}))
        return Tables(users, Groups((*groups, others)), self.hosts)

    def line(self, verb: str, own: bool) -> str:
        """Return what to say to see whether *verb* is permitted."""
        name = "walker" if own else "other"
        wish = {"token": "t", "orders": [order(name, environment=DIGEST, cores=9999)], "environments": {}}
        words = {"USER": name, "JOB": "12"[not own], "ARRAY": "34"[not own], "HOST": ("n1", "n2")[not own]}
        words["WISH"] = json.dumps(wish)
        line = LINES[verb]
        if "SESSION" in line:
            fresh = self.dispatcher.web.fresh("link")
            line = line.replace("SESSION", self.dispatcher.web.sessions.link(Wish(name, "look"), fresh).id)
        for mark, word in words.items():
            line = line.replace(mark, word)
        return line

    def may(self, verb: str, own: bool) -> bool:
        """Whether walker may say *verb*."""
        peer = NotedPeer("walker")
        if verb in OF_A_SERVER and own:
            self.assertTrue(self.said(peer, "attach:{}").ok)
        answer = self.say(peer, self.line(verb, own)).addErrback(refusal)
        self.settle()
        peer.lost()
        return not denied(verb, self.successResultOf(answer).word)


class WalkTests(PermissionCase):
    def test_the_second_table_has_all_verbs_and_all_rights(self) -> None:
        self.assertEqual(set(PERMITTED), set(verbs.DISPATCHER))
        self.assertEqual(set(LINES), set(verbs.DISPATCHER))
        self.assertEqual(RIGHTS, rights.RIGHTS)

    def test_every_verb_for_every_set_of_groups_own_or_not(self) -> None:
        wrong = []
        walked = 0
        for given in group_sets(whole=True):
            type(self).given = given
            self.dispatcher.tables = self.tables()
            for verb in PERMITTED:
                for own in (True, False):
                    walked += 1
                    if self.may(verb, own) != expected(verb, given, own):
                        wrong.append((verb, given, "own" if own else "not own"))
        type(self).given = ()
        self.assertEqual(wrong, [])
        self.assertEqual(walked, 2 * len(PERMITTED) * len(list(group_sets(whole=True))))
        count(54, walked)

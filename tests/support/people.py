"""A dispatcher with real files of users and groups, around a store in memory, and people who speak to it."""

from __future__ import annotations

import json
import os
from dataclasses import replace
from typing import Any

from tests.support.daemons import NotedPeer, refusal
from tests.support.identities import Identity
from tests.unit.daemon.test_dispatcher import DispatcherCase
from tm import config
from tm.config.people_files import PeopleFiles
from tm.daemon.dispatcher import Surroundings, Tables
from tm.wire.message import Reply

GROUPS = """\
# what people may
[groups.admins]   # the whole of it
members = ["root"]
rights = ["all"]

[groups.keepers]
members = ["kate"]
rights = ["users", "log"]

# who calculates
[groups.physics]
members = [
    "alice",  # since May
    "bob",
]
limits = { running = 4, memory = "64G" }
shares = 3
"""
USERS = ("root", "kate", "alice", "bob")


class PeopleCase(DispatcherCase):
    """Root has all rights, Kate those for users and the log, Alice and Bob none."""

    def setUp(self) -> None:
        self.folder = os.path.abspath(self.mktemp())
        os.makedirs(os.path.join(self.folder, "certs"))
        self.people = {name: Identity(os.path.join(self.folder, "certs"), name, name) for name in USERS}
        self.write("users", "# who is who\n" + "".join(self.user_text(name) for name in USERS))
        self.write("groups", GROUPS)
        self.write("ComputerCluster.config", "[hosts.n1]\ncores = 2\n")
        self.files = PeopleFiles(self.folder)
        super().setUp()
        end = self.people["root"].presented.not_valid_after_utc.timestamp()
        self.clock.advance(end - 29.5 * 86400 - self.clock.seconds())

    def surroundings(self) -> Surroundings:
        return replace(super().surroundings(), people=self.files)

    def tables(self) -> Tables:
        loaded = config.load(self.folder)
        return Tables(loaded.users, loaded.groups, loaded.hosts, loaded.tables)

    @staticmethod
    def user_text(name: str) -> str:
        """Return the table of a user."""
        return f'[users.{name}]  # {name.title()}\ncertificates = ["certs/{name}.crt"]\n'

    def write(self, name: str, text: str) -> None:
        """Write a file of ``etc``."""
        with open(os.path.join(self.folder, name), "w", encoding="utf-8") as file:
            file.write(text)

    def text(self, name: str) -> str:
        """Return what a file of ``etc`` holds."""
        with open(os.path.join(self.folder, name), encoding="utf-8") as file:
            return file.read()

    def identity(self, name: str, **more: Any) -> Identity:
        """Return an identity whose files are not in ``etc``."""
        folder = os.path.abspath(self.mktemp())
        os.makedirs(folder)
        return Identity(folder, name, name, **more)

    def pem(self, identity: Identity) -> str:
        """Return the certificate of *identity*."""
        with open(identity.certificate, encoding="ascii") as file:
            return file.read()

    def ask(self, user: str, verb: str, argument: object = None) -> Reply:
        """Return the answer to *verb*, whose *argument* is JSON unless it is text."""
        peer = NotedPeer(user)
        peer.fingerprint = self.people[user].fingerprint if user in self.people else ""
        rest = "" if argument is None else ":" + (argument if isinstance(argument, str) else json.dumps(argument))
        answer = self.say(peer, verb + rest)
        answer.addErrback(refusal)
        self.settle()
        return self.successResultOf(answer)

    def done(self, user: str, verb: str, argument: object = None) -> Reply:
        """Return the answer, which must be no refusal."""
        reply = self.ask(user, verb, argument)
        self.assertTrue(reply.ok, (reply.word, reply.text))
        return reply

    def refused(self, word: str, user: str, verb: str, argument: object = None) -> str:
        """Return the text of a refusal of the class *word*, after which all is as it was."""
        before = (self.text("users"), self.text("groups"), sorted(os.listdir(os.path.join(self.folder, "certs"))))
        reply = self.ask(user, verb, argument)
        self.assertEqual(reply.word, word, reply.text)
        after = (self.text("users"), self.text("groups"), sorted(os.listdir(os.path.join(self.folder, "certs"))))
        self.assertEqual(before, after)
        self.assertEqual(self.dispatcher.tables.groups, config.load(self.folder).groups)
        return reply.text

    def values(self, user: str, verb: str, argument: object = None) -> list[dict[str, Any]]:
        """Return the values that ``VERB.json`` answers with."""
        return [json.loads(line) for line in self.done(user, verb + ".json", argument).body]

    def records(self) -> list[dict[str, Any]]:
        """Return the audit log."""
        return self.values("root", "audit")

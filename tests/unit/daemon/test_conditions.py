"""The conditions of many hosts: looked at every second, and not by everybody who asks."""

from __future__ import annotations

import json
import os
from typing import Any

from tests.support.daemons import NotedPeer
from tests.unit.daemon.test_dispatcher import DispatcherCase
from tm.daemon.conditions import MANY
from tm.model.host import HostConfig


class ManyHostsTests(DispatcherCase):
    def tables(self) -> Any:
        self.hosts = tuple(HostConfig(name=f"n{number}", address="h", cores=2) for number in range(MANY + 6))
        with open(os.path.join(self.etc, "ComputerCluster.config"), "w", encoding="utf-8") as file:
            file.write("".join(f"[hosts.{host.name}]\ncores = 2\n" for host in self.hosts))
        return super().tables()

    def states(self) -> dict[str, str]:
        return {one["name"]: one["state"] for one in map(json.loads, self.said(NotedPeer(), "lshosts.json").body)}

    def test_what_changes_is_shown_at_once_and_what_nobody_tells_of_within_two_seconds(self) -> None:
        self.assertEqual(set(self.states().values()), {"unknown"})
        self.clock.advance(1.0)
        self.assertTrue(self.said(NotedPeer("root"), "deactivatehost:n7:a fan").ok)
        self.assertEqual(self.states()["n7"], "drained")
        shown = json.loads(self.said(NotedPeer(), "status.json").body[0])
        self.assertEqual(shown["hosts"], {"unknown": MANY + 5, "drained": 1})
        self.dispatcher.brain.hosts["n8"].declared = "lost"
        self.assertEqual(self.states()["n8"], "unknown")
        self.assertEqual(json.loads(self.said(NotedPeer(), "hostinfo.json:n8").body[0])["state"], "down")
        self.dispatcher.brain.hosts["n9"].declared = "lost"
        self.clock.advance(1.0)
        self.assertEqual(self.states()["n9"], "down")

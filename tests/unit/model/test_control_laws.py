"""Orders of people between all else that happens: the books agree, and what is suspended by somebody stays so."""

from __future__ import annotations

import random
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from tests.support.brain import World
from tests.support.properties import examples
from tests.unit.model.test_brain_laws import HOSTS, POLICIES, REFUSALS, USERS, WEIGHTS, apply
from tm.errors import RefusedError
from tm.model.altering import By
from tm.model.changing import Wanted
from tm.model.host import Courtesy
from tm.model.phase import Phase
from tm.model.selection import Selection

ORDERS = ("canceljob", "holdjob", "releasejob", "suspendjob", "resumejob", "signaljob", "requeuejob", "changejob")


def order(world: World, dice: random.Random) -> None:
    """Let somebody give an order for some jobs."""
    brain = world.brain
    by = By(dice.choice(USERS), dice.random() < 0.3, dice.choice(("", "so")))
    verb = dice.choice(ORDERS)
    ids = ids_of(world, dice)
    found = Selection(ids, by.user).resolve(
        brain.jobs, lambda owner: by.rules or owner == by.user, lambda job: str(job.phase)
    )
    wanted = dice.choice(
        (
            Wanted(cores=dice.randint(1, 3)), Wanted(priority=dice.randint(-5, 5)), Wanted(time=dice.randint(600, 609)),
            Wanted(cap=dice.randint(0, 3)), Wanted(begin=world.at + dice.randint(1, 5)), Wanted(hosts=["n2"]),
        )
    )  # fmt: skip
    does: dict[str, Any] = {
        "canceljob": lambda one: brain.cancelled(one, by, world.at),
        "holdjob": lambda one: brain.hold(one, by, world.at),
        "releasejob": lambda one: brain.release(one, by, world.at),
        "suspendjob": lambda one: brain.suspended(one.job, by, world.at),
        "resumejob": lambda one: brain.resumed(one.job, by, world.at),
        "signaljob": lambda one: brain.signalled(one.job, "USR1", by, world.at),
        "requeuejob": lambda one: world.put_back.add(one.job.id) or brain.requeued(one.job, by, world.at),
        "changejob": lambda one: brain.changed(one.job, wanted, by, world.at),
    }
    for one, why in list(brain.touches(verb, found.picked, by)):
        if not why and (one.job.id in brain.jobs):
            try:
                does[verb](one)
            except RefusedError as refusal:
                if refusal.word not in (*REFUSALS, "job.state"):
                    raise


def ids_of(world: World, dice: random.Random) -> str:
    """Return some jobs, arrays or tasks, or a filter."""
    known = sorted(world.brain.jobs)
    arrays = [job.id for job in world.brain.jobs.values() if job.tasks is not None]
    choices = ["state=pending", "state=running", "state=suspended,held user=all", f"host={dice.choice(list(HOSTS))}"]
    if known:
        choices += [f"{number}" for number in dice.sample(known, min(3, len(known))) if number < 1 << 32]
    if arrays:
        choices += [f"{dice.choice(arrays)}_[0-{dice.randint(0, 9)}]", f"array={dice.choice(arrays)}"] * 2
    return dice.choice(choices)


class ControlLawsTests(SynchronousTestCase):
    @examples(200, shrink=False)
    @given(st.integers(0, 1 << 32), POLICIES)
    def test_orders_keep_the_laws_in_any_history(self, seed: int, policies: tuple[Courtesy, Courtesy]) -> None:
        dice = random.Random(seed)
        world = World(USERS, HOSTS, True, {"n1": policies[0], "n2": policies[1]})
        for event in [("attach", 0, 0, 0), ("attach", 1, 0, 0), ("submit", 0, 0, 9), ("array", 1, 0, 9)]:
            apply(world, event)
        for user, host in world.boxes:
            world.connect(user, host)
        world.turn()
        kinds = dice.choices(list(WEIGHTS), list(WEIGHTS.values()), k=dice.randint(20, 120))
        for kind in kinds:
            world.at += 0.001
            try:
                apply(world, (kind, dice.randrange(2), dice.randrange(2), dice.randrange(10)))
            except RefusedError as refusal:
                self.assertIn(refusal.word, REFUSALS, refusal.text)
            if dice.random() < 0.4:
                order(world, dice)
            world.check()
            self.check_suspended(world)
        world.settle()
        world.check_ends()

    def check_suspended(self, world: World) -> None:
        """What somebody has suspended, and is so, is not asked to go on."""
        for session in world.brain.sessions.values():
            for job in session.occupying.values():
                pause = session.pauses.get(job.id)
                ending = job.gives_way is not None or job.cancelled_by is not None
                if job.suspended_by is not None and job.phase is Phase.SUSPENDED and not ending:
                    self.assertTrue(pause is not None and pause.wanted, f"job {job.id} is to go on")

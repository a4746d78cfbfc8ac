"""Whatever happens, in whatever order: the books agree, nothing starts twice, nothing is lost, all comes to its end."""

from __future__ import annotations

import random
from collections.abc import Callable

from hypothesis import given
from hypothesis import strategies as st
from twisted.trial.unittest import SynchronousTestCase

from tests.faults.record import count
from tests.support.brain import World
from tests.support.properties import examples
from tm.errors import RefusedError
from tm.model.host import Courtesy
from tm.model.ids import is_task, shown_id, task_id
from tm.model.phase import Phase
from tm.model.rights import Group, Groups, Limits
from tm.model.spec import accepted_spec
from tm.ports import JobQuery

USERS = ["alice", "bob"]
REFUSALS = """
job.unknown job.impossible job.dependency job.invalid job.state host.unknown feature.unknown consumable.unknown
""".split()
HOSTS = {"n1": 2, "n2": 5}
Event = tuple[str, int, int, int]
POLICIES = st.tuples(st.sampled_from(Courtesy), st.sampled_from(Courtesy))

WEIGHTS = {
    "submit": 4,
    "wide": 1,
    "picky": 1,
    "cancel": 2,
    "attach": 2,
    "detach": 1,
    "connect": 6,
    "disconnect": 1,
    "report": 16,
    "unacknowledged": 2,
    "again": 2,
    "think": 3,
    "commit": 3,
    "tell": 3,
    "turn": 16,
    "tick": 3,
    "wait": 2,
    "end": 16,
    "fail": 1,
    "deactivate": 1,
    "activate": 2,
    "configure": 1,
    "failed": 1,
    "restart": 1,
    "repeatable": 3,
    "load": 6,
    "calm": 4,
    "console": 1,
    "silent": 1,
    "leave": 1,
    "return": 1,
    "drain": 1,
    "lost": 0.2,
    "refuse": 2,
    "limit": 2,
    "gpus": 2,
    "counted": 2,
    "licensed": 2,
    "alone": 1,
    "choosy": 1,
    "array": 2,
    "after": 6,
    "correspond": 3,
    "chain": 1,
    "single": 1,
    "later": 2,
    "late": 2,
    "again and again": 3,
    "array again": 1,
    "hold": 3,
    "release": 3,
    "depend": 1,
}
KINDS = ("after", "afterok", "afternotok", "afterany", "aftercorr")


def history(seed: int) -> list[Event]:
    """Return the events of one life; a flurry of ordinary turns is likelier than any trouble."""
    dice = random.Random(seed)
    kinds = dice.choices(list(WEIGHTS), list(WEIGHTS.values()), k=dice.randint(20, 160))
    return [(kind, dice.randrange(2), dice.randrange(2), dice.randrange(10)) for kind in kinds]


def apply(world: World, event: Event) -> None:
    """Let one thing happen in *world*."""
    what, who, where, number = event
    user, host = USERS[who], list(HOSTS)[where]
    box = world.boxes[user, host]
    running = [key for key in box.running if not box.is_stopped(key)]
    key = running[number % len(running)] if running else None
    does: dict[str, Callable[[], object]] = {
        "submit": lambda: world.submit(user, 1 + number * 3, requeue=number % 2 == 0),
        "wide": lambda: world.submit(user, 1 + number, cores=2 + number % 3, priority=number % 3),
        "picky": lambda: world.submit(user, 2, hosts=[host], memory=number),
        "cancel": lambda: world.brain.cancel_asked(_some(world, number), user, "", world.at),
        "attach": lambda: world.brain.user_server_attached(user),
        "detach": lambda: world.detach(user),
        "connect": lambda: world.connect(user, host),
        "disconnect": lambda: world.disconnect(user, host),
        "report": lambda: world.report(user, host),
        "unacknowledged": lambda: world.report(user, host, repeat=True),
        "again": lambda: world.repeat_facts(number),
        "think": world.think,
        "commit": world.commit,
        "tell": world.tell_all,
        "turn": world.turn,
        "tick": lambda: world.brain.tick(world.at),
        "wait": lambda: setattr(world, "at", world.at + number * number),
        "end": lambda: key and box.end(key, world.at),
        "fail": lambda: key and box.end(key, world.at, exit_code=3),
        "deactivate": lambda: world.brain.host_activated(host, False, "work on it", world.at),
        "activate": lambda: world.brain.host_activated(host, True, "", world.at),
        "configure": lambda: world.brain.hosts_configured(world.configured(number), world.at),
        "failed": lambda: world.brain.launch_reported(user, host, "failed", "no", world.at),
        "restart": world.born,
        "repeatable": lambda: world.submit(user, 1 + number, cores=1 + number % 2, priority=1, requeue=True),
        "load": lambda: world.hear(host, float(number)),
        "calm": lambda: world.hear(host, 0.0),
        "console": lambda: world.hear(host, 0.0, console_idle=5.0, logged_in=["carol"]),
        "silent": lambda: world.brain.host_reported(host, None, None, world.at),
        "leave": lambda: world.brain.machine_left(host, world.at + 10.0 * number, "carol", world.at),
        "return": lambda: world.brain.machine_returned(host, "carol", world.at),
        "drain": lambda: world.brain.host_drained(host, world.at + number if number % 2 else None, "a fan", world.at),
        "lost": lambda: world.declare_lost(host),
        "refuse": lambda: world.refuse(user, host),
        "limit": lambda: world.brain.people_configured(limited(number), world.at),
        "array": lambda: world.submit(user, array=f"0-{number}", array_cap=number % 3, requeue=number % 2 == 0),
        "gpus": lambda: world.submit(user, 1 + number, gpus=1 + number % 2),
        "counted": lambda: world.submit(user, 1 + number, consumables={"matlab": 1 + number % 2}, requeue=True),
        "licensed": lambda: world.submit(user, 1 + number, consumables={"ansys": 1 + number % 2}),
        "alone": lambda: world.submit(user, 2, cores=1 + number % 2, exclusive=True, priority=number % 2),
        "choosy": lambda: world.submit(user, 2, constraint="odd or load<2", prefer="not odd"),
        "after": lambda: world.submit(user, dependency=dependency(world, user, number + where), name="b"),
        "correspond": lambda: world.submit(
            user, array=f"0-{number}", dependency=f"aftercorr:{_array(world, user, number)}", array_cap=number % 4
        ),
        "chain": lambda: chain(world, user, number),
        "single": lambda: world.submit(user, 1 + number % 3, name="b", dependency="singleton"),
        "later": lambda: world.submit(user, begin=world.at + number * 5, hold=number % 4 == 0),
        "late": lambda: world.submit(user, 2, deadline=world.at + number * 3, array="1-3" if number % 3 else ""),
        "again and again": lambda: world.submit(
            user, 2, retries=2, retry_on=["exit:3", "host"], retry_delay=float(number)
        ),
        "array again": lambda: world.submit(user, array="2-8:2", retries=1, retry_on=["any"], array_cap=2),
        "hold": lambda: world.brain.held([_any(world, number + where)], user, "", world.at),
        "release": lambda: world.brain.released([_any(world, number + where)], user, world.at),
        "depend": lambda: depend(world, number),
    }  # fmt: skip
    does[what]()


def dependency(world: World, user: str, number: int) -> str:
    """Return something to wait for: one or two jobs, arrays or tasks, active or over."""
    dice = random.Random(number * 31 + world.tokens)
    mine = [job.id for job in world.brain.jobs.values() if job.user == user and job.tasks is None]
    arrays = [job for job in world.brain.jobs.values() if job.user == user and job.tasks is not None]
    over = [job.id for job in world.store.jobs(JobQuery(user=user, limit=1000))]
    tasks = [task_id(job.id, one[-1]) for job in arrays if job.tasks for one in job.tasks.everything]
    known = [*mine[-5:], *[job.id for job in arrays], *over[-3:], *tasks]
    found = (
        [f"{dice.choice(KINDS)}:{shown_id(dice.choice(known))}" for _ in range(dice.choice((1, 1, 2)))]
        if known
        else []
    )
    if number % 7 == 0:
        found.append("singleton")
    one = number % 5 == 0 and not any(word.startswith("aftercorr") for word in found)
    return ("?" if one else ",").join(found)


def chain(world: World, user: str, number: int) -> None:
    """Submit jobs each of which waits for the one before."""
    kinds = random.Random(number).choices(KINDS, k=5)
    world.submit(user)
    for kind in kinds:
        last = max(job for job in world.brain.jobs if not is_task(job)) if world.brain.jobs else 1
        world.submit(user, dependency=f"{kind}:{last}")


def depend(world: World, number: int) -> None:
    """Let some job that waits wait for others than before."""
    waiting = [job for job in world.brain.jobs.values() if job.phase in (Phase.HELD, Phase.PENDING)]
    fresh = [
        job
        for job in waiting
        if not (job.tasks or is_task(job.id)) and not accepted_spec(job.spec).dependency
    ]
    if fresh:
        job = fresh[number % len(fresh)]
        text = dependency(world, job.user, number + 1)
        world.brain.dependency_changed(job, text, world.ended(text), world.at)


def _array(world: World, user: str, number: int) -> int:
    arrays = [job.id for job in world.store.jobs(JobQuery(user=user, limit=1000)) if job.tasks is not None]
    return arrays[-1 - number % min(3, len(arrays))] if arrays else 1


def _any(world: World, number: int) -> int:
    """Return the id of a job, an array, or of a task that may have none yet."""
    known = sorted(world.brain.jobs)
    picked = known[number * 5 % len(known)] if known else 1
    return task_id(picked, number % 4) if number % 2 and not is_task(picked) else picked


def limited(number: int) -> Groups:
    """Return groups that let one of the users, or both together, have so many jobs running, one at least."""
    most = Limits(running=1 + number // 2)
    each = Group("each", frozenset({"*"}), user_limits=most)
    return Groups((each if number % 2 else Group("all", frozenset({"*"}), limits=most),))


def beyond(world: World, before: dict[str, int]) -> list[str]:
    """Return whose limits are exceeded by more jobs than the *before* that ran."""
    usage = world.brain.limits
    found = []
    for user in USERS:
        for bound in usage.bounds(user):
            now, then = bound.used.running, sum(before.values()) if bound.together else before[user]
            if bound.limits.running is not None and now > max(bound.limits.running, then):
                found.append(f"{now} jobs run: {bound}")
    return found


def _some(world: World, number: int) -> int:
    known = sorted(world.brain.jobs)
    return known[number * 7 % len(known)] if known else number


class LawsTests(SynchronousTestCase):
    def live(self, events: list[Event], known: bool, policies: tuple[Courtesy, Courtesy]) -> World:
        world = World(USERS, HOSTS, known, {"n1": policies[0], "n2": policies[1]})
        for event in [("attach", 0, 0, 0), ("attach", 1, 0, 0), ("submit", 0, 0, 9), ("submit", 1, 0, 2)]:
            apply(world, event)
        for user, host in world.boxes:
            world.connect(user, host)
        world.turn()
        for event in events:
            world.at += 0.001
            before = {user: world.brain.limits.of_user(user)["running"] for user in USERS}
            try:
                apply(world, event)
            except RefusedError as refusal:
                self.assertIn(refusal.word, REFUSALS, refusal.text)
            world.check()
            self.assertEqual(beyond(world, before), [])
        return world

    @examples(200, shrink=False)
    @given(st.integers(0, 1 << 32), POLICIES)
    def test_any_history_keeps_the_laws_and_comes_to_its_end(
        self, seed: int, policies: tuple[Courtesy, Courtesy]
    ) -> None:
        world = self.live(history(seed), True, policies)
        world.settle()
        world.check_ends()
        count(14, 1)

    @examples(200, shrink=False)
    @given(st.integers(0, 1 << 32), POLICIES)
    def test_so_it_does_when_only_the_hosts_know_their_cores(
        self, seed: int, policies: tuple[Courtesy, Courtesy]
    ) -> None:
        world = self.live(history(seed), False, policies)
        world.settle()
        world.check_ends()

"""Links that are cut at any byte, and answers that are lost: nothing is lost by that, and nothing happens twice."""

from __future__ import annotations

import random

from tests.faults.drills import Bench, Outcome, drill
from tests.faults.links import LINKS, CutLinks


@drill("cuts", rows=(13,))
def cut_bytes(bench: Bench, chance: random.Random) -> Outcome:
    """Cut one link, new or old, at one byte after the other of a job's conversation, from a random one on."""
    link, afresh = chance.choice(LINKS), chance.random() < 0.7
    with bench.cluster() as cluster, CutLinks(cluster) as links:
        length = links.length(link, afresh)
        first = at = chance.randint(1, length)
        trials = 0
        while bench.left() > 0:
            trials += links.cut(link, at, afresh)
            at = at % length + 1
        links.check()
        return Outcome(trials, (), {"link": link, "afresh": afresh, "from": first, "to": at, "length": length})


@drill("cuts-anywhere", rows=(13,))
def cut_anywhere(bench: Bench, chance: random.Random) -> Outcome:
    """Cut any link at any byte."""
    with bench.cluster() as cluster, CutLinks(cluster) as links:
        lengths = {(link, afresh): links.length(link, afresh) for link in LINKS for afresh in (False, True)}
        trials = 0
        while bench.left() > 0:
            link, afresh = chance.choice(sorted(lengths))
            trials += links.cut(link, chance.randint(1, lengths[link, afresh]), afresh)
        links.check()
        return Outcome(trials)


@drill("lost-answers", rows=(7,))
def lose_answers(bench: Bench, chance: random.Random) -> Outcome:
    """Lose the answer to a submission after its commit, and submit again with its token."""
    with bench.cluster() as cluster, CutLinks(cluster) as links:
        trials = 0
        while bench.left() > 0:
            links.lose_answer(chance.choice(("client", "dispatcher")))
            trials += 1
        links.check()
        return Outcome(trials)

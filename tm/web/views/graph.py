"""What jobs wait for, drawn: a column for each step back, an arrow for each condition. Plain numbers; SVG is made of
them by a template, and the same stands beside it as a list."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from tm.model.dependency import read_dependency
from tm.model.ids import shown_id
from tm.web.render import SHAPES

WIDE, HIGH = 170, 40
GAP_X, GAP_Y = 110, 14
MARGIN = 8
MOST_NODES = 24
DEPTH = 4


@dataclass(frozen=True, slots=True)
class Edge:
    """The job *target* waits for *source*, by this *kind* of condition (``afterok``)."""

    source: str
    target: str
    kind: str


@dataclass(frozen=True, slots=True)
class Node:
    """A job in the drawing, with its left upper corner. *state* is empty where it is not known."""

    id: str
    name: str
    state: str
    x: int
    y: int

    @property
    def shape(self) -> str:
        """The shape of its state."""
        return SHAPES.get(self.state, "?")


@dataclass(frozen=True, slots=True)
class Arrow:
    """An arrow between two nodes, what stands at it, and where."""

    x1: int
    y1: int
    x2: int
    y2: int
    text: str
    condition: Edge


@dataclass(frozen=True, slots=True)
class Graph:
    """The drawing: its size, *nodes* and *arrows*."""

    width: int
    height: int
    nodes: list[Node]
    arrows: list[Arrow]


def edges_of(job: Mapping[str, Any]) -> list[Edge]:
    """Return what *job* waits for, or waited for when it was submitted: an edge for each condition that names a job."""
    asked = {**(job.get("asked") or {}), **(job.get("changed") or {})}
    try:
        conditions = read_dependency(str(asked.get("dependency") or job.get("dependency") or "")).conditions
    except ValueError:
        return []
    return [Edge(str(shown_id(one.target)), str(job["id"]), one.kind) for one in conditions if one.target]


def drawn(root: str, edges: list[Edge], known: Mapping[str, Mapping[str, Any]]) -> Graph:
    """Return the drawing of *edges*, which end at *root*; *known* are the jobs that could be looked at."""
    depth = {root: 0}
    for _ in range(DEPTH + 1):
        for edge in edges:
            if edge.target in depth:
                depth[edge.source] = max(depth.get(edge.source, 0), min(depth[edge.target] + 1, DEPTH + 1))
    deepest = max(depth.values())
    places: dict[str, Node] = {}
    for step in range(deepest + 1):
        for row, number in enumerate(one for one, at in depth.items() if at == step):
            job = known.get(number, {})
            x = MARGIN + (deepest - step) * (WIDE + GAP_X)
            y = MARGIN + row * (HIGH + GAP_Y)
            places[number] = Node(number, str(job.get("name") or ""), str(job.get("state") or ""), x, y)
    arrows = [_arrow(edge, places[edge.source], places[edge.target]) for edge in edges if edge.source in places]
    width = 2 * MARGIN + (deepest + 1) * WIDE + deepest * GAP_X
    height = MARGIN + max(node.y for node in places.values()) + HIGH
    return Graph(width, height, list(places.values()), arrows)


def _arrow(edge: Edge, source: Node, target: Node) -> Arrow:
    return Arrow(source.x + WIDE, source.y + HIGH // 2, target.x, target.y + HIGH // 2, edge.kind, edge)

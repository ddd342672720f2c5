"""The causal chain of an engagement as a drawing: where each box and each line stands. The template draws it.

Twice: with causes to the left of their effects, and, where a screen is narrow, above them.
"""

import unicodedata
from collections.abc import Iterator
from dataclasses import dataclass, field

from engagements.admin import addresses, display
from engagements.selectors.causes import CHILDREN_COUNTED, Cause, Causes

WIDTH, HEIGHT = 192, 50
GAP_X, GAP_Y = 34, 12
INDENT = 20
EDGE = 4
"""All in pixels."""

LETTERS = 23
"""Of a user's id in a box; wide letters count twice."""


@dataclass(slots=True)
class Node:
    """One engagement, or a remark about some that are not shown. kind: names its colour."""

    depth: int
    parent: "Node | None"
    address: str
    first: str
    second: str
    title: str
    kind: str
    itself: bool = False
    waits: bool = False
    children: list["Node"] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Box:
    node: Node
    x: int
    y: int

    @property
    def text_x(self) -> int:
        return self.x + 14

    @property
    def first_y(self) -> int:
        return self.y + 21

    @property
    def second_y(self) -> int:
        return self.y + 39


@dataclass(frozen=True, slots=True)
class Line:
    """From a cause to its effect. waits: the effect waits for it now."""

    path: str
    waits: bool


@dataclass(frozen=True, slots=True)
class Graph:
    shape: str
    width: int
    height: int
    boxes: list[Box]
    lines: list[Line]

    box_width = WIDTH
    box_height = HEIGHT


def draw(causes: Causes) -> list[Graph]:
    """The wide and the narrow drawing; nothing when there is neither cause nor effect."""
    if causes.alone:
        return []
    nodes = _nodes(causes)
    return [_wide(nodes), _narrow(nodes)]


def _nodes(causes: Causes) -> list[Node]:
    """All boxes, each after its cause."""
    nodes: list[Node] = []

    def add(parent: Node | None, **values: object) -> Node:
        node = Node(parent.depth + 1 if parent else 0, parent, **values)  # type: ignore[arg-type]
        if parent:
            parent.children.append(node)
        nodes.append(node)
        return node

    def remark(parent: Node | None, first: str, second: str, address: str) -> Node:
        return add(parent, address=address, first=first, second=second, title=first, kind="more")

    def tree(cause: Cause, parent: Node | None, *, itself: bool = False) -> Node:
        node = add(parent, **_words(cause, itself=itself))
        for child in cause.children:
            tree(child, node)
        if cause.more:
            many = f"+{cause.more:,} more"
            if cause.more + len(cause.children) > CHILDREN_COUNTED:
                many = f"more than {CHILDREN_COUNTED:,} more"
            remark(node, many, f"children of {str(cause.id)[:8]}", f"{addresses.engagement(cause.id)}#children")
        return node

    above: Node | None = None
    if causes.further is not None:
        above = remark(None, "further up", str(causes.further)[:8], addresses.engagement(causes.further))
    for cause in reversed(causes.above):
        above = add(above, **_words(cause))
    tree(causes.itself, above, itself=True)
    return nodes


def _words(cause: Cause, *, itself: bool = False) -> dict[str, object]:
    short = str(cause.id)[:8]
    words: dict[str, object] = {"itself": itself, "waits": cause.waits, "address": "", "title": str(cause.id)}
    if cause.status is None:
        return {**words, "first": "not known here", "second": f"{short}, to come or deleted", "kind": "unknown"}
    words["title"] = f"{cause.id}, {cause.status} of user {display.visible(cause.user_id)}"
    if not itself:
        words["address"] = addresses.engagement(cause.id)
    if cause.repeated:
        return {**words, "first": fitted(cause.user_id), "second": f"↺ {short} again: a cycle", "kind": "failed"}
    state = f"{cause.status}, waits" if cause.waits else cause.status
    return {**words, "first": fitted(cause.user_id), "second": f"{short} · {state}", "kind": cause.status}


def _wide(nodes: list[Node]) -> Graph:
    rows = 0
    boxes: dict[int, Box] = {}
    for node in reversed(nodes):  # effects before their causes: a cause stands beside the first of its effects
        if node.children:
            y = boxes[id(node.children[0])].y
        else:
            y = rows  # counted from below; turned over at the end
            rows += 1
        boxes[id(node)] = Box(node, EDGE + node.depth * (WIDTH + GAP_X), y)
    placed = {key: Box(box.node, box.x, EDGE + (rows - 1 - box.y) * (HEIGHT + GAP_Y)) for key, box in boxes.items()}
    lines = []
    for node in nodes:
        if node.parent:
            start, end = placed[id(node.parent)], placed[id(node)]
            turn = end.x - GAP_X // 2
            path = f"M{start.x + WIDTH} {start.y + HEIGHT // 2}H{turn}V{end.y + HEIGHT // 2}H{end.x}"
            lines.append(Line(path, node.waits))
    return _graph("wide", [placed[id(node)] for node in nodes], lines)


def _narrow(nodes: list[Node]) -> Graph:
    boxes = {
        id(node): Box(node, EDGE + node.depth * INDENT, EDGE + row * (HEIGHT + GAP_Y)) for row, node in enumerate(nodes)
    }
    lines = []
    for node in nodes:
        if node.parent:
            start, end = boxes[id(node.parent)], boxes[id(node)]
            path = f"M{start.x + INDENT // 2} {start.y + HEIGHT}V{end.y + HEIGHT // 2}H{end.x}"
            lines.append(Line(path, node.waits))
    return _graph("narrow", list(boxes.values()), lines)


def _graph(shape: str, boxes: list[Box], lines: list[Line]) -> Graph:
    return Graph(
        shape=shape,
        width=max(box.x for box in boxes) + WIDTH + EDGE,
        height=max(box.y for box in boxes) + HEIGHT + EDGE,
        boxes=boxes,
        lines=sorted(lines, key=lambda line: line.waits),  # those that are waited for lie on top
    )


def fitted(user_id: str) -> str:
    """A user id as it fits into a box."""
    return "".join(_fitting(display.visible(user_id)))


def _fitting(text: str) -> Iterator[str]:
    room = LETTERS
    for letter in text:
        room -= 2 if unicodedata.east_asian_width(letter) in "WF" else 1
        if room < 1:
            yield "…"
            return
        yield letter

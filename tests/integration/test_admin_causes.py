"""The causal chain on the page of an engagement: who follows whom, across users, drawn within bounds and honestly."""

from uuid import UUID, uuid4

import pytest
from django.test import Client

from engagements.admin.causal_graph import EDGE, HEIGHT, LETTERS, WIDTH, Graph, fitted
from engagements.models import Engagement
from engagements.services import produce, replay
from engagements.store import read_causes
from engagements.store.connection import current
from tests.support.console import HOSTILE_USERS, address, attempt, failed, operator, policy_violations, viewer

pytestmark = pytest.mark.django_db


@pytest.fixture
def console() -> Client:
    return operator()


def follow(parent: Engagement | UUID | None, user: str) -> Engagement:
    id = parent.id if isinstance(parent, Engagement) else parent
    return (
        produce(user_id=user, payload={}, causal_parent=id).engagement
        if id
        else produce(user_id=user, payload={}).engagement
    )


def chain(*users: str) -> list[Engagement]:
    """Each follows the one before it."""
    made: list[Engagement] = []
    for user in users:
        made.append(follow(made[-1] if made else None, user))
    return made


def page(console: Client, engagement: Engagement) -> tuple[str, Graph]:
    response = console.get(address("engagement", f"{engagement.id}/change/"))
    assert policy_violations(response) == []
    return response.content.decode(), response.context["graphs"][0]


def drawn(graph: Graph) -> list[tuple[str, str]]:
    return [(box.node.first, box.node.second.partition(" · ")[2]) for box in graph.boxes]


def test_causes_and_effects_stand_in_their_order_with_users_and_states(console: Client) -> None:
    bob, alice, carol = chain("bob", "alice", "carol")
    text, graph = page(console, alice)
    assert drawn(graph) == [("bob", "pending"), ("alice", "pending, waits"), ("carol", "pending, waits")]
    assert [line.waits for line in graph.lines] == [True, True]
    attempt("bob", "delivered")
    attempt("alice", "failed")
    text, graph = page(console, alice)
    assert drawn(graph) == [("bob", "delivered"), ("alice", "failed"), ("carol", "pending")]
    assert not any(line.waits for line in graph.lines)
    for other in (bob, carol):
        assert address("engagement", f"{other.id}/change/") in text
    assert Engagement.objects.get(id=carol.id).status == "pending"


def test_no_boxes_overlap_in_either_drawing(console: Client) -> None:
    *_, middle = chain("a", "b", "c", "d", "e")
    for n in range(5):
        child = follow(middle, f"child-{n}")
        for m in range(n):
            follow(follow(child, f"grandchild-{n}-{m}"), "leaf")
    graphs = console.get(address("engagement", f"{middle.id}/change/")).context["graphs"]
    for graph in graphs:
        places = sorted((box.x, box.y) for box in graph.boxes)
        for x, y in places:
            assert EDGE <= x <= graph.width - WIDTH - EDGE
            assert EDGE <= y <= graph.height - HEIGHT - EDGE
        for one in places:
            for other in places:
                assert one == other or abs(one[0] - other[0]) >= WIDTH or abs(one[1] - other[1]) >= HEIGHT
        assert len(set(places)) == len(places)
    assert graphs[1].width <= 390 - 2 * 20


def test_a_long_chain_is_cut_on_both_sides_and_leads_on(console: Client) -> None:
    made = chain(*(f"user-{n}" for n in range(12)))
    text, graph = page(console, made[6])
    users = [box.node.first for box in graph.boxes]
    assert users == ["further up", *(f"user-{n}" for n in range(3, 10))]
    assert address("engagement", f"{made[2].id}/change/") in text


def test_of_many_children_some_are_drawn_and_the_others_counted(console: Client) -> None:
    [parent] = chain("parent")
    for n in range(9):
        follow(parent, f"child-{n}")
    text, graph = page(console, parent)
    assert [box.node.first for box in graph.boxes] == ["parent", *(f"child-{n}" for n in range(6)), "+3 more"]
    assert "The first 9 children" in text
    rows = read_causes.children(current(), parent.id, most=2)
    assert [row["siblings"] for row in rows] == [9, 9]


def test_a_parent_that_is_not_known_is_drawn_as_such(console: Client) -> None:
    child = follow(uuid4(), "alice")
    _, graph = page(console, child)
    assert [(box.node.first, box.node.kind) for box in graph.boxes] == [
        ("not known here", "unknown"),
        ("alice", "pending"),
    ]
    assert graph.lines[0].waits


def test_a_cycle_is_drawn_as_a_cycle(console: Client) -> None:
    """The services refuse one that they can see; concurrent requests can let one slip in."""
    one, two = chain("one", "two")
    Engagement.objects.filter(id=one.id).update(causal_parent=two.id)
    for engagement in (one, two):
        _, graph = page(console, engagement)
        assert sum("a cycle" in box.node.second for box in graph.boxes) == 2
        assert [box.node.first for box in graph.boxes].count("one") == 2


def test_a_replayed_one_waits_for_nobody_and_nobody_waits_for_it(console: Client) -> None:
    broken = failed("alice")
    child = follow(broken, "bob")
    replay(broken.id, actor="test")
    _, graph = page(console, child)
    assert drawn(graph) == [("alice", "pending"), ("bob", "pending")]


def test_one_without_causes_says_what_to_do_next(console: Client) -> None:
    [alone] = chain("alone")
    text = console.get(address("engagement", f"{alone.id}/change/")).content.decode()
    assert "It follows no other engagement" in text
    assert "Add a child" in text
    text = viewer().get(address("engagement", f"{alone.id}/change/")).content.decode()
    assert "Add a child" not in text


@pytest.mark.parametrize("user", HOSTILE_USERS)
def test_any_user_id_is_drawn_as_text_that_fits(user: str, console: Client) -> None:
    [parent] = chain(user)
    text, _ = page(console, follow(parent, "alice"))
    assert "<script>alert" not in text
    assert len(fitted(user)) <= LETTERS

"""A child looks at its parent, finds it pending and goes to sleep; at that very moment the parent settles."""

from uuid import uuid4

from engagements import services
from engagements.models import Engagement
from engagements.services import produce
from engagements.store import children, lease, settle
from tests.support.store import Connect, claim_one, in_thread, settlement, start_worker, status, until


def test_a_child_that_registers_while_its_parent_settles_is_woken(connect: Connect) -> None:
    """Its pipeline is locked when the waking comes by: that is reported, and tried again, never forgotten."""
    first, second = connect(), connect()
    start_worker(first, "w1")
    parent = produce(user_id="parent", payload={}).engagement
    child = produce(user_id="child", payload={}, causal_parent=parent.id).engagement
    grant = claim_one(first, "parent")

    with first.transaction():
        looked = lease.claim(first, ["child"], worker="w1")
        assert looked.asleep["child"] > 20  # it saw a pending parent and means to sleep until its deadline
        settled = settle.settle(second, [settlement(grant)], worker="w1")
        users = children.users_of(second, settled.ids)
        assert users == ["child"]
        woken = children.wake(second, users)
        assert woken.busy == ["child"]

    assert children.wake(second, woken.busy).wake == {"w1": ["child"]}
    assert claim_one(second, "child").id == child.id


def test_a_child_whose_pipeline_attempts_something_needs_no_waking(connect: Connect) -> None:
    """Whoever settles what is in service looks at the child afterwards, and sees that its parent has settled."""
    first, second = connect(), connect()
    start_worker(first, "w1")
    parent = produce(user_id="parent", payload={}).engagement
    produce(user_id="child", payload={"before": True})
    child = produce(user_id="child", payload={}, causal_parent=parent.id).engagement
    before = claim_one(first, "child")
    settled = settle.settle(second, [settlement(claim_one(second, "parent"))], worker="w1")

    with first.transaction():
        answer = settle.settle(first, [settlement(before)], worker="w1")
        assert answer.asleep == {"child": 0.0}
        assert children.wake(second, children.users_of(second, settled.ids)).busy == []

    assert claim_one(first, "child").id == child.id


def test_a_service_wakes_a_child_whose_pipeline_was_locked_for_a_moment(connect: Connect) -> None:
    """A purge settles the parent while somebody looks at the child: the purge wakes the child nevertheless."""
    first = connect()
    start_worker(first, "w1")
    parent = produce(user_id="parent", payload={}).engagement
    produce(user_id="child", payload={}, causal_parent=parent.id)

    with first.transaction():
        assert "child" in lease.claim(first, ["child"], worker="w1").asleep
        purge = in_thread(lambda: services.purge("parent", actor="test"))
        until(lambda: status(parent.id) == "purged", "the purge's commit")

    assert purge.result() == 1
    assert claim_one(first, "child")


def test_a_parent_that_comes_while_its_child_registers_wakes_it(connect: Connect) -> None:
    """The child did not know it yet and means to sleep: it sorts after its parent now, and makes way."""
    first = connect()
    start_worker(first, "w1")
    parent = uuid4()
    produce(user_id="child", payload={}, causal_parent=parent)
    behind = produce(user_id="child", payload={}).engagement

    with first.transaction():
        assert lease.claim(first, ["child"], worker="w1").asleep["child"] > 20
        coming = in_thread(lambda: produce(user_id="parent", id=parent, payload={}))
        until(lambda: Engagement.objects.filter(id=parent).exists(), "the parent's commit")

    assert coming.result(timeout=10).created
    assert claim_one(first, "child").id == behind.id

"""Programs that the simulation failed on once, shortened by hand. The race itself is a test in tests/concurrency/."""

from tests.simulation.machine import Machine


def test_a_process_that_was_replaced_ends_no_barrier_of_its_successor(simulation: None) -> None:
    """It learns that its lease is gone before it learns that it was replaced; meanwhile its successor was purged."""
    state = Machine()
    state.begin(seed=24, number=1)
    try:
        state.produce(user="ann", age=None, answers=[("ok", 30.0)], timeout=12.0, unordered=False, parent=None)
        state.time_passes(seconds=1.2)
        state.a_worker_starts(name="w1")
        state.a_moment_passes(seconds=0.2)
        state.an_operator_does(user="ann", what="purge")
        state.produce(user="ann", age=None, answers=[("ok", 0.0)], timeout=12.0, unordered=False, parent=None)
        for _ in range(4):
            state.time_passes(seconds=0.3)
            state.the_promises_hold()
    finally:
        state.teardown()

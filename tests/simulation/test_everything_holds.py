"""Store and engine under all that Hypothesis can think of, in simulated time, judged by a model of the promises.

A quick look with every run of the suite, always the same; `make soak` takes 100,000 steps, others each time. What fails
is printed as a program, with the seed that finds it again.
"""

import os
import random

import hypothesis
import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis.stateful import get_state_machine_test

from tests.simulation.machine import Machine

LONG = "SIMULATION_STEPS" in os.environ

STEPS = int(os.environ.get("SIMULATION_STEPS", "400"))
"""In all; a run has up to RUN of them."""

RUN = 40

quick_or_long = settings(
    max_examples=max(1, STEPS // RUN),
    stateful_step_count=RUN,
    deadline=None,
    database=None,
    print_blob=True,
    phases=[Phase.generate, Phase.shrink],
    suppress_health_check=list(HealthCheck),
)


@pytest.mark.timeout(0 if LONG else 300)
def test_the_promises_hold_whatever_happens(simulation: None) -> None:
    """Producing, crashes, frozen and cut-off workers, operators, a broker that lies: order, causes, deadlines, loss."""
    seed = int(os.environ.get("SIMULATION_SEED") or (random.SystemRandom().getrandbits(32) if LONG else 1))
    run = hypothesis.seed(seed)(get_state_machine_test(Machine, settings=quick_or_long))
    try:
        run()
    except BaseException as error:
        error.add_note(f"again: SIMULATION_SEED={seed} SIMULATION_STEPS={STEPS} make test ARGS=tests/simulation")
        raise

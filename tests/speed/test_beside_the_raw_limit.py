"""Speed does not get lost unseen: ours is compared with the raw limit of the same run, never with a time of its own."""

import pytest

from benchmarks.guard import Compared, compare
from benchmarks.servers import servers

CPU = 2.6
"""What a delivery may spend for each unit that a raw settle spends. Measured: 1.62 to 1.94, with two cores under a load
of 7 to 19. Half of the speed lost would be 3.2 or more."""

AT_WORK = 0.75
"""Threads of ours that run or could, for each of the raw limit's: an engine that waits without need has fewer.
Measured: 1.15 to 1.29, under the same load. Half of the speed lost by waiting would be 0.64 or less."""

TURNS, MOST_TURNS = 3, 7
"""Each takes about five seconds. A machine that hiccups gets some more of them before it is believed."""


def holds(compared: Compared) -> bool:
    return compared.turns >= TURNS and compared.ratio("cpu") <= CPU and compared.ratio("at_work") >= AT_WORK


@pytest.mark.timeout(600)
def test_a_delivery_costs_little_more_than_the_raw_settle_that_nobody_can_do_without() -> None:
    """Ours drained and raw settles on the same tables, in turns: neither CPU nor time is lost by a factor of two."""
    compared = None
    with servers() as started:
        for compared in compare(started, most=MOST_TURNS):
            if holds(compared):
                break
    assert compared is not None, "the beginning of every turn was missed: the machine is far too busy"
    assert holds(compared), f"{compared}; at most {CPU} times the cpu, at least {AT_WORK} times at work"

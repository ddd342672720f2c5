"""The ring: whoever joins or leaves, only the users move that must."""

import os
import subprocess
import sys
from collections import Counter
from functools import cache
from hashlib import md5
from itertools import combinations, pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from engagements.domain.ring import HASH_SPACE, Ring, queue_of, worker_of

USERS = [f"user-{number}" for number in range(1000)]

WORKERS = [f"w{number}@host" for number in range(1, 7)]

SETS = [chosen for size in range(1, len(WORKERS) + 1) for chosen in combinations(WORKERS, size)]
"""All 63 sets of six workers: every join and every leave among them."""


@cache
def ring_of(workers: frozenset[str]) -> Ring:
    return Ring(sorted(workers))


def assignment(ring: Ring) -> dict[str, str | None]:
    return {user: ring.worker(user) for user in USERS}


@pytest.fixture(scope="module")
def assignments() -> dict[frozenset[str], dict[str, str | None]]:
    """Set of workers → user → worker."""
    return {frozenset(workers): assignment(ring_of(frozenset(workers))) for workers in SETS}


def test_every_user_has_a_live_worker(assignments: dict[frozenset[str], dict[str, str | None]]) -> None:
    for workers, assigned in assignments.items():
        assert set(assigned.values()) <= workers


def test_a_worker_that_leaves_moves_only_its_own_users(
    assignments: dict[frozenset[str], dict[str, str | None]],
) -> None:
    """And read backwards: one that joins takes users only for itself. Every leave and join among six workers."""
    looked_at = 0
    for workers, before in assignments.items():
        if len(workers) == 1:
            continue
        for gone in workers:
            after = assignments[workers - {gone}]
            moved = {user for user in USERS if before[user] != after[user]}
            assert moved == {user for user in USERS if before[user] == gone}
            looked_at += 1
    assert looked_at == 6 * 2**5 - 6


def test_about_one_in_n_moves(assignments: dict[frozenset[str], dict[str, str | None]]) -> None:
    """A worker's share is its moving part: within twice and a third of 1/N for every set."""
    for workers, assigned in assignments.items():
        shares = Counter(assigned.values())
        fair = len(USERS) / len(workers)
        assert all(fair / 3 <= shares[worker] <= fair * 2 for worker in workers), (sorted(workers), shares)


def test_the_order_in_which_workers_are_named_says_nothing() -> None:
    for workers in SETS[:: len(SETS) // 10]:
        assert assignment(Ring(workers)) == assignment(Ring(workers[::-1]))


def test_with_no_worker_nobody_has_one() -> None:
    assert Ring([]).worker("anybody") is None


@given(st.text(min_size=1, max_size=200), st.sets(st.sampled_from(WORKERS), min_size=2))
def test_any_user_id_moves_only_when_it_must(user: str, workers: set[str]) -> None:
    before = ring_of(frozenset(workers)).worker(user)
    assert before in workers
    for gone in workers:
        after = ring_of(frozenset(workers - {gone})).worker(user)
        assert after == before or before == gone


@pytest.mark.parametrize("seed", ["0", "1"])
def test_every_process_gives_the_same_answer(seed: str) -> None:
    """Python hashes strings differently in each process; the ring must not."""
    code = (
        "from engagements.domain.ring import Ring\n"
        f"ring = Ring({WORKERS!r})\n"
        "print(*(ring.worker(f'user-{number}') for number in range(1000)))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code],
        env={**os.environ, "PYTHONHASHSEED": seed},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.split() == list(assignment(Ring(WORKERS)).values())


def test_a_queue_is_named_after_its_worker() -> None:
    assert queue_of("w1@host") == "deliver.w1@host"
    assert worker_of("deliver.w1@host") == "w1@host"
    assert worker_of("unordered") is None


@pytest.mark.parametrize("workers", [[], ["w1"], ["w1", "w2"], WORKERS])
def test_the_arcs_go_once_around_and_tell_every_users_worker(workers: list[str]) -> None:
    ring = Ring(workers)
    arcs = ring.arcs()
    assert [arc.begin for arc in arcs] == [0.0, *(arc.end for arc in arcs[:-1])] if arcs else not workers
    assert all(before.worker != after.worker for before, after in pairwise(arcs))
    for user in USERS if workers else []:
        place = int(md5(user.encode(), usedforsecurity=False).hexdigest(), 16) / HASH_SPACE
        [arc] = [arc for arc in arcs if arc.begin <= place < arc.end]
        assert arc.worker == ring.worker(user)


def test_the_shares_are_what_the_users_come_to() -> None:
    ring = Ring(WORKERS)
    shares = ring.shares()
    assert sum(shares.values()) == pytest.approx(1)
    found = Counter(ring.worker(f"someone-{number}") for number in range(20_000))
    assert {worker: found[worker] / 20_000 for worker in WORKERS} == pytest.approx(shares, abs=0.02)

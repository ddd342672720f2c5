"""What a run of the benchmarks says at its end, from what was recorded."""

from pathlib import Path
from typing import Any

import pytest

from benchmarks.goals import GOALS
from benchmarks.limits.limit import RAW_SQL
from benchmarks.record import Record
from benchmarks.shapes import DENSE, SPARSE
from benchmarks.table import goal_rows, markdown
from benchmarks.turns import Contender, Figures, Measure, Turns

MACHINE = {
    "cores": 2,
    "cpu": "a cpu",
    "memory_gb": 24.0,
    "kernel": "Linux",
    "python": "3.11",
    "postgresql": "18",
    "node": "v24",
    "commit": "abc",
}


def taken(tmp_path: Path, contenders: list[Contender], *, rounds: int = 3) -> tuple[Record, list[str]]:
    """The record of a measure called dense, and who had the turns."""
    record = Record.new(tmp_path / "run.json", machine=MACHINE, options={"rounds": rounds, "quick": False})
    said: list[str] = []
    Turns(rounds=rounds, keep=record.keep, say=said.append).take(Measure("dense", "some work", contenders))
    return record, [line.split("  ")[1] for line in said if line.startswith("  ")]


def contender(name: str, *rates: float, violations: dict[str, int] | None = None, **more: Any) -> Contender:
    left = list(rates)
    return Contender(name, lambda: Figures({"rate": left.pop(0)}, violations or {}), **more)


def test_everybody_has_a_turn_before_anybody_has_the_next(tmp_path: Path) -> None:
    _, order = taken(tmp_path, [contender("a", 1, 2), contender("b", 3, 4)], rounds=2)
    assert order == ["a", "b", "a", "b"]


def test_medians_and_spread_are_of_all_turns_and_are_read_back_from_the_file(tmp_path: Path) -> None:
    taken(tmp_path, [contender("ours", 30, 10, 20)])
    assert tuple(Record.read(tmp_path / "run.json").spreads("dense", "ours")["rate"]) == (20, 10, 30, 3)


def test_who_cannot_be_run_is_listed_with_the_reason(tmp_path: Path) -> None:
    record, _ = taken(tmp_path, [contender("a peer", missing="no Node.js of 22.19 or newer")])
    assert "| dense | a peer | - | not run: no Node.js of 22.19 or newer |" in markdown(record)
    assert not record.failures()


def test_a_broken_order_is_told_by_measure_contender_and_turn(tmp_path: Path) -> None:
    record, _ = taken(tmp_path, [contender("a peer", 1, violations={"begun too early": 2})], rounds=1)
    assert record.violations() == ["dense, a peer, turn 1: begun too early: 2"]


def test_one_that_fails_keeps_nobody_else_from_being_measured(tmp_path: Path) -> None:
    record, _ = taken(tmp_path, [contender("broken"), contender("ours", 7)], rounds=1)
    assert [line.split(": ")[0] for line in record.failures()] == ["dense, broken"]
    assert record.median("dense", "ours", "rate") == 7


@pytest.mark.parametrize(("ours", "verdict"), [(40_000, "aim"), (20_000, "floor"), (19_999, "below")])
def test_a_floor_and_an_aim_are_met_or_not(tmp_path: Path, ours: float, verdict: str) -> None:
    record, _ = taken(tmp_path, [contender("ours", ours)], rounds=1)
    assert [row[-1] for row in goal_rows(record)] == [verdict]


def test_the_ratio_to_the_raw_limit_is_of_the_same_run(tmp_path: Path) -> None:
    record, _ = taken(tmp_path, [contender("ours", 10), contender(RAW_SQL, 40)], rounds=1)
    [beside] = [goal for goal in GOALS if goal.name == "dense, beside the raw SQL bound"]
    assert beside.value(record) == 0.25


def test_who_is_too_slow_gets_less_of_the_same_work() -> None:
    dense, sparse = DENSE.at_most(5_000), SPARSE.at_most(5_000)
    assert (dense.count, dense.users) == (5_000, 1_000)
    assert (sparse.count, sparse.users) == (5_000, 5_000)
    assert DENSE.at_most(50_000) == DENSE

"""A whole run: servers, the chosen measures in turns, and the record of it."""

import argparse
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import cast

from benchmarks.machine import facts
from benchmarks.ours.backlog import Backlogs
from benchmarks.peers.peer import prepare
from benchmarks.plan import Stage, measures
from benchmarks.receiving import receiver
from benchmarks.record import Record
from benchmarks.servers import servers
from benchmarks.turns import Measure, Turns


def names() -> list[str]:
    """All measures, in their order."""
    return [name for name, _ in measures(cast(Stage, None))]


def run(options: argparse.Namespace, path: Path, say: Callable[[str], None]) -> Record:
    """Take all turns; the record is written to path after each."""
    chosen = set(filter(None, options.only.split(","))) or set(names())
    node = prepare(say)
    with servers() as started, receiver() as receiving:
        machine = facts(postgres=started.version(), node=node.program)
        stage = Stage(
            started, Backlogs(started, receiving.url), receiving, node, quick=options.quick, history=options.history
        )
        record = Record.new(path, machine=machine, options={"rounds": options.rounds, "quick": options.quick})
        turns = Turns(rounds=options.rounds, keep=record.keep, say=say)
        for name, make in measures(stage):
            if name in chosen:
                turns.take(_only(make(), [word for word in options.who.split(",") if word]))
    return record


def _only(measure: Measure, words: list[str]) -> Measure:
    kept = [one for one in measure.contenders if not words or any(word in one.name for word in words)]
    return replace(measure, contenders=kept)

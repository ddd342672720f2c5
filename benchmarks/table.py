"""The results as tables: on a terminal, and as Markdown for the docs."""

from collections.abc import Iterator
from dataclasses import dataclass

from rich.console import Console
from rich.table import Table

from benchmarks.goals import GOALS
from benchmarks.record import Record, Spread

UNITS = {
    "rate": "/s",
    "others": "/s the others",
    "one": "/s that one",
    "cpu": "µs CPU each",
    "receiver_microseconds": "µs CPU of the receiver each",
    "p50": "ms p50",
    "p99": "ms p99",
    "p999": "ms p99.9",
    "statements": "statements each",
    "wal": "bytes of WAL each",
    "wal_produced": "bytes of WAL to produce one",
    "kept": "bytes kept of one",
    "megabytes": "MB",
    "kilobytes_per_user": "kB per user",
    "idle_megabytes": "MB idle",
    "users": "users in flight",
    "answer_p99": "ms p99 of the answer",
    "at_work": "threads at work",
    "deliveries": "deliveries seen",
    "cpu_client": "µs of the client",
    "cpu_worker": "µs of the worker",
    "cpu_postgresql": "µs of PostgreSQL",
    "delivered": "/s delivered meanwhile",
}


@dataclass(frozen=True, slots=True)
class Row:
    measure: str
    who: str
    figures: str
    note: str


def rows(record: Record) -> Iterator[Row]:
    for measure in record.measures():
        for who in record.contenders(measure):
            spreads = record.spreads(measure, who)
            said = [f"{number(one.median)} {UNITS.get(name, name)}{_between(one)}" for name, one in spreads.items()]
            remarks = [record.missing(measure, who), record.note(measure, who)]
            yield Row(measure, who, "\n".join(said) or "-", "; ".join(filter(None, remarks)))


def goal_rows(record: Record) -> Iterator[tuple[str, str, str, str, str]]:
    """What was measured of the goals: name, floor, aim, value, verdict."""
    for goal in GOALS:
        value = goal.value(record)
        if value is not None:
            verdict = "aim" if goal.met(value, goal.aim) else "floor" if goal.met(value, goal.floor) else "below"
            floor, aim, measured = (f"{number(one)} {goal.unit}" for one in (goal.floor, goal.aim, value))
            yield goal.name, floor, aim, measured, verdict


def number(value: float) -> str:
    """Three figures that mean something, whole from 1,000 on."""
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.1f}" if abs(value) >= 10 else f"{value:.2f}"


def _between(spread: Spread) -> str:
    return f" ({number(spread.least)}-{number(spread.most)})" if spread.turns > 1 else ""


def show(record: Record, console: Console) -> None:
    """Medians, and in brackets the least and the most of all turns."""
    results = Table("measure", "who", "median (least-most)", "remarks", title="Results")
    previous = ""
    for row in rows(record):
        if previous and row.measure != previous:
            results.add_section()
        results.add_row("" if row.measure == previous else row.measure, row.who, row.figures, row.note)
        previous = row.measure
    console.print(results)
    goals = Table("what", "floor", "aim", "measured", "met", title="Floors and aims")
    for name, floor, aim, value, verdict in goal_rows(record):
        goals.add_row(name, floor, aim, value, verdict, style={"below": "bold red"}.get(verdict, ""))
    if goals.row_count:
        console.print(goals)


def machine(record: Record) -> str:
    """What the figures are of: the machine, versions, turns, and how busy it was."""
    of = record.machine
    return (
        f"{of['cores']} cores ({of['cpu']}), {of['memory_gb']:.0f} GB, {of['kernel']}, "
        f"Python {of['python']}, PostgreSQL {of['postgresql']}, Node.js {of['node']}; "
        f"commit {of['commit']}, {record.options['rounds']} turns of each; load before a turn at most "
        f"{record.busiest():.1f}."
    )


def markdown(record: Record) -> str:
    """All of it; benchmarks/publish.py has the short form."""
    lines = [
        machine(record),
        "",
        "| measure | who | median (least-most) | remarks |",
        "|---|---|---|---|",
    ]
    for row in rows(record):
        figures = row.figures.replace("\n", "<br>")
        lines.append(f"| {row.measure} | {row.who} | {figures} | {row.note.replace('|', '/')} |")
    goals = [f"| {' | '.join(row)} |" for row in goal_rows(record)]
    if goals:
        lines += ["", "| what | floor | aim | measured | met |", "|---|---|---|---|---|", *goals]
    return "\n".join(lines) + "\n"

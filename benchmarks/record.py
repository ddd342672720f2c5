"""The one file that keeps all raw results of a run."""

import json
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from statistics import median
from typing import Any, NamedTuple


class Spread(NamedTuple):
    """Of one figure over the turns."""

    median: float
    least: float
    most: float
    turns: int


@dataclass(slots=True)
class Record:
    """Written anew after each turn: a run that is cut off has kept what it measured."""

    path: Path
    machine: dict[str, Any]
    options: dict[str, Any]
    runs: list[dict[str, Any]]

    @classmethod
    def new(cls, path: Path, *, machine: dict[str, Any], options: dict[str, Any]) -> "Record":
        return cls(path, machine, options, [])

    @classmethod
    def read(cls, *paths: Path) -> "Record":
        """One record of several files of one machine; the machine is the first one's."""
        read = [json.loads(path.read_text()) for path in paths]
        runs = [run for one in read for run in one["runs"]]
        return cls(paths[0], read[0]["machine"], read[0]["options"], runs)

    def keep(self, run: dict[str, Any]) -> None:
        self.runs.append(run)
        self.path.parent.mkdir(parents=True, exist_ok=True)
        whole = {"machine": self.machine, "options": self.options, "runs": self.runs}
        draft = self.path.with_suffix(".draft")
        draft.write_text(json.dumps(whole, indent=1) + "\n")
        draft.rename(self.path)

    def measures(self) -> list[str]:
        return list(dict.fromkeys(run["measure"] for run in self.runs))

    def contenders(self, measure: str) -> list[str]:
        return list(dict.fromkeys(run["who"] for run in self.runs if run["measure"] == measure))

    def spreads(self, measure: str, who: str) -> dict[str, Spread]:
        """By figure; empty when no turn gave any."""
        numbers: dict[str, list[float]] = defaultdict(list)
        for run in self._of(measure, who):
            for name, number in run.get("figures", {}).items():
                numbers[name].append(number)
        return {name: Spread(median(all), min(all), max(all), len(all)) for name, all in numbers.items()}

    def median(self, measure: str, who: str, figure: str) -> float | None:
        spread = self.spreads(measure, who).get(figure)
        return spread.median if spread else None

    def missing(self, measure: str, who: str) -> str:
        """Why there are no figures, or not of every turn; empty where all is well."""
        reasons = [
            f"not run: {run['not_run']}" if "not_run" in run else f"failed: {run['failed']}"
            for run in self._of(measure, who)
            if "not_run" in run or "failed" in run
        ]
        return reasons[0] if reasons else ""

    def note(self, measure: str, who: str) -> str:
        return next((run["note"] for run in self._of(measure, who) if "note" in run), "")

    def violations(self) -> list[str]:
        """One line per turn in which the order was broken."""
        return [
            f"{run['measure']}, {run['who']}, turn {run['round']}: {what}: {count}"
            for run in self.runs
            for what, count in run.get("violations", {}).items()
        ]

    def failures(self) -> list[str]:
        return [f"{run['measure']}, {run['who']}: {run['failed']}" for run in self.runs if "failed" in run]

    def busiest(self) -> float:
        """The greatest load that a turn began with, the runner's own work included."""
        return max((run["load"][0] for run in self.runs if "load" in run), default=0.0)

    def _of(self, measure: str, who: str) -> Iterator[dict[str, Any]]:
        return (run for run in self.runs if run["measure"] == measure and run["who"] == who)

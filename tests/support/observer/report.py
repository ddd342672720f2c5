"""What the observer found: sentences, and a table with one line per check."""

from collections import Counter
from dataclasses import dataclass, field
from typing import NamedTuple

CHECKS = {
    "lost": "accepted, and not in one final status that is true",
    "unproduced": "attempted, and never sent by a producer",
    "content": "told otherwise than it was sent",
    "after settled": "attempted after it was settled",
    "reordered": "attempted before one that sorts earlier",
    "stepped back": "attempted while another one had been and was not settled",
    "causal": "attempted before its parent was settled",
    "sequence": "numbers that go back, change or are used twice",
    "stale token": "accepted from a worker that had lost its lease",
    "overlap": "two attempts of one user at a time",
    "duplicate": "accepted twice by a receiver with the sequence check",
    "expired early": "settled as expired before its deadline",
    "expired late": "pending or attempted after its deadline",
    "paused": "attempted while its pipeline was paused",
}
"""Check → what a finding of it means."""

KEPT = 200
"""Findings of one check that are kept in words; all are counted."""


class Finding(NamedTuple):
    check: str
    sentence: str


@dataclass(slots=True)
class Report:
    """findings: the first of each check. judged, found, excused: how often, by check."""

    findings: list[Finding] = field(default_factory=list)
    judged: Counter[str] = field(default_factory=Counter)
    found: Counter[str] = field(default_factory=Counter)
    excused: Counter[str] = field(default_factory=Counter)

    @property
    def holds(self) -> bool:
        return not self.found

    def find(self, check: str, sentence: str) -> None:
        self.found[check] += 1
        if self.found[check] <= KEPT:
            self.findings.append(Finding(check, sentence))

    def of(self, check: str) -> list[str]:
        """The sentences of one check."""
        assert check in CHECKS, check
        return [finding.sentence for finding in self.findings if finding.check == check]

    def table(self) -> str:
        """For people: what was looked at, found, and excused: a sender had been frozen, or the network was slower."""
        width = max(map(len, CHECKS))
        lines = [f"{'check':<{width}} {'judged':>10} {'found':>8} {'excused':>8}   a finding means"]
        lines += [
            f"{check:<{width}} {self.judged[check]:>10,} {self.found[check]:>8,} {self.excused[check]:>8,}   {meaning}"
            for check, meaning in CHECKS.items()
        ]
        return "\n".join(lines)

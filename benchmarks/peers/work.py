"""What the peers in Python do alike; work.mjs says the same for those in JavaScript."""

import json
import sys
import time
from collections import Counter
from typing import Any


def spec() -> dict[str, Any]:
    """The one argument: shape, count, users, work, concurrency and where the servers are."""
    read: dict[str, Any] = json.loads(sys.argv[1])
    return read


def items(spec: dict[str, Any]) -> list[tuple[str, int]]:
    """(user, number among that user's), in the order produced. In "hot" the first user holds a tenth."""
    users, numbers, made = int(spec["users"]), Counter[str](), []
    for index in range(int(spec["count"])):
        hot = spec["shape"] == "hot"
        number = (1 + index % (users - 1) if index % 10 else 0) if hot else index % users
        user = f"user-{number}"
        made.append((user, numbers[user]))
        numbers[user] += 1
    return made


class Deliveries:
    """Counts the attempts, and those out of order."""

    def __init__(self) -> None:
        self.done = 0
        self.violations = 0
        self.began = 0.0
        self._expected: Counter[str] = Counter()
        self._busy: set[str] = set()

    def begin(self, user: str, n: int) -> None:
        self.began = self.began or time.perf_counter()
        if user in self._busy or n != self._expected[user]:
            self.violations += 1
        self._busy.add(user)

    def end(self, user: str, n: int) -> None:
        self._expected[user] = n + 1
        self._busy.discard(user)
        self.done += 1


def report(done: int, seconds: float, violations: int, **rates: float) -> None:
    """rates: of the others and of the one user that stands apart, where one does."""
    print(json.dumps({"rate": done / seconds, **rates, "done": done, "violations": violations}))

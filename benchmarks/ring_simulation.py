"""The ring at many workers: who moves when one joins or leaves, how even the shares are, and what it costs.

    python -m benchmarks.ring_simulation [--workers 10,100,1000] [--users 200000]

Simulated with the product's own ring (engagements/domain/ring.py); no server is needed. Exits with 1 when anybody moves
who need not: to another worker than the one that joined, or from another than the one that left.
"""

import argparse
import sys
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from engagements.domain.ring import Ring

Allowed = Callable[[str | None, str | None], bool]
"""Whether this move, from one worker to another, is needed."""


@dataclass(frozen=True, slots=True)
class Moved:
    """Of all users: how many have another worker now, and how many of them without need."""

    part: float
    needless: int


@dataclass(frozen=True, slots=True)
class Simulated:
    """greatest, least: of the workers' shares, as multiples of the even one. Seconds and microseconds are of CPU."""

    workers: int
    joined: Moved
    left: Moved
    greatest: float
    least: float
    users_greatest: float
    build_seconds: float
    look_microseconds: float


def simulate(workers: int, users: Sequence[str]) -> Simulated:
    names = [f"w{number}@host-{number // 8}" for number in range(workers + 1)]
    began = time.process_time()
    before = Ring(names[:-1])
    build = time.process_time() - began
    began = time.process_time()
    places = [before.worker(user) for user in users]
    look = (time.process_time() - began) / len(users)
    newcomer, leaver = names[-1], names[workers // 2]
    more = Ring(names)
    fewer = Ring([name for name in names[:-1] if name != leaver])
    shares = [share * workers for share in before.shares().values()]
    return Simulated(
        workers,
        _moved(users, places, more, allowed=lambda _, new: new == newcomer),
        _moved(users, places, fewer, allowed=lambda old, _: old == leaver),
        max(shares),
        min(shares),
        max(Counter(places).values()) * workers / len(users),
        build,
        1e6 * look,
    )


def _moved(users: Sequence[str], places: Sequence[str | None], ring: Ring, *, allowed: Allowed) -> Moved:
    pairs = [(old, ring.worker(user)) for user, old in zip(users, places, strict=True)]
    moved = [pair for pair in pairs if pair[0] != pair[1]]
    return Moved(len(moved) / len(users), sum(not allowed(*pair) for pair in moved))


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--workers", default="10,100,1000")
    parser.add_argument("--users", type=int, default=200_000)
    options = parser.parse_args()
    users = [f"user-{number}" for number in range(options.users)]
    needless = 0
    print(f"{options.users:,} users; a share is a multiple of the even one")
    columns = ("workers", "1/N", "one joins", "one leaves", "greatest", "least", "most users", "build", "look-up")
    print("".join(f"{column:>12}" for column in columns))
    for workers in map(int, options.workers.split(",")):
        one = simulate(workers, users)
        needless += one.joined.needless + one.left.needless
        row = (
            f"{workers:,}",
            *(f"{part:.3%}" for part in (1 / workers, one.joined.part, one.left.part)),
            *(f"{share:.2f}" for share in (one.greatest, one.least, one.users_greatest)),
            f"{1000 * one.build_seconds:.0f} ms",
            f"{one.look_microseconds:.1f} us",
        )
        print("".join(f"{cell:>12}" for cell in row))
    print(f"moved without need: {needless}")
    return 1 if needless else 0


if __name__ == "__main__":
    sys.exit(main())

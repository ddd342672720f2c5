"""The work of one turn, the same for everybody: how many engagements, of how many users, and what an attempt does."""

from dataclasses import asdict, dataclass, replace
from typing import Any, Literal

Kind = Literal["null", "sleep", "http"]


@dataclass(frozen=True, slots=True)
class Shape:
    """name: what it is called in results. work: an attempt does nothing, sleeps `ms`, or posts to the receiver.

    hot: the first user holds a tenth. slow: the first user's attempts take 500 ms each, the others' nothing.
    chain: each is the causal parent of the next one, over so many users. unordered: as the word says.
    """

    name: str
    count: int
    users: int
    work: Kind = "null"
    ms: int = 0
    hot: bool = False
    slow: bool = False
    chain: int = 1
    unordered: bool = False

    def quick(self) -> "Shape":
        """A tenth of it, to see that everything runs."""
        return replace(self, count=self.count // 10, users=max(1, self.users // 10))

    def at_most(self, count: int) -> "Shape":
        """Less of the same, for who is too slow for all of it; users in proportion where each has few."""
        if count >= self.count:
            return self
        per_user = max(1, self.count // self.users)
        return replace(self, count=count, users=max(1, min(self.users, count // min(per_user, 2))))

    def spec(self) -> dict[str, Any]:
        """As the peers take it."""
        return {**asdict(self), "shape": "hot" if self.hot else self.name}


DENSE = Shape("dense", 20_000, 1_000)
SPARSE = Shape("sparse", 20_000, 20_000)
LARGE = Shape("large", 200_000, 20_000)
HOT = Shape("hot", 20_000, 1_000, hot=True)
SLOW = Shape("slow", 20_000, 1_000, slow=True)
CHANNEL = Shape("channel-50-ms", 40_000, 1_000, work="sleep", ms=50)
WEBHOOK = Shape("webhook", 20_000, 1_000, work="http")
CAUSAL = Shape("causal", 20_000, 20_000, chain=5)
UNORDERED = Shape("unordered", 20_000, 20_000, unordered=True)
GLOBAL = Shape("global", 20_000, 1)
INGEST = Shape("ingest", 100_000, 5_000)
IN_FLIGHT = Shape("in-flight", 10_000, 10_000, work="sleep", ms=5_000)

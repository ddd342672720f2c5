"""All measures, by name: who takes part in each."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial

from benchmarks import shapes
from benchmarks.limits.limit import broker_limits, http_limits, raw_sql
from benchmarks.ours import growth, isolation
from benchmarks.ours.backlog import Backlogs
from benchmarks.ours.deliver import drained
from benchmarks.ours.ingest import ingested
from benchmarks.ours.memory import in_flight
from benchmarks.ours.site import site
from benchmarks.ours.steady import measure, plain
from benchmarks.peers.peer import PEERS, Node
from benchmarks.receiving import Receiving
from benchmarks.servers import Servers
from benchmarks.shapes import Shape
from benchmarks.turns import Contender, Figures, Measure

OURS = "ours"


@dataclass(frozen=True, slots=True)
class Stage:
    """What the measures are made with."""

    servers: Servers
    backlogs: Backlogs
    receiving: Receiving
    node: Node
    quick: bool
    history: int

    @property
    def seconds(self) -> int:
        """Of steady posting."""
        return 5 if self.quick else 30

    def size(self, shape: Shape) -> Shape:
        return shape.quick() if self.quick else shape

    def ours(self, shape: Shape, name: str = OURS) -> Contender:
        shape = self.size(shape)
        return Contender(name, partial(drained, self.servers, self.backlogs, shape, self.receiving))

    def peers(self, shape: Shape) -> list[Contender]:
        shape = self.size(shape)
        return [
            peer.contender(shape, self.servers, self.receiving, self.node)
            for peer in PEERS
            if shape.name in peer.shapes
        ]


_DENSE = "20,000 of 1,000 users; an attempt costs nothing"
_BESIDE = {
    "dense": (shapes.DENSE, _DENSE),
    "sparse": (shapes.SPARSE, "20,000 of 20,000 users; an attempt costs nothing"),
    "large": (shapes.LARGE, "200,000 of 20,000 users; an attempt costs nothing"),
    "hot": (shapes.HOT, "as dense, but one user holds a tenth"),
    "slow": (shapes.SLOW, "as dense, but one user's attempts take 500 ms each"),
    "channel-50-ms": (shapes.CHANNEL, "40,000 of 1,000 users; an attempt takes 50 ms"),
    "webhook": (shapes.WEBHOOK, "20,000 of 1,000 users; an attempt is a post to a receiver on this machine"),
}


def _beside(stage: Stage, name: str, shape: Shape, what: str) -> Measure:
    return Measure(name, what, [stage.ours(shape), *_limits(stage, shape), *stage.peers(shape)])


def measures(stage: Stage) -> Iterator[tuple[str, Callable[[], Measure]]]:
    """(name, how it is made): a measure that is not chosen costs nothing."""
    for name, (shape, what) in _BESIDE.items():
        yield name, partial(_beside, stage, name, shape, what)

    yield "price", lambda: Measure("price", "the price of order: 20,000 engagements, null channel", _price(stage))
    yield "workers", lambda: Measure("workers", "large, delivered by more worker processes", _workers(stage))
    yield "ingest", lambda: Measure("ingest", "bulk calls of 1,000 over REST to one web process", _ingest(stage))
    yield "latency", lambda: Measure("latency", "single posts at a steady rate, null channel", list(_latency(stage)))
    yield (
        "isolation",
        lambda: Measure("isolation", "what 900 users notice of 100 in trouble, 200 posts/s", _apart(stage)),
    )
    yield "memory", lambda: Measure("memory", "one worker with 10,000 users in flight at once", _memory(stage))
    yield (
        "growth",
        lambda: Measure(
            "growth", "cost of a delivery, 50,000 of 10,000 users spread over all pipelines", _growth(stage)
        ),
    )


def _price(stage: Stage) -> list[Contender]:
    levels = {
        "unordered": shapes.UNORDERED,
        "per user": shapes.SPARSE,
        "causal, chains of 5 over users": shapes.CAUSAL,
        "global, all in one pipeline": shapes.GLOBAL,
    }
    return [stage.ours(shape, name) for name, shape in levels.items()]


def _workers(stage: Stage) -> list[Contender]:
    shape = stage.size(shapes.LARGE)
    return [
        Contender(f"{n} worker{'s' if n > 1 else ''}", partial(growth.shared, stage.servers, stage.backlogs, shape, n))
        for n in (1, 2, 4)
    ]


def _ingest(stage: Stage) -> list[Contender]:
    shape = stage.size(shapes.INGEST)
    return [
        Contender(name, partial(ingested, stage.servers, stage.backlogs, shape, workers=number))
        for name, number in (("ours", 0), ("ours, delivered meanwhile", 1))
    ]


def _latency(stage: Stage) -> Iterator[Contender]:
    """A post without a stated time is held by no window; one with a stated time waits for its neighbours."""

    def run(rate: int, stated: bool, window: int) -> Figures:
        with site(stage.servers, stage.backlogs, settings={"REORDER_WINDOW_MS": str(window)}) as at:
            body = plain(1000, stated=stated)
            return measure(stage.servers, at, body, channel="null", rate=rate, seconds=stage.seconds)

    for rate in (50, 200, 500):
        for name, stated, window in (
            ("no stated time", False, 100),
            ("stated, window 0 ms", True, 0),
            ("stated, window 100 ms", True, 100),
        ):
            yield Contender(f"{rate}/s, {name}", partial(run, rate, stated, window))


def _apart(stage: Stage) -> list[Contender]:
    rate = 50 if stage.quick else 200
    return isolation.contenders(stage.servers, stage.backlogs, rate=rate, seconds=stage.seconds)


def _memory(stage: Stage) -> list[Contender]:
    return [Contender(OURS, partial(in_flight, stage.servers, stage.backlogs, stage.size(shapes.IN_FLIGHT)))]


def _growth(stage: Stage) -> list[Contender]:
    return growth.contenders(stage.servers, stage.backlogs, history=stage.history, quick=stage.quick)


def _limits(stage: Stage, shape: Shape) -> list[Contender]:
    sized = stage.size(shape)
    if shape.work == "http":
        return http_limits(stage.receiving, sized)
    if shape.work == "null" and not shape.slow and not shape.hot:
        limits = [raw_sql(stage.servers, stage.backlogs, sized)]
        return [*limits, *broker_limits(stage.servers, sized)] if shape is shapes.DENSE else limits
    return []

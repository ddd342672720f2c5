"""A history by user and by engagement, and what in it a frozen sender excuses."""

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterable, Sequence

from tests.support.observer.history import SECOND, History, Operation, Request, Span

THAW = 2 * SECOND
"""How long after it goes on a sender that was frozen may still send what it was about to."""

STANDSTILL = 6 * SECOND
"""How long one that freezes in the middle of a transaction may keep its users' rows: PostgreSQL ends it after 5 s."""


class Index:
    """requests_of: user → ordered requests by their begin. by_id: engagement → all its requests by their begin."""

    def __init__(self, history: History) -> None:
        self.history = history
        self.requests_of: dict[str, list[Request]] = defaultdict(list)
        self.by_id: dict[str, list[Request]] = defaultdict(list)
        for request in sorted(history.requests, key=lambda request: request.begun_at):
            self.by_id[request.id].append(request)
            if request.sequence is not None:
                self.requests_of[request.user_id].append(request)
        self.replays: dict[str, list[Operation]] = defaultdict(list)
        for operation in history.operations:
            if operation.kind == "replay":
                self.replays[operation.id].append(operation)
        self._frozen = Spans(Span(span.start, span.end + THAW) for span in history.frozen)
        self.outages = Spans(history.outages)
        self.standing_still = Spans(Span(span.start, min(span.end, span.start + STANDSTILL)) for span in history.frozen)
        self.stale: set[int] = set()
        """Requests (by `id()`) under a token below one that had begun before: from a worker that lost its lease."""
        for requests in self.requests_of.values():
            greatest = 0
            for request in requests:
                if (request.fencing_token or 0) < greatest:
                    self.stale.add(id(request))
                greatest = max(greatest, request.fencing_token or 0)

    def excused(self, request: Request) -> bool:
        """Whether it may have been sent, or held open, by a sender that was frozen meanwhile."""
        return self._frozen.meet(request.begun_at, request.ended_at)

    def is_stale(self, request: Request) -> bool:
        return id(request) in self.stale

    def life_of(self, engagement: str) -> list[Request]:
        """The requests of its last life: those with the number that the API tells, or all if it was never replayed."""
        requests = self.by_id.get(engagement, [])
        if engagement not in self.replays:
            return requests
        told = self.history.told.get(engagement)
        return [request for request in requests if told is not None and request.sequence == told.sequence]


class Spans:
    """Spans of time, to be asked which of them meet another."""

    def __init__(self, spans: Iterable[Span]) -> None:
        merged: list[Span] = []
        for span in sorted(spans):
            if merged and span.start <= merged[-1].end:
                merged[-1] = Span(merged[-1].start, max(merged[-1].end, span.end))
            else:
                merged.append(span)
        self._spans: Sequence[Span] = merged
        self._starts = [span.start for span in merged]

    def meet(self, start: int, end: int) -> bool:
        place = bisect_right(self._starts, end)
        return place > 0 and self._spans[place - 1].end >= start

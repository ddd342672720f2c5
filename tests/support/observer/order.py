"""Promise 1: one engagement of a user at a time, in order time, and never a step back."""

import math
from bisect import bisect_left, bisect_right
from collections import defaultdict
from typing import NamedTuple

from tests.support.observer.history import SECOND, Request
from tests.support.observer.index import Index
from tests.support.observer.loss import CLOCK, IN_TRANSIT, PURGE_NOTICED
from tests.support.observer.order_time import Bounds, order_times
from tests.support.observer.report import Report


class _Attempted(NamedTuple):
    """An engagement in its first life that was given a number: attempted, as far as order is concerned."""

    id: str
    sequence: int
    time: Bounds
    received_at: int
    place: tuple[int, int]
    late: bool


def reordered(index: Index, report: Report) -> None:
    """By number, each sorts after those before it; what does not had come after they were attempted, and says so."""
    times = order_times(index)
    for user, line in _lines(index, times).items():
        report.judged["reordered"] += len(line)
        _judge_line(user, line, index, report)


def _lines(index: Index, times: dict[str, Bounds]) -> dict[str, list[_Attempted]]:
    lines: dict[str, list[_Attempted]] = defaultdict(list)
    for id, told in index.history.told.items():
        if told.unordered or id in index.replays:
            continue
        numbers = {request.sequence for request in index.by_id.get(id, []) if request.sequence is not None}
        if told.sequence is not None:
            numbers.add(told.sequence)
        produced = index.history.by_id.get(id)
        if numbers:
            place = (produced.call, produced.place) if produced else (0, 0)
            lines[told.user_id].append(_Attempted(id, min(numbers), times[id], told.received_at, place, told.late))
    for line in lines.values():
        line.sort(key=lambda one: one.sequence)
    return lines


def _judge_line(user: str, line: list[_Attempted], index: Index, report: Report) -> None:
    """since[i]: a time before which number i cannot have been marked as attempted.

    What was in line then and sorts earlier had to go first. Whether one is late is decided when it comes, by the time
    that it comes with; a parent that comes after it may raise it later.
    """
    replayed = any(index.history.told[id].user_id == user for id in index.replays if id in index.history.told)
    since: list[float] = []
    ever_higher: list[float] = []  # the greatest upper bound so far
    stack: list[int] = []  # places whose lower bound is greater than that of all that came after them
    last_settled: float = -math.inf
    for place, one in enumerate(line):
        told = index.history.told[one.id]
        first = bisect_right(since, one.received_at)  # from here on, marked when this one was in line
        above = bisect_left(stack, first)
        if above < len(stack) and line[stack[above]].time.low > one.time.high:
            other = line[stack[above]]
            report.find("reordered", f"{user}: {_name(other)} was attempted while {_name(one)}, earlier, was in line")
        elif stack and not one.late and line[stack[0]].time.low > one.time.high:
            other = line[stack[0]]
            report.find("reordered", f"{user}: {_name(one)} came after {_name(other)}, sorts earlier, and is not late")
        elif place and _tie_broken(line[place - 1], one):
            report.find("reordered", f"{user}: {_name(line[place - 1])} and {_name(one)} tie, and came the other way")
        elif one.late and not replayed and not (first and ever_higher[first - 1] > told.produced_at):
            report.find("reordered", f"{user}: {_name(one)} is flagged late, and nothing that sorts later went before")
        parent = index.history.told.get(told.causal_parent) if told.causal_parent else None
        parent_settled = parent.settled_at if parent and told.causal_parent not in index.replays else None
        since.append(max(last_settled, one.received_at, parent_settled or -math.inf, since[-1] if since else -math.inf))
        ever_higher.append(max(one.time.high, ever_higher[-1] if ever_higher else -math.inf))
        while stack and line[stack[-1]].time.low <= one.time.low:
            stack.pop()
        stack.append(place)
        last_settled = told.settled_at if told.settled_at is not None else last_settled


def _tie_broken(one: _Attempted, next_one: _Attempted) -> bool:
    if not one.time.low == one.time.high == next_one.time.low == next_one.time.high:
        return False
    if one.received_at != next_one.received_at:
        return one.received_at > next_one.received_at
    return one.place[0] == next_one.place[0] and one.place[1] > next_one.place[1]


def _name(one: _Attempted) -> str:
    return f"{one.id} (number {one.sequence})"


def stepped_back(index: Index, report: Report) -> None:
    """Once one has been attempted, nothing else of its user is before it is settled, and it never is after others."""
    for user, requests in index.requests_of.items():
        greatest: Request | None = None
        for request in requests:
            report.judged["stepped back"] += 1
            if index.is_stale(request):
                if index.excused(request):
                    report.excused["stepped back"] += 1
                    continue
                if greatest is not None and (request.sequence or 0) < (greatest.sequence or 0):
                    report.find("stepped back", f"{user}: {_request(request)} came after {_request(greatest)}, stale")
                continue
            if greatest is None or (request.sequence or 0) > (greatest.sequence or 0):
                if greatest is not None:
                    _left_behind(index, user, greatest, request, report)
                greatest = request
            elif (request.sequence or 0) < (greatest.sequence or 0):
                if _in_transit(index, request):
                    report.excused["stepped back"] += 1
                    continue
                report.find("stepped back", f"{user}: {_request(request)} was attempted after {_request(greatest)}")


def _in_transit(index: Index, request: Request) -> bool:
    """Whether its sender broke it off at its deadline, and the receiver read it, and the next one, only then."""
    told = index.history.told.get(request.id)
    return (
        told is not None
        and told.status in ("expired", "purged")
        and told.settled_at is not None
        and request.begun_at <= told.settled_at + IN_TRANSIT
    )


def _left_behind(index: Index, user: str, before: Request, request: Request, report: Report) -> None:
    told = index.history.told.get(before.id)
    if told is None or before.sequence != told.sequence:
        return
    if told.settled_at is None or told.settled_at > request.begun_at + CLOCK:
        report.find("stepped back", f"{user}: {_request(request)} was attempted before {_request(before)} was settled")


def overlap(index: Index, report: Report) -> None:
    """No two attempts of one user are in progress at a time, save with one that a frozen worker holds open."""
    for user, requests in index.requests_of.items():
        open_one: Request | None = None
        for request in requests:
            report.judged["overlap"] += 1
            # When its sender broke one off, the receiver learns of it over the network, and the next may be quicker.
            noticed = CLOCK if open_one is not None and open_one.status is not None else IN_TRANSIT
            if open_one is not None and request.begun_at < open_one.ended_at - noticed:
                if index.excused(open_one) or index.excused(request):
                    report.excused["overlap"] += 1
                else:
                    both = (open_one.ended_at - request.begun_at) / SECOND
                    report.find("overlap", f"{user}: {_request(open_one)} and {_request(request)} for {both:.3f} s")
            if open_one is None or request.ended_at > open_one.ended_at:
                open_one = request


def _request(request: Request) -> str:
    return f"{request.id} (number {request.sequence}, token {request.fencing_token}, attempt {request.attempt})"


def paused(index: Index, report: Report) -> None:
    """Between the answer to a pause and the call of the next resume nothing of that user begins."""
    pauses: dict[str, list[tuple[int, int]]] = defaultdict(list)
    for operation in sorted(index.history.operations, key=lambda operation: operation.sent_at):
        if operation.kind == "pause":
            pauses[operation.user_id].append((operation.answered_at, 2**62))
        elif operation.kind == "resume" and pauses[operation.user_id]:
            start, end = pauses[operation.user_id][-1]
            pauses[operation.user_id][-1] = (start, min(end, operation.sent_at))
    for user, spans in pauses.items():
        for request in index.requests_of.get(user, []):
            report.judged["paused"] += 1
            # What had been claimed before counts as running: it may be on its way for a moment.
            if any(start + PURGE_NOTICED < request.begun_at < end for start, end in spans):
                if index.excused(request):
                    report.excused["paused"] += 1
                else:
                    report.find("paused", f"{user}: {_request(request)} began while the pipeline was paused")

"""Promise 5: what a receiver can prove by sequence, fencing token and attempt number."""

from collections import Counter

from tests.support.observer.history import Request
from tests.support.observer.index import Index
from tests.support.observer.report import Report


def sequence(index: Index, report: Report) -> None:
    """One number for each life of an engagement, for nobody else, growing with the token; each attempt sent once."""
    owner: dict[tuple[str, int], str] = {}
    for id, requests in index.by_id.items():
        report.judged["sequence"] += 1
        numbers = {request.sequence for request in requests}
        told = index.history.told.get(id)
        for request in requests:
            _shape(request, report)
        if len(numbers) > 1 + len(index.replays.get(id, ())):
            report.find("sequence", f"{id} changed its number over retries: {sorted(map(str, numbers))}")
        if told is not None and told.sequence is not None and requests and told.sequence < max(n or 0 for n in numbers):
            report.find("sequence", f"{id} was attempted under {numbers}, and the API tells {told.sequence}")
        for number in numbers - {None}:
            other = owner.setdefault((requests[0].user_id, number or 0), id)
            if other != id:
                report.find("sequence", f"number {number} of {requests[0].user_id} is that of {other} and of {id}")
        repeated = Counter((request.sequence, request.fencing_token, request.attempt) for request in requests)
        for (number, token, attempt), times in repeated.items():
            if times > 1 + (number is None) * len(index.replays.get(id, ())):
                report.find(
                    "sequence", f"attempt {attempt} of {id} (number {number}, token {token}) came {times} times"
                )
    for user, requests in index.requests_of.items():
        _grows_with_token(user, requests, report)


def _shape(request: Request, report: Report) -> None:
    if request.unordered != (request.sequence is None) or request.unordered != (request.fencing_token is None):
        report.find("sequence", f"{request.id} of {request.user_id} has the number of the other kind, or none")
    elif request.sequence is not None and (request.sequence < 1 or (request.fencing_token or 0) < 1):
        report.find("sequence", f"{request.id} of {request.user_id} has number {request.sequence}")


def _grows_with_token(user: str, requests: list[Request], report: Report) -> None:
    greatest = 0
    for request in sorted(requests, key=lambda one: (one.fencing_token or 0, one.sequence or 0)):
        if (request.sequence or 0) < greatest:
            report.find(
                "sequence",
                f"{user}: {request.id} has number {request.sequence} under token {request.fencing_token},"
                f" and {greatest} was given under a smaller token",
            )
        greatest = max(greatest, request.sequence or 0)


def accepted(index: Index, report: Report) -> None:
    """A receiver that ignores numbers not above its last sees each life once, and nothing of a worker fenced off."""
    last: dict[str, int] = {}
    lives: Counter[str] = Counter()
    for request in sorted(index.history.requests, key=lambda request: request.ended_at):
        if not request.accepted:
            continue
        if request.sequence is None:
            _unordered(index, request, lives, report)
            continue
        if index.history.receiver_checks and request.sequence <= last.get(request.user_id, 0):
            if not index.history.crashes:
                report.find("duplicate", f"{request.id} of {request.user_id} came again, and nothing had been harmed")
            continue
        last[request.user_id] = request.sequence
        lives[request.id] += 1
        report.judged["duplicate"] += 1
        report.judged["stale token"] += 1
        if lives[request.id] > 1 + len(index.replays.get(request.id, ())):
            report.find("duplicate", f"{request.id} of {request.user_id} was accepted {lives[request.id]} times")
        if index.is_stale(request):
            if index.excused(request):
                report.excused["stale token"] += 1
            else:
                name = f"{request.id} of {request.user_id}"
                report.find("stale token", f"{name} was accepted under token {request.fencing_token} after a greater")


def _unordered(index: Index, request: Request, lives: Counter[str], report: Report) -> None:
    """Repeats of one without a number are told by its id."""
    lives[request.id] += 1
    report.judged["duplicate"] += 1
    if lives[request.id] > 1 + len(index.replays.get(request.id, ())) and not index.history.crashes:
        report.find("duplicate", f"{request.id} of {request.user_id} came again, and nothing had been harmed")

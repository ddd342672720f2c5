"""Judging what a receiver saw, by the promises alone and with none of the product's code.

A list that is empty means that nothing was wrong; each line names a user and what happened.
"""

from collections import Counter
from collections.abc import Iterable, Mapping

from tests.support.receiver import Received, Receiver


def violations(receiver: Receiver, users: Iterable[str], *, crashes: bool = False) -> list[str]:
    """Promises 1 and 5 for these users, from every request that came.

    crashes: whether processes were killed meanwhile, so that an answer may not have been recorded.
    """
    found = []
    overlapping = {request.user for request in receiver.overlaps}
    for user in users:
        requests = [request for request in receiver.of_user(user) if request.sequence is not None]
        found += [
            f"{user}: {line}" for line in (*_one_by_one(requests, crashes=crashes), *_in_order(_firsts(requests)))
        ]
        if user in overlapping:
            found.append(f"{user}: two attempts at the same time")
        found += [f"{user}: {line}" for line in _accepted(receiver, user)]
    return found


def violations_of_accepted(receiver: Receiver, users: Iterable[str]) -> list[str]:
    """What a receiver with the sequence check accepted of these users: exactly once, in order, and never a step back.

    For tests in which a frozen worker may repeat an old attempt or overlap its successor's.
    """
    found = []
    for user in users:
        requests = [request for request in receiver.of_user(user) if request.sequence is not None]
        by_id = {request.data["id"]: request for request in requests}
        taken = [by_id[id] for sequence, id in receiver.accepted[user] if sequence is not None]
        lines = (*_steps_back(requests), *_in_order(taken), *_accepted(receiver, user))
        found += [f"{user}: {line}" for line in lines]
    return found


def accepted_ids(receiver: Receiver, user: str) -> list[str]:
    """The ids that the receiver accepted of this user, in order."""
    return [id for _, id in list(receiver.accepted[user])]


def greatest_tokens(receiver: Receiver, users: Iterable[str]) -> dict[str, int]:
    """The greatest fencing token seen of each user so far; 0 where there was none."""
    greatest = dict.fromkeys(users, 0)
    for request in list(receiver.requests):
        if request.user in greatest and request.sequence is not None:
            greatest[request.user] = max(greatest[request.user], _token(request))
    return greatest


def went_on_after(receiver: Receiver, before: Mapping[str, int], since: float) -> dict[str, float]:
    """User → seconds from then until the first request under a token above the one before, so by another lease."""
    seconds: dict[str, float] = {}
    for request in list(receiver.requests):
        user = str(request.user)
        if user in before and user not in seconds and request.sequence is not None and _token(request) > before[user]:
            seconds[user] = request.arrived - since
    return seconds


def stale_requests(receiver: Receiver, user: str) -> list[Received]:
    """Requests that came under a token below one seen before: what a worker sent that had lost its lease."""
    newest, stale = 0, []
    for request in receiver.of_user(user):
        if request.sequence is not None:
            if _token(request) < newest:
                stale.append(request)
            newest = max(newest, _token(request))
    return stale


def _one_by_one(requests: list[Received], *, crashes: bool) -> Iterable[str]:
    """Attempts of one engagement follow each other, under one sequence, by tokens and numbers that grow."""
    current: Received | None = None
    done: set[str] = set()
    for request in requests:
        id = request.data["id"]
        if current is not None and current.data["id"] == id:
            if request.sequence != current.sequence:
                yield f"{id} changed its sequence from {current.sequence} to {request.sequence}"
            if not _token(request) > _token(current):
                yield f"{id} was repeated with token {_token(request)} after {_token(current)}"
            if current.status in (200, 400) and not crashes:
                yield f"{id} was attempted again after the answer {current.status}"
        else:
            if current is not None:
                done.add(current.data["id"])
                if not (request.sequence or 0) > (current.sequence or 0):
                    yield f"sequence {request.sequence} came after {current.sequence}"
                if _token(request) < _token(current):
                    yield f"token {_token(request)} came after {_token(current)}"
            if id in done:
                yield f"{id} was attempted again after another one"
        current = request


def _in_order(firsts: list[Received]) -> Iterable[str]:
    """In produce time, save for what is flagged late; and what is flagged so is late indeed.

    Without causal parents and replays the produce time is the order time, or (unstated) at most that.
    """
    newest = ""
    for request in firsts:
        produced_at = request.data["produced_at"]
        if request.data["late"]:
            if not produced_at < newest:
                yield f"{request.data['id']} is flagged late and is not"
        elif produced_at < newest:
            yield f"{request.data['id']} of {produced_at} came after one of {newest} and is not flagged late"
        newest = max(newest, produced_at)


def _accepted(receiver: Receiver, user: str) -> Iterable[str]:
    accepted = list(receiver.accepted[user])
    for id, times in Counter(id for _, id in accepted).items():
        if times > 1:
            yield f"{id} was accepted {times} times"
    sequences = [sequence for sequence, _ in accepted if sequence is not None]
    if sequences != sorted(set(sequences)):
        yield f"accepted sequences do not grow: {sequences}"


def _firsts(requests: list[Received]) -> list[Received]:
    """The first attempt of each engagement."""
    firsts: dict[str, Received] = {}
    for request in requests:
        firsts.setdefault(request.data["id"], request)
    return list(firsts.values())


def _token(request: Received) -> int:
    return int(request.data["fencing_token"])


def _steps_back(requests: list[Received]) -> Iterable[str]:
    """Under a token that was the greatest so far, nothing is sent that is not above all that was sent before it."""
    newest, greatest = 0, 0
    for request in requests:
        token, sequence = _token(request), request.sequence or 0
        if token >= newest:
            if sequence < greatest:
                yield f"{request.data['id']} of sequence {sequence} was attempted again after {greatest}"
            newest, greatest = token, max(greatest, sequence)

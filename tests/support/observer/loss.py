"""Nothing is lost, nothing is invented, and what is settled is over."""

from tests.support.observer.history import FINAL, SECOND, Request, Told
from tests.support.observer.index import Index
from tests.support.observer.report import Report

CLOCK = 1_000
"""What two readings of one machine's clock in two processes may differ by."""

PURGE_NOTICED = 3 * SECOND
"""How long after a purge or skip the holder of the lease may still begin what it was about to."""


IN_TRANSIT = SECOND // 2
"""How long after its sender broke an attempt off a busy receiver may still read it, or take it for open."""


def lost(index: Index, report: Report) -> None:
    """An accepted engagement ends in exactly one final status, and the receiver's log bears that status out."""
    history = index.history
    cleared = {one.user_id for one in history.operations if one.kind in ("purge", "skip")}
    cleared |= {one.id for one in history.operations if one.kind in ("purge", "skip")}
    for produced in history.produced:
        told = history.told.get(produced.id)
        if produced.answer != "acknowledged" and told is None:
            continue
        report.judged["lost"] += 1
        name = f"{produced.id} of {produced.user_id}"
        requests = index.life_of(produced.id)
        if told is None:
            report.find("lost", f"{name} was acknowledged, and the API does not know it")
        elif told.status not in FINAL:
            report.find("lost", f"{name} ended as {told.status}")
        elif told.settled_at is None:
            report.find("lost", f"{name} is {told.status} without a time of settling")
        elif told.status == "delivered" and not any(request.accepted for request in requests):
            report.find("lost", f"{name} is told as delivered, and no attempt of it was answered 2xx")
        elif told.status == "failed" and not any(request.refused for request in requests):
            report.find("lost", f"{name} is told as failed, and no attempt of it was refused")
        elif told.status == "purged" and produced.user_id not in cleared and produced.id not in cleared:
            report.find("lost", f"{name} is told as purged, and nobody purged it")


def unproduced(index: Index, report: Report) -> None:
    """Whatever is attempted was sent before, and not refused."""
    for request in index.history.requests:
        report.judged["unproduced"] += 1
        produced = index.history.by_id.get(request.id)
        if produced is None:
            report.find("unproduced", f"{request.id} of {request.user_id} was attempted and never sent")
        elif produced.answer == "refused":
            report.find("unproduced", f"{request.id} of {request.user_id} was attempted though it had been refused")
        elif request.begun_at < produced.sent_at - CLOCK:
            report.find("unproduced", f"{request.id} of {request.user_id} was attempted before it was sent")
    for id in index.history.told:
        if id in index.history.by_id and index.history.by_id[id].answer == "refused":
            report.find("unproduced", f"{id} is stored though it had been refused")


def content(index: Index, report: Report) -> None:
    """Receiver and API tell what the producer sent, and a time of receipt within its calls."""
    for produced in index.history.produced:
        told = index.history.told.get(produced.id)
        if told is None:
            continue
        report.judged["content"] += 1
        # A replay receives it anew; the produce time that it was given stays.
        received_at = told.produced_at if produced.id in index.replays else told.received_at
        sent = (produced.user_id, produced.causal_parent, produced.unordered)
        views: list[Told | Request] = [told, *index.by_id.get(produced.id, [])]
        for view in views:
            who = "the receiver" if isinstance(view, Request) else "the API"
            if (view.user_id, view.causal_parent, view.unordered) != sent:
                report.find("content", f"{who} was told another user, parent or kind of {produced.id} than was sent")
            if view.produced_at != (received_at if produced.stated is None else produced.stated):
                report.find("content", f"{who} was told another produce time of {produced.id} than was sent")
        within = produced.sent_at - CLOCK <= received_at <= produced.answered_at + CLOCK
        # When a stated one that was replayed had come first, nobody tells any more.
        known = produced.stated is None or produced.id not in index.replays
        if produced.answer == "acknowledged" and known and not within:
            report.find("content", f"the API says that {produced.id} was received outside the calls that sent it")


def after_settled(index: Index, report: Report) -> None:
    """What is settled is not attempted again, unless it is replayed."""
    for id, told in index.history.told.items():
        if told.settled_at is None:
            continue
        grace = {"purged": PURGE_NOTICED, "expired": IN_TRANSIT}.get(told.status, CLOCK)
        for request in index.life_of(id):
            report.judged["after settled"] += 1
            if request.begun_at <= told.settled_at + grace:
                continue
            fenced_off = index.is_stale(request) or request.sequence is None or _settled_by_others(told)
            if fenced_off and index.excused(request):
                report.excused["after settled"] += 1
            else:
                over = (request.begun_at - told.settled_at) / SECOND
                report.find(
                    "after settled",
                    f"{id} of {request.user_id} was attempted {over:.3f} s after it was settled as {told.status}",
                )


def _settled_by_others(told: Told) -> bool:
    """Whether somebody else than the holder of the lease ended it, before whom no later token need have been seen."""
    return told.status in ("expired", "purged")

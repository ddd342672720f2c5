"""Promise 3: pending until the deadline, and no longer than a second more."""

from tests.support.observer.history import SECOND, Produced, Told
from tests.support.observer.index import Index
from tests.support.observer.loss import CLOCK
from tests.support.observer.report import Report


def deadlines(index: Index, report: Report) -> None:
    """Judged where PostgreSQL could be reached, a worker lived, and nobody had paused the pipeline."""
    history = index.history
    bound = round(history.expiry_bound_seconds * SECOND)
    paused = {one.user_id for one in history.operations if one.kind == "pause"}
    for id, told in history.told.items():
        produced = history.by_id.get(id)
        name = f"{id} of {told.user_id}"
        if produced is not None and id not in index.replays and told.user_id not in paused:
            _deadline_itself(name, produced, told, history.timeout_seconds, report)
        report.judged["expired early"] += told.status == "expired"
        if told.status == "expired" and not told.late and (told.settled_at or 0) < told.expires_at - CLOCK:
            early = (told.expires_at - (told.settled_at or 0)) / SECOND
            report.find("expired early", f"{name} was settled as expired {early:.3f} s before its deadline")
        if told.status == "purged" or told.user_id in paused:
            continue
        report.judged["expired late"] += 1
        if index.outages.meet(told.expires_at, told.expires_at + bound):
            continue
        if told.settled_at is not None and told.settled_at > told.expires_at + bound:
            over = (told.settled_at - told.expires_at) / SECOND
            if index.standing_still.meet(told.expires_at, told.expires_at + bound):
                report.excused["expired late"] += 1
                continue
            report.find("expired late", f"{name} was settled as {told.status} {over:.3f} s after its deadline")
        for request in index.life_of(id):
            if request.ended_at > told.expires_at + bound:
                if index.excused(request):
                    report.excused["expired late"] += 1
                else:
                    over = (request.ended_at - told.expires_at) / SECOND
                    report.find("expired late", f"an attempt of {name} ran until {over:.3f} s after its deadline")


def _deadline_itself(name: str, produced: Produced, told: Told, default: float | None, report: Report) -> None:
    """The deadline is the receipt plus the time-out, whoever waits in front."""
    timeout = produced.timeout_seconds if produced.timeout_seconds is not None else default
    if timeout is None:
        return
    stated = told.received_at + round(timeout * SECOND)
    if told.expires_at < stated - CLOCK:
        report.find("expired early", f"{name} was given {(told.expires_at - told.received_at) / SECOND:.3f} s")
    elif told.expires_at > stated + CLOCK:
        report.find("expired late", f"{name} was given {(told.expires_at - told.received_at) / SECOND:.3f} s")


def overshoots(index: Index) -> list[float]:
    """Of what expired while it could be judged: seconds from the deadline to its settling, ascending."""
    found = []
    for told in index.history.told.values():
        if told.status != "expired" or told.late or told.settled_at is None:
            continue
        if not index.outages.meet(told.expires_at, told.settled_at):
            found.append((told.settled_at - told.expires_at) / SECOND)
    return sorted(found)

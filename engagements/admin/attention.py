"""What an operator should look at now, each with the list that shows exactly that."""

from collections.abc import Iterator
from dataclasses import dataclass

from engagements.admin import addresses, display
from engagements.admin.operation_words import percent, title
from engagements.selectors.overview import Overview
from engagements.store.beat import DEAD_SECONDS
from engagements.store.read_overview import FAILED_LOOKED_AT, FIGURE_LIMIT

DEAD_SHOWN = 5
"""Dead workers named one by one; a page of them says no more than their number."""


@dataclass(frozen=True, slots=True)
class Notice:
    """key: what it is about, the same while it lasts. severe: deliveries stand still, or deadlines pass unseen."""

    key: str
    text: str
    advice: str
    address: str
    severe: bool = False


def attention(overview: Overview) -> list[Notice]:
    """The severe first."""
    found = [*_workers(overview), *_standing(overview), *_beat(overview), *_users(overview), *_operations(overview)]
    return sorted(found, key=lambda notice: not notice.severe)


def bounded(number: int, limit: int) -> str:
    return f"{display.count(limit)}+" if number > limit else display.count(number)


def _workers(overview: Overview) -> Iterator[Notice]:
    address = addresses.listing("worker")
    if not any(worker["alive"] for worker in overview.workers):
        text = "No worker is alive" if overview.workers else "No worker has ever started"
        advice = "Nothing is delivered until one starts. What is accepted meanwhile waits, and expires at its deadline."
        yield Notice("workers", text, advice, address, severe=True)
    dead = [row for row in overview.workers if row["recent"] and not row["alive"] and not row["stopped"]]
    for worker in dead[:DEAD_SHOWN]:
        text = f"Worker {worker['name']} has sent no heartbeat for {display.duration(worker['silent_seconds'])}"
        advice = "It was killed, frozen or cut off. Others have taken over its users; start it again."
        yield Notice(f"worker-{worker['name']}", text, advice, address)
    if len(dead) > DEAD_SHOWN:
        text = f"{display.number(len(dead) - DEAD_SHOWN, 'more worker')} died within the last hour"
        yield Notice("more-workers", text, "", address)


def _standing(overview: Overview) -> Iterator[Notice]:
    figures = overview.figures
    since = figures.everything_paused_at
    if since is not None:
        text = f"Everything is paused since {since:%Y-%m-%d %H:%M:%S} UTC"
        advice = "Nothing ordered starts and no deadline passes until somebody resumes it."
        yield Notice("everything", text, advice, addresses.listing("worker"))
    unleased = overview.unleased
    if unleased.users:
        more = "+" if unleased.bounded else ""
        noun = "pipeline has" if len(unleased.users) == 1 and not more else "pipelines have"
        text = f"{display.count(len(unleased.users))}{more} {noun} work to do that no worker does"
        advice = "A worker is missing, stuck or overloaded."
        yield Notice("unleased", text, advice, addresses.listing("pipeline", state="unleased"), severe=True)
    if figures.overdue:
        noun = "engagement is" if figures.overdue == 1 else "engagements are"
        text = f"{bounded(figures.overdue, FIGURE_LIMIT)} {noun} pending beyond the deadline"
        advice = "Sweeping does not keep up: is a worker alive, and PostgreSQL well?"
        address = addresses.listing("engagement", status="pending", time="overdue")
        yield Notice("overdue", text, advice, address, severe=True)


def _beat(overview: Overview) -> Iterator[Notice]:
    silent = overview.figures.beat_silent_seconds
    if not any(worker["alive"] for worker in overview.workers):
        return  # a worker is what hears of it
    advice = "Deliveries go on. Old history is not deleted until it is back: is beat running, and the broker?"
    address = addresses.listing("worker")
    if silent is None:
        yield Notice("beat", "Beat has never been heard of", advice, address)
    elif silent > DEAD_SECONDS:
        yield Notice("beat", f"Beat has not been heard of for {display.duration(silent)}", advice, address)


def _users(overview: Overview) -> Iterator[Notice]:
    blocked, failed = overview.blocked, overview.figures.failed_lately
    if blocked.users:
        more = "+" if blocked.bounded else ""
        noun = "user is" if len(blocked.users) == 1 and not more else "users are"
        text = f"{display.count(len(blocked.users))}{more} {noun} blocked"
        advice = "Their next engagement cannot go now, or should have gone already; the list says why."
        yield Notice("blocked", text, advice, addresses.listing("pipeline", state="blocked"))
    if failed:
        noun = "engagement" if failed == 1 else "engagements"
        # So many were looked at: all of them may be but a part.
        number = f"{display.count(failed)}{'+' if failed >= FAILED_LOOKED_AT else ''}"
        advice = "The receiver refused them, or the channel cannot work. Mend it, then replay."
        address = addresses.listing("engagement", status="failed", time="hour")
        yield Notice("failed", f"{number} {noun} failed in the last hour", advice, address)


def _operations(overview: Overview) -> Iterator[Notice]:
    for operation in overview.operations:
        text = f"{title(operation)} is under way: {percent(operation)} %"
        yield Notice(
            f"operation-{operation.token}", text, f"By {operation.actor}.", addresses.operation(operation.token)
        )

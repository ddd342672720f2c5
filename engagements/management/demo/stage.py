"""Where the scenes are played: posts engagements, follows what the workers record about them, and shows both.

Nothing is taken from this process's own view of what should happen: every row comes from PostgreSQL, where the workers
wrote it, with PostgreSQL's times.
"""

import secrets
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import count
from uuid import UUID, uuid4

from engagements import liveness, services
from engagements.domain.ring import Ring
from engagements.management.demo.screen import Row, Screen
from engagements.models import Attempt, Engagement
from engagements.selectors import pipelines
from engagements.store import workers
from engagements.store.connection import current, fetch

CHANNEL = "demo"
KIND = "demo"

LOOK_SECONDS = 0.02
"""Between two looks at the database: short beside what a reader notices."""

SORT_SECONDS = 0.05
"""How long a row is kept back, so that what was recorded a moment later but happened before is shown before it."""

TIMEOUT_SECONDS = 30.0
"""Of what the demo posts, whatever the default here is: the scenes are written for it."""

GREETING_SECONDS = 15.0
"""How long a worker may take to deliver its first engagement of the demo."""

SLOW_SECONDS = 0.5
"""An attempt that took longer says so."""

PATIENCE_SECONDS = 45.0
"""Everything posted here settles sooner by its deadline; after that the demo says that it did not."""


class NotSettledError(Exception):
    """Engagements of the demo were not settled in time."""


@dataclass(slots=True)
class Item:
    """One engagement of the demo, by the names the reader sees.

    ends: the status it should end in. seconds: how long its last attempt took.
    """

    id: UUID
    user: str
    text: str
    ends: str
    seconds: float = 0.0
    shown_settled: bool = False


@dataclass(slots=True)
class Happened:
    """A row that waits to be shown in the order of its time."""

    at: datetime
    what: str
    item: Item
    note: str = ""


@dataclass(slots=True)
class Cast:
    """User ids that no earlier run has used: this run's prefix before the name that a reader sees."""

    prefix: str
    worker_of: dict[str, str] = field(default_factory=dict)

    def id(self, name: str) -> str:
        return self.prefix + name


def casting(names: Sequence[str], apart: tuple[str, str]) -> Cast:
    """A cast in which the two users named by `apart` belong to different workers, if there is more than one."""
    ring = liveness.ring()
    for _ in range(200):
        chosen = Cast(f"demo-{secrets.token_hex(2)}.")
        chosen.worker_of = {name: ring.worker(chosen.id(name)) or "" for name in names}
        if len(ring.workers) < 2 or len({chosen.worker_of[name] for name in apart}) == 2:
            break
    return chosen


class Stage:
    """Posts, follows and shows. Times of rows count from the last begin()."""

    def __init__(self, screen: Screen, people: Cast, *, pause: float) -> None:
        """pause: seconds for reading between two scenes."""
        self.screen = screen
        self.people = people
        self.items: dict[UUID, Item] = {}
        self._pause = pause
        self._scene: list[UUID] = []
        self._rows: list[Happened] = []
        self._seen: set[int] = set()
        self.began = self.now()

    def now(self) -> datetime:
        """PostgreSQL's time."""
        [(now,)] = fetch(current(), "SELECT clock_timestamp()")
        assert isinstance(now, datetime)
        return now

    def greet(self, names: Sequence[str]) -> dict[str, float]:
        """Let each of these workers deliver something: worker → seconds from receipt to delivery.

        So the scenes show the order, and not how long a channel takes that was made just now. Raises NotSettledError.
        """
        ring = Ring(names)
        guests = (self.people.id(f"hello-{number}") for number in count(1))
        guest_of = {name: next(guest for guest in guests if ring.worker(guest) == name) for name in names}
        for _ in range(2):  # the first round warms up connections
            hellos = {
                name: services.produce(user_id=guest, payload={"text": "hello"}, channel=CHANNEL).engagement.id
                for name, guest in guest_of.items()
            }
            answers = {name: self._answer(id, name) for name, id in hellos.items()}
        return answers

    def _answer(self, id: UUID, worker: str) -> float:
        ends = time.monotonic() + GREETING_SECONDS
        while time.monotonic() < ends:
            engagement = Engagement.objects.get(id=id)
            if engagement.status == "delivered" and engagement.settled_at is not None:
                return (engagement.settled_at - engagement.received_at).total_seconds()
            if engagement.status != "pending":
                raise NotSettledError(
                    f"worker {worker} could not deliver ({engagement.status}): {engagement.last_error}"
                )
            time.sleep(LOOK_SECONDS)
        raise NotSettledError(f"worker {worker} is alive but has delivered nothing for {GREETING_SECONDS:g} s")

    def begin(self, title: str, story: str) -> None:
        if self.screen.scenes:
            time.sleep(self._pause)
        self.screen.scene(title, story)
        self._scene = []
        self.began = self.now()

    def post(
        self,
        user: str,
        text: str,
        *,
        id: UUID | None = None,
        happened: datetime | None = None,
        parent: UUID | None = None,
        unordered: bool = False,
        timeout: float = TIMEOUT_SECONDS,
        seconds: float = 0.0,
        refusals: int = 0,
        note: str = "",
        ends: str = "delivered",
    ) -> UUID:
        """Produce one engagement through the same service as the API.

        seconds, refusals: what its receiver does (workers/channels/demo.py). note: for the reader. ends: the
        status that it should end in.
        """
        fields: dict[str, object] = {
            "id": id or uuid4(),
            "user_id": self.people.id(user),
            "payload": {"text": text, "receiver": {"seconds": seconds, "refusals": refusals}},
            "produced_at": happened,
            "causal_parent": parent,
            "unordered": unordered or None,
            "channel": CHANNEL,
            "timeout_seconds": timeout,
        }
        engagement = services.produce(**fields).engagement
        item = Item(engagement.id, user, text, ends)
        self.items[item.id] = item
        self._scene.append(item.id)
        self._rows.append(Happened(engagement.received_at, "posted", item, note))
        return item.id

    def watch(self, *, what: str, seconds: float | None = None) -> None:
        """Show what happens until everything posted in this scene is settled, or for so many seconds.

        what: is shown on a terminal meanwhile. Raises NotSettledError.
        """
        ends = time.monotonic() + (PATIENCE_SECONDS if seconds is None else seconds)
        with self.screen.waiting(what):
            while True:
                self._look()
                self._show(before=self.now() - timedelta(seconds=SORT_SECONDS))
                settled = all(self.items[id].shown_settled for id in self._scene)
                if (seconds is None and settled) or time.monotonic() > ends:
                    break
                time.sleep(LOOK_SECONDS)
            self._look()
            self._show()
        if seconds is None and not settled:
            left = [f"{self.items[id].user}: {self.items[id].text}" for id in self._scene]
            raise NotSettledError(f"not settled within {PATIENCE_SECONDS:g} s: {', '.join(left)}")

    def why(self, user: str) -> None:
        """Show the sentence by which the API and the admin explain why this user's head is not delivered."""
        waiting = pipelines.pipeline(self.people.id(user)).waiting
        if waiting is not None:
            self.screen.aside(user, waiting)

    def scene(self) -> list[Engagement]:
        """The engagements of this scene as they are stored now, in the order they were posted."""
        stored = Engagement.objects.in_bulk(self._scene)
        return [stored[id] for id in self._scene]

    def _look(self) -> None:
        """Read what is new about the engagements of this scene."""
        waiting = [id for id in self._scene if not self.items[id].shown_settled]
        settled = list(Engagement.objects.filter(id__in=waiting).exclude(status="pending"))
        # After that, so that the attempt which settled one is among them.
        for attempt in Attempt.objects.filter(engagement_id__in=self._scene).exclude(id__in=self._seen):
            self._seen.add(attempt.id)
            self._attempted(attempt)
        for engagement in settled:
            self._settled(engagement)

    def _attempted(self, attempt: Attempt) -> None:
        item = self.items[attempt.engagement_id]
        item.seconds = attempt.duration_seconds
        ended = attempt.started_at + timedelta(seconds=attempt.duration_seconds)
        match attempt.outcome:
            case "delivered" | "failed":
                pass  # settled in the same transaction: one row for both
            case "retry":
                self._rows.append(Happened(ended, "refused", item, f"try {attempt.number}, again in place"))
            case "cut":
                self._rows.append(Happened(ended, "cut off", item, "no answer in time"))
            case _:
                self._rows.append(Happened(ended, "cut off", item, str(attempt.answer)))

    def _settled(self, engagement: Engagement) -> None:
        item = self.items[engagement.id]
        assert engagement.settled_at is not None
        item.shown_settled = True
        notes = [f"sequence {engagement.sequence}"] if engagement.sequence is not None else []
        if engagement.attempts > 1:
            notes.append(f"try {engagement.attempts}")
        if engagement.status == "delivered" and item.seconds >= SLOW_SECONDS:
            notes.append(f"took {item.seconds:.1f} s")
        if engagement.late:
            notes.append("late")
        if engagement.unordered:
            notes.append("unordered")
        self._rows.append(Happened(engagement.settled_at, str(engagement.status), item, ", ".join(notes)))

    def _show(self, *, before: datetime | None = None) -> None:
        self._rows.sort(key=lambda row: row.at)
        while self._rows and (before is None or self._rows[0].at <= before):
            row = self._rows.pop(0)
            seconds = (row.at - self.began).total_seconds()
            self.screen.row(Row(seconds, row.what, row.item.user, row.item.text, row.note))


def alive() -> list[str]:
    """The names of the delivery workers alive now."""
    return workers.alive(current())

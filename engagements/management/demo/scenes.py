"""The scenes: what is posted, and in plain words what it shows. The words after a scene follow what really happened."""

from collections.abc import Callable
from datetime import timedelta
from uuid import uuid4

from engagements import conf
from engagements.management.demo.stage import Stage

PEOPLE = ("ada", "cleo", "dan", "sam", "tom", "rita", "eve")

APART = ("cleo", "dan")
"""Talk to each other across two workers."""

PATIENT_SECONDS = 2.0


def crossed(stage: Stage) -> None:
    stage.begin(
        "Crossed on the way",
        "Ada's order is paid, packed and at the door within 20 ms. The network brings the three messages backwards.",
    )
    now = stage.now()
    stage.post("ada", "at the door", happened=now)
    stage.post("ada", "packed", happened=now - timedelta(milliseconds=10))
    stage.post("ada", "paid", happened=now - timedelta(milliseconds=20))
    stage.watch(what="Ada's messages wait out the reorder window …")
    window = conf.get("REORDER_WINDOW_MS")
    if any(engagement.late for engagement in stage.scene()):
        stage.screen.moral(
            f"This machine was too busy to post them within the reorder window of {window:g} ms: what came later was"
            " delivered next and is marked late. Nothing that was attempted is ever taken back."
        )
    else:
        stage.screen.moral(
            f"Each was held until {window:g} ms after it had happened (the reorder window), so they found their order"
            " again. A message that states no time is not held."
        )


def too_late(stage: Stage) -> None:
    stage.begin(
        "Later than the window",
        "A fourth message of that order got lost for a while. It happened before all the others.",
    )
    ends = "expired" if conf.late_expires() else "delivered"
    stage.post("ada", "put into the basket", happened=stage.now() - timedelta(minutes=1), ends=ends)
    stage.watch(what="waiting for the delivery …")
    if conf.late_expires():
        stage.screen.moral("Its place is gone, and LATE_POLICY=expire says not to deliver it out of order.")
    else:
        stage.screen.moral(
            "Its place is gone: what was attempted is never taken back. So it goes next, and says that it is late."
        )


def caused(stage: Stage) -> None:
    cleo, dan = (stage.people.worker_of[name] for name in APART)
    where = f"{cleo} delivers hers, {dan} his" if cleo != dan else f"{cleo} delivers both"
    stage.begin(
        "An answer before its question",
        f"Cleo and Dan talk ({where}). Each message names the one that it answers as its causal parent; the last ones"
        " arrive first.",
    )
    question, answer = uuid4(), uuid4()
    stage.post("cleo", "Dan: see you there!", parent=answer, note="answers 'At nine?'")
    stage.post("dan", "Cleo: At nine?", id=answer, parent=question, note="answers 'Dinner?'")
    stage.watch(what="Nothing may be delivered before the first question is known …", seconds=1.0)
    if not any(engagement.status != "pending" for engagement in stage.scene()):
        stage.screen.moral("A second later nothing is delivered, and the pipelines say why:")
        stage.why("cleo")
        stage.why("dan")
        stage.screen.blank()
    stage.post("cleo", "Dan: Dinner?", id=question, note="the question")
    stage.watch(what="waiting for the chain …")
    stage.screen.moral(
        "Each waited until the one it answers was settled, whichever worker did that. This is opt-in, and ends at the"
        " child's own deadline if the parent never comes."
    )


def slow(stage: Stage) -> None:
    stage.begin(
        "One is slow, nobody waits",
        "Sam's receiver takes 1.5 s for each message. Tom's is quick. And Sam gets banners, which are posted as"
        " unordered.",
    )
    stage.post("sam", "first slow one", seconds=1.5)
    stage.post("sam", "second slow one", seconds=1.5)
    for number in ("one", "two", "three"):
        stage.post("tom", f"quick {number}")
    stage.post("sam", "banner: sale!", unordered=True)
    stage.post("sam", "banner: last day!", unordered=True)
    stage.watch(what="Sam's receiver takes its time …")
    stage.screen.moral(
        "A slow user delays only their own pipeline. Banners touch no pipeline at all: they overtake, and carry no"
        " sequence."
    )


def refused(stage: Stage) -> None:
    stage.begin(
        "A retry keeps its place",
        "Rita's receiver is down: it refuses the first message twice. Two more stand behind it.",
    )
    stage.post("rita", "your code is 4711", refusals=2)
    stage.post("rita", "code accepted")
    stage.post("rita", "welcome back")
    stage.watch(what="Rita's first message is tried again …")
    stage.screen.moral(
        "It is tried again in place, with growing pauses, under the same sequence. It is never put behind its"
        " successors."
    )


def expired(stage: Stage) -> None:
    stage.begin(
        "Waiting has an end",
        f"Eve's receiver hangs. Her first message is worth something for {PATIENT_SECONDS:g} s only: that is its"
        " time-out.",
    )
    stage.post("eve", "your taxi is here", timeout=PATIENT_SECONDS, seconds=60, ends="expired")
    stage.post("eve", "your taxi has left")
    stage.watch(what="Eve's receiver hangs …")
    stage.screen.moral(
        "At the deadline the attempt is cut off, the message is settled as expired, and the next one moves up."
        " Without a time-out of its own a message has"
        f" {conf.pending_timeout_seconds():g} s."
    )


SCENES: tuple[Callable[[Stage], None], ...] = (crossed, too_late, caused, slow, refused, expired)

import contextlib
import sys
from typing import IO, Any, cast

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import Error, OperationalError, ProgrammingError
from django.urls import NoReverseMatch, reverse

from engagements import channels, conf
from engagements.management.demo.scenes import APART, PEOPLE, SCENES
from engagements.management.demo.screen import Screen
from engagements.management.demo.stage import CHANNEL, KIND, NotSettledError, Stage, alive, casting
from engagements.management.demo.verdict import show_verdict
from engagements.models import Channel

INTERRUPTED = 130
"""Exit status after Ctrl-C, as shells give it."""


class Command(BaseCommand):
    help = (
        "Posts sample traffic to the running system and prints the deliveries as they happen, with the order explained:"
        " late arrivals, a causal chain across two users, a slow user, retries, an expiry, unordered banners. Ends with"
        " a check of what was recorded; exit status 1 if a promise was broken."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument(
            "--pause", type=float, default=1.5, metavar="SECONDS", help="time for reading between scenes (default 1.5)"
        )

    def handle(self, *args: Any, pause: float, **options: Any) -> None:
        try:
            self.stdout.ending = ""  # the screen ends its lines itself
            self._play(Screen(cast(IO[str], self.stdout)), pause=max(pause, 0.0))
        except KeyboardInterrupt:
            self.stderr.write("\nStopped. What was posted is delivered or expires by itself.")
            sys.exit(INTERRUPTED)
        except ProgrammingError as error:
            raise CommandError(f"The database lacks tables; run `manage.py migrate`. It said: {error}") from error
        except OperationalError as error:
            raise CommandError(f"The demo needs a running system. {error}".strip()) from error
        except Error as error:
            raise CommandError(f"The database failed: {error}") from error
        except NotSettledError as error:
            raise CommandError(f"{error}. The logs of the workers say more.") from error

    def _play(self, screen: Screen, *, pause: float) -> None:
        live = alive()
        if not live:
            raise CommandError(
                "No delivery worker is alive. `make up` runs two; on other servers start one with"
                " `celery -A deliveryproject worker`."
            )
        _make_channel()
        people = casting(PEOPLE, APART)
        stage = Stage(screen, people, pause=pause)
        screen.heading("Ordered delivery, live")
        answered = ", ".join(f"{worker} in {seconds * 1000:.0f} ms" for worker, seconds in stage.greet(live).items())
        screen.say(
            "Messages (engagements) are posted for users; workers deliver them: for each user one at a time, in the"
            " order in which they happened."
        )
        screen.say(f"Workers that answered: {answered}.")
        screen.say(f"User ids of this run begin with '{people.prefix}'; times are seconds, by PostgreSQL's clock.")
        for scene in SCENES:
            scene(stage)
        screen.blank()
        screen.heading("Verdict")
        holds = show_verdict(stage, screen)
        screen.blank()
        if not holds:
            raise CommandError("A promise was broken; `manage.py verify_order` judges the whole history.")
        screen.say("Promises 1 to 5 (order, causes, deadlines) hold in all that was recorded.", style="bold green")
        screen.blank()
        screen.heading("Look next")
        for what, where in _next_steps(people.prefix):
            screen.say(f"{what:<8}{where}")


def _next_steps(prefix: str) -> list[tuple[str, str]]:
    """What to look at, and where."""
    site = getattr(settings, "SITE_URL", "")
    steps = [
        ("Proof", f"manage.py verify_order --user {prefix}ada"),
        ("Own", "README.md, 'Post your first engagement'"),
    ]
    with contextlib.suppress(NoReverseMatch):
        steps.insert(0, ("Admin", f"{site}{reverse('admin:engagements_pipeline_changelist')}?q={prefix}"))
    return steps


def _make_channel() -> None:
    """Raises CommandError when the name is taken by something else, or the workers would not know the kind."""
    if KIND not in conf.channel_kinds():
        raise CommandError(
            f"The setting CHANNEL_KINDS has no {KIND!r}: add {KIND!r}: {conf.DEFAULTS['CHANNEL_KINDS'][KIND]!r} to it."
        )
    channel = Channel.objects.filter(name=CHANNEL).first()
    if channel is None:
        channels.create(CHANNEL, KIND, actor="demo")
    elif channel.kind != KIND or not channel.active:
        state = "" if channel.active else ", not active"
        raise CommandError(
            f"There is a channel {CHANNEL!r} of another kind ({channel.kind}{state}); the demo would need it."
        )

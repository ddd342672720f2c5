"""Checks recorded history against the promises."""

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from engagements.domain.errors import NotFound
from engagements.domain.proof import TITLES
from engagements.selectors import proof


class Command(BaseCommand):
    """Exit status 0 and a summary when promises 1 to 5 hold, else 1 and one line per violation."""

    help = "Check the recorded history against promises 1 to 5; exit status 1 and one line per violation."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--user", help="only this user's history (default: everybody's)")

    def handle(self, *, user: str | None, **_: Any) -> None:
        users = engagements = violations = 0
        try:
            for verdict in proof.verdicts(user):
                users += 1
                engagements += verdict.engagements
                for check in verdict.checks:
                    violations += check.count
                    for violation in check.violations:
                        self.stdout.write(f"user {verdict.user_id!r}: promise {check.promise}: {violation}")
                    if check.count > len(check.violations):
                        more = check.count - len(check.violations)
                        self.stdout.write(f"user {verdict.user_id!r}: promise {check.promise}: and {more:,} more")
        except NotFound as error:
            raise CommandError(str(error)) from None
        scope = f"{engagements:,} engagements of {users:,} {'user' if users == 1 else 'users'}"
        if violations:
            raise CommandError(f"{violations:,} violations in {scope}")
        self.stdout.write(f"Order verified: promises 1 to {len(TITLES)} hold for {scope}.")

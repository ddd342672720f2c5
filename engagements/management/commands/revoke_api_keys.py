"""Removes API keys."""

from argparse import ArgumentParser
from typing import Any

from django.contrib.auth.models import User
from django.core.management.base import BaseCommand, CommandError
from django.db import transaction
from knox.models import AuthToken


class Command(BaseCommand):
    """All keys of a name stop working within a second. The name can be given out again, with any role."""

    help = "Remove all API keys of a name; they stop working within a second."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("name")

    def handle(self, *, name: str, **_: Any) -> None:
        with transaction.atomic():
            user = User.objects.select_for_update().filter(username=name).first()
            if user is None:
                raise CommandError(f"there is nobody named {name!r}")
            count, _ = AuthToken.objects.filter(user=user).delete()
            if not user.has_usable_password():
                user.delete()
        self.stdout.write(f"{count} removed")

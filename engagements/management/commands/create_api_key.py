"""Makes an API key."""

from argparse import ArgumentParser
from datetime import timedelta
from typing import Any

from django.contrib.auth.models import Group, User
from django.core.exceptions import ValidationError
from django.core.management.base import BaseCommand, CommandError
from django.db import transaction
from knox.models import AuthToken

ROLES = ("producer", "operator", "viewer")


class Command(BaseCommand):
    """Prints the key alone on standard output; it is stored as a hash and cannot be shown again.

    A key belongs to a user account of that name without a password. More keys of the same name and role may be made, so
    that one can be replaced without a gap; revoke_api_keys removes them.
    """

    help = "Make an API key and print it, alone, on standard output. It cannot be shown again."

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("name", help="whose key it is: shown in the audit")
        parser.add_argument("--role", required=True, choices=ROLES)
        parser.add_argument("--days", type=float, help="expire after so many days (default: never)")

    def handle(self, *, name: str, role: str, days: float | None, **_: Any) -> None:
        if days is not None and not 0 < days <= 36_500:
            raise CommandError("--days must be above 0 and at most 36500")
        with transaction.atomic():
            user = _owner(name, role)
            _, key = AuthToken.objects.create(user, expiry=None if days is None else timedelta(days=days))
        self.stdout.write(key)


def _owner(name: str, role: str) -> User:
    new = User(username=name)
    new.set_unusable_password()
    try:
        new.clean_fields()
    except ValidationError as error:
        raise CommandError(f"{name!r} cannot be a name: {'; '.join(error.messages)}") from None
    user = User.objects.select_for_update().filter(username=name).first()
    if user is None:
        new.save()
        new.groups.add(Group.objects.get(name=role))
        return new
    if user.has_usable_password():
        raise CommandError(f"{name} is a person who logs in with a password; choose another name for the key")
    has = set(user.groups.values_list("name", flat=True))
    if has != {role}:
        raise CommandError(
            f"{name} has keys of another role ({', '.join(sorted(has)) or 'none'}), which would change with this one; "
            f"choose another name, or remove them first: manage.py revoke_api_keys {name}"
        )
    if not user.is_active:
        raise CommandError(f"{name} is deactivated; activate the account in the admin, or choose another name")
    return user

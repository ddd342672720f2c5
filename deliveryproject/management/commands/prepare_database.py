import os
import secrets
from typing import Any

from django.contrib.auth import get_user_model
from django.core.management import call_command
from django.core.management.base import BaseCommand

ADMIN = "admin"


class Command(BaseCommand):
    help = (
        "Migrates the database and makes sure of the superuser `admin`. ADMIN_PASSWORD sets its password;"
        " without it, a random one is made with the user and printed alone on standard output."
    )
    # The migrations are what this command is about to run.
    requires_migrations_checks = False

    def handle(self, *args: Any, **options: Any) -> None:
        call_command("migrate", interactive=False, verbosity=0)
        password = os.environ.get("ADMIN_PASSWORD", "")
        users = get_user_model()._default_manager
        admin = users.filter(username=ADMIN).first()
        if admin is None:
            made = password or secrets.token_urlsafe(12)
            get_user_model().objects.create_superuser(ADMIN, password=made)
            if not password:
                self.stdout.write(made)
        elif password and not admin.check_password(password):
            admin.set_password(password)
            admin.is_active = admin.is_staff = admin.is_superuser = True
            admin.save()
